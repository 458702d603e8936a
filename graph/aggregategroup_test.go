package graph_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/holon-registry/holon/registry"
)

// TestAggregateGroup has a device in two groups of one sub-tree, its asset in a
// third, one that measured before the time, and one that never did.
func TestAggregateGroup(t *testing.T) {
	t.Parallel()
	f := newField(t)
	if _, err := f.store.CreateTemplate(t.Context(), f.scope, registry.NewTemplate{
		Kind: registry.KindDevice, Name: "thermometer", Publish: true,
		Measures:  []registry.MeasureDeclaration{{Name: "x", Type: "number"}},
		Relations: []registry.RelationRule{{Name: "stands_in", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true}},
	}); err != nil {
		t.Fatal(err)
	}
	world{t, f.store, f.scope}.groups("/site", "/site/a", "/site/b", "/site2")
	twice, early, never, elsewhere := f.device("twice", "thermometer"), f.device("early", "thermometer"), f.device("never", "thermometer"), f.device("elsewhere", "thermometer")
	asset := f.asset("room", "")
	for _, r := range []struct {
		from registry.ID
		to   string
	}{{twice.ID, "/site/a"}, {twice.ID, "/site/b"}, {early.ID, "/site/a"}, {never.ID, "/site"}, {elsewhere.ID, "/site2"}, {asset.ID, "/site/b"}} {
		if _, _, err := f.store.Relate(t.Context(), f.scope, registry.Ref{ID: r.from}, "stands_in", group(r.to)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.link("twice", "room", nil, registry.MeasureMapping{Device: "x", Asset: "x"}); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Minute)
	f.send(
		f.reading(twice, now.Add(time.Minute), map[string]any{"x": 10.0}), f.reading(twice, now.Add(2*time.Minute), map[string]any{"x": 30.0}),
		f.reading(early, now.AddDate(0, 0, -2), map[string]any{"x": 1000.0}), f.reading(elsewhere, now.Add(time.Minute), map[string]any{"x": 1e6}),
	)
	site, err := f.store.GroupByPath(t.Context(), f.scope, "/site")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"open", "sealed"} {
		got, err := f.store.AggregateGroup(t.Context(), f.scope, site.ID, nil, registry.Aggregation{
			Measure: "x", From: now.Add(-time.Hour), To: now.Add(time.Hour), Every: 24 * time.Hour * 3650, Function: registry.AggregateSum,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Points) != 1 || got.Points[0].Value != 40.0 || got.Points[0].Count != 2 {
			t.Errorf("%s: %+v, want 40 of 2 measurements", name, got.Points)
		}
		if got.Reporting != 2 || got.Stale != 1 || got.Missing != 1 {
			t.Errorf("%s: %d report, %d are stale, %d missing; want 2, 1, 1", name, got.Reporting, got.Stale, got.Missing)
		}
		none, err := f.store.AggregateGroup(t.Context(), f.scope, site.ID, nil, registry.Aggregation{
			Measure: "y", From: now.Add(-time.Hour), To: now.Add(time.Hour), Every: 24 * time.Hour * 3650, Function: registry.AggregateSum,
		})
		if err != nil || len(none.Points) != 0 || none.Reporting+none.Stale+none.Missing != 0 {
			t.Errorf("%s: a measure that nobody has: %+v, %v", name, none, err)
		}
		if _, err := f.store.SealAccount(t.Context(), f.scope); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAggregateGroupFunctions compares every function with what a program finds
// that looks at each measurement of each member: while buckets are open, and when
// they are sealed. One member is in two groups and has two assets, one of them
// later; another only ever said something that is no number.
func TestAggregateGroupFunctions(t *testing.T) {
	t.Parallel()
	f := newField(t)
	if _, err := f.store.CreateTemplate(t.Context(), f.scope, registry.NewTemplate{
		Kind: registry.KindDevice, Name: "meter", Publish: true,
		Measures:  []registry.MeasureDeclaration{{Name: "x", Type: "number"}, {Name: "on", Type: "boolean"}},
		Relations: []registry.RelationRule{{Name: "stands_in", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true}},
	}); err != nil {
		t.Fatal(err)
	}
	world{t, f.store, f.scope}.groups("/site", "/site/a", "/site/b")
	relate := func(id registry.ID, to string) {
		t.Helper()
		if _, _, err := f.store.Relate(t.Context(), f.scope, registry.Ref{ID: id}, "stands_in", group(to)); err != nil {
			t.Fatal(err)
		}
	}
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -3)
	random := rand.New(rand.NewPCG(7, 7))
	members := make([][]sample, 5)
	for i := range members {
		d := f.device(fmt.Sprintf("meter-%d", i), "meter")
		relate(d.ID, "/site/a")
		if i == 0 {
			relate(d.ID, "/site/b")
			relate(f.asset("hall", "").ID, "/site/b")
			f.mustLink("meter-0", "hall", day.AddDate(0, 0, -1), registry.MeasureMapping{Device: "x", Asset: "x"})
			relate(f.asset("annex", "").ID, "/site/a")
			f.mustLink("meter-0", "annex", day.Add(20*time.Hour), registry.MeasureMapping{Device: "x", Asset: "x"})
		}
		var readings []registry.AcceptedReading
		counter := 0.0
		for at := day.Add(time.Duration(random.IntN(20*3600)) * time.Second); at.Before(day.Add(60 * time.Hour)); at = at.Add(time.Duration(1+random.IntN(4*3600)) * time.Second) {
			if counter += float64(random.IntN(100)); random.IntN(6) == 0 {
				counter = float64(random.IntN(10))
			}
			members[i] = append(members[i], sample{at.UnixMilli(), counter})
			readings = append(readings, f.reading(d, at, map[string]any{"x": counter, "on": true}))
		}
		f.send(readings...)
	}
	said := f.device("said", "")
	relate(said.ID, "/site")
	f.send(f.reading(said, day.AddDate(0, 0, -2), map[string]any{"x": "nothing yet"}))
	site, err := f.store.GroupByPath(t.Context(), f.scope, "/site")
	if err != nil {
		t.Fatal(err)
	}
	asset := registry.KindAsset
	a := registry.Aggregation{Measure: "x", From: day.Add(5*time.Hour + time.Second), To: day.Add(50 * time.Hour), Every: 6 * time.Hour, Percentile: 30, Fill: true}
	for _, state := range []string{"open", "sealed"} {
		for _, a.Function = range []registry.AggregateFunction{
			registry.AggregateCount, registry.AggregateMin, registry.AggregateMax, registry.AggregateSum, registry.AggregateMean, registry.AggregateFirst, registry.AggregateLast,
			registry.AggregatePercentile, registry.AggregateTimeWeightedMean, registry.AggregateIncrease,
		} {
			for name, of := range map[string]struct {
				kind    *registry.Kind
				members [][]sample
			}{"all": {nil, members}, "assets": {&asset, members[:1]}} {
				got, err := f.store.AggregateGroup(t.Context(), f.scope, site.ID, of.kind, a)
				if err != nil {
					t.Fatalf("%s, %s of %s: %v", state, a.Function, name, err)
				}
				want := naiveGroup(t, of.members, a)
				if len(got.Points) != len(want) {
					t.Fatalf("%s, %s of %s: %d intervals, want %d", state, a.Function, name, len(got.Points), len(want))
				}
				for i, p := range got.Points {
					value, _ := p.Value.(float64)
					if expected, _ := want[i].Value.(float64); p.Count != want[i].Count || (p.Value == nil) != (want[i].Value == nil) || math.Abs(value-expected) > 1e-6 {
						t.Errorf("%s, %s of %s, from %s: %v of %d, want %v of %d", state, a.Function, name, p.From, p.Value, p.Count, want[i].Value, want[i].Count)
					}
				}
			}
		}
		on := a
		on.Measure, on.Function = "on", registry.AggregateCount
		got, err := f.store.AggregateGroup(t.Context(), f.scope, site.ID, nil, on)
		if want := naiveGroup(t, members, on); err != nil || got.Points[2].Count != want[2].Count {
			t.Errorf("%s: how often something is told that is no number: %+v, %v; want %+v", state, got.Points[2], err, want[2])
		}
		on.Function = registry.AggregateIncrease
		if _, err := f.store.AggregateGroup(t.Context(), f.scope, site.ID, nil, on); registry.CodeOf(err) != registry.CodeInvalid {
			t.Errorf("%s: an increase of what is no number: %v", state, err)
		}
		if _, err := f.store.SealAccount(t.Context(), f.scope); err != nil {
			t.Fatal(err)
		}
	}
}

// naiveGroup goes through all measurements of all members for each interval.
func naiveGroup(t *testing.T, members [][]sample, a registry.Aggregation) []registry.AggregatePoint {
	t.Helper()
	edges, err := a.Edges()
	if err != nil {
		t.Fatal(err)
	}
	var out []registry.AggregatePoint
	for i := range len(edges) - 1 {
		low, high := max(edges[i], a.From.UnixMilli()), min(edges[i+1], a.To.UnixMilli())
		var everything []sample
		grown, area, known := 0.0, 0.0, 0.0
		for _, all := range members {
			var before, in []sample
			for _, s := range all {
				switch {
				case s.At < low:
					before = append(before, s)
				case s.At < high:
					in = append(in, s)
				}
			}
			if len(in) == 0 {
				continue
			}
			everything = append(everything, in...)
			from := in[0].At
			if len(before) > 0 {
				from = low
			}
			one, _ := naiveValue(a, before, in, low, high).(float64)
			grown += one
			area += one * float64(high-from)
			known += float64(high - from)
		}
		p := registry.AggregatePoint{Count: len(everything)}
		if len(everything) > 0 {
			slices.SortFunc(everything, func(x, y sample) int { return int(x.At - y.At) })
			switch a.Function {
			case registry.AggregateIncrease:
				p.Value = grown
			case registry.AggregateTimeWeightedMean:
				p.Value = area / known
			default:
				p.Value = naiveValue(a, nil, everything, low, high)
			}
		}
		out = append(out, p)
	}
	return out
}
