package ingest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/registry"
)

// Answers to requests with an Idempotency-Key are remembered for a day, in two
// hashes like message ids: the current one becomes the one before. A field's
// value is
//
//	p <milliseconds> <part> <request>   while the request is worked on
//	r <part>                            when it ended in doubt, and may be sent again
//	d <request> <answer>                when it was accepted
//	s ...                               of a session of a WebSocket, see streamMemory
//
// where <request> is a hash of what was asked. Both that and the part, which is
// random, are in the ids of readings that nothing else identifies. The part stays as
// long as the key is remembered, so that readings that were taken before a request
// ended in doubt are known when all of it comes again; for a key that was forgotten
// it is drawn anew, since ids may be known for longer.
const (
	// claimFor is when a request that was never answered counts as dead.
	claimFor = 2 * time.Minute
	// maxIdempotencyKey is in bytes.
	maxIdempotencyKey = 255
)

// turnAnswers makes the current answers those before, when it is time: turn_after
// is after how many ms, most_fields with how many fields.
const turnAnswers = `
local turned = tonumber(redis.call('HGET', meta, 'turned'))
if not turned or now - turned >= tonumber(turn_after) or redis.call('HLEN', current) >= tonumber(most_fields) then
  redis.call('UNLINK', before)
  if redis.call('EXISTS', current) == 1 then redis.call('RENAME', current, before) end
  redis.call('HSET', meta, 'turned', string.format('%d', now))
end`

// claimScript answers with what is remembered, or claims the key and answers with
// "c <part> <milliseconds>", with a k if the part is that of an earlier request.
//
//	KEYS  current, before, meta
//	ARGV  field, request, claim for (ms), turn after (ms), most fields, new part
var claimScript = redis.NewScript(`
local current, before, meta = KEYS[1], KEYS[2], KEYS[3]
local turn_after, most_fields = ARGV[4], ARGV[5]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local known = redis.call('HGET', current, ARGV[1]) or redis.call('HGET', before, ARGV[1])
local part, claimed = ARGV[6], 'c '
if known then
  local since, begun = string.match(known, '^p (%d+) (%S+)')
  part, claimed = begun or string.match(known, '^r (%S+)'), 'k '
  -- A time to come means that the clock was put back: then nobody knows for how long.
  if not part or since and math.abs(now - tonumber(since)) < tonumber(ARGV[3]) then return known end
end
` + turnAnswers + `
redis.call('HSET', current, ARGV[1], string.format('p %d %s %s', now, part, ARGV[2]))
return claimed .. part .. ' ' .. string.format('%d', now)
`)

// dropScript forgets a claim, unless somebody else has taken it over.
//
//	KEYS  current, before
//	ARGV  field, claim
var dropScript = redis.NewScript(`
for _, key in ipairs(KEYS) do
  if redis.call('HGET', key, ARGV[1]) == ARGV[2] then redis.call('HDEL', key, ARGV[1]) end
end
return 0
`)

// errInFlight is a request whose twin is being worked on.
var errInFlight = &httpRefusal{http.StatusConflict, "a request with this Idempotency-Key is being worked on: send again in a moment"}

// claim is the right to answer a request with an Idempotency-Key.
type claim struct {
	queue                       *Queue
	field, request, part, since string
	// kept says that an earlier request may have been taken in part.
	kept bool
}

func (q *Queue) answerKeys() []string {
	base := q.c.Prefix + ":q:{answers}:"
	return []string{base + "current", base + "before", base + "meta"}
}

// claim returns the answer that a request got before, or the right to answer
// it; both are nil for a request without a key.
func (h *httpHandler) claim(r *http.Request, principal *registry.Principal, body []byte) (*httpAnswer, *claim, error) {
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		return nil, nil, nil
	}
	if !printable(key) {
		return nil, nil, &httpRefusal{http.StatusBadRequest, "an Idempotency-Key has at most " + strconv.Itoa(maxIdempotencyKey) + " printable ASCII characters"}
	}
	q := h.receiver.queue
	c := &claim{queue: q,
		field:   digest(string(principal.Account), string(principal.Key.ID), key),
		request: digest(r.URL.Path, r.URL.Query().Get("template"), r.Header.Get("Content-Type"), r.URL.Query().Get("partial"), string(body)),
	}
	// What was done is done, whether or not the sender still waits.
	ctx := context.WithoutCancel(r.Context())
	known, err := claimScript.Run(ctx, q.client, q.answerKeys(), c.field, c.request,
		claimFor.Milliseconds(), q.c.RememberFor.Milliseconds(), q.c.RememberMax, randomPart()).Text()
	if err != nil {
		return nil, nil, registry.Unavailable("queue", err)
	}
	state, rest, _ := strings.Cut(known, " ")
	switch state {
	case "c", "k":
		c.part, c.since, _ = strings.Cut(rest, " ")
		c.kept = state == "k"
		return nil, c, nil
	case "p":
		return nil, nil, errInFlight
	}
	request, text, _ := strings.Cut(rest, " ")
	if request != c.request {
		return nil, nil, &httpRefusal{http.StatusUnprocessableEntity, "this Idempotency-Key was used for another request"}
	}
	var answer httpAnswer
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return nil, nil, err
	}
	return &answer, nil, nil
}

// name gives readings that nothing else identifies a message id, so that they
// are known even if the answer was lost.
func (c *claim) name(readings []registry.Reading) {
	nameReadings(idPrefix(c.field, c.part)+c.request[:16], readings)
}

// randomPart is drawn where nothing is remembered of a key or a session.
func randomPart() string { return rand.Text()[:16] }

// idPrefix begins the ids of readings that came under a key or in a session.
func idPrefix(field, part string) string { return field[:16] + part }

func nameReadings(prefix string, readings []registry.Reading) {
	for i := range readings {
		if r := &readings[i]; r.MeasuredAt.IsZero() && r.MessageID == "" {
			r.MessageID = prefix + "/" + strconv.Itoa(i)
		}
	}
}

// settle remembers the answer to a request that was accepted. Any other may be
// sent again with the same key; if it was wrong nothing of it was queued, and
// nothing has to be remembered.
func (c *claim) settle(ctx context.Context, answer *httpAnswer, refused error) error {
	ctx = context.WithoutCancel(ctx)
	keys := c.queue.answerKeys()
	switch {
	case answer != nil:
	case registry.CodeOf(refused) == registry.CodeInvalid && !c.kept:
		return dropScript.Run(ctx, c.queue.client, keys[:2], c.field, "p "+c.since+" "+c.part+" "+c.request).Err()
	default:
		return c.queue.client.HSet(ctx, keys[0], c.field, "r "+c.part).Err()
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return c.queue.client.HSet(ctx, keys[0], c.field, "d "+c.request+" "+string(text)).Err()
}

// digest is a hash of texts, each apart from the next.
func digest(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		sum := sha256.Sum256([]byte(text))
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// settled notes what became of a claimed request. If that fails the readings
// are known by their times and message ids all the same.
func (h *httpHandler) settled(ctx context.Context, c *claim, answer *httpAnswer, refused error) {
	if c == nil {
		return
	}
	if err := c.settle(ctx, answer, refused); err != nil && !errors.Is(err, context.Canceled) {
		h.c.Logger.Warn().Err(err).Msg("the answer to an Idempotency-Key could not be remembered")
	}
}
