package resolvers

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
)

func TestLoaderLoadsWhatIsExpected(t *testing.T) {
	t.Parallel()
	var trips [][]int
	l := newLoader(func(_ context.Context, keys []int) ([]int, error) {
		trips = append(trips, slices.Clone(keys))
		squares := make([]int, len(keys))
		for i, k := range keys {
			squares[i] = k * k
		}
		return squares, nil
	}, nil)
	l.Expect(1, 2, 3, 2)
	l.Prime(3, 9)
	for _, key := range []int{2, 1, 3, 2} {
		if got, err := l.Load(t.Context(), key); err != nil || got != key*key {
			t.Errorf("%d gave %d, %v", key, got, err)
		}
	}
	if len(trips) != 1 || len(trips[0]) != 2 {
		t.Errorf("round trips for %v, want one for 1 and 2", trips)
	}
}

// TestLoaderExpectsOfItself is what asking groups for their parents does.
func TestLoaderExpectsOfItself(t *testing.T) {
	t.Parallel()
	var l *loader[int, int]
	trips := 0
	l = newLoader(func(_ context.Context, keys []int) ([]int, error) {
		trips++
		return slices.Clone(keys), nil
	}, func(_ context.Context, values []int) {
		for _, v := range values {
			if v < 100 {
				l.Expect(v + 100)
			}
		}
	})
	l.Expect(1, 2, 3)
	for _, key := range []int{1, 2, 3, 101, 102, 103} {
		if _, err := l.Load(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if trips != 2 {
		t.Errorf("%d round trips, want one a level", trips)
	}
}

func TestLoaderIsShared(t *testing.T) {
	t.Parallel()
	trips := 0
	l := newLoader(func(_ context.Context, keys []int) ([]int, error) {
		trips++ // guarded by the loader
		return slices.Clone(keys), nil
	}, nil)
	for i := range 50 {
		l.Expect(i)
	}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if got, err := l.Load(t.Context(), i); err != nil || got != i {
				t.Errorf("%d gave %d, %v", i, got, err)
			}
		})
	}
	all.Wait()
	if trips != 1 {
		t.Errorf("%d round trips, want 1", trips)
	}
}

func TestLoaderFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	l := newLoader(func(context.Context, []int) ([]int, error) { return nil, broken }, nil)
	if _, err := l.Load(t.Context(), 1); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	short := newLoader(func(context.Context, []int) ([]int, error) { return nil, nil }, nil)
	if _, err := short.Load(t.Context(), 1); !errors.Is(err, errSlots) {
		t.Errorf("a batch that lacks a slot gave %v", err)
	}
}
