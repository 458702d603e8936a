package ingest

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/registry"
)

// lanes is the number of calls to Redis that are under way at once; partition
// p goes by lane p % lanes. With one or two lanes a single producer waits for
// one round trip; more lanes mean more and smaller calls.
const lanes = 2

// maxCall bounds the bytes of one partition in one call, so that no entry, and
// no run of the script, grows without bound. One item alone may be larger.
const maxCall = 512 << 10

// lane gathers items while its call is under way and sends them in the next
// one: group commit. It has the partitions whose number is its own modulo
// lanes, and one call at a time, which keeps the order of a partition.
type lane struct {
	number  int
	mu      sync.Mutex
	waiting []waiting // by partition / lanes
	wake    chan struct{}
	ended   bool
}

type waiting struct {
	items    []item
	readings int
}

func (l *lane) start(q *Queue, number int) {
	l.number = number
	l.waiting = make([]waiting, (max(q.c.Partitions-number, 0)+lanes-1)/lanes)
	l.wake = make(chan struct{}, 1)
	q.group.Go(func() { l.run(q) })
}

func (l *lane) stop() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.nudge()
}

func (l *lane) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// put takes the items of the lane's partitions.
func (l *lane) put(q *Queue, t *ticket, items []item) {
	found := false
	l.mu.Lock()
	for p := l.number; p < len(items); p += lanes {
		one := &items[p]
		if one.readings == 0 {
			continue
		}
		w := &l.waiting[p/lanes]
		switch {
		case l.ended:
			t.answer(p, registry.Unavailable("queue", nil))
		case w.readings > 0 && w.readings+one.readings > q.c.MaxPending:
			t.answer(p, errFull())
		default:
			one.ticket = t
			w.items = append(w.items, *one)
			w.readings += one.readings
			found = true
		}
	}
	l.mu.Unlock()
	if found {
		l.nudge()
	}
}

// take removes what the next call sends, by partition / lanes.
func (l *lane) take() (batches [][]item, found, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	batches = make([][]item, len(l.waiting))
	for i := range l.waiting {
		w := &l.waiting[i]
		n, size := 0, 0
		for n < len(w.items) && (n == 0 || size+len(w.items[n].blob) <= maxCall) {
			size += len(w.items[n].blob)
			w.readings -= w.items[n].readings
			n++
		}
		batches[i] = w.items[:n:n]
		if w.items = w.items[n:]; len(w.items) == 0 {
			w.items = nil
		}
		found = found || n > 0
	}
	return batches, found, l.ended
}

func (l *lane) run(q *Queue) {
	for {
		batches, found, ended := l.take()
		switch {
		case found:
			q.send(batches, l.number)
		case ended:
			return
		default:
			<-l.wake
		}
	}
}

// send makes one round trip for all partitions of a lane and answers every item.
func (q *Queue) send(batches [][]item, number int) {
	// The client's own timeouts bound the call: it must not end with the request
	// of whoever happened to come first.
	ctx := context.Background()
	pipe := q.adder.Pipeline()
	results := make([]*redis.Cmd, len(batches))
	for i, items := range batches {
		if len(items) > 0 {
			keys, args := q.call(i*lanes+number, items)
			results[i] = addScript.EvalSha(ctx, pipe, keys, args...)
		}
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, items := range batches {
		if len(items) == 0 {
			continue
		}
		got, err := results[i].Int64Slice()
		if err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
			keys, args := q.call(i*lanes+number, items)
			got, err = addScript.Eval(ctx, q.adder, keys, args...).Int64Slice()
		}
		if err != nil {
			q.c.Logger.Warn().Err(err).Int("partition", i*lanes+number).Int("requests", len(items)).Msg("the queue took no readings")
		}
		for j, one := range items {
			switch {
			case err != nil || j >= len(got):
				one.ticket.answer(i*lanes+number, registry.Unavailable("queue", err))
			case got[j] == 0:
				one.ticket.answer(i*lanes+number, errFull())
			default:
				one.ticket.answer(i*lanes+number, nil)
			}
		}
	}
}

// call builds the keys and arguments of one run of addScript.
func (q *Queue) call(partition int, items []item) ([]string, []any) {
	k := &q.keys[partition]
	size := 6
	for i := range items {
		size += 3 + len(items[i].timeless)
	}
	args := make([]any, 6, size)
	args[0], args[1] = q.c.MaxReadings, q.c.MaxBytes
	args[2], args[3] = q.c.RememberFor.Milliseconds(), q.c.RememberMax
	args[4], args[5] = newGeneration(), len(items)
	for i := range items {
		args = append(args, items[i].blob, items[i].readings, len(items[i].timeless)/2)
		args = append(args, items[i].timeless...)
	}
	return []string{k.stream, k.meta, k.clock, k.clockBefore, k.ids, k.idsBefore}, args
}

// jitter is a random number below n.
func jitter(n int) int { return rand.IntN(n) }
