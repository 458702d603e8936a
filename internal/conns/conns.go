// Package conns knows the long-lived connections of a handler, for example
// WebSockets: how many may be there at a time, and how all of them end when the
// process does. [http.Server.Shutdown] does not know what was taken over from it.
// The package imports nothing but the standard library.
package conns

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Set is the connections of one handler. Its zero value is ready for use.
type Set[C comparable] struct {
	mu      sync.Mutex
	open    map[C]bool
	waiting int // reserved, not yet open
	closing bool
	ended   sync.WaitGroup
}

// Place is the place of one connection in a [Set], from before it is accepted
// until it has ended. One goroutine uses it.
type Place[C comparable] struct {
	set     *Set[C]
	conn    C
	entered bool
}

// Reserve takes a place for a connection that is about to be accepted. It returns
// nil if most places are taken or Shutdown was called; otherwise Leave must be
// called once.
func (s *Set[C]) Reserve(most int) *Place[C] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.open)+s.waiting >= most {
		return nil
	}
	s.waiting++
	s.ended.Add(1)
	return &Place[C]{set: s}
}

// Enter lists the connection that was accepted, and tells whether Shutdown came in
// between: then the caller has to end it.
func (p *Place[C]) Enter(conn C) (closing bool) {
	p.set.mu.Lock()
	defer p.set.mu.Unlock()
	p.conn, p.entered = conn, true
	if p.set.open == nil {
		p.set.open = map[C]bool{}
	}
	p.set.open[conn] = true
	p.set.waiting--
	return p.set.closing
}

// Leave gives the place back, when the connection and all that belonged to it have
// ended, or when it was not accepted.
func (p *Place[C]) Leave() {
	p.set.mu.Lock()
	if p.entered {
		delete(p.set.open, p.conn)
	} else {
		p.set.waiting--
	}
	p.set.mu.Unlock()
	p.set.ended.Done()
}

// Open returns the connections that have entered and not left, in no order.
func (s *Set[C]) Open() []C {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.open))
}

// Shutdown lets nobody in any more, calls end for every connection, each in a
// goroutine of its own, and returns when all have left or ctx has ended.
func (s *Set[C]) Shutdown(ctx context.Context, end func(C)) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	for _, conn := range s.Open() {
		go end(conn)
	}
	done := make(chan struct{})
	go func() {
		s.ended.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
