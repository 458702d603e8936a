package graph

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// The bounds of an aggregation.
const (
	maxIntervals = 10_000
	// maxRaw bounds how many single measurements are read where roll-ups do not
	// do: about a second's work.
	maxAggregated = 1_000_000
)

// A bucket whose measurements lie in one interval is answered by its roll-up;
// the others are read one by one, and reduced where they are. While a bucket is
// open it does not say which was its last value: its end stands for the time of
// that, and where the value matters it is read one by one.
var (
	aggregateNumbers = named("aggregate.numbers", aggregateBuckets+`
			UNWIND raw AS b
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from AND m.at < $to AND m.value IS :: FLOAT
			WITH m.at / $every AS slot, count(m) AS n, sum(m.value) AS total, min(m.value) AS low, max(m.value) AS high
			RETURN collect([slot, n, total, low, high]) AS slots`+aggregateReturn)

	aggregateEnds = named("aggregate.ends", aggregateBuckets+`
			UNWIND raw AS b
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from AND m.at < $to
			WITH m.at / $every AS slot, count(m) AS n, min([m.at, m.value]) AS first, max([m.at, m.value]) AS last
			RETURN collect([slot, n, first[0], first[1], last[0], last[1]]) AS slots`+aggregateReturn)
)

const (
	aggregateBuckets = `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		MATCH (t)-[:HAS_SERIES]->(s:Series WHERE s.measure = $measure)
		OPTIONAL MATCH (s)-[:HAS_BUCKET]->(b:Bucket)
		WHERE b.from < $to AND b.to > $from
		WITH s.type AS type, b, ($open OR b.last IS NOT NULL) AND b.first >= $from AND coalesce(b.last, b.to - 1) < $to
			AND b.first / $every = coalesce(b.last, b.to - 1) / $every AS isWhole
		WITH collect(DISTINCT type) AS types, collect(CASE WHEN isWhole THEN b END) AS whole, collect(CASE WHEN NOT isWhole THEN b END) AS raw
		WITH types, whole, raw, reduce(n = 0, b IN raw | n + b.count) AS work
		WITH types, whole, work, CASE WHEN work > $most THEN [] ELSE raw END AS raw
		CALL (raw) {`

	aggregateReturn = `
		}
		RETURN types, work, slots,
			[b IN whole | {first: b.first, firstValue: b.firstValue, last: b.last, lastValue: b.lastValue,
				count: b.count, sum: b.sum, min: b.min, max: b.max}] AS rollUps`
)

// aggregated is what was read of a measure.
type aggregated struct {
	types []string
	// work is how many single measurements it took, or would have taken.
	work  int
	slots map[int64]*slot
}

// slot is an interval.
type slot struct {
	n, numbers      int64
	sum, low, high  float64
	firstAt, lastAt int64
	first, last     any
}

// Aggregate reduces a twin's measure, from (included) to (not included), to one
// value for each interval, oldest first; intervals without a measurement are
// left out. Intervals count from 1970 UTC, so those of an hour begin on the
// hour; the first and the last may be cut short by from and to. MIN, MAX, SUM
// and MEAN take numbers only: INVALID for a measure that never had one.
// LIMIT_EXCEEDED beyond 10,000 intervals, or when too many single measurements
// would have to be read.
func (s *Store) Aggregate(ctx context.Context, scope registry.Scope, twin registry.ID, measure string, from, to time.Time, every time.Duration, f registry.AggregateFunction) ([]*registry.AggregatePoint, error) {
	step := every.Milliseconds()
	if step < 1 {
		return nil, registry.InvalidField("every", "range", "an interval takes at least a millisecond")
	}
	low, high := ceilMillis(from), ceilMillis(to)
	if low < 0 {
		low = 0
	}
	if low >= high {
		return nil, nil
	}
	if (high-1)/step-low/step >= maxIntervals {
		return nil, registry.LimitExceeded("at most %d intervals can be asked for at once", maxIntervals)
	}
	numbers := f != registry.AggregateCount && f != registry.AggregateFirst && f != registry.AggregateLast
	q, decoder := aggregateEnds, endsOf
	if numbers {
		q, decoder = aggregateNumbers, numbersOf
	}
	found, ok, err := one(ctx, s.reading(scope), q, params{
		"id": string(twin), "measure": measure, "from": low, "to": high, "every": step, "most": maxAggregated, "open": numbers,
	}, func(f fields) aggregated { return aggregatedOf(f, step, decoder) })
	switch {
	case err != nil:
		return nil, fmt.Errorf("aggregate: %w", err)
	case !ok || len(found.types) == 0:
		return nil, nil
	case found.work > maxAggregated:
		return nil, registry.LimitExceeded("%d measurements would have to be read one by one, at most %d can be: ask for a shorter time, or for longer intervals", found.work, maxAggregated)
	case numbers && !slices.Contains(found.types, string(registry.ValueNumber)):
		return nil, registry.InvalidField("function", "type", "%s takes numbers, and %s has none", f, measure)
	}
	return points(found, f, low, high, step), nil
}

