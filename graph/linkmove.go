package graph

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// A link that begins in the past gives its asset what the device has measured
// since: whole buckets get the asset's series as another owner, the first is
// split. That goes from the newest day backwards, some days in a transaction.
// How far it has come stands on the link (movingFrom): for readings the link
// holds from there on, so what comes late finds the bucket of its time either
// unmoved, and is moved with it, or moved. Days are whole, since no bucket
// reaches over midnight.

const (
	// usualMoveBuckets bounds the buckets that a turn looks at, but for those of
	// one day.
	usualMoveBuckets = 500
	// moveTurns is how many turns the one who links waits for.
	moveTurns = 3
	moveTurn  = 10 * time.Second
	moveLease = 2 * time.Minute
)

var (
	moveCount = named("link.moveCount", `
		MATCH (d:Entity {id: $device})
		WHERE d.account = $account
		MATCH (d)-[:HAS_SERIES]->(s:Series)
		WHERE any(w IN $wanted WHERE w[0] = s.measure AND w[1] IN ['', s.type])
		CALL (s) {`+bucketsWithin+`
			RETURN b
		}
		WITH b, CASE WHEN b.first >= $from AND b.to <= $to THEN b.count ELSE COUNT { (b)-[:HAS_MEASUREMENT]->(m WHERE m.at >= $from AND m.at < $to) } END AS n
		WHERE n > 0
		RETURN sum(n) AS measurements, count(b) AS buckets`)

	// The buckets before the frontier that are to be moved, newest first: one look
	// at what the series have is all that a turn needs.
	moveTake = named("link.moveTake", `
		MATCH (d:Entity {id: $device})
		WHERE d.account = $account
		MATCH (d)-[:HAS_SERIES]->(s:Series)
		WHERE s.measure IN $measures
		CALL (s) {`+bucketsWithin+` AND NOT $link IN b.links
			RETURN b
		}
		WITH s, b ORDER BY b.from DESC LIMIT $limit
		RETURN collect({element: elementId(b), measure: s.measure, type: s.type, from: b.from, first: b.first, links: b.links}) AS buckets`)

	moveOwn = named("link.moveOwn", `
		UNWIND $rows AS r
		MATCH (b) WHERE elementId(b) = r[0] AND b.account = $account
		SET b.links = r[1], b.from = r[2]`)

	// What lies at or after the cut goes into a bucket of its own, which all
	// series of the old one have, too; of those whose newest it was, it is now the
	// newest.
	moveSplit = named("link.moveSplit", `
		MATCH (b) WHERE elementId(b) = $element AND b.account = $account AND EXISTS { (b)-[:HAS_MEASUREMENT]->(x WHERE x.at >= $from) }
		CREATE (n:Bucket:Unsealed {account: b.account, from: $from, to: b.to, links: b.links,
			sealAt: CASE WHEN b.to + $sealAfter > $sealAt THEN b.to + $sealAfter ELSE $sealAt END})
		SET n.unit = b.unit, n.last = b.last, n.lastValue = b.lastValue, n.lastSuspect = b.lastSuspect, b.to = $from, b:Unsealed, b.sealAt = $sealAt
		WITH b, n
		CALL (b, n) {
			MATCH (s:Series)-[h:HAS_BUCKET]->(b)
			CREATE (s)-[:HAS_BUCKET {series: h.series, day: h.day}]->(n)
		}
		CALL (b, n) {
			MATCH (s:Series)-[newest:HAS_NEWEST]->(b)
			DELETE newest
			CREATE (s)-[:HAS_NEWEST]->(n)
		}
		CALL (b, n) {
			MATCH (b)-[held:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from
			DELETE held
			CREATE (n)-[:HAS_MEASUREMENT]->(m)
		}
		WITH b, n
		RETURN elementId(n) AS element,
			COLLECT { MATCH (b)-[:HAS_MEASUREMENT]->(m) RETURN {at: m.at, value: coalesce(m.value, properties(m)), suspect: m.suspect} } AS before,
			COLLECT { MATCH (n)-[:HAS_MEASUREMENT]->(m) RETURN {at: m.at, value: coalesce(m.value, properties(m)), suspect: m.suspect} } AS after`)

	moveRollUp = named("link.moveRollUp", `
		UNWIND $rows AS r
		MATCH (b) WHERE elementId(b) = r[0] AND b.account = $account
		SET b += r[1]`)

	moveState = named("link.moveState", `
		MATCH (d:Entity {id: $device})-[l:LINKED_TO {id: $link}]->(a:Asset)
		WHERE d.account = $account AND d:Device AND coalesce(l.movingFrom, -1) >= 0
		RETURN a.id AS asset, l.since AS since, l.movingFrom AS frontier,
			l.deviceMeasures AS deviceMeasures, l.assetMeasures AS assetMeasures, l.units AS units, l.types AS types`)

	// Without a frontier the move is done.
	moveProgress = named("link.moveProgress", `
		MATCH (d:Entity {id: $device})-[l:LINKED_TO {id: $link}]->()
		WHERE d.account = $account
		SET l.movingFrom = $frontier`)

	moveDue = named("link.moveDue", `
		MATCH (d)-[l:LINKED_TO]->(a) USING INDEX SEEK l:LINKED_TO(movingFrom)
		WHERE l.movingFrom > $none AND d:Device AND a:Asset
		WITH d, l LIMIT 100
		RETURN collect([d.account, d.id, l.id]) AS due`)
)

