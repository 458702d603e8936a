package graph

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/holon-registry/holon/registry"
)

// maxAggregated bounds how many single measurements are read where roll-ups do
// not do: about a second's work.
const maxAggregated = 1_000_000

// The three ways in which a bucket answers, the cheapest first:
//
//	slots   what its quarters of an hour were reduced to, once it is sealed and
//	        if the intervals are made of whole quarters
//	whole   its roll-up, if all that it holds lies in one interval; while it is
//	        open it does not say which was its last value: its end stands for the
//	        time of that, and where the value matters this way is not taken
//	raw     what it holds, one by one
//
// A bucket whose measurements are gone has its slots only.
var (
	aggregateNumbers = named("aggregate.numbers", aggregateBuckets+aggregateSlots+aggregateSums)

	aggregateEnds = named("aggregate.ends", aggregateBuckets+aggregateSlots+`
			UNWIND raw AS b
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from AND m.at < $to
			WITH (m.at - $start) / $step AS slot, count(m) AS n, min([m.at, m.value]) AS first, max([m.at, m.value]) AS last
			RETURN collect([slot, n, first[0], first[1], last[0], last[1]]) AS reduced
		}
		RETURN types, work, reduced,
			[b IN sealed | [b.slotStarts, b.slotCounts, b.slotFirstAts, b.slotFirsts, b.slotLastAts, b.slotLasts]] AS slots,
			[b IN whole | [b.first, b.count, b.first, b.firstValue, b.last, b.lastValue]] AS rollUps`)

	aggregatePath = named("aggregate.path", aggregateBuckets+aggregateSlots+`
			UNWIND raw AS b
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from AND m.at < $to AND m.value IS :: FLOAT
			RETURN collect([m.at, m.value]) AS reduced
		}
		RETURN types, work, reduced, [] AS rollUps,
			[b IN sealed | [b.slotStarts, b.slotCounts, b.slotFirstAts, b.slotFirsts, b.slotLastAts, b.slotLasts, b.slotAreas, b.slotIncreases]] AS slots`)
)

const (
	aggregateBuckets = `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		MATCH (t)-[:HAS_SERIES]->(s:Series WHERE s.measure = $measure)
		OPTIONAL MATCH (s)-[:HAS_BUCKET]->(b:Bucket)
		WHERE b.from < $to AND b.to > $from`

	aggregateSlots = `
		WITH s.type AS type, b, CASE
			WHEN b IS NULL THEN 'none'
			WHEN b.rawUntil IS NOT NULL THEN 'slots'
			WHEN $slots AND b.slotStarts IS NOT NULL AND NOT b:Unsealed AND b.first >= $from AND b.slotLastAts[-1] < $to THEN 'slots'
			WHEN $whole AND b.first >= $from AND coalesce(b.last, b.to - 1) < $to AND ($open OR b.last IS NOT NULL)
				AND (b.first - $start) / $step = (coalesce(b.last, b.to - 1) - $start) / $step THEN 'whole'
			ELSE 'raw' END AS way
		WITH collect(DISTINCT type) AS types, collect(DISTINCT CASE WHEN way = 'slots' THEN b END) AS sealed,
			collect(DISTINCT CASE WHEN way = 'whole' THEN b END) AS whole, collect(DISTINCT CASE WHEN way = 'raw' THEN b END) AS raw
		WITH types, sealed, whole, raw, reduce(n = 0, b IN raw | n + b.count) AS work
		WITH types, sealed, whole, work, CASE WHEN work > $most THEN [] ELSE raw END AS raw
		CALL (raw) {`

	aggregateSums = `
			UNWIND raw AS b
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from AND m.at < $to AND m.value IS :: FLOAT
			WITH (m.at - $start) / $step AS slot, count(m) AS n, sum(m.value) AS total, min(m.value) AS low, max(m.value) AS high
			RETURN collect([slot, n, total, low, high]) AS reduced
		}
		RETURN types, work, reduced, [b IN sealed | [b.slotStarts, b.slotCounts, b.slotSums, b.slotMins, b.slotMaxs]] AS slots,
			[b IN whole | [b.first, b.count, b.sum, b.min, b.max]] AS rollUps`
)

