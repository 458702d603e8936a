package resolvers

import (
	"context"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
	"github.com/holon-registry/holon/resolvers/scalar"
)

// changeArgs are the arguments of the changes of one object, as a key of
// loaders.
type changeArgs struct {
	operation registry.ChangeOperation
	from, to  time.Time
	direction registry.SortDirection
	page      registry.PageRequest
}

func (a changeArgs) filter() registry.ChangeFilter {
	f := registry.ChangeFilter{Operation: a.operation, Direction: a.direction}
	if !a.from.IsZero() {
		f.From = &a.from
	}
	if !a.to.IsZero() {
		f.To = &a.to
	}
	return f
}

// objectChanges makes the connection of the changes of one object.
func (r *Resolver) objectChanges(ctx context.Context, object registry.ID, operation *registry.ChangeOperation, from, to *time.Time, direction registry.SortDirection, first *int, after *string, last *int, before *string) (*generated.ChangeConnection, error) {
	page, err := registry.NewPage(first, after, last, before)
	if err != nil {
		return nil, err
	}
	args := changeArgs{operation: value(operation), from: value(from), to: value(to), direction: direction, page: page}
	found, err := loadersFrom(ctx).changes.With(args).Load(ctx, object)
	if err != nil {
		return nil, err
	}
	filter := args.filter()
	filter.ObjectID = object
	return changeConnection(ctx, found, func() (*int, error) { return r.countChanges(ctx, filter) })
}

// changes makes the connection of the account's changes.
func (r *Resolver) changes(ctx context.Context, f registry.ChangeFilter, page registry.PageRequest) (*generated.ChangeConnection, error) {
	found, err := r.Graph.ListChanges(ctx, scopeFrom(ctx), f, page)
	if err != nil {
		return nil, err
	}
	loadersFrom(ctx).followChanges(ctx, []registry.ChangePage{found})
	return changeConnection(ctx, found, func() (*int, error) { return r.countChanges(ctx, f) })
}

func (r *Resolver) countChanges(ctx context.Context, f registry.ChangeFilter) (*int, error) {
	if f.Under != "" {
		return nil, nil
	}
	n, err := r.Graph.CountChanges(ctx, scopeFrom(ctx), f)
	return &n, err
}

func changeConnection(ctx context.Context, page registry.ChangePage, count func() (*int, error)) (*generated.ChangeConnection, error) {
	info := pageInfo(page.Page, graph.ChangeKey)
	for position, into := range map[int64]**string{page.Start: &info.StartCursor, page.End: &info.EndCursor} {
		if position != 0 {
			cursor := registry.Cursor(strconv.FormatInt(position, 10))
			*into = &cursor
		}
	}
	connection := &generated.ChangeConnection{
		Nodes: page.Items, PageInfo: info,
		Edges: edges(page.Page, graph.ChangeKey, func(cursor string, c *registry.Change) *generated.ChangeEdge {
			return &generated.ChangeEdge{Cursor: cursor, Node: c}
		}),
	}
	if !selects(ctx, "totalCount") {
		return connection, nil
	}
	var err error
	connection.TotalCount, err = count()
	return connection, err
}

// followChanges tells the loaders what is selected of changes.
func (l *loaders) followChanges(_ context.Context, pages []registry.ChangePage) {
	for _, page := range pages {
		for _, c := range page.Items {
			l.after.Expect(c)
			if c.Operation != registry.ChangeDelete {
				l.nodes.Expect(c.ObjectID)
			}
		}
	}
}

// changeArguments reads the arguments of a field that is not resolved yet.
func changeArguments(op *graphql.OperationContext, field graphql.CollectedField) (changeArgs, error) {
	page, err := pageArguments(op, field)
	if err != nil {
		return changeArgs{}, err
	}
	given := field.ArgumentMap(op.Variables)
	text := func(name string) string {
		s, _ := given[name].(string)
		return s
	}
	moment := func(name string) time.Time {
		at, err := scalar.UnmarshalDateTime(given[name])
		if err != nil {
			return time.Time{}
		}
		return at
	}
	return changeArgs{
		operation: registry.ChangeOperation(text("operation")), direction: registry.SortDirection(text("direction")),
		from: moment("from"), to: moment("to"), page: page,
	}, nil
}

// value is what a pointer leads to, the zero value where it is nil.
func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}
