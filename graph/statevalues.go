package graph

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

var (
	// The buckets that hold the newest values until each of some moments: of each
	// series those whose first value lies between the moments, the one before, and
	// those that reach into that: of an asset's they may, where one device took over
	// from another.
	stateBuckets = named("state.buckets", `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		MATCH (t)-[:HAS_SERIES]->(s:Series)
		CALL (s) {
			MATCH (s)-[h:HAS_BUCKET]->(b:Bucket) USING INDEX SEEK h:HAS_BUCKET(series, day)
			WHERE h.series = s.id AND h.day <= $from AND b.first <= $from
			WITH h ORDER BY h.series DESC, h.day DESC LIMIT 1
			RETURN collect(h.day)[0] AS day
		}
		CALL (s, day) {
			MATCH (s)-[h:HAS_BUCKET]->(b:Bucket) USING INDEX SEEK h:HAS_BUCKET(series, day)
			WHERE h.series = s.id AND h.day = day AND b.first <= $from
			RETURN max(b.first) AS floor
		}
		CALL (s, day, floor) {
			MATCH (s)-[h:HAS_BUCKET]->(b:Bucket) USING INDEX SEEK h:HAS_BUCKET(series, day)
			WHERE h.series = s.id AND h.day >= coalesce(day, $from - 86400000) AND h.day <= $to
				AND b.first <= $to AND (b.first >= coalesce(floor, $from) OR b.to > floor)
			RETURN collect({element: elementId(b), first: b.first, to: b.to, last: b.last, lastValue: b.lastValue, lastSuspect: b.lastSuspect, stored: b.unit}) AS buckets
		}
		RETURN collect({measure: s.measure, type: s.type, unit: s.unit, buckets: buckets}) AS series`)

	stateValues = named("state.values", `
		UNWIND $rows AS r
		MATCH (b) WHERE elementId(b) = r[0] AND b.account = $account
		UNWIND r[1] AS moment
		CALL (b, moment) {
			WITH b, moment WHERE b.rawUntil IS NULL
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at <= moment
			RETURN m.at AS at, coalesce(m.value, properties(m)) AS value, m.suspect AS suspect ORDER BY m.at DESC LIMIT 1
			UNION
			WITH b, moment WHERE b.rawUntil IS NOT NULL
			UNWIND range(0, size(b.slotStarts) - 1) AS i
			WITH b, i, moment, b.slotLastAts[i] <= moment AS over WHERE b.slotFirstAts[i] <= moment
			RETURN CASE WHEN over THEN b.slotLastAts[i] ELSE b.slotFirstAts[i] END AS at,
				CASE WHEN over THEN b.slotLasts[i] ELSE b.slotFirsts[i] END AS value, null AS suspect ORDER BY i DESC LIMIT 1
		}
		RETURN collect({element: r[0], moment: moment, at: at, value: value, suspect: suspect, stored: b.unit}) AS found`)

	// The snapshot of each of some moments, and the first there is.
	stateSnapshots = named("state.snapshots", `
		UNWIND $moments AS moment
		CALL (moment) {
			MATCH (c:Change) USING INDEX c:Change(object, at)
			WHERE c.object = $id AND c.at <= moment AND c.account = $account AND c.after IS NOT NULL
			WITH c ORDER BY c.object DESC, c.at DESC, c.position DESC LIMIT 1
			RETURN collect({kind: c.kind, after: c.after})[0] AS snapshot
		}
		WITH snapshot, collect(moment.epochMillis) AS moments
		WITH collect({snapshot: snapshot, moments: moments}) AS known
		CALL () {
			MATCH (c:Change) USING INDEX c:Change(object, at)
			WHERE c.object = $id AND c.at >= $earliest AND c.account = $account AND c.after IS NOT NULL
			RETURN {kind: c.kind, after: c.after} AS made ORDER BY c.object, c.at, c.position LIMIT 1
		}
		RETURN known, made`)
)

// measuresThen are the newest values of a twin by measure.
type measuresThen map[string]registry.LiveValue

func (m measuresThen) take(v registry.LiveValue) {
	if known, ok := m[v.Measure]; !ok || v.MeasuredAt.After(known.MeasuredAt) {
		m[v.Measure] = v
	}
}

