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

// A page looks at the nearest buckets only, and reads those that hold it: up to
// a horizon before which, by the counts of the buckets that lie wholly in the
// interval, there is enough. Where the nearest were not all that there are, only
// what lies before their last day's edge was seen wholly. Values come as lists,
// since rows are ten times as slow.
var (
	measurementsAfter = named("measurement.after", measurementSeries+nearestAfter+measurementBuckets+`
		WITH template, seen, b, unit, kind ORDER BY b.from
		WITH template, min(seen) AS seen, collect({b: b, unit: unit, kind: kind}) AS buckets
		WITH template, seen, buckets, any(x IN buckets WHERE x.unit <> buckets[0].unit) AS mixed, reduce(enough = [0, $from], x IN buckets | CASE
			WHEN enough[0] >= $limit AND x.b.from >= enough[1] THEN enough
			ELSE [enough[0] + CASE WHEN x.b.from >= $from THEN x.b.count ELSE 0 END, CASE WHEN x.b.to > enough[1] THEN x.b.to ELSE enough[1] END] END)[1] AS horizon
		CALL (buckets, mixed, seen, horizon) {
			UNWIND buckets AS x
			WITH x.b AS b, x.unit AS unit, x.kind AS kind, mixed, seen, horizon
			WHERE b.from < horizon
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from AND m.at < seen
			WITH unit, kind, mixed, m ORDER BY m.at LIMIT $limit`+measurementLists)

	measurementsBefore = named("measurement.before", measurementSeries+nearestBefore+measurementBuckets+`
		WITH template, seen, b, unit, kind ORDER BY b.to DESC
		WITH template, max(seen) AS seen, collect({b: b, unit: unit, kind: kind}) AS buckets
		WITH template, seen, buckets, any(x IN buckets WHERE x.unit <> buckets[0].unit) AS mixed, reduce(enough = [0, $to], x IN buckets | CASE
			WHEN enough[0] >= $limit AND x.b.to <= enough[1] THEN enough
			ELSE [enough[0] + CASE WHEN x.b.to <= $to THEN x.b.count ELSE 0 END, CASE WHEN x.b.from < enough[1] THEN x.b.from ELSE enough[1] END] END)[1] AS horizon
		CALL (buckets, mixed, seen, horizon) {
			UNWIND buckets AS x
			WITH x.b AS b, x.unit AS unit, x.kind AS kind, mixed, seen, horizon
			WHERE b.to > horizon
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= seen AND m.at < $to
			WITH unit, kind, mixed, m ORDER BY m.at DESC LIMIT $limit`+measurementLists)
)

// A composite is all properties of its node. Units come one for each value only
// if there are several; what is special about a value only where it is asked
// for.
const (
	measurementSeries = `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		MATCH (t)-[:HAS_SERIES]->(s:Series WHERE s.measure = $measure AND (NOT $own OR t:Device OR s.manual))`

	measurementBuckets = `
		WITH [(t)-[:INSTANCE_OF]->(x:Template) | x.id][0] AS template, s, buckets, seen
		UNWIND buckets AS b
		WITH template, seen, b, coalesce(b.unit, s.unit, '') AS unit, s.type AS kind`

	measurementLists = `
			RETURN collect(m.at) AS at, collect(CASE kind WHEN 'COMPOSITE' THEN properties(m) ELSE m.value END) AS value,
				collect(DISTINCT unit) AS units, collect(CASE WHEN mixed THEN unit END) AS each,
				collect(CASE WHEN $marks AND (m.suspect IS NOT NULL OR m.unit IS NOT NULL) THEN [m.at, m.suspect, m.unit] END) AS marks
		}
		RETURN template, seen, at, value, units, each, marks`
)

// Measurements returns a page of the single measurements of a twin's measure,
// oldest first, optionally only those from (included) and to (not included).
// Numbers are in the unit that is asked for, or in that of the twin's template
// if it is empty. The key of a cursor is the time in milliseconds since 1970, as decimal text.
func (s *Store) Measurements(ctx context.Context, scope registry.Scope, twin registry.ID, measure string, from, to *time.Time, page registry.PageRequest, in string) (registry.Page[registry.Measurement], error) {
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
	read, err := s.readMeasurements(ctx, scope, measurementRequest{
		twin: twin, measure: measure, low: low, high: high, limit: max(page.Size+1, 4), backward: page.Backward, in: in, marks: true,
	})
	if err != nil {
		return registry.Page[registry.Measurement]{}, fmt.Errorf("measurements: %w", err)
	}
	items := make([]registry.Measurement, len(read.at))
	for i, at := range read.at {
		items[i] = read.marks[at]
		items[i].At, items[i].Value = time.UnixMilli(at).UTC(), read.value[i]
	}
	page.Size = together(read.at, page.Size)
	return cut(items, page), nil
}

// together is how many of some values are told so that those of one moment are
// not parted: a cursor is a moment, and at one a measure of an asset may have
// values of several sources. It is more than the size only where all are of one
// moment.
func together(at []int64, size int) int {
	if size < 1 || len(at) <= size || at[size] != at[size-1] {
		return size
	}
	n := size
	for n > 0 && at[n-1] == at[size] {
		n--
	}
	if n > 0 {
		return n
	}
	for n < len(at) && at[n] == at[0] {
		n++
	}
	return n
}

