package graph

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// What payloads gave can be taken away again. The buckets that it stood in are
// added up anew from what is left in them, and sealed again later; those with
// nothing left go. Series that lose their newest bucket get the one before.

var (
	// The rows are a measure, its times, and the first and the last of them.
	payloadHeld = named("payload.held", `
		UNWIND $rows AS r
		MATCH (d:Entity {id: $device}) WHERE d.account = $account
		MATCH (d)-[:HAS_SERIES]->(s:Series WHERE s.measure = r[0])
		CALL (s, r) {
			MATCH (s)-[h:HAS_BUCKET]->(b:Bucket) USING INDEX SEEK h:HAS_BUCKET(series, day)
			WHERE h.series = s.id AND h.day > r[2] - 86400000 AND h.day <= r[3] AND any(t IN r[1] WHERE b.from <= t AND t < b.to)
			RETURN collect({from: b.from, to: b.to, swept: b.rawUntil IS NOT NULL, unit: coalesce(b.unit, s.unit, ''),
				held: [(b)-[:HAS_MEASUREMENT]->(m) WHERE m.at IN r[1] | [m.at, coalesce(m.value, properties(m))]]}) AS buckets
		}
		RETURN collect({measure: r[0], type: s.type, lastAt: s.lastAt, buckets: buckets}) AS series`)

	// The property that comes and goes locks the bucket before it is looked at: its
	// measurements may just be swept.
	payloadUndo = named("payload.undo", `
		UNWIND $rows AS r
		MATCH (d:Entity {id: $device}) WHERE d.account = $account
		MATCH (d)-[:HAS_SERIES]->(s:Series WHERE s.measure = r[0])
		CALL (s, r) {
			MATCH (s)-[h:HAS_BUCKET]->(b:Bucket) USING INDEX SEEK h:HAS_BUCKET(series, day)
			WHERE h.series = s.id AND h.day > r[2] - 86400000 AND h.day <= r[3] AND any(t IN r[1] WHERE b.from <= t AND t < b.to)
			RETURN b
		}
		SET b.undoing = true
		REMOVE b.undoing
		WITH b, r
		WHERE b.rawUntil IS NULL
		MATCH (b)-[:HAS_MEASUREMENT]->(m) WHERE m.at IN r[1]
		WITH b, collect(m) AS gone
		FOREACH (m IN gone | DETACH DELETE m)
		RETURN collect(DISTINCT elementId(b)) AS buckets`)

	payloadLeft = named("payload.left", `
		UNWIND $buckets AS id
		MATCH (b) WHERE elementId(b) = id AND b.account = $account
		MATCH (d:Entity {id: $device})-[:HAS_SERIES]->(s)-[:HAS_BUCKET]->(b)
		CALL (b) {
			OPTIONAL MATCH (b)-[:HAS_MEASUREMENT]->(m)
			RETURN collect(m) AS held
		}
		RETURN collect({bucket: id, type: s.type, closed: b.last IS NOT NULL, newest: EXISTS { (s)-[:HAS_NEWEST]->(b) },
			at: [m IN held | m.at], value: [m IN held | coalesce(m.value, properties(m))], suspect: [m IN held | m.suspect]}) AS buckets`)

	payloadAddedUp = named("payload.addedUp", `
		UNWIND $rows AS r
		MATCH (b) WHERE elementId(b) = r[0] AND b.account = $account
		SET b += r[1], b:Unsealed, b.sealAt = CASE WHEN b.to + $sealAfter > $sealAt THEN b.to + $sealAfter ELSE $sealAt END`)

	// Every series that had the bucket as its newest gets the one before it, which
	// thereby is open again.
	payloadEmptied = named("payload.emptied", `
		UNWIND $buckets AS id
		MATCH (b) WHERE elementId(b) = id AND b.account = $account
		CALL (b) {
			MATCH (s:Series)-[o:HAS_NEWEST]->(b)
			DELETE o
			WITH s, b
			MATCH (s)-[:HAS_BUCKET]->(x:Bucket) WHERE x <> b AND NOT elementId(x) IN $buckets
			WITH s, max(x.from) AS newest
			MATCH (s)-[:HAS_BUCKET]->(x:Bucket) WHERE x.from = newest AND NOT elementId(x) IN $buckets
			WITH s, collect(x)[0] AS before
			CREATE (s)-[:HAS_NEWEST]->(before)
		}
		DETACH DELETE b`)

	// What a series says of its newest value is what its newest bucket holds, or
	// what that says itself if single measurements are gone.
	payloadNewest = named("payload.newest", `
		UNWIND $measures AS measure
		MATCH (d:Entity {id: $device}) WHERE d.account = $account
		MATCH (d)-[:HAS_SERIES]->(s:Series WHERE s.measure = measure)
		CALL (s) {
			OPTIONAL MATCH (s)-[:HAS_NEWEST]->(b)
			OPTIONAL MATCH (b)-[:HAS_MEASUREMENT]->(x)
			WITH b, max(x.at) AS at
			OPTIONAL MATCH (b)-[:HAS_MEASUREMENT]->(m) WHERE m.at = at
			RETURN b, m
		}
		WITH s, b, m, b.rawUntil IS NOT NULL AS swept
		SET s.lastAt = CASE WHEN swept THEN b.last ELSE m.at END,
			s.lastValue = CASE WHEN swept THEN b.lastValue ELSE m.value END,
			s.lastSuspect = CASE WHEN swept THEN b.lastSuspect ELSE m.suspect END
		FOREACH (x IN CASE WHEN b IS NULL OR swept THEN [] ELSE [b] END | SET x.last = null, x.lastValue = null, x.lastSuspect = null)
		RETURN collect([elementId(s), CASE WHEN m.value IS NULL AND m IS NOT NULL THEN properties(m) END]) AS series`)

	payloadNewestComposite = named("payload.newestComposite", `
		UNWIND $rows AS r
		MATCH (s) WHERE elementId(s) = r[0] AND s.account = $account
		SET s.lastValue = r[1]`)

	payloadJudged = named("payload.judged", `
		UNWIND $rows AS r
		MATCH (n:Decoding {key: r[0] + '/' + $device}) WHERE n.account = $account
		SET n.measures = r[1], n.at = r[2]
		WITH n, r
		MATCH (n)-[:DECODED_FROM]->(p)
		SET p.valid = r[3]`)

	payloadTwins = named("payload.twins", `
		MATCH (d:Entity {id: $device}) WHERE d.account = $account
		RETURN [d.id] + [(d)-[:LINKED_TO]->(a) | a.id] AS twins`)
)

