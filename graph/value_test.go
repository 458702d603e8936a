package graph_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// measured makes templates of devices and assets that have measures of every
// type.
func (f *field) measured() {
	f.Helper()
	for _, n := range []registry.NewMeasureType{
		{Name: "mode", ValueType: registry.ValueEnum, Values: []string{"off", "heat", "cool"}},
		{Name: "motor", ValueType: registry.ValueComposite, Fields: []registry.MeasureField{
			{Name: "speed", Type: registry.ValueNumber, Unit: "/min"}, {Name: "on", Type: registry.ValueBoolean}, {Name: "program", Type: registry.ValueString},
		}},
	} {
		if _, err := f.store.CreateMeasureType(f.Context(), f.scope, n); err != nil {
			f.Fatalf("measure type %s: %v", n.Name, err)
		}
	}
	measures := []registry.MeasureDeclaration{
		{Name: "number", Type: "number"}, {Name: "flag", Type: "boolean"}, {Name: "text", Type: "string"},
		{Name: "mode", Type: "mode"}, {Name: "place", Type: "location"}, {Name: "motor", Type: "motor"},
	}
	f.template(registry.KindDevice, "machine", append(measures, registry.MeasureDeclaration{
		Name: "temperature", Type: "number", Unit: "Cel", Minimum: new(-40.0), Maximum: new(85.0), MaximumRate: new(2.0),
	})...)
	f.template(registry.KindAsset, "hall", append(measures, registry.MeasureDeclaration{Name: "heat", Type: "number", Unit: "[degF]"})...)
}

func anyLocation() *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		l := registry.Location{Latitude: rapid.Float64Range(-90, 90).Draw(t, "latitude"), Longitude: rapid.Float64Range(-180, 180).Draw(t, "longitude")}
		if rapid.Bool().Draw(t, "high") {
			l.Altitude = new(rapid.Float64Range(-500, 50_000).Draw(t, "altitude"))
		}
		return l
	})
}

func anyMotor() *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		c := registry.Composite{"speed": rapid.Float64Range(-1e6, 1e6).Draw(t, "speed")}
		if rapid.Bool().Draw(t, "more") {
			c["on"], c["program"] = rapid.Bool().Draw(t, "on"), rapid.String().Draw(t, "program")
		}
		return c
	})
}

// anyOf draws values of each measure of a machine.
func anyOf(measure string) *rapid.Generator[any] {
	switch measure {
	case "number":
		return rapid.OneOf(rapid.Float64Range(-1e300, 1e300), rapid.Float64Range(-1, 1)).AsAny()
	case "flag":
		return rapid.Bool().AsAny()
	case "text":
		return rapid.String().AsAny()
	case "mode":
		return rapid.SampledFrom([]string{"off", "heat", "cool"}).AsAny()
	case "place":
		return anyLocation()
	}
	return anyMotor()
}

