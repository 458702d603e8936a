package resolvers

import (
	"context"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

// selects says whether the current field's selection has a field of this name.
func selects(ctx context.Context, name string) bool {
	return slices.ContainsFunc(graphql.CollectFieldsCtx(ctx, nil), func(f graphql.CollectedField) bool { return f.Name == name })
}

// countIfAsked counts a list only when totalCount was selected.
func countIfAsked(ctx context.Context, count func() (int, error)) (int, error) {
	if !selects(ctx, "totalCount") {
		return 0, nil
	}
	return count()
}

// pageInfo says where a page lies. The keys are those of its first and its
// last item.
func pageInfo[T any](page registry.Page[T], key func(T) string) *generated.PageInfo {
	info := &generated.PageInfo{HasNextPage: page.HasNext, HasPreviousPage: page.HasPrevious}
	if n := len(page.Items); n > 0 {
		start, end := registry.Cursor(key(page.Items[0])), registry.Cursor(key(page.Items[n-1]))
		info.StartCursor, info.EndCursor = &start, &end
	}
	return info
}

// edges makes the edges of a page.
func edges[T, E any](page registry.Page[T], key func(T) string, edge func(cursor string, node T) E) []E {
	out := make([]E, len(page.Items))
	for i, item := range page.Items {
		out[i] = edge(registry.Cursor(key(item)), item)
	}
	return out
}

// listed tells the loaders what a page brings and hands its items on.
func listed[T registry.Node](ctx context.Context, page registry.Page[T]) registry.Page[T] {
	loadersFrom(ctx).siblings(ctx, asNodes(page.Items))
	return page
}

func asNodes[T registry.Node](items []T) []registry.Node {
	nodes := make([]registry.Node, len(items))
	for i, item := range items {
		nodes[i] = item
	}
	return nodes
}
