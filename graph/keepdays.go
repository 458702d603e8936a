package graph

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// keepLists reads the slots of buckets, and of whom they are.
var (
	keepLists = named("keep.lists", `
		UNWIND $buckets AS id
		MATCH (b:Bucket) WHERE elementId(b) = id AND b.account = $account
		SET b.sweeping = true
		REMOVE b.sweeping
		WITH b
		WHERE b.rawUntil IS NOT NULL AND b.slotLength IS NULL
		WITH b, COLLECT { MATCH (b)<-[:HAS_BUCKET]-(s:Series) RETURN s.key ORDER BY s.key } AS series,
			COLLECT { MATCH (b)<-[:HAS_BUCKET]-(s:Series) RETURN s.type LIMIT 1 }[0] AS type
		RETURN collect({element: elementId(b), type: type, series: series, links: b.links, unit: coalesce(b.unit, ''), newest: EXISTS { (b)<-[:HAS_NEWEST]-() }, bucket: properties(b)}) AS buckets`)

	// One bucket stays of those of a day.
	keepJoin = named("keep.join", `
		UNWIND $rows AS r
		MATCH (b:Bucket) WHERE elementId(b) = r[0] AND b.account = $account
		SET b += r[1]
		WITH r UNWIND r[2] AS id
		MATCH (x:Bucket) WHERE elementId(x) = id AND x.account = $account
		DETACH DELETE x`)
)

// keptLast reads the last value before a time of slots whose measurements are
// gone.
var keptLast = named("keep.last", `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		MATCH (t)-[:HAS_SERIES]->(s:Series WHERE s.measure = $measure AND s.type = 'NUMBER')
		CALL (s) {
			MATCH (s)-[h:HAS_BUCKET]->(b:Bucket) USING INDEX SEEK h:HAS_BUCKET(series, day)
			WHERE h.series = s.id AND h.day < $from AND b.rawUntil IS NOT NULL AND b.first < $from
			RETURN h.day AS day ORDER BY h.series DESC, h.day DESC LIMIT 1
		}
		MATCH (s)-[h:HAS_BUCKET]->(b:Bucket) USING INDEX SEEK h:HAS_BUCKET(series, day)
		WHERE h.series = s.id AND h.day = day AND b.rawUntil IS NOT NULL AND b.first < $from
		WITH t, s, b ORDER BY b.first DESC LIMIT 1
		UNWIND range(0, size(b.slotLastAts) - 1) AS i
		WITH t, s, b, i WHERE b.slotLastAts[i] < $from
		RETURN [(t)-[:INSTANCE_OF]->(x:Template) | x.id][0] AS template, coalesce(b.unit, s.unit, '') AS unit, b.slotLasts[i] AS value
		ORDER BY i DESC LIMIT 1`)

// lastKept is the last number before an aggregation of which only slots are
// left.
func (s *Store) lastKept(ctx context.Context, scope registry.Scope, twin registry.ID, a *registry.Aggregation) (carried, error) {
	type kept struct {
		template registry.ID
		unit     string
		value    float64
	}
	last, found, err := one(ctx, s.reading(scope), keptLast, params{"id": string(twin), "measure": a.Measure, "from": a.From.UnixMilli()}, func(f fields) kept {
		return kept{f.id("template"), f.text("unit"), required[float64](f, "value")}
	})
	if err != nil || !found {
		return carried{}, err
	}
	convert, err := s.conversions(ctx, scope, last.template, a.Measure, a.Unit, []string{last.unit})
	if err != nil {
		return carried{}, err
	}
	return carried{convert[last.unit].Apply(last.value), true}, nil
}

// joined are buckets of one day under the same links, as they become one.
type joined struct {
	element string
	newest  bool
	from    int64
	rest    []any
	cells   []cell
	bounds  map[string]any
	kind    registry.ValueType
}

// coarsen makes one bucket a day of some that have slots only, with one slot a
// day.
func (s *Store) coarsen(ctx context.Context, scope registry.Scope, buckets []any) error {
	return write(ctx, s, scope, "keep.days", func(ctx context.Context, tx *transaction) error {
		days, _, err := one(ctx, tx, keepLists, params{"buckets": buckets}, joinedDays)
		if err != nil {
			return err
		}
		rows := make([]any, len(days))
		for i, d := range days {
			rows[i] = []any{d.element, d.properties(), d.rest}
		}
		return nothing(ctx, tx, keepJoin, params{"rows": rows})
	})
}

