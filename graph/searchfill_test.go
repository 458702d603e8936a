package graph_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/holon-registry/holon/registry"
)

// What was made before words were searched for is found by them later on, and
// what it is otherwise stays.
func TestFillWords(t *testing.T) {
	w := newWorld(t)
	d := w.device("old")
	if _, err := w.Cypher(t.Context(), w.scope, `
		MATCH (d:Device) WHERE d.account = $account AND d.keyFold = 'old'
		SET d.maker = 'Zephyrwerke', d.tags = ['quiet', 'roofmounted'], d.searchText = null`, nil); err != nil {
		t.Fatal(err)
	}
	found := false
	for try := 0; !found && try < 6; try++ {
		found = w.filledWithin(t, 20*time.Second, "zephyr roofmounted", d.ID)
	}
	if !found {
		t.Fatal("the device is not found by its words")
	}
	after := must(w.DevicesByID(t.Context(), w.scope, []registry.ID{d.ID}))[0]
	if after.Version != d.Version || after.Attributes["maker"] != "Zephyrwerke" || len(after.Attributes) != 2 || !slices.Equal(after.Attributes["tags"].([]any), []any{"quiet", "roofmounted"}) {
		t.Errorf("the device is %+v", after)
	}
}

// filledWithin begins to fill words from the first thing on, and says whether
// the thing is found by them in time. A server of another test on the same store
// may be filling, too: it loses its lease to this one, but what it has read it
// still writes, so that one try may come to nothing.
func (w *world) filledWithin(t *testing.T, limit time.Duration, words string, id registry.ID) bool {
	t.Helper()
	if _, err := w.Cypher(t.Context(), w.scope, `
		MATCH (l:Lease {name: 'words'}) SET l.done = null, l.after = null, l.holder = null`, nil); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithTimeout(t.Context(), limit)
	ended := make(chan error, 1)
	go func() { ended <- w.FillWords(running) }()
	found := func() bool {
		items := must(w.Search(t.Context(), w.scope, registry.Search{Text: words}, registry.PageRequest{Size: 5})).Items
		return len(items) == 1 && items[0].Thing.NodeID() == id
	}
	for running.Err() == nil && !found() {
		time.Sleep(100 * time.Millisecond)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return found()
}
