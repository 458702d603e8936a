package graph_test

import (
	"context"
	"errors"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// TestRequeue keeps what is to be queued instead of what was undone until it is
// queued.
func TestRequeue(t *testing.T) {
	f := newField(t)
	d := f.device("probe", "")
	start := morning()
	p := payload("x", start)
	r := f.reading(d, start, map[string]any{"a": 1.0})
	r.Payload = p
	f.send(r)
	undone, err := f.store.Undo(t.Context(), f.scope, d.ID, []registry.Undoing{{Payload: p.ID, Remove: gaveAt("a", start), Valid: true}}, []byte{0, 255})
	if err != nil {
		t.Fatal(err)
	}
	f.expectSamples(d.ID, "a")
	want := graph.Requeue{Undone: registry.Undone{Note: undone.Note, Twins: []registry.ID{d.ID}}, Scope: registry.Scope{Account: f.scope.Account}, Records: []byte{0, 255}}
	down := errors.New("the queue is down")
	for _, answer := range []error{down, nil, nil} {
		var got []graph.Requeue
		for more := true; more; {
			more, err = f.store.RequeueSome(t.Context(), time.Now().Add(time.Minute), func(_ context.Context, note graph.Requeue) error {
				if note.Scope.Account != f.scope.Account {
					return nil // another test's
				}
				got = append(got, note)
				return answer
			})
		}
		if !errors.Is(err, answer) {
			t.Fatalf("got %v", err)
		}
		var expected []graph.Requeue
		if want.Records != nil {
			expected = []graph.Requeue{want}
		}
		if diff := gocmp.Diff(expected, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if answer == nil {
			want.Records = nil // it is queued
		}
	}
}
