package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// The statements of a batch. They find nodes by the database's own ids, which
// is the fastest way there is; that they are still right is what the fence
// makes sure of, but for buckets that were swept meanwhile: those are looked at
// when they are locked. Their rows are in append_rows.go.
var (
	appendSeries = named("append.series", `
		UNWIND $rows AS r
		MATCH (d) WHERE elementId(d) = r[0]
		CREATE (d)-[:HAS_SERIES]->(s:Series)
		SET s = r[1]
		RETURN collect([s.key, elementId(s)]) AS made`)

	// The bucket that was the newest so far learns its last value now: while it
	// is open, that is its series' last value.
	appendBuckets = named("append.buckets", `
		UNWIND $rows AS r
		MATCH (s) WHERE elementId(s) = r[0]
		CREATE (s)-[:HAS_BUCKET {series: s.id, day: r[2].from - r[2].from % 86400000}]->(b:Bucket:Unsealed)
		SET b = r[2]
		WITH s, b, r
		CALL (s, b, r) {
			WITH s, b, r WHERE r[3]
			OPTIONAL MATCH (s)-[o:HAS_NEWEST]->(old)
			SET old.last = r[4], old.lastValue = r[5], old.lastSuspect = r[7], s.period = r[6]
			DELETE o
			CREATE (s)-[:HAS_NEWEST]->(b)
		}
		RETURN collect([r[1], elementId(b)]) AS made`)

	// Where one device takes over from another, buckets of both may hold the newest
	// value of the asset: they are the newest together until one begins after them.
	appendShares = named("append.shares", `
		UNWIND $rows AS r
		MATCH (a:Entity {id: r[0]})
		WITH a, r, COUNT { (a)-[:HAS_SERIES]->(x:Series) WHERE x.measure = r[2].measure } AS before
		MERGE (s:Series {key: r[1]})
		ON CREATE SET s += r[2], s.generation = before + 1
		MERGE (a)-[:HAS_SERIES]->(s)
		WITH s, r
		MATCH (b) WHERE elementId(b) = r[3]
		CREATE (s)-[:HAS_BUCKET {series: s.id, day: b.from - b.from % 86400000}]->(b)
		WITH s, b, r WHERE r[4]
		OPTIONAL MATCH (s)-[o:HAS_NEWEST]->(old)
		WITH s, b, collect(o) AS held, collect(old) AS olds
		WHERE all(old IN olds WHERE old.from < b.to)
		FOREACH (o IN held | FOREACH (_ IN CASE WHEN endNode(o).to <= b.from THEN [1] ELSE [] END | DELETE o))
		CREATE (s)-[:HAS_NEWEST]->(b)`)

	appendNumbers = named("append.numbers", `
		UNWIND $rows AS r
		MATCH (b) WHERE elementId(b) = r[0]
		MATCH (s) WHERE elementId(s) = r[1]
		SET s.lastAt = r[2], s.lastValue = r[3], b.count = b.count + r[4], b.sum = b.sum + r[5],
			b.min = CASE WHEN b.min < r[6] THEN b.min ELSE r[6] END,
			b.max = CASE WHEN b.max > r[7] THEN b.max ELSE r[7] END
		WITH b, r WHERE b.rawUntil IS NULL
		FOREACH (m IN r[8] | CREATE (b)-[:HAS_MEASUREMENT]->(:Measurement {at: m[0], value: m[1]}))
		RETURN count(*) AS n`)

	appendOthers = named("append.others", `
		UNWIND $rows AS r
		MATCH (b) WHERE elementId(b) = r[0]
		MATCH (s) WHERE elementId(s) = r[1]
		SET s.lastAt = r[2], s.lastValue = r[3], b.count = b.count + r[4], b.trueCount = b.trueCount + r[5]
		WITH b, r WHERE b.rawUntil IS NULL
		FOREACH (m IN r[6] | CREATE (b)-[:HAS_MEASUREMENT]->(:Measurement {at: m[0], value: m[1]}))
		RETURN count(*) AS n`)

	// What a type has no roll-up of is null, and stays null.
	appendOlder = named("append.older", `
		UNWIND $rows AS r
		MATCH (b) WHERE elementId(b) = r[0]
		SET b.count = b.count + r[1], b.sum = b.sum + r[2],
			b.min = CASE WHEN r[3] < b.min THEN r[3] ELSE b.min END,
			b.max = CASE WHEN r[4] > b.max THEN r[4] ELSE b.max END,
			b.trueCount = b.trueCount + r[5],
			b.firstValue = CASE WHEN r[6] < b.first THEN r[7] ELSE b.firstValue END,
			b.first = CASE WHEN r[6] < b.first THEN r[6] ELSE b.first END,
			b.lastValue = CASE WHEN r[8] > b.last THEN r[9] ELSE b.lastValue END,
			b.lastSuspect = CASE WHEN r[8] > b.last THEN r[11] ELSE b.lastSuspect END,
			b.last = CASE WHEN r[8] > b.last THEN r[8] ELSE b.last END
		WITH b, r WHERE b.rawUntil IS NULL
		FOREACH (m IN r[10] | CREATE (b)-[:HAS_MEASUREMENT]->(:Measurement {at: m[0], value: m[1]}))
		RETURN count(*) AS n`)

	// What a sealed bucket's slots were reduced to no longer holds.
	appendUnseal = named("append.unseal", `
		UNWIND $buckets AS id
		MATCH (b) WHERE elementId(b) = id
		SET b:Unsealed, b.sealAt = $at`)

	// Measurements with more than a time and a value: composites, suspect ones,
	// and those that were sent in another unit.
	appendDetailed = named("append.detailed", `
		UNWIND $rows AS r
		MATCH (b) WHERE elementId(b) = r[0]
		SET b.suspects = CASE WHEN r[1] = 0 THEN b.suspects ELSE coalesce(b.suspects, 0) + r[1] END
		FOREACH (node IN r[2] | CREATE (b)-[:HAS_MEASUREMENT]->(m:Measurement) SET m = node)
		RETURN count(*) AS n`)

	appendSuspect = named("append.suspect", `
		UNWIND $rows AS r
		MATCH (s) WHERE elementId(s) = r[0]
		SET s.lastSuspect = r[1]`)
)

