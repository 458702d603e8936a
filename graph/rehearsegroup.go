package graph

import (
	"context"
	"fmt"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// RehearseMoveGroup returns what MoveGroup would do.
func (s *Store) RehearseMoveGroup(ctx context.Context, scope registry.Scope, ref registry.Ref, move registry.GroupMove) (*registry.Rehearsal, error) {
	return s.rehearse(ctx, scope, movingOf(ref, move), s.planMove(scope, ref, move))
}

// RehearseDeleteGroup returns what DeleteGroup would do.
func (s *Store) RehearseDeleteGroup(ctx context.Context, scope registry.Scope, ref registry.Ref, d registry.GroupDeletion) (*registry.Rehearsal, error) {
	return s.rehearse(ctx, scope, deletionOf(ref, d), s.planDeletion(scope, ref, d))
}

// What tokens are bound to.
func movingOf(ref registry.Ref, move registry.GroupMove) any { return []any{"group.move", ref, move} }
func deletionOf(ref registry.Ref, d registry.GroupDeletion) any {
	return []any{"group.delete", ref, d}
}

func (s *Store) planMove(scope registry.Scope, ref registry.Ref, move registry.GroupMove) planner {
	return func(ctx context.Context, r runner, now *hierarchy) (*plan, error) {
		before, _, err := s.groupInPlace(ctx, r, scope, groupRef(ref), move.IfVersion)
		if err != nil {
			return nil, err
		}
		after, groups, err := placed(ctx, r, now, before, move)
		if err != nil {
			return nil, err
		}
		p := &plan{after: now, groups: groups, held: texts(now.subtree(after.ID))}
		if after.Path == before.Path {
			p.groups = 0
			return p, nil
		}
		d := now.edit()
		d.put(after.ID, after.ParentID, after.Name)
		if p.after, err = d.finish(); err != nil {
			return nil, movingGround(err)
		}
		if after.ParentID != before.ParentID {
			p.in = now.subtree(after.ID)
		}
		return p, nil
	}
}

func (s *Store) planDeletion(scope registry.Scope, ref registry.Ref, deletion registry.GroupDeletion) planner {
	return func(ctx context.Context, r runner, now *hierarchy) (*plan, error) {
		group, _, err := s.groupInPlace(ctx, r, scope, groupRef(ref), deletion.IfVersion)
		if err != nil {
			return nil, err
		}
		b, err := deletable(ctx, r, group, deletion.Cascade)
		if err != nil {
			return nil, err
		}
		d, gone := now.edit(), now.subtree(group.ID)
		deleted := make(map[registry.ID]bool, len(gone))
		for _, id := range gone {
			d.remove(id)
			deleted[id] = true
		}
		p := &plan{groups: b.groups, relations: b.relations, deleted: b.groups, in: gone, held: append(texts(gone), fmt.Sprint(b.newest))}
		if p.after, err = d.finish(); err != nil {
			return nil, movingGround(err)
		}
		p.left = func(c candidate) []registry.ID {
			return slices.DeleteFunc(slices.Clone(c.groups), func(group registry.ID) bool { return deleted[group] })
		}
		return p, nil
	}
}

// subtree lists a group and all groups below it.
func (h *hierarchy) subtree(top registry.ID) []registry.ID {
	children := make(map[registry.ID][]registry.ID, len(h.groups))
	for id, at := range h.groups {
		children[at.parent] = append(children[at.parent], id)
	}
	out := []registry.ID{top}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out
}
