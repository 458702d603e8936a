package graph_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// Facets go along built-in edges, now and in the past; a relation may have the
// name of such an edge and stays one of its own.
func TestSearchAlongEdges(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.groups("/a/b", "/a/c", "/d")
	must(w.CreateAsset(ctx, w.scope, registry.NewTwin{Reference: "hall"}))
	must(w.CreateAsset(ctx, w.scope, registry.NewTwin{Reference: "bay", PartOf: new("hall")}))
	if _, _, err := w.Relate(ctx, w.scope, group("/d"), "parent", group("/a/b")); err != nil {
		t.Fatal(err)
	}
	then := w.scope
	then.AsOf = new(time.Now().Add(time.Second)) // all that was made has a time before
	for _, scope := range []registry.Scope{w.scope, then} {
		for where, want := range map[string]string{
			"any(parent, # == '/a')":                                  "[/a/b /a/c] /a:2 | /:2 | |",
			"any(relations.parent, .path == '/a/b')":                  "[/d] /:1 | | | /a/b:1",
			"any(parts, .reference == 'BAY')":                         "[hall] | | bay:1 |",
			"any(partOf, any(.parts, true)) or any(components, true)": "[bay] | | |",
		} {
			search := registry.Search{Where: where}
			keys := []string{}
			for _, item := range must(w.Search(ctx, scope, search, registry.PageRequest{Size: 10})).Items {
				keys = append(keys, keyOf(item.Thing))
			}
			summary := must(w.Summarize(ctx, scope, search, []registry.FacetRequest{
				{Field: "parent.path", First: 5}, {Field: "parent.parent.path", First: 5}, {Field: "parts.reference", First: 5}, {Field: "relations.parent.path", First: 5},
			}))
			var counts []string
			for _, facets := range summary.Facets {
				count := ""
				for _, facet := range facets {
					count += fmt.Sprintf("%v:%d ", facet.Value, facet.Count)
				}
				counts = append(counts, count)
			}
			got := fmt.Sprintf("%v %s", keys, strings.Join(counts, "| "))
			if strings.TrimSpace(got) != want {
				t.Errorf("%s: %s, want %s", where, got, want)
			}
		}
	}
	_, err := w.Search(ctx, w.scope, registry.Search{OrderBy: []registry.OrderBy{{Field: "parent.path"}}}, registry.PageRequest{Size: 1})
	violates(t, err, "orderBy[0].field", "field")
	var selection graph.ChangeSelection
	violates(t, selection.SetWhere("any(parent, true)"), "where", "unsupported")
}
