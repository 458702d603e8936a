package graph

import (
	"math"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// incoming is one value of a measure in the batch at hand.
type incoming struct {
	at    int64
	value any
	item  int32
	// refused values are not stored; repeats are stored already.
	refused, repeat bool
	suspect         suspicion
	// sent is the unit that the value was sent in, nil if that is the device's.
	sent *string
}

// batch is what is to be done for some readings, worked out in memory. Nothing
// that the partition remembers changes until it has been committed.
type batch struct {
	partition *Partition
	items     []item
	// touched are the measures that the batch has values of.
	touched []*knownMeasure
	plans   []*seriesPlan
	births  []*group
	// numbers, others and late are the groups to write: new numbers, new values
	// of other types, and values that are older than the newest.
	numbers, others, late []*group
	// fresh counts the values that are new.
	fresh  int
	counts ledgerCounts
}

type ledgerCounts struct{ stored, repeats, deadLetters int }

// seriesPlan is what the batch does to one series.
type seriesPlan struct {
	series *knownSeries
	// newest is the bucket that the newest value goes into.
	newest    *knownBucket
	period    int64
	lastAt    int64
	lastValue any
	// suspect is what is to be said of the last value.
	suspect suspicion
	// hot is the group of the newest bucket.
	hot *group
	// born are the buckets that the batch makes, for late values to fall into.
	born []*knownBucket
	// closedAt and closed are the last value that the bucket which was the
	// newest before the batch takes.
	closedAt      int64
	closed        any
	closedSuspect suspicion
}

// group is what one bucket gets, with its roll-up.
type group struct {
	plan             *seriesPlan
	bucket           *knownBucket
	segment          segment
	n                int64
	sum, low, high   float64
	trues            int64
	firstAt, lastAt  int64
	first, last      any
	rows             []any
	becomesTheNewest bool
	// detailed are the measurements that have more than a time and a value.
	detailed    []any
	suspects    int64
	lastSuspect suspicion
}

// add adds a value, which may be in another unit than the bucket's.
func (g *group) add(v *incoming) {
	at, value := v.at, v.value
	if own := g.plan.series.measure.unit(); g.bucket.unit != own {
		value = converted(value, own, g.bucket.unit)
	}
	if g.n == 0 || at < g.firstAt {
		g.firstAt, g.first = at, value
	}
	if g.n == 0 || at > g.lastAt {
		g.lastAt, g.last, g.lastSuspect = at, value, v.suspect
	}
	switch v := value.(type) {
	case float64:
		if g.n == 0 {
			g.low, g.high = v, v
		}
		g.sum += v
		g.low, g.high = min(g.low, v), max(g.high, v)
	case bool:
		if v {
			g.trues++
		}
	}
	g.n++
	if v.suspect != trusted {
		g.suspects++
	}
	if _, composite := value.(registry.Composite); composite || v.suspect != trusted || v.sent != nil {
		g.detailed = append(g.detailed, detailed(at, value, v))
		return
	}
	g.rows = append(g.rows, []any{at, stored(value)})
}

// plan decides what is to be done with each value, as far as memory tells; the
// late ones are left for findLate.
func (p *Partition) plan(items []item) *batch {
	b := &batch{partition: p, items: items}
	for i := range items {
		it := &items[i]
		it.fresh, it.refusals, it.device = false, nil, nil
		it.counted = it.at.compare(p.counted) <= 0
		b.receive(it, int32(i))
	}
	for _, m := range b.touched {
		b.classify(m)
	}
	return b
}

// receive checks a reading again, as things are now, and hands its values to
// their measures.
func (b *batch) receive(it *item, index int32) {
	r := it.reading
	d := b.partition.devices.find(r.DeviceID)
	if r.Refused != nil {
		it.refusals = append(it.refusals, *r.Refused)
		if d != nil && d.account == r.Account {
			it.device = d
		}
		return
	}
	if r.Asset && (d == nil || d.account != r.Account || !d.asset) {
		it.refuse(registry.ReasonUnknownAsset, "", "asset "+r.Reference+" does not exist")
		return
	}
	if d == nil || d.account != r.Account || d.asset != r.Asset {
		it.refuse(registry.ReasonUnknownDevice, "", "device "+r.Reference+" does not exist")
		return
	}
	it.device = d
	if len(r.Values)+len(r.Attributes) == 0 {
		it.refuse(registry.ReasonMalformed, "", "a reading has at least one value, or attributes of its device")
		return
	}
	measured := r.MeasuredAt
	if measured.IsZero() {
		measured = r.ReceivedAt
	}
	// The clock of the queue may be behind the one by which the reading was accepted.
	if refusal := registry.CheckTime(measured, later(r.ReceivedAt, b.partition.store.now())); refusal != nil {
		it.refusals = append(it.refusals, *refusal)
		return
	}
	it.fresh = len(r.Values) == 0 // it only says something of its device, which was set when it came
	at := measured.UnixMilli()
	for name, value := range r.Values {
		m := d.measures[name]
		if m == nil {
			m = d.newMeasure(name)
		}
		accepted, sent, refusal := m.accept(value)
		if refusal != nil {
			it.refusals = append(it.refusals, *refusal)
			continue
		}
		if len(d.feeds) > 0 && r.Source != registry.SourceRestored { // it was taken once
			if refusal := d.template.CheckManual(name, measured, d.feeds); refusal != nil {
				it.refusals = append(it.refusals, *refusal)
				continue
			}
		}
		d.measures[name] = m
		if len(m.batch) == 0 {
			b.touched = append(b.touched, m)
		}
		v := incoming{at: at, value: accepted, item: index}
		if sent != "" {
			other := sent // or every value would be allocated
			v.sent = &other
		}
		if m.limited {
			v.suspect = m.judge(accepted)
		}
		m.batch = append(m.batch, v)
	}
}

func (it *item) refuse(reason registry.DeadLetterReason, measure, message string) {
	it.refusals = append(it.refusals, registry.Refusal{Reason: reason, Measure: measure, Message: message})
}

// classify sorts the values of a measure by time, drops what the batch repeats,
// and plans what is new.
func (b *batch) classify(m *knownMeasure) {
	byTime := func(x, y incoming) int {
		if x.at < y.at {
			return -1
		}
		if x.at > y.at {
			return 1
		}
		return 0
	}
	if !slices.IsSortedFunc(m.batch, byTime) {
		slices.SortStableFunc(m.batch, byTime)
	}
	m.late = m.late[:0]
	var placed taken
	for i := range m.batch {
		v := &m.batch[i]
		switch {
		case v.at > m.lastAt && i > 0 && m.batch[i-1].at == v.at:
			b.same(m, v, placed)
		case v.at > m.lastAt:
			b.place(m, v)
			placed = taken{value: v.value, suspect: v.suspect}
		case v.at == m.lastAt:
			b.same(m, v, m.last())
		default:
			m.late = append(m.late, i)
		}
	}
}

// taken is what is stored at a time already.
type taken struct {
	value   any
	suspect suspicion
	// about says that the value was converted and is only about what was sent.
	about bool
}

// last is the newest value of the measure that is stored.
func (m *knownMeasure) last() taken {
	for _, s := range m.series {
		if s.lastAt == m.lastAt {
			return m.taken(s.lastValue, s.suspect, s.newest)
		}
	}
	return taken{}
}

// taken is a value of a bucket in the unit of the measure.
func (m *knownMeasure) taken(value any, suspect suspicion, in *knownBucket) taken {
	if own := m.unit(); in != nil && in.unit != own {
		return taken{converted(value, in.unit, own), suspect, true}
	}
	return taken{value, suspect, false}
}

// same decides about a value whose time is taken.
func (b *batch) same(m *knownMeasure, v *incoming, by taken) {
	if registry.SameValue(v.value, by.value) || by.about && nearly(v.value, by.value) {
		v.repeat, v.suspect = true, by.suspect
		return
	}
	v.refused = true
	b.items[v.item].refuse(registry.ReasonConflictingValue, m.name, "another value of "+m.name+" is stored for that time")
}

// tooLate refuses a value of a time of which single measurements are no longer
// kept: it may have been one of them.
func (b *batch) tooLate(m *knownMeasure, v *incoming) {
	v.refused = true
	b.items[v.item].refuse(registry.ReasonNoLongerKept, m.name, "single measurements of "+m.name+" from that time are no longer kept")
}

// place plans a new value: into the newest bucket, or into a bucket after it.
func (b *batch) place(m *knownMeasure, v *incoming) {
	plan := b.planOf(m, v.value)
	if m.limited && v.suspect == trusted && plan.newest != nil {
		before := m.taken(plan.lastValue, trusted, plan.newest)
		v.suspect = m.judgeChange(before.value, v.value, v.at-plan.lastAt)
	}
	if !plan.newest.takes(v.at) || plan.newest.unit != m.unit() {
		b.nextBucket(plan, v.at)
	}
	if plan.hot == nil {
		plan.hot = &group{plan: plan, bucket: plan.newest}
		b.file(plan.hot)
	}
	plan.hot.add(v)
	plan.lastAt, plan.lastValue, plan.suspect = v.at, v.value, v.suspect
	b.isNew(v)
}

func (b *batch) isNew(v *incoming) {
	b.fresh++
	b.items[v.item].fresh = true
}

func (b *batch) file(g *group) {
	if g.plan.series.valueType == registry.ValueNumber {
		b.numbers = append(b.numbers, g)
	} else {
		b.others = append(b.others, g)
	}
}

// planOf finds or begins the plan of the series that a value belongs to; the
// series too, if it is the first value of its type.
func (b *batch) planOf(m *knownMeasure, value any) *seriesPlan {
	t := m.typeOf(value)
	s := m.of(t)
	if s == nil {
		s = &knownSeries{
			measure: m, key: m.device.seriesKey(m.name, t), valueType: t,
			generation: len(m.series) + 1, lastAt: math.MinInt64,
		}
		m.series = append(m.series, s)
	}
	if s.plan == nil {
		s.plan = &seriesPlan{series: s, newest: s.newest, period: s.period, lastAt: s.lastAt, lastValue: s.lastValue, suspect: s.suspect}
		b.plans = append(b.plans, s.plan)
	}
	return s.plan
}

// seriesKey identifies a series: each type of a measure has its own.
func seriesKey(twin registry.ID, measure string, t registry.ValueType) string {
	return string(twin) + "/" + measure + "/" + string(t)
}

// seriesKey identifies a series that readings of the device itself are stored
// in. An asset has such series beside those that it shares with devices: only its
// own partition writes them, as only theirs write the others.
func (d *knownDevice) seriesKey(measure string, t registry.ValueType) string {
	if d.asset {
		return seriesKey(d.id, measure, t) + "/manual"
	}
	return seriesKey(d.id, measure, t)
}

// nextBucket begins a bucket for a value that is newer than all before.
func (b *batch) nextBucket(plan *seriesPlan, at int64) {
	m := plan.series.measure
	plan.period = plan.periodAt(at)
	seg := m.segment(at)
	next := newBucket(seg, at, plan.period)
	next.unit = m.unit()
	if plan.newest.takes(at) || plan.newest.lost(at) { // but in another unit, or after what is gone
		next.from = max(next.from, plan.lastAt+1)
		next.usableFrom = next.from
	}
	if plan.newest != nil && plan.newest == plan.series.newest {
		plan.closedAt, plan.closed, plan.closedSuspect = plan.lastAt, plan.lastValue, plan.suspect
	}
	for _, g := range b.births {
		if g.plan == plan {
			g.becomesTheNewest = false
		}
	}
	plan.newest = next
	plan.born = append(plan.born, next)
	plan.hot = &group{plan: plan, bucket: next, segment: seg, becomesTheNewest: true}
	b.births = append(b.births, plan.hot)
	b.file(plan.hot)
}
