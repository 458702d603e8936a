package twin

import (
	"context"
	"sync"
	"time"

	"github.com/holon-registry/holon/registry"
)

// feed reads the changes of one account once, for all who follow them. It is
// there as long as somebody does.
type feed struct {
	store   *Store
	account registry.ID
	stop    context.CancelFunc

	mu sync.Mutex
	// epoch and last say where the reader is. The epoch is empty while the
	// account never had a change.
	epoch string
	last  int64
	subs  map[*Subscription]bool
	err   error // why the feed ended
}

// Subscription follows the changes of an account. It is used by one goroutine.
type Subscription struct {
	feed *feed
	// at is where a subscription that resumes has come to; it joins the reader
	// once it has caught up with it, or overtaken it.
	at     position
	joined bool
	// begin is the cursor at which it began, newest where the reader was then.
	begin  string
	newest position
	ready  chan struct{} // has room for one: something is waiting, or it ended

	mu      sync.Mutex
	waiting []Change
	err     error
}

// Follow returns a subscription to the changes of an account: from now on, or
// after the change with a cursor. CURSOR_EXPIRED means that changes since then
// are no longer known; it can also come later, from Next. The subscription
// must be closed.
func (s *Store) Follow(ctx context.Context, scope registry.Scope, after string) (*Subscription, error) {
	sub := &Subscription{ready: make(chan struct{}, 1)}
	if after != "" {
		at, err := parseCursor(after)
		if err != nil {
			return nil, err
		}
		sub.at = at
	}
	for {
		f, err := s.reader(ctx, scope.Account)
		if err != nil {
			return nil, err
		}
		f.mu.Lock()
		if f.err != nil { // it ended just now: another one is begun
			f.mu.Unlock()
			continue
		}
		sub.feed = f
		f.subs[sub] = true // counted from here on, so that the reader stays
		switch {
		case after == "":
			sub.joined, sub.at = true, position{f.epoch, f.last, endOf}
		case sub.at == position{index: endOf}:
			// The account had no change yet: whatever came since is new.
			sub.at.epoch = f.epoch
		case f.epoch != sub.at.epoch:
			f.mu.Unlock()
			sub.Close()
			return nil, errExpired()
		}
		sub.begin, sub.newest = sub.at.cursor(), position{f.epoch, f.last, endOf}
		f.mu.Unlock()
		return sub, nil
	}
}

// Begin is the cursor at which the subscription began.
func (sub *Subscription) Begin() string { return sub.begin }

// Past says whether a change had happened before the subscription began.
func (sub *Subscription) Past(c Change) bool {
	at, err := parseCursor(c.Cursor)
	return err == nil && at.epoch == sub.newest.epoch && at.number <= sub.newest.number
}

// reader returns the reader of an account and starts it if there is none.
func (s *Store) reader(ctx context.Context, account registry.ID) (*feed, error) {
	s.mu.Lock()
	f := s.feeds[account]
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, registry.Unavailable("change feed", nil)
	}
	if f != nil {
		return f, nil
	}
	epoch, last, err := s.tail(ctx, account)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.feeds[account]; f != nil {
		return f, nil
	}
	if s.closed {
		return nil, registry.Unavailable("change feed", nil)
	}
	reading, stop := context.WithCancel(context.Background())
	f = &feed{store: s, account: account, stop: stop, epoch: epoch, last: last, subs: map[*Subscription]bool{}}
	s.feeds[account] = f
	go f.run(reading)
	return f, nil
}

// end tells every subscriber why there is nothing more.
func (f *feed) end(err error) { f.endIf(err, func() bool { return true }) }

// endIf ends the feed if a condition holds, which is asked under the locks.
func (f *feed) endIf(err error, holds func() bool) {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil || !holds() {
		return
	}
	f.err = err
	delete(f.store.feeds, f.account)
	for sub := range f.subs {
		sub.cut(err)
	}
	f.stop()
}

// Close ends the subscription.
func (sub *Subscription) Close() {
	f := sub.feed
	f.mu.Lock()
	delete(f.subs, sub)
	f.mu.Unlock()
	sub.cut(registry.Unavailable("change feed", nil))
	f.endIf(registry.Unavailable("change feed", nil), func() bool { return len(f.subs) == 0 })
}

// wait is how long one call waits for changes.
const wait = time.Second