func (m measuresThen) list() []registry.LiveValue {
	return slices.SortedFunc(maps.Values(m), func(x, y registry.LiveValue) int { return cmp.Compare(x.Measure, y.Measure) })
}

// stateSeries is a series that values are of.
type stateSeries struct {
	measure string
	of      registry.ValueType
	unit    string
}

func stateSeriesOf(f fields) stateSeries {
	s := stateSeries{measure: f.text("measure"), of: registry.ValueType(f.text("type"))}
	if code := f.optionalText("unit"); code != nil {
		s.unit = *code
	}
	return s
}

// value reads a value of the series, in its unit, from where it stands under
// these names.
func (s stateSeries) value(f fields, at, value, suspect string) registry.LiveValue {
	v := registry.LiveValue{Measure: s.measure, Value: valueOf(s.of, f.value(value)), MeasuredAt: f.millis(at), Unit: s.unit}
	if stored := f.optionalText("stored"); stored != nil && s.unit != "" {
		v.Value = converted(v.Value, *stored, s.unit)
	}
	if reason := f.optionalText(suspect); reason != nil {
		v.Suspect = registry.SuspectReason(*reason)
	}
	return v
}

// stateBucket is a bucket of a series that may hold a value that is wanted.
type stateBucket struct {
	element   string
	first, to int64
	// reach is the last moment that this one or any before it reaches to.
	reach int64
	// last is nil while the bucket is open.
	last *registry.LiveValue
}

// valuesAt looks up the newest values of a twin until each of some moments,
// which rise: one slot a moment.
func (s *Store) valuesAt(ctx context.Context, scope registry.Scope, twin registry.ID, moments []int64) ([]measuresThen, error) {
	out := make([]measuresThen, len(moments))
	for i := range out {
		out[i] = measuresThen{}
	}
	if len(moments) == 0 {
		return out, nil
	}
	type place struct {
		element string
		moment  int64
	}
	wanted := map[place]stateSeries{}
	rows := map[string][]any{}
	p := params{"id": string(twin), "from": moments[0], "to": moments[len(moments)-1]}
	_, _, err := one(ctx, s.reading(scope), stateBuckets, p, func(f fields) struct{} {
		for _, series := range f.maps("series") {
			of := stateSeriesOf(series)
			buckets := of.buckets(series)
			for i, moment := range moments {
				n, _ := slices.BinarySearchFunc(buckets, moment+1, func(b stateBucket, at int64) int { return cmp.Compare(b.first, at) })
				for j := n - 1; j >= 0 && (j == n-1 || buckets[j].reach > buckets[n-1].first); j-- {
					b := buckets[j]
					if j < n-1 && b.to <= buckets[n-1].first {
						continue
					}
					at := place{b.element, moment}
					if b.last != nil && b.last.MeasuredAt.UnixMilli() <= moment {
						out[i].take(*b.last)
					} else if _, known := wanted[at]; !known {
						wanted[at] = of
						rows[b.element] = append(rows[b.element], moment)
					}
				}
			}
		}
		return struct{}{}
	})
	if err != nil || len(rows) == 0 {
		return out, err
	}
	var list []any
	for element, moments := range rows {
		list = append(list, []any{element, moments})
	}
	_, _, err = one(ctx, s.reading(scope), stateValues, params{"rows": list}, func(f fields) struct{} {
		for _, found := range f.maps("found") {
			moment := required[int64](found, "moment")
			v := wanted[place{found.text("element"), moment}].value(found, "at", "value", "suspect")
			for i, at := range moments {
				if at == moment {
					out[i].take(v)
				}
			}
		}
		return struct{}{}
	})
	return out, err
}

func (s stateSeries) buckets(f fields) []stateBucket {
	rows := f.maps("buckets")
	out := make([]stateBucket, len(rows))
	for i, row := range rows {
		out[i] = stateBucket{element: row.text("element"), first: required[int64](row, "first"), to: required[int64](row, "to")}
		if row.object["last"] != nil {
			last := s.value(row, "last", "lastValue", "lastSuspect")
			out[i].last = &last
		}
	}
	slices.SortFunc(out, func(x, y stateBucket) int { return cmp.Compare(x.first, y.first) })
	for i := range out {
		out[i].reach = out[i].to
		if i > 0 {
			out[i].reach = max(out[i].to, out[i-1].reach)
		}
	}
	return out
}

