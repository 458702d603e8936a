package graph_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// longAgo is a world of its own time: what is swept there is older than
// everything in other tests.
func longAgo(t *testing.T, year int) world {
	t.Helper()
	testkit.Store(t) // migrates
	c := testkit.Config(t)
	var ticks atomic.Int64
	begin := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(time.Now().UnixNano() % int64(time.Hour)))
	c.Clock = func() time.Time { return begin.Add(time.Duration(ticks.Add(1)) * time.Second) }
	store, err := graph.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close(context.WithoutCancel(t.Context())) })
	return world{t, store, testkit.Account(t, store)}
}

// TestHistorySwept has one after the other what sweeps: it sweeps all accounts.
func TestHistorySwept(t *testing.T) {
	t.Parallel()
	t.Run("some", sweptInPart)
	t.Run("all", sweptWhole)
}

// sweptInPart makes a random history, sweeps it twice, and asks as of the
// moments that are left.
func sweptInPart(t *testing.T) {
	w := longAgo(t, 2001)
	ctx := t.Context()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	_, instants := randomHistory(w, seed, 60)
	all := must(w.CountChanges(ctx, w.scope, registry.ChangeFilter{}))
	for _, first := range []int{len(instants) / 3, 2 * len(instants) / 3} {
		horizon := instants[first].at
		if err := w.SweepHistory(ctx, horizon); err != nil {
			t.Fatal(err)
		}
		for i := first; i < len(instants); i += 1 + (len(instants)-first)/5 {
			at := instants[i].at
			scope := w.scope
			scope.AsOf = &at
			if err := w.CheckMoment(ctx, scope, at); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(instants[i].model.tell(), w.ask(scope)); diff != "" {
				t.Fatalf("seed %d, swept until %d, change %d as of %s (-model +store):\n%s", seed, first, i, at, diff)
			}
			devices := 0
			for _, twin := range instants[i].model.twins {
				if twin.kind == registry.KindDevice {
					devices++
				}
			}
			if n := must(w.CountDevices(ctx, scope, registry.Filter{})); n != devices {
				t.Errorf("seed %d, swept until %d: %d devices as of change %d, want %d", seed, first, n, i, devices)
			}
		}
		if err := w.CheckMoment(ctx, w.scope, horizon.Add(-time.Millisecond)); registry.CodeOf(err) != registry.CodeCursorExpired {
			t.Errorf("before the horizon: %v", err)
		}
		left := must(w.ListChanges(ctx, w.scope, registry.ChangeFilter{Direction: registry.SortAscending}, registry.PageRequest{Size: 1000}))
		if n := must(w.CountChanges(ctx, w.scope, registry.ChangeFilter{})); n != len(left.Items) || n >= all {
			t.Errorf("%d changes are counted, %d listed, there were %d", n, len(left.Items), all)
		}
		if c := left.Items[0]; !c.At.After(horizon) {
			t.Errorf("change %d of %s is left, the horizon is %s", c.Position, c.At, horizon)
		}
		// The cursor of the last change that went is as good as that of the first left.
		before := (&registry.Change{Position: left.Items[0].Position - 1}).Cursor()
		sub := must(w.FollowChanges(ctx, w.scope, before))
		if got, _ := followed(t, sub, len(left.Items)); len(got) != len(left.Items) {
			t.Errorf("%d changes follow, want %d", len(got), len(left.Items))
		}
		sub.Close()
		for _, cursor := range []string{registry.Cursor("1"), (&registry.Change{Position: left.Items[0].Position - 2}).Cursor()} {
			if _, err := w.FollowChanges(ctx, w.scope, cursor); registry.CodeOf(err) != registry.CodeCursorExpired {
				t.Errorf("a cursor of what was swept: %v", err)
			}
		}
	}
}

// sweptWhole sweeps up to now: what is there stays, what is gone leaves
// nothing.
func sweptWhole(t *testing.T) {
	w := longAgo(t, 2002)
	ctx := t.Context()
	w.groups("/site")
	behind := must(w.FollowChanges(ctx, w.scope, registry.Cursor("1"))) // and reads nothing yet
	defer behind.Close()
	w.device("stays", "/site")
	w.device("goes", "/site")
	for n := range 120 { // more than one turn of one object
		must(w.UpdateDevice(ctx, w.scope, device("stays"), registry.TwinPatch{Attributes: registry.Attributes{"n": int64(n)}}))
	}
	gone := must(w.DeleteDevice(ctx, w.scope, device("goes")))
	last := must(w.ListChanges(ctx, w.scope, registry.ChangeFilter{}, registry.PageRequest{Size: 1})).Items[0]
	if err := w.SweepHistory(ctx, last.At); err != nil {
		t.Fatal(err)
	}
	if n := must(w.CountChanges(ctx, w.scope, registry.ChangeFilter{})); n != 0 {
		t.Errorf("%d changes are left", n)
	}
	if got, err := behind.Next(ctx); registry.CodeOf(err) != registry.CodeCursorExpired {
		t.Errorf("who was on the way before the horizon is told of %d changes, %v", len(got), err)
	}
	scope := w.scope
	scope.AsOf = &last.At
	page := must(w.ListDevices(ctx, scope, registry.Filter{Under: "/site"}, registry.PageRequest{Size: 10}))
	if len(page.Items) != 1 || page.Items[0].Reference != "stays" || page.Items[0].Attributes["n"] != int64(119) {
		t.Errorf("as of the horizon there is %v", page.Items)
	}
	for _, query := range []string{
		"MATCH (c:Change) WHERE c.object = $id RETURN count(c) AS n", "MATCH (n:Entity {id: $id}) RETURN count(n) AS n",
	} {
		if rows := must(w.Cypher(ctx, w.scope, query, map[string]any{"id": string(gone.ID)})); rows[0]["n"] != int64(0) {
			t.Errorf("%v: %s", rows[0]["n"], query)
		}
	}
	if _, err := w.FollowChanges(ctx, w.scope, registry.Cursor("3")); registry.CodeOf(err) != registry.CodeCursorExpired {
		t.Errorf("a cursor before what was all swept: %v", err)
	}
	sub := must(w.FollowChanges(ctx, w.scope, last.Cursor()))
	defer sub.Close()
	w.device("new")
	if got, _ := followed(t, sub, 1); got[0] != "created new" {
		t.Errorf("after the horizon came %q", got)
	}
	must(w.DeleteDevice(ctx, w.scope, device("stays")))
}
