package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
	"golang.org/x/sync/errgroup"
)

// rawAppend is the fastest plain Cypher that leaves the same behind, if its
// parameters are ready: measurements in known buckets, each only once, with
// roll-ups.
const rawAppend = `
	UNWIND $groups AS g
	MATCH (b) WHERE elementId(b) = g[0]
	WITH g, b, coalesce(b.hw, -1) AS hw
	SET b.hw = CASE WHEN g[1] > hw THEN g[1] ELSE hw END
	WITH g, b, hw UNWIND g[2] AS r
	WITH b, hw, r WHERE r[0] > hw OR NOT EXISTS { (b)-[:HAS_MEASUREMENT]->(x WHERE x.at = r[0]) }
	CREATE (b)-[:HAS_MEASUREMENT]->(m:Measurement {at: r[0], value: r[1]})
	WITH b, count(m) AS n, sum(m.value) AS s, min(m.value) AS lo, max(m.value) AS hi
	SET b.count = coalesce(b.count, 0) + n, b.sum = coalesce(b.sum, 0.0) + s,
		b.min = CASE WHEN b.min < lo THEN b.min ELSE lo END, b.max = CASE WHEN b.max > hi THEN b.max ELSE hi END
	RETURN sum(n) AS n`

const rawBuckets = `
	UNWIND range(1, $n) AS i
	CREATE (:Series)-[:HAS_BUCKET]->(b:Bucket {account: $account, from: 0})
	RETURN collect(elementId(b)) AS buckets`

// sessions is how many the raw form and Append use: as many as do any good.
const sessions = 2

// workerBurst is how many readings of a device a worker finds together when the
// queue is full: the raw form is also measured with batches like that.
const workerBurst = 32

// addRaw adds the raw form, in sessions that have devices of their own.
func (r *runner) addRaw(ctx context.Context, burst, batch int) error {
	// A bucket for each measure of each device, apart from those of the pipeline.
	made, err := r.rows(ctx, rawBuckets, map[string]any{"n": r.Values * r.ReadingDevices, "account": string(r.Scope.Account)})
	if err != nil {
		return fmt.Errorf("make buckets: %w", err)
	}
	elements, _ := made[0].([]any)
	buckets := map[*device][]any{}
	for i, d := range r.fleet.devices[:r.ReadingDevices] {
		buckets[d] = elements[r.Values*i : r.Values*(i+1)]
	}
	name := Raw
	if burst == workerBurst {
		name = rawWide
	}
	sources := r.sources(sessions, burst)
	r.cells = append(r.cells, &cell{part: name, burst: burst, run: func(ctx context.Context) (sample, error) {
		batches := make([][][]any, sessions)
		for i, s := range sources {
			for left := r.Readings / sessions; left > 0; left -= batch {
				batches[i] = append(batches[i], rawGroups(s.take(min(left, batch)), buckets))
			}
		}
		return r.race(ctx, sessions, func(ctx context.Context, i int, lap func(time.Time)) error {
			for _, groups := range batches[i] {
				began := time.Now()
				got, err := r.rows(ctx, rawAppend, map[string]any{"groups": groups})
				if err != nil {
					return err
				}
				if n := valuesIn(groups); got[0] != n {
					return fmt.Errorf("stored %v of %d values", got[0], n)
				}
				lap(began)
			}
			return nil
		})
	}})
	return nil
}

// rawGroups makes the parameters of a batch: by bucket, as the readings come.
func rawGroups(readings []reading, buckets map[*device][]any) []any {
	var groups []any
	for first := 0; first < len(readings); {
		d, next := readings[first].device, first
		for next < len(readings) && readings[next].device == d {
			next++
		}
		for m := range readings[first].values {
			rows := make([]any, 0, next-first)
			for _, one := range readings[first:next] {
				rows = append(rows, []any{one.at.UnixMilli(), one.values[m]})
			}
			groups = append(groups, []any{buckets[d][m], readings[next-1].at.UnixMilli(), rows})
		}
		first = next
	}
	return groups
}

func valuesIn(groups []any) (n int64) {
	for _, g := range groups {
		n += int64(len(g.([]any)[2].([]any)))
	}
	return n
}

// race runs n goroutines and measures the time until all have ended. Each tells
// when a request began, once it has been answered.
func (r *runner) race(ctx context.Context, n int, work func(ctx context.Context, i int, lap func(began time.Time)) error) (sample, error) {
	group, ctx := errgroup.WithContext(ctx)
	took := make([][]time.Duration, n)
	before, began := r.used(nil), time.Now()
	for i := range n {
		group.Go(func() error {
			return work(ctx, i, func(began time.Time) { took[i] = append(took[i], time.Since(began)) })
		})
	}
	err := group.Wait()
	s := sample{took: time.Since(began), processor: r.used(before)}
	for _, some := range took {
		s.requests = append(s.requests, some...)
	}
	return s, err
}

// rows runs plain Cypher and returns the first column.
func (r *runner) rows(ctx context.Context, cypher string, params map[string]any) ([]any, error) {
	session := r.driver.NewSession(ctx, neo4j.SessionConfig{DatabaseName: r.Database, FetchSize: neo4j.FetchAll})
	defer session.Close(ctx)
	result, err := session.Run(ctx, cypher, params)
	if err != nil {
		return nil, err
	}
	var values []any
	for result.Next(ctx) {
		values = append(values, result.Record().Values[0])
	}
	return values, result.Err()
}