// TestValuesComeBack stores values of every type, in order and late, under a
// link, and reads them back in every way: as they were sent.
func TestValuesComeBack(t *testing.T) {
	t.Parallel()
	f := newField(t)
	f.measured()
	measures := []string{"number", "flag", "text", "mode", "place", "motor"}
	hall := f.asset("hall", "hall")
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		if n++; n > 12 {
			return // each writes to the database: these are the draws that count
		}
		d := f.device(fmt.Sprintf("machine-%d", n), "machine")
		if n == 1 {
			f.mustLink(d.Reference, "hall", morning().Add(-time.Hour))
		}
		want := map[string][]sample{}
		var sent []registry.AcceptedReading
		for range rapid.IntRange(1, 3).Draw(rt, "batches") {
			var batch []registry.AcceptedReading
			for range rapid.IntRange(1, 6).Draw(rt, "readings") {
				at := morning().Add(time.Duration(rapid.IntRange(0, 3*24*3600).Draw(rt, "second")) * time.Second)
				values := map[string]any{}
				for _, m := range measures {
					known := slices.ContainsFunc(want[m], func(s sample) bool { return s.At == at.UnixMilli() })
					if !known && rapid.Bool().Draw(rt, "has "+m) {
						values[m] = anyOf(m).Draw(rt, m)
						want[m] = append(want[m], sample{at.UnixMilli(), values[m]})
					}
				}
				if len(values) > 0 {
					batch = append(batch, f.reading(d, at, values))
				}
			}
			if len(batch) == 0 {
				continue
			}
			f.expect(f.send(batch...), len(batch), 0, 0, total(batch))
			sent = append(sent, batch...)
			if rapid.Bool().Draw(rt, "new owner") {
				f.partitions = map[int]*graph.Partition{}
			}
		}
		if len(sent) == 0 {
			return
		}
		f.expect(f.send(sent...), 0, len(sent), 0, 0)
		live, err := f.store.LiveOf(t.Context(), f.scope, []registry.ID{d.ID, hall.ID})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range measures {
			slices.SortFunc(want[m], func(x, y sample) int { return cmp.Compare(x.At, y.At) })
			f.expectSamples(d.ID, m, want[m]...)
			if n == 1 {
				f.expectSamples(hall.ID, m, want[m]...)
			}
			if len(want[m]) > 0 {
				f.newest(live[0], m, want[m][len(want[m])-1])
				f.ends(d.ID, m, want[m])
				if n == 1 {
					f.newest(live[1], m, want[m][len(want[m])-1])
				}
			}
		}
	})
}

func total(readings []registry.AcceptedReading) int {
	n := 0
	for _, r := range readings {
		n += len(r.Values)
	}
	return n
}

func (f *field) newest(live []registry.LiveValue, measure string, want sample) {
	f.Helper()
	for _, v := range live {
		if v.Measure == measure {
			if v.MeasuredAt.UnixMilli() != want.At || !registry.SameValue(v.Value, want.Value) {
				f.Errorf("newest %s = %v at %s, want %v", measure, v.Value, v.MeasuredAt, want)
			}
			return
		}
	}
	f.Errorf("there is no newest %s", measure)
}

// ends asks for the first and the last value of ten hours at a time, of buckets
// that are open and of some that are sealed.
func (f *field) ends(twin registry.ID, measure string, want []sample) {
	f.Helper()
	a := registry.Aggregation{Measure: measure, From: morning(), To: morning().AddDate(0, 0, 4), Every: 10 * time.Hour}
	for _, a.Function = range []registry.AggregateFunction{registry.AggregateFirst, registry.AggregateLast} {
		got, err := f.store.Aggregate(f.Context(), f.scope, twin, a)
		if err != nil {
			f.Fatal(err)
		}
		rest := want
		for _, point := range got {
			in := slices.IndexFunc(rest, func(s sample) bool { return s.At >= point.To.UnixMilli() })
			if in < 0 {
				in = len(rest)
			}
			end := rest[0]
			if a.Function == registry.AggregateLast {
				end = rest[in-1]
			}
			if point.Count != in || !registry.SameValue(point.Value, end.Value) {
				f.Errorf("%s of %s = %+v, want %v", a.Function, measure, point, end)
			}
			rest = rest[in:]
		}
		if len(rest) > 0 {
			f.Errorf("%s of %s lacks %v", a.Function, measure, rest)
		}
	}
}

