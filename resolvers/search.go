package resolvers

import (
	"context"
	"encoding/json"

	"github.com/99designs/gqlgen/graphql"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

// narrowed says whether a list is asked for by a rule or in an order of its own,
// which makes it a search.
func narrowed(where *string, orderBy []*registry.OrderBy) bool {
	return where != nil || len(orderBy) > 0
}

// searchIn makes a search of the arguments of a list.
func searchIn(kind registry.Kind, under, template *string, where *string, orderBy []*registry.OrderBy) registry.Search {
	s := registry.Search{Under: underPath(under), OrderBy: orders(orderBy)}
	if kind != "" {
		s.Kinds = []registry.Kind{kind}
	}
	if template != nil {
		s.Templates = []string{*template}
	}
	s.Where = givenText(where)
	return s
}

// givenText is a rule, words or a token that were given, even empty ones, as of a
// variable that was forgotten, which are refused.
func givenText(text *string) string {
	if text != nil && *text == "" {
		return " "
	}
	return value(text)
}

func orders(in []*registry.OrderBy) []registry.OrderBy {
	out := make([]registry.OrderBy, len(in))
	for i, by := range in {
		out[i] = *by
	}
	return out
}

// addresses makes a list as GraphQL has it.
func addresses[T any](list []T) []*T {
	out := make([]*T, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}

// find runs a search for a page, and counts what it finds if that is asked for.
func (r *Resolver) find(ctx context.Context, s registry.Search, first *int, after *string, last *int, before *string) (registry.Page[registry.Found], registry.Summary, error) {
	request, err := registry.NewSearchPage(first, after, last, before)
	if err != nil {
		return registry.Page[registry.Found]{}, registry.Summary{}, err
	}
	facets := facetsAsked(ctx)
	var page registry.Page[registry.Found]
	var summary registry.Summary
	if len(facets) > 0 || selects(ctx, "totalCount") {
		requests := make([]registry.FacetRequest, len(facets))
		for i, facet := range facets {
			requests[i] = facet.FacetRequest
		}
		page, summary, err = r.Graph.SearchAndSummarize(ctx, scopeFrom(ctx), s, request, requests)
	} else {
		page, err = r.Graph.Search(ctx, scopeFrom(ctx), s, request)
	}
	if err != nil {
		return page, summary, err
	}
	nodes := make([]registry.Node, len(page.Items))
	for i, item := range page.Items {
		nodes[i] = item.Thing
	}
	loadersFrom(ctx).siblings(ctx, nodes)
	return page, summary, nil
}

// typed makes a page of what a search found a page of one type, with the keys of
// its items.
func typed[T registry.Related](found registry.Page[registry.Found]) (registry.Page[T], func(T) string) {
	out := registry.Page[T]{HasNext: found.HasNext, HasPrevious: found.HasPrevious, Items: make([]T, 0, len(found.Items))}
	keys := make(map[registry.ID]string, len(found.Items))
	for _, item := range found.Items {
		if thing, ok := item.Thing.(T); ok {
			out.Items = append(out.Items, thing)
			keys[thing.NodeID()] = item.Key
		}
	}
	return out, func(thing T) string { return keys[thing.NodeID()] }
}

func (r *Resolver) groupsFound(ctx context.Context, s registry.Search, first *int, after *string, last *int, before *string) (*generated.GroupConnection, error) {
	found, summary, err := r.find(ctx, s, first, after, last, before)
	page, key := typed[*registry.Group](found)
	return &generated.GroupConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, key), TotalCount: summary.Total,
		Edges: edges(page, key, func(cursor string, g *registry.Group) *generated.GroupEdge {
			return &generated.GroupEdge{Cursor: cursor, Node: g}
		}),
	}, err
}

func (r *Resolver) devicesFound(ctx context.Context, s registry.Search, first *int, after *string, last *int, before *string) (*generated.DeviceConnection, error) {
	found, summary, err := r.find(ctx, s, first, after, last, before)
	page, key := typed[*registry.Device](found)
	return &generated.DeviceConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, key), TotalCount: summary.Total,
		Edges: edges(page, key, func(cursor string, d *registry.Device) *generated.DeviceEdge {
			return &generated.DeviceEdge{Cursor: cursor, Node: d}
		}),
	}, err
}

