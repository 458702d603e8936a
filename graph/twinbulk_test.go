package graph_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/holon-registry/holon/registry"
)

// outcomes are the codes of a bulk request's errors, "" for success.
func outcomes(b *registry.Bulk) []string {
	out := make([]string, len(b.Results))
	for i, r := range b.Results {
		if r.Error != nil {
			out[i] = string(r.Error.Code)
		}
	}
	return out
}

func (w world) bulk(want []string, b *registry.Bulk, err error) *registry.Bulk {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	if got := outcomes(b); !slices.Equal(got, want) {
		w.Errorf("outcomes = %q, want %q", got, want)
	}
	return b
}

func TestBulkTellsOfEachItem(t *testing.T) {
	w := newWorld(t)
	w.groups("/site")
	w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "lamp", Properties: map[string]any{"colour": map[string]any{"type": "string"}}, Required: []string{"colour"}})
	items := []registry.NewTwin{
		{Reference: "a", Relations: locatedAt("/site")},
		{Reference: "b", Relations: locatedAt("/ghost", "/site", "/phantom")},
		{Reference: "A"},
		{Reference: "lamp", Template: "lamp"},
		{Reference: "c", Template: "ghost"},
		{Reference: "follows", Relations: []registry.NewRelation{{Name: "near", To: []registry.Ref{device("A")}}}},
		{Reference: "fed", Relations: []registry.NewRelation{{Name: "feeds", Direction: registry.DirectionIn, To: []registry.Ref{device("a")}}}},
	}
	want := []string{"", "INVALID", "CONFLICT", "INVALID", "NOT_FOUND", "", ""}
	b, err := w.CreateTwins(t.Context(), w.scope, registry.KindDevice, items, false)
	b = w.bulk(want, b, err)
	if b.Succeeded != 3 || b.Failed != 4 || b.Total != 7 || b.Results[5].Key != "follows" || b.Results[5].Object == nil || b.Results[1].Object != nil {
		t.Errorf("bulk = %+v", b)
	}
	violates(t, b.Results[1].Error, "relations.located_at", "unknown")
	if n := len(b.Results[1].Error.Violations); n != 2 {
		t.Errorf("%d violations, want one for each unknown group", n)
	}
	violates(t, b.Results[3].Error, "attributes.colour", "required")

	fed := b.Results[6].Object.NodeID()
	relations, err := w.RelationsOf(t.Context(), w.scope, []registry.ID{fed})
	if err != nil || len(relations[0]) != 1 || relations[0][0].Direction != registry.DirectionIn || relations[0][0].OtherID != b.Results[0].Object.NodeID() {
		t.Errorf("relations of what is fed = %+v, %v", relations, err)
	}
	b, err = w.CreateTwins(t.Context(), w.scope, registry.KindDevice, items[:2], true)
	if b != nil {
		t.Errorf("bulk = %+v", b)
	}
	refused(t, err, registry.CodeConflict, "devices[0]: device")
	refusedItems, ok := errors.AsType[*registry.Error](err)
	if !ok {
		t.Fatal(err)
	}
	if v := refusedItems.Violations; len(v) != 3 || v[2].Path != "devices[1].relations.located_at" {
		t.Errorf("violations = %+v", v)
	}
	if journal := w.journal(); !slices.Equal(journal[len(journal)-4:], []string{"created DEVICE a", "created DEVICE follows", "created DEVICE fed", "related DEVICE a"}) {
		t.Errorf("journal = %q", journal)
	}
}

func TestBulkOfManyParts(t *testing.T) {
	w := newWorld(t)
	const n = 1203
	items := make([]registry.NewTwin, n)
	for i := range items {
		items[i] = registry.NewTwin{Reference: fmt.Sprint("d", i), Attributes: registry.Attributes{"i": i}}
		if i > 0 {
			items[i].Relations = []registry.NewRelation{{Name: "after", To: []registry.Ref{device(fmt.Sprint("d", i-1))}}}
		}
	}
	items[700].Attributes = registry.Attributes{"no-dash": 1}
	b, err := w.CreateTwins(t.Context(), w.scope, registry.KindDevice, items, true)
	if b != nil || registry.CodeOf(err) != registry.CodeInvalid {
		t.Fatalf("atomic: %v, want INVALID", err)
	}
	if page, err := w.ListDevices(t.Context(), w.scope, registry.Filter{}, registry.PageRequest{Size: 1}); err != nil || len(page.Items) != 0 {
		t.Fatalf("a refused request left %v, %v", page.Items, err)
	}
	b, err = w.CreateTwins(t.Context(), w.scope, registry.KindDevice, items, false)
	if err != nil || b.Succeeded != 700 || b.Failed != n-700 {
		t.Fatalf("apart: %d succeeded, %d failed, %v", b.Succeeded, b.Failed, err)
	}
	edits := make([]registry.TwinEdit, 700)
	refs := make([]registry.Ref, 700)
	for i := range edits {
		refs[i] = device(fmt.Sprint("D", i))
		edits[i] = registry.TwinEdit{Ref: refs[i], Patch: registry.TwinPatch{Attributes: registry.Attributes{"i": i + i%2}}}
	}
	before := len(w.journal())
	b, err = w.UpdateTwins(t.Context(), w.scope, registry.KindDevice, edits, true)
	if err != nil || b.Succeeded != 700 {
		t.Fatalf("update: %v", err)
	}
	if changes := len(w.journal()) - before; changes != 350 {
		t.Errorf("%d changes, want 350: half of them change nothing", changes)
	}
	if d := b.Results[1].Object.(*registry.Device); d.Version != 2 || d.Attributes["i"] != int64(2) || b.Results[2].Object.(*registry.Device).Version != 1 {
		t.Errorf("device = %+v", d)
	}
	refs = append(refs, device("d1"), device("ghost"), registry.Ref{ID: b.Results[3].Object.NodeID()})
	b, deleted, err := w.DeleteTwins(t.Context(), w.scope, registry.KindDevice, refs, false)
	if err != nil || b.Succeeded != 700 || len(deleted) != 700 || b.Results[701].Error.Code != registry.CodeNotFound {
		t.Errorf("delete: %d of %d, %v, %+v", b.Succeeded, len(deleted), err, b.Results[700:])
	}
}

func TestBulkBeyondTheBudgetOfNames(t *testing.T) {
	w := newWorld(t)
	items := make([]registry.NewTwin, 260)
	for i := range items {
		items[i] = registry.NewTwin{Reference: fmt.Sprint("d", i), Attributes: registry.Attributes{fmt.Sprintf("x%s%d", w.scope.AccountName[len(w.scope.AccountName)-6:], i): true}}
	}
	b, err := w.CreateTwins(t.Context(), w.scope, registry.KindDevice, items, false)
	if err != nil || b.Succeeded != 256 || b.Results[256].Error.Code != registry.CodeLimitExceeded {
		t.Errorf("%d succeeded, %v, %+v", b.Succeeded, err, b.Results[256].Error)
	}
}
