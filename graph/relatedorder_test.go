package graph_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// Relations come in the order of what is related, page by page and both ways,
// now and as of a moment.
func TestRelatedInOrder(t *testing.T) {
	w := newWorld(t)
	w.groups("/a/kept", "/b")
	for i := range 9 {
		n := registry.NewTwin{Reference: fmt.Sprintf("d%d", i), Relations: locatedAt("/a"), Attributes: registry.Attributes{"size": i % 3}}
		if i == 4 {
			n.Attributes = nil
		}
		if i == 5 {
			n.Relations = append(n.Relations, registry.NewRelation{Name: "near", To: []registry.Ref{group("/a")}})
		}
		must(w.CreateDevice(t.Context(), w.scope, n))
	}
	must(w.CreateAsset(t.Context(), w.scope, registry.NewTwin{Reference: "d0", Relations: locatedAt("/a"), Attributes: registry.Attributes{"size": 1}}))
	a := must(w.GroupByPath(t.Context(), w.scope, "/a")).ID
	then := w.scope
	_, at, err := w.Moment(t.Context(), w.scope)
	if err != nil {
		t.Fatal(err)
	}
	then.AsOf = &at
	want := []string{
		"located_at d2", "located_at d5", "located_at d8", "near d5", "located_at d1", "located_at d7", "located_at asset d0",
		"located_at d0", "located_at d3", "located_at d6", "located_at d4",
	}
	f := graph.RelatedFilter{Direction: registry.DirectionIn, OrderBy: []registry.OrderBy{{Field: "attributes.size", Direction: registry.SortDescending}}}
	for name, scope := range map[string]registry.Scope{"now": w.scope, "then": then} {
		for _, backward := range []bool{false, true} {
			var got []string
			page := registry.PageRequest{Size: 3, Backward: backward}
			for {
				out := must(w.Related(t.Context(), scope, a, f, page))
				var part []string
				for _, end := range out.Items {
					part = append(part, end.Name+" "+referenceOf(end.Other))
				}
				if backward {
					got = append(part, got...)
					page.Key = out.Items[0].Key()
				} else {
					got = append(got, part...)
					page.Key = out.Items[len(out.Items)-1].Key()
				}
				if backward && !out.HasPrevious || !backward && !out.HasNext {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, backward %t (-want +got):\n%s", name, backward, diff)
			}
		}
	}
	first := must(w.Related(t.Context(), w.scope, a, f, registry.PageRequest{Size: 1}))
	other := f
	other.OrderBy = []registry.OrderBy{{Field: "reference"}}
	_, err = w.Related(t.Context(), w.scope, a, other, registry.PageRequest{Size: 1, Key: first.Items[0].Key()})
	violates(t, err, "after", "order")
	_, err = w.Related(t.Context(), w.scope, a, graph.RelatedFilter{OrderBy: []registry.OrderBy{{Field: "no such"}}}, registry.PageRequest{Size: 1})
	if registry.CodeOf(err) != registry.CodeInvalid {
		t.Errorf("ordered by nothing: %v", err)
	}
}

func referenceOf(thing registry.Related) string {
	if asset, ok := thing.(*registry.Asset); ok {
		return "asset " + asset.Reference
	}
	return thing.(*registry.Device).Reference
}

func TestChildrenInOrder(t *testing.T) {
	w := newWorld(t)
	w.groups("/a/x/deep", "/a/y", "/a/z", "/b")
	for i, path := range []string{"/a/x", "/a/y", "/a/z", "/a/x/deep", "/b"} {
		must(w.UpdateGroup(t.Context(), w.scope, group(path), registry.TwinPatch{Attributes: registry.Attributes{"rank": []int{2, 3, 1, 1, 1}[i]}}))
	}
	a := must(w.GroupByPath(t.Context(), w.scope, "/a")).ID
	_, at, err := w.Moment(t.Context(), w.scope)
	if err != nil {
		t.Fatal(err)
	}
	then := w.scope
	then.AsOf = &at
	s := registry.Search{Kinds: []registry.Kind{registry.KindGroup}, Members: &registry.Members{Group: a, Children: true}, OrderBy: []registry.OrderBy{{Field: "attributes.rank"}}}
	for name, scope := range map[string]registry.Scope{"now": w.scope, "then": then} {
		for where, want := range map[string][]string{"": {"/a/z", "/a/x", "/a/y"}, "attributes.rank > 1": {"/a/x", "/a/y"}, "path in ['/a/y', '/b']": {"/a/y"}} {
			s.Where = where
			var got []string
			for _, item := range must(w.Search(t.Context(), scope, s, registry.PageRequest{Size: 10})).Items {
				got = append(got, item.Thing.(*registry.Group).Path)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, where %q (-want +got):\n%s", name, where, diff)
			}
		}
	}
}
