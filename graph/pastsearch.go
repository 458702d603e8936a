package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// searchPast is Search as of a moment, for one kind in the order of its keys.
// What the rule is true of is decided here, object by object.
func (s *Store) searchPast(ctx context.Context, scope registry.Scope, search registry.Search, page registry.PageRequest) (registry.Page[registry.Found], error) {
	var none registry.Page[registry.Found]
	from, keep, err := s.pastFound(ctx, scope, search, page.Backward)
	if err != nil {
		return none, err
	}
	found, err := readPast[registry.Related](ctx, from, keep, page)
	if err != nil {
		return none, fmt.Errorf("search in the past: %w", err)
	}
	out := registry.Page[registry.Found]{HasNext: found.HasNext, HasPrevious: found.HasPrevious}
	for _, thing := range found.Items {
		out.Items = append(out.Items, registry.Found{Thing: thing, Key: keyOf(thing)})
	}
	return out, nil
}

// countFound counts what searchPast finds, among at most 20,000 objects.
func (s *Store) countFound(ctx context.Context, scope registry.Scope, search registry.Search) (int, error) {
	from, keep, err := s.pastFound(ctx, scope, search, false)
	if err != nil {
		return 0, err
	}
	items, err := from(ctx, "", maxPastLooked+1)
	if len(items) > maxPastLooked {
		return 0, registry.LimitExceeded("there were more than %d objects: narrow the question", maxPastLooked)
	}
	n := 0
	for _, item := range items {
		if item.node != nil && keep(item.node) {
			n++
		}
	}
	return n, err
}

func (s *Store) pastFound(ctx context.Context, scope registry.Scope, search registry.Search, backward bool) (source, func(registry.Node) bool, error) {
	if len(search.Kinds) != 1 || search.Members != nil || len(search.OrderBy) > 0 || search.Text != "" || len(search.Templates) > 1 {
		return nil, nil, registry.InvalidField("asOf", "exclusive", "as of a moment, the lists of groups, devices and assets take a rule, and have the order of their keys")
	}
	f := registry.Filter{Under: search.Under, State: search.State}
	if len(search.Templates) == 1 {
		f.Template = search.Templates[0]
	}
	where, err := rule.Parse(search.Where)
	if err != nil {
		return nil, nil, err
	}
	if where.NeedsNeighbours() {
		return nil, nil, registry.InvalidField("where", "unsupported", "as of a moment, a rule is about the object itself: its groups and relations can be asked for below it")
	}
	from, also, err := s.pastThings(ctx, scope, search.Kinds[0], f, backward)
	names := map[registry.ID]string{}
	return from, func(node registry.Node) bool {
		thing, ok := node.(registry.Related)
		if !ok || also != nil && !also(node) {
			return false
		}
		id := templateIDOf(thing)
		if _, known := names[id]; !known {
			if found, err := s.TemplatesByID(ctx, scope, []registry.ID{id}); err == nil && found[0] != nil {
				names[id] = found[0].Name
			}
		}
		return where.Match(rule.Thing{Of: thing, Template: names[id]})
	}, err
}

func templateIDOf(thing registry.Related) registry.ID {
	switch thing := thing.(type) {
	case *registry.Group:
		return thing.TemplateID
	case registry.Twin:
		return thing.TwinTemplate()
	}
	return ""
}
