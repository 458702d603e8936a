package graph_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

func text(s string) *string { return &s }

func TestTemplateLife(t *testing.T) {
	w := newWorld(t)
	other := newOther(w)
	if _, err := w.CreateMeasureType(t.Context(), w.scope, registry.NewMeasureType{Name: "Temperature", ValueType: registry.ValueNumber, Unit: text("Cel")}); err != nil {
		t.Fatal(err)
	}
	draft, err := w.CreateTemplate(t.Context(), w.scope, registry.NewTemplate{
		Kind: registry.KindDevice, Name: "Thermometer", Description: text("measures heat"),
		Properties: map[string]any{"serial": map[string]any{"type": "string"}, "range": map[string]any{"type": "integer", "minimum": 1}},
		Required:   []string{"serial"},
		Measures:   []registry.MeasureDeclaration{{Name: "t1", Type: "temperature"}, {Name: "ok", Type: "boolean"}},
	})
	if err != nil || draft.Version != 1 || draft.Status != registry.TemplateDraft {
		t.Fatalf("draft = %+v, %v", draft, err)
	}
	wantMeasures := []registry.MeasureDeclaration{
		{Name: "t1", Type: "Temperature", ValueType: registry.ValueNumber, Unit: "Cel"}, {Name: "ok", Type: "boolean", ValueType: registry.ValueBoolean},
	}
	if diff := cmp.Diff(wantMeasures, draft.Measures); diff != "" {
		t.Error(diff)
	}
	_, err = w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "early", Template: "Thermometer"})
	refused(t, err, registry.CodeNotFound, "Thermometer")
	bare, err := w.CreateTemplate(t.Context(), w.scope, registry.NewTemplate{Kind: registry.KindDevice, Name: "Bare"})
	if err != nil || bare.Properties == nil {
		t.Errorf("a template without properties = %+v, %v", bare, err)
	}
	if read, err := w.TemplatesByID(t.Context(), w.scope, []registry.ID{bare.ID}); err != nil || read[0].Properties == nil {
		t.Errorf("a template without properties reads as %+v, %v", read[0], err)
	}
	_, err = other.publish(registry.TemplateRef{ID: draft.ID})
	refused(t, err, registry.CodeNotFound, string(draft.ID))
	published, err := w.publish(registry.TemplateRef{ID: draft.ID})
	if err != nil || published.Status != registry.TemplatePublished || published.PublishedAt == nil {
		t.Fatalf("published = %+v, %v", published, err)
	}
	again, err := w.publish(registry.TemplateRef{ID: draft.ID})
	if err != nil || !again.PublishedAt.Equal(*published.PublishedAt) {
		t.Errorf("published again = %+v, %v", again, err)
	}
	for _, version := range []*int{nil, &published.Version} {
		got, err := w.Template(t.Context(), w.scope, registry.KindDevice, "THERMOMETER", version, nil)
		if err != nil || got.ID != draft.ID || !cmp.Equal(got.Measures, wantMeasures) {
			t.Errorf("template by name = %+v, %v", got, err)
		}
	}
	_, err = w.Template(t.Context(), w.scope, registry.KindAsset, "Thermometer", nil, nil)
	refused(t, err, registry.CodeNotFound, "Thermometer")

	_, err = w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "d", Template: "thermometer", Attributes: map[string]any{"range": 0, "colour": "red"}})
	violates(t, err, "attributes.serial", "required")
	violates(t, err, "attributes.range", "minimum")
	violates(t, err, "attributes.colour", "undeclared")
	d, err := w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "d", Template: "thermometer", Attributes: map[string]any{"serial": "S1"}})
	if err != nil || d.TemplateID != draft.ID {
		t.Fatalf("device = %+v, %v", d, err)
	}
	_, err = w.UpdateDevice(t.Context(), w.scope, byID(d), registry.TwinPatch{Attributes: map[string]any{"serial": nil}})
	violates(t, err, "attributes.serial", "required")

	// The next version takes over for new devices; the old one stays for those
	// that have it.
	second := w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "THERMOMETER", Properties: map[string]any{"serial": map[string]any{"type": "string"}, "owner": map[string]any{"type": "string"}}})
	if second.Version != 2 || second.Name != "Thermometer" {
		t.Errorf("second = %+v", second)
	}
	moved, err := w.UpdateDevice(t.Context(), w.scope, byID(d), registry.TwinPatch{Template: text("thermometer"), Attributes: map[string]any{"owner": "me"}})
	if err != nil || moved.TemplateID != second.ID {
		t.Errorf("moved = %+v, %v", moved, err)
	}
	_, err = w.DeleteTemplate(t.Context(), w.scope, registry.TemplateRef{ID: second.ID})
	refused(t, err, registry.CodeFailedPrecondition, "in use")
	_, err = w.DeleteMeasureType(t.Context(), w.scope, "temperature", nil)
	refused(t, err, registry.CodeFailedPrecondition, "1 template")
	if _, err := w.DeleteTemplate(t.Context(), w.scope, registry.TemplateRef{ID: draft.ID}); err != nil {
		t.Errorf("delete version 1: %v", err)
	}
	if _, err := w.DeleteMeasureType(t.Context(), w.scope, "temperature", nil); err != nil {
		t.Errorf("delete measure type: %v", err)
	}
	byID, err := w.TemplatesByID(t.Context(), w.scope, []registry.ID{draft.ID, second.ID})
	if err != nil || byID[0] != nil || byID[1].ID != second.ID {
		t.Errorf("by id = %v, %v", byID, err)
	}
	if strangers, err := other.TemplatesByID(t.Context(), other.scope, []registry.ID{second.ID}); err != nil || strangers[0] != nil {
		t.Errorf("another account sees %v, %v", strangers, err)
	}
	open, err := w.Template(t.Context(), w.scope, registry.KindDevice, "open", nil, nil)
	if err != nil || !open.Open {
		t.Fatalf("open = %+v, %v", open, err)
	}
	_, err = w.DeleteTemplate(t.Context(), w.scope, registry.TemplateRef{ID: open.ID})
	refused(t, err, registry.CodeFailedPrecondition, "built in")
	_, err = w.UpdateTemplate(t.Context(), w.scope, registry.TemplateRef{ID: open.ID}, registry.TemplatePatch{})
	refused(t, err, registry.CodeFailedPrecondition, "built in")
}

