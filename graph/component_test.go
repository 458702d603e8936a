package graph_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

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

func TestComponents(t *testing.T) {
	w := newWorld(t)
	w.groups("/c1")
	ctx := t.Context()
	number := map[string]any{"torque": map[string]any{"type": "number"}}
	w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "joint", Properties: number, Required: []string{"torque"}})
	w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "grip"})
	w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "plain"})
	w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "arm", Components: []string{"joint"}, Relations: []registry.RelationRule{
		{Name: "located_at", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true},
	}})
	joint := func(name string, torque any) registry.NewComponent {
		return registry.NewComponent{Name: name, NewTwin: registry.NewTwin{Template: "joint", Attributes: registry.Attributes{"torque": torque}}}
	}
	arm, err := w.CreateDevice(ctx, w.scope, registry.NewTwin{Reference: "Arm", Template: "arm", Relations: locatedAt("/c1"), Components: []registry.NewComponent{joint("j1", 1), joint("j2", 2)}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.CreateDevice(ctx, w.scope, registry.NewTwin{Reference: "arm-2", Template: "arm", Components: []registry.NewComponent{joint("j1", 1), joint("j2", "x")}})
	violates(t, err, "components[1].attributes.torque", "type")
	if _, err := w.DeleteDevice(ctx, w.scope, device("arm-2")); registry.CodeOf(err) != registry.CodeNotFound {
		t.Errorf("a device whose component was refused was made: %v", err)
	}
	j3, err := w.CreateComponent(ctx, w.scope, registry.Ref{ID: arm.ID}, joint("j3", 3))
	if err != nil || j3.Reference != "Arm/j3" || *j3.ComponentName != "j3" || j3.ComponentDepth != 1 {
		t.Fatalf("component = %+v, %v", j3, err)
	}
	if _, err := w.CreateDevice(ctx, w.scope, registry.NewTwin{Reference: "plain-1", Template: "plain"}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		device    string
		component registry.NewComponent
		code      registry.Code
	}{
		"taken":              {"ARM", joint("J1", 1), registry.CodeConflict},
		"another template":   {"arm", registry.NewComponent{Name: "g", NewTwin: registry.NewTwin{Template: "grip"}}, registry.CodeInvalid},
		"required":           {"arm", registry.NewComponent{Name: "j", NewTwin: registry.NewTwin{Template: "joint"}}, registry.CodeInvalid},
		"name":               {"arm", joint("a/b", 1), registry.CodeInvalid},
		"no components":      {"plain-1", joint("j1", 1), registry.CodeInvalid},
		"unknown device":     {"ghost", joint("j1", 1), registry.CodeNotFound},
		"within a component": {"arm/j1", joint("k", 1), registry.CodeInvalid},
	} {
		if _, err := w.CreateComponent(ctx, w.scope, device(c.device), c.component); registry.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	parts, err := w.PartsOf(ctx, w.scope, []registry.ID{arm.ID, j3.ID})
	if err != nil || len(parts[0]) != 3 || len(parts[1]) != 0 || parts[0][2].NodeID() != j3.ID {
		t.Errorf("components = %v, %v", parts, err)
	}
	wholes, err := w.WholesOf(ctx, w.scope, []registry.ID{arm.ID, j3.ID})
	if err != nil || wholes[0] != nil || wholes[1].NodeID() != arm.ID {
		t.Errorf("wholes = %v, %v", wholes, err)
	}
	plain, grip := "plain", "grip"
	_, err = w.UpdateDevice(ctx, w.scope, device("arm"), registry.TwinPatch{Template: &plain})
	violates(t, err, "components", "components")
	_, err = w.UpdateDevice(ctx, w.scope, device("arm/j3"), registry.TwinPatch{Template: &grip})
	violates(t, err, "template", "components")
	w.policy("c1", "/c1")
	w.inherits(j3, "c1")
	w.under("/c1", j3, true)

	if _, _, err := w.DeleteComponent(ctx, w.scope, device("Arm")); registry.CodeOf(err) != registry.CodeNotFound {
		t.Errorf("a device that is no component was deleted as one: %v", err)
	}
	if gone, _, err := w.DeleteComponent(ctx, w.scope, device("arm/J1")); err != nil || gone.Reference != "Arm/j1" {
		t.Errorf("delete component: %v, %v", gone, err)
	}
	deleted, components, err := w.DeleteWithComponents(ctx, w.scope, device("arm"))
	if err != nil || deleted.ID != arm.ID || len(components) != 2 {
		t.Errorf("deleted %v with %v, %v", deleted, components, err)
	}
	journal := w.journal()
	want := []string{"deleted DEVICE Arm/j1", "deleted DEVICE Arm/j3", "deleted DEVICE Arm/j2", "deleted DEVICE Arm"}
	if diff := cmp.Diff(want, journal[len(journal)-4:]); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
	rows, err := w.Cypher(ctx, w.scope, `MATCH (:Gone {account: $account})-[w:WAS_COMPONENT_OF]->(d:Entity {id: $id}) RETURN count(w) AS n, min(w.until - w.since) AS lasted`, map[string]any{"id": string(arm.ID)})
	if err != nil || rows[0]["n"] != int64(3) || rows[0]["lasted"].(int64) <= 0 {
		t.Errorf("what was: %v, %v", rows, err)
	}
}

func TestComponentsOfComponents(t *testing.T) {
	w := newWorld(t)
	top := w.device("d")
	for depth := 1; depth <= registry.MaxComponentDepth; depth++ {
		next, err := w.CreateComponent(t.Context(), w.scope, registry.Ref{ID: top.ID}, registry.NewComponent{Name: "c"})
		if err != nil || next.ComponentDepth != depth {
			t.Fatalf("depth %d: %+v, %v", depth, next, err)
		}
		top = next
	}
	_, err := w.CreateComponent(t.Context(), w.scope, registry.Ref{ID: top.ID}, registry.NewComponent{Name: "c"})
	violates(t, err, "device", "depth")
	bulk, deleted, err := w.DeleteTwins(t.Context(), w.scope, registry.KindDevice, []registry.Ref{device("d/c"), device("d"), device("d/c/c")}, false)
	if err != nil || bulk.Succeeded != 2 || bulk.Failed != 1 || len(deleted) != registry.MaxComponentDepth+1 {
		t.Errorf("deleted %d in %+v, %v", len(deleted), bulk, err)
	}
}

func TestParts(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.groups("/garage")
	asset := func(reference, whole string, relations []registry.NewRelation) (*registry.Asset, error) {
		n := registry.NewTwin{Reference: reference, Relations: relations}
		if whole != "" {
			n.PartOf = &whole
		}
		return w.CreateAsset(ctx, w.scope, n)
	}
	key := func(reference string) registry.Ref { return registry.Ref{Kind: registry.KindAsset, Key: reference} }
	car, err := asset("car", "", locatedAt("/garage"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = asset("engine", "ghost", nil)
	violates(t, err, "partOf", "unknown")
	engine, err := asset("engine", "CAR", nil)
	if err != nil {
		t.Fatal(err)
	}
	valve, err := asset("valve", "engine", nil)
	if err != nil {
		t.Fatal(err)
	}
	w.policy("garage", "/garage")
	w.inherits(valve, "garage")
	w.under("/garage", valve, true)
	for _, whole := range []string{"valve", "engine"} {
		_, err = w.UpdateAsset(ctx, w.scope, key("engine"), registry.TwinPatch{PartOf: registry.Some(whole)})
		refused(t, err, registry.CodeFailedPrecondition, "part of itself")
	}
	before := len(w.journal())
	same, err := w.UpdateAsset(ctx, w.scope, key("valve"), registry.TwinPatch{PartOf: registry.Some("Engine")})
	if err != nil || same.Version != 1 || len(w.journal()) != before {
		t.Errorf("the same whole again: %+v, %v", same, err)
	}
	moved, err := w.UpdateAsset(ctx, w.scope, key("valve"), registry.TwinPatch{PartOf: registry.Some("car")})
	if err != nil || moved.Version != 2 || len(w.journal()) != before+1 {
		t.Errorf("moved part = %+v, %v", moved, err)
	}
	if _, err = w.UpdateAsset(ctx, w.scope, key("valve"), registry.TwinPatch{PartOf: registry.Optional[string]{Set: true}}); err != nil {
		t.Error(err)
	}
	w.inherits(valve)
	w.under("/garage", valve, false)
	w.inherits(engine, "garage")
	parts, err := w.PartsOf(ctx, w.scope, []registry.ID{car.ID})
	if err != nil || len(parts[0]) != 1 || parts[0][0].NodeID() != engine.ID {
		t.Errorf("parts = %v, %v", parts, err)
	}
	chain := []registry.NewTwin{{Reference: "p0"}}
	for i := 1; i <= registry.MaxPartDepth+1; i++ {
		whole := fmt.Sprint("p", i-1)
		chain = append(chain, registry.NewTwin{Reference: fmt.Sprint("p", i), PartOf: &whole})
	}
	bulk, err := w.CreateTwins(ctx, w.scope, registry.KindAsset, chain, false)
	if err != nil || bulk.Failed != 1 || bulk.Results[registry.MaxPartDepth+1].Error.Code != registry.CodeLimitExceeded {
		t.Errorf("a deep chain: %+v, %v", bulk.Results[len(bulk.Results)-1].Error, err)
	}
	_, err = w.UpdateAsset(ctx, w.scope, key("p0"), registry.TwinPatch{PartOf: registry.Some("car")})
	refused(t, err, registry.CodeLimitExceeded, "32")
}
