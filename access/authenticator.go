package access

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/holon-registry/holon/registry"
)

// Principals finds whose key it is. It answers NOT_FOUND for an unknown hash.
type Principals interface {
	PrincipalByKeyHash(ctx context.Context, hash string) (*registry.Principal, error)
}

const (
	// freshFor is how long an answer is used without asking again: the longest
	// time that a deleted key still works.
	freshFor = 5 * time.Second
	// staleFor is how long an answer is still used while the store is down.
	// Readings are to be accepted without the graph, and nobody can delete a
	// key in a store that is down.
	staleFor = 15 * time.Minute
	// maxCached bounds the memory of the cache, in keys.
	maxCached = 20_000
)

// Authenticator finds the principal of a secret. It is safe for concurrent use.
type Authenticator struct {
	principals Principals
	now        func() time.Time

	mu    sync.Mutex
	known map[string]answer // by hash, known keys only
	calls map[string]*call  // look-ups under way, by hash
}

type answer struct {
	principal *registry.Principal
	at        time.Time
}

type call struct {
	done      chan struct{}
	principal *registry.Principal
	err       error
}

// NewAuthenticator makes an authenticator with an empty cache. A nil clock is
// the system's.
func NewAuthenticator(principals Principals, clock func() time.Time) *Authenticator {
	if clock == nil {
		clock = time.Now
	}
	return &Authenticator{principals: principals, now: clock, known: map[string]answer{}, calls: map[string]*call{}}
}

// Authenticate returns who sends a secret: UNAUTHENTICATED if nobody has it,
// UNAVAILABLE if it cannot be found out. A deleted key stops working within 5
// seconds; while the store is down a key that worked before goes on working
// for 15 minutes.
func (a *Authenticator) Authenticate(ctx context.Context, secret string) (*registry.Principal, error) {
	if !wellFormed(secret) {
		return nil, registry.Unauthenticated()
	}
	hash, now := Hash(secret), a.now()
	a.mu.Lock()
	known, cached := a.known[hash]
	if cached && now.Sub(known.at) < freshFor {
		a.mu.Unlock()
		return known.principal, nil
	}
	under, waiting := a.calls[hash]
	if !waiting {
		under = &call{done: make(chan struct{})}
		a.calls[hash] = under
		// The look-up outlives the request that began it: others wait for it.
		go a.lookUp(context.WithoutCancel(ctx), hash, under)
	}
	a.mu.Unlock()

	select {
	case <-under.done:
	case <-ctx.Done():
		return nil, registry.Unavailable("graph database", ctx.Err())
	}
	if under.err == nil {
		return under.principal, nil
	}
	switch registry.CodeOf(under.err) {
	case registry.CodeNotFound:
		return nil, registry.Unauthenticated()
	case registry.CodeUnavailable:
		if cached && now.Sub(known.at) < staleFor {
			return known.principal, nil
		}
	}
	return nil, fmt.Errorf("look up an API key: %w", under.err)
}

// lookUp asks the store and keeps the answer.
func (a *Authenticator) lookUp(ctx context.Context, hash string, c *call) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c.principal, c.err = a.principals.PrincipalByKeyHash(ctx, hash)
	a.mu.Lock()
	delete(a.calls, hash)
	switch {
	case c.err == nil:
		a.keep(hash, answer{principal: c.principal, at: a.now()})
	case registry.CodeOf(c.err) == registry.CodeNotFound:
		delete(a.known, hash)
	}
	a.mu.Unlock()
	close(c.done)
}

// keep stores an answer. A full cache first lets go of what is stale, then of
// any entry: which one hardly matters, since each is asked for again anyway.
func (a *Authenticator) keep(hash string, one answer) {
	if len(a.known) >= maxCached {
		for h, old := range a.known {
			if one.at.Sub(old.at) >= freshFor {
				delete(a.known, h)
			}
		}
		for h := range a.known {
			if len(a.known) < maxCached {
				break
			}
			delete(a.known, h)
		}
	}
	a.known[hash] = one
}
