package twin

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/internal/redisconn"
	"github.com/holon-registry/holon/registry"
)

// Config says where the live state is. Zero values take the defaults.
type Config struct {
	// URL of the Redis; see package redisconn.
	URL string
	// Prefix begins every key: "holon" by default.
	Prefix string
	// FeedBytes is about how much of an account's changes is kept for those who
	// resume: 32 MiB by default. FeedFor is how long after the last change: 24 h.
	FeedBytes int
	FeedFor   time.Duration
	// Buffer is how many changes a subscriber may be behind before it is cut
	// off: 10,000 by default.
	Buffer int
	// Timeout bounds one call to Redis: 2 s by default.
	Timeout time.Duration
	// Clock is time.Now if nil.
	Clock  func() time.Time
	Logger zerolog.Logger
	// Metrics may be nil.
	Metrics prometheus.Registerer
}

// Store is the live state and the feed in Redis. It is safe for concurrent use.
type Store struct {
	c      Config
	client redis.UniversalClient
	// followers has the connections that wait for changes, one for each account
	// that is followed: they must not use up those that everybody needs.
	followers redis.UniversalClient
	calls     *prometheus.HistogramVec
	// downUntil is when Redis is asked again after it did not answer, as Unix
	// nanoseconds: without it every request would wait for the timeout.
	downUntil atomic.Int64

	mu     sync.Mutex
	feeds  map[registry.ID]*feed
	closed bool
}

// maxFollowed bounds the accounts that one process follows at a time.
const maxFollowed = 10_000

// Open makes a store. Redis need not be there yet: the live state is a cache.
func Open(c Config) (*Store, error) {
	if c.Prefix == "" {
		c.Prefix = "holon"
	}
	if c.FeedBytes == 0 {
		c.FeedBytes = 32 << 20
	}
	if c.FeedFor == 0 {
		c.FeedFor = 24 * time.Hour
	}
	if c.Buffer == 0 {
		c.Buffer = 10_000
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	client, err := redisconn.Open(c.URL, redisconn.Settings{Timeout: c.Timeout, Retries: 1})
	if err != nil {
		return nil, err
	}
	followers, err := redisconn.Open(c.URL, redisconn.Settings{Timeout: c.Timeout, Connections: maxFollowed})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	calls := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "holon_live_seconds", Help: "Time of one round trip to the live-state store.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 15)}, []string{"operation", "result"})
	if c.Metrics != nil {
		if err := c.Metrics.Register(calls); err != nil {
			return nil, errors.Join(fmt.Errorf("live-state metrics: %w", err), client.Close(), followers.Close())
		}
	}
	return &Store{c: c, client: client, followers: followers, calls: calls, feeds: map[registry.ID]*feed{}}, nil
}

// Close ends every subscription and the connections. Doing so again does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	var readers []*feed
	for _, f := range s.feeds {
		readers = append(readers, f)
	}
	s.mu.Unlock()
	for _, f := range readers {
		f.end(registry.Unavailable("change feed", nil))
	}
	return errors.Join(s.client.Close(), s.followers.Close())
}

func (s *Store) now() time.Time { return s.c.Clock() }

// Ping says whether Redis answers.
func (s *Store) Ping(ctx context.Context) error {
	return s.call(ctx, "ping", func() error { return s.client.Ping(ctx).Err() })
}

// call makes one round trip, counts it and names its error.
func (s *Store) call(ctx context.Context, operation string, do func() error) error {
	registry.CountCache(ctx)
	start := time.Now()
	err := do()
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	result := "ok"
	if err != nil {
		result = "failed"
	}
	s.calls.WithLabelValues(operation, result).Observe(time.Since(start).Seconds())
	if err != nil {
		return registry.Unavailable("live-state store", fmt.Errorf("%s: %w", operation, err))
	}
	return nil
}

// rest is how long a Redis that did not answer is left alone by readers.
const rest = time.Second

// resting says whether readers should do without Redis for now.
func (s *Store) resting() bool { return time.Now().UnixNano() < s.downUntil.Load() }
