package graph_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// ends are the relations of an object as "DIRECTION name KEY", in the order of
// Related.
func (w world) ends(id registry.ID, f graph.RelatedFilter) []string {
	w.Helper()
	page, err := w.Related(w.Context(), w.scope, id, f, registry.PageRequest{Size: 1000})
	if err != nil {
		w.Fatal(err)
	}
	if n, err := w.CountRelated(w.Context(), w.scope, id, f); err != nil || n != len(page.Items) {
		w.Errorf("%d are counted and %d listed, %v", n, len(page.Items), err)
	}
	out := []string{}
	for _, end := range page.Items {
		out = append(out, fmt.Sprintf("%s %s %s", end.Direction, end.Name, end.Key()[len(end.Name)+len(end.Direction)+4:]))
	}
	return out
}

func leadsTo(name string, refs ...registry.Ref) registry.NewRelation {
	return registry.NewRelation{Name: name, To: refs}
}

func TestPatchRelations(t *testing.T) {
	w := newWorld(t)
	w.groups("/yard", "/shed")
	ctx := t.Context()
	hub := w.device("hub")
	probe, err := w.CreateDevice(ctx, w.scope, registry.NewTwin{Reference: "probe", Relations: []registry.NewRelation{
		leadsTo("linked", group("/yard")), leadsTo("parent", group("/shed")), leadsTo("sibling", device("hub")),
	}})
	if err != nil {
		t.Fatal(err)
	}
	patch := func(ref registry.Ref, p registry.RelationPatch) (*registry.Device, error) {
		return w.UpdateDevice(ctx, w.scope, ref, registry.TwinPatch{Relations: &p})
	}
	groups := func(relations ...registry.NewRelation) registry.RelationPatch {
		return registry.RelationPatch{Replace: []registry.RelationSet{{Direction: registry.DirectionOut, Kind: registry.KindGroup, Relations: relations}}}
	}
	steps := []struct {
		name    string
		of      string
		patch   registry.RelationPatch
		want    []string
		changes []string
	}{
		{"the same again", "PROBE", groups(leadsTo("parent", group("/shed")), leadsTo("linked", group("/YARD"))), []string{"OUT linked /yard", "OUT parent /shed", "OUT sibling hub"}, nil},
		{"one name replaces the direction", "probe", groups(leadsTo("parent", group("/shed"), group("/yard"))), []string{"OUT parent /shed", "OUT parent /yard", "OUT sibling hub"}, []string{"unrelated DEVICE probe", "related DEVICE probe"}},
		{"nothing replaces all", "probe", groups(), []string{"OUT sibling hub"}, []string{"unrelated DEVICE probe", "unrelated DEVICE probe"}},
		{"remove and add", "probe", registry.RelationPatch{Add: []registry.NewRelation{leadsTo("linked", group("/yard"))}, Remove: []registry.NewRelation{leadsTo("sibling", device("hub")), leadsTo("never", device("hub"))}}, []string{"OUT linked /yard"}, []string{"unrelated DEVICE probe", "related DEVICE probe"}},
		{"from the other end", "hub", registry.RelationPatch{Replace: []registry.RelationSet{{Direction: registry.DirectionIn, Kind: registry.KindDevice, Relations: []registry.NewRelation{leadsTo("sibling", device("probe"))}}}}, []string{"OUT linked /yard", "OUT sibling hub"}, []string{"related DEVICE probe", "updated DEVICE hub"}},
	}
	for _, step := range steps {
		before := len(w.journal())
		if _, err := patch(device(step.of), step.patch); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, w.ends(probe.ID, graph.RelatedFilter{})); diff != "" {
			t.Errorf("%s: relations (-want +got):\n%s", step.name, diff)
		}
		if got := w.journal()[before:]; !slices.Equal(got, step.changes) {
			t.Errorf("%s: changes = %q, want %q", step.name, got, step.changes)
		}
	}
	if diff := cmp.Diff([]string{"IN sibling probe"}, w.ends(hub.ID, graph.RelatedFilter{})); diff != "" {
		t.Error(diff)
	}
	_, err = patch(device("probe"), registry.RelationPatch{Add: []registry.NewRelation{leadsTo("linked", group("/nowhere"), device("ghost")), leadsTo("sibling", device("phantom"))}})
	violates(t, err, "relations.sibling", "unknown")
	_, err = patch(device("probe"), groups(leadsTo("linked", device("hub"))))
	violates(t, err, "relations.linked", "kind")
	if _, err = w.UpdateGroup(ctx, w.scope, group("/shed"), registry.TwinPatch{Relations: &registry.RelationPatch{Add: []registry.NewRelation{leadsTo("beside", group("/yard"))}}}); err != nil {
		t.Error(err)
	}
}

