package graph_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

var std = registry.ProfileRef{Kind: registry.KindDevice, Template: "cam", Name: "std"}

// gives checks what the relations of a profile lead to.
func (w world) gives(what string, scope registry.Scope, want ...registry.ProfileRelation) {
	w.Helper()
	p, err := w.Profile(w.Context(), scope, std)
	if err != nil {
		w.Errorf("%s: %v", what, err)
		return
	}
	if diff := cmp.Diff(want, p.Relations()); diff != "" {
		w.Errorf("%s: %s", what, diff)
	}
	page, err := w.ListProfiles(w.Context(), scope, graph.ProfileFilter{}, registry.PageRequest{Size: 9})
	if err != nil || len(page.Items) != 1 || !cmp.Equal(page.Items[0], p) {
		w.Errorf("%s: listed %v, %v", what, page.Items, err)
	}
	if nodes, err := w.Nodes(w.Context(), scope, []registry.ID{p.ID}); err != nil || !cmp.Equal(nodes[0], registry.Node(p)) {
		w.Errorf("%s: node = %v, %v", what, nodes[0], err)
	}
}

func toGroups(relation string, groups ...string) registry.ProfileRelation {
	return registry.ProfileRelation{Name: relation, Direction: registry.DirectionOut, Groups: groups}
}

func TestProfilesFollowWhatTheyName(t *testing.T) {
	w := newWorld(t)
	w.cams()
	before := w.moment()

	w.groups("/hall")
	must(w.moveGroup("/s1", "/hall", "first"))
	w.gives("after a move", w.scope, toGroups("backup", "/s3"), toGroups("linked_to", "/hall/first"))
	after := w.moment()
	w.gives("before the move", before, toGroups("backup", "/s3"), toGroups("linked_to", "/s1"))
	must(w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "c1", Template: "cam", Profile: "std"}))
	w.has("c1", map[string]any{"model": "m1", "serial": "SN1", "zoom": int64(4)}, "backup /s3", "linked_to /hall/first")

	// An update that leaves the relations has nothing to say about them.
	must(w.UpdateProfile(t.Context(), w.scope, std, registry.ProfilePatch{Description: registry.Some("cameras")}))
	changes := must(w.ListChanges(t.Context(), w.scope, registry.ChangeFilter{Kinds: []registry.ObjectKind{registry.ObjectProfile}}, registry.PageRequest{Size: 1}))
	if differences := changes.Items[0].Differences; len(differences) != 1 || differences[0].Path != "description" {
		t.Errorf("differences = %+v", differences)
	}
	w.gives("before the move", before, toGroups("backup", "/s3"), toGroups("linked_to", "/s1"))
	w.gives("between the changes", after, toGroups("backup", "/s3"), toGroups("linked_to", "/hall/first"))
}

// moment is the account as it is now.
func (w world) moment() registry.Scope {
	time.Sleep(5 * time.Millisecond)
	at, scope := time.Now(), w.scope
	time.Sleep(5 * time.Millisecond)
	scope.AsOf = &at
	return scope
}

func TestWhatProfilesNameStays(t *testing.T) {
	w := newWorld(t)
	w.cams()
	w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "Hub", Components: []string{"open"}, Relations: []registry.RelationRule{
		{Name: "next_to", Direction: registry.DirectionOut, Kind: registry.KindDevice},
	}})
	must(w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "hub", Template: "hub", Components: []registry.NewComponent{{Name: "port", NewTwin: registry.NewTwin{Template: "open"}}}}))
	next := registry.NewProfile{Kind: registry.KindDevice, Template: "hub", Name: "beside", Relations: []registry.NewRelation{{Name: "next_to", To: []registry.Ref{device("hub/port")}}}}
	must(w.CreateProfile(t.Context(), w.scope, next))

	_, err := w.DeleteGroup(t.Context(), w.scope, group("/s1"), registry.GroupDeletion{})
	refused(t, err, registry.CodeFailedPrecondition, "profile device/Cam/Std")
	w.groups("/hall")
	must(w.moveGroup("/s1", "/hall", "s1"))
	_, err = w.DeleteGroup(t.Context(), w.scope, group("/hall"), registry.GroupDeletion{Cascade: true})
	refused(t, err, registry.CodeFailedPrecondition, "profile device/Cam/Std")
	_, err = w.RehearseDeleteGroup(t.Context(), w.scope, group("/hall"), registry.GroupDeletion{Cascade: true})
	refused(t, err, registry.CodeFailedPrecondition, "profile device/Cam/Std")
	for _, reference := range []string{"hub", "hub/port"} {
		_, err = w.DeleteDevice(t.Context(), w.scope, device(reference))
		refused(t, err, registry.CodeFailedPrecondition, `device "hub/port" is named by profile device/Hub/beside`)
	}

	must(w.UpdateProfile(t.Context(), w.scope, std, registry.ProfilePatch{Relations: []registry.NewRelation{to("backup", "/s3")}}))
	must(w.DeleteGroup(t.Context(), w.scope, group("/hall"), registry.GroupDeletion{Cascade: true}))
	must(w.DeleteProfile(t.Context(), w.scope, registry.ProfileRef{Kind: registry.KindDevice, Template: "hub", Name: "beside"}))
	must(w.DeleteDevice(t.Context(), w.scope, device("hub")))
	w.gives("at the end", w.scope, toGroups("backup", "/s3"))
}

func TestProfilesThatNamedByText(t *testing.T) {
	w := newWorld(t)
	p := w.cams()
	w.device("d1")
	_, err := w.Cypher(t.Context(), w.scope, `
		MATCH (p:Entity {id: $id})-[r:GIVES]->() WHERE p.account = $account
		SET p.relations = $relations
		DELETE r`, map[string]any{
		"id":        string(p.ID),
		"relations": `[{"name":"backup","direction":"OUT","groups":["/S2","/gone"]},{"name":"beside","direction":"IN","devices":["d1"]}]`,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it may run again
		if err := w.RelateProfiles(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.gives("once migrated", w.scope, toGroups("backup", "/s2"), registry.ProfileRelation{Name: "beside", Direction: registry.DirectionIn, Devices: []string{"d1"}})
}
