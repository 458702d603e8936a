// Package scalar turns Holon's GraphQL scalars into Go values and back. It
// may import gqlgen's runtime and the registry's errors only.
package scalar

import (
	"fmt"
	"io"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/sosodev/duration"
)

// MarshalDateTime writes a moment in UTC with milliseconds.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		var buf [32]byte
		out := append(buf[:0], '"')
		// This layout is a third of the work of any other.
		out = t.UTC().AppendFormat(out, time.RFC3339)
		millis := t.Nanosecond() / int(time.Millisecond)
		out = append(out[:len(out)-1], '.', byte('0'+millis/100), byte('0'+millis/10%10), byte('0'+millis%10), 'Z')
		w.Write(append(out, '"')) //nolint:errcheck // gqlgen's writer keeps its error
	})
}

// UnmarshalDateTime reads an RFC 3339 text. Fractions below a millisecond are
// cut off.
func UnmarshalDateTime(v any) (time.Time, error) {
	s, ok := v.(string)
	if !ok {
		return time.Time{}, fmt.Errorf("a DateTime is a text such as \"2026-03-29T01:00:00.000Z\", not %T", v)
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a DateTime: write it as \"2026-03-29T01:00:00.000Z\"", s)
	}
	return t.UTC().Truncate(time.Millisecond), nil
}

// MarshalDuration writes a length of time in ISO 8601, as it can be read again:
// without years and months.
func MarshalDuration(d time.Duration) graphql.Marshaler {
	const day = 24 * time.Hour
	left := d.Abs()
	out := duration.Duration{
		Days: float64(left / day), Hours: float64(left % day / time.Hour), Minutes: float64(left % time.Hour / time.Minute),
		Seconds: (left % time.Minute).Seconds(), Negative: d < 0,
	}
	return graphql.MarshalString(out.String())
}

// UnmarshalDuration reads a length of time in ISO 8601. Years and months have
// no fixed length and are refused.
func UnmarshalDuration(v any) (time.Duration, error) {
	s, ok := v.(string)
	if !ok {
		return 0, fmt.Errorf("a Duration is a text such as \"PT1H\", not %T", v)
	}
	d, err := duration.Parse(s)
	if err != nil || d.Years != 0 || d.Months != 0 || d.Negative {
		return 0, fmt.Errorf("%q is not a Duration: write days, hours, minutes and seconds as \"P1DT12H\" or \"PT15M\"", s)
	}
	return d.ToTimeDuration(), nil
}
