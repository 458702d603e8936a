package graph

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j/config"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

// Config says where the graph database is and how to use it.
type Config struct {
	// URI begins with bolt:// or neo4j:// (or their +s forms).
	URI      string
	Username string
	// Password may be empty where the database asks for none.
	Password string
	// Database is "neo4j" if empty.
	Database string
	Logger   zerolog.Logger
	// Metrics gets the latency of each query by name; nil for none.
	Metrics prometheus.Registerer
	// Clock is time.Now if nil.
	Clock func() time.Time
	// QueryTimeout bounds every transaction, 10 seconds if zero.
	QueryTimeout time.Duration
}

// The bounds of a store's use of the database.
const (
	defaultQueryTimeout = 10 * time.Second
	// connectTimeout is how long a caller waits for a connection, a new one or
	// one that another caller gives back.
	connectTimeout = 5 * time.Second
	// retryTime is how long a write is tried again after deadlocks and the like.
	retryTime = 5 * time.Second
	// slowQuery is logged.
	slowQuery = time.Second
)

// Store is the registry in a graph database. It is safe for concurrent use.
type Store struct {
	driver    neo4j.DriverWithContext
	database  string
	bookmarks neo4j.BookmarkManager
	timeout   time.Duration
	clock     func() time.Time
	log       zerolog.Logger
	latency   *prometheus.HistogramVec
	templates *templateCache
	names     *nameSet
	// hierarchies are what is held of accounts' groups and policies.
	hierarchies *hierarchies
	indexes     *indexSet
	// partitions is the number of partitions, which never changes; 0 until read.
	partitions *atomic.Int32
	// changes are those who follow the changes of accounts; changed is told of each
	// account that has one.
	changes *changeFeeds
	changed func(account registry.ID)
	// knownChanged is told of what sources of readings know and should not any more.
	knownChanged func(ids []registry.ID)
	// downlink is told of devices that there is something for.
	downlink func(account, device registry.ID)
	// expected is told of devices that were made and are to be heard of.
	expected func(devices []registry.Seen)
	// moveBuckets bounds the buckets that a turn of a link's move looks at, but for
	// those of one day.
	moveBuckets int
	// moveLater leaves moves to MoveLinks, as a kill would; set by tests only.
	moveLater bool
	// background is what goes on after a call has returned, until closing ends.
	background *sync.WaitGroup
	closing    context.Context //nolint:containedctx // the store's own life, not a request's
	stop       context.CancelFunc
}

// Open connects to the database and verifies that it answers. It does not
// migrate; see Migrate and CheckMigrated.
func Open(ctx context.Context, c Config) (*Store, error) {
	auth := neo4j.NoAuth()
	if c.Password != "" {
		auth = neo4j.BasicAuth(c.Username, c.Password, "")
	}
	driver, err := neo4j.NewDriverWithContext(c.URI, auth, func(d *config.Config) {
		d.ConnectionAcquisitionTimeout = connectTimeout
		d.SocketConnectTimeout = connectTimeout
		d.MaxTransactionRetryTime = retryTime
		d.TelemetryDisabled = true
		d.UserAgent = "holon"
	})
	if err != nil {
		return nil, fmt.Errorf("graph database address: %w", err)
	}
	s := &Store{
		driver: driver, database: c.Database, timeout: c.QueryTimeout, clock: c.Clock, log: c.Logger,
		templates: newTemplateCache(), names: newNameSet(), indexes: new(indexSet), hierarchies: newHierarchies(maxHierarchies), partitions: new(atomic.Int32), background: new(sync.WaitGroup), moveBuckets: usualMoveBuckets,
	}
	s.changes = &changeFeeds{feeds: map[registry.ID]*changeFeed{}}
	s.closing, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	if s.database == "" {
		s.database = "neo4j"
	}
	if s.timeout == 0 {
		s.timeout = defaultQueryTimeout
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	if strings.HasPrefix(c.URI, "neo4j") {
		// A cluster's members lag behind one another: a read waits for what was
		// written through this store.
		s.bookmarks = neo4j.NewBookmarkManager(neo4j.BookmarkManagerConfig{})
	}
	if s.latency, err = newLatency(c.Metrics); err != nil {
		return nil, errors.Join(err, driver.Close(ctx))
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, driver.Close(ctx))
	}
	return s, nil
}

// OnChange sets what is told of each account that a change of this store was
// committed in, so that it can tell other processes. It must not wait. Call it
// before the store is used.
func (s *Store) OnChange(told func(account registry.ID)) { s.changed = told }

// OnKnownChange sets what is told of each device and asset that a change of this
// store deleted, linked, unlinked or moved to another template, and of the account
// where templates changed: before the change is answered, and once it is committed.
// It must not wait. Call it before the store is used.
func (s *Store) OnKnownChange(told func(ids []registry.ID)) { s.knownChanged = told }

// Ping asks the database whether it answers, within a few seconds.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := s.driver.VerifyConnectivity(ctx); err != nil {
		return failure(err)
	}
	return nil
}

// Close ends what goes on in the background and gives all connections back.
func (s *Store) Close(ctx context.Context) error {
	s.stop()
	s.background.Wait()
	if err := s.driver.Close(ctx); err != nil {
		return fmt.Errorf("close graph database: %w", err)
	}
	return nil
}

// now is the time of a change, in the milliseconds that the API has.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Millisecond) }

func newLatency(metrics prometheus.Registerer) (*prometheus.HistogramVec, error) {
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "holon_graph_query_seconds",
		Help:    "Time that a query took in the graph database, its answer included.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
	}, []string{"query"})
	if metrics == nil {
		return latency, nil
	}
	if err := metrics.Register(latency); err != nil {
		return nil, fmt.Errorf("register graph metrics: %w", err)
	}
	return latency, nil
}