func TestTemplateRefusals(t *testing.T) {
	w := newWorld(t)
	kind := registry.KindDevice
	if _, err := w.CreateTemplate(t.Context(), w.scope, registry.NewTemplate{Kind: kind, Name: "Draft"}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		template   registry.NewTemplate
		path, rule string
	}{
		"name":             {registry.NewTemplate{Kind: kind, Name: "no spaces"}, "name", "name"},
		"open":             {registry.NewTemplate{Kind: kind, Name: "Open"}, "name", "reserved"},
		"schema":           {registry.NewTemplate{Kind: kind, Name: "T", Properties: map[string]any{"a": map[string]any{"type": "colour"}}}, "properties.a.type", "anyOf"},
		"property name":    {registry.NewTemplate{Kind: kind, Name: "T", Properties: map[string]any{"state": map[string]any{}}}, "properties.state", "reserved"},
		"required":         {registry.NewTemplate{Kind: kind, Name: "T", Required: []string{"ghost"}}, "required[0]", "undeclared"},
		"relation":         {registry.NewTemplate{Kind: kind, Name: "T", Relations: []registry.RelationRule{{Name: "no-dash"}}}, "relations[0].name", "name"},
		"relation twice":   {registry.NewTemplate{Kind: kind, Name: "T", Relations: []registry.RelationRule{{Name: "a", Kind: kind}, {Name: "a", Kind: kind}}}, "relations[1]", "unique"},
		"measure":          {registry.NewTemplate{Kind: kind, Name: "T", Measures: []registry.MeasureDeclaration{{Name: "m", Type: "ghost"}}}, "measures[0].type", "unknown"},
		"measure twice":    {registry.NewTemplate{Kind: kind, Name: "T", Measures: []registry.MeasureDeclaration{{Name: "m", Type: "number"}, {Name: "m", Type: "number"}}}, "measures[1].name", "unique"},
		"relation folded":  {registry.NewTemplate{Kind: kind, Name: "T", Relations: []registry.RelationRule{{Name: "At", Kind: kind}, {Name: "aT", Kind: kind}}}, "relations[1]", "unique"},
		"unknown target":   {registry.NewTemplate{Kind: kind, Name: "T", Relations: []registry.RelationRule{{Name: "a", Kind: kind, Templates: []string{"t", "open", "ghost"}}}}, "relations[0].templates[2]", "unknown"},
		"other kind":       {registry.NewTemplate{Kind: kind, Name: "T", Relations: []registry.RelationRule{{Name: "a", Kind: registry.KindGroup, Templates: []string{"T"}}}}, "relations[0].templates[0]", "unknown"},
		"draft target":     {registry.NewTemplate{Kind: kind, Name: "T", Relations: []registry.RelationRule{{Name: "a", Kind: kind, Templates: []string{"Draft"}}}}, "relations[0].templates[0]", "unknown"},
		"target twice":     {registry.NewTemplate{Kind: kind, Name: "T", Relations: []registry.RelationRule{{Name: "a", Kind: kind, Templates: []string{"t", "T"}}}}, "relations[0].templates[1]", "unique"},
		"component":        {registry.NewTemplate{Kind: kind, Name: "T", Components: []string{"T", "ghost"}}, "components[1]", "unknown"},
		"group's part":     {registry.NewTemplate{Kind: registry.KindGroup, Name: "T", Components: []string{"open"}}, "components", "kind"},
		"keyword":          {registry.NewTemplate{Kind: kind, Name: "T", Properties: map[string]any{"a": map[string]any{"anyOf": []any{map[string]any{"maximun": 3}}}}}, "properties.a.anyOf[0].maximun", "keyword"},
		"format":           {registry.NewTemplate{Kind: kind, Name: "T", Properties: map[string]any{"a": map[string]any{"format": "phone"}}}, "properties.a.format", "format"},
		"pattern":          {registry.NewTemplate{Kind: kind, Name: "T", Properties: map[string]any{"a": map[string]any{"pattern": "("}}}, "properties.a.pattern", "format"},
		"searched nothing": {registry.NewTemplate{Kind: kind, Name: "T", Searched: []string{"a"}}, "searched[0]", "undeclared"},
		"searched list":    {registry.NewTemplate{Kind: kind, Name: "T", Properties: map[string]any{"a": map[string]any{"type": "array"}}, Searched: []string{"a"}}, "searched[0]", "scalar"},
		"group's measure":  {registry.NewTemplate{Kind: registry.KindGroup, Name: "T", Measures: []registry.MeasureDeclaration{{Name: "m", Type: "number"}}}, "measures", "kind"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.CreateTemplate(t.Context(), w.scope, c.template)
			violates(t, err, c.path, c.rule)
		})
	}
}