// TestUnits stores numbers in the device's unit and reads them in others.
func TestUnits(t *testing.T) {
	t.Parallel()
	f := newField(t)
	f.measured()
	d, hall := f.device("d", "machine"), f.asset("hall", "hall")
	start := morning()
	f.mustLink("d", "hall", start.Add(-time.Hour), registry.MeasureMapping{Device: "temperature", Asset: "heat"})
	result := f.send(
		f.reading(d, start, map[string]any{"temperature": 20.0}),
		f.reading(d, start.Add(time.Minute), map[string]any{"temperature": registry.Quantity{Value: 77.0, Unit: "°F"}}),
		f.reading(d, start.Add(2*time.Minute), map[string]any{"temperature": registry.Quantity{Value: 30.0, Unit: "Cel"}}),
	)
	f.expect(result, 3, 0, 0, 3)
	for _, u := range result.Updates {
		want := registry.LiveValue{Measure: "temperature", Value: 30.0, MeasuredAt: start.Add(2 * time.Minute), Unit: "Cel"}
		if u.TwinID == hall.ID {
			want.Measure, want.Value, want.Unit = "heat", 86.0, "[degF]"
		}
		if diff := gocmp.Diff([]registry.LiveValue{want}, u.Values); diff != "" {
			t.Errorf("update (-want +got):\n%s", diff)
		}
	}
	f.expectSamples(d.ID, "temperature", at(start, 20.0), at(start.Add(time.Minute), 25.0), at(start.Add(2*time.Minute), 30.0))
	f.expectSamples(hall.ID, "heat", at(start, 68.0), at(start.Add(time.Minute), 77.0), at(start.Add(2*time.Minute), 86.0))
	page, err := f.store.Measurements(t.Context(), f.scope, d.ID, "temperature", nil, nil, registry.PageRequest{Size: 10}, "K")
	if err != nil || len(page.Items) != 3 || page.Items[0].Unit != nil || page.Items[1].Unit == nil || *page.Items[1].Unit != "[degF]" || page.Items[1].Value != 298.15 {
		t.Errorf("measurements = %+v, %v", page.Items, err)
	}
	for function, want := range map[registry.AggregateFunction]float64{
		registry.AggregateCount: 3, registry.AggregateMin: 68, registry.AggregateMax: 86, registry.AggregateMean: 77, registry.AggregateSum: 231,
		registry.AggregateFirst: 68, registry.AggregateLast: 86, registry.AggregatePercentile: 77, registry.AggregateIncrease: 18,
	} {
		for _, twin := range []registry.ID{d.ID, hall.ID} {
			measure := map[registry.ID]string{d.ID: "temperature", hall.ID: "heat"}[twin]
			for _, span := range []time.Duration{time.Hour, 90 * time.Second} { // by roll-ups, and one by one
				points, err := f.store.Aggregate(t.Context(), f.scope, twin, registry.Aggregation{
					Measure: measure, From: start.Add(-24 * time.Hour), To: start.Add(span), Every: 96 * time.Hour, Function: function, Percentile: 50, Unit: "[degF]",
				})
				if err != nil || len(points) != 1 {
					t.Fatalf("%s: %v, %v", function, points, err)
				}
				if span == time.Hour && math.Abs(points[0].Value.(float64)-want) > 1e-9 {
					t.Errorf("%s of %s = %v, want %v", function, measure, points[0].Value, want)
				}
				if span != time.Hour && function == registry.AggregateMean && math.Abs(points[0].Value.(float64)-72.5) > 1e-9 {
					t.Errorf("%s of %s = %v, want 72.5", function, measure, points[0].Value)
				}
			}
		}
	}
	if _, err := f.store.Samples(t.Context(), f.scope, d.ID, "temperature", start, start.Add(time.Hour), 10, "%"); registry.CodeOf(err) != registry.CodeInvalid {
		t.Errorf("in percent: %v", err)
	}
	f.expect(f.send(f.reading(d, start.Add(3*time.Minute), map[string]any{"temperature": registry.Quantity{Value: 7.0, Unit: "m"}})), 0, 0, 1, 0)
}

