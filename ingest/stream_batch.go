package ingest

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

// streamBatch is what has come of a client while what came before was being
// queued. Its readings go into the queue together.
type streamBatch struct {
	messages []streamIn
	// fates has what became of each message.
	fates   []streamFate
	checked bool
	// next is the first message that is not answered, alone whether they are queued
	// one by one, because together they are too many for what is left of the queue.
	next  int
	alone bool
	told  bool // that it has to wait
}

// streamFate is what becomes of a message: it is refused, or its readings are
// queued, or both, if it is a dead letter.
type streamFate struct {
	settled bool
	// known says that nothing new is to be remembered: a message of that number was
	// answered before.
	known   bool
	queued  []registry.AcceptedReading
	refusal *httpAnswer
	label   string
	// readings counts what the message held, accepted what of it is queued; queued
	// becomes less while part of it waits.
	readings, accepted int
}

func (f *streamFate) refuse(err error, faults []Fault) {
	f.settled, f.refusal, f.label = true, refusalOf(err, faults), answerOf(err)
}

// run takes messages until the connection ends, and then what has come already.
func (s *streamSession) run() {
	defer close(s.taken)
	for {
		select {
		case m := <-s.messages:
			if !s.take(s.gather(m)) {
				return
			}
		case <-s.ended:
			for len(s.messages) > 0 {
				if !s.take(s.gather(<-s.messages)) {
					return
				}
			}
			return
		}
	}
}

// gather adds to a message what else has come, up to what goes well into one call
// to the queue.
func (s *streamSession) gather(first streamIn) []streamIn {
	batch, size := []streamIn{first}, first.size
	for size < maxCall && len(batch) < s.hub.c.Inflight {
		select {
		case m := <-s.messages:
			batch, size = append(batch, m), size+m.size
		default:
			return batch
		}
	}
	return batch
}

// take deals with a batch until all of it is answered. It returns false if it
// cannot be, because the connection ends: the client sends again what was not
// acknowledged.
func (s *streamSession) take(messages []streamIn) bool {
	b := &streamBatch{messages: messages, fates: make([]streamFate, len(messages))}
	defer s.free(messages)
	s.judge(b)
	for {
		err := s.attempt(b)
		if err == nil {
			return true
		}
		if !s.holdBack(b, err) {
			return false
		}
	}
}

func (s *streamSession) free(messages []streamIn) {
	for i := range messages {
		s.pending.Add(-messages[i].size)
		s.hub.room.Release(messages[i].size)
	}
	select {
	case s.freed <- struct{}{}:
	default:
	}
}

// judge settles what needs no store: repeats, and what is no message.
func (s *streamSession) judge(b *streamBatch) {
	for i := range b.messages {
		m, f := &b.messages[i], &b.fates[i]
		repeat, err := s.memory.meet(m.seq, m.digest)
		switch {
		case err != nil:
			f.known = true
			f.refuse(err, nil)
		case repeat:
			f.known, f.settled, f.label = true, true, answerAccepted
		case m.wrong != "":
			fault := malformed(0, m.wrong)
			f.refuse(invalid([]Fault{fault}), []Fault{fault})
		case len(m.parsed.Readings) > s.hub.c.MaxReadings:
			f.refuse(registry.InvalidField("readings", "length", "a message holds at most %d readings", s.hub.c.MaxReadings), nil)
		}
		f.readings = len(m.parsed.Readings)
	}
}

// attempt tries to finish a batch. It may be called again after an error.
func (s *streamSession) attempt(b *streamBatch) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	principal, err := s.principal(ctx)
	if err != nil {
		return err
	}
	if !b.checked {
		if err := s.check(ctx, principal, b); err != nil {
			return err
		}
		if err := s.decode(ctx, principal, b); err != nil {
			return err
		}
		b.checked = true
	}
	for i := range b.messages {
		if b.messages[i].what == "reply" && !b.fates[i].settled {
			if err := s.reply(ctx, principal, &b.messages[i], &b.fates[i]); err != nil {
				return err
			}
		}
	}
	return s.queue(ctx, b)
}

// check looks at the readings of all messages at once.
func (s *streamSession) check(ctx context.Context, principal *registry.Principal, b *streamBatch) error {
	gather := newGatherer(len(b.messages))
	var places []int
	for i := range b.messages {
		if m := &b.messages[i]; m.what == "readings" && !b.fates[i].settled {
			nameReadings(s.nameOf(m), m.parsed.Readings)
			gather.add(m.parsed)
			places = append(places, i)
		}
	}
	checks, err := gather.check(ctx, s.hub.receiver, principal, sourceStream, false)
	if err != nil {
		return err
	}
	for i, place := range places {
		if f := &b.fates[place]; len(checks[i].faults) > 0 {
			err := invalid(checks[i].faults) // sorts them, so it comes first
			f.refuse(err, checks[i].faults)
		} else {
			f.queued, f.accepted, f.label = checks[i].readings, len(checks[i].readings), answerAccepted
		}
	}
	return nil
}

// nameOf begins the ids of a message's readings that nothing else identifies: the
// same when it is sent again.
func (s *streamSession) nameOf(m *streamIn) string {
	return s.memory.prefix + "/" + strconv.FormatInt(m.seq, 10)
}

