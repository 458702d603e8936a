package graph_test

import (
	"math"
	"slices"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the test, wherever it runs

	"pgregory.net/rapid"

	"github.com/holon-registry/holon/registry"
)

// TestAggregate compares aggregations of a timeline with what a program finds
// that looks at every measurement: while its buckets are open, and when all
// were sealed and some have got late values since.
func TestAggregate(t *testing.T) {
	t.Parallel()
	w := newTimeline(t)
	t.Run("open", w.checkAggregates)
	if n, err := w.store.SealAccount(t.Context(), w.scope); err != nil || n == 0 {
		t.Fatalf("sealed %d buckets: %v", n, err)
	}
	w.sendLate()
	t.Run("sealed", w.checkAggregates)
	if n, err := w.store.SealAccount(t.Context(), w.scope); err != nil || n == 0 {
		t.Fatalf("sealed %d buckets again: %v", n, err)
	}
}

// sendLate sends values of the device that lie between those that are there.
func (w *timeline) sendLate() {
	w.Helper()
	d := &registry.Device{}
	d.ID, d.Reference = w.device, "d"
	var late []sample
	for i := 1; i < len(w.all); i += 7 {
		before, after := w.all[i-1].At, w.all[i].At
		if after-before > 2 {
			late = append(late, sample{(before + after) / 2, float64(i)})
		}
	}
	var readings []registry.AcceptedReading
	for _, s := range late {
		readings = append(readings, w.reading(d, time.UnixMilli(s.At), map[string]any{"x": s.Value}))
	}
	w.send(readings...)
	merge := func(list []sample, from, to int64) []sample {
		for _, s := range late {
			if s.At >= from && s.At < to {
				list = append(list, s)
			}
		}
		slices.SortFunc(list, func(x, y sample) int { return int(x.At - y.At) })
		return list
	}
	w.linked = merge(w.linked, w.since, w.until)
	w.all = merge(w.all, 0, math.MaxInt64)
}

func (w *timeline) checkAggregates(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	lengths := []registry.Aggregation{
		{Every: time.Second}, {Every: 15 * time.Minute}, {Every: time.Hour}, {Every: 90 * time.Minute}, {Every: 24 * time.Hour}, {Every: 240 * time.Hour},
		{Every: time.Hour, Zone: berlin}, {Every: 24 * time.Hour, Zone: berlin}, {Calendar: registry.CalendarDay, Zone: berlin}, {Calendar: registry.CalendarMonth},
	}
	functions := []registry.AggregateFunction{
		registry.AggregateCount, registry.AggregateMin, registry.AggregateMax, registry.AggregateSum, registry.AggregateMean, registry.AggregateFirst, registry.AggregateLast,
		registry.AggregatePercentile, registry.AggregateTimeWeightedMean, registry.AggregateIncrease,
	}
	rapid.Check(t, func(t *rapid.T) {
		id, measure, all := w.twin(t)
		a := rapid.SampledFrom(lengths).Draw(t, "length")
		a.Measure, a.Function = measure, rapid.SampledFrom(functions).Draw(t, "function")
		a.Percentile = rapid.Float64Range(0, 100).Draw(t, "percentile")
		a.Fill = rapid.Bool().Draw(t, "fill")
		if a.From, a.To = w.interval(t); a.Every == time.Second && a.To.Sub(a.From) > 900*time.Second {
			a.To = a.From.Add(900 * time.Second)
		}
		got, err := w.store.Aggregate(w.Context(), w.scope, id, a)
		if err != nil {
			t.Fatal(err)
		}
		want := naiveAggregate(t, all, a)
		if len(got) != len(want) {
			t.Fatalf("%d intervals, want %d", len(got), len(want))
		}
		for i := range got {
			x, isNumber := want[i].Value.(float64)
			y, _ := got[i].Value.(float64)
			same := got[i].Value == want[i].Value || isNumber && math.Abs(x-y) < 1e-6
			if !same || got[i].Count != want[i].Count || !got[i].From.Equal(want[i].From) || !got[i].To.Equal(want[i].To) {
				t.Fatalf("interval %d = %+v, want %+v", i, got[i], want[i])
			}
		}
	})
}

