package twin

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/registry"
)

// Change is what became of one twin.
type Change struct {
	// Cursor is where to go on after this change.
	Cursor string
	At     time.Time
	TwinID registry.ID
	Kind   registry.TwinChangeKind
	Values []registry.LiveValue
}

// publishScript adds entries to the feed of an account. An entry's id is its
// number, so that a reader sees at once when one is missing. The stream is
// bounded by a number of entries that the average size of an entry makes about
// as many bytes as allowed.
//
//	KEYS  stream, meta
//	ARGV  a new epoch in case that there is none, most bytes, time to live (ms),
//	      then the entries
var publishScript = redis.NewScript(`
local stream, meta = KEYS[1], KEYS[2]
local state = redis.call('HMGET', meta, 'epoch', 'last', 'average')
local epoch, last, average = state[1], tonumber(state[2]) or 0, tonumber(state[3])
if not epoch then
  epoch, last = ARGV[1], 0
  redis.call('UNLINK', stream)
end
local t = redis.call('TIME')
local now = string.format('%d', t[1] * 1000 + math.floor(t[2] / 1000))
for i = 4, #ARGV do
  last = last + 1
  average = average and average + (#ARGV[i] - average) / 16 or #ARGV[i]
  local most = math.max(16, math.floor(ARGV[2] / (average + 64)))
  redis.call('XADD', stream, 'MAXLEN', '~', most, string.format('%d-0', last), 'e', epoch, 'r', now, 'b', ARGV[i])
end
redis.call('HSET', meta, 'epoch', epoch, 'last', string.format('%d', last), 'average', tostring(average))
redis.call('PEXPIRE', stream, ARGV[3])
redis.call('PEXPIRE', meta, ARGV[3])
return last
`)

// maxFeedEntry is how large an entry of the feed becomes before another one
// begins, in bytes.
const maxFeedEntry = 16 << 10

// publish adds changes to the feeds of their accounts, in one round trip.
func (s *Store) publish(ctx context.Context, twins []packedTwin) error {
	type news struct {
		account registry.ID
		args    []any
		entry   []byte
	}
	var all []*news
	byAccount := map[registry.ID]*news{}
	for i := range twins {
		p := &twins[i]
		n := byAccount[p.account]
		if n == nil {
			n = &news{account: p.account, args: []any{rand.Text()[:16], s.c.FeedBytes, s.c.FeedFor.Milliseconds()}}
			byAccount[p.account], all = n, append(all, n)
		}
		if n.entry = appendChange(n.entry, p); len(n.entry) >= maxFeedEntry {
			n.args, n.entry = append(n.args, n.entry), nil
		}
	}
	for _, n := range all {
		if n.entry != nil {
			n.args = append(n.args, n.entry)
		}
	}
	return s.scripts(ctx, "publish", len(all), publishScript, func(i int) ([]string, []any) {
		return []string{s.feedKey(all[i].account), s.feedMetaKey(all[i].account)}, all[i].args
	})
}

// presenceMark stands in the place of a measure in a change of presence. No
// measure has this name.
const presenceMark = "*presence"