// Aggregate reduces a twin's measure to one value for each interval, oldest
// first. Intervals without a measurement are left out unless they are asked
// for; the first and the last may be cut short by From and To. All functions
// but COUNT, FIRST and LAST take numbers only: INVALID for a measure that never
// had one. LIMIT_EXCEEDED beyond 10,000 intervals, or when too many single
// measurements would have to be read.
//
// A percentile is interpolated between the two nearest values (the definition
// of R's type 7 and of most spreadsheets). In a time-weighted mean a value holds
// until the next one comes. An increase takes a smaller value than the one
// before it for a counter that began again at nothing; both look back to the
// last value before the interval.
func (s *Store) Aggregate(ctx context.Context, scope registry.Scope, twin registry.ID, a registry.Aggregation) ([]*registry.AggregatePoint, error) {
	if a.Function == registry.AggregatePercentile && (a.Percentile < 0 || a.Percentile > 100 || math.IsNaN(a.Percentile)) {
		return nil, registry.InvalidField("percentile", "range", "a percentile lies between 0 and 100")
	}
	a.From, a.To = wholeMillis(a.From), wholeMillis(a.To)
	edges, err := a.Edges()
	if err != nil || len(edges) == 0 {
		return nil, err
	}
	found, err := s.readAggregate(ctx, scope, twin, &a, edges)
	if err != nil {
		return nil, fmt.Errorf("aggregate: %w", err)
	}
	switch {
	case found.work > maxAggregated:
		return nil, tooMuch(found.work)
	case a.Function.Numeric() && len(found.types) > 0 && !slices.Contains(found.types, string(registry.ValueNumber)):
		return nil, registry.InvalidField("function", "type", "%s takes numbers, and %s has none", a.Function, a.Measure)
	}
	intervals := found.intervals(edges)
	before := carried{}
	if a.Function == registry.AggregateTimeWeightedMean || a.Function == registry.AggregateIncrease {
		if before, err = s.lastNumber(ctx, scope, twin, a.Measure, a.From); err != nil {
			return nil, fmt.Errorf("aggregate: %w", err)
		}
	}
	return points(&a, edges, intervals, before, s.now().UnixMilli()), nil
}

func tooMuch(work int) error {
	return registry.LimitExceeded("%d measurements would have to be read one by one, at most %d can be: ask for a shorter time, or for longer intervals", work, maxAggregated)
}

// wholeMillis is the first whole millisecond that is not before a time, nor
// before 1970.
func wholeMillis(t time.Time) time.Time { return time.UnixMilli(max(ceilMillis(t), 0)) }

// aggregateParams are those of every aggregation.
func aggregateParams(id registry.ID, a *registry.Aggregation, edges []int64) params {
	return params{
		"id": string(id), "measure": a.Measure, "from": a.From.UnixMilli(), "to": a.To.UnixMilli(), "most": maxAggregated,
		"start": edges[0], "step": stride(edges), "slots": quarterly(edges), "whole": true, "open": true,
	}
}

// lastNumber is the last number before a moment, among the last hundred values.
func (s *Store) lastNumber(ctx context.Context, scope registry.Scope, twin registry.ID, measure string, before time.Time) (carried, error) {
	_, values, err := s.readMeasurements(ctx, scope, twin, measure, 0, before.UnixMilli(), 100, true)
	if err != nil {
		return carried{}, err
	}
	for _, v := range values {
		if number, ok := v.(float64); ok {
			return carried{number, true}, nil
		}
	}
	return carried{}, nil
}

// readAggregate reads what is there of a measure in the cheapest way.
func (s *Store) readAggregate(ctx context.Context, scope registry.Scope, twin registry.ID, a *registry.Aggregation, edges []int64) (aggregated, error) {
	p := aggregateParams(twin, a, edges)
	q, read := aggregateNumbers, readNumbers
	switch a.Function {
	case registry.AggregateCount, registry.AggregateFirst, registry.AggregateLast:
		q, read = aggregateEnds, readEnds
		p["open"] = false
	case registry.AggregatePercentile:
		q, read = aggregatePath, readPath
		p["slots"], p["whole"] = false, false
	case registry.AggregateTimeWeightedMean, registry.AggregateIncrease:
		q, read = aggregatePath, readPath
		p["whole"] = false
	}
	found, _, err := one(ctx, s.reading(scope), q, p, func(f fields) aggregated {
		out := aggregated{types: f.texts("types"), work: f.integer("work")}
		read(f, &out, span{a.From.UnixMilli(), a.To.UnixMilli(), edges[0], p["step"].(int64)})
		return out
	})
	if a.Function == registry.AggregatePercentile {
		found.cells = nil // what single measurements are gone of has no percentiles
	}
	return found, err
}