func points(found aggregated, f registry.AggregateFunction, low, high, step int64) []*registry.AggregatePoint {
	keys := make([]int64, 0, len(found.slots))
	for key := range found.slots {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	out := make([]*registry.AggregatePoint, 0, len(keys))
	for _, key := range keys {
		one := found.slots[key]
		value, n := one.reduce(f)
		if n == 0 {
			continue
		}
		out = append(out, &registry.AggregatePoint{
			From: time.UnixMilli(max(key*step, low)).UTC(), To: time.UnixMilli(min((key+1)*step, high)).UTC(), Count: int(n), Value: value,
		})
	}
	return out
}

func (s *slot) reduce(f registry.AggregateFunction) (value any, n int64) {
	switch f {
	case registry.AggregateCount:
		return float64(s.n), s.n
	case registry.AggregateFirst:
		return s.first, s.n
	case registry.AggregateLast:
		return s.last, s.n
	case registry.AggregateMin:
		return s.low, s.numbers
	case registry.AggregateMax:
		return s.high, s.numbers
	case registry.AggregateSum:
		return s.sum, s.numbers
	}
	return s.sum / float64(max(s.numbers, 1)), s.numbers
}

func (s *slot) addNumbers(n int64, sum, low, high float64) {
	if s.numbers == 0 {
		s.low, s.high = low, high
	}
	s.numbers += n
	s.sum += sum
	s.low, s.high = min(s.low, low), max(s.high, high)
}

func (s *slot) addEnds(n, firstAt int64, first any, lastAt int64, last any) {
	if s.n == 0 || firstAt < s.firstAt {
		s.firstAt, s.first = firstAt, first
	}
	if s.n == 0 || lastAt > s.lastAt {
		s.lastAt, s.last = lastAt, last
	}
	s.n += n
}

// aggregatedOf reads roll-ups and what single measurements were reduced to.
func aggregatedOf(f fields, step int64, single func(f fields, one *slot, row []any)) aggregated {
	out := aggregated{types: f.texts("types"), work: f.integer("work"), slots: map[int64]*slot{}}
	at := func(key int64) *slot {
		if out.slots[key] == nil {
			out.slots[key] = &slot{}
		}
		return out.slots[key]
	}
	for _, b := range f.maps("rollUps") {
		n, first := required[int64](b, "count"), required[int64](b, "first")
		one := at(first / step)
		if sum := nullable[float64](b, "sum"); sum != nil {
			one.addNumbers(n, *sum, required[float64](b, "min"), required[float64](b, "max"))
		}
		if last := nullable[int64](b, "last"); last != nil {
			one.addEnds(n, first, floated(b.value("firstValue")), *last, floated(b.value("lastValue")))
		}
	}
	for _, row := range f.list("slots") {
		list, ok := row.([]any)
		if !ok || len(list) < 5 {
			f.failed("an interval is %v", row)
			continue
		}
		key, ok := list[0].(int64)
		if !ok {
			f.failed("an interval is %v", row)
			continue
		}
		single(f, at(key), list[1:])
	}
	return out
}

func numbersOf(f fields, one *slot, row []any) {
	n, ok1 := row[0].(int64)
	sum, ok2 := row[1].(float64)
	low, ok3 := row[2].(float64)
	high, ok4 := row[3].(float64)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		f.failed("an interval is %v", row)
		return
	}
	one.addNumbers(n, sum, low, high)
}

func endsOf(f fields, one *slot, row []any) {
	n, ok1 := row[0].(int64)
	firstAt, ok2 := row[1].(int64)
	lastAt, ok3 := row[3].(int64)
	if !ok1 || !ok2 || !ok3 {
		f.failed("an interval is %v", row)
		return
	}
	one.addEnds(n, firstAt, floated(row[2]), lastAt, floated(row[4]))
}
