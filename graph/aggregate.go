package graph

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/unit"
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
// A bucket whose measurements are gone has its slots only; where these are days
// by now, they are left out of what is shorter.
var (
	aggregateNumbers = named("aggregate.numbers", aggregateBuckets+aggregateSlots+aggregateSums)

	aggregateEnds = named("aggregate.ends", aggregateBuckets+aggregateSlots+`
			UNWIND raw AS x
			WITH x.b AS b, x.unit AS unit
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from AND m.at < $to
			WITH (m.at - $start) / $step AS slot, unit, count(m) AS n, min([m.at, coalesce(m.value, properties(m))]) AS first, max([m.at, coalesce(m.value, properties(m))]) AS last
			RETURN collect([unit, slot, n, first[0], first[1], last[0], last[1], '']) AS reduced
		}
		RETURN template, types, units, work, reduced,
			[x IN sealed | [x.unit, x.b.slotStarts, x.b.slotCounts, x.b.slotFirstAts, x.b.slotFirsts, x.b.slotLastAts, x.b.slotLasts, x.kind]] AS slots,
			[x IN whole | [x.unit, x.b.first, x.b.count, x.b.first, x.b.firstValue, x.b.last, x.b.lastValue, x.kind]] AS rollUps`)

	aggregatePath = named("aggregate.path", aggregateBuckets+aggregateSlots+`
			UNWIND raw AS x
			WITH x.b AS b, x.unit AS unit
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from AND m.at < $to AND m.value IS :: FLOAT
			WITH unit, collect([m.at, m.value]) AS list
			RETURN collect([unit, list]) AS reduced
		}
		RETURN template, types, units, work, reduced, [] AS rollUps,
			[x IN sealed | [x.unit, x.b.slotStarts, x.b.slotCounts, x.b.slotFirstAts, x.b.slotFirsts, x.b.slotLastAts, x.b.slotLasts, x.b.slotAreas, x.b.slotIncreases]] AS slots`)
)

const (
	aggregateBuckets = `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		WITH t, [(t)-[:INSTANCE_OF]->(x:Template) | x.id][0] AS template
		MATCH (t)-[:HAS_SERIES]->(s:Series WHERE s.measure = $measure)
		WITH template, s, s.type AS type, coalesce(s.unit, '') AS its
		OPTIONAL` + bucketsWithin + `
		WITH template, type, b, coalesce(b.unit, its) AS unit`

	aggregateSlots = `
		WITH template, type, b, unit, CASE
			WHEN b IS NULL THEN 'none'
			WHEN b.slotLength IS NOT NULL AND NOT $days THEN 'none'
			WHEN b.rawUntil IS NOT NULL THEN 'slots'
			WHEN $slots AND b.slotStarts IS NOT NULL AND NOT b:Unsealed AND b.first >= $from AND b.slotLastAts[-1] < $to THEN 'slots'
			WHEN $whole AND b.first >= $from AND coalesce(b.last, b.to - 1) < $to AND ($open OR b.last IS NOT NULL)
				AND (b.first - $start) / $step = (coalesce(b.last, b.to - 1) - $start) / $step THEN 'whole'
			ELSE 'raw' END AS way
		WITH template, type, way, {b: b, unit: unit, kind: type} AS x, unit
		WITH template, collect(DISTINCT type) AS types, collect(DISTINCT unit) AS units, collect(CASE WHEN way = 'slots' THEN x END) AS sealed,
			collect(CASE WHEN way = 'whole' THEN x END) AS whole, collect(CASE WHEN way = 'raw' THEN x END) AS raw
		WITH template, types, units, sealed, whole, raw, reduce(n = 0, x IN raw | n + x.b.count) AS work
		WITH template, types, units, sealed, whole, work, CASE WHEN work > $most THEN [] ELSE raw END AS raw
		CALL (raw) {`

	aggregateSums = `
			UNWIND raw AS x
			WITH x.b AS b, x.unit AS unit
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from AND m.at < $to AND m.value IS :: FLOAT
			WITH (m.at - $start) / $step AS slot, unit, count(m) AS n, sum(m.value) AS total, min(m.value) AS low, max(m.value) AS high
			RETURN collect([unit, slot, n, total, low, high]) AS reduced
		}
		RETURN template, types, units, work, reduced, [x IN sealed | [x.unit, x.b.slotStarts, x.b.slotCounts, x.b.slotSums, x.b.slotMins, x.b.slotMaxs]] AS slots,
			[x IN whole | [x.unit, x.b.first, x.b.count, x.b.sum, x.b.min, x.b.max]] AS rollUps`
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
	convert, err := s.conversions(ctx, scope, found.template, a.Measure, a.Unit, found.units)
	if err != nil {
		return nil, fmt.Errorf("aggregate: %w", err)
	}
	found.convert(convert)
	intervals := found.intervals(edges)
	before := carried{}
	if a.Function == registry.AggregateTimeWeightedMean || a.Function == registry.AggregateIncrease {
		if before, err = s.lastNumber(ctx, scope, twin, &a); err != nil {
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
		"days": a.Calendar != "" || a.Every >= 24*time.Hour,
	}
}

// lastNumber is the last number before an aggregation, among the last hundred
// values; if these are gone, the last of the slots that are left.
func (s *Store) lastNumber(ctx context.Context, scope registry.Scope, twin registry.ID, a *registry.Aggregation) (carried, error) {
	read, err := s.readMeasurements(ctx, scope, measurementRequest{
		twin: twin, measure: a.Measure, high: a.From.UnixMilli(), limit: 100, backward: true, in: a.Unit,
	})
	if err != nil {
		return carried{}, err
	}
	for _, v := range read.value {
		if number, ok := v.(float64); ok {
			return carried{number, true}, nil
		}
	}
	return s.lastKept(ctx, scope, twin, a)
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
		out := aggregatedOf(f)
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

func aggregatedOf(f fields) aggregated {
	out := aggregated{types: f.texts("types"), units: f.texts("units"), work: f.integer("work")}
	if template := f.value("template"); template != nil {
		out.template = f.id("template")
	}
	return out
}

// aggregated is what was read of a measure.
type aggregated struct {
	template registry.ID
	types    []string
	// units are those that values are in.
	units []string
	// work is how many single measurements it took, or would have taken.
	work int
	// cells are in no order. Each lies in one interval, by the time of its first
	// value, which may be that of the stretch that it was reduced from.
	cells []cell
	// values are what had to be read one by one, first by unit.
	values []timed
	byUnit map[string][]timed
}

// convert turns everything into one unit.
func (a *aggregated) convert(into map[string]unit.Conversion) {
	for i := range a.cells {
		a.cells[i].convert(into[a.cells[i].unit])
	}
	for of, values := range a.byUnit {
		for i := range values {
			values[i].value = inUnit(into[of], values[i].value)
		}
		a.values = append(a.values, values...)
	}
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
		at := c.firstAt
		if c.slot != nil {
			at = *c.slot
		}
		place(at).join(c)
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

// timeWeighted is the mean over the part of the interval in which a value held;
// of slots that lie across an end of it, over all of them.
func (i *interval) timeWeighted(before carried, low, high int64) float64 {
	low, high = min(low, i.firstAt), max(high, i.lastAt)
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
