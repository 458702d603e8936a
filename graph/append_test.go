package graph_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

func TestAppendStoresAndRepeats(t *testing.T) {
	f := newField(t)
	d := f.device("thermometer", "")
	start := morning()
	entry := f.entryOf(
		f.reading(d, start, map[string]any{"temperature": 20.5, "open": true, "mode": "eco"}),
		f.reading(d, start.Add(time.Second), map[string]any{"temperature": 21.0}),
	)
	first := f.write(entry)
	f.expect(first, 2, 0, 0, 4)
	f.expectSamples(d.ID, "temperature", at(start, 20.5), at(start.Add(time.Second), 21.0))
	f.expectSamples(d.ID, "open", at(start, true))
	f.expectSamples(d.ID, "mode", at(start, "eco"))

	// The same entry again: the ledger has counted it, the updates are told again.
	again := f.writeAgain(entry)
	byMeasure := func(x, y registry.LiveValue) int { return cmp.Compare(x.Measure, y.Measure) }
	for _, result := range []registry.AppendResult{first, again} {
		for _, u := range result.Updates {
			slices.SortFunc(u.Values, byMeasure)
		}
	}
	if diff := gocmp.Diff(first.Updates, again.Updates); diff != "" {
		t.Errorf("updates of a replay differ (-first +again):\n%s", diff)
	}
	// The same readings in another entry: a device that sends twice.
	f.expect(f.send(entry.Readings...), 0, 2, 0, 0)
	// A new owner remembers nothing and knows the same.
	f.partitions = map[int]*graph.Partition{}
	f.writeAgain(entry)
	f.expect(f.send(entry.Readings...), 0, 2, 0, 0)
	if n := f.nodes(d.ID); n != 4 {
		t.Errorf("%d measurement nodes, want 4", n)
	}
	f.buckets(d.ID)

	series, err := f.store.SeriesOf(t.Context(), f.scope, []registry.ID{d.ID, registry.ID(uuid.NewString())})
	if err != nil || len(series) != 2 || len(series[0]) != 3 || series[1] != nil {
		t.Fatalf("series = %v, %v", series, err)
	}
	last := start.Add(time.Second)
	if s := series[0][2]; s.Measure != "temperature" || s.Generation != 1 || s.Type != registry.ValueNumber || !s.Last.At.Equal(last) || s.Last.Value != 21.0 {
		t.Errorf("series = %+v, last %+v", s, s.Last)
	}
}

// TestAppendWithoutValues stores readings that only say something of their device:
// it was seen, and there is nothing to write but that it is counted.
func TestAppendWithoutValues(t *testing.T) {
	f := newField(t)
	d := f.device("d", "")
	said := f.reading(d, morning(), nil)
	said.Attributes = []byte(`{"firmware": "1.2"}`)
	entry := f.entryOf(said)
	first := f.write(entry)
	f.expect(first, 1, 0, 0, 0)
	for _, result := range []registry.AppendResult{first, f.writeAgain(entry)} {
		want := []registry.TwinUpdate{{Account: f.scope.Account, TwinID: d.ID, SeenFirst: entry.Readings[0].ReceivedAt, Seen: entry.Readings[0].ReceivedAt}}
		if diff := gocmp.Diff(want, result.Updates); diff != "" {
			t.Errorf("updates (-want +got):\n%s", diff)
		}
	}
	f.expect(f.send(said, f.reading(d, morning(), map[string]any{"x": 1.0})), 2, 0, 0, 1)
	f.expectSamples(d.ID, "x", at(morning(), 1.0))

	// One that says nothing at all, and one of a time that cannot be.
	early := f.reading(d, time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC), nil)
	early.Attributes = said.Attributes
	result := f.send(f.reading(d, morning(), nil), early)
	f.expect(result, 0, 0, 2, 0)
	if len(result.Updates) != 0 {
		t.Errorf("updates = %+v", result.Updates)
	}
	letters, err := f.store.ListDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{}, registry.PageRequest{Size: 10})
	if err != nil || len(letters.Items) != 2 || !slices.ContainsFunc(letters.Items, func(l *registry.DeadLetter) bool { return strings.Contains(l.Raw, `"attributes":{"firmware":"1.2"}`) }) {
		t.Errorf("dead letters = %+v, %v", letters, err)
	}
}

