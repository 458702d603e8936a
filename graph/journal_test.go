package graph_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// journal reads an account's changes, oldest first, as "ACTION KIND KEY".
func (w world) journal() []string {
	w.Helper()
	rows, err := w.Cypher(w.Context(), w.scope, `
		MATCH (c:Change) WHERE c.account = $account
		RETURN c.position AS position, c.at AS at, c.action + ' ' + c.kind + ' ' + c.key AS text, c.actor AS actor ORDER BY position`, nil)
	if err != nil {
		w.Fatal(err)
	}
	var out []string
	var last time.Time
	for i, row := range rows {
		at := row["at"].(time.Time)
		if row["position"].(int64) != int64(i+1) || at.Before(last) {
			w.Errorf("change %d has position %v and moment %s after %s", i+1, row["position"], at, last)
		}
		last = at
		out = append(out, row["text"].(string))
	}
	return out
}

func TestJournalTellsEverything(t *testing.T) {
	w := newWorld(t)
	w.groups("/site/10")
	d := w.device("d", "/site/10")
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.UpdateDevice(ctx, w.scope, device("d"), registry.TwinPatch{Attributes: registry.Attributes{"colour": "red", "at": map[string]any{"floor": 3}}})
	must(err)
	for range 2 {
		_, _, err = w.Relate(ctx, w.scope, device("d"), "owned_by", group("/site"))
		must(err)
	}
	p := w.policy("p", "/site")
	_, err = w.UpdatePolicy(ctx, w.scope, registry.Ref{Key: "p"}, registry.PolicyPatch{AppliesTo: []string{"/site/10"}})
	must(err)
	for range 2 {
		_, _, err = w.Unrelate(ctx, w.scope, device("d"), "owned_by", group("/site"))
		must(err)
	}
	_, err = w.DeletePolicy(ctx, w.scope, registry.Ref{ID: p.ID})
	must(err)
	_, err = w.DeleteDevice(ctx, w.scope, device("d"))
	must(err)
	_, err = w.DeleteGroup(ctx, w.scope, group("/site/10"), registry.GroupDeletion{})
	must(err)
	want := []string{
		"created GROUP /", "created GROUP /site", "created GROUP /site/10", "created DEVICE d", "updated DEVICE d", "related DEVICE d",
		"created POLICY p", "updated POLICY p", "unrelated DEVICE d", "deleted POLICY p", "deleted DEVICE d", "deleted GROUP /site/10",
	}
	if diff := cmp.Diff(want, w.journal()); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
	rows, err := w.Cypher(ctx, w.scope, `MATCH (c:Change) WHERE c.account = $account AND c.object = $id AND c.action = 'updated' RETURN c.diff AS diff`, map[string]any{"id": string(d.ID)})
	must(err)
	var differences []registry.Difference
	must(json.Unmarshal([]byte(rows[0]["diff"].(string)), &differences))
	if diff := cmp.Diff([]registry.Difference{{Path: "attributes.at", After: map[string]any{"floor": 3.0}}, {Path: "attributes.colour", After: "red"}}, differences); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	// What ended is there with both ends of its time, and nothing is left over.
	rows, err = w.Cypher(ctx, w.scope, `
		MATCH (n:Gone) WHERE n.account = $account
		MATCH (n)-[r]->(o)
		RETURN type(r) + coalesce(' ' + r.name, '') AS text, r.since < r.until AS ended ORDER BY text`, nil)
	must(err)
	var ended []string
	for _, row := range rows {
		ended = append(ended, fmt.Sprint(row["text"], " ", row["ended"]))
	}
	if diff := cmp.Diff([]string{"WAS_APPLIES_TO true", "WAS_APPLIES_TO true", "WAS_CHILD_OF 10 true", "WAS_RELATED located_at true", "WAS_RELATED owned_by true"}, ended); diff != "" {
		t.Errorf("what ended (-want +got):\n%s", diff)
	}
}

func TestRefusedChangeLeavesNoTrace(t *testing.T) {
	w := newWorld(t)
	w.device("d")
	before := w.journal()
	if _, err := w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "D"}); registry.CodeOf(err) != registry.CodeConflict {
		t.Fatalf("a second d: %v", err)
	}
	if _, err := w.DeleteDevice(t.Context(), w.scope, device("nothing")); registry.CodeOf(err) != registry.CodeNotFound {
		t.Fatalf("a device that is not there: %v", err)
	}
	if diff := cmp.Diff(before, w.journal()); diff != "" {
		t.Errorf("journal (-before +after):\n%s", diff)
	}
}

func TestWritersTakeTurns(t *testing.T) {
	w := newWorld(t)
	w.groups("/a", "/b")
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for j := range 5 {
				reference := fmt.Sprintf("d%d-%d", i, j)
				if _, err := w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: reference, Relations: locatedAt("/a")}); err != nil {
					t.Errorf("create %s: %v", reference, err)
				}
				if _, _, err := w.Relate(t.Context(), w.scope, device(reference), "located_at", group("/b")); err != nil {
					t.Errorf("relate %s: %v", reference, err)
				}
			}
		})
	}
	clients.Wait()
	if got := len(w.journal()); got != 3+8*5*2 {
		t.Errorf("%d changes, want %d", got, 3+8*5*2)
	}
}
