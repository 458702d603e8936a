package scalar_test

import (
	"strings"
	"testing"
	"time"

	"github.com/holon-registry/holon/resolvers/scalar"
)

// What is written can be read, and is the same length.
func TestDurationsAreReadAsTheyAreWritten(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0: "PT0S", 1500 * time.Millisecond: "PT1.5S", 36 * time.Hour: "P1DT12H", 7 * day: "P7D", 31 * day: "P31D", 365 * day: "P365D", 3650*day + time.Minute: "P3650DT1M",
	} {
		var text strings.Builder
		scalar.MarshalDuration(d).MarshalGQL(&text)
		written := strings.Trim(text.String(), `"`)
		if written != want {
			t.Errorf("%v is written %s, want %s", d, written, want)
		}
		if got, err := scalar.UnmarshalDuration(written); err != nil || got != d {
			t.Errorf("%s is read as %v, %v", written, got, err)
		}
	}
}

// Moments are written in UTC with three digits after the point, cut off and not
// rounded, as any other program reads them.
func TestMomentsAreWrittenWithMilliseconds(t *testing.T) {
	berlin := time.FixedZone("", 2*60*60)
	for _, at := range []time.Time{
		time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 3, 29, 1, 0, 0, 7_999_999, berlin), time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 120_000_000, time.UTC),
	} {
		var text strings.Builder
		scalar.MarshalDateTime(at).MarshalGQL(&text)
		if want := at.UTC().Format(`"2006-01-02T15:04:05.000Z07:00"`); text.String() != want {
			t.Errorf("%v is written %s, want %s", at, &text, want)
		}
	}
}
