package resolvers

import (
	"context"
	"slices"
	"time"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

// maxNodes bounds nodes(ids:).
const maxNodes = 1000

// relationsOf returns the relations of an object that pass a filter: all of
// them, or an error if they are too many for a list.
func (r *Resolver) relationsOf(ctx context.Context, id registry.ID, f graph.RelatedFilter) ([]*registry.Relation, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	past := scopeFrom(ctx).AsOf != nil
	all, err := loadersFrom(ctx).relations.Load(ctx, id)
	if err == nil && len(all) > graph.FewRelations && !past {
		all, err = r.manyRelations(ctx, id, f)
	}
	if err != nil {
		return nil, err
	}
	if past && f.Template != "" {
		all = slices.Clone(all) // others have this list, too
		if err := otherTemplates(ctx, all); err != nil {
			return nil, err
		}
	}
	template := graph.Fold(f.Template)
	kept := make([]*registry.Relation, 0, len(all))
	for i := range all {
		relation := &all[i]
		if (f.Name == "" || relation.Name == f.Name) && (f.Direction == "" || relation.Direction == f.Direction) &&
			(f.Kind == "" || relation.OtherKind == f.Kind) && (template == "" || relation.OtherTemplate == template) {
			kept = append(kept, relation)
		}
	}
	return kept, nil
}

// manyRelations reads the relations of one object that has many.
func (r *Resolver) manyRelations(ctx context.Context, id registry.ID, f graph.RelatedFilter) ([]registry.Relation, error) {
	page, err := r.Graph.Related(ctx, scopeFrom(ctx), id, f, registry.PageRequest{Size: graph.MaxRelations})
	if err != nil {
		return nil, err
	}
	if page.HasNext {
		return nil, registry.LimitExceeded("there are more than %d relations: ask related, page by page", graph.MaxRelations)
	}
	l, out := loadersFrom(ctx), make([]registry.Relation, len(page.Items))
	for i, end := range page.Items {
		out[i] = end.Relation
		l.nodes.Prime(end.OtherID, end.Other)
	}
	return out, nil
}

// otherTemplates adds the templates that the objects at the other ends had.
func otherTemplates(ctx context.Context, relations []registry.Relation) error {
	l := loadersFrom(ctx)
	others := make([]registry.ID, len(relations))
	for i := range relations {
		node, err := l.nodes.Load(ctx, relations[i].OtherID)
		if err != nil {
			return err
		}
		if !isNil(node) {
			others[i] = templateOf(node)
			l.templates.Expect(others[i])
		}
	}
	for i, id := range others {
		if id == "" {
			continue
		}
		template, err := l.templates.Load(ctx, id)
		if err != nil {
			return err
		}
		if template != nil {
			relations[i].OtherTemplate = graph.Fold(template.Name)
		}
	}
	return nil
}

// related makes a connection of relations.
func (r *Resolver) related(ctx context.Context, id registry.ID, f graph.RelatedFilter, first *int, after *string, last *int, before *string) (*generated.RelatedConnection, error) {
	newPage := registry.NewPage
	if len(f.OrderBy) > 0 {
		newPage = registry.NewSearchPage
	}
	request, err := newPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	page, err := r.Graph.Related(ctx, scopeFrom(ctx), id, f, request)
	if err != nil {
		return nil, err
	}
	nodes, others := make([]registry.Related, len(page.Items)), make([]registry.Node, len(page.Items))
	for i, end := range page.Items {
		nodes[i], others[i] = end.Other, end.Other
	}
	loadersFrom(ctx).siblings(ctx, others)
	total, err := countIfAsked(ctx, func() (int, error) { return r.Graph.CountRelated(ctx, scopeFrom(ctx), id, f) })
	return &generated.RelatedConnection{
		Nodes: nodes, PageInfo: pageInfo(page, graph.RelatedEnd.Key), TotalCount: total,
		Edges: edges(page, graph.RelatedEnd.Key, func(cursor string, end graph.RelatedEnd) *generated.RelatedEdge {
			return &generated.RelatedEdge{Cursor: cursor, Node: end.Other, Name: end.Name, Direction: end.Direction, Inherits: end.Inherits}
		}),
	}, err
}

func relatedFilter(name *string, direction *registry.Direction, kind *registry.Kind, template *string, state *registry.State, where *string, orderBy []*registry.OrderBy) graph.RelatedFilter {
	f := graph.RelatedFilter{Name: relationName(deref(name)), Template: deref(template), Where: givenText(where), OrderBy: orders(orderBy)}
	if direction != nil {
		f.Direction = *direction
	}
	if kind != nil {
		f.Kind = *kind
	}
	if state != nil {
		f.State = *state
	}
	return f
}

// partsOf returns the components or the parts of a twin.
func partsOf[T registry.Node](ctx context.Context, id registry.ID) ([]T, error) {
	nodes, err := loadersFrom(ctx).parts.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	parts := make([]T, 0, len(nodes))
	for _, node := range nodes {
		if part, ok := node.(T); ok {
			parts = append(parts, part)
		}
	}
	return parts, nil
}

// wholeOf returns what a twin is a component or a part of, nil for nothing.
func wholeOf[T registry.Node](ctx context.Context, id registry.ID) (T, error) {
	var none T
	node, err := loadersFrom(ctx).wholes.Load(ctx, id)
	if err != nil || node == nil {
		return none, err
	}
	whole, _ := node.(T)
	return whole, nil
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
		if (relation == nil || m.Relation == relationName(*relation)) && !seen[m.GroupID] {
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
func (r *Resolver) measurements(ctx context.Context, twin registry.Twin, measure string, from, to *time.Time, first *int, after *string, last *int, before, unit *string) (*generated.MeasurementConnection, error) {
	request, err := registry.NewPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	scope, err := presentScope(ctx)
	if err != nil {
		return nil, err
	}
	asked, err := r.asked(ctx, twin, measure, unit)
	if err != nil {
		return nil, err
	}
	var page registry.Page[registry.Measurement]
	if asked.computed != nil {
		page, err = r.Graph.ComputedMeasurements(ctx, scope, *asked.computed, from, to, request, asked.unit)
	} else {
		page, err = r.Graph.Measurements(ctx, scope, twin.NodeID(), measure, from, to, request, asked.unit)
	}
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
func (r *Resolver) samples(ctx context.Context, twin registry.Twin, measure string, from, to time.Time, limit int, unit *string) (*registry.Samples, error) {
	scope, err := presentScope(ctx)
	if err != nil {
		return nil, err
	}
	asked, err := r.asked(ctx, twin, measure, unit)
	if err != nil {
		return nil, err
	}
	if asked.computed != nil {
		return r.Graph.ComputedSamples(ctx, scope, *asked.computed, from, to, limit, asked.unit)
	}
	return r.Graph.Samples(ctx, scope, twin.NodeID(), measure, from, to, limit, asked.unit)
}

// aggregate reduces measurements.
func (r *Resolver) aggregate(ctx context.Context, twin registry.Twin, a registry.Aggregation, zone, unit *string) ([]*registry.AggregatePoint, error) {
	scope, err := presentScope(ctx)
	if err != nil {
		return nil, err
	}
	if a.Zone, err = namedZone(zone); err != nil {
		return nil, err
	}
	asked, err := r.asked(ctx, twin, a.Measure, unit)
	if err != nil {
		return nil, err
	}
	a.Unit = asked.unit
	if asked.computed != nil {
		return r.Graph.AggregateComputed(ctx, scope, *asked.computed, a)
	}
	return r.Graph.Aggregate(ctx, scope, twin.NodeID(), a)
}

func aggregation(measure string, from, to time.Time, every *time.Duration, calendar *registry.CalendarUnit, function registry.AggregateFunction, percentile float64, fill bool) registry.Aggregation {
	a := registry.Aggregation{Measure: measure, From: from, To: to, Function: function, Percentile: percentile, Fill: fill}
	if every != nil {
		a.Every = *every
	}
	if calendar != nil {
		a.Calendar = *calendar
	}
	return a
}

// namedZone finds a time zone by its name.
func namedZone(name *string) (*time.Location, error) {
	if name == nil {
		return nil, nil
	}
	zone, err := time.LoadLocation(*name)
	if err != nil || *name == "" || *name == "Local" {
		return nil, registry.InvalidField("timeZone", "unknown", "%q is not the name of a time zone, such as Europe/Berlin", *name)
	}
	return zone, nil
}
