package graph_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

func TestInheritanceOneHierarchy(t *testing.T) {
	w := newWorld(t)
	w.groups("/location/usa/colorado/denver/factory1", "/location/china/northern/beijing/factory2")
	w.policy("policy_permissive", "/location")
	w.policy("policy_restrictive", "/location/china")
	w.inherits(w.device("device001", "/location/usa/colorado/denver/factory1"), "policy_permissive")
	w.inherits(w.device("device002", "/location/china/northern/beijing/factory2"), "policy_restrictive", "policy_permissive")
}

func TestInheritanceTwoHierarchies(t *testing.T) {
	w := newWorld(t)
	denver, beijing := "/location/usa/colorado/denver", "/location/china/northern/beijing"
	w.groups(denver, beijing, "/supplier/supplier1", "/supplier/supplier2")
	w.policy("policy_permissive", "/location", "/supplier")
	w.policy("policy_restrictive", "/location/china", "/supplier/supplier2")
	w.inherits(w.device("device001", denver, "/supplier/supplier1"), "policy_permissive")
	w.inherits(w.device("device002", denver, "/supplier/supplier2"), "policy_permissive")
	w.inherits(w.device("device003", beijing, "/supplier/supplier1"), "policy_permissive")
	w.inherits(w.device("device004", beijing, "/supplier/supplier2"), "policy_restrictive", "policy_permissive")
	w.inherits(w.device("device005", beijing))
}

func TestInheritanceDecidesByEdges(t *testing.T) {
	w := newWorld(t)
	w.groups("/site/1", "/site/10/hall")
	w.policy("of_1", "/site/1")
	w.policy("of_10", "/site/10")
	w.inherits(w.device("in_1", "/site/1"), "of_1")
	w.inherits(w.device("in_10", "/site/10/hall"), "of_10")
	one, err := w.GroupByPath(t.Context(), w.scope, "/SITE/1/")
	if err != nil {
		t.Fatal(err)
	}
	w.inherits(one, "of_1")
}

func TestInheritanceShapes(t *testing.T) {
	w := newWorld(t)
	w.groups("/a/b/c", "/x/y", "/p", "/q", "/r", "/s")
	w.policy("everywhere", "/")
	w.policy("nested", "/a", "/a/b") // as specific as /a/b alone
	w.policy("of_b", "/a/b")
	w.policy("of_a", "/a")
	w.policy("of_a_and_x", "/a", "/x")
	w.policy("of_b_and_y", "/a/b", "/x/y")
	w.policy("of_four", "/p", "/q", "/r", "/s")

	w.inherits(w.device("nowhere"), "everywhere")
	w.inherits(w.device("in_a", "/a"), "of_a", "everywhere")
	w.inherits(w.device("in_c", "/a/b/c"), "nested", "of_b", "of_a", "everywhere")
	// A diamond: two ways lead to /a.
	w.inherits(w.device("in_a_twice", "/a/b/c", "/a/b"), "nested", "of_b", "of_a", "everywhere")
	w.inherits(w.device("in_c_and_y", "/a/b/c", "/x/y"), "of_b_and_y", "nested", "of_b", "of_a_and_x", "of_a", "everywhere")
	w.inherits(w.device("in_three", "/p", "/q", "/r"), "everywhere")
	w.inherits(w.device("in_four", "/p", "/q", "/r", "/s"), "of_four", "everywhere")

	root, err := w.GroupByPath(t.Context(), w.scope, "/")
	if err != nil {
		t.Fatal(err)
	}
	w.inherits(root, "everywhere")

	got, err := w.PoliciesOfGroups(t.Context(), w.scope, []string{"/a/b", "/x"}, nil)
	if diff := cmp.Diff([]string{"nested", "of_b", "of_a_and_x", "of_a", "everywhere"}, referencesOf(got)); diff != "" || err != nil {
		t.Errorf("policies of groups: %v\n%s", err, diff)
	}
	_, err = w.PoliciesOfGroups(t.Context(), w.scope, []string{"/a", "/ghost"}, nil)
	violates(t, err, "groups", "unknown")
}