// write stores the batch in one transaction, the partition's counters included.
func (b *batch) write(ctx context.Context) error {
	p := b.partition
	if p.mustFail != nil {
		if err := p.mustFail(b.items); err != nil {
			return err
		}
	}
	return write(ctx, p.store, registry.Scope{}, "append", func(ctx context.Context, tx *transaction) error {
		if err := b.fence(ctx, tx); err != nil {
			return err
		}
		if len(b.births) > 0 {
			if err := b.makeSeries(ctx, tx); err != nil {
				return err
			}
			if err := b.makeBuckets(ctx, tx); err != nil {
				return err
			}
			if err := b.share(ctx, tx); err != nil {
				return err
			}
		}
		for _, part := range []struct {
			query  query
			groups []*group
			row    func(*group) []any
		}{{appendNumbers, b.numbers, numbersRow}, {appendOthers, b.others, othersRow}, {appendOlder, b.late, olderRow}} {
			if err := writeGroups(ctx, tx, part.query, part.groups, part.row); err != nil {
				return err
			}
		}
		if err := writeGroups(ctx, tx, appendDetailed, b.detailed(), detailedRow); err != nil {
			return err
		}
		if err := b.writeSuspects(ctx, tx); err != nil {
			return err
		}
		if err := b.unseal(ctx, tx); err != nil {
			return err
		}
		if err := b.writePayloads(ctx, tx); err != nil {
			return err
		}
		return b.writeDeadLetters(ctx, tx)
	})
}

// unseal puts off the sealing of buckets that got values after their time, and
// has those sealed again that were already. One that ended only just cannot
// have been, give or take ten minutes between the clocks of two processes.
func (b *batch) unseal(ctx context.Context, tx *transaction) error {
	recent := b.partition.store.now().Add(10*time.Minute - sealAfter).UnixMilli()
	var ended []any
	for _, groups := range [][]*group{b.numbers, b.others, b.late} {
		for _, g := range groups {
			if g.bucket.to < recent {
				ended = append(ended, g.bucket.element)
			}
		}
	}
	if len(ended) == 0 {
		return nil
	}
	return nothing(ctx, tx, appendUnseal, params{"buckets": ended, "at": b.partition.store.now().Add(sealAfter).UnixMilli()})
}

// detailed are the groups with measurements that have more than a time and a
// value.
func (b *batch) detailed() []*group {
	var out []*group
	for _, groups := range [][]*group{b.numbers, b.others, b.late} {
		for _, g := range groups {
			if len(g.detailed) > 0 {
				out = append(out, g)
			}
		}
	}
	return out
}