// linkMove is a move in a transaction.
type linkMove struct {
	store         *Store
	tx            *transaction
	device, asset registry.ID
	link          string
	since         int64
	// frontier is where buckets begin that have been moved.
	frontier int64
	measures map[string]assetMeasure
}

// moving is the move of what the device has measured since the link begins.
func (p *linkPlan) moving(s *Store, tx *transaction) *linkMove {
	m := &linkMove{store: s, tx: tx, device: p.device, asset: p.asset, since: p.since.UnixMilli(), frontier: everything, measures: map[string]assetMeasure{}}
	if p.until != nil {
		m.frontier = p.until.UnixMilli()
	}
	for _, f := range p.measures {
		m.measures[f.Device] = assetMeasure{f.Asset, f.unit, f.only}
	}
	return m
}

func (m *linkMove) params() params {
	names := make([]string, 0, len(m.measures))
	for name := range m.measures {
		names = append(names, name)
	}
	return params{"device": string(m.device), "link": m.link, "measures": names, "from": m.since, "to": m.frontier}
}

// step moves the next days and says whether there are more.
func (m *linkMove) step(ctx context.Context) (more bool, err error) {
	buckets, next, err := m.ahead(ctx)
	if err != nil {
		return false, err
	}
	if err := m.take(ctx, buckets, next); err != nil {
		return false, err
	}
	var frontier any
	if next > m.since {
		frontier = next
	}
	m.frontier = next
	return frontier != nil, nothing(ctx, m.tx, moveProgress, params{"device": string(m.device), "link": m.link, "frontier": frontier})
}

// movedBucket is a bucket that gets the asset's series as an owner.
type movedBucket struct {
	element, measure string
	valueType        registry.ValueType
	from, first      int64
	links            []string
}

// ahead returns the next buckets to be moved, those of the newest day in any
// case, and where the frontier is then.
func (m *linkMove) ahead(ctx context.Context) (buckets []movedBucket, next int64, err error) {
	for limit := m.store.moveBuckets; ; limit *= 2 {
		p := m.params()
		p["limit"] = limit
		buckets, _, err := one(ctx, m.tx, moveTake, p, func(f fields) []movedBucket {
			var out []movedBucket
			for _, row := range f.maps("buckets") {
				out = append(out, movedBucket{row.text("element"), row.text("measure"), registry.ValueType(row.text("type")),
					required[int64](row, "from"), required[int64](row, "first"), row.texts("links")})
			}
			return out
		})
		if err != nil || len(buckets) < limit {
			return buckets, m.since, err
		}
		newest, oldest := buckets[0].from, buckets[limit-1].from
		if next := oldest - oldest%day + day; next <= newest { // the oldest day may not be whole
			return slices.DeleteFunc(buckets, func(b movedBucket) bool { return b.from < next }), next, nil
		}
	}
}

