package graph_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// seen writes the relations of a thing as "name direction other".
func (w world) seen(thing registry.Related, keys map[registry.ID]string) []string {
	w.Helper()
	lists, err := w.RelationsOf(w.Context(), w.scope, []registry.ID{"ghost", thing.NodeID()})
	if err != nil || lists[0] != nil {
		w.Fatalf("relations: %v, %v", lists, err)
	}
	out := []string{}
	for _, r := range lists[1] {
		out = append(out, fmt.Sprintf("%s %s %s %s %v", r.Name, r.Direction, r.OtherKind, keys[r.OtherID], r.Inherits))
	}
	return out
}

func TestRelateByRules(t *testing.T) {
	w := newWorld(t)
	w.groups("/room")
	w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "Lamp", Relations: []registry.RelationRule{
		{Name: "next_to", Direction: registry.DirectionOut, Kind: registry.KindDevice, Templates: []string{"Lamp"}, Inherits: true},
		{Name: "glimpsed_in", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: false},
	}})
	w.template(registry.NewTemplate{Kind: registry.KindGroup, Name: "Room", Relations: []registry.RelationRule{
		{Name: "contains", Direction: registry.DirectionIn, Kind: registry.KindDevice, Templates: []string{"Lamp"}, Inherits: true},
	}})
	hall, err := w.CreateGroup(t.Context(), w.scope, registry.NewGroup{Name: "hall", Template: "Room"})
	if err != nil {
		t.Fatal(err)
	}
	lamp, err := w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "lamp", Template: "Lamp", Relations: []registry.NewRelation{
		{Name: "contains", To: []registry.Ref{byID(hall)}}, // the room's template lets it in
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "x", Template: "Lamp", Relations: []registry.NewRelation{
		{Name: "contains", To: []registry.Ref{group("/room")}},
	}})
	violates(t, err, "relations.contains", "undeclared")
	keys := map[registry.ID]string{hall.ID: "hall", lamp.ID: "lamp"}

	for range 2 { // the second time changes nothing
		from, to, err := w.Relate(t.Context(), w.scope, device("LAMP"), "next_to", byID(lamp))
		if err != nil || from.NodeID() != lamp.ID || to.NodeID() != lamp.ID {
			t.Errorf("relate to itself: %v %v %v", from, to, err)
		}
	}
	if _, _, err := w.Relate(t.Context(), w.scope, byID(lamp), "glimpsed_in", group("/room")); err != nil {
		t.Errorf("relate by a tag: %v", err)
	}
	keys[must(w.GroupByPath(t.Context(), w.scope, "/room")).ID] = "room"
	want := []string{
		"contains OUT GROUP hall true", "glimpsed_in OUT GROUP room false",
		"next_to OUT DEVICE lamp true", "next_to IN DEVICE lamp true",
	}
	if diff := cmp.Diff(want, w.seen(lamp, keys)); diff != "" {
		t.Errorf("relations (-want +got):\n%s", diff)
	}
	groups, err := w.GroupsOf(t.Context(), w.scope, []registry.ID{lamp.ID, "ghost"})
	if diff := cmp.Diff([][]graph.Membership{{{GroupID: hall.ID, Relation: "contains"}}, nil}, groups); diff != "" || err != nil {
		t.Errorf("memberships: %v\n%s", err, diff)
	}

	_, _, err = w.Relate(t.Context(), w.scope, byID(lamp), "orbits", byID(lamp))
	violates(t, err, "relations.orbits", "undeclared")
	_, _, err = w.Relate(t.Context(), w.scope, byID(lamp), "child_of", byID(lamp))
	violates(t, err, "relations.child_of", "undeclared")
	_, _, err = w.Relate(t.Context(), w.scope, byID(lamp), "x`]-() DETACH DELETE n //", byID(lamp))
	violates(t, err, "relation", "name")
	_, _, err = w.Relate(t.Context(), w.scope, byID(lamp), "next_to", device("ghost"))
	refused(t, err, registry.CodeNotFound, "ghost")

	// A template without the relations that the lamp has is refused for it.
	w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "Plain"})
	_, err = w.UpdateDevice(t.Context(), w.scope, byID(lamp), registry.TwinPatch{Template: text("Plain")})
	violates(t, err, "relations.next_to", "undeclared")
	violates(t, err, "relations.contains", "undeclared")

	for range 2 {
		if _, _, err := w.Unrelate(t.Context(), w.scope, byID(lamp), "next_to", device("lamp")); err != nil {
			t.Errorf("unrelate: %v", err)
		}
	}
	if _, _, err := w.Unrelate(t.Context(), w.scope, byID(lamp), "never_heard_of_"+strings.ReplaceAll(uuid.NewString(), "-", "")[:8], byID(lamp)); err != nil {
		t.Errorf("unrelate by an unknown name: %v", err)
	}
	if diff := cmp.Diff(want[:2], w.seen(lamp, keys)); diff != "" {
		t.Errorf("relations after unrelate (-want +got):\n%s", diff)
	}
	other := newOther(w)
	_, _, err = other.Relate(t.Context(), other.scope, byID(lamp), "x", byID(lamp))
	refused(t, err, registry.CodeNotFound, string(lamp.ID))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestRelateTwiceAtOnce(t *testing.T) {
	w := newWorld(t)
	a, b := w.device("a"), w.device("b")
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			if _, _, err := w.Relate(t.Context(), w.scope, byID(a), "near", byID(b)); err != nil {
				t.Errorf("relate: %v", err)
			}
		})
	}
	group.Wait()
	if got := w.seen(a, map[registry.ID]string{b.ID: "b"}); !cmp.Equal(got, []string{"near OUT DEVICE b true"}) {
		t.Errorf("relations = %q", got)
	}
}

