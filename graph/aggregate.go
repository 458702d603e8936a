package graph

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/unit"
)

// maxAggregated bounds how many single measurements are read where roll-ups do
// not do: about a second's work, as are four times as many slots.
const maxAggregated = 1_000_000

// The three ways in which a bucket answers, the cheapest first:
//
//	whole   its roll-up, if all that it holds lies in one interval: one list once
//	        it is sealed. While it is open it does not say which was its last
//	        value: its end stands for the time of that, and where the value matters
//	        this way is not taken
//	slots   what its quarters of an hour were reduced to, once it is sealed and
//	        if the intervals are made of whole quarters
//	raw     what it holds, one by one
//
// A bucket whose measurements are gone has its slots only; where these are days
// by now, they are left out of what is shorter. Every property that is read of a
// bucket costs as much as to find it, so nothing else is asked of one whose list
// will do.
var (
	aggregateNumbers = named("aggregate.numbers", aggregateBuckets+aggregateWholes(ofNumbers)+aggregateSums)

	aggregateEnds = named("aggregate.ends", aggregateBuckets+aggregateWholes(ofEnds)+aggregateFirsts)

	aggregatePath = named("aggregate.path", aggregateBuckets+aggregateWholes(ofNothing)+aggregateLists)
)

const (
	aggregateBuckets = `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		WITH t, [(t)-[:INSTANCE_OF]->(x:Template) | x.id][0] AS template
		MATCH (t)-[:HAS_SERIES]->(s:Series WHERE s.measure = $measure)
		WITH template, s, s.type AS type, coalesce(s.unit, '') AS its
		OPTIONAL` + bucketsOfDays + `
		WITH template, type, b, coalesce(b.unit, its) AS unit, '' AS source`

	// What is told of a bucket b that answers as a whole, whose roll-up is r: when
	// it first and last had a value, how many, and for numbers their sum, the
	// smallest and the largest.
	ofNumbers = `[unit, r]`
	ofEnds    = `[unit, r, b.firstValue, b.lastValue, type]`
	ofNothing = `null`

	aggregateSums = `
			UNWIND raw AS x
			WITH x.b AS b, x.unit AS unit
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from AND m.at < $to AND m.value IS :: FLOAT NOT NULL
			WITH (m.at - $start) / $step AS slot, unit, count(m) AS n, sum(m.value) AS total, min(m.value) AS low, max(m.value) AS high
			RETURN collect([unit, slot, n, total, low, high]) AS reduced
		}
		RETURN template, types, work, rollUps, reduced, [x IN sealed | [x.unit, x.b.slotStarts, x.b.slotCounts, x.b.slotSums, x.b.slotMins, x.b.slotMaxs]] AS slots`

	aggregateFirsts = `
			UNWIND raw AS x
			WITH x.b AS b, x.unit AS unit
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from AND m.at < $to
			WITH (m.at - $start) / $step AS slot, unit, count(m) AS n, min([m.at, coalesce(m.value, properties(m))]) AS first, max([m.at, coalesce(m.value, properties(m))]) AS last
			RETURN collect([unit, slot, n, first[0], first[1], last[0], last[1], '']) AS reduced
		}
		RETURN template, types, work, rollUps, reduced,
			[x IN sealed | [x.unit, x.b.slotStarts, x.b.slotCounts, x.b.slotFirstAts, x.b.slotFirsts, x.b.slotLastAts, x.b.slotLasts, x.type]] AS slots`

	// What was measured by one source follows on each other, so it is told apart.
	aggregateLists = `
			UNWIND raw AS x
			WITH x.b AS b, x.unit AS unit, x.source AS source
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from AND m.at < $to AND m.value IS :: FLOAT NOT NULL
			WITH unit, source, collect([m.at, m.value]) AS list
			RETURN collect([unit, source, list]) AS reduced
		}
		RETURN template, types, work, rollUps, reduced,
			[x IN sealed | [x.unit, x.source, x.b.slotStarts, x.b.slotCounts, x.b.slotFirstAts, x.b.slotFirsts, x.b.slotLastAts, x.b.slotLasts, x.b.slotAreas, x.b.slotIncreases]] AS slots`
)

