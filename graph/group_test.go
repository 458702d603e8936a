package graph_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

func TestGroupLife(t *testing.T) {
	w := newWorld(t)
	other := newOther(w)
	w.groups("/Site")
	site, err := w.GroupByPath(t.Context(), w.scope, "/site")
	if err != nil || site.Path != "/Site" || site.Depth != 1 || site.Version != 1 {
		t.Fatalf("site = %+v, %v", site, err)
	}
	hall, err := w.CreateGroup(t.Context(), w.scope, registry.NewGroup{Parent: "/SITE/", Name: "Halle Süd", Attributes: map[string]any{"area": 12.5}})
	if err != nil || hall.Path != "/Site/Halle Süd" || hall.ParentID != site.ID || hall.Depth != 2 {
		t.Fatalf("hall = %+v, %v", hall, err)
	}
	// The same name in another composition of Unicode and another case.
	read, err := w.GroupByPath(t.Context(), w.scope, "/site/HALLE SU\u0308D")
	if diff := cmp.Diff(hall, read); diff != "" || err != nil {
		t.Errorf("read back: %v\n%s", err, diff)
	}
	_, err = w.CreateGroup(t.Context(), w.scope, registry.NewGroup{Parent: "/site", Name: "halle süd"})
	refused(t, err, registry.CodeConflict, "halle süd")
	_, err = w.CreateGroup(t.Context(), w.scope, registry.NewGroup{Parent: "/ghost", Name: "x"})
	violates(t, err, "parent", "unknown")
	for _, name := range []string{"", ".", "..", "a/b", strings.Repeat("x", 129), " x"} {
		_, err = w.CreateGroup(t.Context(), w.scope, registry.NewGroup{Name: name})
		violates(t, err, "name", "format")
	}
	_, err = w.CreateGroup(t.Context(), w.scope, registry.NewGroup{Name: "tab\t"})
	violates(t, err, "name", "invisible")

	updated, err := w.UpdateGroup(t.Context(), w.scope, group("/site/halle süd/"), registry.TwinPatch{
		Description: registry.Some("south"), Attributes: map[string]any{"area": nil, "floor": 2},
	})
	if err != nil || updated.Version != 2 || *updated.Description != "south" || !cmp.Equal(updated.Attributes, map[string]any{"floor": int64(2)}) {
		t.Errorf("updated = %+v, %v", updated, err)
	}
	if read, _ := w.GroupsByID(t.Context(), w.scope, []registry.ID{hall.ID, "ghost"}); !cmp.Equal(read, []*registry.Group{updated, nil}) {
		t.Errorf("by id: %s", cmp.Diff([]*registry.Group{updated, nil}, read))
	}
	if strangers, err := other.GroupsByID(t.Context(), other.scope, []registry.ID{hall.ID}); err != nil || strangers[0] != nil {
		t.Errorf("another account sees %v, %v", strangers, err)
	}
	_, err = other.UpdateGroup(t.Context(), other.scope, registry.Ref{ID: hall.ID}, registry.TwinPatch{})
	refused(t, err, registry.CodeNotFound, string(hall.ID))

	_, err = w.DeleteGroup(t.Context(), w.scope, group("/"), registry.GroupDeletion{})
	refused(t, err, registry.CodeInvalid, "root")
	_, err = w.DeleteGroup(t.Context(), w.scope, group("/site"), registry.GroupDeletion{})
	refused(t, err, registry.CodeFailedPrecondition, "1 child")
	w.device("d", "/site/halle süd")
	_, err = w.DeleteGroup(t.Context(), w.scope, byID(hall), registry.GroupDeletion{})
	refused(t, err, registry.CodeFailedPrecondition, "1 member")
	if _, err := w.DeleteDevice(t.Context(), w.scope, device("d")); err != nil {
		t.Fatal(err)
	}
	deleted, err := w.DeleteGroup(t.Context(), w.scope, byID(hall), registry.GroupDeletion{})
	if diff := cmp.Diff(&registry.DeletedGroup{Group: updated, DeletedGroups: registry.DeletedGroups{Groups: 1}}, deleted); diff != "" || err != nil {
		t.Errorf("deleted: %v\n%s", err, diff)
	}
	_, err = w.DeleteGroup(t.Context(), w.scope, byID(hall), registry.GroupDeletion{})
	refused(t, err, registry.CodeNotFound, string(hall.ID))
}

func TestGroupDepth(t *testing.T) {
	w := newWorld(t)
	path := strings.Repeat("/g", registry.MaxGroupDepth)
	w.groups(path)
	_, err := w.CreateGroup(t.Context(), w.scope, registry.NewGroup{Parent: path, Name: "g"})
	refused(t, err, registry.CodeLimitExceeded, "32")
	deepest, err := w.GroupByPath(t.Context(), w.scope, path)
	if err != nil {
		t.Fatal(err)
	}
	above, err := w.Ancestors(t.Context(), w.scope, []registry.ID{"ghost", deepest.ID})
	if err != nil || above[0] != nil || len(above[1]) != registry.MaxGroupDepth || above[1][0].Depth != 31 || above[1][31].Path != "/" {
		t.Errorf("ancestors = %v, %v", above, err)
	}
	w.policy("top", "/g")
	w.inherits(deepest, "top")
}