func TestNamesAreRationed(t *testing.T) {
	w := newWorld(t)
	w.groups("/g")
	unique := "n" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
	twin := func(reference string, from, to int) registry.NewTwin {
		n := registry.NewTwin{Reference: reference}
		for i := from; i < to; i++ {
			n.Relations = append(n.Relations, registry.NewRelation{Name: fmt.Sprintf("%s_%d", unique, i), To: []registry.Ref{group("/g")}})
		}
		return n
	}
	_, err := w.CreateDevice(t.Context(), w.scope, twin("many", 0, 65))
	refused(t, err, registry.CodeLimitExceeded, "64 new names of relations")
	if _, err := w.CreateDevice(t.Context(), w.scope, twin("few", 0, 2)); err != nil {
		t.Errorf("two names: %v", err)
	}
	_, err = w.CreateDevice(t.Context(), w.scope, twin("rest", 2, 65))
	refused(t, err, registry.CodeLimitExceeded, "64")
	// Names that another account has brought are free.
	other := newOther(w)
	other.groups("/g")
	if _, err := other.CreateDevice(t.Context(), other.scope, twin("free", 0, 2)); err != nil {
		t.Errorf("names that exist: %v", err)
	}

	attributes := map[string]any{}
	for i := range 128 {
		attributes[fmt.Sprintf("%s_%d", unique, i)] = map[string]any{"a": 1, "b": 2}
	}
	d := w.device("d")
	if _, err := w.UpdateDevice(t.Context(), w.scope, byID(d), registry.TwinPatch{Attributes: map[string]any{unique: 1}}); err != nil {
		t.Errorf("one attribute: %v", err)
	}
	_, err = w.UpdateDevice(t.Context(), w.scope, byID(d), registry.TwinPatch{Attributes: attributes})
	refused(t, err, registry.CodeLimitExceeded, "256 new names of attributes")
	if got := must(w.DevicesByID(context.Background(), w.scope, []registry.ID{d.ID})); got[0].Version != 2 {
		t.Errorf("the refused change left version %d", got[0].Version)
	}
	rules := []registry.RelationRule{}
	for i := range 65 {
		rules = append(rules, registry.RelationRule{Name: fmt.Sprintf("%s_t%d", unique, i), Direction: registry.DirectionOut, Kind: registry.KindGroup})
	}
	draft := must(w.CreateTemplate(t.Context(), w.scope, registry.NewTemplate{Kind: registry.KindDevice, Name: "Greedy", Relations: rules}))
	_, err = w.publish(registry.TemplateRef{ID: draft.ID})
	refused(t, err, registry.CodeLimitExceeded, "64")
	if got := must(w.Template(t.Context(), w.scope, registry.KindDevice, "Greedy", &draft.Version, nil)); got.Status != registry.TemplateDraft {
		t.Errorf("the refused template is %s", got.Status)
	}
}