// run reads until nobody follows. While Redis is away it waits, and goes on
// after the last entry that it saw.
func (f *feed) run(ctx context.Context) {
	for ctx.Err() == nil {
		f.mu.Lock()
		epoch, last := f.epoch, f.last
		f.mu.Unlock()
		messages, err := f.store.page(ctx, f.account, last, 100, wait)
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(250 * time.Millisecond):
			}
			continue
		}
		if len(messages) == 0 {
			if f.restarted(ctx, epoch) {
				f.end(errExpired())
			}
			continue
		}
		for _, m := range messages {
			e, err := unpackEntry(m)
			if err != nil {
				f.end(registry.Unavailable("change feed", err))
				return
			}
			if !f.deliver(e) {
				f.end(errExpired())
				return
			}
		}
	}
}

// restarted says whether the feed was emptied and begun anew while the reader
// waits for a number that the new one will not have for long.
func (f *feed) restarted(ctx context.Context, epoch string) bool {
	now, _, err := f.store.tail(ctx, f.account)
	return err == nil && epoch != "" && now != "" && now != epoch
}

// deliver hands an entry to everybody who has joined. It returns false if
// entries in between are missing.
func (f *feed) deliver(e feedEntry) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.epoch != "" && e.epoch != f.epoch || e.number != f.last+1 {
		return false
	}
	f.epoch, f.last = e.epoch, e.number
	for sub := range f.subs {
		if sub.joined && e.number > sub.at.number {
			sub.offer(e.changes, f.store.c.Buffer)
		}
	}
	return true
}

// offer puts changes into the subscriber's buffer; one that is too far behind
// is cut off, so that it holds up nobody else and the memory stays bounded.
func (sub *Subscription) offer(changes []Change, buffer int) {
	sub.mu.Lock()
	switch {
	case sub.err != nil:
	case len(sub.waiting)+len(changes) > buffer:
		sub.waiting = nil
		sub.err = registry.LimitExceeded("the subscriber is more than %d changes behind: read faster, or resume after the last cursor", buffer)
	default:
		sub.waiting = append(sub.waiting, changes...)
	}
	sub.mu.Unlock()
	sub.nudge()
}

func (sub *Subscription) cut(err error) {
	sub.mu.Lock()
	if sub.err == nil {
		sub.err = err
	}
	sub.mu.Unlock()
	sub.nudge()
}

func (sub *Subscription) nudge() {
	select {
	case sub.ready <- struct{}{}:
	default:
	}
}

// Next waits for changes and returns all that there are, at least one. Errors
// are final: LIMIT_EXCEEDED for a subscriber that is too slow, CURSOR_EXPIRED
// if changes were missed, UNAVAILABLE if the store closes, and the context's.
// What came before the error is returned first, except to one that is too slow.
func (sub *Subscription) Next(ctx context.Context) ([]Change, error) {
	for !sub.joined {
		changes, err := sub.catchUp(ctx)
		if err != nil || len(changes) > 0 {
			return changes, err
		}
	}
	for {
		sub.mu.Lock()
		changes, err := sub.waiting, sub.err
		sub.waiting = nil
		sub.mu.Unlock()
		if len(changes) > 0 {
			return changes, nil
		}
		if err != nil {
			return nil, err
		}
		select {
		case <-sub.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// catchUp returns the next changes of the past, or joins the reader when it has
// come to where that is.
func (sub *Subscription) catchUp(ctx context.Context) ([]Change, error) {
	f := sub.feed
	f.mu.Lock()
	err := f.err
	sub.joined = err == nil && sub.at.index == endOf && sub.at.number >= f.last
	f.mu.Unlock()
	if err != nil || sub.joined {
		return nil, err
	}
	// The rest of the cursor's own entry may still be due, so it is read again.
	from := sub.at.number
	if sub.at.index != endOf {
		from--
	}
	messages, err := f.store.page(ctx, f.account, max(from, 0), 20, 0)
	if err != nil {
		return nil, err
	}
	if len(messages) == 0 {
		return nil, errExpired()
	}
	var changes []Change
	for _, m := range messages {
		e, err := unpackEntry(m)
		if err != nil {
			return nil, registry.Unavailable("change feed", err)
		}
		if e.epoch != sub.at.epoch || e.number != from+1 {
			if len(changes) == 0 {
				return nil, errExpired()
			}
			return changes, nil // the next call finds out again
		}
		skip := 0
		if e.number == sub.at.number {
			skip = min(sub.at.index+1, len(e.changes))
		}
		changes = append(changes, e.changes[skip:]...)
		from = e.number
		sub.at = position{e.epoch, e.number, endOf}
	}
	return changes, nil
}
