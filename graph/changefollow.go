package graph

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/holon-registry/holon/registry"
)

// Whoever follows an account's changes reads the journal itself, each at his own
// pace: what is slow holds nobody up and fills no memory, and a cursor is good
// for as long as the journal reaches back. One reader an account looks for what
// is new and keeps the newest changes for all.

const (
	// pollEvery is how often a reader looks of itself; it is woken earlier when it
	// is told of a change.
	pollEvery = 500 * time.Millisecond
	// feedPage is how many changes are read at a time, feedKept how many a reader
	// keeps for its followers.
	feedPage = 500
	feedKept = 2000
)

var journalEnd = named("journal.end", `
	MATCH (j:Journal {account: $account})
	RETURN j.position AS n`)

// changeFeeds are the readers of a process, by account.
type changeFeeds struct {
	mu    sync.Mutex
	feeds map[registry.ID]*changeFeed
}

// changeFeed reads the journal of one account as long as somebody follows it.
type changeFeed struct {
	scope registry.Scope
	wake  chan struct{}
	stop  context.CancelFunc
	// followers is guarded by changeFeeds.mu.
	followers int

	mu sync.Mutex
	// last is the newest position that is known, kept the changes up to it.
	last int64
	kept []*registry.Change
	// news is closed when there is something new.
	news chan struct{}
}

// ChangeSubscription follows the changes of an account. It is used by one
// goroutine and must be closed.
type ChangeSubscription struct {
	store *Store
	feed  *changeFeed
	at    int64
}

// FollowChanges follows an account's changes from now on, or after the change
// with a cursor. CURSOR_EXPIRED means that the journal does not reach back to it
// any more.
func (s *Store) FollowChanges(ctx context.Context, scope registry.Scope, after string) (*ChangeSubscription, error) {
	scope.AsOf = nil
	last, err := s.JournalEnd(ctx, scope)
	if err != nil {
		return nil, err
	}
	at := last
	if after != "" {
		if at, err = positionOf(after); err != nil {
			return nil, err
		}
		if at > last {
			return nil, registry.InvalidField("after", "format", "this is no cursor of this account's changes: use one that a query or a change returned")
		}
		if at < last {
			if _, err := s.changesMissed(ctx, scope, at, 1); err != nil {
				return nil, err
			}
		}
	}
	return &ChangeSubscription{s, s.openFeed(scope, last), at}, nil
}

// Position is where the subscription is: after the change of this position.
func (sub *ChangeSubscription) Position() int64 { return sub.at }

func positionOf(cursor string) (int64, error) {
	key, err := registry.ParseCursor(cursor)
	if err != nil {
		return 0, err
	}
	at, err := strconv.ParseInt(key, 10, 64)
	if err != nil || at < 0 {
		return 0, registry.InvalidField("after", "format", "%q is not a cursor of a change", cursor)
	}
	return at, nil
}

// JournalEnd is the position of the newest change of an account.
func (s *Store) JournalEnd(ctx context.Context, scope registry.Scope) (int64, error) {
	last, ok, err := one(ctx, s.reading(scope), journalEnd, nil, func(f fields) int64 { return required[int64](f, "n") })
	if err != nil {
		return 0, fmt.Errorf("position of the journal: %w", err)
	}
	if !ok {
		return 0, registry.NotFound("account", string(scope.Account))
	}
	return last, nil
}

// changesAfter returns the changes that follow a position, CURSOR_EXPIRED if
// the next one is not there any more. Positions have no gaps but those that
// sweeping leaves.
func (s *Store) changesAfter(ctx context.Context, scope registry.Scope, position int64, most int) ([]*registry.Change, error) {
	page := registry.PageRequest{Size: most, Key: strconv.FormatInt(position, 10)}
	found, err := s.ListChanges(ctx, scope, registry.ChangeFilter{Direction: registry.SortAscending}, page)
	if err != nil {
		return nil, err
	}
	for i, c := range found.Items {
		if c.Position != position+int64(i)+1 {
			return nil, errSwept
		}
	}
	return found.Items, nil
}

