package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

// ErrFenced means that another worker has taken a partition over: whatever this
// one would still write is refused.
var ErrFenced = errors.New("another worker has taken the partition over")

// Graph is where a worker stores readings.
type Graph interface {
	// OpenPartition takes a partition over; every earlier owner is fenced.
	// Generation names the stream that the entries' ids belong to.
	OpenPartition(ctx context.Context, number int, generation string) (Partition, error)
}

// Partition stores the readings of one partition. It is used by one goroutine
// at a time.
type Partition interface {
	// Append stores entries in one transaction. Doing so again changes nothing
	// and returns the same updates. ErrFenced and UNAVAILABLE are expected;
	// after any error nothing, or all of it, may have been stored.
	Append(ctx context.Context, entries []Entry) (registry.AppendResult, error)
}

// LiveState is told what was stored. Telling it again, or late, is harmless.
type LiveState interface {
	Apply(ctx context.Context, updates []registry.TwinUpdate) error
}

// Alarms are told what was stored, once live state has it. Telling it again
// changes nothing.
type Alarms interface {
	Stored(ctx context.Context, updates []registry.TwinUpdate) error
}

// WorkerConfig tunes a worker. Zero values take the defaults.
type WorkerConfig struct {
	// BatchReadings ends a batch: 4,000 by default. One entry alone may hold more.
	BatchReadings int
	// LeaseTTL is how long a partition stays without an owner after its worker
	// was killed: 3 s by default.
	LeaseTTL time.Duration
	// Alarms may be nil.
	Alarms Alarms
	Logger zerolog.Logger
	// Metrics may be nil.
	Metrics prometheus.Registerer
}

// Worker stores what is in the queue. Any number of workers share the
// partitions among them; each partition has one owner at a time.
type Worker struct {
	queue   *Queue
	graph   Graph
	live    LiveState
	c       WorkerConfig
	id      string
	metrics *workerMetrics
	log     zerolog.Logger
}

// NewWorker makes a worker; Run starts it.
func NewWorker(queue *Queue, graph Graph, live LiveState, c WorkerConfig) (*Worker, error) {
	if c.BatchReadings == 0 {
		c.BatchReadings = 4000
	}
	if c.LeaseTTL == 0 {
		c.LeaseTTL = 3 * time.Second
	}
	m, err := newWorkerMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("worker metrics: %w", err)
	}
	id := uuid.NewString()
	return &Worker{queue: queue, graph: graph, live: live, c: c, id: id, metrics: m, log: c.Logger.With().Str("worker", id).Logger()}, nil
}

// tenure is the time in which a worker owns a partition.
type tenure struct {
	partition int
	renewed   time.Time
	leaving   bool
	stop      context.CancelFunc
	ended     chan struct{}
}

// leave asks the loop to end after the batch under way.
func (t *tenure) leave() {
	t.leaving = true
	t.stop()
}

// Run takes a fair share of the partitions and stores what is in them until the
// context ends. It then finishes the batches under way and gives the
// partitions up. It always returns nil: what fails is tried again.
func (w *Worker) Run(ctx context.Context) error {
	owned := map[int]*tenure{}
	tick := time.NewTicker(w.c.LeaseTTL / 6)
	defer tick.Stop()
	for ctx.Err() == nil {
		w.rebalance(ctx, owned)
		w.metrics.partitions.Set(float64(len(owned)))
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	w.leave(context.WithoutCancel(ctx), owned)
	return nil
}

// leave gives everything up.
func (w *Worker) leave(ctx context.Context, owned map[int]*tenure) {
	var all sync.WaitGroup
	for _, t := range owned {
		all.Go(func() { w.giveUp(ctx, t) })
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	tick := time.NewTicker(w.c.LeaseTTL / 3)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-done:
			waiting = false
		case <-tick.C:
			// The batch under way may take longer than the lease lasts.
			for p, t := range owned {
				select {
				case <-t.ended:
				default:
					_, _ = w.queue.renew(ctx, p, w.id, w.c.LeaseTTL)
				}
			}
		}
	}
	if err := w.queue.retire(ctx, w.id); err != nil {
		w.log.Warn().Err(err).Msg("could not sign off; the other workers will notice in a moment")
	}
	w.metrics.partitions.Set(0)
}

