package graph

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

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
		WITH a
		MATCH (d:Entity {id: $device}) WHERE d.account = $account AND d:Device
		RETURN d.reference AS deviceReference, a.reference AS assetReference, d.version AS deviceVersion, a.version AS assetVersion,
			[(d)-[:INSTANCE_OF]->(t) | t.id][0] AS deviceTemplate, [(a)-[:INSTANCE_OF]->(t) | t.id][0] AS assetTemplate,
			[(d)-[:HAS_SERIES]->(s) | {measure: s.measure, type: s.type, unit: s.unit, lastAt: s.lastAt}] AS series,
			[(a)<-[l:LINKED_TO]-(o:Device) | {
				id: l.id, device: o.id, reference: o.reference, since: l.since, until: l.until,
				deviceMeasures: l.deviceMeasures, assetMeasures: l.assetMeasures}] AS links`)

	linkCreate = named("link.create", `
		MATCH (d:Entity {id: $device}) WHERE d.account = $account
		MATCH (a:Entity {id: $asset}) WHERE a.account = $account
		CREATE (d)-[:LINKED_TO {id: $id, since: $since, deviceMeasures: $deviceMeasures, assetMeasures: $assetMeasures, units: $units, types: $types}]->(a)
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

	linksOf = named("link.of", `
		UNWIND $ids AS id
		MATCH (t:Entity {id: id})
		WHERE t.account = $account
		RETURN collect({id: id, links:
			[(t)-[l:LINKED_TO]->(a:Asset) | {id: l.id, device: t.id, asset: a.id, since: l.since, until: l.until,
				deviceMeasures: l.deviceMeasures, assetMeasures: l.assetMeasures}] +
			[(t)<-[l:LINKED_TO]-(d:Device) | {id: l.id, device: d.id, asset: t.id, since: l.since, until: l.until,
				deviceMeasures: l.deviceMeasures, assetMeasures: l.assetMeasures}]}) AS twins`)
)

// linkNode is a link of the asset, as stored.
type linkNode struct {
	link      registry.Link
	reference string
}

// linkEnds is all that decides about a link between a device and an asset.
type linkEnds struct {
	deviceReference, assetReference string
	deviceVersion, assetVersion     int
	deviceTemplate, assetTemplate   registry.ID
	device, asset                   *registry.Template
	series                          []deviceSeries
	links                           []linkNode
}

type deviceSeries struct {
	measure   string
	valueType registry.ValueType
	unit      string
	lastAt    time.Time
}

// LinkDevice says that an asset has measures of a device from now on, or from
// Since, which must lie after all that the device has measured of them. Without
// a mapping, all measures whose names and types agree are linked. INVALID if
// the measures do not fit, FAILED_PRECONDITION if a measure of the asset has
// another source at that time or the two are linked already.
func (s *Store) LinkDevice(ctx context.Context, scope registry.Scope, n registry.NewLink) (*registry.Link, error) {
	var link *registry.Link
	err := change(ctx, s, scope, "link", func(ctx context.Context, tx *transaction) error {
		device, asset, ends, err := s.lockEnds(ctx, tx, scope, n.Device, n.Asset)
		if err != nil {
			return err
		}
		fitted, err := ends.fit(n.Measures)
		if err != nil {
			return err
		}
		since, err := ends.begin(device, fitted, n.Since, tx.at)
		if err != nil {
			return err
		}
		link = &registry.Link{ID: newID(), DeviceID: device, AssetID: asset, Since: since}
		p := params{"device": string(device), "asset": string(asset), "id": string(link.ID), "since": since.UnixMilli()}
		var from, to, units, types []string
		series := []any{}
		for _, m := range fitted {
			link.Measures = append(link.Measures, m.MeasureMapping)
			from, to, units, types = append(from, m.Device), append(to, m.Asset), append(units, m.unit), append(types, string(m.only))
			if m.valueType != "" {
				series = append(series, map[string]any{
					"id": string(newID()), "account": string(scope.Account), "key": seriesKey(asset, m.Asset, m.valueType),
					"measure": m.Asset, "type": string(m.valueType), "unit": unitOrNil(m.unit),
				})
			}
		}
		p["deviceMeasures"], p["assetMeasures"], p["units"], p["types"], p["series"] = from, to, units, types, series
		tx.recordLink("linked", link, ends)
		return nothing(ctx, tx, linkCreate, p)
	})
	if err != nil {
		return nil, fmt.Errorf("link device: %w", err)
	}
	return link, nil
}

