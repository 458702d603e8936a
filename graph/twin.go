package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

var (
	// The twins that are to be deleted, with the devices whose partitions know of
	// them: open links of an asset are held by its devices' partitions.
	twinDoomed = labelled("doomed", `
		CALL () {
			UNWIND $keys AS key MATCH (n:LABEL) WHERE n.account = $account AND n.keyFold = key RETURN n, key AS ref
			UNION ALL
			UNWIND $ids AS id MATCH (n:Entity {id: id}) WHERE n.account = $account AND n:LABEL RETURN n, id AS ref
		}
		MATCH (n)-[:INSTANCE_OF]->(t:Template)
		RETURN collect({ref: ref, thing: `+thing("n")+`, template: properties(t),
			devices: CASE WHEN n:Device THEN [n.id] ELSE [(n)<-[l:LINKED_TO]-(d:Device) WHERE l.until IS NULL | d.id] END}) AS twins`)

	// The series are set apart first: what they hold goes in further, bounded
	// transactions.
	twinOrphan = named("twin.orphanSeries", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account
		MATCH (n)-[:HAS_SERIES]->(s:Series)
		SET s:Orphaned, s.account = $account`)
)

// CreateDevice makes a device with its relations.
func (s *Store) CreateDevice(ctx context.Context, scope registry.Scope, n registry.NewTwin) (*registry.Device, error) {
	return created[*registry.Device](s.createTwin(ctx, scope, registry.KindDevice, n))
}

// CreateAsset makes an asset with its relations.
func (s *Store) CreateAsset(ctx context.Context, scope registry.Scope, n registry.NewTwin) (*registry.Asset, error) {
	return created[*registry.Asset](s.createTwin(ctx, scope, registry.KindAsset, n))
}

// UpdateDevice changes a device.
func (s *Store) UpdateDevice(ctx context.Context, scope registry.Scope, ref registry.Ref, patch registry.TwinPatch) (*registry.Device, error) {
	ref.Kind = registry.KindDevice
	return created[*registry.Device](s.update(ctx, scope, ref, patch))
}

// UpdateAsset changes an asset.
func (s *Store) UpdateAsset(ctx context.Context, scope registry.Scope, ref registry.Ref, patch registry.TwinPatch) (*registry.Asset, error) {
	ref.Kind = registry.KindAsset
	return created[*registry.Asset](s.update(ctx, scope, ref, patch))
}

// DeleteDevice deletes a device and returns it as it was. Its relations and
// links go with it, and so do its measurements, except those that an asset has
// too: the asset keeps its history.
func (s *Store) DeleteDevice(ctx context.Context, scope registry.Scope, ref registry.Ref) (*registry.Device, error) {
	ref.Kind = registry.KindDevice
	return created[*registry.Device](s.deleteTwin(ctx, scope, ref))
}

// DeleteAsset deletes an asset and returns it as it was. Its relations and
// links go with it; its measurements stay with the devices that they came from,
// as long as those exist.
func (s *Store) DeleteAsset(ctx context.Context, scope registry.Scope, ref registry.Ref) (*registry.Asset, error) {
	ref.Kind = registry.KindAsset
	return created[*registry.Asset](s.deleteTwin(ctx, scope, ref))
}

func created[T registry.Related](thing registry.Related, err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return thing.(T), nil
}

func (s *Store) createTwin(ctx context.Context, scope registry.Scope, kind registry.Kind, n registry.NewTwin) (registry.Related, error) {
	return s.create(ctx, scope, newTwin(kind, n))
}

// newTwin says how a device or an asset is made.
func newTwin(kind registry.Kind, n registry.NewTwin) newThing {
	if n.State == "" {
		n.State = registry.StateActive
	}
	thing := newThing{
		kind: kind, key: n.Reference, keyField: "reference", template: n.Template, profile: n.Profile, attributes: n.Attributes, relations: n.Relations,
		make: func(object registry.Object, template *registry.Template, attributes registry.Attributes, _ registry.Related) (registry.Related, error) {
			if kind == registry.KindDevice {
				return &registry.Device{Object: object, Reference: n.Reference, Description: n.Description, State: n.State, TemplateID: template.ID, Attributes: attributes}, nil
			}
			return &registry.Asset{Object: object, Reference: n.Reference, Description: n.Description, State: n.State, TemplateID: template.ID, Attributes: attributes}, nil
		},
	}
	for _, violation := range []*registry.Violation{registry.CheckReference("reference", n.Reference), registry.CheckDescription(n.Description)} {
		if violation != nil {
			thing.wrong = append(thing.wrong, *violation)
		}
	}
	if !validState(n.State) {
		thing.wrong = append(thing.wrong, registry.Violation{Path: "state", Rule: "enum", Message: fmt.Sprintf("%q is no state", n.State)})
	}
	return thing
}

func (s *Store) deleteTwin(ctx context.Context, scope registry.Scope, ref registry.Ref) (registry.Related, error) {
	deleted, err := s.alone(ctx, scope, s.deleting(scope, ref.Kind, "", []registry.Ref{ref}))
	if err != nil {
		return nil, err
	}
	s.sweepSoon(ctx, scope)
	return deleted, nil
}

// deleting is the batch that deletes twins of one kind.
func (s *Store) deleting(scope registry.Scope, kind registry.Kind, list string, refs []registry.Ref) bulk {
	return bulk{
		name: noun(kind) + ".delete", list: list, items: len(refs),
		weight: func(int) int { return 0 },
		work: func(ctx context.Context, tx *transaction, from, to int, out []outcome) error {
			return s.deletePart(ctx, tx, scope, kind, refs[from:to], out[from:to])
		},
	}
}

// doomed is a twin that is to be deleted.
type doomed struct {
	twin     registry.Related
	template *registry.Template
	devices  []registry.ID
}

func (s *Store) deletePart(ctx context.Context, tx *transaction, scope registry.Scope, kind registry.Kind, refs []registry.Ref, out []outcome) error {
	found, err := s.doomed(ctx, tx, scope, kind, refs)
	if err != nil {
		return err
	}
	var ids, devices []registry.ID
	gone := map[registry.ID]bool{}
	for i, ref := range refs {
		ref.Kind = kind
		d, ok := found[refKey(ref)]
		switch {
		case !ok:
			out[i] = outcome{err: missing(ref)}
			continue
		case gone[d.twin.NodeID()]:
			out[i] = outcome{err: registry.Conflict("", "the request deletes this %s already", noun(kind))}
			continue
		}
		gone[d.twin.NodeID()] = true
		out[i] = outcome{thing: d.twin}
		ids, devices = append(ids, d.twin.NodeID()), append(devices, d.devices...)
		tx.recordDeletion(d.twin, d.template)
	}
	if len(ids) == 0 {
		return nil
	}
	if len(devices) > 0 {
		if err := s.raiseTopology(ctx, tx, devices...); err != nil {
			return err
		}
	}
	if err := nothing(ctx, tx, twinOrphan, params{"ids": texts(ids)}); err != nil {
		return err
	}
	return tx.bury(ctx, ids...)
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
			out[refKey(ref)] = doomed{twin, s.template(item.nested("template"), scope.Account).Template, item.ids("devices")}
		}
		return out
	})
	return found, err
}
