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
//	s <part> <seq>:<digest> <seq>:<digest> …
//
// the last messages that were answered, newest first. The digest of one that was
// refused is a dash: nothing of it was queued, and it may be sent again. The part
// is random, drawn when nothing is known of the session, and in the ids of its
// readings: message ids may be known for longer than sessions, and the first
// reading of a session that was forgotten is not the first one of last week.

// enterScript answers with what is known of a session, which is kept for as long
// as if it were new, or begins it.
//
//	KEYS  current, before, meta
//	ARGV  field, value of a new session, turn after (ms), most fields
var enterScript = redis.NewScript(`
local current, before, meta = KEYS[1], KEYS[2], KEYS[3]
local turn_after, most_fields = ARGV[3], ARGV[4]
local known = redis.call('HGET', current, ARGV[1])
if known then return known end
local value = redis.call('HGET', before, ARGV[1]) or ARGV[2]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
` + turnAnswers + `
redis.call('HSET', current, ARGV[1], value)
return value
`)

// rememberScript remembers how far a session has come, unless another connection
// has brought it further, or has begun it anew because it was forgotten.
//
//	KEYS  current, before, meta
//	ARGV  field, value, seq, turn after (ms), most fields
var rememberScript = redis.NewScript(`
local current, before, meta = KEYS[1], KEYS[2], KEYS[3]
local turn_after, most_fields = ARGV[4], ARGV[5]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local known = redis.call('HGET', current, ARGV[1]) or redis.call('HGET', before, ARGV[1])
if known then
  local part, last = string.match(known, '^s (%S+) ?(%d*)')
  if part ~= string.match(ARGV[2], '^s (%S+)') or (tonumber(last) or 0) > tonumber(ARGV[3]) then return 0 end
end
` + turnAnswers + `
redis.call('HSET', current, ARGV[1], ARGV[2])
return 1
`)

// streamMemory is what is known of a session's messages.
type streamMemory struct {
	queue *Queue
	// field is empty for what is known as long as the connection lasts.
	field string
	// part is random, and prefix begins the ids of readings that nothing else
	// identifies.
	part, prefix string
	// last is the seq of the last message, met are the last ones. As many as most are
	// remembered, and twice as many known: so many may not be answered yet.
	last int64
	met  []metMessage
	most int
}

type metMessage struct {
	seq    int64
	digest string
	// again is the digest of a message that was refused and has come again, until it
	// is answered.
	again string
}

// load finds out how far the session has come, or begins it.
func (m *streamMemory) load(ctx context.Context) error {
	c := &m.queue.c
	value, err := enterScript.Run(ctx, m.queue.client, m.queue.answerKeys(), m.field, "s "+randomPart(),
		c.RememberFor.Milliseconds(), c.RememberMax).Text()
	if err != nil {
		return registry.Unavailable("queue", err)
	}
	return m.read(value)
}

func (m *streamMemory) read(value string) error {
	words := strings.Fields(value)
	if len(words) < 2 {
		return fmt.Errorf("what is remembered of a session is %q", value)
	}
	m.part, m.prefix = words[1], idPrefix(m.field, words[1])
	for i := len(words) - 1; i > 1; i-- {
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
	m.met = append(m.met, metMessage{seq: seq, digest: digest})
}

// noDigest stands for a message that was refused.
const noDigest = "-"

// answered notes what came of a message: nothing, if it was refused.
func (m *streamMemory) answered(seq int64, refused bool) {
	for i := len(m.met) - 1; i >= 0; i-- {
		if known := &m.met[i]; known.seq == seq {
			if refused {
				known.digest = noDigest
			} else if known.again != "" {
				known.digest = known.again
			}
			known.again = ""
			return
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
		case known.digest == digest || known.again == digest:
			return true, nil
		case known.digest == noDigest && known.again == "":
			// It counts as refused until it is answered: later messages may be before.
			m.met[i].again = digest
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
	value, n := []byte("s "+m.part), 0
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