func TestRelatedInPages(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.groups("/b1", "/b2", "/b3")
	boss := w.device("boss")
	fill := registry.RelationPatch{Add: []registry.NewRelation{
		leadsTo("link1", group("/b1"), group("/b2")), leadsTo("link2", group("/b3"), group("/b1")), {Name: "link1", Direction: registry.DirectionIn, To: []registry.Ref{device("boss")}},
	}}
	if _, err := w.UpdateDevice(ctx, w.scope, device("boss"), registry.TwinPatch{Relations: &fill}); err != nil {
		t.Fatal(err)
	}
	all := []string{"IN link1 boss", "OUT link1 /b1", "OUT link1 /b2", "OUT link1 boss", "OUT link2 /b1", "OUT link2 /b3"}
	for name, c := range map[string]struct {
		filter graph.RelatedFilter
		want   []string
	}{
		"all":      {graph.RelatedFilter{}, all},
		"name":     {graph.RelatedFilter{Name: "link2"}, all[4:]},
		"in":       {graph.RelatedFilter{Direction: registry.DirectionIn}, all[:1]},
		"kind":     {graph.RelatedFilter{Kind: registry.KindDevice}, []string{all[0], all[3]}},
		"template": {graph.RelatedFilter{Template: "ghost"}, []string{}},
		"state":    {graph.RelatedFilter{State: registry.StateActive}, []string{all[0], all[3]}},
		"never":    {graph.RelatedFilter{Name: "never_seen"}, []string{}},
	} {
		if diff := cmp.Diff(c.want, w.ends(boss.ID, c.filter)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	var forward, backward []string
	for page := (registry.PageRequest{Size: 2}); ; {
		got, err := w.Related(ctx, w.scope, boss.ID, graph.RelatedFilter{}, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, end := range got.Items {
			forward = append(forward, end.Key())
		}
		if page.Key = got.Items[len(got.Items)-1].Key(); !got.HasNext {
			break
		}
	}
	for page := (registry.PageRequest{Size: 4, Backward: true}); ; {
		got, err := w.Related(ctx, w.scope, boss.ID, graph.RelatedFilter{}, page)
		if err != nil {
			t.Fatal(err)
		}
		for i := len(got.Items) - 1; i >= 0; i-- {
			backward = append(backward, got.Items[i].Key())
		}
		if page.Key = got.Items[0].Key(); !got.HasPrevious {
			break
		}
	}
	slices.Reverse(backward)
	if len(forward) != len(all) || !slices.Equal(forward, backward) {
		t.Errorf("forward %q\nbackward %q", forward, backward)
	}
	for _, step := range []struct {
		filter graph.RelatedFilter
		ended  int
	}{
		{graph.RelatedFilter{Name: "link1", Kind: registry.KindGroup}, 2}, {graph.RelatedFilter{Direction: registry.DirectionIn}, 1},
		{graph.RelatedFilter{}, 2}, {graph.RelatedFilter{}, 0},
	} {
		if n, err := w.UnrelateAll(ctx, w.scope, device("boss"), step.filter); err != nil || n != step.ended {
			t.Errorf("%+v: %d ended, %v, want %d", step.filter, n, err, step.ended)
		}
	}
	journal := w.journal()
	if got := journal[len(journal)-5:]; !slices.Equal(got, slices.Repeat([]string{"unrelated DEVICE boss"}, 5)) {
		t.Errorf("journal = %q", got)
	}
	_, err := w.UnrelateAll(ctx, w.scope, device("ghost"), graph.RelatedFilter{})
	refused(t, err, registry.CodeNotFound, "ghost")
}

func TestDetailsAreKeptAndCleared(t *testing.T) {
	w := newWorld(t)
	arn, picture, yes := "arn:demo:probe-1", "https://example.com/p.png", true
	d, err := w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "d", Details: registry.Details{ExternalReference: &arn, ImageURL: &picture, Connected: &yes}})
	if err != nil {
		t.Fatal(err)
	}
	read, err := w.DevicesByID(t.Context(), w.scope, []registry.ID{d.ID})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, read[0]); diff != "" {
		t.Errorf("read (-made +read):\n%s", diff)
	}
	after, err := w.UpdateDevice(t.Context(), w.scope, device("d"), registry.TwinPatch{ExternalReference: registry.Optional[string]{Set: true}, Connected: registry.Some(false)})
	if err != nil || after.ExternalReference != nil || *after.Connected || *after.ImageURL != picture {
		t.Errorf("after = %+v, %v", after, err)
	}
	script := "JavaScript:alert(1)"
	_, err = w.UpdateDevice(t.Context(), w.scope, device("d"), registry.TwinPatch{ImageURL: registry.Some(script)})
	violates(t, err, "imageUrl", "format")
}
