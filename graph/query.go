package graph

import (
	"context"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/registry"
)

// query is a named Cypher statement.
type query struct{ name, text string }

// queries lists every named query, so that a test can explain them all, and
// inMaps has their texts as they are sent. Neither changes any more once the
// package is there.
var (
	queries []query
	inMaps  = map[string]string{}
)

// named makes a query and puts it on the list. Names are noun.verb.
func named(name, text string) query {
	q := query{name, text}
	queries = append(queries, q)
	inMaps[text] = inMap(text)
	return q
}

// sent is the text as it is sent.
func (q query) sent() string {
	if text, known := inMaps[q.text]; known {
		return text
	}
	return inMap(q.text)
}

// params are the values of a query. $account and $actor are filled in from the
// scope.
type params map[string]any

// runner runs queries: on their own, or inside a transaction.
type runner interface {
	run(ctx context.Context, q query, p params) ([]*neo4j.Record, error)
}

// all returns every row of an answer.
func all[T any](ctx context.Context, r runner, q query, p params, of func(fields) T) ([]T, error) {
	records, err := r.run(ctx, q, p)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(records))
	for i, record := range records {
		if out[i], err = decoded(q.name, record, of); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// one returns the only row of an answer; false if there is none.
func one[T any](ctx context.Context, r runner, q query, p params, of func(fields) T) (T, bool, error) {
	rows, err := all(ctx, r, q, p, of)
	if err != nil || len(rows) == 0 {
		var none T
		return none, false, err
	}
	return rows[0], true, nil
}

// nothing runs a query whose answer does not matter.
func nothing(ctx context.Context, r runner, q query, p params) error {
	_, err := r.run(ctx, q, p)
	return err
}

// single runs each query as a transaction of its own, in one round trip.
type single struct {
	store *Store
	scope registry.Scope
	mode  neo4j.AccessMode
}

// reading runs queries that only read.
func (s *Store) reading(scope registry.Scope) single { return single{s, scope, neo4j.AccessModeRead} }

// writing runs a query that writes all that it has to in one statement.
func (s *Store) writing(scope registry.Scope) single { return single{s, scope, neo4j.AccessModeWrite} }

// maxAttempts is how often a statement is run in all when what failed is known
// to have changed nothing.
const maxAttempts = 4

func (r single) run(ctx context.Context, q query, p params) ([]*neo4j.Record, error) {
	for attempt := 1; ; attempt++ {
		records, err := r.once(ctx, q, p)
		if err == nil {
			return records, nil
		}
		if attempt == maxAttempts || !r.again(err) || !pause(ctx, attempt) {
			return nil, failure(err)
		}
	}
}

// again says whether a failed statement may be run again. Reads may after a
// lost connection too, for instance one that went stale in the pool; a write
// may then have been committed.
func (r single) again(err error) bool {
	if neo4j.IsConnectivityError(err) {
		return r.mode == neo4j.AccessModeRead
	}
	return neo4j.IsRetryable(err) || isVanished(err)
}

func (r single) once(ctx context.Context, q query, p params) ([]*neo4j.Record, error) {
	s := r.store
	session := s.session(ctx, r.mode)
	defer session.Close(ctx)
	defer s.observe(ctx, q.name, time.Now())
	result, err := session.Run(ctx, q.sent(), withScope(p, r.scope), s.transactionConfig(q.name)...)
	if err != nil {
		return nil, err
	}
	return result.Collect(ctx)
}

// transaction is a managed write transaction.
type transaction struct {
	store *Store
	scope registry.Scope
	tx    neo4j.ManagedTransaction
	// journal is that of the account, in a change.
	journal
	// failed is the driver's own error, by which the driver decides whether the
	// transaction may run again.
	failed error
}

func (t *transaction) run(ctx context.Context, q query, p params) ([]*neo4j.Record, error) {
	defer t.store.observe(ctx, q.name, time.Now())
	result, err := t.tx.Run(ctx, q.sent(), withScope(p, t.scope))
	if err == nil {
		var records []*neo4j.Record
		if records, err = result.Collect(ctx); err == nil {
			return records, nil
		}
	}
	t.failed = err
	return nil, failure(err)
}

// write runs work in one managed write transaction. Work may run again after a
// deadlock, so it has no side effects and sets what it returns anew each time.
// An error of work undoes everything.
func write(ctx context.Context, s *Store, scope registry.Scope, name string, work func(ctx context.Context, tx *transaction) error) error {
	for attempt := 1; ; attempt++ {
		raw, err := writeOnce(ctx, s, scope, name, work)
		if err == nil {
			return nil
		}
		// What was matched a moment ago is gone: the next run finds out properly.
		if !isVanished(raw) && !isVanished(err) {
			return err
		}
		if attempt == maxAttempts || !pause(ctx, attempt) {
			return movingGround(err)
		}
	}
}

func writeOnce(ctx context.Context, s *Store, scope registry.Scope, name string, work func(ctx context.Context, tx *transaction) error) (raw, err error) {
	session := s.session(ctx, neo4j.AccessModeWrite)
	defer session.Close(ctx)
	var refused error
	_, raw = session.ExecuteWrite(ctx, func(managed neo4j.ManagedTransaction) (any, error) {
		registry.CountGraph(ctx) // BEGIN
		tx := &transaction{store: s, scope: scope, tx: managed}
		refused = work(ctx, tx)
		if tx.failed != nil {
			return nil, tx.failed
		}
		if refused == nil {
			registry.CountGraph(ctx) // COMMIT
		}
		return nil, refused
	}, s.transactionConfig(name)...)
	if raw != nil && refused != nil {
		return raw, refused
	}
	return raw, failure(raw)
}

func (s *Store) session(ctx context.Context, mode neo4j.AccessMode) neo4j.SessionWithContext {
	return s.driver.NewSession(ctx, neo4j.SessionConfig{
		AccessMode: mode, DatabaseName: s.database, FetchSize: neo4j.FetchAll, BookmarkManager: s.bookmarks,
	})
}

func (s *Store) transactionConfig(name string) []func(*neo4j.TransactionConfig) {
	return []func(*neo4j.TransactionConfig){
		neo4j.WithTxTimeout(s.timeout),
		neo4j.WithTxMetadata(map[string]any{"application": "holon", "query": name}),
	}
}

// observe counts a round trip and its time.
func (s *Store) observe(ctx context.Context, name string, began time.Time) {
	registry.CountGraph(ctx)
	took := time.Since(began)
	s.latency.WithLabelValues(name).Observe(took.Seconds())
	if took > slowQuery {
		s.log.Warn().Str("query", name).Dur("took", took).Msg("slow graph query")
	}
}

// withScope adds the scope's values to a copy of the parameters, which are sent
// as one map.
func withScope(p params, scope registry.Scope) map[string]any {
	out := make(map[string]any, len(p)+2)
	for name, value := range p {
		if at, ok := value.(time.Time); ok {
			// A zone that only this machine knows by its name is refused, and takes
			// the connection with it.
			value = at.UTC()
		}
		out[name] = value
	}
	if scope.Account != "" {
		out["account"] = string(scope.Account)
		out["actor"] = string(scope.Actor)
	}
	return map[string]any{theMap: out}
}

// pause waits a little longer after each attempt; false if the context ended.
func pause(ctx context.Context, attempt int) bool {
	return wait(ctx, time.Duration(attempt)*20*time.Millisecond)
}

// wait waits; false if the context ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
