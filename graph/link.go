package graph

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// linkEndsColumns are all that decides about a link between two.
const linkEndsColumns = `
		MATCH (d:Entity {id: $device}) WHERE d.account = $account AND d:Device
		RETURN d.reference AS deviceReference, a.reference AS assetReference, d.version AS deviceVersion, a.version AS assetVersion,
			[(d)-[:INSTANCE_OF]->(t) | t.id][0] AS deviceTemplate, [(a)-[:INSTANCE_OF]->(t) | t.id][0] AS assetTemplate,
			[(d)-[:HAS_SERIES]->(s) | {measure: s.measure, type: s.type, unit: s.unit, lastAt: s.lastAt}] AS series,
			[(d)-[l:LINKED_TO]->(o:Asset) WHERE o <> a | {reference: o.reference, since: l.since, until: l.until}] AS others,
			[(a)<-[l:LINKED_TO]-(o) | {
				id: l.id, device: o.id, reference: o.reference, since: l.since, until: l.until,
				deviceMeasures: l.deviceMeasures, assetMeasures: l.assetMeasures, units: l.units, types: l.types,
				last: CASE WHEN l.until IS NULL THEN [(o)-[:HAS_SERIES]->(s) WHERE s.measure IN l.deviceMeasures | s.lastAt] ELSE [] END,
				deviceVersion: o.version, moving: l.movingFrom IS NOT NULL}] AS links`

var (
	linkEnd = forEachKind("linkEnd", `
		THING
		RETURN n.id AS id`)

	// A property that is set and taken away again locks the asset, so that two
	// links of the same measure are not made at once.
	linkState = named("link.state", `
		MATCH (a:Entity {id: $asset}) WHERE a.account = $account AND a:Asset
		SET a._linking = true
		REMOVE a._linking
		WITH a`+linkEndsColumns)

	linkGlance = named("link.glance", `
		MATCH (a:Entity {id: $asset}) WHERE a.account = $account AND a:Asset`+linkEndsColumns)

	linkCreate = named("link.create", `
		MATCH (d:Entity {id: $device}) WHERE d.account = $account
		MATCH (a:Entity {id: $asset}) WHERE a.account = $account
		CREATE (d)-[:LINKED_TO {id: $id, since: $since, deviceMeasures: $deviceMeasures, assetMeasures: $assetMeasures, units: $units, types: $types, movingFrom: $movingFrom}]->(a)
		WITH a
		UNWIND $series AS r
		WITH a, r, COUNT { (a)-[:HAS_SERIES]->(x:Series) WHERE x.measure = r.measure } AS before
		MERGE (s:Series {key: r.key})
		ON CREATE SET s += r, s.generation = before + 1
		MERGE (a)-[:HAS_SERIES]->(s)`)

	linkEndNow = named("link.end", `
		MATCH (d:Entity {id: $device})-[l:LINKED_TO {id: $id}]->(a:Entity {id: $asset})
		WHERE d.account = $account
		SET l.until = $until
		RETURN l.until AS n`)

	// An end that was deleted is still an end of what the other was.
	linksOf = named("link.of", `
		UNWIND $ids AS id
		MATCH (t:Entity {id: id})
		WHERE t.account = $account
		RETURN collect({id: id, links: COLLECT {
			MATCH (t)-[l:LINKED_TO]-()
			WITH l, startNode(l) AS d, endNode(l) AS a
			RETURN {id: l.id, device: d.id, deviceReference: d.reference, asset: a.id, assetReference: a.reference, since: l.since, until: l.until,
				moving: l.movingFrom IS NOT NULL, deviceMeasures: l.deviceMeasures, assetMeasures: l.assetMeasures}
		}}) AS twins`)
)

// linkNode is a link of the asset, as stored.
type linkNode struct {
	link          registry.Link
	reference     string
	deviceVersion int
	units, types  []string
	// last is when the device last measured something that the link maps.
	last time.Time
}

// linkEnds is all that decides about a link between a device and an asset.
type linkEnds struct {
	deviceReference, assetReference string
	deviceVersion, assetVersion     int
	deviceTemplate, assetTemplate   registry.ID
	device, asset                   *registry.Template
	series                          []deviceSeries
	links                           []linkNode
	// others are the device's links to other assets.
	others []otherLink
	// restored says that a link is made from a file.
	restored bool
}

