package graph_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// walk reads a whole list page by page, forward or backward, and returns the
// keys in the list's order.
func walk[T any](t *testing.T, size int, backward bool, read func(registry.PageRequest) (registry.Page[T], error), key func(T) string) []string {
	t.Helper()
	out := []string{}
	request := registry.PageRequest{Size: size, Backward: backward}
	for range 100 {
		page, err := read(request)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, item := range page.Items {
			keys = append(keys, key(item))
		}
		more, before := page.HasNext, page.HasPrevious
		if backward {
			out = slices.Insert(out, 0, keys...)
			more, before = before, more
		} else {
			out = append(out, keys...)
		}
		if before != (request.Key != "") {
			t.Errorf("page at %q: something before it: %v", request.Key, before)
		}
		if !more {
			return out
		}
		request.Key = keys[len(keys)-1]
		if backward {
			request.Key = keys[0]
		}
	}
	t.Fatal("the list does not end")
	return nil
}

func TestListThings(t *testing.T) {
	w := newWorld(t)
	other := newOther(w)
	other.device("foreign")
	w.groups("/a/b", "/z")
	w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "Lamp", Relations: []registry.RelationRule{{Name: "located_at", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true}}})
	for i := range 7 {
		n := registry.NewTwin{Reference: fmt.Sprintf("D%d", i), Template: "Lamp"}
		if i%2 == 0 {
			n.Relations = locatedAt("/a", "/a/b") // in the sub-tree twice
		}
		if i >= 5 {
			n.Template, n.State = "", registry.StateRetired
		}
		if _, err := w.CreateDevice(t.Context(), w.scope, n); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		filter registry.Filter
		want   []string
	}{
		"all":                {registry.Filter{}, []string{"D0", "D1", "D2", "D3", "D4", "D5", "D6"}},
		"under":              {registry.Filter{Under: "/A/"}, []string{"D0", "D2", "D4", "D6"}},
		"under a leaf":       {registry.Filter{Under: "/a/b"}, []string{"D0", "D2", "D4", "D6"}},
		"under the root":     {registry.Filter{Under: "/"}, []string{"D0", "D1", "D2", "D3", "D4", "D5", "D6"}},
		"under nothing":      {registry.Filter{Under: "/z"}, []string{}},
		"template":           {registry.Filter{Template: "LAMP"}, []string{"D0", "D1", "D2", "D3", "D4"}},
		"state":              {registry.Filter{State: registry.StateRetired}, []string{"D5", "D6"}},
		"under, of template": {registry.Filter{Under: "/a", Template: "lamp"}, []string{"D0", "D2", "D4"}},
		"everything":         {registry.Filter{Under: "/a", Template: "open", State: registry.StateRetired}, []string{"D6"}},
		"unknown template":   {registry.Filter{Template: "ghost"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			read := func(page registry.PageRequest) (registry.Page[*registry.Device], error) {
				return w.ListDevices(t.Context(), w.scope, c.filter, page)
			}
			for _, size := range []int{1, 3, 50} {
				for _, backward := range []bool{false, true} {
					got := walk(t, size, backward, read, func(d *registry.Device) string { return d.Reference })
					if diff := cmp.Diff(c.want, got); diff != "" {
						t.Errorf("pages of %d, backward %v (-want +got):\n%s", size, backward, diff)
					}
				}
			}
			if n, err := w.CountDevices(t.Context(), w.scope, c.filter); err != nil || n != len(c.want) {
				t.Errorf("count = %d, %v, want %d", n, err, len(c.want))
			}
		})
	}
	w.trips(1, "a page of devices", func(ctx context.Context) error {
		_, err := w.ListDevices(ctx, w.scope, registry.Filter{Under: "/a"}, registry.PageRequest{Size: 3})
		return err
	})
	_, err := w.ListDevices(t.Context(), w.scope, registry.Filter{Under: "/ghost"}, registry.PageRequest{Size: 3})
	refused(t, err, registry.CodeNotFound, "/ghost")
}

