package registry

import (
	"context"
	"sync/atomic"
)

// Cost counts what answering one request took. The stores add to it; it is
// safe for concurrent use.
type Cost struct {
	graph, cache atomic.Int64
}

// Graph is the number of round trips to the graph database.
func (c *Cost) Graph() int64 { return c.graph.Load() }

// Cache is the number of round trips to the live-state store.
func (c *Cost) Cache() int64 { return c.cache.Load() }

type costKey struct{}

// WithCost makes a context that counts round trips.
func WithCost(ctx context.Context) (context.Context, *Cost) {
	c := new(Cost)
	return context.WithValue(ctx, costKey{}, c), c
}

// CostFrom returns the counter of a context, nil if nobody counts.
func CostFrom(ctx context.Context) *Cost {
	c, _ := ctx.Value(costKey{}).(*Cost)
	return c
}

// CountGraph adds one round trip to the graph database to the context's cost.
func CountGraph(ctx context.Context) {
	if c, ok := ctx.Value(costKey{}).(*Cost); ok {
		c.graph.Add(1)
	}
}

// CountCache adds one round trip to the live-state store to the context's cost.
func CountCache(ctx context.Context) {
	if c, ok := ctx.Value(costKey{}).(*Cost); ok {
		c.cache.Add(1)
	}
}
