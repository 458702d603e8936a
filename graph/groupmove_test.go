package graph_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// moveGroup moves a group to a parent, "" for its own, and to a name, likewise.
func (w world) moveGroup(path, parent, name string) (*registry.MovedGroup, error) {
	move := registry.GroupMove{}
	if parent != "" {
		move.Parent = &parent
	}
	if name != "" {
		move.Name = &name
	}
	return w.MoveGroup(w.Context(), w.scope, group(path), move)
}

// Paths are cut where the old beginning ends, however many bytes its characters
// take, as they are written and folded.
func TestMoveGroupOfOddCharacters(t *testing.T) {
	w := newWorld(t)
	w.groups("/A😀İ/Below/x", "/A😀/y", "/b")
	for _, step := range []struct {
		path, parent, name string
		want               []string
	}{
		{"/A😀İ", "/b", "", []string{"/A😀 1", "/A😀/y 2", "/b 1", "/b/A😀İ 2", "/b/A😀İ/Below 3", "/b/A😀İ/Below/x 4"}},
		{"/b/a😀İ", "/", "c", []string{"/A😀 1", "/A😀/y 2", "/b 1", "/c 1", "/c/Below 2", "/c/Below/x 3"}},
	} {
		must(w.moveGroup(step.path, step.parent, step.name))
		if diff := cmp.Diff(step.want, w.tree()); diff != "" {
			t.Errorf("%s to %s: %s", step.path, step.parent, diff)
		}
	}
}

// tree lists the account's groups as "PATH DEPTH", and checks them against the
// edges.
func (w world) tree() []string {
	w.Helper()
	rows, err := w.Cypher(w.Context(), w.scope, `
		MATCH (root:Group) WHERE root.account = $account AND root.keyFold = '/'
		MATCH way = (root)<-[:CHILD_OF*1..40]-(g:Group)
		RETURN g.path AS path, g.keyFold AS key, g.depth AS depth, g.name AS name, [r IN relationships(way) | r.name] AS names, [r IN relationships(way) | r.nameFold] AS folded
		ORDER BY path`, nil)
	if err != nil {
		w.Fatal(err)
	}
	out := []string{}
	for _, row := range rows {
		var path, key string
		for i, name := range row["names"].([]any) {
			path, key = path+"/"+name.(string), key+"/"+row["folded"].([]any)[i].(string)
		}
		depth := strings.Count(path, "/")
		if row["path"] != path || row["key"] != key || key != graph.Fold(path) || row["depth"] != int64(depth) || !strings.HasSuffix(path, "/"+row["name"].(string)) {
			w.Errorf("group %v has path %s, depth %d", row, path, depth)
		}
		out = append(out, fmt.Sprintf("%s %d", path, depth))
	}
	return out
}

func TestMoveGroup(t *testing.T) {
	w := newWorld(t)
	other := newOther(w)
	other.groups("/x")
	w.groups("/a/B/c", "/a/bb", "/x")
	d := w.device("d", "/a/b/c")
	w.policy("of_a", "/a")
	w.policy("of_x", "/x")
	w.policy("nested", "/a", "/a/b")
	w.policy("both", "/x", "/a/b")
	w.inherits(d, "nested", "of_a")

	moved, err := w.moveGroup("/a/b", "/X", "Ü")
	if err != nil || moved.Moved != 2 || moved.Group.Path != "/x/Ü" || moved.Group.Depth != 2 || moved.Group.Version != 2 {
		t.Fatalf("moved = %+v, %v", moved, err)
	}
	if diff := cmp.Diff([]string{"/a 1", "/a/bb 2", "/x 1", "/x/Ü 2", "/x/Ü/c 3"}, w.tree()); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	read, err := w.GroupByPath(t.Context(), w.scope, "/x/ü")
	if diff := cmp.Diff(moved.Group, read); diff != "" || err != nil {
		t.Errorf("read back: %v\n%s", err, diff)
	}
	// Both groups of "nested" count now: no longer is one above the other.
	w.inherits(d, "both", "of_x")
	w.policy("of_u", "/x/ü")
	w.device("in_both", "/a", "/x/ü")
	with, err := w.DeviceByReference(t.Context(), w.scope, "in_both", graph.Include{Policies: true})
	if got := referencesOf(with.Policies); err != nil || !slices.Equal(got, []string{"nested", "both", "of_u", "of_a", "of_x"}) {
		t.Errorf("in both: %q, %v", got, err)
	}

	// There already: nothing changes. Another case of the name is another name.
	before := w.journal()
	if moved, err = w.moveGroup("/x/ü", "/x", "Ü"); err != nil || moved.Moved != 0 || moved.Group.Version != 2 {
		t.Errorf("moved to where it is: %+v, %v", moved, err)
	}
	if diff := cmp.Diff(before, w.journal()); diff != "" {
		t.Errorf("journal (-before +after):\n%s", diff)
	}
	if moved, err = w.moveGroup("/x", "", "X"); err != nil || moved.Moved != 3 || moved.Group.Path != "/X" {
		t.Errorf("another case: %+v, %v", moved, err)
	}
	if diff := cmp.Diff([]string{"/X 1", "/X/Ü 2", "/X/Ü/c 3", "/a 1", "/a/bb 2"}, w.tree()); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	// The past stays walkable.
	rows, err := w.Cypher(t.Context(), w.scope, `
		MATCH (g:Group) WHERE g.account = $account AND g.keyFold = '/x/ü'
		MATCH (g)-[r:WAS_CHILD_OF]->(p) RETURN p.path + '/' + r.name AS was, r.since < r.until AS ended`, nil)
	if err != nil || len(rows) != 1 || rows[0]["was"] != "/a/B" || rows[0]["ended"] != true {
		t.Errorf("former places: %v, %v", rows, err)
	}
}

