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
		MATCH (l:Lease {name: 'words'}) SET l.done = null, l.after = null`, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Cypher(t.Context(), w.scope, `
		MATCH (d:Device) WHERE d.account = $account AND d.keyFold = 'old'
		SET d.maker = 'Zephyrwerke', d.tags = ['quiet', 'roofmounted'], d.searchText = null`, nil); err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.FillWords(running) }()
	for until := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		found := must(w.Search(t.Context(), w.scope, registry.Search{Text: "zephyr roofmounted"}, registry.PageRequest{Size: 5})).Items
		if len(found) == 1 && found[0].Thing.NodeID() == d.ID {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("found %v", found)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	after := must(w.DevicesByID(t.Context(), w.scope, []registry.ID{d.ID}))[0]
	if after.Version != d.Version || after.Attributes["maker"] != "Zephyrwerke" || len(after.Attributes) != 2 || !slices.Equal(after.Attributes["tags"].([]any), []any{"quiet", "roofmounted"}) {
		t.Errorf("the device is %+v", after)
	}
}
