package gqlhttp

import (
	"context"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// cache keeps what was used last, bounded by entries and by bytes: callers
// choose the texts that it keeps, so counting entries alone would let them fill
// the memory.
type cache[T any] struct {
	weigh            func(key string, value T) int
	maxBytes, maxOne int

	mu    sync.Mutex
	kept  *simplelru.LRU[string, T]
	bytes int
}

var _ graphql.Cache[string] = (*cache[string])(nil)

// newCache makes a cache of at most so many entries and bytes, which takes no
// value that weighs more than maxOne.
func newCache[T any](entries, maxBytes, maxOne int, weigh func(string, T) int) *cache[T] {
	c := &cache[T]{weigh: weigh, maxBytes: maxBytes, maxOne: maxOne}
	kept, err := simplelru.NewLRU(entries, func(key string, value T) { c.bytes -= weigh(key, value) })
	if err != nil {
		panic(err) // only for a number of entries below one, and ours are constants
	}
	c.kept = kept
	return c
}

// Get returns a value and notes that it was used.
func (c *cache[T]) Get(_ context.Context, key string) (T, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept.Get(key)
}

// Add keeps a value, unless it is too heavy.
func (c *cache[T]) Add(_ context.Context, key string, value T) {
	weight := c.weigh(key, value)
	if weight > c.maxOne {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept.Remove(key)
	c.bytes += weight
	c.kept.Add(key, value)
	for c.bytes > c.maxBytes {
		c.kept.RemoveOldest()
	}
}
