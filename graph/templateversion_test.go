package graph_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

func property(kind string) map[string]any { return map[string]any{"type": kind} }

func TestTemplateDrafts(t *testing.T) {
	w := newWorld(t)
	kind, draft := registry.KindDevice, registry.TemplateDraft
	ref := registry.TemplateRef{Kind: kind, Name: "HUB"}
	_, err := w.draft(kind, "Hub", registry.TemplatePatch{})
	refused(t, err, registry.CodeNotFound, "Hub")
	_, err = w.publish(ref)
	refused(t, err, registry.CodeNotFound, "HUB")
	first := w.template(registry.NewTemplate{
		Kind: kind, Name: "Hub", Description: text("joins"), Properties: map[string]any{"ports": property("integer")}, Required: []string{"ports"},
		Relations:  []registry.RelationRule{{Name: "Located_At", Direction: registry.DirectionOut, Kind: registry.KindGroup, Templates: []string{"OPEN"}, Inherits: true}, {Name: "near", Direction: registry.DirectionOut, Kind: kind, Templates: []string{"hub"}}},
		Components: []string{"Open"}, Searched: []string{"ports"},
	})
	if first.Relations[0].Name != "located_at" || first.Relations[0].Templates[0] != "open" || first.Relations[1].Templates[0] != "Hub" || first.Components[0] != "open" {
		t.Errorf("names are not written as they are called: %+v %v", first.Relations, first.Components)
	}
	_, err = w.CreateTemplate(t.Context(), w.scope, registry.NewTemplate{Kind: kind, Name: "hub"})
	refused(t, err, registry.CodeConflict, "Hub")
	_, err = w.publish(ref)
	refused(t, err, registry.CodeNotFound, "draft")

	// What a patch does not give stays as it is in the newest version.
	second, err := w.draft(kind, "hub", registry.TemplatePatch{Properties: map[string]any{"ports": property("integer"), "a": property("string")}})
	if err != nil || second.Version != 2 || second.Name != "Hub" || second.Status != draft || *second.Description != "joins" {
		t.Fatalf("second = %+v, %v", second, err)
	}
	if diff := cmp.Diff(first.Relations, second.Relations); diff != "" {
		t.Error(diff)
	}
	again, err := w.draft(kind, "hub", registry.TemplatePatch{
		Description: registry.Optional[string]{Set: true}, Properties: map[string]any{"b": property("string")}, Required: []string{}, Searched: []string{}, Components: []string{},
	})
	if err != nil || again.ID != second.ID || again.Version != 2 || again.Description != nil || len(again.Properties) != 1 || len(again.Components) != 0 {
		t.Errorf("the same draft = %+v, %v", again, err)
	}
	read, err := w.Template(t.Context(), w.scope, kind, "hub", nil, &draft)
	if diff := cmp.Diff(again, read); diff != "" || err != nil {
		t.Errorf("read back: %v\n%s", err, diff)
	}
	_, err = w.draft(kind, "hub", registry.TemplatePatch{Required: []string{"ports"}})
	violates(t, err, "required[0]", "undeclared")

	current, err := w.Template(t.Context(), w.scope, kind, "hub", nil, nil)
	if err != nil || current.ID != first.ID {
		t.Errorf("current = %+v, %v", current, err)
	}
	d, err := w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "d", Template: "hub", Attributes: map[string]any{"ports": 4}})
	if err != nil {
		t.Fatal(err)
	}
	if published, err := w.publish(ref); err != nil || published.ID != second.ID || published.PublishedAt == nil {
		t.Errorf("published = %+v, %v", published, err)
	}
	if _, err = w.Template(t.Context(), w.scope, kind, "hub", nil, &draft); registry.CodeOf(err) != registry.CodeNotFound {
		t.Errorf("there is still a draft: %v", err)
	}
	uses, err := w.TemplateUses(t.Context(), w.scope, []registry.ID{second.ID, first.ID, d.ID})
	if diff := cmp.Diff([]graph.TemplateUse{{Current: true}, {Objects: 1}, {}}, uses); diff != "" || err != nil {
		t.Errorf("uses: %v\n%s", err, diff)
	}
	versions, err := w.TemplateVersions(t.Context(), w.scope, []registry.ID{first.ID})
	if err != nil || len(versions[0]) != 2 || versions[0][0].ID != second.ID || versions[0][1].ID != first.ID {
		t.Errorf("versions = %v, %v", versions, err)
	}
	// An object stays with its version, by which it is changed.
	if d, err = w.UpdateDevice(t.Context(), w.scope, byID(d), registry.TwinPatch{Attributes: map[string]any{"ports": 8}}); err != nil || d.TemplateID != first.ID {
		t.Errorf("device = %+v, %v", d, err)
	}
	_, err = w.DeleteTemplate(t.Context(), w.scope, ref)
	refused(t, err, registry.CodeFailedPrecondition, "version 1 is in use by 1 object")
	if _, err := w.DeleteDevice(t.Context(), w.scope, byID(d)); err != nil {
		t.Fatal(err)
	}
	deleted, err := w.DeleteTemplate(t.Context(), w.scope, ref)
	if diff := cmp.Diff([]registry.ID{second.ID, first.ID}, deleted); diff != "" || err != nil {
		t.Errorf("deleted: %v\n%s", err, diff)
	}
	_, err = w.DeleteTemplate(t.Context(), w.scope, ref)
	refused(t, err, registry.CodeNotFound, "HUB")
	if fresh := w.template(registry.NewTemplate{Kind: kind, Name: "hub"}); fresh.Version != 1 || fresh.Name != "hub" {
		t.Errorf("after deletion = %+v", fresh)
	}
}

// What a draft names stays, so that it can be published.
func TestDraftsHoldWhatTheyName(t *testing.T) {
	w := newWorld(t)
	site := w.template(registry.NewTemplate{Kind: registry.KindGroup, Name: "Site"})
	draft, err := w.CreateTemplate(t.Context(), w.scope, registry.NewTemplate{
		Kind: registry.KindDevice, Name: "D", Relations: []registry.RelationRule{{Name: "at", Direction: registry.DirectionOut, Kind: registry.KindGroup, Templates: []string{"site"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.DeleteTemplate(t.Context(), w.scope, registry.TemplateRef{ID: site.ID})
	refused(t, err, registry.CodeFailedPrecondition, "device template D version 1")
	if _, err := w.publish(registry.TemplateRef{ID: draft.ID}); err != nil {
		t.Errorf("publish: %v", err)
	}
}

func TestSearchedAreFew(t *testing.T) {
	w := newWorld(t)
	searched := func(name string, n int) registry.NewTemplate {
		out := registry.NewTemplate{Kind: registry.KindDevice, Name: name, Properties: map[string]any{}}
		for i := range n {
			property := fmt.Sprintf("p%d", i)
			out.Properties[property], out.Searched = map[string]any{"type": []any{"string", "null"}}, append(out.Searched, property)
		}
		return out
	}
	w.template(searched("A", 20))
	w.template(searched("B", 24))
	n := searched("C", 24)
	n.Kind = registry.KindAsset
	draft, err := w.CreateTemplate(t.Context(), w.scope, n)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.publish(registry.TemplateRef{ID: draft.ID})
	refused(t, err, registry.CodeLimitExceeded, "at most 24")
	_, err = w.CreateTemplate(t.Context(), w.scope, searched("D", 25))
	violates(t, err, "searched", "maxItems")
}
