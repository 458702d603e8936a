package graph

import (
	"context"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

// An hour after a bucket has ended it is sealed: it gets lists with what each
// of its quarters of an hour was reduced to, so that long aggregations read a
// node for each bucket instead of all that it holds. Lists that were kept while
// writing would halve the speed of it. A bucket that gets late values is sealed
// again, an hour after the last of them.

const (
	// sealAfter is how long after its end, or after late values, a bucket is sealed.
	sealAfter = time.Hour
	// sealTurn is how often buckets are looked for when there were none.
	sealTurn = time.Minute
	// sealLease is longer than a transaction may take.
	sealLease = 2 * time.Minute
	// sealWork bounds the measurements that a transaction reads, but for one
	// bucket that has more.
	sealWork = 50_000
	// sealBuckets bounds the buckets of a transaction.
	sealBuckets = 500
)

var (
	sealDue = named("seal.due", `
		MATCH (b:Unsealed)
		WHERE b.sealAt < $now
		WITH b ORDER BY b.sealAt LIMIT $limit
		RETURN collect([elementId(b), b.count]) AS due`)

	// The property that comes and goes locks the bucket before it is read, so
	// that what is written to it now either is read or makes it unsealed again.
	sealRead = named("seal.read", `
		UNWIND $buckets AS id
		MATCH (b:Unsealed) WHERE elementId(b) = id
		SET b.sealing = true
		REMOVE b.sealing
		WITH b
		CALL (b) {
			OPTIONAL MATCH (b)-[:HAS_MEASUREMENT]->(m)
			RETURN collect(m) AS held
		}
		RETURN collect({bucket: elementId(b), at: [m IN held | m.at], value: [m IN held | coalesce(m.value, properties(m))]}) AS buckets`)

	sealWrite = named("seal.write", `
		UNWIND $rows AS r
		MATCH (b) WHERE elementId(b) = r[0]
		SET b += r[1]
		REMOVE b:Unsealed
		REMOVE b.sealAt`)
)

// SealBuckets seals buckets as long as the context lives. Any number of
// processes may run it: one at a time works.
func (s *Store) SealBuckets(ctx context.Context) error {
	return s.inTurns(ctx, "sealing", sealTurn, sealLease, func(ctx context.Context) (bool, error) {
		n, err := s.sealSome(ctx, s.now())
		return n > 0, err
	})
}

// sealSome seals buckets that are due, in one transaction, and says how many.
func (s *Store) sealSome(ctx context.Context, now time.Time) (int, error) {
	due, _, err := one(ctx, s.reading(registry.Scope{}), sealDue, params{"now": now.UnixMilli(), "limit": sealBuckets}, func(f fields) []any {
		var out []any
		work := int64(0)
		for _, item := range f.list("due") {
			pair, _ := item.([]any)
			if len(pair) != 2 {
				f.failed("a bucket is %v", item)
				return nil
			}
			n, _ := pair[1].(int64)
			if work += n; work > sealWork && len(out) > 0 {
				break
			}
			out = append(out, pair[0])
		}
		return out
	})
	if err != nil || len(due) == 0 {
		return 0, err
	}
	return s.seal(ctx, due)
}

// seal seals some buckets, by the database's ids.
func (s *Store) seal(ctx context.Context, buckets []any) (int, error) {
	sealed := 0
	err := write(ctx, s, registry.Scope{}, "seal", func(ctx context.Context, tx *transaction) error {
		rows, _, err := one(ctx, tx, sealRead, params{"buckets": buckets}, sealedRows)
		if err != nil {
			return err
		}
		sealed = len(rows)
		return nothing(ctx, tx, sealWrite, params{"rows": rows})
	})
	if err != nil {
		return 0, fmt.Errorf("seal buckets: %w", err)
	}
	return sealed, nil
}

// sealedRows are the lists of each bucket.
func sealedRows(f fields) []any {
	buckets := f.maps("buckets")
	rows := make([]any, 0, len(buckets))
	for _, b := range buckets {
		times, held := b.list("at"), b.list("value")
		if len(times) != len(held) {
			b.failed("%d times have %d values", len(times), len(held))
			return nil
		}
		values := make([]timed, len(times))
		for i := range times {
			at, ok := times[i].(int64)
			if !ok {
				b.failed("a time is a %T", times[i])
			}
			values[i] = timed{at, valueOf("", held[i])}
		}
		cells := cellsOf(values, quarter)
		lists := slotLists(cells, quarter)
		lists["rollUp"] = rollUpOf(cells)
		rows = append(rows, []any{b.text("bucket"), lists})
	}
	return rows
}

// rollUpOf is what a bucket comes to, in one list; nil if it holds nothing.
func rollUpOf(cells []cell) any {
	var all cell
	for _, c := range cells {
		all.join(c)
	}
	if all.n == 0 {
		return nil
	}
	list := []float64{rollUpFirst: float64(all.firstAt), rollUpLast: float64(all.lastAt), rollUpCount: float64(all.n)}
	if _, ok := all.first.(float64); ok {
		list = append(list, all.sum, all.low, all.high)
	}
	return list
}

// slotLists are the properties that a bucket keeps of its slots of a length: starts are
// milliseconds since 1970, areas value times milliseconds. Numbers have all of
// them; what else a list can hold has no sums.
func slotLists(cells []cell, length int64) map[string]any {
	starts, counts := make([]int64, len(cells)), make([]int64, len(cells))
	firstAts, lastAts := make([]int64, len(cells)), make([]int64, len(cells))
	for i, c := range cells {
		starts[i], counts[i], firstAts[i], lastAts[i] = c.firstAt-c.firstAt%length, c.n, c.firstAt, c.lastAt
	}
	lists := map[string]any{"slotStarts": starts, "slotCounts": counts, "slotFirstAts": firstAts, "slotLastAts": lastAts}
	if len(cells) == 0 {
		return lists
	}
	switch cells[0].first.(type) {
	case float64:
		numbers := func(of func(cell) float64) []float64 {
			list := make([]float64, len(cells))
			for i, c := range cells {
				list[i] = of(c)
			}
			return list
		}
		lists["slotFirsts"] = numbers(func(c cell) float64 { return c.first.(float64) })
		lists["slotLasts"] = numbers(func(c cell) float64 { return c.last.(float64) })
		lists["slotSums"] = numbers(func(c cell) float64 { return c.sum })
		lists["slotMins"] = numbers(func(c cell) float64 { return c.low })
		lists["slotMaxs"] = numbers(func(c cell) float64 { return c.high })
		lists["slotAreas"] = numbers(func(c cell) float64 { return c.area })
		lists["slotIncreases"] = numbers(func(c cell) float64 { return c.increase })
	case bool:
		lists["slotFirsts"], lists["slotLasts"] = endsAs[bool](cells)
	case string:
		lists["slotFirsts"], lists["slotLasts"] = endsAs[string](cells)
	case registry.Location, registry.Composite:
		// Places with and without altitude cannot be in one list.
		for i := range cells {
			cells[i].first, cells[i].last = jsonText(cells[i].first), jsonText(cells[i].last)
		}
		lists["slotFirsts"], lists["slotLasts"] = endsAs[string](cells)
	}
	return lists
}

func endsAs[T any](cells []cell) (firsts, lasts []T) {
	for _, c := range cells {
		first, _ := c.first.(T)
		last, _ := c.last.(T)
		firsts, lasts = append(firsts, first), append(lasts, last)
	}
	return firsts, lasts
}