// writeSuspects says of series whether their last value is suspect, where that
// is another answer than before.
func (b *batch) writeSuspects(ctx context.Context, tx *transaction) error {
	var rows []any
	for _, plan := range b.plans {
		if plan.suspect != plan.series.suspect {
			rows = append(rows, []any{plan.series.element, plan.suspect.property()})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return nothing(ctx, tx, appendSuspect, params{"rows": rows})
}

// fence takes the partition's lock, makes sure that the partition is still this
// one's and that what is remembered still holds, and counts.
func (b *batch) fence(ctx context.Context, tx *transaction) error {
	p := b.partition
	counted := p.counted
	if last := b.items[len(b.items)-1].at; last.compare(counted) > 0 {
		counted = last
	}
	state, found, err := one(ctx, tx, partitionFence, params{
		"number": p.number, "now": p.store.now().UnixMilli(), "epoch": p.epoch, "topology": p.topology,
		"generation": p.generation, "entry": counted.entry.String(), "index": counted.index,
		"stored": b.counts.stored, "repeats": b.counts.repeats, "deadLetters": b.counts.deadLetters, "measurements": b.fresh,
	}, func(f fields) partitionNode {
		return partitionNode{epoch: required[int64](f, "epoch"), topology: required[int64](f, "topology")}
	})
	switch {
	case err != nil:
		return err
	case !found || state.epoch != p.epoch:
		return ErrFenced
	case state.topology != p.topology:
		return errMoved
	}
	return nil
}

func (b *batch) makeSeries(ctx context.Context, tx *transaction) error {
	var rows []any
	series := map[string]*knownSeries{}
	for _, plan := range b.plans {
		s := plan.series
		if !s.isNew() {
			continue
		}
		series[s.key] = s
		m := s.measure
		declared, _ := m.device.template.Measure(m.name)
		properties := map[string]any{
			"id": string(newID()), "account": string(m.device.account), "key": s.key, "measure": m.name,
			"type": string(s.valueType), "unit": unitOrNil(declared.Unit), "generation": s.generation, "period": plan.period,
		}
		if m.device.asset {
			properties["manual"] = true
		}
		rows = append(rows, []any{m.device.element, properties})
	}
	if len(rows) == 0 {
		return nil
	}
	return madeNodes(ctx, tx, appendSeries, rows, func(key any, element string) {
		if s := series[fmt.Sprint(key)]; s != nil {
			s.element = element
		}
	})
}

func (b *batch) makeBuckets(ctx context.Context, tx *transaction) error {
	rows := make([]any, len(b.births))
	for i, g := range b.births {
		plan := g.plan
		rows[i] = []any{plan.series.element, i, g.properties(), g.becomesTheNewest, timeOrNil(plan.closed, plan.closedAt), stored(plan.closed), plan.period, plan.closedSuspect.property()}
	}
	return madeNodes(ctx, tx, appendBuckets, rows, func(index any, element string) {
		if i, ok := index.(int64); ok && int(i) < len(b.births) {
			b.births[i].bucket.element = element
		}
	})
}

// properties are those of a new bucket, which its values are then added to.
func (g *group) properties() map[string]any {
	k := g.bucket
	out := map[string]any{
		"account": string(g.plan.series.measure.device.account),
		"count":   0, "from": k.from, "to": k.to, "links": k.links, "first": g.firstAt, "firstValue": stored(g.first),
		"sealAt": k.to + sealAfter.Milliseconds(),
	}
	if k.unit != "" {
		out["unit"] = k.unit
	}
	switch g.plan.series.valueType {
	case registry.ValueNumber:
		out["sum"], out["min"], out["max"] = 0.0, g.low, g.high
	case registry.ValueBoolean:
		out["trueCount"] = 0
	}
	if !g.becomesTheNewest {
		out["last"], out["lastValue"], out["lastSuspect"] = g.lastAt, stored(g.last), g.lastSuspect.property()
	}
	return out
}

// share lets the series of linked assets have the new buckets too.
func (b *batch) share(ctx context.Context, tx *transaction) error {
	type shared struct {
		key  string
		from int64
		row  []any
	}
	var all []shared
	for _, g := range b.births {
		s := g.plan.series
		for _, l := range g.segment.links {
			to := l.measures[s.measure.name]
			if !to.takes(s.valueType) {
				continue
			}
			key := seriesKey(l.asset, to.name, s.valueType)
			all = append(all, shared{key, g.bucket.from, []any{string(l.asset), key, map[string]any{
				"id": string(newID()), "account": string(s.measure.device.account), "key": key, "measure": to.name,
				"type": string(s.valueType), "unit": unitOrNil(to.unit),
			}, g.bucket.element, false}})
		}
	}
	if len(all) == 0 {
		return nil
	}
	// In one order everywhere, so that two partitions do not wait for each other.
	slices.SortStableFunc(all, func(x, y shared) int {
		if x.key != y.key {
			return strings.Compare(x.key, y.key)
		}
		return int(min(max(x.from-y.from, -1), 1))
	})
	rows := make([]any, len(all))
	for i := range all {
		all[i].row[4] = i+1 == len(all) || all[i+1].key != all[i].key
		rows[i] = all[i].row
	}
	return nothing(ctx, tx, appendShares, params{"rows": rows})
}

// madeNodes runs a query that makes a node a row and tells the database's ids.
func madeNodes(ctx context.Context, tx *transaction, q query, rows []any, tell func(key any, element string)) error {
	made, _, err := one(ctx, tx, q, params{"rows": rows}, func(f fields) []any { return f.list("made") })
	if err != nil {
		return err
	}
	if len(made) != len(rows) {
		return errMoved
	}
	for _, pair := range made {
		two, ok := pair.([]any)
		if !ok || len(two) != 2 {
			return fmt.Errorf("graph: %s told %v", q.name, pair)
		}
		element, ok := two[1].(string)
		if !ok {
			return fmt.Errorf("graph: %s told %v", q.name, pair)
		}
		tell(two[0], element)
	}
	return nil
}

func writeGroups(ctx context.Context, tx *transaction, q query, groups []*group, row func(*group) []any) error {
	if len(groups) == 0 {
		return nil
	}
	rows := make([]any, len(groups))
	for i, g := range groups {
		rows[i] = row(g)
	}
	n, _, err := one(ctx, tx, q, params{"rows": rows}, counted)
	if err != nil {
		return err
	}
	if n != len(groups) {
		return errMoved
	}
	return nil
}
