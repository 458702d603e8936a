package graph

import (
	"context"
	"fmt"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// appendLate finds, for values that are not newer than the newest, the buckets
// of their days, and what those hold at their times: by one list a bucket,
// since looking each value up alone is twenty times as slow.
var appendLate = named("append.late", `
	UNWIND $rows AS r
	MATCH (s) WHERE elementId(s) = r[0]
	UNWIND r[2] AS day
	MATCH (s)-[h:HAS_BUCKET]->(b:Bucket) USING INDEX SEEK h:HAS_BUCKET(series, day)
	WHERE h.series = s.id AND h.day = day
	RETURN collect({
		series: r[0], element: elementId(b), from: b.from, to: b.to, links: b.links, count: b.count, first: b.first,
		unit: coalesce(b.unit, s.unit, ''), rawUntil: b.rawUntil,
		held: CASE WHEN any(t IN r[1] WHERE b.from <= t AND t < b.to)
			THEN [(b)-[:HAS_MEASUREMENT]->(m) WHERE m.at IN r[1] | [m.at, coalesce(m.value, properties(m)), m.suspect]] ELSE [] END
	}) AS buckets`)

// held is what the database says about the times of a measure's late values.
type held struct {
	buckets map[*knownSeries][]*knownBucket
	values  map[int64]taken
}

// findLate looks the late values up and plans those that are new.
func (b *batch) findLate(ctx context.Context) error {
	var rows []any
	series := map[string]*knownSeries{}
	for _, m := range b.touched {
		if len(m.late) == 0 {
			continue
		}
		times, days := m.lateTimes()
		for _, s := range m.series {
			if s.element == "" {
				continue
			}
			series[s.element] = s
			rows = append(rows, []any{s.element, times, days})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	found := map[*knownMeasure]*held{}
	for _, m := range b.touched {
		if len(m.late) > 0 {
			found[m] = &held{buckets: map[*knownSeries][]*knownBucket{}, values: map[int64]taken{}}
		}
	}
	_, _, err := one(ctx, b.partition.store.writing(registry.Scope{}), appendLate, params{"rows": rows}, func(f fields) bool {
		for _, row := range f.maps("buckets") {
			s := series[row.text("series")]
			if s == nil {
				row.failed("an unknown series")
				continue
			}
			found[s.measure].take(s, row)
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("look up late readings: %w", err)
	}
	for _, m := range b.touched {
		for _, i := range m.late {
			b.placeLate(m, &m.batch[i], found[m])
		}
	}
	return nil
}

// lateTimes are the times of the late values and the days that they lie in, in
// order.
func (m *knownMeasure) lateTimes() (times, days []any) {
	before := int64(-1)
	for _, i := range m.late {
		at := m.batch[i].at
		times = append(times, at)
		if d := at - at%day; d != before {
			days = append(days, d)
			before = d
		}
	}
	return times, days
}

func (h *held) take(s *knownSeries, row fields) {
	bucket := loadedBucket(s.measure, row)
	h.buckets[s] = append(h.buckets[s], bucket)
	for _, triple := range row.list("held") {
		three, ok := triple.([]any)
		if !ok || len(three) != 3 {
			row.failed("a measurement is %v", triple)
			return
		}
		at, ok := three[0].(int64)
		if !ok {
			row.failed("a time is %T", three[0])
			return
		}
		reason, _ := three[2].(string)
		h.values[at] = s.measure.taken(valueOf(s.valueType, three[1]), suspicionOf(registry.SuspectReason(reason)), bucket)
	}
}

// placeLate plans a late value: into the bucket that the links of its time have
// for it, or into a new one.
func (b *batch) placeLate(m *knownMeasure, v *incoming, h *held) {
	if by, ok := h.values[v.at]; ok {
		b.same(m, v, by)
		return
	}
	plan := b.planOf(m, v.value)
	if v.at > plan.lastAt {
		// Values of another type are newer, of its own none is.
		h.values[v.at] = taken{value: v.value, suspect: v.suspect}
		b.place(m, v)
		return
	}
	buckets := h.buckets[plan.series]
	i := slices.IndexFunc(buckets, func(k *knownBucket) bool { return k.takes(v.at) })
	if i < 0 && slices.ContainsFunc(buckets, func(k *knownBucket) bool { return k.lost(v.at) }) {
		b.tooLate(m, v)
		return
	}
	h.values[v.at] = taken{value: v.value, suspect: v.suspect}
	var into *knownBucket
	switch {
	case i >= 0:
		into = buckets[i]
	default:
		if j := slices.IndexFunc(plan.born, func(k *knownBucket) bool { return k.takes(v.at) }); j >= 0 {
			into = plan.born[j]
		}
	}
	if into == nil {
		into = b.lateBucket(plan, v.at, buckets)
	}
	b.lateGroup(plan, into).add(v)
	b.isNew(v)
}

// lateBucket begins a bucket between others. It is a day long if the day has no
// bucket under the same links and its readings are few, else an hour: so no two
// buckets of the same links ever overlap.
func (b *batch) lateBucket(plan *seriesPlan, at int64, others []*knownBucket) *knownBucket {
	m := plan.series.measure
	seg := m.segment(at)
	whole := newBucket(seg, at, day)
	overlaps := func(k *knownBucket) bool {
		return k.usableFrom < whole.to && k.usableTo > whole.from || k.swept && k.from < whole.to && k.to > whole.from
	}
	bucket := whole
	if slices.ContainsFunc(others, overlaps) || slices.ContainsFunc(plan.born, overlaps) || m.latePeriod(whole) == hour {
		bucket = newBucket(seg, at, hour)
	}
	bucket.unit = m.unit()
	plan.born = append(plan.born, bucket)
	g := &group{plan: plan, bucket: bucket, segment: seg}
	b.births = append(b.births, g)
	b.late = append(b.late, g)
	if plan.period == 0 {
		plan.period = hour
	}
	return bucket
}

// latePeriod is the period that fits the late values within a day.
func (m *knownMeasure) latePeriod(whole *knownBucket) int64 {
	var n, first, last int64
	for _, i := range m.late {
		at := m.batch[i].at
		if at < whole.from || at >= whole.to {
			continue
		}
		if n == 0 {
			first = at
		}
		n, last = n+1, at
	}
	return periodFor(last-first, n)
}

func (b *batch) lateGroup(plan *seriesPlan, bucket *knownBucket) *group {
	for i := len(b.late) - 1; i >= 0; i-- {
		if b.late[i].bucket == bucket {
			return b.late[i]
		}
	}
	g := &group{plan: plan, bucket: bucket}
	b.late = append(b.late, g)
	return g
}
