package resolvers

import (
	"context"
	"strconv"

	"github.com/99designs/gqlgen/graphql"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

// The keys that lists are ordered by, which cursors hold.
func groupKey(g *registry.Group) string             { return g.Path }
func deviceKey(d *registry.Device) string           { return d.Reference }
func assetKey(a *registry.Asset) string             { return a.Reference }
func policyKey(p *registry.Policy) string           { return p.Reference }
func measureTypeKey(m *registry.MeasureType) string { return m.Name }
func templateKey(t *registry.Template) string       { return graph.TemplateKey(t) }
func deadLetterKey(d *registry.DeadLetter) string   { return graph.DeadLetterKey(d) }
func twinKey(t registry.Twin) string                { return graph.MemberKey(t) }

func measurementKey(m registry.Measurement) string {
	return strconv.FormatInt(m.At.UnixMilli(), 10)
}

func groupConnection(ctx context.Context, page registry.Page[*registry.Group], count func() (int, error)) (*generated.GroupConnection, error) {
	total, err := countIfAsked(ctx, count)
	return &generated.GroupConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, groupKey), TotalCount: total,
		Edges: edges(page, groupKey, func(cursor string, g *registry.Group) *generated.GroupEdge {
			return &generated.GroupEdge{Cursor: cursor, Node: g}
		}),
	}, err
}

func (r *Resolver) groups(ctx context.Context, f registry.Filter, request registry.PageRequest) (*generated.GroupConnection, error) {
	f.Brief = briefGroups(graphql.GetOperationContext(ctx))
	page, err := r.Graph.ListGroups(ctx, scopeFrom(ctx), f, request)
	if err != nil {
		return nil, err
	}
	return groupConnection(ctx, listed(ctx, page), func() (int, error) { return r.Graph.CountGroups(ctx, scopeFrom(ctx), f) })
}

func (r *Resolver) children(ctx context.Context, parent *registry.Group, request registry.PageRequest) (*generated.GroupConnection, error) {
	page, err := loadersFrom(ctx).children.With(request).Load(ctx, parent.ID)
	if err != nil {
		return nil, err
	}
	return groupConnection(ctx, page, func() (int, error) { return r.Graph.CountChildren(ctx, scopeFrom(ctx), parent.ID) })
}

func (r *Resolver) devices(ctx context.Context, f registry.Filter, request registry.PageRequest) (*generated.DeviceConnection, error) {
	f.Brief = briefTwins(graphql.GetOperationContext(ctx))
	page, err := r.Graph.ListDevices(ctx, scopeFrom(ctx), f, request)
	if err != nil {
		return nil, err
	}
	page = listed(ctx, page)
	total, err := countIfAsked(ctx, func() (int, error) { return r.Graph.CountDevices(ctx, scopeFrom(ctx), f) })
	return &generated.DeviceConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, deviceKey), TotalCount: total,
		Edges: edges(page, deviceKey, func(cursor string, d *registry.Device) *generated.DeviceEdge {
			return &generated.DeviceEdge{Cursor: cursor, Node: d}
		}),
	}, err
}

func (r *Resolver) assets(ctx context.Context, f registry.Filter, request registry.PageRequest) (*generated.AssetConnection, error) {
	f.Brief = briefTwins(graphql.GetOperationContext(ctx))
	page, err := r.Graph.ListAssets(ctx, scopeFrom(ctx), f, request)
	if err != nil {
		return nil, err
	}
	page = listed(ctx, page)
	total, err := countIfAsked(ctx, func() (int, error) { return r.Graph.CountAssets(ctx, scopeFrom(ctx), f) })
	return &generated.AssetConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, assetKey), TotalCount: total,
		Edges: edges(page, assetKey, func(cursor string, a *registry.Asset) *generated.AssetEdge {
			return &generated.AssetEdge{Cursor: cursor, Node: a}
		}),
	}, err
}

func (r *Resolver) members(ctx context.Context, group *registry.Group, f graph.MemberFilter, request registry.PageRequest) (*generated.TwinConnection, error) {
	page, err := r.Graph.Members(ctx, scopeFrom(ctx), group.ID, f, request)
	if err != nil {
		return nil, err
	}
	page = listed(ctx, page)
	total, err := countIfAsked(ctx, func() (int, error) { return r.Graph.CountMembers(ctx, scopeFrom(ctx), group.ID, f) })
	return &generated.TwinConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, twinKey), TotalCount: total,
		Edges: edges(page, twinKey, func(cursor string, t registry.Twin) *generated.TwinEdge {
			return &generated.TwinEdge{Cursor: cursor, Node: t}
		}),
	}, err
}

func (r *Resolver) policies(ctx context.Context, policyType *string, request registry.PageRequest) (*generated.PolicyConnection, error) {
	page, err := r.Graph.ListPolicies(ctx, scopeFrom(ctx), policyType, request)
	if err != nil {
		return nil, err
	}
	page = listed(ctx, page)
	total, err := countIfAsked(ctx, func() (int, error) { return r.Graph.CountPolicies(ctx, scopeFrom(ctx), policyType) })
	return &generated.PolicyConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, policyKey), TotalCount: total,
		Edges: edges(page, policyKey, func(cursor string, p *registry.Policy) *generated.PolicyEdge {
			return &generated.PolicyEdge{Cursor: cursor, Node: p}
		}),
	}, err
}

func (r *Resolver) templates(ctx context.Context, f graph.TemplateFilter, request registry.PageRequest) (*generated.TemplateConnection, error) {
	page, err := r.Graph.ListTemplates(ctx, scopeFrom(ctx), f, request)
	if err != nil {
		return nil, err
	}
	page = listed(ctx, page)
	total, err := countIfAsked(ctx, func() (int, error) { return r.Graph.CountTemplates(ctx, scopeFrom(ctx), f) })
	return &generated.TemplateConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, templateKey), TotalCount: total,
		Edges: edges(page, templateKey, func(cursor string, t *registry.Template) *generated.TemplateEdge {
			return &generated.TemplateEdge{Cursor: cursor, Node: t}
		}),
	}, err
}

func (r *Resolver) measureTypes(ctx context.Context, request registry.PageRequest) (*generated.MeasureTypeConnection, error) {
	page, err := r.Graph.ListMeasureTypes(ctx, scopeFrom(ctx), request)
	if err != nil {
		return nil, err
	}
	total, err := countIfAsked(ctx, func() (int, error) { return r.Graph.CountMeasureTypes(ctx, scopeFrom(ctx)) })
	return &generated.MeasureTypeConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, measureTypeKey), TotalCount: total,
		Edges: edges(page, measureTypeKey, func(cursor string, m *registry.MeasureType) *generated.MeasureTypeEdge {
			return &generated.MeasureTypeEdge{Cursor: cursor, Node: m}
		}),
	}, err
}
