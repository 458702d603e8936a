package graph_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// Sixteen clients of two processes change the structure of an account at random,
// for three seconds or HOLON_CONCURRENCY_SECONDS, and a hundred times. Whatever they got in each
// other's way: afterwards the groups are a tree with the right paths, nothing
// hangs loose, policies have their ranks, everybody inherits what the definition
// says, and the journal tells exactly what there is.
func TestConcurrentStructure(t *testing.T) {
	w := newWorld(t)
	second, err := graph.Open(t.Context(), testkit.Config(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { second.Close(context.Background()) })
	seconds := 3
	if n, err := strconv.Atoi(os.Getenv("HOLON_CONCURRENCY_SECONDS")); err == nil {
		seconds = n
	}
	c := crowd{names: []string{"a", "b", "c"}}
	w.groups("/a/b/c", "/a/c/a", "/b/c/b", "/c/a/c")
	var twins []registry.NewTwin
	for i := range 40 {
		c.devices = append(c.devices, fmt.Sprintf("d%02d", i))
		twins = append(twins, registry.NewTwin{Reference: c.devices[i]})
	}
	if _, err := w.CreateTwins(t.Context(), w.scope, registry.KindDevice, twins, true); err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	began := time.Now()
	more := func() bool {
		took := time.Since(began)
		return took < time.Duration(seconds)*time.Second || c.made.Load() < 100 && took < time.Minute
	}
	for i := range 16 {
		store := []*graph.Store{w.Store, second}[i%2]
		random := rand.New(rand.NewPCG(uint64(i), 11))
		clients.Go(func() {
			for more() {
				c.act(world{t, store, w.scope}, random)
			}
		})
	}
	clients.Wait()
	t.Logf("%d changes, %d refusals", c.made.Load(), c.refused.Load())
	if c.made.Load() < 100 {
		t.Error("hardly anything changed")
	}
	w.checkStructure([]*graph.Store{w.Store, second}, c.devices)
	w.checkReplay()
}

// crowd is what clients choose from.
type crowd struct {
	names, devices []string
	made, refused  atomic.Int64
}

// act makes a random change, which may be refused.
func (c *crowd) act(w world, random *rand.Rand) {
	some := func(of []string) string { return of[random.IntN(len(of))] }
	path := func() string {
		out := ""
		for range 1 + random.IntN(3) {
			out += "/" + some(c.names)
		}
		return out
	}
	parent := []string{"/", path()}[random.IntN(2)]
	policy := registry.Ref{Key: fmt.Sprintf("p%d", random.IntN(12))}
	d, ctx := device(some(c.devices)), w.Context()
	var err error
	switch random.IntN(12) {
	case 0, 1:
		_, err = w.moveGroup(path(), parent, "")
	case 2:
		_, err = w.moveGroup(path(), "", some(c.names))
	case 3:
		_, err = w.DeleteGroup(ctx, w.scope, group(path()), registry.GroupDeletion{Cascade: random.IntN(3) == 0})
	case 4, 5:
		_, err = w.CreateGroup(ctx, w.scope, registry.NewGroup{Parent: parent, Name: some(c.names), Relations: locatedAt("/")[:random.IntN(2)]})
	case 6, 7:
		_, _, err = w.Relate(ctx, w.scope, d, some([]string{"located_at", "owned_by"}), group(path()))
	case 8:
		_, _, err = w.Unrelate(ctx, w.scope, d, some([]string{"located_at", "owned_by"}), group(path()))
	case 9:
		_, err = w.CreatePolicy(ctx, w.scope, registry.NewPolicy{Reference: policy.Key, Type: "t", Document: map[string]any{}, AppliesTo: []string{path(), path()}})
	case 10:
		_, err = w.UpdatePolicy(ctx, w.scope, policy, registry.PolicyPatch{AppliesTo: []string{path(), path()}})
	case 11:
		switch random.IntN(3) {
		case 0:
			_, err = w.DeletePolicy(ctx, w.scope, policy)
		case 1:
			_, _, err = w.Relate(ctx, w.scope, group(path()), "near", group(path()))
		case 2:
			var r *registry.Rehearsal
			from, to := path(), path()
			if r, err = w.RehearseMoveGroup(ctx, w.scope, group(from), registry.GroupMove{Parent: &to}); err == nil {
				scope := w.scope
				scope.Token = r.Token
				_, err = w.MoveGroup(ctx, scope, group(from), registry.GroupMove{Parent: &to})
			}
		}
	}
	switch registry.CodeOf(err) {
	case registry.CodeNotFound, registry.CodeInvalid, registry.CodeConflict, registry.CodeFailedPrecondition, registry.CodeLimitExceeded,
		registry.CodeUnavailable: // a turn that did not come in time
		c.refused.Add(1)
		return
	}
	if err != nil {
		w.Errorf("a change: %v", err)
	}
	c.made.Add(1)
}

// checkStructure holds what is there against the edges.
func (w world) checkStructure(stores []*graph.Store, references []string) {
	w.Helper()
	read := func(text string) []map[string]any {
		rows, err := w.Cypher(w.Context(), w.scope, text, nil)
		if err != nil {
			w.Fatal(err)
		}
		return rows
	}
	counts := read(`MATCH (g:Group) WHERE g.account = $account AND g.keyFold IS NOT NULL
		RETURN count(g) AS groups, sum(COUNT { (g)-[:CHILD_OF]->() }) AS edges`)[0]
	tree := w.tree()
	if n := int64(len(tree)); counts["groups"] != n+1 || counts["edges"] != n {
		w.Errorf("%d groups hang together, there are %v", n, counts)
	}
	loose := read(`MATCH (n:Gone) WHERE n.account = $account
		MATCH (n)-[r]-() WHERE NOT type(r) STARTS WITH 'WAS_' RETURN n.path + n.reference AS gone, type(r) AS type LIMIT 5`)
	if len(loose) > 0 {
		w.Errorf("what is gone still has %v", loose)
	}
	ended := read(`MATCH (n:Entity)-[r]->() WHERE n.account = $account AND type(r) STARTS WITH 'WAS_' AND (r.since IS NULL OR r.until IS NULL OR r.until <= r.since)
		RETURN type(r) AS type, r.since AS since, r.until AS until LIMIT 5`)
	if len(ended) > 0 {
		w.Errorf("ended at no good time: %v", ended)
	}
	above, depths := map[string][]string{}, map[string]int{}
	for _, row := range read(`MATCH (g:Group) WHERE g.account = $account AND g.keyFold IS NOT NULL
		RETURN g.id AS id, g.depth AS depth, [(g)-[:CHILD_OF*1..40]->(a:Group) | a.id] AS above`) {
		depths[row["id"].(string)] = int(row["depth"].(int64))
		for _, id := range row["above"].([]any) {
			above[row["id"].(string)] = append(above[row["id"].(string)], id.(string))
		}
	}
	type ranked struct {
		reference    string
		groups       []string
		deepest, sum int
	}
	var policies []ranked
	for _, row := range read(`MATCH (p:Policy) WHERE p.account = $account AND p.keyFold IS NOT NULL
		RETURN p.reference AS reference, p.groupCount AS count, p.deepest AS deepest, p.depthSum AS sum, [(p)-[:APPLIES_TO]->(g:Group) | g.id] AS groups`) {
		p := ranked{reference: row["reference"].(string)}
		for _, id := range row["groups"].([]any) {
			p.groups = append(p.groups, id.(string))
		}
		for _, id := range p.groups {
			if !slices.ContainsFunc(p.groups, func(other string) bool { return slices.Contains(above[other], id) }) {
				p.deepest, p.sum = max(p.deepest, depths[id]), p.sum+depths[id]
			}
		}
		if len(p.groups) == 0 || row["count"] != int64(len(p.groups)) || row["deepest"] != int64(p.deepest) || row["sum"] != int64(p.sum) {
			w.Errorf("policy %v is %+v", row, p)
		}
		policies = append(policies, p)
	}
	slices.SortFunc(policies, func(a, b ranked) int {
		if a.deepest != b.deepest || a.sum != b.sum {
			return (b.deepest-a.deepest)*1000 + b.sum - a.sum
		}
		return cmpText(a.reference, b.reference)
	})
	fresh, err := graph.Open(w.Context(), testkit.Config(w.T))
	if err != nil {
		w.Fatal(err)
	}
	defer fresh.Close(context.Background())
	known := must(w.KnownDevices(w.Context(), w.scope, references))
	want, ids := [][]string{}, []registry.ID{}
	root := must(w.GroupByPath(w.Context(), w.scope, "/")).ID
	for _, reference := range references {
		closure := map[string]bool{string(root): true}
		for _, m := range must(w.GroupsOf(w.Context(), w.scope, []registry.ID{known[reference].ID}))[0] {
			closure[string(m.GroupID)] = true
			for _, id := range above[string(m.GroupID)] {
				closure[id] = true
			}
		}
		inherited := []string{}
		for _, p := range policies {
			if !slices.ContainsFunc(p.groups, func(id string) bool { return !closure[id] }) {
				inherited = append(inherited, p.reference)
			}
		}
		want, ids = append(want, inherited), append(ids, known[reference].ID)
	}
	for i, store := range append(stores, fresh) {
		if diff := cmp.Diff(want, must(store.InheritedPolicyReferences(w.Context(), w.scope, ids, nil))); diff != "" {
			w.Errorf("store %d (-want +got):\n%s", i, diff)
		}
	}
}

func cmpText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
