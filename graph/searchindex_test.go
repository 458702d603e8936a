package graph_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// What a template declares searched gets an index, apart from requests, and
// searches then begin there: also in accounts that are too large to walk through.
func TestSearchedAttributes(t *testing.T) {
	w := newWorld(t)
	for from := 1; from < 20_002; from += 2_000 {
		if _, err := w.Cypher(w.Context(), w.scope, `
			UNWIND range($from, $from + 1999) AS i
			CREATE (d:Device:Entity {id: randomUUID(), account: $account, keyFold: 'd' + i, reference: 'd' + i, probed: i, state: 'ACTIVE', templateFold: 'open', version: 1, createdAt: datetime(), updatedAt: datetime()})
			WITH d MATCH (t:Template) WHERE t.account = $account AND t.keyFold = 'device/open/000001'
			CREATE (d)-[:INSTANCE_OF]->(t)`, map[string]any{"from": from}); err != nil {
			t.Fatal(err)
		}
	}
	s := registry.Search{Where: "attributes.probed == 77 or false", Kinds: []registry.Kind{registry.KindDevice}}
	_, err := w.Search(w.Context(), w.scope, s, registry.PageRequest{Size: 1})
	violates(t, err, "where", "walk")
	template := w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "Probe", Properties: map[string]any{"probed": map[string]any{"type": "integer"}}, Searched: []string{"probed"}})
	running, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.MakeIndexes(running) }()
	for until := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		indexes, err := w.SearchIndexes(t.Context(), template)
		if err != nil {
			t.Fatal(err)
		}
		if len(indexes) == 1 && indexes[0].Name == "probed" && indexes[0].State == registry.IndexOnline {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("indexes are %+v", indexes)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for where, want := range map[string]string{"attributes.probed == 77": "d77", "attributes.probed > 21999": "d22000", "attributes.probed in [5] and version == 1": "d5"} {
		if got := w.search(registry.Search{Where: where, Kinds: s.Kinds}); len(got) != 1 || got[0] != want {
			t.Errorf("%s finds %q", where, got)
		}
	}
	for _, where := range []string{"attributes.probed startsWith 'x'", "attributes.probed >= 'x' and attributes.probed != nil", "attributes.probed", "attributes.probed in ['[x', 0]"} {
		if got := w.search(registry.Search{Where: where, Kinds: s.Kinds}); len(got) != 0 {
			t.Errorf("%s finds %q", where, got)
		}
	}
	// Within a sub-tree it begins at the index, or at the sub-tree where that is
	// smaller.
	w.groups("/few/one", "/fewer")
	if _, err := w.Cypher(w.Context(), w.scope, `
		MATCH (d:Device) WHERE d.account = $account AND d.keyFold IN ['d5', 'd77', 'd78']
		MATCH (g:Group) WHERE g.account = $account AND g.keyFold = CASE d.keyFold WHEN 'd78' THEN '/fewer' ELSE '/few/one' END
		CREATE (d)-[:LOCATED_AT]->(g)`, nil); err != nil {
		t.Fatal(err)
	}
	for where, want := range map[string]string{"attributes.probed == 77": "[d77]", "attributes.probed > 5": "[d77]", "attributes.probed == 78": "[]", "attributes.probed in [5, 77]": "[d5 d77]"} {
		if got := w.search(registry.Search{Where: where, Kinds: s.Kinds, Under: "/few"}); fmt.Sprint(got) != want {
			t.Errorf("%s under /few finds %q", where, got)
		}
	}
	// What does not narrow still walks.
	_, err = w.Search(w.Context(), w.scope, s, registry.PageRequest{Size: 1})
	violates(t, err, "where", "walk")
}

// TestIndexOfLongValues: what does not fit into an index is refused, and an index
// that could not be made, since such a value was there before, is made later on.
func TestIndexOfLongValues(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("y", graph.MaxSearchedValue+1_000)
	name := fmt.Sprint("note", time.Now().UnixNano())
	d := must(w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "d", Attributes: registry.Attributes{name: long}}))
	template := w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "Noted", Searched: []string{name}, Properties: map[string]any{name: map[string]any{"type": "string"}}})
	becomes := func(store *graph.Store, want registry.SearchIndexState) {
		t.Helper()
		running, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- store.MakeIndexes(running) }()
		for until := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
			if indexes := must(store.SearchIndexes(t.Context(), template)); len(indexes) == 1 && indexes[0].State == want {
				break
			} else if time.Now().After(until) {
				t.Fatalf("the index is %+v, not %s", indexes, want)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	becomes(w.Store, registry.IndexFailed)
	if _, err := w.UpdateDevice(t.Context(), w.scope, byID(d), registry.TwinPatch{Attributes: registry.Attributes{name: "short"}}); err != nil {
		t.Fatal(err)
	}
	other, err := graph.Open(t.Context(), testkit.Config(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close(context.WithoutCancel(t.Context())) })
	becomes(other, registry.IndexOnline)
	_, err = w.UpdateDevice(t.Context(), w.scope, byID(d), registry.TwinPatch{Attributes: registry.Attributes{name: long}})
	violates(t, err, "attributes."+name, "length")
}
