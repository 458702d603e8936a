package resolvers

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// loadBatch bounds one round trip.
const loadBatch = 1000

// loader loads values by key, each at most once a request and many in one
// round trip. It has no timer: whoever makes a list of objects tells it which
// keys will be asked for, and the first Load takes them all.
type loader[K comparable, V any] struct {
	// fetch returns exactly one slot a key, in the order of the keys.
	fetch func(ctx context.Context, keys []K) ([]V, error)
	// next is told of all values of a round trip, so that it can tell other
	// loaders what is asked for next. It may be nil.
	next func(ctx context.Context, values []V)

	// flight is held during a round trip: whoever asks meanwhile waits, and then
	// often finds what he came for.
	flight sync.Mutex

	// mu guards what follows, never during a round trip: next may tell this very
	// loader what to expect.
	mu       sync.Mutex
	loaded   map[K]loadResult[V]
	expected []K
}

type loadResult[V any] struct {
	value V
	err   error
}

var errSlots = errors.New("a batch must return one slot a key")

func newLoader[K comparable, V any](fetch func(context.Context, []K) ([]V, error), next func(context.Context, []V)) *loader[K, V] {
	return &loader[K, V]{fetch: fetch, next: next, loaded: map[K]loadResult[V]{}}
}

// Expect says that these keys are about to be asked for.
func (l *loader[K, V]) Expect(keys ...K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expected = append(l.expected, keys...)
}

// Prime hands in a value that is known already.
func (l *loader[K, V]) Prime(key K, value V) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loaded[key] = loadResult[V]{value: value}
}

// Load returns the value of a key; with the first one, all that were expected
// are loaded.
func (l *loader[K, V]) Load(ctx context.Context, key K) (V, error) {
	if got, ok := l.known(key); ok {
		return got.value, got.err
	}
	l.flight.Lock()
	defer l.flight.Unlock()
	if got, ok := l.known(key); ok {
		return got.value, got.err
	}
	for part := range slices.Chunk(l.take(key), loadBatch) {
		l.fetchPart(ctx, part)
	}
	got, _ := l.known(key)
	return got.value, got.err
}

func (l *loader[K, V]) known(key K) (loadResult[V], bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	got, ok := l.loaded[key]
	return got, ok
}

// take returns the key and all expected ones that are not loaded, once each.
func (l *loader[K, V]) take(key K) []K {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := make([]K, 0, len(l.expected)+1)
	seen := make(map[K]struct{}, len(l.expected)+1)
	for _, k := range append(l.expected, key) {
		_, done := l.loaded[k]
		if _, twice := seen[k]; !done && !twice {
			seen[k] = struct{}{}
			keys = append(keys, k)
		}
	}
	l.expected = nil
	return keys
}

func (l *loader[K, V]) fetchPart(ctx context.Context, keys []K) {
	values, err := l.fetch(ctx, keys)
	if err == nil && len(values) != len(keys) {
		err = errSlots
	}
	l.mu.Lock()
	for i, k := range keys {
		if err != nil {
			l.loaded[k] = loadResult[V]{err: err}
			continue
		}
		l.loaded[k] = loadResult[V]{value: values[i]}
	}
	l.mu.Unlock()
	if err == nil && l.next != nil {
		l.next(ctx, values)
	}
}