func TestAppendDuplicatesInABatch(t *testing.T) {
	f := newField(t)
	d := f.device("d", "")
	start := morning()
	v := func(x float64) map[string]any { return map[string]any{"x": x} }
	f.expect(f.send(
		f.reading(d, start, v(1)), f.reading(d, start, v(1)), f.reading(d, start, v(2)),
		f.reading(d, start.Add(time.Second), v(3)),
	), 2, 1, 1, 2)
	f.expectSamples(d.ID, "x", at(start, 1.0), at(start.Add(time.Second), 3.0))
	letters, err := f.store.ListDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{}, registry.PageRequest{Size: 10})
	if err != nil || len(letters.Items) != 1 || letters.Items[0].Reason != registry.ReasonConflictingValue || letters.Items[0].DeviceID != d.ID {
		t.Errorf("dead letters = %v, %v", letters, err)
	}
	// Late ones: the first is not stored, so the second is compared with what is.
	f.expect(f.send(f.reading(d, start, v(7)), f.reading(d, start, v(1)), f.reading(d, start.Add(time.Second), v(9))), 0, 1, 2, 0)
}

func TestAppendLate(t *testing.T) {
	f := newField(t)
	d := f.device("d", "")
	start := morning()
	v := func(x float64) map[string]any { return map[string]any{"x": x} }
	f.expect(f.send(f.reading(d, start, v(1)), f.reading(d, start.Add(30*time.Second), v(2)), f.reading(d, start.Add(time.Minute), v(3))), 3, 0, 0, 3)
	// Late and new, late and a repeat, late and a conflict; and new again.
	f.expect(f.send(
		f.reading(d, start.Add(10*time.Second), v(4)), f.reading(d, start.Add(30*time.Second), v(2)),
		f.reading(d, start.Add(30*time.Second), v(5)), f.reading(d, start.Add(2*time.Minute), v(6)),
	), 2, 1, 1, 2)
	// In the hour before any bucket, the day before, and out of order.
	f.expect(f.send(
		f.reading(d, start.Add(-time.Hour), v(8)), f.reading(d, start.AddDate(0, 0, -1), v(9)), f.reading(d, start.AddDate(0, 0, -1).Add(-time.Second), v(10)),
	), 3, 0, 0, 3)
	want := []sample{
		at(start.AddDate(0, 0, -1).Add(-time.Second), 10.0), at(start.AddDate(0, 0, -1), 9.0), at(start.Add(-time.Hour), 8.0), at(start, 1.0), at(start.Add(10*time.Second), 4.0),
		at(start.Add(30*time.Second), 2.0), at(start.Add(time.Minute), 3.0), at(start.Add(2*time.Minute), 6.0),
	}
	f.expectSamples(d.ID, "x", want...)
	f.buckets(d.ID)
	// All of it again, by a new owner and backwards.
	f.partitions = map[int]*graph.Partition{}
	var again []registry.AcceptedReading
	for _, s := range slices.Backward(want) {
		again = append(again, f.reading(d, time.UnixMilli(s.At), v(s.Value.(float64))))
	}
	f.expect(f.send(again...), 0, len(again), 0, 0)
	f.expectSamples(d.ID, "x", want...)
	if live, err := f.store.LiveOf(t.Context(), f.scope, []registry.ID{d.ID}); err != nil || len(live[0]) != 1 || live[0][0].Value != 6.0 {
		t.Errorf("live = %v, %v", live, err)
	}
}

func TestAppendTypesAndGenerations(t *testing.T) {
	f := newField(t)
	d := f.device("d", "")
	start := morning()
	send := func(after time.Duration, x any) registry.AppendResult {
		return f.send(f.reading(d, start.Add(after), map[string]any{"x": x}))
	}
	f.expect(send(0, 1.0), 1, 0, 0, 1)
	f.expect(send(time.Second, "one"), 1, 0, 0, 1)
	f.expect(send(3*time.Second, "three"), 1, 0, 0, 1)
	// Late for the measure, new for the numbers; then between the texts.
	f.expect(send(2*time.Second, 2.0), 1, 0, 0, 1)
	f.expect(send(1500*time.Millisecond, true), 1, 0, 0, 1)
	// Another type at a time that is taken is another value.
	f.expect(send(time.Second, 1.0), 0, 0, 1, 0)
	f.expect(send(time.Second, "one"), 0, 1, 0, 0)
	f.expectSamples(d.ID, "x", at(start, 1.0), at(start.Add(time.Second), "one"), at(start.Add(1500*time.Millisecond), true), at(start.Add(2*time.Second), 2.0), at(start.Add(3*time.Second), "three"))
	f.buckets(d.ID)
	series, err := f.store.SeriesOf(t.Context(), f.scope, []registry.ID{d.ID})
	if err != nil || len(series[0]) != 1 || series[0][0].Type != registry.ValueString || series[0][0].Generation != 2 || series[0][0].Last.Value != "three" {
		t.Errorf("series = %+v, %v", series[0], err)
	}
}