// joinedDays puts buckets together by day, links, unit and series.
func joinedDays(f fields) []*joined {
	rows := f.maps("buckets")
	slices.SortFunc(rows, func(a, b fields) int {
		return cmp.Compare(required[int64](a.nested("bucket"), "from"), required[int64](b.nested("bucket"), "from"))
	})
	days := map[string]*joined{}
	var out []*joined
	for _, row := range rows {
		bucket := row.nested("bucket")
		from := required[int64](bucket, "from")
		key := fmt.Sprint(floorDiv(from, day), "|", row.text("unit"), "|", strings.Join(row.texts("links"), ","), "|", strings.Join(row.texts("series"), ","))
		d := days[key]
		if d == nil {
			d = &joined{kind: registry.ValueType(row.text("type")), from: from, bounds: map[string]any{"from": from}}
			days[key], out = d, append(out, d)
		}
		d.take(row, bucket)
	}
	return out
}

// take adds a bucket that is not older than those before. The newest of a series
// is the one that stays.
func (d *joined) take(row, bucket fields) {
	element := row.text("element")
	switch newest := required[bool](row, "newest"); {
	case d.element == "":
		d.element, d.newest = element, newest
	case newest:
		d.rest = append(d.rest, d.element)
		d.element, d.newest = element, true
	default:
		d.rest = append(d.rest, element)
	}
	d.cells = append(d.cells, slotCells(bucket, d.kind)...)
	to := required[int64](bucket, "to")
	if before, ok := d.bounds["to"].(int64); !ok || to > before {
		d.bounds["to"] = to
	}
	if first, ok := d.bounds["first"].(int64); !ok || required[int64](bucket, "first") < first {
		d.copy(bucket, "first", "firstValue")
	}
	if last := nullable[int64](bucket, "last"); last != nil { // it held something
		if before, ok := d.bounds["last"].(int64); !ok || *last > before {
			d.copy(bucket, "last", "lastValue", "lastSuspect")
		}
	}
	for _, name := range []string{"count", "trueCount", "suspects"} {
		if n := nullable[int64](bucket, name); n != nil {
			sum, _ := d.bounds[name].(int64)
			d.bounds[name] = sum + *n
		}
	}
}

func (d *joined) copy(bucket fields, names ...string) {
	for _, name := range names {
		d.bounds[name] = bucket.optional(name)
	}
}

// properties are those of the bucket that stays.
func (d *joined) properties() map[string]any {
	slices.SortFunc(d.cells, func(a, b cell) int { return cmp.Compare(a.firstAt, b.firstAt) })
	var days []cell
	for _, c := range d.cells {
		if n := len(days); n == 0 || floorDiv(days[n-1].firstAt, day) != floorDiv(c.firstAt, day) {
			days = append(days, cell{})
		}
		days[len(days)-1].join(c)
	}
	out := slotLists(days, day)
	for name, value := range d.bounds {
		out[name] = value
	}
	if len(days) > 0 && d.kind == registry.ValueNumber {
		whole := cell{}
		for _, c := range days {
			whole.join(c)
		}
		out["sum"], out["min"], out["max"] = whole.sum, whole.low, whole.high
	}
	out["rawUntil"], out["slotLength"], out["rollUp"] = d.bounds["to"], day, nil
	return out
}

// slotCells are the slots of a sealed bucket.
func slotCells(bucket fields, kind registry.ValueType) []cell {
	counts, firstAts, lastAts := bucket.list("slotCounts"), bucket.list("slotFirstAts"), bucket.list("slotLastAts")
	column := func(name string) row {
		list, _ := bucket.optional(name).([]any)
		return row{f: bucket, list: list}
	}
	firsts, lasts := column("slotFirsts"), column("slotLasts")
	cells := make([]cell, len(counts))
	for i := range cells {
		at := row{f: bucket, list: []any{counts[i], firstAts[i], lastAts[i]}}
		cells[i] = cell{n: at.integer(0), firstAt: at.integer(1), lastAt: at.integer(2), first: firsts.value(i, ""), last: lasts.value(i, "")}
		if kind == registry.ValueNumber {
			cells[i].sum, cells[i].low, cells[i].high = column("slotSums").number(i), column("slotMins").number(i), column("slotMaxs").number(i)
			cells[i].area, cells[i].increase = column("slotAreas").number(i), column("slotIncreases").number(i)
		}
	}
	return cells
}
