package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

var (
	// The twins that are to be deleted, with those whose partitions know of them:
	// open links of an asset are held by its devices' partitions, and links of a
	// device by its assets'.
	twinDoomed = labelled("doomed", `
		CALL () {
			UNWIND $keys AS key MATCH (n:LABEL) WHERE n.account = $account AND n.keyFold = key RETURN n, key AS ref
			UNION ALL
			UNWIND $ids AS id MATCH (n:Entity {id: id}) WHERE n.account = $account AND n:LABEL RETURN n, id AS ref
		}
		MATCH (n)-[:INSTANCE_OF]->(t:Template)
		RETURN collect({ref: ref, thing: `+thing("n")+`, template: properties(t),
			moving: EXISTS { (n)-[l:LINKED_TO]->(:Asset) WHERE coalesce(l.movingFrom, -1) >= 0 },
			profiles: [(n)<-[:GIVES]-(p:Profile) | `+profileName+`],
			devices: [n.id] + [(n)-[l:LINKED_TO]-(o:Device|Asset) WHERE l.until IS NULL OR n:Device | o.id],
			components: COLLECT {
				MATCH path = (n)<-[:COMPONENT_OF*1..8]-(c:Device)-[:INSTANCE_OF]->(ct:Template)
				RETURN {thing: `+thing("c")+`, template: properties(ct), moving: EXISTS { (c)-[l:LINKED_TO]->(:Asset) WHERE coalesce(l.movingFrom, -1) >= 0 },
					profiles: [(c)<-[:GIVES]-(p:Profile) | `+profileName+`], devices: [c.id] + [(c)-[:LINKED_TO]->(o:Asset) | o.id]} ORDER BY length(path), c.keyFold
			}}) AS twins`)

	twinLinks = named("twin.links", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account
		MATCH (n)-[l:LINKED_TO]-(:Device|Asset)
		WHERE l.until IS NULL
		WITH DISTINCT l, startNode(l) AS d, endNode(l) AS a
		RETURN collect({id: l.id, since: l.since, until: l.until, deviceMeasures: l.deviceMeasures, assetMeasures: l.assetMeasures,
			device: d.id, deviceReference: d.reference, deviceVersion: d.version, asset: a.id, assetReference: a.reference, assetVersion: a.version}) AS links`)

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
// links go with it, its components, and so do its measurements, except those that
// an asset has too: the asset keeps its history.
func (s *Store) DeleteDevice(ctx context.Context, scope registry.Scope, ref registry.Ref) (*registry.Device, error) {
	device, _, err := s.DeleteWithComponents(ctx, scope, ref)
	return device, err
}

// DeleteWithComponents is DeleteDevice and returns the ids of the components
// that went with the device.
func (s *Store) DeleteWithComponents(ctx context.Context, scope registry.Scope, ref registry.Ref) (*registry.Device, []registry.ID, error) {
	return s.deleteDevice(ctx, scope, ref, false)
}

// DeleteComponent deletes a component, with those that it has itself, and
// returns their ids. A device that is no component is not found.
func (s *Store) DeleteComponent(ctx context.Context, scope registry.Scope, ref registry.Ref) (*registry.Device, []registry.ID, error) {
	return s.deleteDevice(ctx, scope, ref, true)
}

func (s *Store) deleteDevice(ctx context.Context, scope registry.Scope, ref registry.Ref, component bool) (*registry.Device, []registry.ID, error) {
	ref.Kind = registry.KindDevice
	d := doom{kind: ref.Kind, refs: []registry.Ref{ref}, onlyComponents: component}
	deleted, err := s.alone(ctx, scope, s.deleting(scope, "", &d))
	if err != nil {
		return nil, nil, err
	}
	s.sweepSoon(ctx, scope)
	return deleted.(*registry.Device), d.components, nil
}

// DeleteAsset deletes an asset and returns it as it was. Its relations and
// links go with it; its measurements stay with the devices that they came from,
// as long as those exist.
func (s *Store) DeleteAsset(ctx context.Context, scope registry.Scope, ref registry.Ref) (*registry.Asset, error) {
	ref.Kind = registry.KindAsset
	deleted, err := s.alone(ctx, scope, s.deleting(scope, "", &doom{kind: ref.Kind, refs: []registry.Ref{ref}}))
	if err != nil {
		return nil, err
	}
	s.sweepSoon(ctx, scope)
	return deleted.(*registry.Asset), nil
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
		asked: n, kind: kind, key: n.Reference, keyField: "reference", template: n.Template, profile: n.Profile, attributes: n.Attributes, relations: n.Relations,
		make: func(object registry.Object, template *registry.Template, attributes registry.Attributes, _ registry.Related) (registry.Related, error) {
			if kind == registry.KindDevice {
				return &registry.Device{Object: object, Reference: n.Reference, Description: n.Description, State: n.State, TemplateID: template.ID, Attributes: attributes, Details: n.Details}, nil
			}
			return &registry.Asset{Object: object, Reference: n.Reference, Description: n.Description, State: n.State, TemplateID: template.ID, Attributes: attributes, Details: n.Details}, nil
		},
	}
	if kind == registry.KindAsset && n.PartOf != nil {
		thing.whole = &registry.Ref{Kind: kind, Key: *n.PartOf}
	}
	for _, component := range n.Components {
		thing.components = append(thing.components, newComponent(registry.Ref{Kind: kind, Key: n.Reference}, component))
	}
	thing.wrong = n.Check()
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

var twinFind = forEachKind("twin.find", `
	THING
	RETURN n.id AS id, coalesce(n.reference, n.path) AS reference`)

// TwinOf finds a device or an asset: NOT_FOUND if there is none.
func (s *Store) TwinOf(ctx context.Context, scope registry.Scope, ref registry.Ref) (id registry.ID, reference string, err error) {
	q, p := twinFind.of(ref, nil)
	_, found, err := one(ctx, s.reading(scope), q, p, func(f fields) bool {
		id, reference = f.id("id"), f.text("reference")
		return true
	})
	if err == nil && !found {
		err = missing(ref)
	}
	if err != nil {
		return "", "", fmt.Errorf("find twin: %w", err)
	}
	return id, reference, nil
}
