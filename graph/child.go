package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// The children of many groups at once, a page of each.
var (
	childrenForward  = childrenQuery("group.childrenForward", "c.keyFold > $key", "")
	childrenBackward = childrenQuery("group.childrenBackward", "c.keyFold < $key", " DESC")
	childrenLast     = childrenQuery("group.childrenLast", "c.keyFold IS NOT NULL", " DESC")

	childrenCount = named("group.countChildren", `
		MATCH (g:Entity {id: $id})
		WHERE g.account = $account AND g:Group
		RETURN COUNT { (g)<-[:CHILD_OF]-() } AS n`)
)

func childrenQuery(name, condition, direction string) query {
	return named(name, `
		UNWIND $ids AS id
		MATCH (g:Entity {id: id})
		WHERE g.account = $account AND g:Group
		CALL (g) {
			MATCH (g)<-[:CHILD_OF]-(c:Group)
			WHERE `+condition+`
			WITH c ORDER BY c.keyFold`+direction+` LIMIT $limit
			RETURN collect(`+thing("c")+`) AS children
		}
		RETURN collect({id: g.id, children: children}) AS groups`)
}

// Children returns a page of the children of each group, by path.
func (s *Store) Children(ctx context.Context, scope registry.Scope, groups []registry.ID, page registry.PageRequest) ([]registry.Page[*registry.Group], error) {
	if scope.AsOf != nil {
		return s.pastChildren(ctx, scope, groups, page)
	}
	q := childrenForward
	switch {
	case page.Backward && page.Key != "":
		q = childrenBackward
	case page.Backward:
		q = childrenLast
	}
	pages := make(map[registry.ID]registry.Page[*registry.Group], len(groups))
	_, err := all(ctx, s.reading(scope), q, params{"ids": texts(groups), "key": Fold(page.Key), "limit": page.Size + 1}, func(f fields) struct{} {
		for _, item := range f.maps("groups") {
			var children []*registry.Group
			for _, child := range item.maps("children") {
				if group, ok := thingOf(child).(*registry.Group); ok {
					children = append(children, group)
				}
			}
			pages[item.id("id")] = cut(children, page)
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("children: %w", err)
	}
	return slots(groups, pages), nil
}

// CountChildren counts the groups directly below one.
func (s *Store) CountChildren(ctx context.Context, scope registry.Scope, group registry.ID) (int, error) {
	if scope.AsOf != nil {
		return s.countPastChildren(ctx, scope, group)
	}
	n, _, err := one(ctx, s.reading(scope), childrenCount, params{"id": string(group)}, counted)
	if err != nil {
		return 0, fmt.Errorf("count children of group %s: %w", group, err)
	}
	return n, nil
}
