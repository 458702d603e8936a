package graph_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// followed reads n changes as "action key".
func followed(t *testing.T, sub *graph.ChangeSubscription, n int) (out []string, last *registry.Change) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for len(out) < n {
		changes, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("after %q: %v", out, err)
		}
		for _, c := range changes {
			out, last = append(out, c.Action+" "+c.Key), c
		}
	}
	return out, last
}

// TestFollowChanges follows an account through a second process's store, stops,
// and goes on with a third where it stopped.
func TestFollowChanges(t *testing.T) {
	w := newWorld(t)
	open := func() *graph.Store {
		store, err := graph.Open(t.Context(), testkit.Config(t))
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
	second := open()
	sub := must(second.FollowChanges(t.Context(), w.scope, ""))
	w.groups("/site")
	w.device("d0", "/site")
	got, last := followed(t, sub, 2)
	if want := []string{"created /site", "created d0"}; !slices.Equal(got, want) {
		t.Errorf("followed %q, want %q", got, want)
	}
	sub.Close()
	if err := second.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 7 {
		w.device(fmt.Sprint("d", i+1))
		want = append(want, fmt.Sprint("created d", i+1))
	}
	third := open()
	defer third.Close(t.Context())
	again := must(third.FollowChanges(t.Context(), w.scope, last.Cursor()))
	defer again.Close()
	if got, _ := followed(t, again, 7); !slices.Equal(got, want) {
		t.Errorf("after the cursor came %q, want %q", got, want)
	}
	must(w.DeleteDevice(t.Context(), w.scope, device("d0")))
	if got, _ := followed(t, again, 1); !slices.Equal(got, []string{"deleted d0"}) {
		t.Errorf("then came %q", got)
	}
	for cursor, code := range map[string]registry.Code{"nonsense": registry.CodeInvalid, registry.Cursor("999999"): registry.CodeInvalid, registry.Cursor("x"): registry.CodeInvalid} {
		if _, err := w.FollowChanges(t.Context(), w.scope, cursor); registry.CodeOf(err) != code {
			t.Errorf("cursor %q: %v, want %s", cursor, err, code)
		}
	}
}

func TestSelectChanges(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.groups("/a/x", "/b")
	top := must(w.GroupByPath(ctx, w.scope, "/a"))
	w.device("d", "/a/x")
	must(w.UpdateDevice(ctx, w.scope, device("d"), registry.TwinPatch{Attributes: registry.Attributes{"n": 5}}))
	to := "/b"
	must(w.MoveGroup(ctx, w.scope, group("/a/x"), registry.GroupMove{Parent: &to}))
	must(w.DeleteDevice(ctx, w.scope, device("d")))
	all := must(w.ListChanges(ctx, w.scope, registry.ChangeFilter{Direction: registry.SortAscending}, registry.PageRequest{Size: 100})).Items
	choose := func(selection graph.ChangeSelection, where string) (out []string) {
		if where != "" {
			if err := selection.SetWhere(where); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range must(w.SelectChanges(ctx, w.scope, selection, all)) {
			out = append(out, c.Action+" "+c.Key)
		}
		return out
	}
	// The move takes the group out of the sub-tree, so it is told; what happens to
	// the device afterwards is not.
	if got, want := choose(graph.ChangeSelection{Under: top.ID}, ""), []string{"created /a/x", "created d", "updated d", "moved /b/x"}; !slices.Equal(got, want) {
		t.Errorf("under /a: %q, want %q", got, want)
	}
	if got, want := choose(graph.ChangeSelection{Kinds: []registry.ObjectKind{}}, "attributes.n == 5"), choose(graph.ChangeSelection{}, "attributes.n == 5"); len(got) == 0 || !slices.Equal(got, want) {
		t.Errorf("of no kind %v, want all: %v", got, want)
	}
	if got, want := choose(graph.ChangeSelection{Kinds: []registry.ObjectKind{registry.ObjectDevice}}, "attributes.n == 5"), []string{"updated d", "deleted d"}; !slices.Equal(got, want) {
		t.Errorf("by a rule: %q, want %q", got, want)
	}
}
