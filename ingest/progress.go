package ingest

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/registry"
)

// progress tells when partitions have come past what was queued. However many
// wait in this process, Redis is asked once in a while for all of them, and not
// at all while nobody waits.
type progress struct {
	mu      sync.Mutex
	waiting map[*passing]struct{}
	running bool
}

// passing waits for one partition to come past an entry.
type passing struct {
	partition int
	entry     string
	done      chan struct{}
}

// askEvery is how often Redis is asked while somebody waits.
const askEvery = 50 * time.Millisecond

// Entries are large, and only their ids are wanted.
var (
	firstScript = redis.NewScript(`local e = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1) return e[1] and e[1][1] or ''`)
	lastScript  = redis.NewScript(`local e = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1) return e[1] and e[1][1] or ''`)
)

// partitionsOf says which partitions readings are in.
func (q *Queue) partitionsOf(readings []registry.AcceptedReading) []int {
	used := make([]bool, q.c.Partitions)
	var out []int
	for i := range readings {
		if p := registry.PartitionOf(partitionKey(&readings[i]), q.c.Partitions); !used[p] {
			used[p], out = true, append(out, p)
		}
	}
	return out
}

// Settled waits until what is in some partitions now has left them: each
// reading is stored, a repeat, or a dead letter. False means that the context
// ended first.
func (q *Queue) Settled(ctx context.Context, partitions []int) (bool, error) {
	pipe := q.client.Pipeline()
	last := make([]*redis.Cmd, len(partitions))
	for i, p := range partitions {
		last[i] = lastScript.Eval(ctx, pipe, []string{q.keys[p].stream})
	}
	if len(partitions) > 0 {
		if _, err := pipe.Exec(ctx); err != nil {
			return false, registry.Unavailable("queue", err)
		}
	}
	var waits []*passing
	for i, p := range partitions {
		if entry, _ := last[i].Text(); entry != "" {
			waits = append(waits, &passing{p, entry, make(chan struct{})})
		}
	}
	q.progress.join(q, waits)
	defer q.progress.leave(waits)
	for _, w := range waits {
		select {
		case <-w.done:
		case <-ctx.Done():
			return false, nil
		}
	}
	return true, nil
}

func (p *progress) join(q *Queue, waits []*passing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = map[*passing]struct{}{}
	}
	for _, w := range waits {
		p.waiting[w] = struct{}{}
	}
	if !p.running && len(p.waiting) > 0 {
		p.running = true
		q.group.Go(func() { p.run(q) })
	}
}

func (p *progress) leave(waits []*passing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range waits {
		delete(p.waiting, w)
	}
}

// run asks until nobody waits any more; who waits is bounded by a context.
func (p *progress) run(q *Queue) {
	for {
		time.Sleep(askEvery)
		p.mu.Lock()
		if len(p.waiting) == 0 {
			p.running = false
			p.mu.Unlock()
			return
		}
		first := map[int]*redis.Cmd{}
		ctx, cancel := context.WithTimeout(context.Background(), q.c.Timeout)
		pipe := q.client.Pipeline()
		for w := range p.waiting {
			if first[w.partition] == nil {
				first[w.partition] = firstScript.Eval(ctx, pipe, []string{q.keys[w.partition].stream})
			}
		}
		p.mu.Unlock()
		_, err := pipe.Exec(ctx)
		cancel()
		if err != nil {
			continue // who waits has a limit
		}
		p.mu.Lock()
		for w := range p.waiting {
			cmd := first[w.partition]
			if cmd == nil {
				continue // came meanwhile
			}
			if entry, err := cmd.Text(); err == nil && (entry == "" || compareEntries(entry, w.entry) > 0) {
				close(w.done)
				delete(p.waiting, w)
			}
		}
		p.mu.Unlock()
	}
}

// compareEntries compares two ids of a stream, "milliseconds-sequence".
func compareEntries(a, b string) int {
	aTime, aNumber, _ := strings.Cut(a, "-")
	bTime, bNumber, _ := strings.Cut(b, "-")
	number := func(s string) uint64 {
		n, _ := strconv.ParseUint(s, 10, 64)
		return n
	}
	return cmp.Or(cmp.Compare(number(aTime), number(bTime)), cmp.Compare(number(aNumber), number(bNumber)))
}
