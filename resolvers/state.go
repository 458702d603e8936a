package resolvers

import (
	"context"
	"time"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

// stateHistory makes a connection of what a twin was.
func (r *Resolver) stateHistory(ctx context.Context, twin registry.ID, from, to *time.Time, causes []registry.StateCause, first *int, after *string, last *int, before *string) (*generated.StateConnection, error) {
	request, err := registry.NewPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	scope, err := presentScope(ctx)
	if err != nil {
		return nil, err
	}
	page, err := r.Graph.StateHistory(ctx, scope, twin, registry.StateFilter{From: from, To: to, Causes: causes}, request)
	if err != nil {
		return nil, err
	}
	l := loadersFrom(ctx)
	for _, e := range page.Items {
		l.templates.Expect(e.TemplateID)
		if e.Change != nil {
			l.after.Expect(e.Change)
		}
	}
	return &generated.StateConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, graph.StateKey),
		Edges: edges(page, graph.StateKey, func(cursor string, e *registry.StateEntry) *generated.StateEdge {
			return &generated.StateEdge{Cursor: cursor, Node: e}
		}),
	}, nil
}

// stateAt is what a twin was at a moment.
func (r *Resolver) stateAt(ctx context.Context, twin registry.ID, at time.Time) (*registry.PastState, error) {
	scope, err := presentScope(ctx)
	if err != nil {
		return nil, err
	}
	return r.Graph.StateAt(ctx, scope, twin, at)
}

// linkOfState finds the link that an entry is about.
func linkOfState(ctx context.Context, e *registry.StateEntry) (*registry.Link, error) {
	if e.LinkID == "" {
		return nil, nil
	}
	links, err := loadersFrom(ctx).links.Load(ctx, e.TwinID)
	for _, link := range links {
		if link.ID == e.LinkID {
			return link, err
		}
	}
	return nil, err
}