// decode decodes the payloads of all messages at once. What cannot be decoded is
// kept as a dead letter, and its sender is told.
func (s *streamSession) decode(ctx context.Context, principal *registry.Principal, b *streamBatch) error {
	var raw []rawMessage
	var places []int
	for i := range b.messages {
		m, f := &b.messages[i], &b.fates[i]
		if m.what != "raw" || f.settled {
			continue
		}
		one, wrong := rawOf(m.body, m.at)
		if wrong != "" {
			fault := malformed(0, wrong)
			f.refuse(invalid([]Fault{fault}), []Fault{fault})
			continue
		}
		name := s.nameOf(m)
		one.name = func(readings []registry.Reading) { nameReadings(name, readings) }
		raw, places = append(raw, one), append(places, i)
	}
	if len(raw) == 0 {
		return nil
	}
	checks, err := s.hub.receiver.checkRaw(ctx, principal, sourceStream, raw, false)
	if err != nil {
		return err
	}
	for i, place := range places {
		c, f := &checks[i], &b.fates[place]
		f.readings, f.label = max(len(c.readings), 1), answerAccepted
		if c.astray {
			f.refuse(&registry.Error{Code: registry.CodeNotFound, Message: c.faults[0].Message}, c.faults)
			continue
		}
		f.queued = s.hub.receiver.queued(principal.Scope, sourceStream, &raw[i], c)
		if len(c.faults) > 0 {
			f.label = answerDeadLetter
			f.refusal = &httpAnswer{DeadLetter: true, Message: invalid(c.faults).Error(), Errors: httpFaults(c.faults)}
			f.refusal.Code = string(c.faults[0].Reason)
		} else {
			f.accepted = len(f.queued)
		}
	}
	return nil
}

// queue puts the readings of a batch into the queue, in their order, and answers
// what is in it.
func (s *streamSession) queue(ctx context.Context, b *streamBatch) error {
	if !b.alone {
		err := s.add(ctx, b.fates)
		if err == nil {
			s.answer(b, len(b.messages))
			return nil
		}
		if registry.CodeOf(err) != registry.CodeLimitExceeded || len(b.messages) == 1 {
			return err
		}
		b.alone = true
	}
	for b.next < len(b.messages) {
		if err := s.add(ctx, b.fates[b.next:b.next+1]); err != nil {
			return err
		}
		s.answer(b, b.next+1)
	}
	return nil
}

// add puts the readings of some messages into the queue. After an error only those
// are left that it is about: what has room is not sent again each time that the
// rest is tried.
func (s *streamSession) add(ctx context.Context, fates []streamFate) error {
	if err := ctx.Err(); err != nil {
		return registry.Unavailable("queue", err)
	}
	var all []registry.AcceptedReading
	for i := range fates {
		all = append(all, fates[i].queued...)
	}
	missing, err := s.hub.receiver.queue.add(all)
	if err != nil {
		for i := range fates {
			fates[i].queued = slices.DeleteFunc(fates[i].queued, func(r registry.AcceptedReading) bool { return !missing(r) })
		}
	}
	return err
}

// answer says what became of the messages before one: first what is wrong with
// some, then that all are answered.
func (s *streamSession) answer(b *streamBatch, before int) {
	ack, news := s.acked, false
	for i := b.next; i < before; i++ {
		m, f := &b.messages[i], &b.fates[i]
		ack, news = max(ack, m.seq), news || !f.known
		if !f.known {
			s.memory.answered(m.seq, f.refusal != nil && !f.refusal.DeadLetter)
		}
	}
	if news {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if err := s.memory.save(ctx, ack); err != nil {
			s.hub.c.Logger.Warn().Err(err).Msg("how far a session of a WebSocket has come could not be remembered")
		}
		cancel()
		s.acked = ack
	}
	for ; b.next < before; b.next++ {
		m, f := &b.messages[b.next], &b.fates[b.next]
		s.hub.receiver.observe(sourceStream, f.label, m.at, f.accepted, max(f.readings-f.accepted, 0))
		if f.refusal != nil {
			s.send(streamOut{Error: &streamRefusal{m.seq, *f.refusal}})
		}
	}
	s.send(streamOut{Ack: ack})
}

// holdBack waits until it is worth while to try again, or ends the connection.
func (s *streamSession) holdBack(b *streamBatch, err error) bool {
	code := registry.CodeOf(err)
	busy := code == registry.CodeUnavailable || code == registry.CodeLimitExceeded && RetryAfter(err) > 0
	s.hub.receiver.observe(sourceStream, answerOf(err), b.messages[b.next].at, 0, 0)
	switch {
	case code == registry.CodeUnauthenticated || code == registry.CodeForbidden:
		s.end(closeForbidden)
		return false
	case !busy:
		id := uuid.NewString()
		s.hub.c.Logger.Error().Err(err).Str("error_id", id).Msg("readings could not be received")
		s.end(closure{websocket.StatusInternalError, "Internal error " + id})
		return false
	case s.closed():
		return false
	case !b.told:
		b.told = true
		s.hub.c.Logger.Warn().Err(err).Int("messages", len(b.messages)-b.next).Msg("the messages of a WebSocket have to wait")
	}
	wait := s.hub.c.pause(err)
	s.send(streamOut{Busy: int(math.Ceil(wait.Seconds()))})
	select {
	case <-time.After(wait):
		return true
	case <-s.ended:
		return false
	}
}