// appendChange packs the changes of a twin: its id, the number of values, and
// measure and packed value of each; a text is its length and its bytes.
func appendChange(b []byte, p *packedTwin) []byte {
	b = appendText(b, string(p.id))
	b = binary.AppendUvarint(b, uint64(len(p.args)/3))
	for i := 0; i < len(p.args); i += 3 {
		b = appendText(b, p.args[i].(string))
		b = appendText(b, p.args[i+2].(string))
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// feedEntry is one entry of a feed.
type feedEntry struct {
	epoch   string
	number  int64
	changes []Change
}

var errFeedEntry = errors.New("an entry of the change feed cannot be read")

func unpackEntry(m redis.XMessage) (feedEntry, error) {
	text := func(field string) string { s, _ := m.Values[field].(string); return s }
	number, err := strconv.ParseInt(strings.TrimSuffix(m.ID, "-0"), 10, 64)
	if err != nil {
		return feedEntry{}, errFeedEntry
	}
	ms, err := strconv.ParseInt(text("r"), 10, 64)
	if err != nil {
		return feedEntry{}, errFeedEntry
	}
	e := feedEntry{epoch: text("e"), number: number}
	at, rest := time.UnixMilli(ms).UTC(), text("b")
	for rest != "" {
		var id string
		var n uint64
		var ok bool
		if id, rest, ok = cutText(rest); ok {
			n, rest, ok = cutNumber(rest)
		}
		if !ok || n > uint64(len(rest)) {
			return feedEntry{}, errFeedEntry
		}
		c := Change{Cursor: position{e.epoch, number, len(e.changes)}.cursor(), At: at, TwinID: registry.ID(id), Kind: registry.TwinValues, Values: make([]registry.LiveValue, 0, n)}
		for range n {
			var measure, packed string
			if measure, rest, ok = cutText(rest); ok {
				packed, rest, ok = cutText(rest)
			}
			if !ok {
				return feedEntry{}, errFeedEntry
			}
			if measure == presenceMark {
				c.Kind = registry.TwinPresence
				continue
			}
			v, err := unpack(measure, packed)
			if err != nil {
				return feedEntry{}, err
			}
			c.Values = append(c.Values, v)
		}
		e.changes = append(e.changes, c)
	}
	return e, nil
}

func cutNumber(s string) (uint64, string, bool) {
	var n uint64
	for i := 0; i < len(s) && i < binary.MaxVarintLen64; i++ {
		n |= uint64(s[i]&0x7F) << (7 * i)
		if s[i] < 0x80 {
			return n, s[i+1:], true
		}
	}
	return 0, "", false
}

func cutText(s string) (string, string, bool) {
	n, s, ok := cutNumber(s)
	if !ok || n > uint64(len(s)) {
		return "", "", false
	}
	return s[:n], s[n:], true
}

// position is a place in a feed: after the change with an index in the entry
// with a number.
type position struct {
	epoch  string
	number int64
	index  int
}

// endOf is the index of a position after all changes of an entry.
const endOf = 1 << 30

func (p position) cursor() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d:%d", p.epoch, p.number, p.index))
}

func parseCursor(cursor string) (position, error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	parts := strings.Split(string(raw), ":")
	if err != nil || len(parts) != 3 {
		return position{}, registry.InvalidField("after", "format", "%q is not a cursor of a change", cursor)
	}
	number, err1 := strconv.ParseInt(parts[1], 10, 64)
	index, err2 := strconv.Atoi(parts[2])
	if err1 != nil || err2 != nil || number < 0 || index < 0 {
		return position{}, registry.InvalidField("after", "format", "%q is not a cursor of a change", cursor)
	}
	return position{parts[0], number, index}, nil
}

func errExpired() error {
	return &registry.Error{Code: registry.CodeCursorExpired, Field: "after",
		Message: "the change feed no longer reaches back to this cursor: read the state again and subscribe without a cursor"}
}

// tail is the epoch and the number of the last entry of a feed; an account
// without a feed has neither.
func (s *Store) tail(ctx context.Context, account registry.ID) (epoch string, last int64, err error) {
	var got []any
	err = s.call(ctx, "tail", func() (err error) {
		got, err = s.client.HMGet(ctx, s.feedMetaKey(account), "epoch", "last").Result()
		return err
	})
	if err != nil {
		return "", 0, err
	}
	epoch, _ = got[0].(string)
	text, _ := got[1].(string)
	last, _ = strconv.ParseInt(text, 10, 64) // none is 0
	return epoch, last, nil
}

// page reads entries after a number. It waits up to block for the first.
func (s *Store) page(ctx context.Context, account registry.ID, after int64, count int64, block time.Duration) ([]redis.XMessage, error) {
	operation, client := "follow", s.followers
	if block <= 0 {
		operation, client = "resume", s.client
		block = -1 // for go-redis, which takes 0 for "for ever"
	}
	var got []redis.XStream
	err := s.call(ctx, operation, func() (err error) {
		got, err = client.XRead(ctx, &redis.XReadArgs{Streams: []string{s.feedKey(account), strconv.FormatInt(after, 10) + "-0"}, Count: count, Block: block}).Result()
		return err
	})
	if err != nil || len(got) == 0 {
		return nil, err
	}
	return got[0].Messages, nil
}
