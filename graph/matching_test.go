package graph_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

func TestUpdateMatching(t *testing.T) {
	w := newBuilding(t)
	m := registry.Search{Where: "attributes.serial == 'S1'"}
	patch := registry.MatchingPatch{Attributes: registry.Attributes{"serial": "S9", "text": nil}, State: new(registry.StateRetired), Description: registry.Some("moved")}
	trying, keeping := w.scope, w.scope
	trying.Rehearsal = new(registry.Rehearsal)
	rehearsed := must(w.UpdateMatching(w.Context(), trying, m, patch))
	if rehearsed.Matched != 2 || rehearsed.Done != 0 || trying.Rehearsal.Token == "" {
		t.Errorf("rehearsal: %+v, %+v", rehearsed, trying.Rehearsal)
	}
	keeping.Token = trying.Rehearsal.Token
	must(w.CreateDevice(w.Context(), w.scope, registry.NewTwin{Reference: "late", Attributes: registry.Attributes{"serial": "S1"}}))
	_, err := w.UpdateMatching(w.Context(), keeping, m, patch)
	refused(t, err, registry.CodeConflict, "rehearse")
	must(w.DeleteDevice(w.Context(), w.scope, device("late")))
	if got := must(w.UpdateMatching(w.Context(), keeping, m, patch)); got.Matched != 2 || got.Done != 2 {
		t.Errorf("updated %+v", got)
	}
	if diff := cmp.Diff(meters(2, 3), w.search(registry.Search{Where: "attributes.serial == 'S9' and attributes.text == nil and state == 'retired' and description == 'moved'"})); diff != "" {
		t.Error(diff)
	}
	_, err = w.UpdateMatching(w.Context(), w.scope, registry.Search{}, patch)
	violates(t, err, "where", "required")
	_, err = w.UpdateMatching(w.Context(), w.scope, registry.Search{Under: "/north"}, patch)
	violates(t, err, "patch.state", "kind")
	_, err = w.UpdateMatching(w.Context(), w.scope, registry.Search{Templates: []string{"meter"}}, registry.MatchingPatch{Attributes: registry.Attributes{"unknown": 1}})
	violates(t, err, "objects[Meter-00].attributes.unknown", "undeclared")
	_, err = w.UpdateMatching(w.Context(), w.scope, registry.Search{Under: "/nowhere"}, patch)
	refused(t, err, registry.CodeNotFound, "/nowhere")
}

func TestDeleteMatching(t *testing.T) {
	w := newBuilding(t)
	w.policy("p", "/north/1")
	_, err := w.DeleteMatching(w.Context(), w.scope, registry.Search{Under: "/north", IncludeSelf: true})
	refused(t, err, registry.CodeFailedPrecondition, "1 policy")
	must(w.DeletePolicy(w.Context(), w.scope, registry.Ref{Key: "p"}))
	_, err = w.DeleteMatching(w.Context(), w.scope, registry.Search{Under: "/north", Kinds: []registry.Kind{registry.KindGroup}})
	refused(t, err, registry.CodeFailedPrecondition, "members")
	if n := len(w.search(registry.Search{Under: "/north", IncludeSelf: true})); n != 10 {
		t.Fatalf("%d objects are left of 10", n)
	}
	got := must(w.DeleteMatching(w.Context(), w.scope, registry.Search{Under: "/north", IncludeSelf: true}))
	if got.Matched != 10 || got.Done != 10 {
		t.Errorf("deleted %+v", got)
	}
	if diff := cmp.Diff(append([]string{"/", "/south", "/south/1"}, append(meters(2, 5, 8), "Panel-1", "Panel-2")...), w.search(registry.Search{})); diff != "" {
		t.Error(diff)
	}
}
