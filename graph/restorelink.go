package graph

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

var (
	restoreLinkEnds = named("restore.linkEnds", `
		UNWIND $pairs AS pair
		MATCH (d:Entity {id: pair[0]}) WHERE d.account = $account AND d:Device
		MATCH (a:Entity {id: pair[1]}) WHERE a.account = $account AND a:Asset
		RETURN collect({key: pair[0] + ' ' + pair[1],
			deviceReference: d.reference, assetReference: a.reference, deviceVersion: d.version, assetVersion: a.version,
			deviceTemplate: [(d)-[:INSTANCE_OF]->(t) | t.id][0], assetTemplate: [(a)-[:INSTANCE_OF]->(t) | t.id][0],
			series: [(d)-[:HAS_SERIES]->(s) | {measure: s.measure, type: s.type, unit: s.unit, lastAt: s.lastAt}],
			others: [(d)-[l:LINKED_TO]->(o:Asset) WHERE o <> a | {reference: o.reference, since: l.since, until: l.until}],
			links: [(a)<-[l:LINKED_TO]-(o:Device) | {
				id: l.id, device: o.id, reference: o.reference, since: l.since, until: l.until,
				deviceMeasures: l.deviceMeasures, assetMeasures: l.assetMeasures}]}) AS items`)

	restoreLinks = named("restore.links", `
		UNWIND $links AS link
		MATCH (d:Entity {id: link.device}) WHERE d.account = $account
		MATCH (a:Entity {id: link.asset}) WHERE a.account = $account
		CREATE (d)-[l:LINKED_TO]->(a)
		SET l = link.properties
		RETURN count(l) AS n`)

	restoreSeries = named("restore.series", `
		UNWIND $series AS r
		MATCH (a:Entity {id: r.asset}) WHERE a.account = $account
		WITH a, r.properties AS r, COUNT { (a)-[:HAS_SERIES]->(x:Series) WHERE x.measure = r.properties.measure } AS before
		MERGE (s:Series {key: r.key})
		ON CREATE SET s += r, s.generation = before + 1
		MERGE (a)-[:HAS_SERIES]->(s)`)

	restoreLinkEnd = named("restore.linkEnd", `
		UNWIND $ends AS end
		MATCH (d:Entity {id: end.device})-[l:LINKED_TO {id: end.id}]->(:Asset)
		WHERE d.account = $account
		SET l.until = end.until
		RETURN count(l) AS n`)
)

// linkWrites is what a batch of links comes to.
type linkWrites struct{ links, series, ends []any }

// links restores links, ended ones too. The devices' partitions are held, so
// that no reading falls between what is looked at and what is made.
func (b *restoring) links(ctx context.Context, records []*registry.LinkRecord) error {
	var refs []registry.Ref
	for _, r := range records {
		refs = append(refs, registry.Ref{Kind: registry.KindDevice, Key: r.Device}, registry.Ref{Kind: registry.KindAsset, Key: r.Asset})
	}
	targets, err := b.targets(ctx, refs)
	if err != nil {
		return err
	}
	var devices []registry.ID
	var pairs []any
	for i, r := range records {
		device, asset := targets[refKey(refs[2*i])], targets[refKey(refs[2*i+1])]
		var violations []registry.Violation
		for _, end := range []struct {
			path string
			ref  registry.Ref
			id   registry.ID
		}{{"device", refs[2*i], device.id}, {"asset", refs[2*i+1], asset.id}} {
			if end.id == "" {
				violations = append(violations, registry.Violation{Path: end.path, Rule: "unknown", Message: missing(end.ref).Error()})
			}
		}
		r.Since = r.Since.UTC().Truncate(time.Millisecond)
		if r.Until != nil {
			until := r.Until.UTC().Truncate(time.Millisecond)
			if r.Until = &until; !until.After(r.Since) {
				violations = append(violations, registry.Violation{Path: "until", Rule: "range", Message: "lies after since"})
			}
		}
		if len(r.Measures) == 0 {
			violations = append(violations, registry.Violation{Path: "measures", Rule: "required", Message: "has at least one pair of measures"})
		}
		if !b.refuse(i, violations...) {
			devices = append(devices, device.id, asset.id)
			pairs = append(pairs, []any{string(device.id), string(asset.id)})
		}
	}
	if b.tx != nil && len(devices) > 0 {
		if err := b.store.raiseTopology(ctx, b, devices...); err != nil {
			return err
		}
	}
	ends, err := b.linkEnds(ctx, pairs)
	if err != nil {
		return err
	}
	writes := linkWrites{links: []any{}, series: []any{}, ends: []any{}}
	made := map[registry.ID][]linkNode{}
	others := map[registry.ID][]otherLink{}
	for i, r := range records {
		if b.results[i].Result == registry.RestoreRefused {
			continue
		}
		device, asset := targets[refKey(refs[2*i])], targets[refKey(refs[2*i+1])]
		of := ends[string(device.id)+" "+string(asset.id)]
		if of == nil {
			// In a rehearsal the ends are not there yet.
			of = &linkEnds{deviceReference: device.key, assetReference: asset.key}
		}
		of.device, of.asset = device.template.Template, asset.template.Template
		of.links = append(of.links, made[asset.id]...)
		of.others = append(of.others, others[device.id]...)
		link := registry.Link{ID: newID(), DeviceID: device.id, AssetID: asset.id, Measures: r.Measures, Since: r.Since, Until: r.Until}
		if b.options.KeepIDs && r.ID != "" {
			link.ID = r.ID
		}
		fresh, err := b.link(i, link, *of, &writes)
		if err != nil {
			b.results[i] = refusedBy(err)
		} else if fresh {
			made[asset.id] = append(made[asset.id], linkNode{link: link, reference: device.key})
			others[device.id] = append(others[device.id], otherLink{asset.key, link.Since, link.Until})
		}
	}
	if b.tx == nil {
		return nil
	}
	if err := b.must(ctx, restoreLinks, params{"links": writes.links}, len(writes.links)); err != nil {
		return err
	}
	if err := b.must(ctx, restoreLinkEnd, params{"ends": writes.ends}, len(writes.ends)); err != nil {
		return err
	}
	return nothing(ctx, b, restoreSeries, params{"series": writes.series})
}

