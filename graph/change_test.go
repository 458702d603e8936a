package graph_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// changes lists the changes of a filter as "OPERATION action KIND key".
func (w world) changes(f registry.ChangeFilter, page registry.PageRequest) ([]string, registry.ChangePage) {
	w.Helper()
	found, err := w.ListChanges(w.Context(), w.scope, f, page)
	if err != nil {
		w.Fatalf("changes %+v: %v", f, err)
	}
	var out []string
	for _, c := range found.Items {
		out = append(out, fmt.Sprintf("%s %s %s", c.Action, c.Kind, c.Key))
	}
	return out, found
}

func (w world) wantChanges(what string, f registry.ChangeFilter, want ...string) []*registry.Change {
	w.Helper()
	got, page := w.changes(f, registry.PageRequest{Size: 100})
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("%s (-want +got):\n%s", what, diff)
	}
	if n, err := w.CountChanges(w.Context(), w.scope, f); f.Under == "" && (err != nil || n != len(want)) {
		w.Errorf("%s: counted %d, %v, want %d", what, n, err, len(want))
	}
	return page.Items
}

func TestChanges(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.groups("/site/10")
	d := w.device("h-dev", "/site/10")
	kim := w.scope
	kim.Actor, kim.ActorName, kim.Request = "kim-id", "kim", "request-1"
	must(w.UpdateDevice(ctx, kim, device("h-dev"), registry.TwinPatch{Description: registry.Some("z"), Attributes: registry.Attributes{"n": 3, "deep": map[string]any{"x": 1.5}}}))
	w.policy("h-dev", "/site")
	must(w.DeleteDevice(ctx, w.scope, device("H-DEV")))
	w.device("h-dev")

	all := w.wantChanges("all", registry.ChangeFilter{},
		"created DEVICE h-dev", "deleted DEVICE h-dev", "created POLICY h-dev", "updated DEVICE h-dev", "created DEVICE h-dev",
		"created GROUP /site/10", "created GROUP /site", "created GROUP /")
	w.wantChanges("oldest first", registry.ChangeFilter{Direction: registry.SortAscending, Kinds: []registry.ObjectKind{registry.ObjectGroup, registry.ObjectPolicy}},
		"created GROUP /", "created GROUP /site", "created GROUP /site/10", "created POLICY h-dev")
	of := w.wantChanges("of an object that is gone", registry.ChangeFilter{ObjectID: d.ID}, "deleted DEVICE h-dev", "updated DEVICE h-dev", "created DEVICE h-dev")
	w.wantChanges("of an operation", registry.ChangeFilter{ObjectID: d.ID, Operation: registry.ChangeDelete}, "deleted DEVICE h-dev")
	w.wantChanges("by key", registry.ChangeFilter{Kinds: []registry.ObjectKind{registry.ObjectDevice}, Key: "H-Dev"},
		"created DEVICE h-dev", "deleted DEVICE h-dev", "updated DEVICE h-dev", "created DEVICE h-dev")
	w.wantChanges("the same key of another kind", registry.ChangeFilter{Kinds: []registry.ObjectKind{registry.ObjectPolicy}, Key: "h-dev"}, "created POLICY h-dev")
	w.wantChanges("by actor", registry.ChangeFilter{ActorID: "kim-id"}, "updated DEVICE h-dev")
	w.wantChanges("of nothing", registry.ChangeFilter{ObjectID: "no-such-id"})
	w.wantChanges("of no key", registry.ChangeFilter{Kinds: []registry.ObjectKind{registry.ObjectDevice}, Key: "ghost"})
	w.wantChanges("bounds are included", registry.ChangeFilter{ObjectID: d.ID, From: &of[2].At, To: &of[1].At}, "updated DEVICE h-dev", "created DEVICE h-dev")
	w.wantChanges("from", registry.ChangeFilter{ObjectID: d.ID, From: &of[1].At}, "deleted DEVICE h-dev", "updated DEVICE h-dev")
	later, before := time.Now().Add(time.Hour), all[len(all)-1].At.Add(-time.Millisecond)
	w.wantChanges("in the future", registry.ChangeFilter{From: &later})
	w.wantChanges("before all", registry.ChangeFilter{To: &before})
	w.wantChanges("under a group", registry.ChangeFilter{Under: "/site"},
		"deleted DEVICE h-dev", "created POLICY h-dev", "updated DEVICE h-dev", "created DEVICE h-dev", "created GROUP /site/10")
	w.wantChanges("under the root", registry.ChangeFilter{Under: "/", Kinds: []registry.ObjectKind{registry.ObjectDevice, registry.ObjectGroup}},
		"created DEVICE h-dev", "deleted DEVICE h-dev", "updated DEVICE h-dev", "created DEVICE h-dev", "created GROUP /site/10", "created GROUP /site")

	if _, err := w.ListChanges(ctx, w.scope, registry.ChangeFilter{Key: "h-dev"}, registry.PageRequest{Size: 1}); registry.CodeOf(err) != registry.CodeInvalid {
		t.Errorf("a key of no kind: %v", err)
	}
	if _, err := w.ListChanges(ctx, w.scope, registry.ChangeFilter{Under: "/nowhere"}, registry.PageRequest{Size: 1}); registry.CodeOf(err) != registry.CodeNotFound {
		t.Errorf("under a group that never was: %v", err)
	}
	other := newOther(w)
	other.wantChanges("somebody else's", registry.ChangeFilter{ObjectID: d.ID})
	other.wantChanges("one's own", registry.ChangeFilter{}, "created GROUP /")

	update := of[1]
	if update.ActorName != "kim" || update.RequestID != "request-1" || update.Version != 2 || update.Actor().ID != "kim-id" {
		t.Errorf("the update %+v", update)
	}
	if diff := cmp.Diff([]registry.Difference{
		{Path: "attributes.deep", After: map[string]any{"x": 1.5}}, {Path: "attributes.n", After: int64(3)}, {Path: "description", After: "z"},
	}, update.Differences); diff != "" {
		t.Errorf("differences of the update (-want +got):\n%s", diff)
	}
	var paths []string
	for _, difference := range of[2].Differences {
		paths = append(paths, difference.Path)
	}
	if want := []string{"reference", "state", "template", "relations.located_at"}; !slices.Equal(paths, want) {
		t.Errorf("the creation tells %q, want %q", paths, want)
	}
	if of[0].After != nil || of[0].Differences[len(of[0].Differences)-1].After != nil || of[0].Differences[0].Before == nil {
		t.Errorf("the deletion %+v", of[0])
	}
}