func (r *Resolver) assetsFound(ctx context.Context, s registry.Search, first *int, after *string, last *int, before *string) (*generated.AssetConnection, error) {
	found, summary, err := r.find(ctx, s, first, after, last, before)
	page, key := typed[*registry.Asset](found)
	return &generated.AssetConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, key), TotalCount: summary.Total,
		Edges: edges(page, key, func(cursor string, a *registry.Asset) *generated.AssetEdge {
			return &generated.AssetEdge{Cursor: cursor, Node: a}
		}),
	}, err
}

func (r *Resolver) membersFound(ctx context.Context, s registry.Search, first *int, after *string, last *int, before *string) (*generated.TwinConnection, error) {
	found, summary, err := r.find(ctx, s, first, after, last, before)
	page := registry.Page[registry.Twin]{HasNext: found.HasNext, HasPrevious: found.HasPrevious}
	keys := map[registry.ID]string{}
	for _, item := range found.Items {
		if twin, ok := item.Thing.(registry.Twin); ok {
			page.Items = append(page.Items, twin)
			keys[twin.NodeID()] = item.Key
		}
	}
	key := func(t registry.Twin) string { return keys[t.NodeID()] }
	return &generated.TwinConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, key), TotalCount: summary.Total,
		Edges: edges(page, key, func(cursor string, t registry.Twin) *generated.TwinEdge {
			return &generated.TwinEdge{Cursor: cursor, Node: t}
		}),
	}, err
}

func (r *Resolver) searchFound(ctx context.Context, s registry.Search, first *int, after *string, last *int, before *string) (*generated.SearchConnection, error) {
	found, summary, err := r.find(ctx, s, first, after, last, before)
	if err != nil {
		return nil, err
	}
	page, key := typed[registry.Related](found)
	out := &generated.SearchConnection{Nodes: page.Items, PageInfo: pageInfo(page, key), TotalCount: summary.Total, Counted: registry.Facets{}}
	for _, item := range found.Items {
		out.Edges = append(out.Edges, &generated.SearchEdge{Cursor: registry.Cursor(item.Key), Node: item.Thing, Score: item.Score})
	}
	for i, facet := range facetsAsked(ctx) {
		out.Counted[facet.alias] = summary.Facets[i]
	}
	return out, nil
}

// facetAsked is a facet in the selection of a search, with its alias.
type facetAsked struct {
	registry.FacetRequest
	alias string
}

// facetsAsked finds the facets in the selection of the current field, so that
// one statement counts them all.
func facetsAsked(ctx context.Context) []facetAsked {
	var out []facetAsked
	variables := graphql.GetOperationContext(ctx).Variables
	for _, f := range graphql.CollectFieldsCtx(ctx, nil) {
		if f.Name != "facets" {
			continue
		}
		arguments := f.ArgumentMap(variables)
		field, _ := arguments["field"].(string)
		asked := facetAsked{registry.FacetRequest{Field: field, First: int(numberOr(arguments["first"], 100))}, f.Alias}
		ranges, isList := arguments["ranges"].([]any)
		if !isList && arguments["ranges"] != nil {
			ranges = []any{arguments["ranges"]} // one stands for a list of one
		}
		for _, item := range ranges {
			ends, _ := item.(map[string]any)
			asked.Ranges = append(asked.Ranges, registry.FloatRange{From: end(ends["from"]), To: end(ends["to"])})
		}
		out = append(out, asked)
	}
	return out
}

func end(value any) *float64 {
	if value == nil {
		return nil
	}
	f := numberOr(value, 0)
	return &f
}

// numberOr is a number as the arguments of a request have it.
func numberOr(value any, otherwise float64) float64 {
	switch n := value.(type) {
	case int64:
		return float64(n)
	case int:
		return float64(n)
	case float64:
		return n
	case json.Number:
		if f, err := n.Float64(); err == nil {
			return f
		}
	}
	return otherwise
}

// matchingIn makes a search whose finds are deleted or changed. An empty path,
// which may be a variable that was forgotten, does not mean everything.
func matchingIn(kinds []registry.Kind, where, under *string, includeSelf bool, templates []string) (registry.Search, error) {
	if under != nil && *under == "" {
		return registry.Search{}, registry.InvalidField("input.under", "required", "is empty: say `/` if the whole account is meant")
	}
	return registry.Search{
		Kinds: kinds, Where: givenText(where), Under: value(under), IncludeSelf: includeSelf, Templates: templates,
	}, nil
}
