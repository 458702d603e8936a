package graph_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// BenchmarkHierarchy measures inheritance and moves in an account of 20,000
// groups 8 deep, 2,000 policies and 100,000 devices in three hierarchies each;
// HOLON_HIERARCHY_DEVICES makes it smaller. It reports medians and 99th
// percentiles.
func BenchmarkHierarchy(b *testing.B) {
	store, scope := testkit.Store(b)
	devices := 100_000
	if n, err := strconv.Atoi(os.Getenv("HOLON_HIERARCHY_DEVICES")); err == nil {
		devices = n
	}
	a := benchAccount{b, store, scope}
	began := time.Now()
	ids := a.seed(20_000, 2_000, devices)
	b.Logf("seeded in %s", time.Since(began).Round(time.Second))
	random := rand.New(rand.NewPCG(1, 2))
	some := func(n int) []registry.ID {
		out := make([]registry.ID, n)
		for i := range out {
			out[i] = ids[random.IntN(len(ids))]
		}
		return out
	}
	ask := func(n int) func() error {
		return func() error {
			_, err := store.InheritedPolicies(b.Context(), scope, some(n), nil)
			return err
		}
	}
	began = time.Now()
	if err := ask(1)(); err != nil {
		b.Fatal(err)
	}
	b.Logf("read the hierarchy in %s", time.Since(began).Round(time.Millisecond))
	a.measure("one device", ask(1))
	a.measure("a page of 100", ask(100))
	a.measure("a device with its policies", func() error {
		_, err := store.DeviceByReference(b.Context(), scope, fmt.Sprintf("d%06d", random.IntN(devices)), graph.Include{Policies: true})
		return err
	})
	// A tenth of everything is below /h0/g0 ... /h0/g9: half of the groups are
	// in /h0.
	there := false
	move := func() error {
		parent := "/h1"
		if there = !there; !there {
			parent = "/h2"
		}
		from := map[string]string{"/h1": "/h2/moving", "/h2": "/h1/moving"}[parent]
		moved, err := store.MoveGroup(b.Context(), scope, group(from), registry.GroupMove{Parent: &parent})
		if err == nil && moved.Moved < 9_000 {
			err = fmt.Errorf("only %d groups moved", moved.Moved)
		}
		return err
	}
	name := "moving"
	if _, err := store.MoveGroup(b.Context(), scope, group("/h0"), registry.GroupMove{Parent: new("/h2"), Name: &name}); err != nil {
		b.Fatal(err)
	}
	a.times("move of half of the groups", 10, move)
	a.times("one device after a move", 10, func() error {
		if err := move(); err != nil {
			return err
		}
		began := time.Now()
		err := ask(1)()
		b.Logf("after a move: %s", time.Since(began))
		return err
	})
}

type benchAccount struct {
	*testing.B
	store *graph.Store
	scope registry.Scope
}

func (a benchAccount) measure(what string, call func() error) { a.times(what, 500, call) }

func (a benchAccount) times(what string, n int, call func() error) {
	a.Helper()
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		if err := call(); err != nil {
			a.Fatalf("%s: %v", what, err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	a.Logf("%s: p50 %s, p99 %s", what, took[n/2], took[n*99/100])
}

// seed makes three hierarchies: h0 has half of the groups. It returns the ids
// of the devices.
func (a benchAccount) seed(groups, policies, devices int) []registry.ID {
	a.Helper()
	run := func(text string, p map[string]any) []map[string]any {
		rows, err := a.store.Cypher(a.Context(), a.scope, text, p)
		if err != nil {
			a.Fatal(err)
		}
		return rows
	}
	random := rand.New(rand.NewPCG(3, 4))
	type node struct {
		path  string
		depth int
	}
	var all [3][]node
	var items []any
	add := func(h int, parent, name string, depth int) {
		path := parent + "/" + name
		all[h] = append(all[h], node{path, depth})
		items = append(items, map[string]any{"path": path, "parent": max(parent, "/"), "name": name, "depth": depth})
	}
	for h, share := range []int{groups / 2, groups / 4, groups / 4} {
		add(h, "", fmt.Sprint("h", h), 1)
		for i := range share - 1 {
			above := all[h][random.IntN(min(len(all[h]), 1+i))]
			for above.depth >= 8 {
				above = all[h][random.IntN(len(all[h]))]
			}
			add(h, above.path, fmt.Sprint("g", i), above.depth+1)
		}
	}
	for chunk := range slices.Chunk(items, 2000) {
		run(`MATCH (t:Template) WHERE t.account = $account AND t.keyFold = 'group/open/000001'
			UNWIND $items AS g
			CREATE (n:Group:Entity {id: randomUUID(), account: $account, keyFold: g.path, path: g.path, name: g.name, depth: g.depth,
				templateFold: 'open', version: 1, createdAt: datetime(), updatedAt: datetime()})-[:INSTANCE_OF]->(t)`, map[string]any{"items": chunk})
	}
	for chunk := range slices.Chunk(items, 2000) {
		run(`UNWIND $items AS g
			MATCH (n:Group) WHERE n.account = $account AND n.keyFold = g.path
			MATCH (p:Group) WHERE p.account = $account AND p.keyFold = g.parent
			CREATE (n)-[:CHILD_OF {name: g.name, nameFold: g.name, since: 0}]->(p)`, map[string]any{"items": chunk})
	}
	pick := func(h int) string { return all[h][random.IntN(len(all[h]))].path }
	for i := range policies {
		n := registry.NewPolicy{Reference: fmt.Sprintf("p%05d", i), Type: fmt.Sprint("t", i%5), Document: map[string]any{"limit": i, "text": "some words that a policy would have"}}
		for _, h := range []int{0, 1, 2}[:1+i%3] {
			// Nearer to the top, so that policies are inherited.
			n.AppliesTo = append(n.AppliesTo, all[h][random.IntN(max(1, len(all[h])/50))].path)
		}
		if _, err := a.store.CreatePolicy(a.Context(), a.scope, n); err != nil {
			a.Fatal(err)
		}
	}
	var ids []registry.ID
	for from := 0; from < devices; from += 5000 {
		var rows []any
		for i := from; i < min(from+5000, devices); i++ {
			rows = append(rows, map[string]any{"reference": fmt.Sprintf("d%06d", i), "groups": []any{pick(0), pick(1), pick(2)}})
		}
		for _, row := range run(`MATCH (t:Template) WHERE t.account = $account AND t.keyFold = 'device/open/000001'
			UNWIND $items AS d
			CREATE (n:Device:Entity {id: randomUUID(), account: $account, keyFold: d.reference, reference: d.reference, state: 'ACTIVE',
				templateFold: 'open', version: 1, createdAt: datetime(), updatedAt: datetime()})-[:INSTANCE_OF]->(t)
			WITH n, d
			CALL (n, d) {
				UNWIND d.groups AS path
				MATCH (g:Group) WHERE g.account = $account AND g.keyFold = path
				CREATE (n)-[:LOCATED_AT {since: 0}]->(g)
			}
			RETURN collect(n.id) AS ids`, map[string]any{"items": rows}) {
			for _, id := range row["ids"].([]any) {
				ids = append(ids, registry.ID(id.(string)))
			}
		}
	}
	return ids
}
