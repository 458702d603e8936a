package graph_test

import (
	"testing"
	"time"

	"github.com/holon-registry/holon/registry"
)

// TestAggregateGroup has a device in two groups of one sub-tree, its asset in a
// third, one that measured before the time, and one that never did.
func TestAggregateGroup(t *testing.T) {
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