// otherLink is a link of the device to another asset.
type otherLink struct {
	reference string
	since     time.Time
	// until is nil while it holds.
	until *time.Time
}

type deviceSeries struct {
	measure   string
	valueType registry.ValueType
	unit      string
	lastAt    time.Time
}

// LinksOf returns the links of devices and assets, ended ones too, newest
// first: one slot an id, in order.
func (s *Store) LinksOf(ctx context.Context, scope registry.Scope, twins []registry.ID) ([][]*registry.Link, error) {
	if scope.AsOf != nil {
		return s.pastLinks(ctx, scope, twins)
	}
	found, _, err := one(ctx, s.reading(scope), linksOf, params{"ids": texts(twins)}, func(f fields) map[registry.ID][]*registry.Link {
		out := map[registry.ID][]*registry.Link{}
		for _, twin := range f.maps("twins") {
			var links []*registry.Link
			for _, l := range twin.maps("links") {
				link := linkBetween(l)
				link.Moving = l.boolean("moving")
				links = append(links, link)
			}
			slices.SortFunc(links, newestLink)
			out[twin.id("id")] = links
		}
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("links: %w", err)
	}
	return slots(twins, found), nil
}

func newestLink(x, y *registry.Link) int {
	if c := y.Since.Compare(x.Since); c != 0 {
		return c
	}
	if x.ID > y.ID {
		return -1
	}
	return 1
}

// linkBetween reads a link with both of its ends.
func linkBetween(f fields) *registry.Link {
	link := linkOf(f)
	link.AssetID, link.DeviceReference, link.AssetReference = f.id("asset"), f.text("deviceReference"), f.text("assetReference")
	return &link
}

// linkOf reads a link but for its asset.
func linkOf(f fields) registry.Link {
	l := registry.Link{ID: f.id("id"), DeviceID: f.id("device"), Since: f.millis("since"), Until: f.optionalMillis("until")}
	from, to := f.texts("deviceMeasures"), f.texts("assetMeasures")
	if len(from) != len(to) {
		f.failed("link %s maps %d measures to %d", l.ID, len(from), len(to))
		return l
	}
	for i := range from {
		l.Measures = append(l.Measures, registry.MeasureMapping{Device: from[i], Asset: to[i]})
	}
	return l
}

// recordLink notes a link's beginning or end with both of its ends. Of a link
// that only some measures are taken from, or added to, link has these alone.
func (t *transaction) recordLink(action string, link *registry.Link, ends linkEnds) {
	t.recordLinkOf(action, link, ends.deviceReference, ends.deviceVersion, ends)
}

// recordLinkOf is recordLink for any device of the asset.
func (t *transaction) recordLinkOf(action string, link *registry.Link, deviceReference string, deviceVersion int, ends linkEnds) {
	for _, e := range linkEntries(action, link, deviceReference, deviceVersion, ends) {
		t.record(e)
	}
}

// linkEntries are what a link's beginning or end is to its device and its asset.
func linkEntries(action string, link *registry.Link, deviceReference string, deviceVersion int, ends linkEnds) []entry {
	entries := []entry{
		{kind: registry.ObjectDevice, id: link.DeviceID, key: deviceReference, version: deviceVersion,
			relations: []registry.Difference{linkDifference(registry.KindAsset, ends.assetReference, link, action == "linked")}},
		{kind: registry.ObjectAsset, id: link.AssetID, key: ends.assetReference, version: ends.assetVersion,
			relations: []registry.Difference{linkDifference(registry.KindDevice, deviceReference, link, action == "linked")}},
	}
	for i := range entries {
		entries[i].operation, entries[i].action = registry.ChangeUpdate, action
	}
	return entries
}

func linkDifference(kind registry.Kind, key string, link *registry.Link, made bool) registry.Difference {
	measures := make([]any, len(link.Measures))
	for i, m := range link.Measures {
		measures[i] = map[string]any{"device": m.Device, "asset": m.Asset}
	}
	end := map[string]any{"id": string(link.ID), "kind": string(kind), "key": key, "since": moment(link.Since), "measures": measures}
	if made {
		return registry.Difference{Path: "links", After: end}
	}
	return registry.Difference{Path: "links", Before: end}
}

// lockEnds finds a device and an asset, keeps readings of both and other
// links of the asset out until the transaction ends, and reads what decides.
func (s *Store) lockEnds(ctx context.Context, tx *transaction, scope registry.Scope, deviceRef, assetRef registry.Ref) (device, asset registry.ID, ends linkEnds, err error) {
	if device, asset, err = findEnds(ctx, tx, deviceRef, assetRef); err != nil {
		return device, asset, ends, err
	}
	if err = s.raiseTopology(ctx, tx, device, asset); err != nil {
		return device, asset, ends, err
	}
	ends, err = s.readEnds(ctx, tx, scope, linkState, device, asset)
	return device, asset, ends, err
}

// readEnds reads what decides about a link.
func (s *Store) readEnds(ctx context.Context, r runner, scope registry.Scope, q query, device, asset registry.ID) (linkEnds, error) {
	ends, found, err := one(ctx, r, q, params{"device": string(device), "asset": string(asset)}, linkEndsOf)
	if err != nil {
		return ends, err
	}
	if !found {
		return ends, registry.Conflict("device", "the device or the asset was deleted meanwhile")
	}
	templates, err := s.TemplatesByID(ctx, scope, []registry.ID{ends.deviceTemplate, ends.assetTemplate})
	if err != nil {
		return ends, err
	}
	if ends.device, ends.asset = templates[0], templates[1]; ends.device == nil || ends.asset == nil {
		err = fmt.Errorf("graph: device %s or asset %s has no template", device, asset)
	}
	return ends, err
}

func findEnds(ctx context.Context, r runner, deviceRef, assetRef registry.Ref) (device, asset registry.ID, err error) {
	if device, err = findEnd(ctx, r, deviceRef, registry.KindDevice); err != nil {
		return device, asset, err
	}
	asset, err = findEnd(ctx, r, assetRef, registry.KindAsset)
	return device, asset, err
}

func findEnd(ctx context.Context, r runner, ref registry.Ref, kind registry.Kind) (registry.ID, error) {
	ref.Kind = kind
	q, p := linkEnd.of(ref, nil)
	id, found, err := one(ctx, r, q, p, func(f fields) registry.ID { return f.id("id") })
	if err == nil && !found {
		err = missing(ref)
	}
	return id, err
}

func linkEndsOf(f fields) linkEnds {
	ends := linkEnds{
		deviceReference: f.text("deviceReference"), assetReference: f.text("assetReference"),
		deviceVersion: f.integer("deviceVersion"), assetVersion: f.integer("assetVersion"),
		deviceTemplate: f.id("deviceTemplate"), assetTemplate: f.id("assetTemplate"),
	}
	for _, s := range f.maps("series") {
		one := deviceSeries{measure: s.text("measure"), valueType: registry.ValueType(s.text("type"))}
		if unit := s.optionalText("unit"); unit != nil {
			one.unit = *unit
		}
		if at := s.optionalMillis("lastAt"); at != nil {
			one.lastAt = *at
		}
		ends.series = append(ends.series, one)
	}
	for _, l := range f.maps("others") {
		ends.others = append(ends.others, otherLink{l.text("reference"), l.millis("since"), l.optionalMillis("until")})
	}
	for _, l := range f.maps("links") {
		node := linkNode{link: linkOf(l), reference: l.text("reference")}
		node.link.DeviceReference, node.link.AssetReference = node.reference, ends.assetReference
		node.link.Moving, _ = l.object["moving"].(bool)
		if l.object["last"] != nil {
			node.deviceVersion, node.units, node.types = l.integer("deviceVersion"), l.texts("units"), l.texts("types")
			for _, at := range l.list("last") {
				if millis, ok := at.(int64); ok {
					node.last = later(node.last, time.UnixMilli(millis).UTC())
				}
			}
		}
		ends.links = append(ends.links, node)
	}
	return ends
}

func later(x, y time.Time) time.Time {
	if y.After(x) {
		return y
	}
	return x
}
