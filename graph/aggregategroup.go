package graph

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/unit"
)

// A group's aggregation takes the buckets of all twins in its sub-tree, each
// once: however many ways lead to a twin, and if a device and the asset that it
// is linked to are both there. The sub-tree is walked once: for those who report,
// and for what they measured.
var (
	groupNumbers = named("aggregate.group", groupReporting+groupBuckets+aggregateWholes(ofNumbers)+aggregateSums+groupAnswer)
	groupEnds    = named("aggregate.groupEnds", groupReporting+groupBuckets+aggregateWholes(ofEnds)+aggregateFirsts+groupAnswer)
	groupPath    = named("aggregate.groupPath", groupReporting+groupBuckets+groupSources+aggregateWholes(ofNothing)+aggregateLists+groupAnswer)
)

const (
	groupReporting = groupTwins + `
		WITH collect(t) AS twins
		CALL (twins) {
			UNWIND twins AS t
			OPTIONAL MATCH (t)-[:HAS_SERIES]->(s:Series WHERE s.measure = $measure)
			WITH t, collect(s) AS series
			WITH t, series, any(s IN series WHERE EXISTS {
` + bucketsWithin + `
					AND (b.first >= $from AND coalesce(b.last, b.first) < $to OR b.rawUntil IS NOT NULL OR EXISTS { (b)-[:HAS_MEASUREMENT]->(m) WHERE m.at >= $from AND m.at < $to })
			}) AS reports
			WITH count(CASE WHEN reports THEN 1 END) AS reporting, count(CASE WHEN size(series) > 0 AND NOT reports THEN 1 END) AS silent,
				collect(CASE WHEN size(series) = 0 THEN t END) AS without
			CALL (without) {
				UNWIND without AS t
				MATCH (t)-[:INSTANCE_OF]->(template:Template)
				WITH template.id AS template, count(*) AS n
				RETURN collect(['', template, n]) AS templates
			}
			RETURN reporting, silent, templates
		}
		OPTIONAL CALL (twins) {`

	groupBuckets = `
			UNWIND twins AS t
			MATCH (t)-[:HAS_SERIES]->(s:Series WHERE s.measure = $measure)
			OPTIONAL` + bucketsOfDays + `
			WITH b, CASE WHEN b IS NULL THEN s.type END AS idle, max(s.type) AS type, max(coalesce(b.unit, s.unit, '')) AS unit, max(s.id) AS source
			WITH null AS template, b, type, unit, source`

	// What a device measured is its series', whoever else shows it: as long as it
	// lasts it has one source.
	groupSources = `
			WITH template, b, type, unit, coalesce(head([(b)<-[:HAS_BUCKET]-(own:Series)<-[:HAS_SERIES]-(:Device) | own.id]), source) AS source`

	groupAnswer = `
		}
		RETURN reporting, silent, templates, template, types, work, reduced, slots, rollUps`
)

const groupTwins = `
		MATCH (top:Entity {id: $id})
		WHERE top.account = $account AND top:Group
		WITH top.keyFold AS under, CASE top.keyFold WHEN '/' THEN '/' ELSE top.keyFold + '/' END AS below
		CALL (under, below) {
			MATCH (g:Group {account: $account, keyFold: under}) RETURN g
			UNION
			MATCH (g:Group) WHERE g.account = $account AND g.keyFold STARTS WITH below RETURN g
		}
		MATCH (g)<-[r:!WAS_RELATED]-(x:Device|Asset)
		WHERE r.inherits IS NULL
		WITH DISTINCT x
		MATCH (x)<-[:COMPONENT_OF|PART_OF*0..32]-(t:Device|Asset)
		WHERE $kind IS NULL OR $kind IN labels(t)
		WITH DISTINCT t`

