package graph

import (
	lru "container/list"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/holon-registry/holon/registry"
)

// What is held of accounts' hierarchies in memory. A query that is decided on a
// hierarchy glances at the journal first: it learns the number of the structure
// and what changed since the one that is held, and only then reads the
// memberships that it is about. So an answer never is older than its question.

// The bounds of what is held.
const (
	// maxHierarchies is about how many bytes all hierarchies may take; one that
	// is larger is held alone.
	maxHierarchies = 256 << 20
	// maxCatchUp is how many changes are caught up with; beyond that the
	// hierarchy is read anew.
	maxCatchUp = 250
	// glances is how often a query is run when what it reads changes all the time.
	glances = 8
	// patience is how many of them wait for what the journal has announced.
	patience = 4
)

// hierarchies are the hierarchies that are held, by account.
type hierarchies struct {
	mu    sync.Mutex
	held  map[registry.ID]*heldHierarchy
	order *lru.List // of *heldHierarchy, the one that was used last first
	size  int
	limit int
}

// heldHierarchy is the hierarchy of an account, nil until it is read.
type heldHierarchy struct {
	account registry.ID
	element *lru.Element
	// turn is taken by whoever brings it up to date.
	turn chan struct{}
	now  *hierarchy // under hierarchies.mu
}

func newHierarchies(limit int) *hierarchies {
	return &hierarchies{held: map[registry.ID]*heldHierarchy{}, order: lru.New(), limit: limit}
}

// of returns the account's entry and what it holds at the moment.
func (h *hierarchies) of(account registry.ID) (*heldHierarchy, *hierarchy) {
	h.mu.Lock()
	defer h.mu.Unlock()
	entry := h.held[account]
	if entry == nil {
		entry = &heldHierarchy{account: account, turn: make(chan struct{}, 1)}
		entry.element = h.order.PushFront(entry)
		h.held[account] = entry
	}
	h.order.MoveToFront(entry.element)
	return entry, entry.now
}

// current is what an entry holds.
func (h *hierarchies) current(entry *heldHierarchy) *hierarchy {
	h.mu.Lock()
	defer h.mu.Unlock()
	return entry.now
}

// put replaces what an entry holds by what is newer, and lets go of what was
// not used for the longest time if there is too much.
func (h *hierarchies) put(entry *heldHierarchy, now *hierarchy) {
	if before := h.current(entry); before == nil || before.structure < now.structure {
		h.replace(entry, now)
	}
}

// replace is put, whichever is newer.
func (h *hierarchies) replace(entry *heldHierarchy, now *hierarchy) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[entry.account] != entry {
		return // it was let go of meanwhile
	}
	if entry.now != nil {
		h.size -= entry.now.size
	}
	entry.now = now
	h.size += now.size
	for h.size > h.limit && h.order.Len() > 1 {
		last := h.order.Back().Value.(*heldHierarchy)
		if last == entry {
			return
		}
		h.order.Remove(last.element)
		delete(h.held, last.account)
		if last.now != nil {
			h.size -= last.now.size
		}
	}
}

// onHierarchy runs a query that begins with glance, and returns what it read
// with a hierarchy that is at least as new as the question. Groups are those
// that the answer speaks of: all of them are in the hierarchy.
func onHierarchy[T any](ctx context.Context, s *Store, scope registry.Scope, q query, p params, of func(fields) T, groups func(T) []registry.ID) (h *hierarchy, answer T, ok bool, err error) {
	type both struct {
		glanced
		answer T
	}
	entry, held := s.hierarchies.of(scope.Account)
	for try := 1; try <= glances; try++ {
		p["known"], p["mostNews"] = int64(1)<<62, 0
		if held != nil {
			p["known"], p["mostNews"] = held.structure, maxCatchUp
		}
		got, found, err := one(ctx, s.reading(scope), q, p, func(f fields) both { return both{glancedOf(f), of(f)} })
		if err != nil || !found {
			return nil, answer, false, err
		}
		held, err = s.caughtUp(ctx, scope, entry, held, got.glanced, try)
		if err != nil {
			return nil, answer, false, err
		}
		if held != nil && held.structure >= got.structure {
			if !slices.ContainsFunc(groups(got.answer), held.missing) {
				return held, got.answer, true, nil
			}
			if try == patience || try == glances-1 {
				// The journal does not tell of these groups.
				if held, err = s.readHierarchy(ctx, scope, entry, held.structure+1); err != nil {
					return nil, answer, false, err
				}
			}
		}
		if !wait(ctx, time.Duration(try)*time.Millisecond) {
			break
		}
	}
	return nil, answer, false, movingGround(ctx.Err())
}

