package graph

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/holon-registry/holon/registry"
)

// MaxSamples bounds what Samples returns at once.
const MaxSamples = 100_000

// A page reads only as many buckets as hold it: those up to a horizon before
// which, by the counts of the buckets that lie wholly in the interval, there is
// enough. Values come as two lists, since rows are ten times as slow.
var (
	measurementsAfter = named("measurement.after", `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		MATCH (t)-[:HAS_SERIES]->(s:Series WHERE s.measure = $measure)-[:HAS_BUCKET]->(b:Bucket)
		WHERE b.from < $to AND b.to > $from
		WITH b ORDER BY b.from
		WITH collect(b) AS buckets
		WITH buckets, reduce(enough = [0, $from], b IN buckets | CASE
			WHEN enough[0] >= $limit AND b.from >= enough[1] THEN enough
			ELSE [enough[0] + CASE WHEN b.from >= $from THEN b.count ELSE 0 END, CASE WHEN b.to > enough[1] THEN b.to ELSE enough[1] END] END)[1] AS horizon
		UNWIND buckets AS b
		WITH b, horizon WHERE b.from < horizon
		MATCH (b)-[:HAS_MEASUREMENT]->(m)
		WHERE m.at >= $from AND m.at < $to
		WITH m ORDER BY m.at LIMIT $limit
		RETURN collect(m.at) AS at, collect(m.value) AS value`)

	measurementsBefore = named("measurement.before", `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		MATCH (t)-[:HAS_SERIES]->(s:Series WHERE s.measure = $measure)-[:HAS_BUCKET]->(b:Bucket)
		WHERE b.from < $to AND b.to > $from
		WITH b ORDER BY b.to DESC
		WITH collect(b) AS buckets
		WITH buckets, reduce(enough = [0, $to], b IN buckets | CASE
			WHEN enough[0] >= $limit AND b.to <= enough[1] THEN enough
			ELSE [enough[0] + CASE WHEN b.to <= $to THEN b.count ELSE 0 END, CASE WHEN b.from < enough[1] THEN b.from ELSE enough[1] END] END)[1] AS horizon
		UNWIND buckets AS b
		WITH b, horizon WHERE b.to > horizon
		MATCH (b)-[:HAS_MEASUREMENT]->(m)
		WHERE m.at >= $from AND m.at < $to
		WITH m ORDER BY m.at DESC LIMIT $limit
		RETURN collect(m.at) AS at, collect(m.value) AS value`)
)

// Measurements returns a page of the single measurements of a twin's measure,
// oldest first, optionally only those from (included) and to (not included).
// The key of a cursor is the time in milliseconds since 1970, as decimal text.
func (s *Store) Measurements(ctx context.Context, scope registry.Scope, twin registry.ID, measure string, from, to *time.Time, page registry.PageRequest) (registry.Page[registry.Measurement], error) {
	low, high := int64(0), int64(math.MaxInt64)
	if from != nil {
		low = ceilMillis(*from)
	}
	if to != nil {
		high = ceilMillis(*to)
	}
	if page.Key != "" {
		at, err := strconv.ParseInt(page.Key, 10, 64)
		if err != nil {
			return registry.Page[registry.Measurement]{}, registry.InvalidField("cursor", "format", "%q is not a cursor of measurements", page.Key)
		}
		if page.Backward {
			high = min(high, at)
		} else {
			low = max(low, at+1)
		}
	}
	at, values, err := s.readMeasurements(ctx, scope, twin, measure, low, high, page.Size+1, page.Backward)
	if err != nil {
		return registry.Page[registry.Measurement]{}, fmt.Errorf("measurements: %w", err)
	}
	items := make([]registry.Measurement, len(at))
	for i := range at {
		items[i] = registry.Measurement{At: time.UnixMilli(at[i]).UTC(), Value: values[i]}
	}
	return cut(items, page), nil
}

// Samples returns up to limit measurements at once, oldest first, from
// (included) and to (not included), as two lists, and where to go on.
func (s *Store) Samples(ctx context.Context, scope registry.Scope, twin registry.ID, measure string, from, to time.Time, limit int) (*registry.Samples, error) {
	if limit < 1 || limit > MaxSamples {
		return nil, registry.InvalidField("limit", "range", "1 to %d samples can be read at once", MaxSamples)
	}
	at, values, err := s.readMeasurements(ctx, scope, twin, measure, ceilMillis(from), ceilMillis(to), limit+1, false)
	if err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	out := &registry.Samples{}
	if len(at) > limit {
		next := time.UnixMilli(at[limit]).UTC()
		out.NextFrom = &next
		at, values = at[:limit], values[:limit]
	}
	out.Value = values
	out.At = make([]time.Time, len(at))
	for i, millis := range at {
		out.At[i] = time.UnixMilli(millis).UTC()
	}
	return out, nil
}

// ceilMillis is the first whole millisecond that is not before a time.
func ceilMillis(t time.Time) int64 {
	millis := t.UnixMilli()
	if t.Sub(time.UnixMilli(millis)) > 0 {
		millis++
	}
	return millis
}

// readMeasurements reads up to limit measurements from low to before high: the
// first ones in order, or the last ones in reverse order.
func (s *Store) readMeasurements(ctx context.Context, scope registry.Scope, twin registry.ID, measure string, low, high int64, limit int, backward bool) (at []int64, values []any, err error) {
	if low >= high {
		return nil, nil, nil
	}
	q := measurementsAfter
	if backward {
		q = measurementsBefore
	}
	p := params{"id": string(twin), "measure": measure, "from": low, "to": high, "limit": limit}
	found, ok, err := one(ctx, s.reading(scope), q, p, sampled)
	if err != nil || !ok {
		return nil, nil, err
	}
	return found.at, found.value, nil
}

// sampledLists are two lists of the same length.
type sampledLists struct {
	at    []int64
	value []any
}

func sampled(f fields) sampledLists {
	times := f.list("at")
	l := sampledLists{at: make([]int64, len(times)), value: slices.Clone(f.list("value"))}
	if len(l.value) != len(l.at) {
		f.failed("%d times have %d values", len(l.at), len(l.value))
		return sampledLists{}
	}
	for i := range times {
		at, ok := times[i].(int64)
		if !ok {
			f.failed("a time is a %T", times[i])
		}
		l.at[i], l.value[i] = at, floated(l.value[i])
	}
	return l
}
