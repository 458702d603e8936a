package resolvers

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// device finds a device with what the request will need of it, in one round
// trip.
func (r *Resolver) device(ctx context.Context, reference string) (*registry.Device, error) {
	with, err := absent(r.Graph.DeviceByReference(ctx, scopeFrom(ctx), reference, included(ctx)))
	if err != nil || with == nil {
		return nil, err
	}
	loadersFrom(ctx).met(ctx, with)
	device, _ := with.Twin.(*registry.Device)
	return device, nil
}

// asset finds an asset with what the request will need of it, in one round
// trip.
func (r *Resolver) asset(ctx context.Context, reference string) (*registry.Asset, error) {
	with, err := absent(r.Graph.AssetByReference(ctx, scopeFrom(ctx), reference, included(ctx)))
	if err != nil || with == nil {
		return nil, err
	}
	loadersFrom(ctx).met(ctx, with)
	asset, _ := with.Twin.(*registry.Asset)
	return asset, nil
}

// included says what of a twin is selected below the current field. Policies
// of one type only are left to their loader.
func included(ctx context.Context) graph.Include {
	op := graphql.GetOperationContext(ctx)
	var include graph.Include
	for _, field := range graphql.CollectFieldsCtx(ctx, everyType) {
		switch field.Name {
		case "groups":
			include.Groups, include.Brief = true, briefGroups(op)
		case "policies":
			include.Policies = include.Policies || stringArgument(op, field, "type") == ""
		}
	}
	return include
}

// met hands what came with a twin to the loaders.
func (l *loaders) met(ctx context.Context, with *graph.TwinWith) {
	id := with.Twin.NodeID()
	l.templates.Prime(with.Template.ID, with.Template)
	if with.Groups != nil {
		l.memberships.Prime(id, with.Memberships)
		for _, group := range with.Groups {
			l.groups.Prime(group.ID, group)
		}
	}
	if with.Policies != nil {
		l.inherited.With("").Prime(id, with.Policies)
	}
	l.siblings(ctx, []registry.Node{with.Twin})
	l.below(ctx, "groups", asNodes(with.Groups))
	l.below(ctx, "policies", asNodes(with.Policies))
}

// below tells the loaders what is selected of objects that came with the
// current field's own object, under one of its fields.
func (l *loaders) below(ctx context.Context, name string, things []registry.Node) {
	op := graphql.GetOperationContext(ctx)
	for _, field := range graphql.CollectFieldsCtx(ctx, everyType) {
		if field.Name != name {
			continue
		}
		for _, inner := range graphql.CollectFields(op, field.Selections, everyType) {
			l.expectBelow(op, inner, things)
		}
	}
}

// group finds a group, and the first children below it as deep as the request
// asks for them, in one round trip.
func (r *Resolver) group(ctx context.Context, path string) (*registry.Group, error) {
	if momentFrom(ctx) != nil {
		group, err := absent(r.Graph.GroupByPath(ctx, scopeFrom(ctx), path))
		if group != nil {
			loadersFrom(ctx).siblings(ctx, []registry.Node{group})
		}
		return group, err
	}
	op := graphql.GetOperationContext(ctx)
	pages := childPages(op, graphql.CollectFieldsCtx(ctx, everyType))
	sizes := make([]int, len(pages))
	for i, page := range pages {
		sizes[i] = page.Size
	}
	tree, err := absent(r.Graph.GroupTree(ctx, scopeFrom(ctx), path, sizes, briefGroups(op)))
	if err != nil || tree == nil {
		return nil, err
	}
	l := loadersFrom(ctx)
	l.siblings(ctx, []registry.Node{tree.Group})
	l.primeTree(op, tree, pages, graphql.CollectFieldsCtx(ctx, everyType))
	return tree.Group, nil
}

// treeLevels is how many levels of children one round trip reads.
const treeLevels = 3

// childPages returns the page of children that is asked for on each level, as
// long as it is the first page and the only one.
func childPages(op *graphql.OperationContext, fields []graphql.CollectedField) []registry.PageRequest {
	var pages []registry.PageRequest
	for len(pages) < treeLevels {
		field, ok := onlyChildren(fields)
		if !ok {
			break
		}
		page, err := pageArguments(op, field)
		if err != nil || page.Backward || page.Key != "" {
			break
		}
		pages = append(pages, page)
		fields = nodeFields(op, field)
	}
	return pages
}

func onlyChildren(fields []graphql.CollectedField) (only graphql.CollectedField, ok bool) {
	for _, field := range fields {
		if field.Name != "children" {
			continue
		}
		if ok {
			return only, false
		}
		only, ok = field, true
	}
	return only, ok
}

// nodeFields returns what is selected of the objects of a connection.
func nodeFields(op *graphql.OperationContext, connection graphql.CollectedField) []graphql.CollectedField {
	var found []graphql.CollectedField
	for _, field := range graphql.CollectFields(op, connection.Selections, everyType) {
		switch field.Name {
		case "nodes":
			found = append(found, graphql.CollectFields(op, field.Selections, everyType)...)
		case "edges":
			for _, inner := range graphql.CollectFields(op, field.Selections, everyType) {
				if inner.Name == "node" {
					found = append(found, graphql.CollectFields(op, inner.Selections, everyType)...)
				}
			}
		}
	}
	return found
}

// primeTree hands the children of each group of a tree to the loaders, and
// tells what else is asked of them.
func (l *loaders) primeTree(op *graphql.OperationContext, tree *graph.GroupTree, pages []registry.PageRequest, fields []graphql.CollectedField) {
	if len(pages) == 0 {
		return
	}
	page := registry.Page[*registry.Group]{HasNext: tree.HasNext, Items: make([]*registry.Group, len(tree.Children))}
	for i, child := range tree.Children {
		page.Items[i] = child.Group
	}
	l.children.With(pages[0]).Prime(tree.Group.ID, page)
	field, _ := onlyChildren(fields)
	below := nodeFields(op, field)
	for _, inner := range below {
		for _, child := range page.Items {
			l.expect(op, inner, child)
		}
	}
	for _, child := range tree.Children {
		l.primeTree(op, child, pages[1:], below)
	}
}
