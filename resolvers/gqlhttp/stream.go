package gqlhttp

import (
	"context"
	"sync"
)

// stream is what the transport and the goroutine of a subscription tell each
// other.
type stream struct {
	mu  sync.Mutex
	err error
	// work is the goroutine of the subscription.
	work sync.WaitGroup
}

type streamKey struct{}

func streamOf(ctx context.Context) *stream {
	s, _ := ctx.Value(streamKey{}).(*stream)
	return s
}

func (s *stream) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *stream) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Stream runs produce in a goroutine of its own and returns the channel of what
// it sends, for a resolver of a subscription to return. Such resolvers must use
// it: a panic in a goroutine that they start themselves ends the process, and
// an error there has no way to the caller.
//
// send waits until the client takes the event and returns false when the
// subscription has ended; produce then returns. A nil error completes the
// subscription, any other is presented to the caller, also a panic.
func Stream[T any](ctx context.Context, produce func(ctx context.Context, send func(T) bool) error) <-chan T {
	events := make(chan T)
	end := func(err error) {
		if s := streamOf(ctx); s != nil && err != nil && ctx.Err() == nil {
			s.fail(err)
		}
	}
	send := func(event T) bool {
		select {
		case events <- event:
			return true
		case <-ctx.Done():
			return false
		}
	}
	produced := func() {}
	if s := streamOf(ctx); s != nil {
		s.work.Add(1)
		produced = s.work.Done
	}
	go func() {
		defer produced()
		defer close(events) // after the others, so that the error is known before the end is
		defer func() {
			if v := recover(); v != nil {
				end(recovered(v))
			}
		}()
		end(produce(ctx, send))
	}()
	return events
}