func TestMoveGroupRefused(t *testing.T) {
	w := newWorld(t)
	w.groups("/a/b/c", "/x/b", "/y", strings.Repeat("/g", registry.MaxGroupDepth-1))
	long := strings.Repeat("é", 64)
	deep := ""
	for range 15 {
		deep += "/" + long
	}
	w.groups(deep, "/"+strings.Repeat("z", 80))
	before, tree := w.journal(), w.tree()
	for name, move := range map[string]struct {
		path, parent, name string
		code               registry.Code
		part               string
	}{
		"the root":              {"/", "/a", "", registry.CodeInvalid, "root"},
		"nothing":               {"/ghost", "/a", "", registry.CodeNotFound, "/ghost"},
		"to nowhere":            {"/a", "/ghost", "", registry.CodeInvalid, "/ghost"},
		"below itself":          {"/a", "/a", "", registry.CodeFailedPrecondition, "below itself"},
		"below its child":       {"/a", "/A/b/c", "", registry.CodeFailedPrecondition, "below itself"},
		"to a taken name":       {"/a/b", "/x", "", registry.CodeConflict, "/x/b"},
		"to another taken name": {"/a", "", "Y", registry.CodeConflict, "/Y"},
		"to a bad name":         {"/a", "", "b/c", registry.CodeInvalid, "name"},
		"too deep":              {"/a", strings.Repeat("/g", registry.MaxGroupDepth-2), "", registry.CodeLimitExceeded, "32"},
		"too long":              {"/" + long, "/" + strings.Repeat("z", 80), "", registry.CodeLimitExceeded, "bytes"},
	} {
		_, err := w.moveGroup(move.path, move.parent, move.name)
		if registry.CodeOf(err) != move.code || !strings.Contains(err.Error(), move.part) {
			t.Errorf("%s: %v, want %s with %q", name, err, move.code, move.part)
		}
	}
	stale := 7
	_, err := w.MoveGroup(t.Context(), w.scope, group("/a"), registry.GroupMove{Name: new("b"), IfVersion: &stale})
	refused(t, err, registry.CodeConflict, "version 1")
	if diff := cmp.Diff(before, w.journal()); diff != "" {
		t.Errorf("journal (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(tree, w.tree()); diff != "" {
		t.Errorf("groups (-before +after):\n%s", diff)
	}
	if _, err := w.moveGroup("/"+long, "/y", ""); err != nil {
		t.Errorf("not too long: %v", err)
	}
}

func TestDeleteGroupCascade(t *testing.T) {
	w := newWorld(t)
	w.groups("/a/b/c", "/a/d", "/e")
	in, kept := w.device("in", "/a/b/c", "/a/d", "/e"), w.policy("p", "/a/b", "/e")
	if _, _, err := w.Relate(t.Context(), w.scope, group("/a/b"), "near", group("/a/d")); err != nil {
		t.Fatal(err)
	}
	_, err := w.DeleteGroup(t.Context(), w.scope, group("/a/b"), registry.GroupDeletion{Cascade: true})
	refused(t, err, registry.CodeFailedPrecondition, "p applies")
	_, err = w.DeleteGroup(t.Context(), w.scope, group("/a"), registry.GroupDeletion{Cascade: true})
	refused(t, err, registry.CodeFailedPrecondition, "p applies")
	_, err = w.DeleteGroup(t.Context(), w.scope, group("/"), registry.GroupDeletion{Cascade: true})
	refused(t, err, registry.CodeInvalid, "root")
	if _, err := w.UpdatePolicy(t.Context(), w.scope, registry.Ref{ID: kept.ID}, registry.PolicyPatch{AppliesTo: []string{"/e"}}); err != nil {
		t.Fatal(err)
	}
	_, err = w.DeleteGroup(t.Context(), w.scope, group("/a"), registry.GroupDeletion{Cascade: true, IfVersion: new(2)})
	refused(t, err, registry.CodeConflict, "version 1")
	before := len(w.journal())
	deleted, err := w.DeleteGroup(t.Context(), w.scope, group("/a"), registry.GroupDeletion{Cascade: true})
	if err != nil || deleted.Groups != 4 || deleted.Relations != 3 || deleted.Group.Path != "/a" {
		t.Fatalf("deleted = %+v, %v", deleted, err)
	}
	want := []string{"unrelated DEVICE in", "deleted GROUP /a/b/c", "deleted GROUP /a/b", "deleted GROUP /a/d", "deleted GROUP /a"}
	if diff := cmp.Diff(want, w.journal()[before:]); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
	told := must(w.ListChanges(t.Context(), w.scope, registry.ChangeFilter{ObjectID: in.ID}, registry.PageRequest{Size: 1})).Items[0]
	var ended []any
	for _, d := range told.Differences {
		ended = append(ended, d.Path, d.Before.(map[string]any)["key"], d.After)
	}
	if diff := cmp.Diff([]any{"relations.located_at", "/a/b/c", nil, "relations.located_at", "/a/d", nil}, ended); diff != "" {
		t.Errorf("what ended (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/e 1"}, w.tree()); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	w.inherits(in, "p")
	with, err := w.DeviceByReference(t.Context(), w.scope, "in", graph.Include{Groups: true})
	if err != nil || len(with.Groups) != 1 || with.Groups[0].Path != "/e" {
		t.Errorf("the device is in %+v, %v", with, err)
	}
}

func TestMembersByTemplateAndState(t *testing.T) {
	w := newWorld(t)
	w.groups("/a/b")
	w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "Lamp", Relations: []registry.RelationRule{
		{Name: "located_at", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true},
	}})
	w.device("plain", "/a/b")
	for reference, state := range map[string]registry.State{"on": registry.StateActive, "old": registry.StateRetired} {
		if _, err := w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: reference, Template: "lamp", State: state, Relations: locatedAt("/a/b")}); err != nil {
			t.Fatal(err)
		}
	}
	a, _ := w.GroupByPath(t.Context(), w.scope, "/a")
	for name, test := range map[string]struct {
		filter graph.MemberFilter
		want   []string
	}{
		"all":      {graph.MemberFilter{Deep: true}, []string{"old", "on", "plain"}},
		"direct":   {graph.MemberFilter{}, nil},
		"template": {graph.MemberFilter{Deep: true, Template: "LAMP"}, []string{"old", "on"}},
		"state":    {graph.MemberFilter{Deep: true, State: registry.StateActive}, []string{"on", "plain"}},
		"both":     {graph.MemberFilter{Deep: true, Template: "Lamp", State: registry.StateRetired}, []string{"old"}},
	} {
		page, err := w.Members(t.Context(), w.scope, a.ID, test.filter, registry.PageRequest{Size: 10})
		var got []string
		for _, twin := range page.Items {
			got = append(got, twin.(*registry.Device).Reference)
		}
		n, countErr := w.CountMembers(t.Context(), w.scope, a.ID, test.filter)
		if err != nil || countErr != nil || n != len(test.want) || !slices.Equal(got, test.want) {
			t.Errorf("%s: %q (%d), %v, %v, want %q", name, got, n, err, countErr, test.want)
		}
	}
}

