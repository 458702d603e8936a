package conform

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Series is a measure of a device.
type Series struct{ Device, Measure string }

// Sample is a value of a series; At is zero where the sender says no time.
type Sample struct {
	At    time.Time
	Value any
}

// Stored returns what Holon has of a series, in order of time.
type Stored func(ctx context.Context, s Series) ([]Sample, error)

// Expected is what a program is to send.
type Expected struct {
	series map[Series][]Sample
	before map[Series][]Sample
	times  map[Series]map[int64]bool
	// Values counts them.
	Values int
}

// Expect reads what is to be sent: a reading a line, as POST /v1/readings takes
// them.
func Expect(lines io.Reader) (*Expected, error) {
	e := &Expected{series: map[Series][]Sample{}, before: map[Series][]Sample{}, times: map[Series]map[int64]bool{}}
	in := bufio.NewScanner(lines)
	in.Buffer(nil, 4<<20)
	for number := 1; in.Scan(); number++ {
		line := bytes.TrimSpace(in.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := e.add(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	if e.Values == 0 {
		return nil, errors.New("there is nothing to expect")
	}
	return e, nil
}

func (e *Expected) add(line []byte) error {
	var reading struct {
		Device     string
		MeasuredAt any
		Values     map[string]any
	}
	if err := json.Unmarshal(line, &reading); err != nil {
		return err
	}
	if reading.Device == "" || len(reading.Values) == 0 {
		return errors.New("a reading has a device and values")
	}
	at, err := timeOf(reading.MeasuredAt)
	if err != nil {
		return err
	}
	for measure, value := range reading.Values {
		s := Series{reading.Device, measure}
		one := Sample{at, value}
		if e.times[s] == nil {
			e.times[s] = map[int64]bool{}
		}
		if !at.IsZero() && e.times[s][at.UnixMilli()] {
			return fmt.Errorf("%s of %s at %s stands twice", measure, reading.Device, at.Format(time.RFC3339Nano))
		}
		e.series[s], e.times[s][at.UnixMilli()] = append(e.series[s], one), true
		e.Values++
	}
	return nil
}

func timeOf(value any) (time.Time, error) {
	switch v := value.(type) {
	case nil:
		return time.Time{}, nil
	case string:
		at, err := time.Parse(time.RFC3339, v)
		return at.UTC().Truncate(time.Millisecond), err
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return time.UnixMilli(int64(v)).UTC(), nil
		}
	}
	return time.Time{}, errors.New("measuredAt is RFC 3339 or whole epoch milliseconds")
}

// Before notes what is stored already: it is not the program's. It fails if that
// is at a time of what is expected, since nobody could tell then who sent it.
func (e *Expected) Before(ctx context.Context, stored Stored) error {
	for s := range e.series {
		var err error
		if e.before[s], err = stored(ctx, s); err != nil {
			return err
		}
		for _, one := range e.before[s] {
			if e.times[s][one.At.UnixMilli()] {
				return fmt.Errorf("%s of %s at %s, which is expected, is stored already: take another device, or other times", s.Measure, s.Device, one.At.UTC().Format(time.RFC3339Nano))
			}
		}
	}
	return nil
}

// Outcome is what arrived of what was expected.
type Outcome struct {
	// Right, Lost, Doubled and Wrong count values. Wrong ones came at their time,
	// but are others; doubled are those that nobody expects.
	Right, Lost, Doubled, Wrong int
	// Examples says of some that are not right which they are.
	Examples []string
}

// Complete says whether everything has come.
func (o Outcome) Complete() bool { return o.Lost == 0 }

// maxExamples bounds what is told.
const maxExamples = 10

func (o *Outcome) example(format string, args ...any) {
	if len(o.Examples) < maxExamples {
		o.Examples = append(o.Examples, fmt.Sprintf(format, args...))
	}
}

// Check compares what is stored with what is expected.
func (e *Expected) Check(ctx context.Context, stored Stored) (Outcome, error) {
	var out Outcome
	names := make([]Series, 0, len(e.series))
	for s := range e.series {
		names = append(names, s)
	}
	slices.SortFunc(names, func(a, b Series) int {
		return strings.Compare(a.Device+"\n"+a.Measure, b.Device+"\n"+b.Measure)
	})
	for _, s := range names {
		found, err := stored(ctx, s)
		if err != nil {
			return out, err
		}
		e.checkSeries(s, found, &out)
	}
	return out, nil
}

// checkSeries compares one series: by time where there is one, and the rest by
// value.
func (e *Expected) checkSeries(s Series, found []Sample, out *Outcome) {
	there := make(map[int64]any, len(found))
	for _, one := range found {
		there[one.At.UnixMilli()] = one.Value
	}
	before := make(map[int64]bool, len(e.before[s]))
	for _, one := range e.before[s] {
		before[one.At.UnixMilli()] = true
	}
	var timeless []Sample
	for _, want := range e.series[s] {
		at := want.At.UnixMilli()
		got, ok := there[at]
		switch {
		case want.At.IsZero():
			timeless = append(timeless, want)
			continue
		case !ok:
			out.Lost++
			out.example("lost: %s of %s at %s", s.Measure, s.Device, want.At.Format(time.RFC3339Nano))
		case !reflect.DeepEqual(got, want.Value):
			out.Wrong++
			out.example("wrong: %s of %s at %s is %v, not %v", s.Measure, s.Device, want.At.Format(time.RFC3339Nano), got, want.Value)
		default:
			out.Right++
		}
		delete(there, at)
	}
	var rest []Sample
	for _, one := range found {
		if _, left := there[one.At.UnixMilli()]; left && !before[one.At.UnixMilli()] {
			rest = append(rest, one)
		}
	}
	for _, want := range timeless {
		i := slices.IndexFunc(rest, func(one Sample) bool { return reflect.DeepEqual(one.Value, want.Value) })
		if i < 0 {
			out.Lost++
			out.example("lost: %s of %s, %v", s.Measure, s.Device, want.Value)
			continue
		}
		out.Right++
		rest = slices.Delete(rest, i, i+1)
	}
	for _, one := range rest {
		out.Doubled++
		out.example("not expected: %s of %s at %s is %v", s.Measure, s.Device, one.At.Format(time.RFC3339Nano), one.Value)
	}
}