// giveUp stops a partition's loop, waits for its end and releases the lease.
func (w *Worker) giveUp(ctx context.Context, t *tenure) {
	t.stop()
	<-t.ended
	if err := w.queue.release(ctx, t.partition, w.id); err != nil {
		w.log.Warn().Err(err).Int("partition", t.partition).Msg("could not release a partition; its lease will expire")
	}
}

// rebalance renews the leases and brings the number of partitions to the fair
// share: all of them divided by the workers, rounded up.
func (w *Worker) rebalance(ctx context.Context, owned map[int]*tenure) {
	for p, t := range owned {
		held, err := w.queue.renew(ctx, p, w.id, w.c.LeaseTTL)
		switch {
		case held:
			t.renewed = time.Now()
		case err != nil && time.Since(t.renewed) < w.c.LeaseTTL:
			// Redis does not answer, but the lease still holds.
		default:
			w.log.Warn().Int("partition", p).Msg("lost a partition")
			t.leave()
		}
		select {
		case <-t.ended: // given up, or fenced
			w.giveUp(ctx, t)
			delete(owned, p)
		default:
		}
	}
	workers, err := w.queue.heartbeat(ctx, w.id, w.c.LeaseTTL)
	if err != nil {
		w.log.Debug().Err(err).Msg("no heartbeat")
		return
	}
	partitions := w.queue.Partitions()
	share := (partitions + workers - 1) / workers
	staying := 0
	for p, t := range owned {
		if t.leaving {
			continue
		}
		if staying++; staying > share {
			// Its batch under way is finished first, the lease is released after.
			t.leave()
			w.log.Info().Int("partition", p).Int("workers", workers).Msg("leaving a partition to another worker")
		}
	}
	for _, p := range rand.Perm(partitions) {
		if staying >= share {
			return
		}
		if owned[p] != nil {
			continue
		}
		ok, err := w.queue.acquire(ctx, p, w.id, w.c.LeaseTTL)
		if err != nil {
			return
		}
		if ok {
			owned[p] = w.take(ctx, p)
			staying++
		}
	}
}

// take starts the loop of a partition.
func (w *Worker) take(ctx context.Context, partition int) *tenure {
	ctx, stop := context.WithCancel(ctx)
	t := &tenure{partition: partition, renewed: time.Now(), stop: stop, ended: make(chan struct{})}
	w.log.Info().Int("partition", partition).Msg("took a partition")
	go func() {
		defer close(t.ended)
		defer stop()
		w.own(ctx, partition)
	}()
	return t
}

// own stores what is in a partition until the context ends or another worker
// takes over.
func (w *Worker) own(ctx context.Context, partition int) {
	var wait backoff
	for ctx.Err() == nil {
		progress, err := w.serve(ctx, partition)
		switch {
		case errors.Is(err, ErrFenced):
			w.log.Warn().Int("partition", partition).Msg("another worker took the partition over")
			return
		case errors.Is(err, errOtherStream), ctx.Err() != nil:
			continue
		}
		if progress {
			wait = backoff{}
		}
		event := w.log.Warn()
		if registry.CodeOf(err) != registry.CodeUnavailable {
			event = w.log.Error()
		}
		event.Err(err).Int("partition", partition).Msg("the partition waits; nothing is lost")
		wait.sleep(ctx)
	}
}

// backoff waits longer each time: 50 ms at first, 5 s at most, with jitter so
// that workers do not come back all at once.
type backoff struct{ last time.Duration }

func (b *backoff) sleep(ctx context.Context) {
	b.last = min(max(2*b.last, 50*time.Millisecond), 5*time.Second)
	rest(ctx, b.last/2+rand.N(b.last/2))
}
