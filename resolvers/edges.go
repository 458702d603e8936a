package resolvers

import (
	"context"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

// maxNodes bounds nodes(ids:).
const maxNodes = 1000

// relationsOf returns the relations of an object, by name and direction. The store reads
// at most 1,000 of one object.
func relationsOf(ctx context.Context, id registry.ID, name *string, direction *registry.Direction) ([]*registry.Relation, error) {
	all, err := loadersFrom(ctx).relations.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	kept := make([]*registry.Relation, 0, len(all))
	for i := range all {
		relation := &all[i]
		if (name == nil || relation.Name == *name) && (direction == nil || relation.Direction == *direction) {
			kept = append(kept, relation)
		}
	}
	return kept, nil
}

// groupsOf returns the groups that a twin is a member of.
func groupsOf(ctx context.Context, id registry.ID, relation *string) ([]*registry.Group, error) {
	memberships, err := loadersFrom(ctx).memberships.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	ids := make([]registry.ID, 0, len(memberships))
	seen := make(map[registry.ID]bool, len(memberships))
	for _, m := range memberships {
		if (relation == nil || m.Relation == *relation) && !seen[m.GroupID] {
			seen[m.GroupID] = true
			ids = append(ids, m.GroupID)
		}
	}
	return groupsByID(ctx, ids)
}

func linksOf(ctx context.Context, id registry.ID, open bool) ([]*registry.Link, error) {
	links, err := loadersFrom(ctx).links.Load(ctx, id)
	if err != nil || !open {
		return links, err
	}
	kept := make([]*registry.Link, 0, len(links))
	for _, link := range links {
		if link.Until == nil {
			kept = append(kept, link)
		}
	}
	return kept, nil
}

// nodesByID loads objects of any kind, null where there is none.
func nodesByID(ctx context.Context, ids []registry.ID) ([]registry.Node, error) {
	if len(ids) > maxNodes {
		return nil, registry.LimitExceeded("ask for at most %d ids at once, not %d", maxNodes, len(ids))
	}
	l := loadersFrom(ctx)
	l.nodes.Expect(ids...)
	nodes := make([]registry.Node, len(ids))
	for i, id := range ids {
		node, err := l.nodes.Load(ctx, id)
		if err != nil {
			return nil, err
		}
		nodes[i] = node
	}
	return nodes, nil
}

func devicesByID(ctx context.Context, ids []registry.ID) ([]*registry.Device, error) {
	nodes, err := nodesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	devices := make([]*registry.Device, 0, len(nodes))
	for _, node := range nodes {
		if device, ok := node.(*registry.Device); ok && device != nil {
			devices = append(devices, device)
		}
	}
	return devices, nil
}

// measurements makes a connection of single measurements.
func (r *Resolver) measurements(ctx context.Context, twin registry.ID, measure string, from, to *time.Time, first *int, after *string, last *int, before *string) (*generated.MeasurementConnection, error) {
	request, err := registry.NewPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	scope, err := presentScope(ctx)
	if err != nil {
		return nil, err
	}
	page, err := r.Graph.Measurements(ctx, scope, twin, measure, from, to, request)
	if err != nil {
		return nil, err
	}
	connection := &generated.MeasurementConnection{PageInfo: pageInfo(page, measurementKey)}
	connection.Nodes = make([]*registry.Measurement, len(page.Items))
	for i := range page.Items {
		connection.Nodes[i] = &page.Items[i]
	}
	connection.Edges = edges(page, measurementKey, func(cursor string, m registry.Measurement) *generated.MeasurementEdge {
		return &generated.MeasurementEdge{Cursor: cursor, Node: &m}
	})
	return connection, nil
}

// samples reads many measurements at once.
func (r *Resolver) samples(ctx context.Context, twin registry.ID, measure string, from, to time.Time, limit int) (*registry.Samples, error) {
	scope, err := presentScope(ctx)
	if err != nil {
		return nil, err
	}
	return r.Graph.Samples(ctx, scope, twin, measure, from, to, limit)
}

// aggregate reduces measurements.
func (r *Resolver) aggregate(ctx context.Context, twin registry.ID, measure string, from, to time.Time, every time.Duration, function registry.AggregateFunction) ([]*registry.AggregatePoint, error) {
	scope, err := presentScope(ctx)
	if err != nil {
		return nil, err
	}
	return r.Graph.Aggregate(ctx, scope, twin, measure, from, to, every, function)
}
