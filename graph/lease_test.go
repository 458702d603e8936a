package graph_test

import (
	"context"
	"testing"
	"time"

	"github.com/holon-registry/holon/graph"
)

// TestLeaseIsGivenBack lets one process end and another one begin: it need not
// wait for the lease to expire.
func TestLeaseIsGivenBack(t *testing.T) {
	w := newWorld(t)
	name := "of " + t.Name()
	works := func(turns chan<- struct{}) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			select {
			case turns <- struct{}{}:
			case <-ctx.Done():
			}
			return false, nil
		}
	}
	begin := func() (turns chan struct{}, end func()) {
		turns = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- graph.InTurns(w.Store, ctx, name, 10*time.Millisecond, time.Hour, works(turns)) }()
		return turns, func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	first, endFirst := begin()
	<-first
	second, endSecond := begin()
	select {
	case <-second:
		t.Error("two hold one lease")
	case <-first:
	}
	endFirst()
	<-second
	endSecond()
	if rows, err := w.Cypher(t.Context(), w.scope, "MATCH (l:Lease {name: $name}) WHERE l.holder IS NOT NULL RETURN l.holder", map[string]any{"name": name}); err != nil || len(rows) > 0 {
		t.Errorf("nobody works, but %v has the lease (%v)", rows, err)
	}
}