func TestChildrenAndTree(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		w.groups(fmt.Sprintf("/a/c%d/x", i), fmt.Sprintf("/b/d%d", i))
	}
	a, _ := w.GroupByPath(t.Context(), w.scope, "/a")
	b, _ := w.GroupByPath(t.Context(), w.scope, "/b")
	pathsOf := func(page registry.Page[*registry.Group]) string {
		var out []string
		for _, g := range page.Items {
			out = append(out, g.Path)
		}
		return fmt.Sprint(out, page.HasPrevious, page.HasNext)
	}
	for want, page := range map[string]registry.PageRequest{
		"[/a/c0 /a/c1 /a/c2] false true": {Size: 3},
		"[/a/c3 /a/c4 /a/c5] true true":  {Size: 3, Key: "/a/C2"},
		"[/a/c6] true false":             {Size: 3, Key: "/a/c5"},
		"[/a/c4 /a/c5 /a/c6] true false": {Size: 3, Backward: true},
		"[/a/c0 /a/c1] false true":       {Size: 3, Backward: true, Key: "/a/c2"},
		"[] false true":                  {Size: 0},
	} {
		w.trips(1, "children", func(ctx context.Context) error {
			pages, err := w.Children(ctx, w.scope, []registry.ID{a.ID, "ghost", b.ID}, page)
			if err == nil && (pathsOf(pages[0]) != want || len(pages[1].Items) != 0) {
				t.Errorf("children with %+v = %s, want %s", page, pathsOf(pages[0]), want)
			}
			return err
		})
	}
	if n, err := w.CountChildren(t.Context(), w.scope, a.ID); err != nil || n != 7 {
		t.Errorf("count = %d, %v", n, err)
	}
	for _, brief := range []bool{false, true} {
		w.trips(1, "tree", func(ctx context.Context) error {
			tree, err := w.GroupTree(ctx, w.scope, "/", []int{5, 2, 1}, brief)
			if err != nil {
				return err
			}
			if len(tree.Children) != 2 || tree.HasNext || tree.Children[0].Group.Path != "/a" || !tree.Children[1].HasNext ||
				len(tree.Children[0].Children) != 2 || tree.Children[0].Children[1].Children[0].Group.Path != "/a/c1/x" {
				t.Errorf("tree = %+v", tree)
			}
			leaf, whole := tree.Children[0].Children[1].Children[0].Group, tree.Children[0].Children[1].Group
			if leaf.Name != "x" || leaf.Depth != 3 || leaf.ParentID != whole.ID || (leaf.TemplateID == "") != brief {
				t.Errorf("brief: %t, leaf = %+v", brief, leaf)
			}
			return nil
		})
	}
	if tree, err := w.GroupTree(t.Context(), w.scope, "/a/c1", nil, false); err != nil || tree.Group.Name != "c1" || tree.Children != nil {
		t.Errorf("tree of no levels = %+v, %v", tree, err)
	}
	_, err := w.GroupTree(t.Context(), w.scope, "/ghost", []int{1}, true)
	refused(t, err, registry.CodeNotFound, "/ghost")
}

// A group is deleted while devices are being put into it: whatever happens,
// nothing is half made.
func TestDeleteGroupWhileItFills(t *testing.T) {
	w := newWorld(t)
	for round := range 5 {
		path := fmt.Sprintf("/g%d", round)
		w.groups(path)
		var group_ sync.WaitGroup
		made := make([]error, 4)
		for i := range made {
			group_.Go(func() {
				_, made[i] = w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: fmt.Sprintf("d%d-%d", round, i), Relations: locatedAt(path)})
			})
		}
		var deleted error
		group_.Go(func() { _, deleted = w.DeleteGroup(t.Context(), w.scope, group(path), registry.GroupDeletion{}) })
		group_.Wait()
		if deleted != nil {
			refused(t, deleted, registry.CodeFailedPrecondition, "member")
		}
		for i, err := range made {
			reference := fmt.Sprintf("d%d-%d", round, i)
			d, findErr := w.DeviceByReference(t.Context(), w.scope, reference, graph.Include{Groups: true})
			switch {
			case err == nil && (findErr != nil || len(d.Groups) != 1):
				t.Errorf("%s was made and is %+v, %v", reference, d, findErr)
			case err == nil && deleted == nil:
				t.Errorf("%s was made in a group that was deleted", reference)
			case err != nil:
				violates(t, err, "relations.located_at", "unknown")
				refused(t, findErr, registry.CodeNotFound, reference)
			}
		}
	}
}
