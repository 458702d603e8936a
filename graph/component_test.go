package graph_test

import (
	"testing"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// under checks by every way to ask that a twin is in the sub-tree of a group, or
// is not.
func (w world) under(path string, twin registry.Twin, want bool) {
	w.Helper()
	ctx, id := w.Context(), twin.NodeID()
	among, err := w.TwinsUnder(ctx, w.scope, path, []registry.ID{id})
	if err != nil || among[id] != want {
		w.Errorf("under %s: %v, %v, want %v", path, among[id], err, want)
	}
	top, err := w.GroupByPath(ctx, w.scope, path)
	if err != nil {
		w.Fatal(err)
	}
	members, err := w.Members(ctx, w.scope, top.ID, graph.MemberFilter{Deep: true}, registry.PageRequest{Size: 100})
	found := 0
	for _, m := range members.Items {
		if m.NodeID() == id {
			found++
		}
	}
	if err != nil || found != map[bool]int{true: 1}[want] {
		w.Errorf("%d times among the deep members of %s, %v", found, path, err)
	}
	listed := 0
	if twin.TwinKind() == registry.KindDevice {
		page, err := w.ListDevices(ctx, w.scope, registry.Filter{Under: path}, registry.PageRequest{Size: 100})
		if err != nil {
			w.Error(err)
		}
		for _, d := range page.Items {
			if d.ID == id {
				listed++
			}
		}
	} else {
		page, err := w.ListAssets(ctx, w.scope, registry.Filter{Under: path}, registry.PageRequest{Size: 100})
		if err != nil {
			w.Error(err)
		}
		for _, a := range page.Items {
			if a.ID == id {
				listed++
			}
		}
	}
	if listed != found {
		w.Errorf("%d times among those listed under %s", listed, path)
	}
}

func TestMembershipsOfWholesCount(t *testing.T) {
	w := newWorld(t)
	w.groups("/cell/left", "/line")
	arm, joint, seal := w.device("arm", "/cell/left"), w.device("joint", "/line"), w.device("seal")
	w.policy("cell", "/cell")
	w.policy("both", "/cell/left", "/line")
	ids := map[string]any{"arm": string(arm.ID), "joint": string(joint.ID), "seal": string(seal.ID)}
	if _, err := w.Cypher(t.Context(), w.scope, `
		MATCH (a:Entity {id: $arm}), (j:Entity {id: $joint}), (s:Entity {id: $seal})
		CREATE (s)-[:COMPONENT_OF]->(j)-[:COMPONENT_OF]->(a)`, ids); err != nil {
		t.Fatal(err)
	}
	w.inherits(arm, "cell")
	w.inherits(joint, "both", "cell")
	w.inherits(seal, "both", "cell")
	w.under("/cell", seal, true)
	w.under("/cell/left", joint, true)
	w.under("/line", arm, false)
	why, err := w.ExplainPolicy(t.Context(), w.scope, seal.ID, "both")
	if err != nil || !why.Inherited || why.Groups[0].Relation != "located_at" {
		t.Errorf("explanation = %+v, %v", why, err)
	}
}