// TestRelationsNamedLikeBuiltIns makes relations by the names of Holon's own
// relationships, which must not be taken for these.
func TestRelationsNamedLikeBuiltIns(t *testing.T) {
	w := newWorld(t)
	w.groups("/room")
	room := must(w.GroupByPath(t.Context(), w.scope, "/room"))
	pump, err := w.CreateAsset(t.Context(), w.scope, registry.NewTwin{Reference: "pump"})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"child_of", "linked_to", "part_of", "was_related"}
	relations := []registry.NewRelation{{Name: "linked_to", To: []registry.Ref{byID(pump)}}}
	for _, name := range names {
		relations = append(relations, registry.NewRelation{Name: name, To: []registry.Ref{byID(room)}})
	}
	sensor, err := w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "sensor", Relations: relations})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[registry.ID]string{room.ID: "room", pump.ID: "pump"}
	want := []string{
		"child_of OUT GROUP room true", "linked_to OUT ASSET pump true", "linked_to OUT GROUP room true",
		"part_of OUT GROUP room true", "was_related OUT GROUP room true",
	}
	got := w.seen(sensor, keys)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("relations (-want +got):\n%s", diff)
	}
	links, err := w.LinksOf(t.Context(), w.scope, []registry.ID{sensor.ID})
	if err != nil || len(links[0]) != 0 {
		t.Errorf("links = %v, %v", links, err)
	}
	above, err := w.Ancestors(t.Context(), w.scope, []registry.ID{room.ID})
	if err != nil || len(above[0]) != 1 {
		t.Errorf("ancestors = %v, %v", above, err)
	}
	for _, name := range names {
		if _, _, err := w.Unrelate(t.Context(), w.scope, byID(sensor), name, byID(room)); err != nil {
			t.Errorf("unrelate %s: %v", name, err)
		}
	}
	if diff := cmp.Diff([]string{"linked_to OUT ASSET pump true"}, w.seen(sensor, keys)); diff != "" {
		t.Errorf("relations afterwards (-want +got):\n%s", diff)
	}
	if _, err := w.DeleteDevice(t.Context(), w.scope, byID(sensor)); err != nil {
		t.Error(err)
	}
}

// A path may end in a slash wherever a group is named, and what is wrong with an
// item is told where it stands in the request.
func TestNamesInRequests(t *testing.T) {
	w := newWorld(t)
	w.groups("/room")
	lamp := must(w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "lamp", Relations: locatedAt("/Room/")}))
	if _, _, err := w.Relate(t.Context(), w.scope, byID(lamp), "seen_in", group("/room//")); err != nil {
		t.Error(err)
	}
	if related := w.seen(lamp, map[registry.ID]string{}); len(related) != 2 {
		t.Errorf("the lamp has %q", related)
	}
	_, _, err := w.DeleteTwins(t.Context(), w.scope, registry.KindDevice, []registry.Ref{byID(lamp), device("ghost")}, true)
	if e, ok := errors.AsType[*registry.Error](err); !ok || e.Field != "references[0]" {
		t.Errorf("what does not exist is told so: %v", err)
	}
}
