package resolvers

import (
	"context"
	"fmt"
	"slices"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

// keeping is the request's scope for a change that has to keep to the token of
// its rehearsal, if there is one.
func keeping(ctx context.Context, token *string) registry.Scope {
	scope := scopeFrom(ctx)
	scope.Token = givenText(token)
	return scope
}

// trying is the request's scope for a change that is only tried, if it is to be
// rehearsed, and that else has to keep to a token, if there is one.
func trying(ctx context.Context, rehearse bool, token *string) registry.Scope {
	scope := keeping(ctx, token)
	if rehearse {
		scope.Rehearsal = &registry.Rehearsal{}
	}
	return scope
}

// tokenOf is the token of what was only tried, nil if it was not.
func tokenOf(scope registry.Scope) *string {
	if scope.Rehearsal == nil {
		return nil
	}
	return &scope.Rehearsal.Token
}

// unlessTried is what a change came to; nil if it was only tried.
func unlessTried[T any](scope registry.Scope, result *T) *T {
	if scope.Rehearsal != nil {
		return nil
	}
	return result
}

// asWhole refuses the items of a bulk request that ask to be rehearsed, or to
// keep to a token, on their own.
func asWhole[In any](list string, items []In, alone func(In) (rehearse bool, token *string)) error {
	for i, item := range items {
		if rehearse, token := alone(item); rehearse || token != nil {
			return registry.InvalidField(fmt.Sprintf("input.%s[%d]", list, i), "exclusive", "is rehearsed with the whole request: set rehearse, or token, beside the list")
		}
	}
	return nil
}

func effectKey(e *registry.RehearsedEffect) string { return e.Key }

// effects is a page of what a change would do.
func effects(ctx context.Context, r *registry.Rehearsal, request registry.PageRequest) *generated.RehearsedEffectConnection {
	found := r.Page(request)
	page := registry.Page[*registry.RehearsedEffect]{HasNext: found.HasNext, HasPrevious: found.HasPrevious}
	l := loadersFrom(ctx)
	for i := range found.Items {
		page.Items = append(page.Items, &found.Items[i])
		if id := found.Items[i].ObjectID; id != "" {
			l.nodes.Expect(id)
		}
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