// naiveAggregate goes through all measurements for each interval.
func naiveAggregate(t *rapid.T, all []sample, a registry.Aggregation) []registry.AggregatePoint {
	edges, err := a.Edges()
	if err != nil {
		t.Fatal(err)
	}
	if a.Function.Numeric() {
		all = slices.DeleteFunc(slices.Clone(all), func(s sample) bool { _, number := s.Value.(float64); return !number })
	}
	var out []registry.AggregatePoint
	for i := 0; i+1 < len(edges); i++ {
		low, high := max(edges[i], a.From.UnixMilli()), min(edges[i+1], a.To.UnixMilli())
		var before, in []sample
		for _, s := range all {
			switch {
			case s.At < low:
				before = append(before, s)
			case s.At < high:
				in = append(in, s)
			}
		}
		if len(in) == 0 && !a.Fill {
			continue
		}
		point := registry.AggregatePoint{From: time.UnixMilli(low).UTC(), To: time.UnixMilli(high).UTC(), Count: len(in)}
		if len(in) > 0 {
			point.Value = naiveValue(a, before, in, low, high)
		}
		out = append(out, point)
	}
	return out
}

func naiveValue(a registry.Aggregation, before, in []sample, low, high int64) any {
	switch a.Function {
	case registry.AggregateCount:
		return float64(len(in))
	case registry.AggregateFirst:
		return in[0].Value
	case registry.AggregateLast:
		return in[len(in)-1].Value
	}
	var numbers []float64
	sum := 0.0
	for _, s := range in {
		numbers = append(numbers, s.Value.(float64))
		sum += s.Value.(float64)
	}
	path := in
	if len(before) > 0 {
		path = append([]sample{{low, before[len(before)-1].Value}}, in...)
	}
	sorted := slices.Sorted(slices.Values(numbers))
	switch a.Function {
	case registry.AggregateMin:
		return sorted[0]
	case registry.AggregateMax:
		return sorted[len(sorted)-1]
	case registry.AggregateSum:
		return sum
	case registry.AggregateMean:
		return sum / float64(len(numbers))
	case registry.AggregatePercentile:
		rank := a.Percentile / 100 * float64(len(sorted)-1)
		low, high := int(math.Floor(rank)), int(math.Ceil(rank))
		return sorted[low] + (rank-math.Floor(rank))*(sorted[high]-sorted[low])
	case registry.AggregateIncrease:
		grown := 0.0
		for i := 1; i < len(path); i++ {
			if x, y := path[i-1].Value.(float64), path[i].Value.(float64); y < x {
				grown += y
			} else {
				grown += y - x
			}
		}
		return grown
	}
	area := 0.0
	for i, s := range path {
		until := high
		if i+1 < len(path) {
			until = path[i+1].At
		}
		area += s.Value.(float64) * float64(until-s.At)
	}
	if high == path[0].At {
		return path[len(path)-1].Value
	}
	return area / float64(high-path[0].At)
}

// TestAggregatesOfNoNumbers asks for what only numbers have.
func TestAggregatesOfNoNumbers(t *testing.T) {
	t.Parallel()
	f := newField(t)
	if _, err := f.store.CreateMeasureType(t.Context(), f.scope, registry.NewMeasureType{Name: "pump", ValueType: registry.ValueComposite, Fields: []registry.MeasureField{{Name: "speed", Type: registry.ValueNumber}}}); err != nil {
		t.Fatal(err)
	}
	f.template(registry.KindDevice, "pumping", registry.MeasureDeclaration{Name: "pump", Type: "pump"}, registry.MeasureDeclaration{Name: "place", Type: "location"}, registry.MeasureDeclaration{Name: "on", Type: "boolean"})
	d, start := f.device("pump-1", "pumping"), morning()
	f.send(f.reading(d, start, map[string]any{"pump": registry.Composite{"speed": 1.0}, "place": registry.Location{Latitude: 1, Longitude: 1}, "on": true}))
	ask := func(measure string, function registry.AggregateFunction) error {
		_, err := f.store.Aggregate(t.Context(), f.scope, d.ID, registry.Aggregation{Measure: measure, From: start.Add(-time.Hour), To: start.Add(time.Hour), Every: 2 * time.Hour, Function: function})
		return err
	}
	for _, measure := range []string{"pump", "place", "on"} {
		for _, function := range []registry.AggregateFunction{
			registry.AggregateMean, registry.AggregatePercentile, registry.AggregateTimeWeightedMean, registry.AggregateIncrease,
		} {
			violates(t, ask(measure, function), "function", "type")
		}
		if err := ask(measure, registry.AggregateLast); err != nil {
			t.Errorf("the last of %s: %v", measure, err)
		}
	}
}
