package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

var (
	// Setting a property to itself takes the node's lock. Open links of an asset
	// are held by its devices' partitions.
	twinLock = forEachKind("lockForDeletion", `
		THING
		SET n.version = n.version
		WITH n
		MATCH (n)-[:INSTANCE_OF]->(t:Template)
		RETURN `+thing("n")+` AS thing, properties(t) AS template,
			CASE WHEN n:Device THEN [n.id] ELSE [(n)<-[l:LINKED_TO]-(d:Device) WHERE l.until IS NULL | d.id] END AS devices`)

	// The series are set apart first: what they hold goes in further, bounded
	// transactions.
	twinOrphan = named("twin.orphanSeries", `
		MATCH (n:Entity {id: $id})
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
	if n.State == "" {
		n.State = registry.StateActive
	}
	var violations []registry.Violation
	for _, violation := range []*registry.Violation{registry.CheckReference("reference", n.Reference), registry.CheckDescription(n.Description)} {
		if violation != nil {
			violations = append(violations, *violation)
		}
	}
	if !validState(n.State) {
		violations = append(violations, registry.Violation{Path: "state", Rule: "enum", Message: fmt.Sprintf("%q is no state", n.State)})
	}
	if len(violations) > 0 {
		return nil, registry.Invalid(violations...)
	}
	return s.create(ctx, scope, newThing{
		kind: kind, key: n.Reference, keyField: "reference", template: n.Template, attributes: n.Attributes, relations: n.Relations,
		make: func(object registry.Object, template *registry.Template, attributes registry.Attributes, _ registry.Related) (registry.Related, error) {
			if kind == registry.KindDevice {
				return &registry.Device{Object: object, Reference: n.Reference, Description: n.Description, State: n.State, TemplateID: template.ID, Attributes: attributes}, nil
			}
			return &registry.Asset{Object: object, Reference: n.Reference, Description: n.Description, State: n.State, TemplateID: template.ID, Attributes: attributes}, nil
		},
	})
}

func (s *Store) deleteTwin(ctx context.Context, scope registry.Scope, ref registry.Ref) (registry.Related, error) {
	type answer struct {
		thing    registry.Related
		template *registry.Template
		devices  []registry.ID
	}
	var got answer
	q, p := twinLock.of(ref, nil)
	err := change(ctx, s, scope, noun(ref.Kind)+".delete", func(ctx context.Context, tx *transaction) (err error) {
		var ok bool
		got, ok, err = one(ctx, tx, q, p, func(f fields) answer {
			return answer{thingOf(f.nested("thing")), s.template(f.nested("template"), scope.Account).Template, f.ids("devices")}
		})
		if err != nil {
			return err
		}
		if !ok {
			return missing(ref)
		}
		if len(got.devices) > 0 {
			if err := s.raiseTopology(ctx, tx, got.devices...); err != nil {
				return err
			}
		}
		if err := nothing(ctx, tx, twinOrphan, params{"id": string(got.thing.NodeID())}); err != nil {
			return err
		}
		tx.recordDeletion(got.thing, got.template)
		return tx.bury(ctx, got.thing.NodeID())
	})
	if err != nil {
		return nil, fmt.Errorf("delete %s: %w", noun(ref.Kind), err)
	}
	s.sweepSoon(ctx, scope)
	return got.thing, nil
}
