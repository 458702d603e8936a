package conform

import (
	"crypto/sha256"
	"maps"
	"net/http"
	"time"
)

// leastWait is how long a program waits at least before it sends again what was
// not accepted, where nothing says how long.
const leastWait = 100 * time.Millisecond

// Conduct is how a program sends.
type Conduct struct {
	// Requests counts those that send readings, Injected the faults that they met.
	Requests int
	Injected map[Fault]int
	// Retries counts requests that were sent again after a fault, Hasty those of
	// them that came too soon, Abandoned what was never sent again.
	Retries, Hasty, Abandoned int
	// KeysKept counts retries with the Idempotency-Key of the first time, KeysChanged
	// those with another one, or with the key of something else.
	KeysKept, KeysChanged int
}

// content is what a request sends.
type content [sha256.Size]byte

// request is one request.
type request struct {
	content content
	key     string
	passed  bool
	refused bool
}

// history is what happened to what was sent.
type history struct {
	key string
	// fault is the last one, ended when it was over, cuts how often it was cut off in
	// a row. Open says that it was not acknowledged yet.
	fault Fault
	ended time.Time
	cuts  int
	open  bool
}

// log notes what is sent.
type log struct {
	retryAfter time.Duration
	told       Conduct
	sent       map[content]*history
	keys       map[string]content
}

func newLog(retryAfter time.Duration) log {
	return log{retryAfter: retryAfter, told: Conduct{Injected: map[Fault]int{}}, sent: map[content]*history{}, keys: map[string]content{}}
}

// begin notes a request.
func (l *log) begin(r *http.Request, body []byte, fault Fault, now time.Time) *request {
	one := &request{content: sha256.Sum256([]byte(r.URL.RequestURI() + "\n" + string(body))), key: r.Header.Get("Idempotency-Key")}
	l.told.Requests++
	if fault != none {
		l.told.Injected[fault]++
	}
	before := l.sent[one.content]
	if before == nil {
		before = &history{key: one.key}
		l.sent[one.content] = before
	} else if before.fault != none {
		l.again(before, one, now)
	}
	if owner, known := l.keys[one.key]; known && one.key != "" && owner != one.content {
		l.told.KeysChanged++
	} else if one.key != "" {
		l.keys[one.key] = one.content
	}
	before.open = true
	return one
}

// again notes a request that comes after a fault.
func (l *log) again(before *history, one *request, now time.Time) {
	l.told.Retries++
	wait := leastWait
	if before.fault == Busy {
		wait = l.retryAfter
	}
	cut := before.fault == CutBefore || before.fault == CutAfter
	// Libraries send once more by themselves when a connection ends.
	if now.Sub(before.ended) < wait && (!cut || before.cuts > 1) {
		l.told.Hasty++
	}
	switch {
	case before.key == "" && one.key == "":
	case before.key == one.key:
		l.told.KeysKept++
	default:
		l.told.KeysChanged++
	}
}

// end notes how a request ended.
func (l *log) end(one *request, fault Fault, now time.Time) {
	h := l.sent[one.content]
	h.ended, h.fault = now, fault
	switch {
	case fault == CutBefore || fault == CutAfter:
		h.cuts++
	case fault == Busy || fault == Down:
		h.cuts = 0
	case one.refused: // by Holon itself
		h.fault, h.cuts = Down, 0
	default:
		h.fault, h.cuts, h.open = none, 0, false
	}
}

func (l *log) conduct() Conduct {
	out := l.told
	out.Injected = maps.Clone(l.told.Injected)
	for _, h := range l.sent {
		if h.open && h.fault != none {
			out.Abandoned++
		}
	}
	return out
}