// Of those who make a template of one name at the same moment, one does.
func TestTemplateOnce(t *testing.T) {
	w := newWorld(t)
	var group sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		group.Go(func() {
			_, errs[i] = w.CreateTemplate(t.Context(), w.scope, registry.NewTemplate{Kind: registry.KindAsset, Name: []string{"Car", "CAR", "car"}[i]})
		})
	}
	group.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else {
			refused(t, err, registry.CodeConflict, "already")
		}
	}
	if made != 1 {
		t.Errorf("%d templates were made: %v", made, errs)
	}
}

func TestMeasureTypes(t *testing.T) {
	w := newWorld(t)
	other := newOther(w)
	created, err := w.CreateMeasureType(t.Context(), w.scope, registry.NewMeasureType{Name: "humidity", ValueType: registry.ValueNumber, Unit: text("%"), Description: text("relative")})
	if err != nil {
		t.Fatal(err)
	}
	read, err := w.MeasureType(t.Context(), w.scope, "Humidity")
	if diff := cmp.Diff(created, read); diff != "" || err != nil {
		t.Errorf("read back: %v\n%s", err, diff)
	}
	_, err = other.MeasureType(t.Context(), other.scope, "humidity")
	refused(t, err, registry.CodeNotFound, "humidity")
	_, err = w.CreateMeasureType(t.Context(), w.scope, registry.NewMeasureType{Name: "HUMIDITY", ValueType: registry.ValueNumber})
	refused(t, err, registry.CodeConflict, "HUMIDITY")
	_, err = w.CreateMeasureType(t.Context(), w.scope, registry.NewMeasureType{Name: "Number", ValueType: registry.ValueNumber})
	violates(t, err, "name", "reserved")
	_, err = w.CreateMeasureType(t.Context(), w.scope, registry.NewMeasureType{Name: "x", ValueType: "COLOUR"})
	violates(t, err, "valueType", "enum")
	_, err = w.CreateTemplate(t.Context(), w.scope, registry.NewTemplate{Kind: registry.KindAsset, Name: "T", Measures: []registry.MeasureDeclaration{{Name: "m", Type: "humidity", Unit: "Cel"}}})
	violates(t, err, "measures[0].unit", "unit")
	page, err := w.ListMeasureTypes(t.Context(), w.scope, registry.PageRequest{Size: 10})
	n, err2 := w.CountMeasureTypes(t.Context(), w.scope)
	if err != nil || err2 != nil || len(page.Items) != 1 || n != 1 {
		t.Errorf("list = %v, count = %d, %v %v", page, n, err, err2)
	}
	_, err = w.DeleteMeasureType(t.Context(), w.scope, "ghost", nil)
	refused(t, err, registry.CodeNotFound, "ghost")
	if id, err := w.DeleteMeasureType(t.Context(), w.scope, "humidity", nil); err != nil || id != created.ID {
		t.Errorf("delete = %s, %v", id, err)
	}
}