func TestListGroupsAndAssets(t *testing.T) {
	w := newWorld(t)
	w.groups("/a/b/c", "/a-b", "/B")
	path := func(g *registry.Group) string { return g.Path }
	for under, want := range map[string][]string{
		"":     {"/", "/a", "/a-b", "/a/b", "/a/b/c", "/B"},
		"/":    {"/a", "/a-b", "/a/b", "/a/b/c", "/B"},
		"/a":   {"/a/b", "/a/b/c"},
		"/a-b": {},
	} {
		filter := registry.Filter{Under: under, Template: "open"}
		read := func(page registry.PageRequest) (registry.Page[*registry.Group], error) {
			return w.ListGroups(t.Context(), w.scope, filter, page)
		}
		if diff := cmp.Diff(want, walk(t, 2, under == "/", read, path)); diff != "" {
			t.Errorf("groups under %q (-want +got):\n%s", under, diff)
		}
		if n, err := w.CountGroups(t.Context(), w.scope, registry.Filter{Under: under}); err != nil || n != len(want) {
			t.Errorf("groups under %q: count = %d, %v", under, n, err)
		}
	}
	if _, err := w.CreateAsset(t.Context(), w.scope, registry.NewTwin{Reference: "car", Relations: locatedAt("/a/b")}); err != nil {
		t.Fatal(err)
	}
	page, err := w.ListAssets(t.Context(), w.scope, registry.Filter{Under: "/a"}, registry.PageRequest{Size: 2})
	n, err2 := w.CountAssets(t.Context(), w.scope, registry.Filter{State: registry.StateActive})
	if err != nil || err2 != nil || len(page.Items) != 1 || page.Items[0].Reference != "car" || n != 1 {
		t.Errorf("assets = %v, %d; %v %v", page, n, err, err2)
	}
}

func TestMembers(t *testing.T) {
	w := newWorld(t)
	w.groups("/a/b", "/c")
	w.device("d2", "/a", "/a/b")
	w.device("D1", "/a/b")
	w.device("elsewhere", "/c")
	for _, reference := range []string{"a1", "a2"} {
		if _, err := w.CreateAsset(t.Context(), w.scope, registry.NewTwin{Reference: reference, Relations: []registry.NewRelation{{Name: "parked_in", To: []registry.Ref{group("/a")}}}}); err != nil {
			t.Fatal(err)
		}
	}
	a := must(w.GroupByPath(t.Context(), w.scope, "/a"))
	devices, assets, groups, parked := registry.KindDevice, registry.KindAsset, registry.KindGroup, "parked_in"
	for name, c := range map[string]struct {
		filter graph.MemberFilter
		want   []string
	}{
		"direct":      {graph.MemberFilter{}, []string{"1/d2", "2/a1", "2/a2"}},
		"deep":        {graph.MemberFilter{Deep: true}, []string{"1/D1", "1/d2", "2/a1", "2/a2"}},
		"devices":     {graph.MemberFilter{Kind: &devices, Deep: true}, []string{"1/D1", "1/d2"}},
		"assets":      {graph.MemberFilter{Kind: &assets}, []string{"2/a1", "2/a2"}},
		"by relation": {graph.MemberFilter{Relation: &parked, Deep: true}, []string{"2/a1", "2/a2"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, backward := range []bool{false, true} {
				got := walk(t, 2, backward, func(page registry.PageRequest) (registry.Page[registry.Twin], error) {
					return w.Members(t.Context(), w.scope, a.ID, c.filter, page)
				}, graph.MemberKey)
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("members, backward %v (-want +got):\n%s", backward, diff)
				}
			}
			if n, err := w.CountMembers(t.Context(), w.scope, a.ID, c.filter); err != nil || n != len(c.want) {
				t.Errorf("count = %d, %v", n, err)
			}
		})
	}
	_, err := w.Members(t.Context(), w.scope, a.ID, graph.MemberFilter{Kind: &groups}, registry.PageRequest{Size: 1})
	violates(t, err, "kind", "enum")
	bad := "x`y"
	_, err = w.CountMembers(t.Context(), w.scope, a.ID, graph.MemberFilter{Relation: &bad})
	violates(t, err, "relation", "name")
	other := newOther(w)
	if page, err := other.Members(t.Context(), other.scope, a.ID, graph.MemberFilter{}, registry.PageRequest{Size: 9}); err != nil || len(page.Items) != 0 {
		t.Errorf("another account sees %v, %v", page, err)
	}
}
