// Package testkit gives tests a real graph database and a real Redis, and an
// account of their own in them.
package testkit

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

const hint = "%s is not set: run make test, or start the stores with holon dev --env-file and load its file"

var shared = sync.OnceValues(open)

// Store returns a store and the scope of a new account in it. The tests of a
// binary share one store, opened and migrated once.
func Store(t testing.TB) (*graph.Store, registry.Scope) {
	t.Helper()
	store, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return store, Account(t, store)
}

// Account makes a new account and returns its scope.
func Account(t testing.TB, store *graph.Store) registry.Scope {
	t.Helper()
	name := "test-" + strings.ReplaceAll(uuid.NewString(), "-", "")
	account, _, err := store.EnsureAccount(t.Context(), name)
	if err != nil {
		t.Fatalf("make an account: %v", err)
	}
	return registry.Scope{Account: account.ID, AccountName: account.Name, Actor: "testkit"}
}

// Config says where the graph database of the tests is.
func Config(t testing.TB) graph.Config {
	t.Helper()
	config, err := configFromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// RedisURL says where the Redis of the tests is.
func RedisURL(t testing.TB) string {
	t.Helper()
	url := os.Getenv("REDIS_URL")
	if url == "" {
		t.Fatalf(hint, "REDIS_URL")
	}
	return url
}

func open() (*graph.Store, error) {
	config, err := configFromEnvironment()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	store, err := graph.Open(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the graph database at %s: %w", config.URI, err)
	}
	if err := store.Migrate(ctx, graph.DefaultPartitions, func(string) {}); err != nil {
		return nil, fmt.Errorf("migrate the graph database at %s: %w", config.URI, err)
	}
	return store, nil
}

func configFromEnvironment() (graph.Config, error) {
	config := graph.Config{
		URI: os.Getenv("NEO4J_URI"), Username: os.Getenv("NEO4J_USERNAME"), Password: os.Getenv("NEO4J_PASSWORD"),
		// The first run of a statement plans it, which takes long on a busy machine.
		QueryTimeout: time.Minute, Logger: zerolog.Nop(),
	}
	if config.URI == "" {
		return config, fmt.Errorf(hint, "NEO4J_URI")
	}
	return config, nil
}