func TestListTemplates(t *testing.T) {
	w := newWorld(t)
	for _, kind := range registry.Kinds {
		for range 2 {
			w.template(registry.NewTemplate{Kind: kind, Name: "T"})
		}
	}
	keys := func(page registry.Page[*registry.Template]) (out []string) {
		for _, t := range page.Items {
			out = append(out, fmt.Sprintf("%s/%s/%d", t.Kind, t.Name, t.Version))
		}
		return out
	}
	page, err := w.ListTemplates(t.Context(), w.scope, graph.TemplateFilter{}, registry.PageRequest{Size: 4})
	if diff := cmp.Diff([]string{"ASSET/open/1", "ASSET/T/1", "ASSET/T/2", "DEVICE/open/1"}, keys(page)); diff != "" || err != nil || !page.HasNext {
		t.Errorf("first page: %v\n%s", err, diff)
	}
	page, err = w.ListTemplates(t.Context(), w.scope, graph.TemplateFilter{}, registry.PageRequest{Size: 9, Key: graph.TemplateKey(page.Items[3])})
	if diff := cmp.Diff([]string{"DEVICE/T/1", "DEVICE/T/2", "GROUP/open/1", "GROUP/T/1", "GROUP/T/2"}, keys(page)); diff != "" || err != nil || page.HasNext {
		t.Errorf("second page: %v\n%s", err, diff)
	}
	kind := registry.KindGroup
	page, err = w.ListTemplates(t.Context(), w.scope, graph.TemplateFilter{Kind: &kind}, registry.PageRequest{Size: 2, Backward: true})
	if diff := cmp.Diff([]string{"GROUP/T/1", "GROUP/T/2"}, keys(page)); diff != "" || err != nil {
		t.Errorf("last of a kind: %v\n%s", err, diff)
	}
	draft := registry.TemplateDraft
	must(w.CreateTemplate(t.Context(), w.scope, registry.NewTemplate{Kind: kind, Name: "U"}))
	page, err = w.ListTemplates(t.Context(), w.scope, graph.TemplateFilter{Status: &draft}, registry.PageRequest{Size: 9})
	if diff := cmp.Diff([]string{"GROUP/U/1"}, keys(page)); diff != "" || err != nil {
		t.Errorf("drafts: %v\n%s", err, diff)
	}
	published := registry.TemplatePublished
	all, err := w.CountTemplates(t.Context(), w.scope, graph.TemplateFilter{Status: &published})
	ofKind, err2 := w.CountTemplates(t.Context(), w.scope, graph.TemplateFilter{Kind: &kind, Status: &published})
	if all != 9 || ofKind != 3 || err != nil || err2 != nil {
		t.Errorf("counts = %d and %d, %v %v", all, ofKind, err, err2)
	}
}
