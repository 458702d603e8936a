package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

var (
	groupByPath = named("group.byPath", `
		MATCH (n:Group)
		WHERE n.account = $account AND n.keyFold = $key
		RETURN `+thing("n")+` AS thing`)

	groupAncestors = named("group.ancestors", `
		UNWIND $ids AS id
		MATCH (x:Entity {id: id})
		WHERE x.account = $account AND x:Group
		RETURN collect({id: x.id, ancestors: COLLECT {
			MATCH path = (x)-[:CHILD_OF*1..32]->(n:Group)
			RETURN `+thing("n")+` ORDER BY length(path)
		}}) AS groups`)
)

// CreateGroup makes a group below its parent, which must exist.
func (s *Store) CreateGroup(ctx context.Context, scope registry.Scope, n registry.NewGroup) (*registry.Group, error) {
	created, err := s.create(ctx, scope, newGroupThing(n))
	if err != nil {
		return nil, err
	}
	return created.(*registry.Group), nil
}

// CreateGroups makes groups. A parent may stand anywhere in the list: groups are
// made from the top down. If it is not atomic, what is wrong with one stops no
// other but those below it.
func (s *Store) CreateGroups(ctx context.Context, scope registry.Scope, groups []registry.NewGroup, atomic bool) (*registry.Bulk, error) {
	key := func(i int) string { return join(cleanPath(groups[i].Parent), groups[i].Name) }
	order := make([]int, len(groups))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Count(key(a), "/") - strings.Count(key(b), "/") })
	things := make([]newThing, len(groups))
	for i, place := range order {
		things[i] = newGroupThing(groups[place])
	}
	b := s.making(scope, registry.KindGroup, "groups", things)
	b.order = order
	return s.bulk(ctx, scope, b, atomic, key)
}

// newGroupThing says how a group is made.
func newGroupThing(n registry.NewGroup) newThing {
	parent := registry.Ref{Kind: registry.KindGroup, Key: cleanPath(n.Parent)}
	thing := newThing{
		asked: n, kind: registry.KindGroup, key: join(parent.Key, n.Name), keyField: "name", template: n.Template, profile: n.Profile,
		attributes: n.Attributes, relations: n.Relations, parent: &parent,
		make: func(object registry.Object, template *registry.Template, attributes registry.Attributes, above registry.Related) (registry.Related, error) {
			return newGroup(object, n, template, attributes, above.(*registry.Group))
		},
	}
	for _, violation := range []*registry.Violation{registry.CheckGroupName("name", n.Name), registry.CheckDescription(n.Description)} {
		if violation != nil {
			thing.wrong = append(thing.wrong, *violation)
		}
	}
	return thing
}

func newGroup(object registry.Object, n registry.NewGroup, template *registry.Template, attributes registry.Attributes, parent *registry.Group) (*registry.Group, error) {
	path := join(parent.Path, n.Name)
	switch {
	case parent.Depth+1 > registry.MaxGroupDepth:
		return nil, registry.LimitExceeded("groups lie at most %d deep", registry.MaxGroupDepth)
	case len(path) > registry.MaxPathBytes:
		return nil, registry.LimitExceeded("a path has at most %d bytes", registry.MaxPathBytes)
	}
	return &registry.Group{
		Object: object, Name: n.Name, Path: path, Depth: parent.Depth + 1, Description: n.Description,
		ParentID: parent.ID, TemplateID: template.ID, Attributes: attributes,
	}, nil
}

// UpdateGroup changes a group.
func (s *Store) UpdateGroup(ctx context.Context, scope registry.Scope, ref registry.Ref, patch registry.TwinPatch) (*registry.Group, error) {
	updated, err := s.update(ctx, scope, groupRef(ref), patch)
	if err != nil {
		return nil, err
	}
	return updated.(*registry.Group), nil
}

// GroupByPath returns a group by its path; "" and "/" are the root.
func (s *Store) GroupByPath(ctx context.Context, scope registry.Scope, path string) (*registry.Group, error) {
	if scope.AsOf != nil {
		return s.pastGroup(ctx, scope, path)
	}
	group, ok, err := one(ctx, s.reading(scope), groupByPath, params{"key": Fold(cleanPath(path))}, func(f fields) registry.Group {
		return *typedThing[*registry.Group](f)
	})
	return found(&group, ok, err, "group", path)
}

// Ancestors returns the groups above each group, nearest first, up to the root.
func (s *Store) Ancestors(ctx context.Context, scope registry.Scope, groups []registry.ID) ([][]*registry.Group, error) {
	if scope.AsOf != nil {
		return s.pastAncestors(ctx, scope, groups)
	}
	above := make(map[registry.ID][]*registry.Group, len(groups))
	_, err := all(ctx, s.reading(scope), groupAncestors, params{"ids": texts(groups)}, func(f fields) struct{} {
		for _, group := range f.maps("groups") {
			var list []*registry.Group
			for _, ancestor := range group.maps("ancestors") {
				if g, ok := thingOf(ancestor).(*registry.Group); ok {
					list = append(list, g)
				}
			}
			above[group.id("id")] = list
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("ancestors: %w", err)
	}
	return slots(groups, above), nil
}

// groupRef cleans the path in a reference to a group.
func groupRef(ref registry.Ref) registry.Ref {
	ref.Kind = registry.KindGroup
	if ref.ID == "" {
		ref.Key = cleanPath(ref.Key)
	}
	return ref
}

// cleanPath makes the root's path "/" and takes a slash off the end of others.
func cleanPath(path string) string {
	if path = strings.TrimRight(path, "/"); path == "" {
		return "/"
	}
	return path
}

func join(parent, name string) string {
	if parent == "/" {
		return "/" + name
	}
	return parent + "/" + name
}

func count(n int, one, many string) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// list writes what is not empty as "a, b and c".
func list(items ...string) string {
	var some []string
	for _, item := range items {
		if item != "" {
			some = append(some, item)
		}
	}
	if len(some) < 2 {
		return strings.Join(some, "")
	}
	return strings.Join(some[:len(some)-1], ", ") + " and " + some[len(some)-1]
}
