package resolvers

import (
	"context"
	"slices"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

// keeping is the request's scope for a change that has to keep to the token of
// its rehearsal, if there is one.
func keeping(ctx context.Context, token *string) registry.Scope {
	scope := scopeFrom(ctx)
	scope.Token = deref(token)
	return scope
}

func effectKey(e *registry.RehearsedEffect) string { return e.Key }

// effects is a page of what a change would do.
func effects(ctx context.Context, r *registry.Rehearsal, request registry.PageRequest) *generated.RehearsedEffectConnection {
	found := r.Page(request)
	page := registry.Page[*registry.RehearsedEffect]{HasNext: found.HasNext, HasPrevious: found.HasPrevious}
	l := loadersFrom(ctx)
	for i := range found.Items {
		page.Items = append(page.Items, &found.Items[i])
		l.nodes.Expect(found.Items[i].ObjectID)
		for _, policy := range append(slices.Clone(found.Items[i].Gained), found.Items[i].Lost...) {
			l.groups.Expect(policy.GroupIDs...)
		}
	}
	return &generated.RehearsedEffectConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, effectKey), TotalCount: r.Twins,
		Edges: edges(page, effectKey, func(cursor string, e *registry.RehearsedEffect) *generated.RehearsedEffectEdge {
			return &generated.RehearsedEffectEdge{Cursor: cursor, Node: e}
		}),
	}
}
