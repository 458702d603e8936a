package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// fakeGraph stores readings in memory and fails when told. It stands for the
// graph's promises: one epoch a partition, and a batch that runs twice is
// stored once.
type fakeGraph struct {
	mu      sync.Mutex
	epochs  map[int]int
	owners  map[int]string
	stored  map[string]int // device and time -> how often it was stored
	last    map[registry.ID]time.Time
	batches []int
	applied int
	// before is called at the start of every Append.
	before func() error
	// after is called once a batch is committed.
	after   func() error
	problem error
}

func newFakeGraph() *fakeGraph {
	return &fakeGraph{epochs: map[int]int{}, owners: map[int]string{}, stored: map[string]int{}, last: map[registry.ID]time.Time{}}
}

func (g *fakeGraph) as(worker string) Graph { return &fakeSession{g, worker} }

type fakeSession struct {
	g      *fakeGraph
	worker string
}

func (s *fakeSession) OpenPartition(_ context.Context, number int, _ string) (Partition, error) {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	s.g.epochs[number]++
	s.g.owners[number] = s.worker
	return &fakePartition{s.g, number, s.g.epochs[number]}, nil
}

type fakePartition struct {
	g             *fakeGraph
	number, epoch int
}

func (p *fakePartition) Append(_ context.Context, entries []Entry) (registry.AppendResult, error) {
	g := p.g
	if g.before != nil {
		if err := g.before(); err != nil {
			return registry.AppendResult{}, err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.epochs[p.number] != p.epoch {
		return registry.AppendResult{}, fmt.Errorf("append: %w", ErrFenced)
	}
	var result registry.AppendResult
	n := 0
	for _, e := range entries {
		for _, r := range e.Readings {
			n++
			key := string(r.DeviceID) + r.MeasuredAt.String()
			if g.stored[key] > 0 {
				result.Repeats++
			} else {
				result.Stored++
				g.stored[key]++
				if !r.MeasuredAt.After(g.last[r.DeviceID]) {
					g.problem = fmt.Errorf("device %s: %s after %s", r.DeviceID, r.MeasuredAt, g.last[r.DeviceID])
				}
				g.last[r.DeviceID] = r.MeasuredAt
			}
			result.Updates = append(result.Updates, registry.TwinUpdate{Account: r.Account, TwinID: r.DeviceID})
		}
	}
	g.batches = append(g.batches, n)
	if g.after != nil {
		if err := g.after(); err != nil {
			return registry.AppendResult{}, err
		}
	}
	return result, nil
}

func (g *fakeGraph) Apply(context.Context, []registry.TwinUpdate) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.applied++
	return nil
}

func (g *fakeGraph) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.stored)
}

func startWorker(t testing.TB, q *Queue, graph Graph, live LiveState, batch int) (stop func()) {
	t.Helper()
	w, err := NewWorker(q, graph, live, WorkerConfig{BatchReadings: batch, LeaseTTL: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-done }) }
	t.Cleanup(stop)
	return stop
}

func eventually(t testing.TB, what string, within time.Duration, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s still not: %s", within, what)
		}
	}
}

func backlog(t testing.TB, q *Queue) int {
	t.Helper()
	all, err := q.Backlogs(t.Context())
	if err != nil {
		return -1
	}
	n := 0
	for _, b := range all {
		n += b.Readings
	}
	return n
}

func TestWorkerStoresEverythingInOrder(t *testing.T) {
	q, g := openQueue(t, nil), newFakeGraph()
	readings := manyReadings(3000, 30)
	add(t, q, readings[:1500]...)
	startWorker(t, q, g.as("one"), g, 100)
	for from := 1500; from < 3000; from += 50 {
		add(t, q, readings[from:from+50]...)
	}
	eventually(t, "the queue is empty", 10*time.Second, func() bool { return backlog(t, q) == 0 })
	if g.count() != 3000 || g.problem != nil {
		t.Errorf("%d readings are stored, %v", g.count(), g.problem)
	}
	checkBooks(t, q, 0, 3000)
	if g.applied != len(g.batches) {
		t.Errorf("%d batches, %d of them applied", len(g.batches), g.applied)
	}
	start := time.Now()
	add(t, q, manyReadings(1, 1)...)
	eventually(t, "a single reading is stored", time.Second, func() bool { return g.count() == 3001 })
	if took := time.Since(start); took > 300*time.Millisecond {
		t.Errorf("a single reading took %s", took)
	}
}