func TestGroupsByPaths(t *testing.T) {
	w := newWorld(t)
	w.groups("/b", "/a/c")
	f := registry.Filter{Keys: []string{"/B/", "/ghost", "/", "/a/C"}}
	page, err := w.ListGroups(t.Context(), w.scope, f, registry.PageRequest{Size: 10})
	var got []string
	for _, g := range page.Items {
		got = append(got, g.Path)
	}
	n, countErr := w.CountGroups(t.Context(), w.scope, f)
	if err != nil || countErr != nil || n != 3 || !slices.Equal(got, []string{"/", "/a/c", "/b"}) {
		t.Errorf("groups = %q (%d), %v, %v", got, n, err, countErr)
	}
	if page, err = w.ListGroups(t.Context(), w.scope, registry.Filter{Keys: []string{}}, registry.PageRequest{Size: 10}); err != nil || len(page.Items) != 0 {
		t.Errorf("no paths: %v, %v", page, err)
	}
	_, err = w.ListGroups(t.Context(), w.scope, registry.Filter{Keys: []string{"/a"}, Under: "/"}, registry.PageRequest{Size: 10})
	violates(t, err, "under", "exclusive")
}

func TestCreateGroups(t *testing.T) {
	w := newWorld(t)
	w.groups("/taken")
	in := []registry.NewGroup{
		{Parent: "/a/b", Name: "c"}, {Parent: "/a/", Name: "b"}, {Name: "a", Description: new("top")}, {Name: "TAKEN"},
		{Parent: "/ghost", Name: "x"}, {Parent: "/ghost/x", Name: "y"}, {Name: "a/b"}, {Parent: "/A", Name: "B"},
		{Parent: "/taken", Name: "in", Relations: []registry.NewRelation{{Name: "near", To: []registry.Ref{group("/a")}}}},
	}
	got, err := w.CreateGroups(t.Context(), w.scope, in, true)
	refused(t, err, registry.CodeConflict, "groups[3]")
	e, _ := errors.AsType[*registry.Error](err)
	var wrong []string
	for _, v := range e.Violations {
		wrong = append(wrong, v.Path+" "+v.Rule)
	}
	if diff := cmp.Diff([]string{"groups[3] conflict", "groups[4].parent unknown", "groups[5].parent unknown", "groups[6].name format", "groups[7] conflict"}, wrong); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/taken 1"}, w.tree()); got != nil || diff != "" {
		t.Errorf("after a refusal (-want +got):\n%s", diff)
	}
	if got, err = w.CreateGroups(t.Context(), w.scope, in, false); err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	for i, r := range got.Results {
		text := r.Key
		if r.Error != nil {
			text += " " + string(r.Error.Code)
		} else if g := r.Object.(*registry.Group); g.Path != r.Key || r.Index != i {
			t.Errorf("item %d is %+v", i, r)
		}
		outcomes = append(outcomes, text)
	}
	want := []string{"/a/b/c", "/a/b", "/a", "/TAKEN CONFLICT", "/ghost/x INVALID", "/ghost/x/y INVALID", "/a/b INVALID", "/A/B CONFLICT", "/taken/in"}
	if diff := cmp.Diff(want, outcomes); diff != "" || got.Succeeded != 4 || got.Failed != 5 || got.Total != 9 {
		t.Errorf("%+v (-want +got):\n%s", got, diff)
	}
	if diff := cmp.Diff([]string{"/a 1", "/a/b 2", "/a/b/c 3", "/taken 1", "/taken/in 2"}, w.tree()); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	// More than a transaction holds, the last first.
	var many []registry.NewGroup
	for i := range 700 {
		many = append(many, registry.NewGroup{Parent: fmt.Sprintf("/many/%d", i/100), Name: fmt.Sprint(i)})
	}
	for i := range 7 {
		many = append(many, registry.NewGroup{Parent: "/many", Name: fmt.Sprint(i)})
	}
	many = append(many, registry.NewGroup{Name: "many"})
	slices.Reverse(many[:300])
	if got, err = w.CreateGroups(t.Context(), w.scope, many, false); err != nil || got.Succeeded != len(many) {
		t.Errorf("%d of %d were made: %v", got.Succeeded, len(many), err)
	}
	if n := len(w.tree()); n != 5+len(many) {
		t.Errorf("%d groups", n)
	}
}