// fill gives entries, oldest first, the state of their moments.
func (r *stateReading) fill(ctx context.Context, entries []*registry.StateEntry, measured bool) error {
	if len(entries) == 0 {
		return nil
	}
	moments := make([]int64, len(entries))
	for i, e := range entries {
		moments[i] = e.At.UnixMilli()
	}
	looked := moments
	if measured {
		// Every moment after the first is among the entries.
		looked = moments[:1]
	}
	values, err := r.valuesAt(ctx, r.scope, r.twin, looked)
	if err != nil {
		return err
	}
	states, err := r.statesAt(ctx, r.scope, r.twin, moments)
	if err != nil {
		return err
	}
	then := values[0]
	for i, e := range entries {
		if !measured {
			then = values[i]
		} else if e.Cause == registry.StateMeasurement {
			for _, v := range r.values[moments[i]] {
				then.take(v)
			}
		}
		if state := states[i]; state != nil {
			at := e.At
			e.PastState = *state
			e.At = at
		}
		e.Measures = then.list()
	}
	return nil
}

// statesAt are the snapshots of a twin at some moments; before it was made, as
// it was made. Nil where nothing is known of it.
func (s *Store) statesAt(ctx context.Context, scope registry.Scope, twin registry.ID, moments []int64) ([]*registry.PastState, error) {
	times := make([]time.Time, len(moments))
	for i, at := range moments {
		times[i] = time.UnixMilli(at).UTC()
	}
	times = slices.Compact(times)
	known := map[int64]*registry.PastState{}
	var made *registry.PastState
	_, _, err := one(ctx, s.reading(scope), stateSnapshots, params{"id": string(twin), "moments": times, "earliest": time.UnixMilli(0).UTC()}, func(f fields) struct{} {
		made = stateIn(f.nested("made"))
		for _, item := range f.maps("known") {
			state := made
			if snapshot, ok := item.optionalMap("snapshot"); ok {
				state = stateIn(snapshot)
			}
			for _, at := range item.list("moments") {
				if at, ok := at.(int64); ok {
					known[at] = state
				}
			}
		}
		return struct{}{}
	})
	if err != nil {
		return nil, err
	}
	out := make([]*registry.PastState, len(moments))
	for i, at := range moments {
		out[i] = known[at]
	}
	return out, nil
}

// stateIn reads what a snapshot says of a twin's state.
func stateIn(f fields) *registry.PastState {
	switch twin := fromSnapshot(f, registry.ObjectKind(f.text("kind"))).(type) {
	case *registry.Device:
		return &registry.PastState{Reference: twin.Reference, TemplateID: twin.TemplateID, State: twin.State, Attributes: twin.Attributes}
	case *registry.Asset:
		return &registry.PastState{Reference: twin.Reference, TemplateID: twin.TemplateID, State: twin.State, Attributes: twin.Attributes}
	}
	return nil
}

// StateAt returns what a twin was at a moment; nil if there was no trace of it
// yet: neither the twin itself nor a measurement of it.
func (s *Store) StateAt(ctx context.Context, scope registry.Scope, twin registry.ID, at time.Time) (*registry.PastState, error) {
	if at.After(s.now().Add(ahead)) {
		return nil, registry.InvalidField("time", "future", "this moment has not come yet: %s", moment(at))
	}
	moment := at.UnixMilli()
	values, err := s.valuesAt(ctx, scope, twin, []int64{moment})
	if err != nil {
		return nil, fmt.Errorf("measures at a moment: %w", err)
	}
	scope.AsOf = &at
	found, err := s.past(ctx, scope, []registry.ID{twin})
	if err != nil {
		return nil, fmt.Errorf("state at a moment: %w", err)
	}
	if found[twin] == nil && len(values[0]) == 0 {
		return nil, nil
	}
	states, err := s.statesAt(ctx, scope, twin, []int64{moment})
	if err != nil || states[0] == nil {
		return nil, err
	}
	states[0].At, states[0].Measures = time.UnixMilli(moment).UTC(), values[0].list()
	return states[0], nil
}
