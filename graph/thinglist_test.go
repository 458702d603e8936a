package graph_test

import (
	"context"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// TestBriefLists asks every list for whole things and for brief ones: the same
// ones, in the same order, with what brief ones have.
func TestBriefLists(t *testing.T) {
	w := newWorld(t)
	w.groups("/a/b", "/c")
	text := "in words"
	for _, reference := range []string{"d1", "D2", "d3"} {
		twin := registry.NewTwin{Reference: reference, Relations: locatedAt("/a/b")}
		if reference == "D2" {
			twin.Description, twin.State, twin.Attributes = &text, registry.StateRetired, map[string]any{"x": 1.0}
		}
		must(w.CreateDevice(t.Context(), w.scope, twin))
		must(w.CreateAsset(t.Context(), w.scope, twin))
	}
	some := registry.StateRetired
	template := must(w.TemplatesByID(t.Context(), w.scope, []registry.ID{must(w.ListDevices(t.Context(), w.scope, registry.Filter{}, registry.PageRequest{Size: 1})).Items[0].TemplateID}))[0].Name
	for _, f := range []registry.Filter{
		{}, {Under: "/"}, {Under: "/a"}, {State: some}, {Under: "/a", State: some}, {Template: template}, {Under: "/a", Template: template, State: some},
		{Keys: []string{"d2", "d3", "none"}}, {Keys: []string{"/a", "/c"}},
	} {
		sameLists(w, f, w.ListDevices, func(d *registry.Device) *registry.Device {
			return &registry.Device{Object: registry.Object{ID: d.ID}, Reference: d.Reference, Description: d.Description, State: d.State, TemplateID: d.TemplateID}
		})
		sameLists(w, f, w.ListAssets, func(a *registry.Asset) *registry.Asset {
			return &registry.Asset{Object: registry.Object{ID: a.ID}, Reference: a.Reference, Description: a.Description, State: a.State, TemplateID: a.TemplateID}
		})
		sameLists(w, f, w.ListGroups, func(g *registry.Group) *registry.Group {
			return &registry.Group{Object: registry.Object{ID: g.ID}, Path: g.Path, Name: g.Name, Depth: g.Depth, Description: g.Description}
		})
	}
}

func sameLists[T any](w world, f registry.Filter, list func(context.Context, registry.Scope, registry.Filter, registry.PageRequest) (registry.Page[T], error), shortened func(T) T) {
	w.Helper()
	for _, page := range []registry.PageRequest{{Size: 2}, {Size: 10}, {Size: 1, Backward: true}} {
		f.Brief = false
		whole := must(list(w.Context(), w.scope, f, page))
		for i := range whole.Items {
			whole.Items[i] = shortened(whole.Items[i])
		}
		f.Brief = true
		if diff := gocmp.Diff(whole, must(list(w.Context(), w.scope, f, page))); diff != "" {
			w.Errorf("%+v, %+v (-whole +brief):\n%s", f, page, diff)
		}
	}
}