func TestLedger(t *testing.T) {
	start := morning()
	undisturbed(t, func(f *field, d *registry.Device) func() {
		ledger := func() (counts [4]int) {
			for i, name := range []string{"stored", "repeats", "deadLetters", "measurements"} {
				counts[i] = f.ofPartition(d.ID, name)
			}
			return counts
		}
		before := ledger()
		total, err := f.store.Ledger(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		entries := []graph.Entry{
			f.entryOf(f.reading(d, start, map[string]any{"x": 1.0, "y": 1.0}), f.reading(d, start, map[string]any{"x": 1.0})),
			f.entryOf(f.reading(d, start.Add(time.Second), map[string]any{"x": 1.0, "not a name": 2.0})),
		}
		f.write(entries...)
		f.write(entries...)
		f.write(entries[1])
		after := ledger()
		sum, err := f.store.Ledger(t.Context())
		return func() {
			for i := range after {
				after[i] -= before[i]
			}
			// Two readings stored or repeated, one dead letter whose good value is stored.
			if want := [4]int{1, 1, 1, 3}; after != want {
				t.Errorf("the ledger grew by %v, want %v", after, want)
			}
			// The sum over all partitions grows by as much, or more where others test too.
			if err != nil || sum.Stored < total.Stored+1 || sum.Repeats < total.Repeats+1 || sum.DeadLetters < total.DeadLetters+1 || sum.Measurements < total.Measurements+3 {
				t.Errorf("the ledger of all partitions went from %+v to %+v, %v", total, sum, err)
			}
			// Another generation of the queue is numbered from the start.
			f.generation, f.entry, f.partitions = uuid.NewString(), 0, map[int]*graph.Partition{}
			f.expect(f.send(f.reading(d, start.Add(2*time.Second), map[string]any{"x": 1.0})), 1, 0, 0, 1)
		}
	})
}

func TestBucketPeriods(t *testing.T) {
	f := newField(t)
	start := morning()
	v := map[string]any{"x": 1.0}
	series := func(d *registry.Device, from time.Time, every time.Duration, n int) {
		readings := make([]registry.AcceptedReading, n)
		for i := range readings {
			readings[i] = f.reading(d, from.Add(time.Duration(i)*every), v)
		}
		f.expect(f.send(readings...), n, 0, 0, n)
	}
	slow := f.device("slow", "")
	series(slow, start, 10*time.Minute, 30)
	if n := f.buckets(slow.ID); n != 1 {
		t.Errorf("a reading each ten minutes fills %d buckets a day, want 1", n)
	}
	fast := f.device("fast", "")
	series(fast, start, 10*time.Second, 361)
	if n := f.buckets(fast.ID); n != 2 {
		t.Errorf("a reading each ten seconds, for an hour and one more, fills %d buckets, want 2", n)
	}
	// A single reading begins with an hour; the next day it is known better.
	single := f.device("single", "")
	for i := range 4 {
		series(single, start.Add(time.Duration(i)*10*time.Minute), time.Minute, 1)
	}
	for i := range 6 {
		series(single, start.AddDate(0, 0, 1).Add(time.Duration(i)*10*time.Minute), time.Minute, 1)
		series(single, start.AddDate(0, 0, 1).Add(time.Duration(i+100)*time.Minute), time.Minute, 1)
	}
	if n := f.buckets(single.ID); n != 2 {
		t.Errorf("slow readings of two days are in %d buckets, want 2", n)
	}
	// History that comes after the present fills days too.
	late := f.device("late", "")
	series(late, start, time.Hour, 1)
	series(late, start.AddDate(0, 0, -10), 10*time.Minute, 400)
	if n := f.buckets(late.ID); n > 5 {
		t.Errorf("three days of late readings are in %d buckets, want at most 5", n)
	}
}