// AggregateGroup reduces a measure of all devices and assets in a group's
// sub-tree, or of one kind of them, to one value for each interval, as
// [Store.Aggregate] does for one. A measurement that a device and its asset share
// counts once. COUNT, MIN, MAX, SUM, MEAN, FIRST, LAST and PERCENTILE are over
// all of their measurements together; INCREASE is the sum of the members'
// increases, and in TIME_WEIGHTED_MEAN each counts for as long as its value is
// known, in the intervals in which it measured something.
func (s *Store) AggregateGroup(ctx context.Context, scope registry.Scope, group registry.ID, kind *registry.Kind, a registry.Aggregation) (*registry.GroupAggregate, error) {
	if err := checkPercentile(&a); err != nil {
		return nil, err
	}
	a.From, a.To = wholeMillis(a.From), wholeMillis(a.To)
	edges, err := a.Edges()
	if err != nil {
		return nil, err
	}
	out := &registry.GroupAggregate{Points: []*registry.AggregatePoint{}}
	if len(edges) == 0 {
		return out, nil
	}
	found, err := s.readGroup(ctx, scope, group, kind, &a, edges, out)
	if err != nil {
		return nil, fmt.Errorf("aggregate group: %w", err)
	}
	if err := found.refuse(&a); err != nil {
		return nil, err
	}
	convert, err := groupConversions(&a, found.units)
	if err != nil {
		return nil, err
	}
	found.convert(convert)
	if a.Function.LooksBack() {
		sources := found.bySource()
		before, err := s.carriedInto(ctx, scope, &a, sources, found.units)
		if err != nil {
			return nil, fmt.Errorf("aggregate group: %w", err)
		}
		out.Points, err = sumPoints(ctx, &a, edges, sources, before, s.now().UnixMilli())
		return out, err
	}
	out.Points = points(&a, edges, found.intervals(edges), carried{}, s.now().UnixMilli())
	return out, nil
}

// readGroup reads what is there of a measure in the cheapest way, and counts the
// members.
func (s *Store) readGroup(ctx context.Context, scope registry.Scope, group registry.ID, kind *registry.Kind, a *registry.Aggregation, edges []int64, out *registry.GroupAggregate) (aggregated, error) {
	p := aggregateParams(group, a, edges)
	p["kind"] = nil
	if kind != nil {
		p["kind"] = label(*kind)
	}
	without := map[registry.ID]int{}
	found, _, err := one(ctx, s.reading(scope), aggregateWays[wayOf(a.Function)].ofGroup, p, func(f fields) (found aggregated) {
		out.Reporting, out.Stale = f.integer("reporting"), f.integer("silent")
		for _, r := range rows(f, "templates", 2) {
			without[registry.ID(r.text(0))] = int(r.integer(1))
		}
		if f.value("work") != nil { // some have the measure
			found = aggregatedOf(f, a, p)
		}
		return found
	})
	if err != nil {
		return found, err
	}
	out.Missing, err = s.countMissing(ctx, scope, a.Measure, without)
	return found, err
}

// groupConversions turns the units of members into the one that is asked for;
// without one, they must agree.
func groupConversions(a *registry.Aggregation, from []string) (map[string]unit.Conversion, error) {
	out := make(map[string]unit.Conversion, len(from))
	known := slices.DeleteFunc(slices.Clone(from), func(code string) bool { return code == "" })
	slices.Sort(known)
	if a.Unit == "" && len(known) > 1 && a.Function != registry.AggregateCount {
		return nil, registry.InvalidField("unit", "required", "%s is measured in %s: say which unit to convert to", a.Measure, strings.Join(known, " and in "))
	}
	for _, code := range from {
		c, err := unit.Convert(code, a.Unit)
		switch {
		case a.Unit != "" && code == "" && a.Function != registry.AggregateCount:
			return nil, registry.InvalidField("unit", "unit", "some members measure %s without a unit", a.Measure)
		case err != nil:
			return nil, registry.InvalidField("unit", "unit", "%s", err.Error())
		}
		out[code] = c
	}
	return out, nil
}

// countMissing counts the twins without a measure that their templates have; they
// are given by template.
func (s *Store) countMissing(ctx context.Context, scope registry.Scope, measure string, without map[registry.ID]int) (int, error) {
	templates, err := s.TemplatesByID(ctx, scope, slices.Collect(maps.Keys(without)))
	if err != nil {
		return 0, err
	}
	missing := 0
	for _, t := range templates {
		if t == nil {
			continue
		}
		if _, declared := t.Measure(measure); declared {
			missing += without[t.ID]
		}
	}
	return missing, nil
}
