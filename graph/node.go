package graph

import (
	"context"
	"fmt"
	"slices"

	"github.com/holon-registry/holon/registry"
)

var (
	thingsByIDs = named("thing.byID", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account AND n:Group|Device|Asset
		RETURN collect(`+thing("n")+`) AS things`)

	nodesByIDs = named("node.byID", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account
		RETURN collect({labels: labels(n), node: properties(n),
			profile: CASE WHEN n:Profile THEN `+profileItem("n")+` END,
			thing: CASE WHEN n:Group|Device|Asset THEN `+thing("n")+` END,
			groups: CASE WHEN n:Policy THEN COLLECT { MATCH (n)-[:APPLIES_TO]->(g:Group) RETURN g.id ORDER BY g.keyFold } END}) AS nodes`)
)

// GroupsByID returns groups, nil where there is none.
func (s *Store) GroupsByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]*registry.Group, error) {
	return thingsByID[*registry.Group](ctx, s, scope, ids)
}

// DevicesByID returns devices, nil where there is none.
func (s *Store) DevicesByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]*registry.Device, error) {
	return thingsByID[*registry.Device](ctx, s, scope, ids)
}

// AssetsByID returns assets, nil where there is none.
func (s *Store) AssetsByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]*registry.Asset, error) {
	return thingsByID[*registry.Asset](ctx, s, scope, ids)
}

// thingsByID leaves out what is of another kind.
func thingsByID[T registry.Related](ctx context.Context, s *Store, scope registry.Scope, ids []registry.ID) ([]T, error) {
	if scope.AsOf != nil {
		return pastOf[T](ctx, s, scope, ids)
	}
	known := make(map[registry.ID]T, len(ids))
	_, err := all(ctx, s.reading(scope), thingsByIDs, params{"ids": texts(ids)}, func(f fields) struct{} {
		for _, item := range f.maps("things") {
			if typed, ok := thingOf(item).(T); ok {
				known[typed.NodeID()] = typed
			}
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("things by id: %w", err)
	}
	return slots(ids, known), nil
}

// Nodes returns objects of any kind that has a global id, nil where there is
// none.
func (s *Store) Nodes(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]registry.Node, error) {
	if scope.AsOf != nil {
		return pastOf[registry.Node](ctx, s, scope, ids)
	}
	known := make(map[registry.ID]registry.Node, len(ids))
	_, err := all(ctx, s.reading(scope), nodesByIDs, params{"ids": texts(ids)}, func(f fields) struct{} {
		for _, item := range f.maps("nodes") {
			if node := s.nodeOf(item, scope); node != nil {
				known[item.nested("node").id("id")] = node
			}
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("nodes by id: %w", err)
	}
	return slots(ids, known), nil
}

// nodeOf reads an object by its label.
func (s *Store) nodeOf(f fields, scope registry.Scope) registry.Node {
	labels, node := f.texts("labels"), f.nested("node")
	if thing, ok := f.optionalMap("thing"); ok {
		return thingOf(thing)
	}
	switch {
	case slices.Contains(labels, "Template"):
		return s.template(node, scope.Account).Template
	case slices.Contains(labels, "Policy"):
		return policyFrom(node, f.ids("groups"))
	case slices.Contains(labels, "Profile"):
		return profileOf(f.nested("profile"))
	case slices.Contains(labels, "MeasureType"):
		return measureTypeOf(f)
	case slices.Contains(labels, "Command"):
		return commandOf(node)
	case slices.Contains(labels, "Alarm"):
		return alarmOf(node)
	case slices.Contains(labels, "DeadLetter"):
		return deadLetterOf(node)
	case slices.Contains(labels, "Account"):
		return accountOf(node)
	}
	return nil
}
