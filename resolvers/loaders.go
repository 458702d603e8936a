package resolvers

import (
	"context"
	"sync"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// loaders load the edges of objects for one request: a page of a hundred
// devices costs as many round trips as a page of one.
type loaders struct {
	resolver *Resolver
	scope    registry.Scope
	// past are the loaders of other moments, by the moment in milliseconds.
	mu   sync.Mutex
	past map[int64]*loaders

	templates   *loader[registry.ID, *registry.Template]
	newest      *loader[registry.TemplateRef, *registry.Template]
	uses        *loader[registry.ID, graph.TemplateUse]
	versions    *loader[registry.ID, []*registry.Template]
	groups      *loader[registry.ID, *registry.Group]
	policies    *loader[registry.ID, *registry.Policy]
	nodes       *loader[registry.ID, registry.Node]
	ancestors   *loader[registry.ID, []*registry.Group]
	memberships *loader[registry.ID, []graph.Membership]
	relations   *loader[registry.ID, []registry.Relation]
	wholes      *loader[registry.ID, registry.Node]
	parts       *loader[registry.ID, []registry.Node]
	links       *loader[registry.ID, []*registry.Link]
	live        *loader[registry.ID, []*registry.LiveValue]
	series      *loader[registry.ID, []*registry.Series]
	presence    *loader[registry.ID, *registry.Presence]
	desired     *loader[registry.ID, *registry.Desired]
	contents    *loader[registry.ID, []byte]
	// Alarms by which of them.
	alarms family[alarmsAsked, registry.ID, []*registry.Alarm]
	// Inherited policies by type; "" is every type.
	inherited  family[string, registry.ID, []*registry.Policy]
	references family[string, registry.ID, []string]
	children   family[registry.PageRequest, registry.ID, registry.Page[*registry.Group]]
	changes    family[changeArgs, registry.ID, registry.ChangePage]
	after      *loader[*registry.Change, map[string]any]
}

// family is a loader for each value of an argument.
type family[A, K comparable, V any] struct {
	make func(arg A) *loader[K, V]

	mu      sync.Mutex
	members map[A]*loader[K, V]
}

// With returns the loader for an argument.
func (f *family[A, K, V]) With(arg A) *loader[K, V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, ok := f.members[arg]
	if !ok {
		if f.members == nil {
			f.members = map[A]*loader[K, V]{}
		}
		l = f.make(arg)
		f.members[arg] = l
	}
	return l
}

type loadersKey struct{}

// WithLoaders makes a context with fresh loaders, for one operation or one
// event of a subscription. Nothing is remembered beyond it.
func (r *Resolver) WithLoaders(ctx context.Context) context.Context {
	return context.WithValue(ctx, loadersKey{}, newLoaders(r, scopeFrom(ctx)))
}

func loadersFrom(ctx context.Context) *loaders {
	l := ctx.Value(loadersKey{}).(*loaders)
	if moment := momentFrom(ctx); moment != nil {
		return l.at(moment)
	}
	return l
}

// scoped binds a batch method of the store to the request's scope.
func scoped[V any](scope registry.Scope, batch func(context.Context, registry.Scope, []registry.ID) ([]V, error)) func(context.Context, []registry.ID) ([]V, error) {
	return func(ctx context.Context, ids []registry.ID) ([]V, error) { return batch(ctx, scope, ids) }
}

func newLoaders(r *Resolver, scope registry.Scope) *loaders {
	l := &loaders{resolver: r, scope: scope}
	l.templates = newLoader(scoped(scope, r.Graph.TemplatesByID), follow[*registry.Template](l))
	l.newest = newLoader(func(ctx context.Context, refs []registry.TemplateRef) ([]*registry.Template, error) {
		return r.Graph.NewestTemplates(ctx, scope, refs)
	}, follow[*registry.Template](l))
	l.uses = newLoader(scoped(scope, r.Graph.TemplateUses), nil)
	l.versions = newLoader(scoped(scope, r.Graph.TemplateVersions), followLists[*registry.Template](l))
	l.groups = newLoader(scoped(scope, r.Graph.GroupsByID), follow[*registry.Group](l))
	l.policies = newLoader(scoped(scope, r.Graph.PoliciesByID), follow[*registry.Policy](l))
	l.nodes = newLoader(scoped(scope, r.Graph.Nodes), follow[registry.Node](l))
	l.ancestors = newLoader(scoped(scope, r.Graph.Ancestors), followLists[*registry.Group](l))
	l.memberships = newLoader(scoped(scope, r.Graph.GroupsOf), l.followMemberships)
	l.relations = newLoader(scoped(scope, r.Graph.RelationsOf), l.followRelations)
	l.wholes = newLoader(scoped(scope, r.Graph.WholesOf), follow[registry.Node](l))
	l.parts = newLoader(scoped(scope, r.Graph.PartsOf), followLists[registry.Node](l))
	l.links = newLoader(scoped(scope, r.Graph.LinksOf), l.followLinks)
	l.live = newLoader(func(ctx context.Context, ids []registry.ID) ([][]*registry.LiveValue, error) {
		if err := onlyNow(scope); err != nil {
			return nil, err
		}
		live, err := r.Live.LiveOf(ctx, scope, ids)
		return pointers(live), err
	}, nil)
	l.series = newLoader(func(ctx context.Context, ids []registry.ID) ([][]*registry.Series, error) {
		if err := onlyNow(scope); err != nil {
			return nil, err
		}
		return r.Graph.SeriesOf(ctx, scope, ids)
	}, nil)
	l.motion(r, scope)
	l.inherited.make = func(policyType string) *loader[registry.ID, []*registry.Policy] {
		return newLoader(func(ctx context.Context, ids []registry.ID) ([][]*registry.Policy, error) {
			return r.Graph.InheritedPolicies(ctx, scope, ids, optional(policyType))
		}, followLists[*registry.Policy](l))
	}
	l.references.make = func(policyType string) *loader[registry.ID, []string] {
		return newLoader(func(ctx context.Context, ids []registry.ID) ([][]string, error) {
			return r.Graph.InheritedPolicyReferences(ctx, scope, ids, optional(policyType))
		}, nil)
	}
	l.children.make = func(page registry.PageRequest) *loader[registry.ID, registry.Page[*registry.Group]] {
		return newLoader(func(ctx context.Context, ids []registry.ID) ([]registry.Page[*registry.Group], error) {
			return r.Graph.Children(ctx, scope, ids, page)
		}, l.followPages)
	}
	l.changes.make = func(args changeArgs) *loader[registry.ID, registry.ChangePage] {
		return newLoader(func(ctx context.Context, ids []registry.ID) ([]registry.ChangePage, error) {
			return r.Graph.ObjectChanges(ctx, scope, ids, args.filter(), args.page)
		}, l.followChanges)
	}
	l.after = newLoader(func(ctx context.Context, changes []*registry.Change) ([]map[string]any, error) {
		return r.Graph.ObjectAfter(ctx, scope, changes)
	}, nil)
	return l
}

// object loads an object of a known type by id, nil if it is gone.
func object[T registry.Node](ctx context.Context, id registry.ID) (T, error) {
	var none T
	if id == "" {
		return none, nil
	}
	node, err := loadersFrom(ctx).nodes.Load(ctx, id)
	if err != nil || node == nil {
		return none, err
	}
	typed, ok := node.(T)
	if !ok {
		return none, nil
	}
	return typed, nil
}

// groupsByID loads groups in the order of their ids; those that are gone are
// left out.
func groupsByID(ctx context.Context, ids []registry.ID) ([]*registry.Group, error) {
	l := loadersFrom(ctx)
	l.groups.Expect(ids...)
	groups := make([]*registry.Group, 0, len(ids))
	for _, id := range ids {
		g, err := l.groups.Load(ctx, id)
		if err != nil {
			return nil, err
		}
		if g != nil {
			groups = append(groups, g)
		}
	}
	return groups, nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// pointers turns lists of values into lists of pointers to them, as generated
// code wants them.
func pointers[V any](lists [][]V) [][]*V {
	out := make([][]*V, len(lists))
	for i, list := range lists {
		out[i] = make([]*V, len(list))
		for j := range list {
			out[i][j] = &list[j]
		}
	}
	return out
}
