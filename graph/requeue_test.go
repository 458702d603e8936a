package graph_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// errLeft is what is answered for a note that cannot be queued, or is another
// test's.
var errLeft = errors.New("this note is left")

// requeues passes on all that is noted for the field's account, and returns the
// records of what it was asked to queue.
func (f *field) requeues(queue func(graph.Requeue) error) []string {
	f.Helper()
	var got []string
	_, err := f.store.RequeueSome(f.Context(), time.Now().Add(time.Minute), func(_ context.Context, note graph.Requeue) error {
		if note.Scope.Account != f.scope.Account {
			return errLeft
		}
		got = append(got, string(note.Records))
		return queue(note)
	})
	if err != nil && !errors.Is(err, errLeft) {
		f.Fatal(err)
	}
	return got
}

// TestRequeue keeps what is to be queued instead of what was undone until it is
// queued; what cannot be stays, and nothing waits for it.
func TestRequeue(t *testing.T) {
	f := newField(t)
	d := f.device("probe", "")
	start := morning()
	p := payload("x", start)
	r := f.reading(d, start, map[string]any{"a": 1.0})
	r.Payload = p
	f.send(r)
	undoings := []registry.Undoing{{Payload: p.ID, Remove: gaveAt("a", start), Valid: true}}
	var broken []string
	for i := range 7 {
		records := "broken " + strconv.Itoa(i)
		broken = append(broken, records)
		undoings = append(undoings, registry.Undoing{Payload: registry.ID("p" + strconv.Itoa(i)), Valid: true, Records: []byte(records)})
	}
	undoings = append(undoings, registry.Undoing{Payload: "q", Valid: true, Records: []byte("good")})
	undone, err := f.store.Undo(t.Context(), f.scope, d.ID, undoings)
	if err != nil || len(undone.Notes) != 8 {
		t.Fatalf("got %+v, %v", undone, err)
	}
	f.expectSamples(d.ID, "a")
	var good graph.Requeue
	got := f.requeues(func(note graph.Requeue) error {
		if string(note.Records) != "good" {
			return errLeft
		}
		good = note
		return f.store.Requeued(t.Context(), note.Scope, note.Note)
	})
	if diff := gocmp.Diff(append(broken, "good"), got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := gocmp.Diff(undone.Twins, good.Twins); diff != "" || good.Note != undone.Notes[7] {
		t.Errorf("%+v: %s", good, diff)
	}
	if diff := gocmp.Diff(broken, f.requeues(func(graph.Requeue) error { return errLeft })); diff != "" {
		t.Errorf("left: -want +got\n%s", diff)
	}
	if err := f.store.Requeued(t.Context(), f.scope, undone.Notes...); err != nil {
		t.Fatal(err)
	}
	if got := f.requeues(func(graph.Requeue) error { return errLeft }); len(got) != 0 {
		t.Errorf("left at the end: %q", got)
	}
}

// TestRequeueOfOldTemplate forgets what an older template made of a payload when a
// newer one has decoded it, and only then.
func TestRequeueOfOldTemplate(t *testing.T) {
	f := newField(t)
	d, other := f.device("probe", ""), f.device("other", "")
	undo := func(device *registry.Device, undoings ...registry.Undoing) {
		t.Helper()
		if _, err := f.store.Undo(t.Context(), f.scope, device.ID, undoings); err != nil {
			t.Fatal(err)
		}
	}
	records := func(payload registry.ID, text string) registry.Undoing {
		return registry.Undoing{Payload: payload, Valid: true, Records: []byte(text)}
	}
	undo(d, records("p1", "p1 old"), records("p10", "p10 old"), records("p2", "p2 old"), records("p3", "p3 old"))
	undo(other, records("p1", "p1 of the other"))
	undo(d, records("p1", "p1 new"), registry.Undoing{Payload: "p2"}, registry.Undoing{Payload: "p3", Valid: true})
	got := f.requeues(func(note graph.Requeue) error { return f.store.Requeued(t.Context(), note.Scope, note.Note) })
	slices.Sort(got)
	if diff := gocmp.Diff([]string{"p1 new", "p1 of the other", "p10 old", "p2 old"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