func TestInheritanceByTagsAndAssets(t *testing.T) {
	w := newWorld(t)
	w.groups("/room", "/seen")
	w.template(registry.NewTemplate{Kind: registry.KindAsset, Name: "Machine", Relations: []registry.RelationRule{
		{Name: "stands_in", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true},
		{Name: "seen_in", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: false},
	}})
	w.policy("of_room", "/room")
	w.policy("of_seen", "/seen")
	machine, err := w.CreateAsset(t.Context(), w.scope, registry.NewTwin{Reference: "m", Template: "Machine", Relations: []registry.NewRelation{
		{Name: "stands_in", To: []registry.Ref{group("/room")}}, {Name: "seen_in", To: []registry.Ref{group("/seen")}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.inherits(machine, "of_room")
	with, err := w.AssetByReference(t.Context(), w.scope, "M", graph.Include{Groups: true, Policies: true})
	if err != nil || len(with.Groups) != 1 || with.Groups[0].Path != "/room" || with.Memberships[0].Relation != "stands_in" {
		t.Errorf("groups of the asset = %+v, %v", with, err)
	}
	brief, err := w.AssetByReference(t.Context(), w.scope, "M", graph.Include{Groups: true, Brief: true})
	if err != nil || len(brief.Groups) != 1 || brief.Groups[0].Name != "room" || brief.Groups[0].ID != with.Groups[0].ID ||
		!cmp.Equal(brief.Memberships, with.Memberships) || !cmp.Equal(brief.Twin, with.Twin) {
		t.Errorf("brief groups of the asset = %+v, %v", brief, err)
	}
	if got := referencesOf(with.Policies); !cmp.Equal(got, []string{"of_room"}) {
		t.Errorf("included policies = %q", got)
	}
	// Members are asked for by a tag only by its name.
	seen, _ := w.GroupByPath(t.Context(), w.scope, "/seen")
	for relation, want := range map[string]int{"": 0, "seen_in": 1, "never_heard_of": 0} {
		filter := graph.MemberFilter{}
		if relation != "" {
			filter.Relation = &relation
		}
		if n, err := w.CountMembers(t.Context(), w.scope, seen.ID, filter); err != nil || n != want {
			t.Errorf("members by %q = %d, %v, want %d", relation, n, err, want)
		}
	}
}

func TestPolicyLife(t *testing.T) {
	w := newWorld(t)
	other := newOther(w)
	w.groups("/a/b", "/c")
	d := w.device("d", "/a/b")
	created := w.policy("Rules", "/A", "/a/", "/c")
	if len(created.GroupIDs) != 2 || created.Version != 1 {
		t.Errorf("created = %+v, want 2 groups, version 1", created)
	}
	w.inherits(d)
	got, err := w.PolicyByReference(t.Context(), w.scope, "rules")
	if diff := cmp.Diff(created, got); diff != "" || err != nil {
		t.Errorf("read back: %v\n%s", err, diff)
	}
	_, err = other.PolicyByReference(t.Context(), other.scope, "rules")
	refused(t, err, registry.CodeNotFound, `"rules"`)

	_, err = w.CreatePolicy(t.Context(), w.scope, registry.NewPolicy{Reference: "RULES", Type: "t", Document: map[string]any{}, AppliesTo: []string{"/a"}})
	refused(t, err, registry.CodeConflict, "RULES")
	_, err = w.CreatePolicy(t.Context(), w.scope, registry.NewPolicy{Reference: "x", Type: "t", Document: map[string]any{}, AppliesTo: []string{"/a", "/ghost"}})
	violates(t, err, "appliesTo[1]", "unknown")
	_, err = w.CreatePolicy(t.Context(), w.scope, registry.NewPolicy{Reference: "x", Type: "t"})
	violates(t, err, "appliesTo", "range")
	violates(t, err, "document", "required")

	stale, kind := 7, "Other"
	_, err = w.UpdatePolicy(t.Context(), w.scope, registry.Ref{Key: "rules"}, registry.PolicyPatch{IfVersion: &stale})
	refused(t, err, registry.CodeConflict, "version 1, not 7")
	updated, err := w.UpdatePolicy(t.Context(), w.scope, registry.Ref{ID: created.ID}, registry.PolicyPatch{
		Type: &kind, Description: registry.Some("why"), Document: registry.Some(map[string]any{"max": 3.5}), AppliesTo: []string{"/a/b"},
	})
	if err != nil || updated.Version != 2 || updated.Type != kind || *updated.Description != "why" || updated.Document["max"] != 3.5 || len(updated.GroupIDs) != 1 {
		t.Errorf("updated = %+v, %v", updated, err)
	}
	if again, err := w.UpdatePolicy(t.Context(), w.scope, registry.Ref{ID: created.ID}, registry.PolicyPatch{
		Type: &kind, Document: registry.Some(map[string]any{"max": json.Number("3.5")}), AppliesTo: []string{"/A/b"},
	}); err != nil || !cmp.Equal(again, updated) {
		t.Errorf("updated to what it is = %+v, %v", again, err)
	}
	w.inherits(d, "Rules")
	read, err := w.PoliciesByID(t.Context(), w.scope, []registry.ID{"ghost", created.ID})
	if diff := cmp.Diff([]*registry.Policy{nil, updated}, read); diff != "" || err != nil {
		t.Errorf("by id: %v\n%s", err, diff)
	}
	for policyType, want := range map[string]int{"": 1, "t": 0, kind: 1, "OTHER": 1} {
		var filter *string
		if policyType != "" {
			filter = &policyType
		}
		page, err := w.ListPolicies(t.Context(), w.scope, filter, registry.PageRequest{Size: 5})
		n, err2 := w.CountPolicies(t.Context(), w.scope, filter)
		lists, err3 := w.InheritedPolicyReferences(t.Context(), w.scope, []registry.ID{d.ID}, filter)
		if err != nil || err2 != nil || err3 != nil || len(page.Items) != want || n != want || len(lists[0]) != want {
			t.Errorf("of type %q: %d listed, %d counted, %d inherited, want %d; %v %v %v", policyType, len(page.Items), n, len(lists[0]), want, err, err2, err3)
		}
	}
	_, err = w.DeleteGroup(t.Context(), w.scope, group("/a/b"), registry.GroupDeletion{})
	refused(t, err, registry.CodeFailedPrecondition, "1 member and 1 policy")

	_, err = other.DeletePolicy(t.Context(), other.scope, registry.Ref{ID: created.ID})
	refused(t, err, registry.CodeNotFound, string(created.ID))
	if _, err := w.DeletePolicy(t.Context(), w.scope, registry.Ref{Key: "RULES"}); err != nil {
		t.Errorf("delete: %v", err)
	}
	w.inherits(d)
}

func TestExplainPolicy(t *testing.T) {
	w := newWorld(t)
	w.groups("/a/b/c", "/x")
	d := w.device("d", "/a/b/c", "/a")
	w.policy("p", "/", "/a/b", "/a", "/x")
	explained, err := w.ExplainPolicy(t.Context(), w.scope, d.ID, "P")
	if err != nil {
		t.Fatal(err)
	}
	paths := w.paths()
	type reach struct {
		Group    string
		Reached  bool
		Relation string
		Via      []string
	}
	var got []reach
	for _, r := range explained.Groups {
		one := reach{Group: paths[r.GroupID], Reached: r.Reached, Relation: r.Relation}
		for _, id := range r.Via {
			one.Via = append(one.Via, paths[id])
		}
		got = append(got, one)
	}
	want := []reach{
		{"/", true, "", []string{"/a", "/"}},
		{"/a", true, "located_at", []string{"/a"}},
		{"/a/b", true, "located_at", []string{"/a/b/c", "/a/b"}},
		{"/x", false, "", nil},
	}
	if diff := cmp.Diff(want, got); diff != "" || explained.Inherited {
		t.Errorf("inherited %v (-want +got):\n%s", explained.Inherited, diff)
	}
	_, err = w.ExplainPolicy(t.Context(), w.scope, d.ID, "ghost")
	refused(t, err, registry.CodeNotFound, "policy")
	_, err = w.ExplainPolicy(t.Context(), w.scope, "ghost", "p")
	refused(t, err, registry.CodeNotFound, "object")

	c, _ := w.GroupByPath(t.Context(), w.scope, "/a/b/c")
	lone := w.device("lone")
	w.policy("q", "/", "/a")
	for thing, want := range map[registry.Related]bool{c: true, lone: false} {
		explained, err := w.ExplainPolicy(t.Context(), w.scope, thing.NodeID(), "q")
		if err != nil || explained.Inherited != want || explained.Groups[1].Relation != "" || !explained.Groups[0].Reached {
			t.Errorf("q for %v = %+v, %v, want %v", thing, explained, err, want)
		}
	}
}

func TestTwinsUnder(t *testing.T) {
	w := newWorld(t)
	other := newOther(w)
	w.groups("/a/b")
	in, out := w.device("in", "/a/b"), w.device("out")
	for path, want := range map[string]map[registry.ID]bool{
		"/a": {in.ID: true}, "/a/b": {in.ID: true}, "/": {in.ID: true, out.ID: true}, "/ghost": {},
	} {
		w.trips(1, "twins under", func(ctx context.Context) error {
			got, err := w.TwinsUnder(ctx, w.scope, path, []registry.ID{in.ID, out.ID, "ghost"})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("under %s: %s", path, diff)
			}
			return err
		})
	}
	if got, err := other.TwinsUnder(t.Context(), other.scope, "/", []registry.ID{in.ID}); err != nil || len(got) != 0 {
		t.Errorf("another account's twins: %v, %v", got, err)
	}
}