// stride is the longest step that all edges are apart by whole multiples of.
func stride(edges []int64) int64 {
	step := int64(0)
	for i := 1; i < len(edges); i++ {
		a, b := step, edges[i]-edges[i-1]
		for b != 0 {
			a, b = b, a%b
		}
		step = a
	}
	return step
}

func quarterly(edges []int64) bool {
	return !slices.ContainsFunc(edges, func(e int64) bool { return e%quarter != 0 })
}

// aggregated is what was read of a measure.
type aggregated struct {
	types []string
	// work is how many single measurements it took, or would have taken.
	work int
	// cells are in no order. Each lies in one interval, by the time of its first
	// value, which may be that of the stretch that it was reduced from.
	cells []cell
	// values are what had to be read one by one.
	values []timed
}

// interval is what lies between two edges.
type interval struct {
	cell
	values []timed
}

// intervals puts cells and values where they belong.
func (a *aggregated) intervals(edges []int64) []interval {
	out := make([]interval, len(edges)-1)
	place := func(at int64) *interval {
		i := sort.Search(len(out)-1, func(i int) bool { return edges[i+1] > at })
		return &out[i]
	}
	for _, v := range a.values {
		one := place(v.at)
		one.values = append(one.values, v)
	}
	cells := a.cells
	for i := range out {
		// A stretch of single values is as good as a slot once it is reduced.
		cells = append(cells, cellsOf(out[i].values, quarter)...)
	}
	slices.SortFunc(cells, func(x, y cell) int {
		switch {
		case x.firstAt < y.firstAt:
			return -1
		case x.firstAt > y.firstAt:
			return 1
		}
		return 0
	})
	for _, c := range cells {
		place(c.firstAt).join(c)
	}
	return out
}

// carried is the last value before an interval.
type carried struct {
	value float64
	known bool
}

func points(a *registry.Aggregation, edges []int64, intervals []interval, before carried, now int64) []*registry.AggregatePoint {
	out := make([]*registry.AggregatePoint, 0, len(intervals))
	for i := range intervals {
		one := &intervals[i]
		low, high := max(edges[i], a.From.UnixMilli()), min(edges[i+1], a.To.UnixMilli())
		if one.n == 0 && !a.Fill {
			continue
		}
		p := &registry.AggregatePoint{From: time.UnixMilli(low).UTC(), To: time.UnixMilli(high).UTC(), Count: int(one.n)}
		if one.n > 0 {
			p.Value = one.reduce(a, before, low, min(high, max(now, one.lastAt)))
			if last, ok := one.last.(float64); ok {
				before = carried{last, true}
			}
		}
		out = append(out, p)
	}
	return out
}

// reduce is what the interval from low to high comes to.
func (i *interval) reduce(a *registry.Aggregation, before carried, low, high int64) any {
	switch a.Function {
	case registry.AggregateCount:
		return float64(i.n)
	case registry.AggregateFirst:
		return i.first
	case registry.AggregateLast:
		return i.last
	case registry.AggregateMin:
		return i.low
	case registry.AggregateMax:
		return i.high
	case registry.AggregateSum:
		return i.sum
	case registry.AggregatePercentile:
		return percentile(i.values, a.Percentile)
	case registry.AggregateIncrease:
		if first, ok := i.first.(float64); ok && before.known {
			return i.increase + countedUp(before.value, first)
		}
		return i.increase
	case registry.AggregateTimeWeightedMean:
		return i.timeWeighted(before, low, high)
	}
	return i.sum / float64(i.n)
}

// timeWeighted is the mean over the part of the interval in which a value held.
func (i *interval) timeWeighted(before carried, low, high int64) float64 {
	last, _ := i.last.(float64)
	area, from := i.area+last*float64(high-i.lastAt), i.firstAt
	if before.known {
		area, from = area+before.value*float64(i.firstAt-low), low
	}
	if high <= from {
		return last
	}
	return area / float64(high-from)
}

// percentile interpolates between the two values around the rank: definition 7
// of Hyndman and Fan, Sample Quantiles in Statistical Packages, 1996.
func percentile(values []timed, p float64) float64 {
	numbers := make([]float64, 0, len(values))
	for _, v := range values {
		if number, ok := v.value.(float64); ok {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	rank := p / 100 * float64(len(numbers)-1)
	below := int(rank)
	if below+1 >= len(numbers) {
		return numbers[len(numbers)-1]
	}
	return numbers[below] + (rank-float64(below))*(numbers[below+1]-numbers[below])
}