func TestChangePages(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		w.device(fmt.Sprint("d", i))
	}
	for _, f := range []registry.ChangeFilter{
		{}, {Direction: registry.SortAscending}, {Kinds: []registry.ObjectKind{registry.ObjectDevice, registry.ObjectGroup}}, {Under: "/", Kinds: []registry.ObjectKind{registry.ObjectDevice}},
	} {
		whole, _ := w.changes(f, registry.PageRequest{Size: 100})
		var forward, backward []string
		for page := (registry.PageRequest{Size: 3}); ; {
			got, found := w.changes(f, page)
			forward = append(forward, got...)
			if !found.HasNext {
				break
			}
			page.Key = fmt.Sprint(found.End)
		}
		for page := (registry.PageRequest{Size: 3, Backward: true}); ; {
			got, found := w.changes(f, page)
			backward = append(slices.Clone(got), backward...)
			if !found.HasPrevious {
				break
			}
			page.Key = fmt.Sprint(found.Start)
		}
		if !slices.Equal(forward, whole) || !slices.Equal(backward, whole) {
			t.Errorf("%+v: forward %q, backward %q, want %q", f, forward, backward, whole)
		}
	}
	pages := must(w.ObjectChanges(t.Context(), w.scope, []registry.ID{"nothing"}, registry.ChangeFilter{}, registry.PageRequest{Size: 3}))
	if len(pages) != 1 || len(pages[0].Items) != 0 {
		t.Errorf("changes of nothing: %+v", pages)
	}
}

// What a change of relations alone leaves of the object is the newest snapshot
// before it.
func TestObjectAfter(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.groups("/site")
	d := w.device("d")
	if _, _, err := w.Relate(ctx, w.scope, device("d"), "located_at", group("/site")); err != nil {
		t.Fatal(err)
	}
	must(w.UpdateDevice(ctx, w.scope, device("d"), registry.TwinPatch{Description: registry.Some("new")}))
	must(w.DeleteDevice(ctx, w.scope, device("d")))
	found := must(w.ListChanges(ctx, w.scope, registry.ChangeFilter{ObjectID: d.ID, Direction: registry.SortAscending}, registry.PageRequest{Size: 10}))
	after := must(w.ObjectAfter(ctx, w.scope, found.Items))
	var got []any
	for i := range after {
		got = append(got, after[i]["version"], after[i]["description"])
	}
	if want := []any{int64(1), nil, int64(1), nil, int64(2), "new", nil, nil}; !slices.Equal(got, want) {
		t.Errorf("after each change: %v, want %v", got, want)
	}
	if d := found.Items[1].Differences; len(d) != 1 || d[0].Path != "relations.located_at" || d[0].Before != nil || d[0].After.(map[string]any)["key"] != "/site" {
		t.Errorf("differences of relate: %+v", d)
	}
}

// historyValues are those of the plan test for queries about history.
func historyValues(ids map[string][]string) map[string]any {
	return map[string]any{
		"wanted": []map[string]any{{"object": ids["policy"][0], "position": int64(1 << 50)}}, "at": time.Now().UTC(), "by": nil, "operation": nil, "keyFold": nil,
		"kinds": []string{"DEVICE", "POLICY"}, "changes": []map[string]any{{"object": ids["policy"][0], "position": int64(1), "at": time.Now().UnixMilli()}},
		"when": time.Now().UnixMilli(), "deep": true, "relation": nil, "earliest": time.UnixMilli(0), "latest": time.Now().UTC(), "moments": []time.Time{time.Now().UTC()}, "rows": []any{}, "names": []string{},
	}
}
