package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

var (
	groupDepths = named("group.depths", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account AND n:Group
		RETURN collect({id: id, depth: n.depth}) AS groups`)

	// Groups that are to be deleted, with what is in their way.
	groupDoomed = named("group.doomed", `
		CALL () {
			UNWIND $keys AS key MATCH (n:Group) WHERE n.account = $account AND n.keyFold = key RETURN n, key AS ref
			UNION ALL
			UNWIND $ids AS id MATCH (n:Entity {id: id}) WHERE n.account = $account AND n:Group RETURN n, id AS ref
		}
		MATCH (n)-[:INSTANCE_OF]->(t:Template)
		RETURN collect({ref: ref, thing: `+thing("n")+`, template: properties(t),
			children: COUNT { (n)<-[:CHILD_OF]-() },
			members: COUNT { MATCH (n)<-[:!WAS_RELATED]-(x:Device|Asset) RETURN DISTINCT x },
			policies: [(n)<-[:APPLIES_TO]-(p:Policy) | p.reference],
			profiles: [(n)<-[:GIVES]-(p:Profile) | `+profileName+`]}) AS groups`)
)

// UpdateGroups changes groups. If it is not atomic, what is wrong with one stops
// no other.
func (s *Store) UpdateGroups(ctx context.Context, scope registry.Scope, updates []registry.TwinEdit, atomic bool) (*registry.Bulk, error) {
	return s.UpdateTwins(ctx, scope, registry.KindGroup, updates, atomic)
}

// DeleteGroups deletes groups, as DeleteGroup does without what is below them. A
// group and its children may stand in the list in any order: the deepest go
// first. If it is not atomic, what is in the way of one stops no other but those
// above it. Those that are named by their ids come first.
func (s *Store) DeleteGroups(ctx context.Context, scope registry.Scope, refs []registry.Ref, atomic bool) (*registry.Bulk, error) {
	if len(refs) > registry.MaxBulk {
		return nil, tooManyItems(len(refs))
	}
	order, err := s.deepestFirst(ctx, scope, refs)
	if err != nil {
		return nil, fmt.Errorf("delete groups: %w", err)
	}
	ordered := make([]registry.Ref, len(refs))
	for i, place := range order {
		ordered[i] = groupRef(refs[place])
	}
	b := bulk{
		name: "group.delete", at: idsBefore(refs, "paths"), asked: refs, items: len(refs), order: order,
		weight: func(int) int { return 0 },
		work: func(ctx context.Context, tx *transaction, from, to int, out []outcome) error {
			return s.deleteGroupPart(ctx, tx, scope, ordered[from:to], out[from:to])
		},
	}
	result, err := s.bulk(ctx, scope, b, atomic, func(i int) string { return nameOf(refs[i]) })
	if err != nil {
		return nil, err
	}
	for i := range result.Results {
		result.Results[i].Object = nil
	}
	return result, nil
}

// deepestFirst are the places of groups in a list, the deepest groups first.
func (s *Store) deepestFirst(ctx context.Context, scope registry.Scope, refs []registry.Ref) ([]int, error) {
	var ids distinct
	for _, ref := range refs {
		if ref.ID != "" {
			ids.add(string(ref.ID))
		}
	}
	depths := map[registry.ID]int{}
	if len(ids.list) > 0 {
		_, _, err := one(ctx, s.reading(scope), groupDepths, params{"ids": ids.all()}, func(f fields) struct{} {
			for _, group := range f.maps("groups") {
				depths[group.id("id")] = group.integer("depth")
			}
			return struct{}{}
		})
		if err != nil {
			return nil, err
		}
	}
	depth := func(ref registry.Ref) int {
		if ref.ID != "" {
			return depths[ref.ID]
		}
		return strings.Count(cleanPath(ref.Key), "/")
	}
	order := make([]int, len(refs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return depth(refs[b]) - depth(refs[a]) })
	return order, nil
}

// doomedGroup is a group that is to be deleted, and what is in its way.
type doomedGroup struct {
	instance
	burden
}

// deleteGroupPart deletes groups, the deepest of which come first: what is below
// one that goes too is not in its way.
func (s *Store) deleteGroupPart(ctx context.Context, tx *transaction, scope registry.Scope, refs []registry.Ref, out []outcome) error {
	found, err := s.doomedGroups(ctx, tx, scope, refs)
	if err != nil {
		return err
	}
	var gone []instance
	below, seen := map[registry.ID]int{}, map[registry.ID]bool{}
	for i, ref := range refs {
		of, ok := found[refKey(ref)]
		if !ok {
			out[i] = outcome{err: missing(ref)}
			continue
		}
		of.children -= below[of.group.ID]
		if err := of.stays(ref, seen[of.group.ID]); err != nil {
			out[i] = outcome{err: err}
			continue
		}
		seen[of.group.ID] = true
		below[of.group.ParentID]++
		gone, out[i] = append(gone, of.instance), outcome{thing: of.group}
	}
	if len(gone) == 0 {
		return nil
	}
	return tx.deleteGroups(ctx, gone)
}

// stays says why a group cannot be deleted, if it cannot.
func (g doomedGroup) stays(ref registry.Ref, twice bool) error {
	switch {
	case twice:
		return registry.Conflict("", "the request deletes this group already")
	case g.group.Depth == 0:
		return rootStays()
	}
	if err := atVersion("group", g.group.Version, ref.IfVersion); err != nil {
		return err
	}
	return g.inTheWay(g.group.Path)
}

// doomedGroups reads the groups that are to be deleted, by their refKey.
func (s *Store) doomedGroups(ctx context.Context, tx *transaction, scope registry.Scope, refs []registry.Ref) (map[string]doomedGroup, error) {
	var keys, ids distinct
	for _, ref := range refs {
		if ref.ID != "" {
			ids.add(string(ref.ID))
		} else {
			keys.add(foldedKey(ref))
		}
	}
	found, _, err := one(ctx, tx, groupDoomed, params{"keys": keys.all(), "ids": ids.all()}, func(f fields) map[string]doomedGroup {
		out := map[string]doomedGroup{}
		for _, item := range f.maps("groups") {
			group := typedThing[*registry.Group](item)
			ref := registry.Ref{Kind: registry.KindGroup, Key: item.text("ref")}
			if group != nil && string(group.ID) == ref.Key {
				ref = registry.Ref{ID: group.ID}
			}
			out[refKey(ref)] = doomedGroup{
				instance{group, s.template(item.nested("template"), scope.Account).Template},
				burden{children: item.integer("children"), members: item.integer("members"), policies: item.texts("policies"), profiles: item.texts("profiles")},
			}
		}
		return out
	})
	return found, err
}
