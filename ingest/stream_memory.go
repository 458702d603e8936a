package ingest

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/registry"
)

// A session is remembered beside the answers to requests with an Idempotency-Key,
// for as long. Its field's value is
//
//	s <seq>:<digest> <seq>:<digest> …
//
// the last messages that were answered, newest first. The digest of one that was
// refused is a dash: nothing of it was queued, and it may be sent again.

// rememberScript remembers how far a session has come, unless another connection
// has brought it further.
//
//	KEYS  current, before, meta
//	ARGV  field, value, seq, turn after (ms), most fields
var rememberScript = redis.NewScript(`
local current, before, meta = KEYS[1], KEYS[2], KEYS[3]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local known = redis.call('HGET', current, ARGV[1]) or redis.call('HGET', before, ARGV[1])
local last = known and tonumber(string.match(known, '^s (%d+)'))
if last and last > tonumber(ARGV[3]) then return 0 end
` + turnAnswers + `
redis.call('HSET', current, ARGV[1], ARGV[2])
return 1
`)

// streamMemory is what is known of a session's messages.
type streamMemory struct {
	queue *Queue
	// field is empty for what is known as long as the connection lasts.
	field string
	// prefix begins the ids of readings that nothing else identifies.
	prefix string
	// last is the seq of the last message, met are the last ones. As many as most are
	// remembered, and twice as many known: so many may not be answered yet.
	last int64
	met  []metMessage
	most int
}

type metMessage struct {
	seq    int64
	digest string
}

// load finds out how far the session has come.
func (m *streamMemory) load(ctx context.Context) error {
	keys := m.queue.answerKeys()
	for _, key := range keys[:2] {
		value, err := m.queue.client.HGet(ctx, key, m.field).Result()
		if err == redis.Nil { //nolint:errorlint // it is never wrapped
			continue
		}
		if err != nil {
			return registry.Unavailable("queue", err)
		}
		return m.read(value)
	}
	return nil
}

func (m *streamMemory) read(value string) error {
	words := strings.Fields(value)
	for i := len(words) - 1; i > 0; i-- {
		number, digest, _ := strings.Cut(words[i], ":")
		seq, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return fmt.Errorf("what is remembered of a session: %w", err)
		}
		m.note(seq, digest)
	}
	return nil
}

func (m *streamMemory) note(seq int64, digest string) {
	m.last = seq
	if len(m.met) >= 3*m.most {
		m.met = append(m.met[:0], m.met[len(m.met)-2*m.most:]...)
	}
	m.met = append(m.met, metMessage{seq, digest})
}

// noDigest stands for a message that was refused.
const noDigest = "-"

// refused notes that nothing came of a message.
func (m *streamMemory) refused(seq int64) {
	for i := range m.met {
		if m.met[i].seq == seq {
			m.met[i].digest = noDigest
		}
	}
}

// allRefused are the messages that were refused, of those that are known.
func (m *streamMemory) allRefused() (list []int64) {
	for _, known := range m.met {
		if known.digest == noDigest {
			list = append(list, known.seq)
		}
	}
	return list
}

// meet says whether a message is a repeat. CONFLICT is one that has the number of
// another.
func (m *streamMemory) meet(seq int64, digest string) (repeat bool, err error) {
	if seq > m.last {
		m.note(seq, digest)
		return false, nil
	}
	for i, known := range m.met {
		switch {
		case known.seq != seq:
		case known.digest == digest:
			return true, nil
		case known.digest == noDigest:
			m.met[i].digest = digest
			return false, nil
		}
	}
	return false, registry.Conflict("seq", "another message had this seq: this session has come to %d, go on from there or begin another session", m.last)
}

// save remembers that all messages up to one were answered. If that fails,
// repeats are known by their times and message ids all the same.
func (m *streamMemory) save(ctx context.Context, upto int64) error {
	if m.field == "" {
		return nil
	}
	value, n := []byte{'s'}, 0
	for i := len(m.met) - 1; i >= 0 && n < m.most; i-- {
		if known := m.met[i]; known.seq <= upto {
			n++
			value = append(strconv.AppendInt(append(value, ' '), known.seq, 10), ':')
			value = append(value, known.digest...)
		}
	}
	c := &m.queue.c
	return rememberScript.Run(ctx, m.queue.client, m.queue.answerKeys(), m.field, value, upto, c.RememberFor.Milliseconds(), c.RememberMax).Err()
}