// Samples returns up to limit measurements at once, oldest first, from
// (included) and to (not included), as two lists, and where to go on. Units are
// those of Measurements.
func (s *Store) Samples(ctx context.Context, scope registry.Scope, twin registry.ID, measure string, from, to time.Time, limit int, in string) (*registry.Samples, error) {
	if limit < 1 || limit > MaxSamples {
		return nil, registry.InvalidField("limit", "range", "1 to %d samples can be read at once", MaxSamples)
	}
	read, err := s.readMeasurements(ctx, scope, measurementRequest{twin: twin, measure: measure, low: ceilMillis(from), high: ceilMillis(to), limit: limit + 1, in: in})
	if err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	return read.samples(limit), nil
}

// samples are up to limit of the values, and where to go on if there are more.
func (l *sampledLists) samples(limit int) *registry.Samples {
	at, values := l.at, l.value
	out := &registry.Samples{}
	if len(at) > limit {
		n := together(at, limit)
		next := time.UnixMilli(at[n-1] + 1).UTC()
		if n < len(at) {
			next = time.UnixMilli(at[n]).UTC()
		}
		out.NextFrom = &next
		at, values = at[:n], values[:n]
	}
	out.Value = values
	out.At = make([]time.Time, len(at))
	for i, millis := range at {
		out.At[i] = time.UnixMilli(millis).UTC()
	}
	return out
}

// ceilMillis is the first whole millisecond that is not before a time.
func ceilMillis(t time.Time) int64 {
	millis := t.UnixMilli()
	if t.Sub(time.UnixMilli(millis)) > 0 {
		millis++
	}
	return millis
}

// measurementRequest asks for up to limit measurements from low to before high:
// the first ones in order, or the last ones in reverse order; in a unit, with
// marks or without, and only the twin's own (see OwnSeries) or all.
type measurementRequest struct {
	twin      registry.ID
	measure   string
	low, high int64
	limit     int
	backward  bool
	in        string
	marks     bool
	own       bool
}

// readMeasurements reads measurements in one unit.
func (s *Store) readMeasurements(ctx context.Context, scope registry.Scope, r measurementRequest) (sampledLists, error) {
	if r.low >= r.high {
		return sampledLists{}, nil
	}
	q, all := measurementsAfter, r.high
	if r.backward {
		q, all = measurementsBefore, r.low
	}
	p := params{"id": string(r.twin), "measure": r.measure, "from": r.low, "to": r.high, "limit": r.limit, "marks": r.marks, "own": r.own}
	var found sampledLists
	for most := pageBuckets(r.limit); ; most *= moreBuckets {
		p["most"] = most
		var ok bool
		var err error
		if found, ok, err = one(ctx, s.reading(scope), q, p, sampled); err != nil || !ok {
			return sampledLists{}, err
		}
		if len(found.at) >= r.limit || found.seen == all {
			break
		}
	}
	convert, err := s.conversions(ctx, scope, found.template, r.measure, r.in, found.units)
	if err != nil {
		return sampledLists{}, err
	}
	for i, value := range found.value {
		from := found.units[0]
		if len(found.each) > 0 {
			from = found.each[i]
		}
		if c := convert[from]; !c.IsSame() {
			if number, ok := value.(float64); ok {
				found.value[i] = c.Apply(number)
			}
		}
	}
	return found, nil
}

// sampledLists are lists of the same length, and what is special about some of
// the values, by time.
type sampledLists struct {
	template registry.ID
	// seen is until when all values were looked at.
	seen  int64
	at    []int64
	value []any
	// units are those that values are in; each is empty if there is one only.
	units, each []string
	marks       map[int64]registry.Measurement
}

func sampled(f fields) sampledLists {
	times := f.list("at")
	l := sampledLists{
		template: f.id("template"), seen: required[int64](f, "seen"), at: make([]int64, len(times)), value: slices.Clone(f.list("value")),
		units: f.texts("units"), each: f.texts("each"), marks: map[int64]registry.Measurement{},
	}
	if len(l.value) != len(l.at) || len(l.units) == 0 && len(l.at) > 0 || len(l.each) != 0 && len(l.each) != len(l.at) {
		f.failed("%d times have %d values", len(l.at), len(l.value))
		return sampledLists{}
	}
	for i := range times {
		at, ok := times[i].(int64)
		if !ok {
			f.failed("a time is a %T", times[i])
		}
		l.at[i], l.value[i] = at, valueOf("", l.value[i])
	}
	for _, mark := range f.list("marks") {
		three, ok := mark.([]any)
		if !ok || len(three) != 3 {
			f.failed("a measurement is %v", mark)
			break
		}
		at, _ := three[0].(int64)
		var m registry.Measurement
		if reason, ok := three[1].(string); ok {
			m.Suspect = registry.SuspectReason(reason).Pointer()
		}
		if sent, ok := three[2].(string); ok {
			m.Unit = &sent
		}
		l.marks[at] = m
	}
	return l
}