// TestUnitOfTemplateChanges gives a device another unit: what it measured before
// stays what it was.
func TestUnitOfTemplateChanges(t *testing.T) {
	f := newField(t)
	f.template(registry.KindDevice, "old", registry.MeasureDeclaration{Name: "t", Type: "number", Unit: "Cel"})
	f.template(registry.KindDevice, "new", registry.MeasureDeclaration{Name: "t", Type: "number", Unit: "[degF]"})
	d := f.device("d", "old")
	start := morning()
	f.expect(f.send(f.reading(d, start, map[string]any{"t": 20.0}), f.reading(d, start.Add(10*time.Minute), map[string]any{"t": 25.0})), 2, 0, 0, 2)
	name := "new"
	if _, err := f.store.UpdateDevice(t.Context(), f.scope, registry.Ref{Kind: registry.KindDevice, Key: "d"}, registry.TwinPatch{Template: &name}); err != nil {
		t.Fatal(err)
	}
	f.expect(f.send(
		f.reading(d, start.Add(20*time.Minute), map[string]any{"t": 86.0}),
		f.reading(d, start.Add(10*time.Minute), map[string]any{"t": 77.0}), // the same in the new unit
		f.reading(d, start.Add(5*time.Minute), map[string]any{"t": 72.5}),  // late, into the old bucket
	), 2, 1, 0, 2)
	f.expectSamples(d.ID, "t", at(start, 68.0), at(start.Add(5*time.Minute), 72.5), at(start.Add(10*time.Minute), 77.0), at(start.Add(20*time.Minute), 86.0))
	points, err := f.store.Aggregate(t.Context(), f.scope, d.ID, registry.Aggregation{Measure: "t", From: start, To: start.Add(time.Hour), Every: time.Hour, Function: registry.AggregateSum, Unit: "Cel"})
	if err != nil || len(points) != 1 || points[0].Count != 4 || math.Abs(points[0].Value.(float64)-97.5) > 1e-9 {
		t.Errorf("sum = %+v, %v", points[0], err)
	}
}

// TestSuspects marks what lies beyond limits and changes too fast, and keeps it.
func TestSuspects(t *testing.T) {
	f := newField(t)
	f.measured()
	d := f.device("d", "machine")
	start := morning()
	second := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	send := func(n int, value float64) registry.AcceptedReading {
		return f.reading(d, second(n), map[string]any{"temperature": value})
	}
	entry := []registry.AcceptedReading{send(0, 20), send(1, 22), send(2, 24.5), send(3, 90), send(1000, -41)}
	f.expect(f.send(entry[:2]...), 2, 0, 0, 2)
	result := f.send(entry[2:]...)
	f.expect(result, 3, 0, 0, 3)
	if v := result.Updates[0].Values[0]; v.Suspect != registry.SuspectBelowMinimum || v.Value != -41.0 {
		t.Errorf("newest = %+v", v)
	}
	want := []registry.SuspectReason{"", "", registry.SuspectRate, registry.SuspectAboveMaximum, registry.SuspectBelowMinimum}
	check := func() {
		t.Helper()
		page, err := f.store.Measurements(t.Context(), f.scope, d.ID, "temperature", nil, nil, registry.PageRequest{Size: 10}, "")
		if err != nil || len(page.Items) != len(want) {
			t.Fatalf("measurements = %v, %v", page.Items, err)
		}
		for i, m := range page.Items {
			got := registry.SuspectReason("")
			if m.Suspect != nil {
				got = *m.Suspect
			}
			if got != want[i] {
				t.Errorf("the value of second %s is %q, want %q", m.At, got, want[i])
			}
		}
		live, err := f.store.LiveOf(t.Context(), f.scope, []registry.ID{d.ID})
		if err != nil || live[0][0].Suspect != want[len(want)-1] {
			t.Errorf("live = %+v, %v", live, err)
		}
	}
	check()
	// A repeat says the same of the newest value as before, to a new owner too.
	f.partitions = map[int]*graph.Partition{}
	again := f.send(entry...)
	f.expect(again, 0, 5, 0, 0)
	if v := again.Updates[0].Values[0]; v.Suspect != registry.SuspectBelowMinimum {
		t.Errorf("newest of a repeat = %+v", v)
	}
	// A value that can be believed clears what was said of the newest.
	f.expect(f.send(send(2000, 21)), 1, 0, 0, 1)
	want = append(want, "")
	check()
	if n := f.suspectsOn(d.ID); n != 3 {
		t.Errorf("the buckets count %d suspects, want 3", n)
	}
}

// suspectsOn is what the buckets of a twin count.
func (f *field) suspectsOn(twin registry.ID) int {
	f.Helper()
	return f.number(`MATCH (:Entity {id: $id})-[:HAS_SERIES]->()-[:HAS_BUCKET]->(b) RETURN coalesce(sum(b.suspects), 0)`, map[string]any{"id": string(twin)})
}