// aggregateWholes tells something of each bucket that answers as a whole, and
// sorts the others by how they answer.
func aggregateWholes(something string) string {
	return `
		WITH template, type, b, unit, source, CASE WHEN $whole AND NOT b:Unsealed THEN b.rollUp END AS r
		WITH template, type, b, unit, source, r, r[0] >= $from AND r[1] < $to AND toInteger((r[0] - $start) / $step) = toInteger((r[1] - $start) / $step)
			AND ($open OR b.last IS NOT NULL) AS whole
		WITH template, collect(DISTINCT type) AS types, collect(CASE WHEN whole THEN ` + something + ` END) AS rollUps,
			collect(CASE WHEN whole OR b IS NULL THEN null ELSE {b: b, unit: unit, type: type, source: source} END) AS others
		CALL (others) {
			UNWIND others AS x
			WITH x, x.b AS b, x.unit AS unit, x.type AS type
			WHERE b.from < $to AND b.to > $from AND ($days OR b.slotLength IS NULL)
			WITH x, b, unit, type, [b.first, coalesce(b.last, b.to - 1), b.count, b.sum, b.min, b.max] AS r
			WITH x, b, unit, type, r, CASE
				WHEN b.rawUntil IS NOT NULL THEN 'slots'
				WHEN $whole AND r[0] >= $from AND r[1] < $to AND ($open OR b.last IS NOT NULL) AND (r[0] - $start) / $step = (r[1] - $start) / $step THEN 'whole'
				WHEN $slots AND b.slotStarts IS NOT NULL AND NOT b:Unsealed AND r[0] >= $from AND b.slotLastAts[-1] < $to THEN 'slots'
				ELSE 'raw' END AS way
			WITH collect(CASE WHEN way = 'whole' THEN ` + something + ` END) AS whole, collect(CASE WHEN way = 'slots' THEN x END) AS sealed, collect(CASE WHEN way = 'raw' THEN x END) AS raw
			WITH whole, sealed, raw, reduce(n = 0, x IN raw | n + x.b.count) + reduce(n = 0, x IN sealed | n + size(x.b.slotStarts)) / 4 AS work
			RETURN whole, work, CASE WHEN work > $most THEN [] ELSE sealed END AS sealed, CASE WHEN work > $most THEN [] ELSE raw END AS raw
		}
		WITH template, types, work, rollUps + whole AS rollUps, sealed, raw
		CALL (raw) {`
}

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
	if err := checkPercentile(&a); err != nil {
		return nil, err
	}
	a.From, a.To = wholeMillis(a.From), wholeMillis(a.To)
	edges, err := a.Edges()
	if err != nil || len(edges) == 0 {
		return []*registry.AggregatePoint{}, err
	}
	found, err := s.readAggregate(ctx, scope, twin, &a, edges)
	if err != nil {
		return nil, fmt.Errorf("aggregate: %w", err)
	}
	if err := found.refuse(&a); err != nil {
		return nil, err
	}
	convert, err := s.conversions(ctx, scope, found.template, a.Measure, a.Unit, found.units)
	if err != nil {
		return nil, fmt.Errorf("aggregate: %w", err)
	}
	found.convert(convert)
	intervals := found.intervals(edges)
	before := carried{}
	if a.Function.LooksBack() {
		if before, err = s.lastNumber(ctx, scope, twin, &a); err != nil {
			return nil, fmt.Errorf("aggregate: %w", err)
		}
	}
	return points(&a, edges, intervals, before, s.now().UnixMilli()), nil
}

func checkPercentile(a *registry.Aggregation) error {
	if a.Function == registry.AggregatePercentile && (a.Percentile < 0 || a.Percentile > 100 || math.IsNaN(a.Percentile)) {
		return registry.InvalidField("percentile", "range", "a percentile lies between 0 and 100")
	}
	return nil
}

