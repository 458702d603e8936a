package graph

import (
	"cmp"
	"context"

	"github.com/holon-registry/holon/registry"
)

// doom says which twins are to be deleted, and collects what went with them.
type doom struct {
	kind registry.Kind
	refs []registry.Ref
	// onlyComponents spares devices that are components of none.
	onlyComponents bool
	// components are the ids of components that went with their devices.
	components []registry.ID
}

// deleting is the batch that deletes twins of one kind.
func (s *Store) deleting(scope registry.Scope, list string, d *doom) bulk {
	var components []registry.ID
	return bulk{
		name: noun(d.kind) + ".delete", list: list, asked: d.refs, items: len(d.refs),
		weight: func(int) int { return 0 },
		work: func(ctx context.Context, tx *transaction, from, to int, out []outcome) error {
			found, err := s.doomed(ctx, tx, scope, d.kind, d.refs[from:to])
			if err != nil {
				return err
			}
			if components, err = s.deletePart(ctx, tx, d, d.refs[from:to], found, out[from:to]); err != nil {
				return err
			}
			part := components
			tx.onCommit(func() { d.components = append(d.components, part...) })
			return nil
		},
	}
}

// doomed is a twin that is to be deleted.
type doomed struct {
	twin     registry.Related
	template *registry.Template
	// devices are those, and assets, whose partitions know of the twin.
	devices []registry.ID
	// moving says that an asset is still being given what a device has measured.
	moving bool
	// profiles are the names of those that give the twin to objects.
	profiles []string
	// components go with a device, nearest first.
	components []doomed
}

// held says why a twin cannot be deleted with its components, nil if it can.
func (d doomed) held() error {
	for _, one := range append([]doomed{d}, d.components...) {
		switch {
		case one.moving:
			return registry.FailedPrecondition("what device %s has measured is still becoming that of an asset: try again in a moment", keyOf(d.twin))
		case len(one.profiles) > 0:
			return registry.FailedPrecondition("%s %q is named by %s: change or delete what names it first",
				noun(kindOf(one.twin)), keyOf(one.twin), profilesNamed(one.profiles))
		}
	}
	return nil
}

// deletePart deletes twins and returns the ids of the components that went with
// them.
func (s *Store) deletePart(ctx context.Context, tx *transaction, d *doom, refs []registry.Ref, found map[string]doomed, out []outcome) ([]registry.ID, error) {
	var ids, devices, components []registry.ID
	var dying []doomed
	var twins []registry.Related
	gone := map[registry.ID]bool{}
	remove := func(of doomed) bool {
		id := of.twin.NodeID()
		if gone[id] {
			return false
		}
		gone[id] = true
		ids, devices = append(ids, id), append(devices, of.devices...)
		dying, twins = append(dying, of), append(twins, of.twin)
		return true
	}
	for i, ref := range refs {
		ref.Kind = d.kind
		of, ok := found[refKey(ref)]
		if device, is := of.twin.(*registry.Device); ok && d.onlyComponents && is {
			ok = device.ComponentName != nil
		}
		if !ok {
			out[i] = outcome{err: missing(ref)}
			continue
		}
		if err := cmp.Or(atVersion(noun(d.kind), objectIn(of.twin).Version, ref.IfVersion), of.held()); err != nil {
			out[i] = outcome{err: err}
			continue
		}
		// Components first: history then tells of no component without a device.
		for j := len(of.components) - 1; j >= 0 && !gone[of.twin.NodeID()]; j-- {
			if remove(of.components[j]) {
				components = append(components, of.components[j].twin.NodeID())
			}
		}
		if out[i] = (outcome{thing: of.twin}); !remove(of) {
			out[i] = outcome{err: registry.Conflict("", "the request deletes this %s already", noun(d.kind))}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	end, err := tx.endings(ctx, twins)
	if err != nil {
		return nil, err
	}
	tx.recordOthers(end)
	for _, of := range dying {
		tx.recordDeletion(of.twin, of.template, end.away[of.twin.NodeID()]...)
	}
	if len(devices) > 0 {
		if err := s.raiseTopology(ctx, tx, devices...); err != nil {
			return nil, err
		}
	}
	if err := endLinks(ctx, tx, ids, gone); err != nil {
		return nil, err
	}
	if err := nothing(ctx, tx, twinOrphan, params{"ids": texts(ids)}); err != nil {
		return nil, err
	}
	return components, tx.bury(ctx, ids...)
}

// endLinks notes with the other ends that the links of twins that are deleted
// end with them.
func endLinks(ctx context.Context, tx *transaction, ids []registry.ID, gone map[registry.ID]bool) error {
	entries, _, err := one(ctx, tx, twinLinks, params{"ids": texts(ids)}, func(f fields) []entry {
		var out []entry
		for _, l := range f.maps("links") {
			link := linkOf(l)
			link.AssetID = l.id("asset")
			ends := linkEnds{assetReference: l.text("assetReference"), assetVersion: l.integer("assetVersion")}
			out = append(out, linkEntries("unlinked", &link, l.text("deviceReference"), l.integer("deviceVersion"), ends)...)
		}
		return out
	})
	for _, e := range entries {
		if !gone[e.id] {
			tx.record(e)
		}
	}
	return err
}

// doomed reads the twins that are to be deleted, by their refKey.
func (s *Store) doomed(ctx context.Context, tx *transaction, scope registry.Scope, kind registry.Kind, refs []registry.Ref) (map[string]doomed, error) {
	var keys, ids distinct
	for _, ref := range refs {
		if ref.ID != "" {
			ids.add(string(ref.ID))
		} else {
			keys.add(Fold(ref.Key))
		}
	}
	found, _, err := one(ctx, tx, twinDoomed[kind], params{"keys": keys.all(), "ids": ids.all()}, func(f fields) map[string]doomed {
		out := map[string]doomed{}
		for _, item := range f.maps("twins") {
			twin, ref := thingOf(item.nested("thing")), registry.Ref{Kind: kind, Key: item.text("ref")}
			if twin != nil && string(twin.NodeID()) == ref.Key {
				ref = registry.Ref{ID: twin.NodeID()}
			}
			of := doomed{twin: twin, template: s.template(item.nested("template"), scope.Account).Template, devices: item.ids("devices"), moving: item.boolean("moving"), profiles: item.texts("profiles")}
			for _, c := range item.maps("components") {
				if component := thingOf(c.nested("thing")); component != nil {
					of.components = append(of.components, doomed{
						twin: component, template: s.template(c.nested("template"), scope.Account).Template, devices: c.ids("devices"), moving: c.boolean("moving"), profiles: c.texts("profiles"),
					})
				}
			}
			out[refKey(ref)] = of
		}
		return out
	})
	return found, err
}