var errSwept = &registry.Error{Code: registry.CodeCursorExpired, Field: "after",
	Message: "the journal no longer reaches back to this cursor: read the state again and subscribe without a cursor"}

// changesMissed is changesAfter for a position that changes are known to follow:
// if there are none any more, they were swept.
func (s *Store) changesMissed(ctx context.Context, scope registry.Scope, position int64, most int) ([]*registry.Change, error) {
	found, err := s.changesAfter(ctx, scope, position, most)
	if err == nil && len(found) == 0 {
		err = errSwept
	}
	return found, err
}

// openFeed joins the reader of an account, and starts it if there is none.
func (s *Store) openFeed(scope registry.Scope, last int64) *changeFeed {
	s.changes.mu.Lock()
	defer s.changes.mu.Unlock()
	f := s.changes.feeds[scope.Account]
	if f == nil {
		ctx, stop := context.WithCancel(s.closing)
		f = &changeFeed{scope: scope, wake: make(chan struct{}, 1), stop: stop, last: last, news: make(chan struct{})}
		s.changes.feeds[scope.Account] = f
		s.background.Go(func() { s.runFeed(ctx, f) })
	}
	f.followers++
	return f
}

// Close ends the subscription, and the reader with its last follower.
func (sub *ChangeSubscription) Close() {
	c := sub.store.changes
	c.mu.Lock()
	defer c.mu.Unlock()
	if sub.feed.followers--; sub.feed.followers == 0 {
		sub.feed.stop()
		delete(c.feeds, sub.feed.scope.Account)
	}
}

// Wake tells the reader of an account, if there is one, that there is a change.
func (s *Store) Wake(account registry.ID) {
	s.changes.mu.Lock()
	f := s.changes.feeds[account]
	s.changes.mu.Unlock()
	if f == nil {
		return
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// runFeed looks for changes until it is stopped. While the database is away it
// waits.
func (s *Store) runFeed(ctx context.Context, f *changeFeed) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		changes, err := s.changesAfter(ctx, f.scope, f.last, feedPage)
		if err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("the journal cannot be followed for now")
		}
		if len(changes) > 0 {
			f.add(changes)
		}
		if len(changes) == feedPage {
			continue
		}
		select {
		case <-ctx.Done():
		case <-f.wake:
		case <-ticker.C:
		}
	}
}

func (f *changeFeed) add(changes []*registry.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = changes[len(changes)-1].Position
	f.kept = append(f.kept, changes...)
	if more := len(f.kept) - feedKept; more > 0 {
		f.kept = append([]*registry.Change(nil), f.kept[more:]...)
	}
	close(f.news)
	f.news = make(chan struct{})
}

// newer returns the changes after a position that are kept; all says whether
// these are all that there are. Without any, news tells when to ask again.
func (f *changeFeed) newer(position int64) (changes []*registry.Change, known bool, news chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if position >= f.last {
		return nil, true, f.news
	}
	if len(f.kept) == 0 || f.kept[0].Position > position+1 {
		return nil, false, f.news
	}
	return f.kept[position+1-f.kept[0].Position:], true, f.news
}

// Next waits for changes and returns some, at least one, in their order. Errors
// are final: CURSOR_EXPIRED if changes were swept before they were read,
// UNAVAILABLE if the database is away or the store closes, and the context's.
func (sub *ChangeSubscription) Next(ctx context.Context) ([]*registry.Change, error) {
	for {
		changes, known, news := sub.feed.newer(sub.at)
		if !known {
			var err error
			if changes, err = sub.store.changesMissed(ctx, sub.feed.scope, sub.at, feedPage); err != nil {
				return nil, err
			}
		}
		if n := min(len(changes), feedPage); n > 0 {
			sub.at = changes[n-1].Position
			return changes[:n], nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-sub.store.closing.Done():
			return nil, registry.Unavailable("journal", nil)
		}
	}
}
