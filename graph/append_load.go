package graph

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// appendLoad reads all that a partition has to know of many devices, and of
// assets that are read by hand: of these only the series of such readings. It names
// no account: the readings of a partition belong to many, and the account of
// each is compared with its device's. A link that begins in the past holds, as
// far as readings are concerned, where its buckets have been moved already.
var appendLoad = named("append.load", `
	UNWIND $ids AS id
	MATCH (d:Entity {id: id}) WHERE d:Device OR d:Asset
	MATCH (d)-[:INSTANCE_OF]->(t:Template)
	RETURN collect({
		id: d.id, asset: d:Asset, feeds: [(d)<-[l:LINKED_TO]-(:Device) | {since: l.since, until: l.until, measures: l.assetMeasures}], account: d.account, element: elementId(d), template: t.id,
		links: [(d)-[l:LINKED_TO]->(a) | {
			id: l.id, asset: a.id, since: coalesce(l.movingFrom, l.since), until: l.until,
			deviceMeasures: l.deviceMeasures, assetMeasures: l.assetMeasures, units: l.units, types: l.types}],
		series: [(d)-[:HAS_SERIES]->(s) WHERE d:Device OR s.manual | {
			element: elementId(s), key: s.key, measure: s.measure, type: s.type, generation: s.generation,
			period: s.period, lastAt: s.lastAt, lastValue: s.lastValue, suspect: s.lastSuspect,
			newest: head([(s)-[:HAS_NEWEST]->(b) | {
				element: elementId(b), links: b.links, from: b.from, to: b.to, count: b.count, first: b.first,
				unit: coalesce(b.unit, s.unit, ''), rawUntil: b.rawUntil}])}]
	}) AS devices`)

// load reads the devices of a batch that are not remembered.
func (p *Partition) load(ctx context.Context, items []item) error {
	var missing []any
	seen := map[registry.ID]bool{}
	for i := range items {
		r := items[i].reading
		if r.DeviceID == "" || r.Refused != nil && r.Payload == nil || seen[r.DeviceID] {
			continue
		}
		seen[r.DeviceID] = true
		if p.devices.find(r.DeviceID) == nil {
			missing = append(missing, string(r.DeviceID))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	loaded, _, err := one(ctx, p.store.writing(registry.Scope{}), appendLoad, params{"ids": missing}, loadedDevices)
	if err != nil {
		return fmt.Errorf("load devices of partition %d: %w", p.number, err)
	}
	if err := p.loadTemplates(ctx, loaded); err != nil {
		return err
	}
	for _, l := range loaded {
		p.devices.add(l.device)
	}
	return nil
}

// loadedDevice is a device whose template is still to be found.
type loadedDevice struct {
	device   *knownDevice
	template registry.ID
}

// loadTemplates fills in the templates, which the store mostly remembers.
func (p *Partition) loadTemplates(ctx context.Context, loaded []loadedDevice) error {
	wanted := map[registry.ID][]registry.ID{}
	for _, l := range loaded {
		if ids := wanted[l.device.account]; !slices.Contains(ids, l.template) {
			wanted[l.device.account] = append(ids, l.template)
		}
	}
	templates := map[registry.ID]*registry.Template{}
	for account, ids := range wanted {
		found, err := p.store.TemplatesByID(ctx, registry.Scope{Account: account}, ids)
		if err != nil {
			return fmt.Errorf("load templates of partition %d: %w", p.number, err)
		}
		for i, t := range found {
			if t == nil {
				return fmt.Errorf("graph: template %s is missing", ids[i])
			}
			templates[t.ID] = t
		}
	}
	for _, l := range loaded {
		l.device.template = templates[l.template]
		for _, m := range l.device.measures {
			m.declare()
		}
	}
	return nil
}

func loadedDevices(f fields) []loadedDevice {
	rows := f.maps("devices")
	out := make([]loadedDevice, len(rows))
	for i, row := range rows {
		d := &knownDevice{id: row.id("id"), account: row.id("account"), element: row.text("element"), asset: row.boolean("asset"), feeds: feedsOf(row), measures: map[string]*knownMeasure{}}
		for _, l := range row.maps("links") {
			d.links = append(d.links, loadedLink(l))
		}
		for _, s := range row.maps("series") {
			loadedSeries(d, s)
		}
		out[i] = loadedDevice{d, row.id("template")}
	}
	return out
}

func loadedLink(f fields) knownLink {
	l := knownLink{
		id: f.text("id"), asset: f.id("asset"), since: required[int64](f, "since"), until: forever,
		measures: map[string]assetMeasure{},
	}
	if until := nullable[int64](f, "until"); until != nil {
		l.until = *until
	}
	from, to := f.texts("deviceMeasures"), f.texts("assetMeasures")
	units, types := f.texts("units"), f.texts("types")
	if len(from) != len(to) || len(from) != len(units) || len(from) != len(types) {
		f.failed("link %s maps %d measures to %d", l.id, len(from), len(to))
		return l
	}
	for i := range from {
		l.measures[from[i]] = assetMeasure{to[i], units[i], registry.ValueType(types[i])}
	}
	return l
}

func loadedSeries(d *knownDevice, f fields) {
	m := d.measure(f.text("measure"))
	s := &knownSeries{
		measure: m, element: f.text("element"), key: f.text("key"), valueType: registry.ValueType(f.text("type")),
		generation: f.integer("generation"), period: required[int64](f, "period"), lastAt: math.MinInt64,
	}
	if at := nullable[int64](f, "lastAt"); at != nil {
		s.lastAt, s.lastValue = *at, valueOf(s.valueType, f.value("lastValue"))
		if reason := f.optionalText("suspect"); reason != nil {
			s.suspect = suspicionOf(registry.SuspectReason(*reason))
		}
	}
	if newest, ok := f.optionalMap("newest"); ok {
		s.newest = loadedBucket(m, newest)
	}
	m.series = append(m.series, s)
	m.lastAt = max(m.lastAt, s.lastAt)
}

func loadedBucket(m *knownMeasure, f fields) *knownBucket {
	b := &knownBucket{
		element: f.text("element"), links: f.texts("links"), from: required[int64](f, "from"), to: required[int64](f, "to"),
		count: required[int64](f, "count"), first: required[int64](f, "first"), unit: f.text("unit"),
		swept: f.value("rawUntil") != nil,
	}
	if !b.swept {
		m.settle(b)
	}
	return b
}
