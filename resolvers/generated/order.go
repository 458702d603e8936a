// Package generated is what gqlgen makes of the schema, edited to make lists in
// order. This file alone is written by hand.
package generated

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// The other files are edited to use this one:
//
//go:generate go run ../../internal/inorder .

// marshalInOrder makes the items of a list one after the other. A panic, or the
// end of the context, makes the list null, as in gqlgen.
func marshalInOrder(ctx context.Context, length int, marshal func(ctx context.Context, i int) graphql.Marshaler) graphql.Array {
	list, whole := make(graphql.Array, length), true
	for i := range length {
		if err := ctx.Err(); err != nil {
			graphql.AddError(ctx, err)
			return nil
		}
		item := graphql.WithFieldContext(ctx, &graphql.FieldContext{Index: &i})
		if list[i] = recovering(item, i, marshal); list[i] == nil {
			whole = false
		}
	}
	if !whole {
		return nil
	}
	return list
}

// recovering makes one item, nil if that panics.
func recovering(ctx context.Context, i int, marshal func(ctx context.Context, i int) graphql.Marshaler) (item graphql.Marshaler) {
	defer func() {
		if caught := recover(); caught != nil {
			graphql.AddError(ctx, graphql.Recover(ctx, caught))
			item = nil
		}
	}()
	return marshal(ctx, i)
}

// pathOfDeferred is where parts of an answer belong that come later. There are
// none without @defer, and then nobody asks.
func pathOfDeferred(ctx context.Context, deferred map[string]*graphql.FieldSetView) ast.Path {
	if len(deferred) == 0 {
		return nil
	}
	return graphql.GetPath(ctx)
}
