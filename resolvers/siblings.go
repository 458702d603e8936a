package resolvers

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// everyType makes a selection's fragments count whatever type they are on.
var everyType = []string{
	"Node", "Twin", "Related", "Group", "Device", "Asset", "Template", "Policy", "Link",
	"GroupEdge", "DeviceEdge", "AssetEdge", "TwinEdge", "PolicyEdge", "TemplateEdge", "BulkResult",
	"TemplateMisfit", "TemplateMisfitEdge",
}

// siblings tells the loaders that these objects were met and that the fields
// selected below the current one will be asked of each of them.
func (l *loaders) siblings(ctx context.Context, things []registry.Node) {
	if len(things) == 0 {
		return
	}
	op := graphql.GetOperationContext(ctx)
	for _, field := range graphql.CollectFieldsCtx(ctx, everyType) {
		l.expectBelow(op, field, things)
	}
}

// expectBelow looks through the wrappers of a connection and of a bulk
// request's outcomes.
func (l *loaders) expectBelow(op *graphql.OperationContext, field graphql.CollectedField, things []registry.Node) {
	switch field.Name {
	case "edges", "node", "nodes", "results", "object":
		for _, inner := range graphql.CollectFields(op, field.Selections, everyType) {
			l.expectBelow(op, inner, things)
		}
	default:
		for _, thing := range things {
			l.expect(op, field, thing)
		}
	}
}

// expect says what asking a thing for a field will load.
func (l *loaders) expect(op *graphql.OperationContext, field graphql.CollectedField, thing registry.Node) {
	id := thing.NodeID()
	switch field.Name {
	case "template":
		if p, ok := thing.(*registry.Profile); ok {
			l.newest.Expect(p.TemplateRef())
		}
		if template := templateOf(thing); template != "" {
			l.templates.Expect(template)
		}
	case "current", "objectCount":
		l.uses.Expect(id)
	case "versions":
		l.versions.Expect(id)
	case "groups":
		l.memberships.Expect(id)
	case "relations":
		l.relations.Expect(id)
	case "componentOf", "partOf":
		l.wholes.Expect(id)
	case "components", "parts":
		l.parts.Expect(id)
	case "links":
		l.links.Expect(id)
	case "live":
		l.live.Expect(id)
	case "series":
		l.series.Expect(id)
	case "presence":
		l.presence.Expect(id)
	case "desired":
		l.desired.Expect(id)
	case "alarms":
		if _, ok := thing.(registry.Twin); ok {
			l.alarms.With(whichAlarms(booleanArgument(op, field, "active"))).Expect(id)
		}
	case "ancestors":
		l.ancestors.Expect(id)
	case "policies":
		l.inherited.With(stringArgument(op, field, "type")).Expect(id)
	case "policyReferences":
		l.references.With(stringArgument(op, field, "type")).Expect(id)
	case "parent":
		if g, ok := thing.(*registry.Group); ok && g.ParentID != "" {
			l.groups.Expect(g.ParentID)
		}
	case "appliesTo":
		if p, ok := thing.(*registry.Policy); ok {
			l.groups.Expect(p.GroupIDs...)
		}
	case "children":
		if page, err := pageArguments(op, field); err == nil {
			l.children.With(page).Expect(id)
		}
	case "changes":
		if args, err := changeArguments(op, field); err == nil {
			l.changes.With(args).Expect(id)
		}
	}
}

func templateOf(thing registry.Node) registry.ID {
	switch thing := thing.(type) {
	case *registry.Group:
		return thing.TemplateID
	case registry.Twin:
		return thing.TwinTemplate()
	}
	return ""
}

func booleanArgument(op *graphql.OperationContext, field graphql.CollectedField, name string) *bool {
	if b, ok := field.ArgumentMap(op.Variables)[name].(bool); ok {
		return &b
	}
	return nil
}

func stringArgument(op *graphql.OperationContext, field graphql.CollectedField, name string) string {
	s, _ := field.ArgumentMap(op.Variables)[name].(string)
	return s
}

// pageArguments reads the paging arguments of a field that is not resolved yet.
func pageArguments(op *graphql.OperationContext, field graphql.CollectedField) (registry.PageRequest, error) {
	args := field.ArgumentMap(op.Variables)
	number := func(name string) *int {
		if args[name] == nil {
			return nil
		}
		n, err := graphql.UnmarshalInt(args[name])
		if err != nil {
			return nil
		}
		return &n
	}
	text := func(name string) *string {
		if s, ok := args[name].(string); ok {
			return &s
		}
		return nil
	}
	return registry.NewPage(number("first"), text("after"), number("last"), text("before"))
}

// follow tells the loaders what comes below objects that were just loaded.
func follow[T registry.Node](l *loaders) func(context.Context, []T) {
	return func(ctx context.Context, values []T) { l.siblings(ctx, present(values)) }
}

func followLists[T registry.Node](l *loaders) func(context.Context, [][]T) {
	return func(ctx context.Context, lists [][]T) {
		var all []registry.Node
		for _, list := range lists {
			all = append(all, present(list)...)
		}
		l.siblings(ctx, all)
	}
}

func (l *loaders) followPages(ctx context.Context, pages []registry.Page[*registry.Group]) {
	var all []registry.Node
	for _, page := range pages {
		all = append(all, asNodes(page.Items)...)
	}
	l.siblings(ctx, all)
}

func (l *loaders) followMemberships(_ context.Context, lists [][]graph.Membership) {
	for _, list := range lists {
		for _, m := range list {
			l.groups.Expect(m.GroupID)
		}
	}
}

func (l *loaders) followRelations(_ context.Context, lists [][]registry.Relation) {
	for _, list := range lists {
		for _, relation := range list {
			l.nodes.Expect(relation.OtherID)
		}
	}
}

func (l *loaders) followLinks(_ context.Context, lists [][]*registry.Link) {
	for _, list := range lists {
		for _, link := range list {
			l.nodes.Expect(link.DeviceID, link.AssetID)
			if link.Until == nil {
				l.live.Expect(link.DeviceID)
			}
		}
	}
}

// present turns loaded objects into nodes and leaves out the slots of those
// that do not exist.
func present[T registry.Node](values []T) []registry.Node {
	nodes := make([]registry.Node, 0, len(values))
	for _, v := range values {
		if node := registry.Node(v); !isNil(node) {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

func isNil(node registry.Node) bool {
	switch node := node.(type) {
	case nil:
		return true
	case *registry.Group:
		return node == nil
	case *registry.Device:
		return node == nil
	case *registry.Asset:
		return node == nil
	case *registry.Policy:
		return node == nil
	case *registry.Template:
		return node == nil
	case *registry.Profile:
		return node == nil
	}
	return false
}
