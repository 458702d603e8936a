package graph_test

import (
	"context"
	"sync"
	"testing"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

func TestMigrateTwiceAtOnce(t *testing.T) {
	store, _ := testkit.Store(t)
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if err := store.Migrate(t.Context(), 3, func(string) {}); err != nil {
				t.Errorf("migrate: %v", err)
			}
		})
	}
	group.Wait()
	if err := store.CheckMigrated(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	partitions, err := store.Partitions(t.Context())
	if err != nil || partitions != graph.DefaultPartitions {
		t.Errorf("partitions = %d, %v, want the %d of the first migration", partitions, err, graph.DefaultPartitions)
	}
	if err := store.Migrate(t.Context(), 0, func(string) {}); registry.CodeOf(err) != registry.CodeInvalid {
		t.Errorf("migrate with 0 partitions: %v, want INVALID", err)
	}
}

// TestSchemaChangesAtOnce is what happens when two processes migrate a new
// database at the same moment.
func TestSchemaChangesAtOnce(t *testing.T) {
	store, _ := testkit.Store(t)
	for round := range 5 {
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if err := store.ChangeSchema(t.Context(), "CREATE INDEX made_at_once IF NOT EXISTS FOR (n:MadeAtOnce) ON (n.a, n.b)"); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		group.Wait()
		if err := store.ChangeSchema(t.Context(), "DROP INDEX made_at_once IF EXISTS"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEnsureAccount(t *testing.T) {
	store, scope := testkit.Store(t)
	account, created, err := store.EnsureAccount(t.Context(), scope.AccountName)
	if err != nil || created || account.ID != scope.Account {
		t.Errorf("ensure again = %v, created %v, %v", account, created, err)
	}
	if _, _, err := store.EnsureAccount(t.Context(), "No Such Name"); registry.CodeOf(err) != registry.CodeInvalid {
		t.Errorf("bad name: %v, want INVALID", err)
	}
	if _, err := store.AccountByName(t.Context(), "nobody"); registry.CodeOf(err) != registry.CodeNotFound {
		t.Errorf("unknown name: %v, want NOT_FOUND", err)
	}
	ctx, cost := registry.WithCost(t.Context())
	if got, err := store.Account(ctx, scope); err != nil || got.Name != scope.AccountName || cost.Graph() != 1 {
		t.Errorf("account = %v, %v in %d round trips", got, err, cost.Graph())
	}
}

func TestOpenUnreachable(t *testing.T) {
	config := testkit.Config(t)
	config.URI = "bolt://127.0.0.1:1"
	if _, err := graph.Open(context.Background(), config); registry.CodeOf(err) != registry.CodeUnavailable {
		t.Errorf("open: %v, want UNAVAILABLE", err)
	}
}