// caughtUp returns a hierarchy at least as new as what was glanced at. It is
// nil, or older, if the news are not complete yet.
func (s *Store) caughtUp(ctx context.Context, scope registry.Scope, entry *heldHierarchy, held *hierarchy, g glanced, try int) (*hierarchy, error) {
	switch {
	case held == nil, g.structure-held.structure > maxCatchUp:
		return s.readHierarchy(ctx, scope, entry, g.structure)
	case held.structure > g.structure && s.bookmarks == nil:
		// The database was put back to an earlier state under us.
		return s.readHierarchy(ctx, scope, entry, held.structure+1)
	case held.structure >= g.structure:
		return held, nil
	}
	if err := entry.take(ctx); err != nil {
		return nil, err
	}
	defer entry.give()
	now := s.hierarchies.current(entry)
	if now == nil || now.structure < held.structure {
		now = held
	}
	if now.structure >= g.structure {
		return now, nil
	}
	fresh := slices.DeleteFunc(g.news, func(n news) bool { return n.structure <= now.structure })
	if int64(len(fresh)) != g.structure-now.structure {
		// A transaction becomes visible piece by piece: what is missing will be
		// there in a moment, unless it was swept.
		if try < patience {
			return now, nil
		}
		return s.readUnderLock(ctx, scope, entry)
	}
	caught, err := now.after(fresh)
	if err != nil {
		s.log.Warn().Err(err).Msg("a hierarchy is read anew")
		return s.readUnderLock(ctx, scope, entry)
	}
	s.hierarchies.put(entry, caught)
	return caught, nil
}

// readHierarchy reads an account's hierarchy, unless somebody else just did and
// what is held now is new enough.
func (s *Store) readHierarchy(ctx context.Context, scope registry.Scope, entry *heldHierarchy, atLeast int64) (*hierarchy, error) {
	if err := entry.take(ctx); err != nil {
		return nil, err
	}
	defer entry.give()
	if now := s.hierarchies.current(entry); now != nil && now.structure >= atLeast {
		return now, nil
	}
	return s.readUnderLock(ctx, scope, entry)
}

// hierarchyIn returns the hierarchy as it is in a change that has changed
// nothing yet. It does not wait for the entry's turn: who has it may be waiting
// for this change to end.
func (s *Store) hierarchyIn(ctx context.Context, tx *transaction) (*hierarchy, error) {
	entry, held := s.hierarchies.of(tx.scope.Account)
	if held != nil && held.structure == tx.structure {
		return held, nil
	}
	if held != nil && held.structure < tx.structure && tx.structure-held.structure <= maxCatchUp {
		got, _, err := one(ctx, tx, hierarchyGlance, params{"known": held.structure, "mostNews": maxCatchUp}, glancedOf)
		if err != nil {
			return nil, err
		}
		if caught, err := held.after(got.news); err == nil && caught.structure == tx.structure {
			s.hierarchies.put(entry, caught)
			return caught, nil
		}
	}
	read, err := readAll(ctx, tx)
	if err != nil {
		return nil, err
	}
	s.hierarchies.put(entry, read)
	return read, nil
}

// take waits for the entry's turn.
func (e *heldHierarchy) take(ctx context.Context) error {
	select {
	case e.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return registry.Unavailable("graph database", ctx.Err())
	}
}

func (e *heldHierarchy) give() { <-e.turn }