func (b *restoring) linkEnds(ctx context.Context, pairs []any) (map[string]*linkEnds, error) {
	return oneMap(ctx, b, restoreLinkEnds, params{"pairs": pairs}, func(f fields) (string, *linkEnds) {
		ends := linkEndsOf(f)
		return f.text("key"), &ends
	})
}

// link decides about one link; fresh says that it is to be made.
func (b *restoring) link(i int, link registry.Link, ends linkEnds, writes *linkWrites) (fresh bool, err error) {
	measured := func() error {
		for _, m := range link.Measures {
			if last := ends.lastAt(m.Device); link.Until != nil && !last.Before(*link.Until) {
				return registry.FailedPrecondition("device %s has measured %s at %s already, after the link's end", ends.deviceReference, m.Device, last.Format(time.RFC3339Nano))
			}
		}
		return nil
	}
	for _, l := range ends.links {
		if l.link.DeviceID != link.DeviceID || !l.link.Since.Equal(link.Since) || !slices.Equal(l.link.Measures, link.Measures) {
			continue
		}
		switch {
		case l.link.Until == nil && link.Until == nil, l.link.Until != nil && link.Until != nil && l.link.Until.Equal(*link.Until):
			b.results[i].Result = registry.RestoreUnchanged
			return false, nil
		case l.link.Until != nil:
			return false, registry.Conflict("until", "the link has ended at %s", l.link.Until.Format(time.RFC3339Nano))
		}
		b.results[i].Result = registry.RestoreChanged
		link.ID = l.link.ID
		if b.tx != nil {
			writes.ends = append(writes.ends, map[string]any{"device": string(link.DeviceID), "id": string(link.ID), "until": link.Until.UnixMilli()})
			b.tx.recordLink("unlinked", &link, ends)
		}
		return false, measured()
	}
	ends.restored = true
	fitted, err := ends.fit(link.Measures)
	if err != nil {
		return false, err
	}
	if err := ends.room(link, fitted); err != nil {
		return false, err
	}
	b.results[i].Result = registry.RestoreMade
	if b.tx == nil {
		return true, nil
	}
	properties := map[string]any{"id": string(link.ID), "since": link.Since.UnixMilli()}
	if link.Until != nil {
		properties["until"] = link.Until.UnixMilli()
	}
	var from, to, units, types []string
	for _, m := range fitted {
		from, to, units, types = append(from, m.Device), append(to, m.Asset), append(units, m.unit), append(types, string(m.only))
		if m.valueType != "" {
			writes.series = append(writes.series, map[string]any{"asset": string(link.AssetID), "properties": map[string]any{
				"id": string(newID()), "account": string(b.scope.Account), "key": seriesKey(link.AssetID, m.Asset, m.valueType),
				"measure": m.Asset, "type": string(m.valueType), "unit": unitOrNil(m.unit),
			}})
		}
	}
	properties["deviceMeasures"], properties["assetMeasures"], properties["units"], properties["types"] = from, to, units, types
	writes.links = append(writes.links, map[string]any{"device": string(link.DeviceID), "asset": string(link.AssetID), "properties": properties})
	b.tx.recordLink("linked", &link, ends)
	if link.Until != nil {
		b.tx.recordLink("unlinked", &link, ends)
	}
	return true, nil
}

// room says whether a link can be made for its time: the device has measured
// nothing since its beginning, no other link of the asset's measures holds then,
// unless the one took over from the other, and the device has no other asset if
// it may have one only.
func (ends *linkEnds) room(link registry.Link, measures []fitted) error {
	for _, m := range measures {
		if last := ends.lastAt(m.Device); !last.IsZero() && !link.Since.After(last) {
			return registry.FailedPrecondition("device %s has measured %s at %s already: a link begins after that", ends.deviceReference, m.Device, last.Format(time.RFC3339Nano))
		}
	}
	for _, l := range ends.links {
		if !overlaps(link.Since, link.Until, l.link.Since, l.link.Until) {
			continue
		}
		if l.link.DeviceID == link.DeviceID && l.link.Until == nil && link.Until == nil {
			return registry.FailedPrecondition("device %s is linked to asset %s already, by link %s", ends.deviceReference, ends.assetReference, l.link.ID)
		}
		tookOver := link.Since.After(l.link.Since) && l.link.Until != nil || l.link.Since.After(link.Since) && link.Until != nil
		if taken, clash := clashing(l.link.Measures, measures); clash && !tookOver {
			return registry.FailedPrecondition("measure %s of asset %s has device %s as its source at that time, by link %s", taken, ends.assetReference, l.reference, fmt.Sprint(l.link.ID))
		}
	}
	for _, other := range ends.others {
		if ends.device.OneAsset && overlaps(link.Since, link.Until, other.since, other.until) {
			return ends.oneAsset(other)
		}
	}
	return nil
}

// overlaps says whether two times have a moment in common; they are open where
// they have no end.
func overlaps(since time.Time, until *time.Time, otherSince time.Time, otherUntil *time.Time) bool {
	return (otherUntil == nil || since.Before(*otherUntil)) && (until == nil || otherSince.Before(*until))
}