func TestWorkerTriesAgain(t *testing.T) {
	for name, provoke := range map[string]func(*fakeGraph, func(int64) error){
		"before the commit": func(g *fakeGraph, fail func(int64) error) {
			var n atomic.Int64
			g.before = func() error { return fail(n.Add(1)) }
		},
		"after the commit": func(g *fakeGraph, fail func(int64) error) {
			var n atomic.Int64
			g.after = func() error { return fail(n.Add(1)) }
		},
	} {
		for kind, problem := range map[string]error{"unavailable": registry.Unavailable("graph database", nil), "unknown": errors.New("a defect")} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				q, g := openQueue(t, nil), newFakeGraph()
				provoke(g, func(n int64) error {
					if n <= 6 && n%2 == 1 {
						return problem
					}
					return nil
				})
				add(t, q, manyReadings(400, 30)...)
				startWorker(t, q, g.as("one"), g, 50)
				eventually(t, "the queue is empty", 10*time.Second, func() bool { return backlog(t, q) == 0 })
				if g.count() != 400 || g.problem != nil {
					t.Errorf("%d readings are stored, %v", g.count(), g.problem)
				}
			})
		}
	}
}

// failingLive fails at first.
type failingLive struct{ calls atomic.Int64 }

func (l *failingLive) Apply(context.Context, []registry.TwinUpdate) error {
	if l.calls.Add(1) <= 3 {
		return registry.Unavailable("live state", nil)
	}
	return nil
}

func TestWorkerWaitsForTheLiveState(t *testing.T) {
	q, g, live := openQueue(t, func(c *QueueConfig) { c.Partitions = 1 }), newFakeGraph(), new(failingLive)
	add(t, q, manyReadings(10, 3)...)
	startWorker(t, q, g.as("one"), live, 50)
	eventually(t, "the batch is applied", 5*time.Second, func() bool { return live.calls.Load() >= 2 })
	if n := backlog(t, q); n != 10 {
		t.Errorf("%d readings are left before the live state has them, want 10", n)
	}
	eventually(t, "the queue is empty", 5*time.Second, func() bool { return backlog(t, q) == 0 })
	if len(g.batches) != 1 {
		t.Errorf("the batch was appended %d times", len(g.batches))
	}
}

func (g *fakeGraph) shares() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	shares := map[string]int{}
	for _, owner := range g.owners {
		shares[owner]++
	}
	return shares
}

func TestWorkersShareAndTakeOver(t *testing.T) {
	q, g := openQueue(t, func(c *QueueConfig) { c.Partitions = 8 }), newFakeGraph()
	door := testkit.NewDoor(t)
	reached := openQueue(t, func(c *QueueConfig) {
		c.URL = door.URL
		c.Prefix = q.c.Prefix
		c.Partitions = 8
		c.Timeout = time.Second
	})
	stopFirst := startWorker(t, q, g.as("first"), g, 100)
	eventually(t, "one worker has all", 5*time.Second, func() bool { return g.shares()["first"] == 8 })
	startWorker(t, reached, g.as("second"), g, 100)
	eventually(t, "two workers share", 5*time.Second, func() bool {
		return g.shares()["first"] == 4 && g.shares()["second"] == 4
	})
	add(t, q, manyReadings(500, 50)...)
	eventually(t, "the queue is empty", 5*time.Second, func() bool { return backlog(t, q) == 0 })
	// The second loses its Redis, as if it had been paused or cut off.
	door.Shut()
	start := time.Now()
	add(t, q, manyReadings(500, 50)...)
	eventually(t, "the first has all again", 5*time.Second, func() bool { return g.shares()["first"] == 8 })
	t.Logf("taken over after %s, leases last 1 s", time.Since(start))
	eventually(t, "the queue is empty", 5*time.Second, func() bool { return backlog(t, q) == 0 })
	door.Open()
	eventually(t, "two workers share again", 8*time.Second, func() bool { return g.shares()["second"] == 4 })
	// A worker that stops leaves at once, not after its leases.
	stopFirst()
	start = time.Now()
	eventually(t, "the second has all", 5*time.Second, func() bool { return g.shares()["second"] == 8 })
	if took := time.Since(start); took > 900*time.Millisecond {
		t.Errorf("handed over after %s", took)
	}
	if g.count() != 1000 || g.problem != nil {
		t.Errorf("%d readings are stored, %v", g.count(), g.problem)
	}
	checkBooks(t, q, 0, 1000)
}

