package registry

import (
	"math"
	"testing"
	"time"
)

func TestCheckTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		at time.Time
		ok bool
	}{
		"none":                       {time.Time{}, true},
		"now":                        {now, true},
		"a clock that is ahead":      {now.Add(FutureTolerance), true},
		"a clock that is wrong":      {now.Add(FutureTolerance + time.Millisecond), false},
		"long ago":                   {time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), true},
		"seconds for milliseconds":   {time.UnixMilli(now.Unix()), false},
		"before there were readings": {time.Date(1999, 12, 31, 0, 0, 0, 0, time.UTC), false},
	} {
		refusal := CheckTime(test.at, now)
		if (refusal == nil) != test.ok {
			t.Errorf("%s: got %+v, want ok %t", name, refusal, test.ok)
		}
		if refusal != nil && refusal.Reason != ReasonTimeOutOfBounds {
			t.Errorf("%s: reason %s", name, refusal.Reason)
		}
	}
}

func TestCheckValue(t *testing.T) {
	closed := &Template{Name: "sensor", Measures: []MeasureDeclaration{{Name: "t", ValueType: ValueNumber}, {Name: "door", ValueType: ValueBoolean}}}
	open := &Template{Name: OpenTemplate, Open: true}
	for name, test := range map[string]struct {
		template *Template
		measure  string
		value    any
		want     DeadLetterReason
	}{
		"a number":                  {closed, "t", 1.5, ""},
		"a boolean":                 {closed, "door", true, ""},
		"the wrong type":            {closed, "door", 1.0, ReasonWrongType},
		"undeclared":                {closed, "humidity", 1.0, ReasonUndeclaredMeasure},
		"no value at all":           {closed, "t", nil, ReasonWrongType},
		"a list":                    {closed, "t", []any{1.0}, ReasonWrongType},
		"infinite":                  {closed, "t", math.Inf(1), ReasonWrongType},
		"not a number":              {open, "t", math.NaN(), ReasonWrongType},
		"open takes any":            {open, "anything", "text", ""},
		"but not under every name":  {open, "no good", 1.0, ReasonUndeclaredMeasure},
		"nor an object":             {open, "x", map[string]any{}, ReasonWrongType},
		"numbers are float64 here":  {closed, "t", 1, ReasonWrongType},
		"case counts in a measure":  {closed, "T", 1.0, ReasonUndeclaredMeasure},
		"an empty name is no name":  {open, "", 1.0, ReasonUndeclaredMeasure},
		"a text is not a number":    {closed, "t", "1.5", ReasonWrongType},
		"false is a value like all": {closed, "door", false, ""},
	} {
		refusal := test.template.CheckValue(test.measure, test.value)
		got := DeadLetterReason("")
		if refusal != nil {
			got = refusal.Reason
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

func TestLinkHoldsAt(t *testing.T) {
	since := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	until := since.Add(time.Hour)
	ended, open := &Link{Since: since, Until: &until}, &Link{Since: since}
	for at, want := range map[time.Time][2]bool{
		since.Add(-time.Millisecond): {false, false},
		since:                        {true, true},
		until.Add(-time.Millisecond): {true, true},
		until:                        {false, true},
	} {
		if got := [2]bool{ended.HoldsAt(at), open.HoldsAt(at)}; got != want {
			t.Errorf("at %s: got %v, want %v", at, got, want)
		}
	}
}

func TestPartitionOf(t *testing.T) {
	seen := map[int]int{}
	for i := range 8000 {
		id := ID(string(rune('a'+i%26)) + time.Unix(int64(i), 0).String())
		p := PartitionOf(id, 8)
		if p < 0 || p > 7 || p != PartitionOf(id, 8) {
			t.Fatalf("partition %d", p)
		}
		seen[p]++
	}
	for p, n := range seen {
		if n < 800 || n > 1200 {
			t.Errorf("partition %d has %d of 8000 devices", p, n)
		}
	}
}
