package graph_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// forest is a random world: groups by path, devices in groups, policies on
// groups.
type forest struct {
	paths    []string // parents first; the root is not among them
	devices  [][]int  // groups of each device
	tags     [][]int  // groups that a device is merely tagged with
	policies [][]int  // groups of each policy; -1 is the root
}

func drawForest(t *rapid.T) forest {
	var f forest
	for i := range rapid.IntRange(1, 14).Draw(t, "groups") {
		parent := ""
		if above := rapid.IntRange(-1, i-1).Draw(t, "parent"); above >= 0 {
			parent = f.paths[above]
		}
		f.paths = append(f.paths, fmt.Sprintf("%s/%d", parent, i))
	}
	some := func(least int, most int, from int) []int {
		return rapid.SliceOfNDistinct(rapid.IntRange(from, len(f.paths)-1), least, min(most, len(f.paths)-from), rapid.ID[int]).Draw(t, "some")
	}
	for range rapid.IntRange(1, 5).Draw(t, "devices") {
		f.devices = append(f.devices, some(0, 4, 0))
		f.tags = append(f.tags, some(0, 1, 0))
	}
	for range rapid.IntRange(1, 8).Draw(t, "policies") {
		f.policies = append(f.policies, some(1, 4, -1))
	}
	return f
}

// above lists a group's ancestors, by the definition of a path; -1 is the root.
// A group that was deleted has no path.
func (f forest) above(group int) []int {
	if group < 0 {
		return nil
	}
	out := []int{-1}
	for other, path := range f.paths {
		if path != "" && strings.HasPrefix(f.paths[group], path+"/") {
			out = append(out, other)
		}
	}
	return out
}

func (f forest) depth(group int) int {
	if group < 0 {
		return 0
	}
	return strings.Count(f.paths[group], "/")
}

// inherited decides by the definition: everything that a policy applies to is
// in the closure; ordered by the deepest group that is no ancestor of another,
// then by the sum of their depths, then by reference.
func (f forest) inherited(groups []int) []string {
	closure := map[int]bool{-1: true}
	for _, group := range groups {
		closure[group] = true
		for _, above := range f.above(group) {
			closure[above] = true
		}
	}
	type ranked struct {
		reference    string
		deepest, sum int
	}
	var found []ranked
	for i, policy := range f.policies {
		if policy == nil || slices.ContainsFunc(policy, func(group int) bool { return !closure[group] }) {
			continue
		}
		r := ranked{reference: fmt.Sprintf("p%d", i)}
		for _, group := range policy {
			if !slices.ContainsFunc(policy, func(other int) bool { return slices.Contains(f.above(other), group) }) {
				r.deepest, r.sum = max(r.deepest, f.depth(group)), r.sum+f.depth(group)
			}
		}
		found = append(found, r)
	}
	slices.SortFunc(found, func(a, b ranked) int {
		if a.deepest != b.deepest {
			return b.deepest - a.deepest
		}
		if a.sum != b.sum {
			return b.sum - a.sum
		}
		return strings.Compare(a.reference, b.reference)
	})
	out := []string{}
	for _, r := range found {
		out = append(out, r.reference)
	}
	return out
}

