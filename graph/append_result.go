package graph

import (
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// settleOutcome counts what becomes of the readings that the ledger does not
// have yet: a dead letter if any value was refused, else stored if any is new,
// else a repeat.
func (b *batch) settleOutcome() {
	b.counts = ledgerCounts{}
	for i := range b.items {
		it := &b.items[i]
		switch {
		case it.counted:
		case len(it.refusals) > 0:
			b.counts.deadLetters++
		case it.fresh:
			b.counts.stored++
		default:
			b.counts.repeats++
		}
	}
}

// isNew says that the series is yet to be made. A transaction that runs again
// may have found an id for it already, which then is void.
func (s *knownSeries) isNew() bool { return s.period == 0 }

// remember takes over what was committed.
func (b *batch) remember() {
	p := b.partition
	if last := b.items[len(b.items)-1].at; last.compare(p.counted) > 0 {
		p.counted = last
	}
	for _, plan := range b.plans {
		s, m := plan.series, plan.series.measure
		if s.isNew() {
			p.devices.series++
		}
		s.period, s.newest, s.lastAt, s.lastValue, s.suspect = plan.period, plan.newest, plan.lastAt, plan.lastValue, plan.suspect
		m.lastAt = max(m.lastAt, s.lastAt)
	}
	for _, groups := range [][]*group{b.numbers, b.others, b.late} {
		for _, g := range groups {
			k := g.bucket
			if k.count == 0 || g.firstAt < k.first {
				k.first = g.firstAt
			}
			k.count += g.n
		}
	}
}

// abandon forgets the plan, whether it was carried out or not.
func (b *batch) abandon() {
	for _, plan := range b.plans {
		plan.series.plan = nil
	}
	for _, m := range b.touched {
		m.batch = m.batch[:0]
		m.series = slices.DeleteFunc(m.series, (*knownSeries).isNew)
	}
}

func (b *batch) count(result *registry.AppendResult) {
	result.Stored += b.counts.stored
	result.Repeats += b.counts.repeats
	result.DeadLetters += b.counts.deadLetters
	result.Measurements += b.fresh
}

// updates gathers the newest value of each measure, by twin.
type updates struct {
	list []registry.TwinUpdate
	at   map[registry.ID]int
	// alarming are the accounts that have alarms: to these every value counts.
	alarming map[registry.ID]bool
	// items are those of the batch.
	items []item
}

func newUpdates() *updates { return &updates{at: map[registry.ID]int{}} }

// add tells what a batch brought, repeats included: of the devices, and of the
// assets that were linked to them at that time.
func (u *updates) add(b *batch) {
	u.alarming, u.items = b.partition.alarming, b.items
	for _, m := range b.touched {
		u.addMeasure(m)
	}
	for i := range b.items {
		u.see(&b.items[i])
	}
}

// see notes when a device was seen: not by what an import brought back or was
// received before, nor by a reading of which nothing could be used.
func (u *updates) see(it *item) {
	if it.device == nil || it.device.asset || it.reading.Again || it.reading.Source == registry.SourceRestored {
		return
	}
	i, ok := u.at[it.device.id]
	if !ok {
		if len(it.reading.Values) > 0 || len(it.refusals) > 0 {
			return
		}
		i = u.begin(it.device.account, it.device.id)
	}
	update, at := &u.list[i], it.reading.ReceivedAt
	update.Silence = it.device.template.SilenceFor()
	if update.Seen.Before(at) {
		update.Seen = at
	}
	if update.SeenFirst.IsZero() || at.Before(update.SeenFirst) {
		update.SeenFirst = at
	}
}

func (u *updates) addMeasure(m *knownMeasure) {
	newest := -1
	for i := range m.batch {
		if !m.batch[i].refused {
			newest = i
		}
	}
	if newest < 0 {
		return
	}
	d := m.device
	u.set(d.account, d.id, m.live(m.name, &m.batch[newest]))
	for i := range m.batch {
		if v := &m.batch[i]; !v.refused && u.alarming[d.account] && u.decides(v) {
			u.step(d.id, m.live(m.name, v))
		}
	}
	for l := range d.links {
		link := &d.links[l]
		to, mapped := link.measures[m.name]
		if !mapped {
			continue
		}
		for i := newest; i >= 0; i-- {
			v := &m.batch[i]
			if link.hands(m, to, v) {
				u.set(d.account, link.asset, to.live(m, v))
				if u.alarming[d.account] {
					u.assetSteps(m, link, to, i)
				}
				break
			}
		}
	}
}

// live is a value as the newest one of a measure.
func (m *knownMeasure) live(measure string, v *incoming) registry.LiveValue {
	return registry.LiveValue{Measure: measure, Value: v.value, MeasuredAt: time.UnixMilli(v.at).UTC(), Unit: m.unit(), Suspect: v.suspect.reason()}
}

// hands says whether a link hands a value on to a measure of the asset.
func (l *knownLink) hands(m *knownMeasure, to assetMeasure, v *incoming) bool {
	return !v.refused && l.since <= v.at && v.at < l.until && to.takes(m.typeOf(v.value))
}

// live is a value as the asset has it.
func (a assetMeasure) live(m *knownMeasure, v *incoming) registry.LiveValue {
	value := m.live(a.name, v)
	if a.unit != "" && value.Unit != "" {
		value.Value, value.Unit = converted(value.Value, value.Unit, a.unit), a.unit
	}
	return value
}

// assetSteps adds the values that a link hands on, up to one of the batch.
func (u *updates) assetSteps(m *knownMeasure, link *knownLink, to assetMeasure, last int) {
	for i := range last + 1 {
		if v := &m.batch[i]; link.hands(m, to, v) && u.decides(v) {
			u.step(link.asset, to.live(m, v))
		}
	}
}

// decides says whether a value counts for alarms: not one that an import brought
// back.
func (u *updates) decides(v *incoming) bool {
	return u.items[v.item].reading.Source != registry.SourceRestored
}

// step adds one value of a twin that has an update.
func (u *updates) step(twin registry.ID, value registry.LiveValue) {
	update := &u.list[u.at[twin]]
	update.Steps = append(update.Steps, value)
}

func (u *updates) set(account, twin registry.ID, value registry.LiveValue) {
	i, ok := u.at[twin]
	if !ok {
		i = u.begin(account, twin)
	}
	values := u.list[i].Values
	for j := range values {
		if values[j].Measure == value.Measure {
			if value.MeasuredAt.After(values[j].MeasuredAt) {
				values[j] = value
			}
			return
		}
	}
	u.list[i].Values = append(values, value)
}

// begin adds the update of a twin that has none yet.
func (u *updates) begin(account, twin registry.ID) int {
	i := len(u.list)
	u.at[twin] = i
	u.list = append(u.list, registry.TwinUpdate{Account: account, TwinID: twin, Alarming: u.alarming[account]})
	return i
}