// take moves the buckets between a moment and the frontier.
func (m *linkMove) take(ctx context.Context, buckets []movedBucket, from int64) error {
	var own []any
	var shared []movedBucket
	for _, b := range buckets {
		if b.from < from && b.first < from {
			after, err := m.split(ctx, b, from)
			if err != nil {
				return err
			}
			if after == "" {
				continue
			}
			b.element = after
		}
		b.from = max(b.from, from)
		// The link is in force for values of any type; the asset gets those it takes.
		if m.measures[b.measure].takes(b.valueType) {
			shared = append(shared, b)
		}
		links := append(slices.Clone(b.links), m.link)
		slices.Sort(links)
		own = append(own, []any{b.element, links, b.from})
	}
	if len(own) == 0 {
		return nil
	}
	if err := nothing(ctx, m.tx, moveOwn, params{"rows": own}); err != nil {
		return err
	}
	return m.share(ctx, shared)
}

// share lets the asset's series have buckets.
func (m *linkMove) share(ctx context.Context, buckets []movedBucket) error {
	key := func(b movedBucket) string { return seriesKey(m.asset, m.measures[b.measure].name, b.valueType) }
	slices.SortFunc(buckets, func(x, y movedBucket) int {
		if c := strings.Compare(key(x), key(y)); c != 0 {
			return c
		}
		return int(min(max(x.from-y.from, -1), 1))
	})
	rows := make([]any, len(buckets))
	for i, b := range buckets {
		to := m.measures[b.measure]
		rows[i] = []any{string(m.asset), key(b), map[string]any{
			"id": string(newID()), "account": string(m.tx.scope.Account), "key": key(b), "measure": to.name,
			"type": string(b.valueType), "unit": unitOrNil(to.unit),
		}, b.element, i+1 == len(buckets) || key(buckets[i+1]) != key(b)}
	}
	if len(rows) == 0 {
		return nil
	}
	return nothing(ctx, m.tx, appendShares, params{"rows": rows})
}

// split divides a bucket and returns the later half; empty if nothing in it is
// as late.
func (m *linkMove) split(ctx context.Context, b movedBucket, at int64) (string, error) {
	type halves struct {
		element       string
		before, after map[string]any
	}
	p := params{"element": b.element, "from": at, "sealAt": m.store.now().Add(sealAfter).UnixMilli(), "sealAfter": sealAfter.Milliseconds()}
	found, ok, err := one(ctx, m.tx, moveSplit, p, func(f fields) halves {
		before, after := rollUp(f, "before", b.valueType), rollUp(f, "after", b.valueType)
		// Whether the later half is the newest, and so has no last value yet, is
		// as it was with the whole.
		delete(after, "last")
		delete(after, "lastValue")
		delete(after, "lastSuspect")
		return halves{f.text("element"), before, after}
	})
	if err != nil || !ok {
		return "", err
	}
	rows := []any{[]any{b.element, found.before}, []any{found.element, found.after}}
	return found.element, nothing(ctx, m.tx, moveRollUp, params{"rows": rows})
}

// rollUp is what a list of measurements comes to.
func rollUp(f fields, name string, t registry.ValueType) map[string]any {
	var sum, low, high float64
	var first, last fields
	trues, suspects := 0, 0
	items := f.maps(name)
	for i, item := range items {
		if i == 0 || required[int64](item, "at") < required[int64](first, "at") {
			first = item
		}
		if i == 0 || required[int64](item, "at") > required[int64](last, "at") {
			last = item
		}
		if item.object["suspect"] != nil {
			suspects++
		}
		switch v := valueOf(t, item.value("value")).(type) {
		case float64:
			if i == 0 {
				low, high = v, v
			}
			sum, low, high = sum+v, min(low, v), max(high, v)
		case bool:
			if v {
				trues++
			}
		}
	}
	if len(items) == 0 {
		f.failed("half of a bucket is empty")
		return nil
	}
	out := map[string]any{
		"count": len(items), "first": first.value("at"), "firstValue": stored(valueOf(t, first.value("value"))),
		"last": last.value("at"), "lastValue": stored(valueOf(t, last.value("value"))), "lastSuspect": last.value("suspect"), "suspects": nil,
	}
	if suspects > 0 {
		out["suspects"] = suspects
	}
	switch t {
	case registry.ValueNumber:
		out["sum"], out["min"], out["max"] = sum, low, high
	case registry.ValueBoolean:
		out["trueCount"] = trues
	}
	return out
}