// plant makes the forest in the account, below a group of its own: nodes in one
// statement, edges in another, policies as a user would.
func (w world) plant(f forest, name string) {
	w.Helper()
	place := func(group int) string {
		if group < 0 {
			return "/" + name
		}
		return "/" + name + f.paths[group]
	}
	groups := []any{map[string]any{"path": place(-1), "parent": "/", "name": name, "depth": 1}}
	for i := range f.paths {
		path := place(i)
		groups = append(groups, map[string]any{"path": path, "parent": path[:strings.LastIndex(path, "/")], "name": fmt.Sprint(i), "depth": f.depth(i) + 1})
	}
	devices, memberships := []string{}, []any{}
	for i := range f.devices {
		devices = append(devices, fmt.Sprintf("%s-%d", name, i))
		for _, group := range f.devices[i] {
			memberships = append(memberships, map[string]any{"device": devices[i], "group": place(group), "inherits": nil})
		}
		for _, group := range f.tags[i] {
			memberships = append(memberships, map[string]any{"device": devices[i], "group": place(group), "inherits": false})
		}
	}
	p := map[string]any{"groups": groups, "devices": devices, "memberships": memberships}
	for _, text := range []string{`
		UNWIND $groups AS g
		CREATE (:Group:Entity {id: randomUUID(), account: $account, keyFold: g.path, path: g.path, name: g.name, depth: g.depth,
			templateFold: 'open', version: 1, createdAt: datetime(), updatedAt: datetime()})
		WITH DISTINCT 1 AS done
		UNWIND $devices AS reference
		CREATE (:Device:Entity {id: randomUUID(), account: $account, keyFold: reference, reference: reference, state: 'ACTIVE',
			templateFold: 'open', version: 1, createdAt: datetime(), updatedAt: datetime()})`, `
		MATCH (gt:Template) WHERE gt.account = $account AND gt.keyFold = 'group/open/000001'
		MATCH (dt:Template) WHERE dt.account = $account AND dt.keyFold = 'device/open/000001'
		CALL (gt) {
			UNWIND $groups AS g
			MATCH (n:Group) WHERE n.account = $account AND n.keyFold = g.path
			MATCH (parent:Group) WHERE parent.account = $account AND parent.keyFold = g.parent
			CREATE (parent)<-[:CHILD_OF {name: g.name, nameFold: g.name, since: 0}]-(n)-[:INSTANCE_OF]->(gt)
		}
		CALL (dt) {
			UNWIND $devices AS reference
			MATCH (n:Device) WHERE n.account = $account AND n.keyFold = reference
			CREATE (n)-[:INSTANCE_OF]->(dt)
		}
		UNWIND $memberships AS m
		MATCH (n:Device) WHERE n.account = $account AND n.keyFold = m.device
		MATCH (g:Group) WHERE g.account = $account AND g.keyFold = m.group
		CREATE (n)-[r:LOCATED_AT]->(g)
		SET r.inherits = m.inherits`} {
		if _, err := w.Cypher(w.Context(), w.scope, text, p); err != nil {
			w.Fatal(err)
		}
	}
	for i, policy := range f.policies {
		w.policy(fmt.Sprintf("%s-p%d", name, i), places(f, name, policy)...)
	}
}

// places are the paths of groups in the account.
func places(f forest, name string, groups []int) []string {
	out := []string{}
	for _, group := range groups {
		path := "/" + name
		if group >= 0 {
			path += f.paths[group]
		}
		out = append(out, path)
	}
	return out
}

// The answer and its order are those of the definition, for whoever asks, at
// once after every change. Each round has a sub-tree of its own in one account,
// so the group at its top stands for the root: whoever is in no group of the
// round does not inherit from it.
func TestInheritanceByDefinition(t *testing.T) {
	w := newWorld(t)
	second, err := graph.Open(t.Context(), testkit.Config(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { second.Close(context.Background()) })
	stores := []*graph.Store{w.Store, second}
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		name := fmt.Sprintf("r%d", round)
		f := drawForest(t)
		w.plant(f, name)
		ids := w.idsOf(f, name)
		w.checkForest(t, stores, f, name, ids)
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			changed := stores[rapid.IntRange(0, 1).Draw(t, "store")]
			world{w.T, changed, w.scope}.shake(t, &f, name)
			w.checkForest(t, stores, f, name, ids)
		}
	})
	if round < 100 {
		t.Errorf("only %d random graphs", round)
	}
}

func (w world) idsOf(f forest, name string) []registry.ID {
	w.Helper()
	references := []string{}
	for i := range f.devices {
		references = append(references, fmt.Sprintf("%s-%d", name, i))
	}
	known := must(w.KnownDevices(w.Context(), w.scope, references))
	var ids []registry.ID
	for _, reference := range references {
		ids = append(ids, known[reference].ID)
	}
	return ids
}

