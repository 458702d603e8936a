package ingest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/internal/redisconn"
	"github.com/holon-registry/holon/registry"
)

// QueueConfig says where the queue is and how much it may hold. Zero values
// take the defaults.
type QueueConfig struct {
	// URL of the Redis that holds the queue; see package redisconn.
	URL string
	// Prefix begins every key: "holon" by default.
	Prefix string
	// Partitions is the number that the graph was migrated with.
	Partitions int
	// MaxReadings and MaxBytes bound the backlog of each partition: 1,000,000
	// readings and 256 MiB by default.
	MaxReadings int
	MaxBytes    int
	// MaxPending bounds the readings of one partition that wait in this process
	// for their turn: 50,000 by default.
	MaxPending int
	// RememberFor is how long message ids are known at least: 24 h by default,
	// less if a partition sees more than RememberMax (100,000) of them.
	RememberFor time.Duration
	RememberMax int
	// Timeout bounds one call to Redis: 5 s by default.
	Timeout time.Duration
	// AllowVolatile lets the queue open on a Redis that may lose what was
	// acknowledged when it restarts, or drop it when memory is short.
	AllowVolatile bool
	Logger        zerolog.Logger
	// Metrics may be nil.
	Metrics prometheus.Registerer
}

func (c *QueueConfig) fill() error {
	if c.Partitions < 1 {
		return errors.New("the queue needs at least one partition")
	}
	set := func(into *int, value int) {
		if *into == 0 {
			*into = value
		}
	}
	set(&c.MaxReadings, 1_000_000)
	set(&c.MaxBytes, 256<<20)
	set(&c.MaxPending, 50_000)
	set(&c.RememberMax, 100_000)
	if c.Prefix == "" {
		c.Prefix = "holon"
	}
	if c.RememberFor == 0 {
		c.RememberFor = 24 * time.Hour
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	return nil
}

// Queue holds accepted readings until a worker has stored them. It is safe for
// concurrent use.
type Queue struct {
	c QueueConfig
	// adder adds; adding is not idempotent, so it sends no call again. The rest
	// is done by client, which does.
	adder, client redis.UniversalClient
	keys          []partitionKeys
	lanes         [lanes]lane
	group         sync.WaitGroup
	decode        sync.Pool
	progress      progress
}

// Open connects to the queue and checks that its Redis keeps what it takes: it
// must write an append-only file and must not evict. A Redis that does not
// answer is UNAVAILABLE, one that may lose readings FAILED_PRECONDITION.
func Open(ctx context.Context, c QueueConfig) (*Queue, error) {
	if err := c.fill(); err != nil {
		return nil, err
	}
	adder, err := redisconn.Open(c.URL, redisconn.Settings{Timeout: c.Timeout})
	if err != nil {
		return nil, err
	}
	client, err := redisconn.Open(c.URL, redisconn.Settings{Timeout: c.Timeout, Retries: 2, Connections: 32 + c.Partitions})
	if err != nil {
		return nil, errors.Join(err, adder.Close())
	}
	q := &Queue{c: c, adder: adder, client: client, decode: sync.Pool{New: func() any { return new(decoder) }}}
	for p := range c.Partitions {
		q.keys = append(q.keys, keysOf(c.Prefix, p))
	}
	if err := q.checkDurable(ctx); err != nil {
		return nil, errors.Join(err, q.disconnect())
	}
	if c.Metrics != nil {
		if err := c.Metrics.Register(queueCollector{q}); err != nil {
			return nil, errors.Join(fmt.Errorf("queue metrics: %w", err), q.disconnect())
		}
	}
	for i := range q.lanes {
		q.lanes[i].start(q, i)
	}
	return q, nil
}

// Close ends the queue; calls to Add that are under way are answered first.
func (q *Queue) Close() error {
	for i := range q.lanes {
		q.lanes[i].stop()
	}
	q.group.Wait()
	return q.disconnect()
}

func (q *Queue) disconnect() error { return errors.Join(q.adder.Close(), q.client.Close()) }

// Ping says whether the queue's Redis answers.
func (q *Queue) Ping(ctx context.Context) error {
	if err := q.client.Ping(ctx).Err(); err != nil {
		return registry.Unavailable("queue", err)
	}
	return nil
}

// Partitions is the number of the queue's partitions.
func (q *Queue) Partitions() int { return q.c.Partitions }

// checkDurable refuses a Redis that can lose acknowledged readings, unless told.
func (q *Queue) checkDurable(ctx context.Context) error {
	if err := q.Ping(ctx); err != nil {
		return fmt.Errorf("open the queue: %w", err)
	}
	if q.c.AllowVolatile {
		return nil
	}
	if cluster, ok := q.client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return checkNode(ctx, node) })
	}
	return checkNode(ctx, q.client)
}