// byMeasure puts measurements together as rows of queries.
func byMeasure(all []registry.MeasureTime) []any {
	times := map[string][]int64{}
	for _, one := range all {
		times[one.Measure] = append(times[one.Measure], one.At)
	}
	var rows []any
	for _, measure := range slices.Sorted(maps.Keys(times)) {
		list := times[measure]
		slices.Sort(list)
		rows = append(rows, []any{measure, list, list[0], list[len(list)-1]})
	}
	return rows
}

// Standings compares measurements with those that a device has, one slot each.
func (s *Store) Standings(ctx context.Context, scope registry.Scope, device registry.ID, template *registry.Template, wanted []registry.WantedValue) ([]registry.Standing, error) {
	out := make([]registry.Standing, len(wanted))
	if len(wanted) == 0 {
		return out, nil
	}
	keys := make([]registry.MeasureTime, len(wanted))
	for i, w := range wanted {
		keys[i] = w.MeasureTime
	}
	found, _, err := one(ctx, s.reading(scope), payloadHeld, params{"device": string(device), "rows": byMeasure(keys)}, func(f fields) []standingSeries {
		var out []standingSeries
		for _, row := range f.maps("series") {
			out = append(out, standingIn(row, template))
		}
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("compare measurements: %w", err)
	}
	for i, w := range wanted {
		for j := range found {
			if found[j].measure == w.Measure {
				out[i] = max(out[i], found[j].standing(w))
			}
		}
	}
	return out, nil
}

// standingSeries is what a series has at the times that are compared.
type standingSeries struct {
	measure   string
	valueType registry.ValueType
	// declared is the type that the template gives the measure, if any.
	declared registry.ValueType
	lastAt   int64
	held     map[int64]taken
	buckets  []*knownBucket
}

func standingIn(row fields, template *registry.Template) standingSeries {
	s := standingSeries{measure: row.text("measure"), valueType: registry.ValueType(row.text("type")), held: map[int64]taken{}}
	if at := nullable[int64](row, "lastAt"); at != nil {
		s.lastAt = *at
	}
	unit := ""
	if declared := template.Declared(s.measure); declared != nil {
		s.declared, unit = declared.ValueType, declared.Unit
	}
	for _, b := range row.maps("buckets") {
		in := b.text("unit")
		s.buckets = append(s.buckets, &knownBucket{from: required[int64](b, "from"), to: required[int64](b, "to"), swept: b.boolean("swept")})
		for _, item := range b.list("held") {
			pair, ok := item.([]any)
			if !ok || len(pair) != 2 {
				b.failed("a measurement is %v", item)
				return s
			}
			at, _ := pair[0].(int64)
			s.held[at] = taken{value: converted(valueOf(s.valueType, pair[1]), in, unit), about: in != unit}
		}
	}
	return s
}

// standing compares one measurement. A worker takes a value where nothing is
// known to be gone: of its type, after the newest one, or where a bucket began
// after the one that was swept.
func (s *standingSeries) standing(w registry.WantedValue) registry.Standing {
	if by, there := s.held[w.At]; there {
		if w.Value != nil && (registry.SameValue(w.Value, by.value) || by.about && nearly(w.Value, by.value)) {
			return registry.StandingSame
		}
		return registry.StandingOther
	}
	of := s.declared
	if of == "" {
		of, _ = registry.TypeOf(w.Value)
	}
	if w.At > s.lastAt || w.Value != nil && of != s.valueType {
		return registry.StandingAbsent
	}
	var over *knownBucket
	for _, b := range s.buckets {
		if b.from <= w.At && w.At < b.to && (over == nil || b.from > over.from) {
			over = b
		}
	}
	if over.lost(w.At) {
		return registry.StandingGone
	}
	return registry.StandingAbsent
}

// Undo removes measurements that payloads gave, in one transaction, and returns
// the twins that had them. Readings that are to be queued instead are noted with
// it, until Requeued, and what was noted of these payloads before is void, but
// for those that cannot be decoded. Workers learn that what they know of the
// device no longer holds. Doing it again changes nothing.
func (s *Store) Undo(ctx context.Context, scope registry.Scope, device registry.ID, undoings []registry.Undoing) (registry.Undone, error) {
	var gone []registry.MeasureTime
	rows := make([]any, len(undoings))
	for i, u := range undoings {
		gone = append(gone, u.Remove...)
		measures, at := make([]string, len(u.Keep)), make([]int64, len(u.Keep))
		for j, kept := range u.Keep {
			measures[j], at[j] = kept.Measure, kept.At
		}
		rows[i] = []any{string(u.Payload), measures, at, u.Valid}
	}
	var twins []registry.ID
	notes := requeuesOf(device, undoings)
	err := write(ctx, s, scope, "payload.undo", func(ctx context.Context, tx *transaction) error {
		if len(gone) > 0 {
			if err := s.raiseTopology(ctx, tx, device); err != nil {
				return err
			}
			if err := s.takeAway(ctx, tx, device, gone); err != nil {
				return err
			}
		}
		if err := nothing(ctx, tx, payloadJudged, params{"device": string(device), "rows": rows}); err != nil {
			return err
		}
		found, _, err := one(ctx, tx, payloadTwins, params{"device": string(device)}, func(f fields) []registry.ID { return f.ids("twins") })
		if twins = found; err != nil {
			return err
		}
		return s.noteRequeues(ctx, tx, notes, twins)
	})
	if err != nil {
		return registry.Undone{}, fmt.Errorf("take back what payloads gave: %w", err)
	}
	return registry.Undone{Twins: twins, Notes: notes.ids}, nil
}

// takeAway removes measurements of a device, and adds up what is left.
func (s *Store) takeAway(ctx context.Context, tx *transaction, device registry.ID, gone []registry.MeasureTime) error {
	rows := byMeasure(gone)
	buckets, _, err := one(ctx, tx, payloadUndo, params{"device": string(device), "rows": rows}, func(f fields) []string { return f.texts("buckets") })
	if err != nil || len(buckets) == 0 {
		return err
	}
	var emptied []string
	left, _, err := one(ctx, tx, payloadLeft, params{"device": string(device), "buckets": buckets}, func(f fields) []any {
		var out []any
		for _, b := range f.maps("buckets") {
			properties := addedUp(b)
			if properties == nil {
				emptied = append(emptied, b.text("bucket"))
				continue
			}
			out = append(out, []any{b.text("bucket"), properties})
		}
		return out
	})
	if err != nil {
		return err
	}
	p := params{"rows": left, "sealAt": s.now().Add(sealAfter).UnixMilli(), "sealAfter": sealAfter.Milliseconds()}
	if err := nothing(ctx, tx, payloadAddedUp, p); err != nil {
		return err
	}
	if err := nothing(ctx, tx, payloadEmptied, params{"buckets": listed(emptied)}); err != nil {
		return err
	}
	measures := make([]string, len(rows))
	for i, row := range rows {
		measures[i], _ = row.([]any)[0].(string)
	}
	composites, _, err := one(ctx, tx, payloadNewest, params{"device": string(device), "measures": measures}, func(f fields) []any {
		var out []any
		for _, item := range f.list("series") {
			pair, _ := item.([]any)
			if len(pair) == 2 && pair[1] != nil {
				out = append(out, []any{pair[0], stored(valueOf(registry.ValueComposite, pair[1]))})
			}
		}
		return out
	})
	if err != nil || len(composites) == 0 {
		return err
	}
	return nothing(ctx, tx, payloadNewestComposite, params{"rows": composites})
}

// addedUp is what a bucket says of the measurements in it; nil if there are none.
func addedUp(f fields) map[string]any {
	times, held, suspects := f.list("at"), f.list("value"), f.list("suspect")
	if len(times) == 0 {
		return nil
	}
	if len(held) != len(times) || len(suspects) != len(times) {
		f.failed("%d measurements have %d values", len(times), len(held))
		return nil
	}
	of := registry.ValueType(f.text("type"))
	var sum, low, high float64
	var trues, doubted int64
	var first, last int
	for i := range times {
		at, _ := times[i].(int64)
		if before, _ := times[first].(int64); at < before {
			first = i
		}
		if after, _ := times[last].(int64); at > after {
			last = i
		}
		switch v := valueOf(of, held[i]).(type) {
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
		if suspects[i] != nil {
			doubted++
		}
	}
	value := func(i int) any { return stored(valueOf(of, held[i])) }
	out := map[string]any{"count": len(times), "first": times[first], "firstValue": value(first), "suspects": nil}
	if doubted > 0 {
		out["suspects"] = doubted
	}
	switch of {
	case registry.ValueNumber:
		out["sum"], out["min"], out["max"] = sum, low, high
	case registry.ValueBoolean:
		out["trueCount"] = trues
	}
	if f.boolean("closed") && !f.boolean("newest") {
		out["last"], out["lastValue"], out["lastSuspect"] = times[last], value(last), suspects[last]
	}
	return out
}