func TestFencedWorkerGivesUp(t *testing.T) {
	q, g := openQueue(t, func(c *QueueConfig) { c.Partitions = 1 }), newFakeGraph()
	held, enter := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	g.before = func() error {
		if first.CompareAndSwap(false, true) {
			close(enter)
			<-held // as if the process had been stopped in the middle of a batch
		}
		return nil
	}
	add(t, q, manyReadings(20, 5)...)
	startWorker(t, q, g.as("paused"), g, 100)
	<-enter
	q.client.Set(t.Context(), q.keys[0].lease, "somebody else", time.Minute)
	other, err := g.as("other").OpenPartition(t.Context(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Append(t.Context(), drain(t, q, 0)); err != nil {
		t.Fatal(err)
	}
	close(held)
	time.Sleep(700 * time.Millisecond)
	g.mu.Lock()
	if len(g.batches) != 1 || g.owners[0] != "other" {
		t.Errorf("%d batches, the owner is %s", len(g.batches), g.owners[0])
	}
	g.mu.Unlock()
	if n := backlog(t, q); n != 20 {
		t.Errorf("a fenced worker removed entries: %d left", n)
	}
	q.client.Unlink(t.Context(), q.keys[0].lease)
	eventually(t, "the partition is taken again", 5*time.Second, func() bool { return backlog(t, q) == 0 })
	if g.count() != 20 {
		t.Errorf("%d readings are stored", g.count())
	}
}

func TestWorkerStopsAfterTheBatch(t *testing.T) {
	q, g := openQueue(t, func(c *QueueConfig) { c.Partitions = 1 }), newFakeGraph()
	enter := make(chan struct{}, 1)
	g.before = func() error {
		select {
		case enter <- struct{}{}:
		default:
		}
		time.Sleep(100 * time.Millisecond)
		return nil
	}
	add(t, q, manyReadings(20, 5)...)
	stop := startWorker(t, q, g.as("one"), g, 100)
	<-enter
	stop()
	if n := backlog(t, q); n != 0 || g.count() != 20 {
		t.Errorf("%d readings are left, %d stored", n, g.count())
	}
	if owner := q.client.Get(t.Context(), q.keys[0].lease); !errors.Is(owner.Err(), redis.Nil) {
		t.Errorf("the lease is %v", owner)
	}
}

func TestWorkerSetsUnreadableEntriesAside(t *testing.T) {
	q, g := openQueue(t, func(c *QueueConfig) { c.Partitions = 1 }), newFakeGraph()
	add(t, q, manyReadings(5, 5)...)
	q.client.XAdd(t.Context(), &redis.XAddArgs{Stream: q.keys[0].stream, Values: map[string]any{"b": "garbage", "n": 1, "r": "1", "g": "x"}})
	add(t, q, manyReadings(5, 5)...)
	startWorker(t, q, g.as("one"), g, 100)
	eventually(t, "what is behind is stored", 5*time.Second, func() bool { return g.count() == 10 })
	aside := q.client.XRange(t.Context(), q.keys[0].stream+":unreadable", "-", "+").Val()
	if len(aside) != 1 || aside[0].Values["b"] != "garbage" {
		t.Errorf("set aside: %v", aside)
	}
	q.client.Unlink(t.Context(), q.keys[0].stream+":unreadable")
}

func BenchmarkWorker(b *testing.B) {
	q, g := openQueue(b, func(c *QueueConfig) { c.Partitions = 8; c.MaxReadings = 1 << 30; c.MaxBytes = 1 << 40 }), newFakeGraph()
	null := nullGraph{new(atomic.Int64)}
	readings := manyReadings(100, 100)
	for range b.N {
		if err := q.Add(b.Context(), readings); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	startWorker(b, q, null, g, 4000)
	eventually(b, "the queue is empty", time.Minute, func() bool { return null.n.Load() >= int64(100*b.N) })
	b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "readings/s")
}

// nullGraph takes everything: what is left is the cost of the worker itself.
type nullGraph struct{ n *atomic.Int64 }

func (g nullGraph) OpenPartition(context.Context, int, string) (Partition, error) { return g, nil }

func (g nullGraph) Append(_ context.Context, entries []Entry) (registry.AppendResult, error) {
	n := 0
	for _, e := range entries {
		n += len(e.Readings)
	}
	g.n.Add(int64(n))
	return registry.AppendResult{Stored: n}, nil
}

func TestRestAfter(t *testing.T) {
	w := &Worker{c: WorkerConfig{BatchReadings: 4000}}
	for _, test := range []struct {
		name string
		b    batch
		took time.Duration
		want time.Duration
	}{
		{"one that came when nothing was under way", batch{readings: 100}, 10 * time.Millisecond, 0},
		{"one at a time", batch{readings: 1, waited: true}, 10 * time.Millisecond, 0},
		{"small batches without a break", batch{readings: 100, waited: true}, 10 * time.Millisecond, 20 * time.Millisecond},
		{"slow ones", batch{readings: 100, waited: true}, time.Second, maxRest},
		{"large ones", batch{readings: 1000, waited: true}, 10 * time.Millisecond, 0},
	} {
		if got := w.restAfter(test.b, test.took); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