// shake moves or deletes a group, or changes what a policy applies to.
func (w world) shake(t *rapid.T, f *forest, name string) {
	var alive []int
	for i, path := range f.paths {
		if path != "" {
			alive = append(alive, i)
		}
	}
	some := func(groups []int, label string) int { return rapid.SampledFrom(groups).Draw(t, label) }
	policy := rapid.IntRange(0, len(f.policies)-1).Draw(t, "policy")
	reference := fmt.Sprintf("%s-p%d", name, policy)
	wholeForest := append([]int{-1}, alive...)
	ctx := w.Context()
	var err error
	switch what := rapid.IntRange(0, 5).Draw(t, "what"); {
	case what <= 2 && len(alive) > 0:
		from, to := some(alive, "from"), some(wholeForest, "to")
		paths := places(*f, name, []int{from, to})
		_, err = w.MoveGroup(ctx, w.scope, group(paths[0]), registry.GroupMove{Parent: &paths[1]})
		if from == to || slices.Contains(f.above(to), from) {
			if registry.CodeOf(err) != registry.CodeFailedPrecondition {
				t.Fatalf("%s was moved below itself: %v", paths[0], err)
			}
			return
		}
		f.move(from, to)
	case what == 3 && len(alive) > 0:
		top := some(alive, "gone")
		_, err = w.DeleteGroup(ctx, w.scope, group(places(*f, name, []int{top})[0]), registry.GroupDeletion{Cascade: true})
		if f.delete(top) {
			break
		}
		if registry.CodeOf(err) != registry.CodeFailedPrecondition {
			t.Fatalf("group %d was deleted under its policies: %v", top, err)
		}
		return
	case what == 4 && f.policies[policy] != nil:
		f.policies[policy] = nil
		_, err = w.DeletePolicy(ctx, w.scope, registry.Ref{Key: reference})
	default:
		applies := rapid.SliceOfNDistinct(rapid.SampledFrom(wholeForest), 1, min(4, len(wholeForest)), rapid.ID[int]).Draw(t, "applies")
		if f.policies[policy] == nil {
			w.policy(reference, places(*f, name, applies)...)
		} else {
			_, err = w.UpdatePolicy(ctx, w.scope, registry.Ref{Key: reference}, registry.PolicyPatch{AppliesTo: places(*f, name, applies)})
		}
		f.policies[policy] = applies
	}
	if err != nil {
		t.Fatal(err)
	}
}

// move puts a group and all below it under another; -1 is the root.
func (f *forest) move(from, to int) {
	before, after := f.paths[from], fmt.Sprintf("/%d", from)
	if to >= 0 {
		after = f.paths[to] + after
	}
	for i, path := range f.paths {
		if path == before || strings.HasPrefix(path, before+"/") {
			f.paths[i] = after + strings.TrimPrefix(path, before)
		}
	}
}

// delete takes a group away with all below it, unless a policy applies there.
func (f *forest) delete(top int) bool {
	gone := func(group int) bool { return group == top || slices.Contains(f.above(group), top) }
	if slices.ContainsFunc(f.policies, func(policy []int) bool { return slices.ContainsFunc(policy, gone) }) {
		return false
	}
	var all []int
	for i, path := range f.paths {
		if path != "" && gone(i) {
			all = append(all, i)
		}
	}
	f.devices = slices.Clone(f.devices)
	for i, groups := range f.devices {
		f.devices[i] = slices.DeleteFunc(slices.Clone(groups), func(group int) bool { return slices.Contains(all, group) })
	}
	for _, i := range all {
		f.paths[i] = ""
	}
	return true
}

func (w world) checkForest(t *rapid.T, stores []*graph.Store, f forest, name string, devices []registry.ID) {
	want := [][]string{}
	for _, groups := range f.devices {
		expected := []string{}
		if len(groups) > 0 {
			expected = prefixed(name, f.inherited(groups))
		}
		want = append(want, expected)
	}
	for i, store := range stores {
		with := must(store.DeviceByReference(w.Context(), w.scope, name+"-0", graph.Include{Policies: true}))
		if got := referencesOf(with.Policies); !slices.Equal(got, want[0]) {
			t.Fatalf("store %d: the first device of %+v inherits %q, want %q", i, f, got, want[0])
		}
		ids, want := slices.Clone(devices), slices.Clone(want)
		for last := len(f.paths) - 1; last >= 0; last-- {
			if f.paths[last] != "" {
				ids = append(ids, must(store.GroupByPath(w.Context(), w.scope, "/"+name+f.paths[last])).ID)
				want = append(want, prefixed(name, f.inherited([]int{last})))
				break
			}
		}
		got := must(store.InheritedPolicyReferences(w.Context(), w.scope, ids, nil))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("store %d: %+v (-want +got):\n%s", i, f, diff)
		}
	}
}

func prefixed(name string, references []string) []string {
	out := []string{}
	for _, reference := range references {
		out = append(out, name+"-"+reference)
	}
	return out
}
