package graph

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/unit"
)

// What a counter counted and how long a value held can be told of one source
// only, since it is about what follows on what. So a group's members are gone
// through one by one, and added up.

// aggregateCarried reads the last number of some series before a time, of the
// last day that has one: from roll-ups and slots, or one by one in a bucket that
// lies across that time, which the aggregation itself has to look into.
var aggregateCarried = named("aggregate.carried", `
		UNWIND $series AS id
		MATCH (s:Series {id: id})<-[:HAS_SERIES]-(t:Entity)
		WHERE t.account = $account AND s.type = 'NUMBER'
		CALL (s) {
			MATCH (s)-[h:HAS_BUCKET]->(b:Bucket) USING INDEX SEEK h:HAS_BUCKET(series, day)
			WHERE h.series = s.id AND h.day < $from AND b.first < $from
			RETURN h.day AS day ORDER BY h.series DESC, h.day DESC LIMIT 1
		}
		CALL (s, day) {
			MATCH (s)-[h:HAS_BUCKET]->(b:Bucket) USING INDEX SEEK h:HAS_BUCKET(series, day)
			WHERE h.series = s.id AND h.day = day AND b.first < $from
			WITH b, coalesce(b.unit, s.unit, '') AS unit, CASE
				WHEN b.rawUntil IS NOT NULL OR $slots AND b.slotStarts IS NOT NULL AND NOT b:Unsealed AND b.last >= $from THEN 'slots'
				WHEN b.last < $from THEN 'whole'
				ELSE 'raw' END AS way
			CALL (b, way) {
				WITH b WHERE way = 'whole'
				RETURN b.last AS at, b.lastValue AS value
			UNION ALL
				WITH b WHERE way = 'slots'
				UNWIND range(0, size(b.slotLastAts) - 1) AS i
				WITH b, i WHERE b.slotLastAts[i] < $from
				RETURN b.slotLastAts[i] AS at, b.slotLasts[i] AS value
			UNION ALL
				WITH b WHERE way = 'raw'
				MATCH (b)-[:HAS_MEASUREMENT]->(m)
				WHERE m.at < $from AND m.value IS :: FLOAT NOT NULL
				RETURN m.at AS at, m.value AS value
			}
			RETURN unit, at, value ORDER BY at DESC LIMIT 1
		}
		RETURN id, unit, value`)

// bySource takes apart what was read.
func (a *aggregated) bySource() map[string]*aggregated {
	out := map[string]*aggregated{}
	of := func(source string) *aggregated {
		if out[source] == nil {
			out[source] = &aggregated{}
		}
		return out[source]
	}
	for _, c := range a.cells {
		one := of(c.source)
		one.cells = append(one.cells, c)
	}
	for _, list := range a.lists {
		one := of(list.source)
		one.lists = append(one.lists, list)
	}
	return out
}

// carriedInto is the last number of each source before an aggregation, in the
// unit that it is told in.
func (s *Store) carriedInto(ctx context.Context, scope registry.Scope, a *registry.Aggregation, sources map[string]*aggregated, units []string) (map[string]carried, error) {
	type last struct {
		id, unit string
		value    any
	}
	found, err := all(ctx, s.reading(scope), aggregateCarried, params{
		"series": slices.Collect(maps.Keys(sources)), "from": a.From.UnixMilli(), "slots": a.From.UnixMilli()%quarter == 0,
	}, func(f fields) last { return last{f.text("id"), f.text("unit"), valueOf("", f.value("value"))} })
	if err != nil {
		return nil, err
	}
	in := a.Unit
	if in == "" && len(units) > 0 {
		in = slices.Max(units) // there is one at most, beside none
	}
	out := make(map[string]carried, len(found))
	for _, one := range found {
		by, err := unit.Convert(one.unit, in)
		if err != nil || (one.unit == "") != (in == "") {
			continue // it was measured in something else before
		}
		if number, ok := one.value.(float64); ok {
			out[one.id] = carried{by.Apply(number), true}
		}
	}
	return out, nil
}

// sumPoints is what sources come to in each interval: the sum of what they
// counted, or the mean of what they had, each for as long as that is known.
func sumPoints(ctx context.Context, a *registry.Aggregation, edges []int64, sources map[string]*aggregated, before map[string]carried, now int64) ([]*registry.AggregatePoint, error) {
	type sum struct {
		n, held, sources   int64
		area, means, grown float64
	}
	sums := make([]sum, len(edges)-1)
	for _, id := range slices.Sorted(maps.Keys(sources)) { // so that the sums are the same each time
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		last := before[id]
		intervals := sources[id].intervals(edges)
		for _, i := range slices.Sorted(maps.Keys(intervals)) {
			one, to := intervals[i], &sums[i]
			low, high := bounds(a, edges, i)
			mean, held := one.timeWeighted(last, low, min(high, max(now, one.lastAt)))
			to.n, to.held, to.sources = to.n+one.n, to.held+held, to.sources+1
			to.area, to.means, to.grown = to.area+mean*float64(held), to.means+mean, to.grown+one.increased(last)
			if number, ok := one.last.(float64); ok {
				last = carried{number, true}
			}
		}
	}
	out := make([]*registry.AggregatePoint, 0, len(sums))
	for i, one := range sums {
		if one.n == 0 && !a.Fill {
			continue
		}
		low, high := bounds(a, edges, i)
		p := &registry.AggregatePoint{From: time.UnixMilli(low).UTC(), To: time.UnixMilli(high).UTC(), Count: int(one.n)}
		switch {
		case one.n == 0:
		case a.Function == registry.AggregateIncrease:
			p.Value = one.grown
		case one.held > 0:
			p.Value = one.area / float64(one.held)
		default:
			p.Value = one.means / float64(one.sources)
		}
		out = append(out, p)
	}
	return out, nil
}