func checkNode(ctx context.Context, node redis.Cmdable) error {
	for _, one := range []struct{ setting, want, why string }{
		{"appendonly", "yes", "a restart would lose readings that were acknowledged"},
		{"appendfsync", "always", "it answers before it has written, when the disk is slow, and readings that were acknowledged would be lost if it were killed then"},
		{"maxmemory-policy", "noeviction", "readings that were acknowledged would be dropped when memory is short"},
	} {
		got, err := node.ConfigGet(ctx, one.setting).Result()
		if err != nil {
			return &registry.Error{Code: registry.CodeFailedPrecondition, Cause: err,
				Message: "the queue's Redis does not let its settings be read (CONFIG GET " + one.setting + "): check it yourself and allow a volatile queue"}
		}
		if got[one.setting] != one.want {
			return registry.FailedPrecondition("the queue's Redis has %s %s: %s; set %s %s, or allow a volatile queue",
				one.setting, got[one.setting], one.why, one.setting, one.want)
		}
	}
	return nil
}

// Full is the cause of a LIMIT_EXCEEDED that says when to come again.
type Full struct {
	RetryAfter time.Duration
}

// Error implements error.
func (f *Full) Error() string { return "the queue is full" }

// RetryAfter is how long to wait after an error of the queue, 0 if it is
// another error.
func RetryAfter(err error) time.Duration {
	if full, ok := errors.AsType[*Full](err); ok {
		return full.RetryAfter
	}
	return 0
}

func errFull() error {
	// Spread the senders out, so that they do not all come back at once.
	wait := time.Second + time.Duration(jitter(2000))*time.Millisecond
	return &registry.Error{Code: registry.CodeLimitExceeded, Cause: &Full{RetryAfter: wait},
		Message: "the queue of readings is full: nothing is lost, send again later"}
}

// Add queues readings and returns when Redis has them all. LIMIT_EXCEEDED means
// that a partition is full, UNAVAILABLE that Redis did not take them or did not
// answer; after either, some may have been queued, and sending all of them
// again is safe. The call ends within a few times the configured timeout.
func (q *Queue) Add(ctx context.Context, readings []registry.AcceptedReading) error {
	if err := ctx.Err(); err != nil {
		return registry.Unavailable("queue", err)
	}
	_, err := q.add(readings)
	return err
}

// add is Add, and tells of an error which readings it is about: those of the other
// partitions are queued.
func (q *Queue) add(readings []registry.AcceptedReading) (missing func(registry.AcceptedReading) bool, err error) {
	t, err := q.enqueue(readings)
	if err != nil {
		return func(registry.AcceptedReading) bool { return true }, err
	}
	err = t.wait()
	return func(r registry.AcceptedReading) bool {
		return slices.Contains(t.missing, registry.PartitionOf(partitionKey(&r), q.c.Partitions))
	}, err
}

// ticket stands for readings on their way to Redis.
type ticket struct {
	left atomic.Int32
	done chan struct{}
	mu   sync.Mutex
	err  error
	// missing are the partitions that err is about.
	missing []int
}

func (t *ticket) answer(partition int, err error) {
	if err != nil {
		t.mu.Lock()
		t.missing = append(t.missing, partition)
		// A store that is down says more than one that is full.
		if t.err == nil || registry.CodeOf(err) == registry.CodeUnavailable {
			t.err = err
		}
		t.mu.Unlock()
	}
	if t.left.Add(-1) == 0 {
		close(t.done)
	}
}

func (t *ticket) wait() error {
	<-t.done
	return t.err
}

// item is what one call has for one partition.
type item struct {
	ticket   *ticket
	blob     []byte
	readings int
	// timeless has device and message id of each reading without a time.
	timeless []any
}

// enqueue puts readings in line for the next call to Redis. The order of two
// calls by one goroutine is kept.
func (q *Queue) enqueue(readings []registry.AcceptedReading) (*ticket, error) {
	t := &ticket{done: make(chan struct{})}
	if len(readings) == 0 {
		close(t.done)
		return t, nil
	}
	items := make([]item, q.c.Partitions)
	used := int32(0)
	for i := range readings {
		r := &readings[i]
		key := partitionKey(r)
		one := &items[registry.PartitionOf(key, q.c.Partitions)]
		if one.blob == nil {
			used++
			one.blob = make([]byte, 0, 128*(1+len(readings)/q.c.Partitions))
		}
		var err error
		if one.blob, err = appendRecord(one.blob, r); err != nil {
			return nil, err
		}
		one.readings++
		if r.MeasuredAt.IsZero() {
			one.timeless = append(one.timeless, string(key), r.MessageID)
		}
	}
	t.left.Store(used)
	for l := range q.lanes {
		q.lanes[l].put(q, t, items)
	}
	return t, nil
}

// partitionKey is what decides on a reading's partition.
func partitionKey(r *registry.AcceptedReading) registry.ID {
	if r.DeviceID == "" {
		return registry.ID(r.Reference) // no device: any partition will do, always the same
	}
	return r.DeviceID
}

func newGeneration() string { return rand.Text()[:12] }
