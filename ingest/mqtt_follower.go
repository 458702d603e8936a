package ingest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/holon-registry/holon/registry"
)

// ChangeJournal is where a listener reads what it tells its subscribers, and
// where it remembers them.
type ChangeJournal interface {
	// JournalEnd is the position of the last change of an account.
	JournalEnd(ctx context.Context, scope registry.Scope) (int64, error)
	// Follow follows an account's changes after a position. CURSOR_EXPIRED if the
	// journal does not reach back to it.
	Follow(ctx context.Context, scope registry.Scope, after int64) (Changes, error)
	// WithObjects completes changes by the objects after them.
	WithObjects(ctx context.Context, scope registry.Scope, changes []*registry.Change) ([]*registry.Change, error)

	// Subscriber returns what is remembered of a client, nil if nothing is.
	Subscriber(ctx context.Context, scope registry.Scope, client string) (*registry.Subscriber, error)
	KeepSubscriber(ctx context.Context, scope registry.Scope, subscriber registry.Subscriber) error
	ForgetSubscriber(ctx context.Context, scope registry.Scope, client string) error
	MoveSubscribers(ctx context.Context, scope registry.Scope, moves []registry.SubscriberMove) error
	ExpireSubscribers(ctx context.Context, now time.Time) error
}

// Changes are those of one account, in their order.
type Changes interface {
	// Next waits for changes and returns some.
	Next(ctx context.Context) ([]*registry.Change, error)
	Close()
}

// mqttFollower tells one client of changes, at the client's pace: it reads the
// journal itself, so that a slow client fills no memory, and remembers how far
// the client has acknowledged.
type mqttFollower struct {
	session *mqttSession
	journal ChangeJournal
	scope   registry.Scope
	// client is its name within the account, lasts how long it is remembered after
	// it has gone: not at all if zero.
	client string
	lasts  time.Duration
	stop   context.CancelFunc

	mu      sync.Mutex
	filters []registry.SubscriberFilter
	// waiting are the positions of messages that are not acknowledged; looked is the
	// position up to which changes were looked at.
	waiting map[int64]bool
	looked  int64
	// kept is what is remembered as its position, keptAt since when.
	kept   int64
	keptAt time.Time
	// acked has a value when there may be room for another message.
	acked chan struct{}
}

// position is that of the last change that the client has, with all before it.
func (f *mqttFollower) position() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.positionLocked()
}

func (f *mqttFollower) positionLocked() int64 {
	if len(f.waiting) == 0 {
		return f.looked
	}
	return slices.Min(slices.Collect(maps.Keys(f.waiting))) - 1
}

// run tells changes until the context ends.
func (f *mqttFollower) run(ctx context.Context) {
	var wait backoff
	for ctx.Err() == nil {
		err := f.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case registry.CodeOf(err) == registry.CodeCursorExpired:
			// When it comes back it learns that it has no session any more.
			f.forget()
			f.session.hangUp(packets.ErrAdministrativeAction)
			return
		case registry.CodeOf(err) == registry.CodeUnauthenticated, registry.CodeOf(err) == registry.CodeForbidden:
			f.session.hangUp(packets.ErrNotAuthorized)
			return
		}
		f.session.hook.c.Logger.Warn().Err(err).Msg("an MQTT client cannot be told of changes for now")
		wait.sleep(ctx)
	}
}

func (f *mqttFollower) follow(ctx context.Context) error {
	f.mu.Lock()
	at := f.looked
	f.mu.Unlock()
	changes, err := f.journal.Follow(ctx, f.scope, at)
	if err != nil {
		return err
	}
	defer changes.Close()
	for {
		next, err := changes.Next(ctx)
		if err != nil {
			return err
		}
		// Asked each time, and cached: a key that was deleted ends here.
		if _, err := f.session.principal(ctx); err != nil {
			return err
		}
		if err := f.tell(ctx, next); err != nil {
			return err
		}
	}
}

// tell sends those of some changes that the client wants.
func (f *mqttFollower) tell(ctx context.Context, changes []*registry.Change) error {
	type wanted struct {
		change *registry.Change
		topic  string
	}
	var list []wanted
	var incomplete []*registry.Change
	for _, c := range changes {
		topic := changeTopic(f.scope.AccountName, c)
		if fits, _ := f.wants(topic, c.Position); fits {
			list = append(list, wanted{c, topic})
			incomplete = append(incomplete, c)
		}
	}
	if len(list) > 0 {
		complete, err := f.journal.WithObjects(ctx, f.scope, incomplete)
		if err != nil {
			return err
		}
		for i, w := range list {
			if err := f.send(ctx, w.topic, complete[i]); err != nil {
				return err
			}
		}
	}
	f.mu.Lock()
	f.looked = changes[len(changes)-1].Position
	f.mu.Unlock()
	return nil
}

// wants says whether a filter takes a topic, and whether one that does wants to
// acknowledge.
func (f *mqttFollower) wants(topic string, position int64) (fits, acknowledged bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, filter := range f.filters {
		if filter.From < position && fitsFilter(topic, filter.Filter) {
			fits, acknowledged = true, acknowledged || filter.Acknowledged
		}
	}
	return fits, acknowledged
}

// send sends a change, when the client has room for it.
func (f *mqttFollower) send(ctx context.Context, topic string, c *registry.Change) error {
	fits, acknowledged := f.wants(topic, c.Position)
	if !fits {
		return nil // it has unsubscribed meanwhile
	}
	payload, err := changeMessage(c)
	if err != nil {
		return err
	}
	m := outgoing{topic: topic, payload: payload}
	if acknowledged {
		if err := f.take(ctx, c.Position); err != nil {
			return err
		}
		m.acked = func(byte) { f.acknowledge(c.Position) }
	}
	if err := f.session.publish(m); err != nil {
		return err
	}
	f.mu.Lock()
	f.looked = c.Position
	f.mu.Unlock()
	f.session.hook.events.told.Inc()
	return nil
}

// take waits for room for a message: as many as the client takes at a time may be
// unacknowledged.
func (f *mqttFollower) take(ctx context.Context, position int64) error {
	most := int(f.session.hook.c.Inflight)
	if n := int(f.session.client.Properties.Props.ReceiveMaximum); n > 0 {
		most = min(most, n)
	}
	for {
		f.mu.Lock()
		if len(f.waiting) < most {
			f.waiting[position] = true
			f.mu.Unlock()
			return nil
		}
		f.mu.Unlock()
		select {
		case <-f.acked:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// acknowledge notes that the client has the message of a change.
func (f *mqttFollower) acknowledge(position int64) {
	f.mu.Lock()
	delete(f.waiting, position)
	f.mu.Unlock()
	select {
	case f.acked <- struct{}{}:
	default:
	}
}

// remembered is what is kept of the client.
func (f *mqttFollower) remembered(now time.Time) registry.Subscriber {
	f.mu.Lock()
	defer f.mu.Unlock()
	return registry.Subscriber{Client: f.client, Filters: slices.Clone(f.filters), Position: f.positionLocked(), Until: now.Add(f.lasts)}
}

// forget forgets the client, if it is remembered.
func (f *mqttFollower) forget() {
	ctx, cancel := context.WithTimeout(context.Background(), rememberTimeout)
	defer cancel()
	if err := f.journal.ForgetSubscriber(ctx, f.scope, f.client); err != nil {
		f.session.hook.c.Logger.Warn().Err(err).Msg("an MQTT client could not be forgotten yet")
	}
}