// refuse says why what was found cannot be reduced.
func (a *aggregated) refuse(by *registry.Aggregation) error {
	switch {
	case a.work > maxAggregated:
		return registry.LimitExceeded("this takes as long as to read %d measurements one by one, and at most %d can be read: ask for a shorter time, or for longer intervals", a.work, maxAggregated)
	case by.Function.Numeric() && len(a.types) > 0 && !slices.Contains(a.types, string(registry.ValueNumber)):
		return registry.InvalidField("function", "type", "%s takes numbers, and %s has none", by.Function, by.Measure)
	}
	return nil
}

// wholeMillis is the first whole millisecond that is not before a time, nor
// before 1970.
func wholeMillis(t time.Time) time.Time { return time.UnixMilli(max(ceilMillis(t), 0)) }

// aggregateParams are those of every aggregation.
func aggregateParams(id registry.ID, a *registry.Aggregation, edges []int64) params {
	return params{
		"id": string(id), "measure": a.Measure, "from": a.From.UnixMilli(), "to": a.To.UnixMilli(), "most": maxAggregated,
		"start": edges[0], "step": stride(edges), "days": a.Calendar != "" || a.Every >= 24*time.Hour,
		// Which roll-ups tell enough.
		"slots": quarterly(edges) && a.Function != registry.AggregatePercentile,
		"whole": wayOf(a.Function) != byPath, "open": a.Function != registry.AggregateLast,
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
	found, _, err := one(ctx, s.reading(scope), aggregateWays[wayOf(a.Function)].ofOne, p, func(f fields) aggregated { return aggregatedOf(f, a, p) })
	return found, err
}

// aggregateWay is what a function has to know of the measurements of a stretch of time.
type aggregateWay int

const (
	byNumbers aggregateWay = iota // how many, their sum, the smallest and the largest
	byEnds                        // how many, the first and the last
	byPath                        // how one follows on the other
)

// aggregateWays are the queries of each way.
var aggregateWays = [...]struct {
	ofOne, ofGroup query
	read           func(fields, *aggregated, span)
}{
	byNumbers: {aggregateNumbers, groupNumbers, readNumbers},
	byEnds:    {aggregateEnds, groupEnds, readEnds},
	byPath:    {aggregatePath, groupPath, readPath},
}

func wayOf(f registry.AggregateFunction) aggregateWay {
	switch f {
	case registry.AggregateCount, registry.AggregateFirst, registry.AggregateLast:
		return byEnds
	case registry.AggregatePercentile, registry.AggregateTimeWeightedMean, registry.AggregateIncrease:
		return byPath
	}
	return byNumbers
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

func aggregatedOf(f fields, a *registry.Aggregation, p params) aggregated {
	out := aggregated{types: f.texts("types"), work: f.integer("work")}
	if template := f.value("template"); template != nil {
		out.template = f.id("template")
	}
	aggregateWays[wayOf(a.Function)].read(f, &out, spanOf(a, p))
	if a.Function == registry.AggregatePercentile {
		out.cells = nil // what single measurements are gone of has no percentiles
	}
	for _, c := range out.cells {
		out.addUnit(c.unit)
	}
	for _, list := range out.lists {
		out.addUnit(list.unit)
	}
	return out
}

// aggregated is what was read of a measure.
type aggregated struct {
	template registry.ID
	types    []string
	// units are those that values are in.
	units []string
	// work is how many single measurements it took as long as, or would have taken.
	work int
	// cells are in no order. Each lies in one interval, by the time of its first
	// value, which may be that of the stretch that it was reduced from.
	cells []cell
	// lists are what had to be read one by one.
	lists []valueList
}

func (a *aggregated) addUnit(unit string) {
	if !slices.Contains(a.units, unit) {
		a.units = append(a.units, unit)
	}
}

// valueList is values of one source in one unit, in no order.
type valueList struct {
	unit, source string
	values       []timed
}

// convert turns everything into one unit.
func (a *aggregated) convert(into map[string]unit.Conversion) {
	for i := range a.cells {
		a.cells[i].convert(into[a.cells[i].unit])
	}
	for _, list := range a.lists {
		for i := range list.values {
			list.values[i].value = inUnit(into[list.unit], list.values[i].value)
		}
	}
}