// UnlinkDevice ends the link between a device and an asset, after all that the
// device has measured, and returns it. What was measured stays with the asset.
// FAILED_PRECONDITION if the two are not linked.
func (s *Store) UnlinkDevice(ctx context.Context, scope registry.Scope, deviceRef, assetRef registry.Ref) (*registry.Link, error) {
	var link *registry.Link
	err := change(ctx, s, scope, "unlink", func(ctx context.Context, tx *transaction) error {
		device, asset, ends, err := s.lockEnds(ctx, tx, scope, deviceRef, assetRef)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(ends.links, func(l linkNode) bool { return l.link.DeviceID == device && l.link.Until == nil })
		if i < 0 {
			return registry.FailedPrecondition("device %s is not linked to asset %s", ends.deviceReference, ends.assetReference)
		}
		link = &ends.links[i].link
		link.AssetID = asset
		until := later(tx.at, link.Since.Add(time.Millisecond))
		for _, m := range link.Measures {
			until = later(until, ends.lastAt(m.Device).Add(time.Millisecond))
		}
		link.Until = &until
		_, ended, err := one(ctx, tx, linkEndNow, params{
			"device": string(device), "asset": string(asset), "id": string(link.ID), "until": until.UnixMilli(),
		}, counted)
		if err == nil && !ended {
			err = registry.NotFound("link", string(link.ID))
		}
		tx.recordLink("unlinked", link, ends)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("unlink device: %w", err)
	}
	return link, nil
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
				link := linkOf(l)
				link.AssetID = l.id("asset")
				links = append(links, &link)
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

// recordLink notes a link's beginning or end with both of its ends.
func (t *transaction) recordLink(action string, link *registry.Link, ends linkEnds) {
	for _, e := range []entry{
		{kind: registry.ObjectDevice, id: link.DeviceID, key: ends.deviceReference, version: ends.deviceVersion,
			relations: []registry.Difference{linkDifference(registry.KindAsset, ends.assetReference, link, action == "linked")}},
		{kind: registry.ObjectAsset, id: link.AssetID, key: ends.assetReference, version: ends.assetVersion,
			relations: []registry.Difference{linkDifference(registry.KindDevice, ends.deviceReference, link, action == "linked")}},
	} {
		e.operation, e.action = registry.ChangeUpdate, action
		t.record(e)
	}
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

// lockEnds finds a device and an asset, keeps readings of the device and other
// links of the asset out until the transaction ends, and reads what decides.
func (s *Store) lockEnds(ctx context.Context, tx *transaction, scope registry.Scope, deviceRef, assetRef registry.Ref) (device, asset registry.ID, ends linkEnds, err error) {
	if device, err = findEnd(ctx, tx, deviceRef, registry.KindDevice); err != nil {
		return device, asset, ends, err
	}
	if asset, err = findEnd(ctx, tx, assetRef, registry.KindAsset); err != nil {
		return device, asset, ends, err
	}
	if err = s.raiseTopology(ctx, tx, device); err != nil {
		return device, asset, ends, err
	}
	ends, found, err := one(ctx, tx, linkState, params{"device": string(device), "asset": string(asset)}, linkEndsOf)
	if err != nil {
		return device, asset, ends, err
	}
	if !found {
		return device, asset, ends, registry.Conflict("device", "the device or the asset was deleted meanwhile")
	}
	templates, err := s.TemplatesByID(ctx, scope, []registry.ID{ends.deviceTemplate, ends.assetTemplate})
	if err != nil {
		return device, asset, ends, err
	}
	if ends.device, ends.asset = templates[0], templates[1]; ends.device == nil || ends.asset == nil {
		err = fmt.Errorf("graph: device %s or asset %s has no template", device, asset)
	}
	return device, asset, ends, err
}

func findEnd(ctx context.Context, tx *transaction, ref registry.Ref, kind registry.Kind) (registry.ID, error) {
	ref.Kind = kind
	q, p := linkEnd.of(ref, nil)
	id, found, err := one(ctx, tx, q, p, func(f fields) registry.ID { return f.id("id") })
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
	for _, l := range f.maps("links") {
		ends.links = append(ends.links, linkNode{linkOf(l), l.text("reference")})
	}
	return ends
}

func later(x, y time.Time) time.Time {
	if y.After(x) {
		return y
	}
	return x
}
