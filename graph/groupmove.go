package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// A group's path and depth are kept on it, so a move writes those of every
// group below it. They are walked along CHILD_OF, which has the names; what
// could go wrong is found out before anything is written. Twins are not
// touched: they are members of groups, not of paths.

var (
	groupPlace = forEachKind("place", `
		THING
		MATCH (n)-[:INSTANCE_OF]->(t:Template)
		RETURN `+thing("n")+` AS thing, properties(t) AS template`)

	groupNewPlace = named("group.newPlace", `
		MATCH (n:Entity {id: $id})
		WHERE n.account = $account
		OPTIONAL MATCH (parent:Group)
		WHERE parent.account = $account AND parent.keyFold = $parent
		OPTIONAL MATCH (taken:Group)
		WHERE taken.account = $account AND taken.keyFold = $key AND taken.id <> $id
		RETURN CASE WHEN parent IS NULL THEN NULL ELSE `+thing("parent")+` END AS parent,
			parent IS NOT NULL AND EXISTS { (parent)-[:CHILD_OF*0..32]->(n) } AS inside,
			taken IS NOT NULL AS taken`)

	// The group's own properties come with $changes. The paths of the groups below
	// begin with its path, and only that part changes. They are found by their
	// keys, in the order in which the index is then written.
	groupMove = named("group.move", `
		MATCH (n:Entity {id: $id})
		WHERE n.account = $account
		MATCH (n)-[old:CHILD_OF]->(from:Group)
		MATCH (to:Entity {id: $parent})
		WHERE to.account = $account
		CREATE (n)-[was:WAS_CHILD_OF]->(from)
		SET was = properties(old), was.until = $since
		DELETE old
		CREATE (n)-[now:CHILD_OF]->(to)
		SET now = $child
		SET n += $changes
		WITH n
		CALL () {
			MATCH (below:Group)
			WHERE below.account = $account AND below.keyFold STARTS WITH $keyFold + '/'
			SET below += {
				path: $changes.path + substring(below.path, size($path)),
				keyFold: $changes.keyFold + substring(below.keyFold, size($keyFold)),
				depth: below.depth + $deeper
			}
			RETURN count(below) AS groups
		}
		RETURN groups + 1 AS n`)

	policiesRank = named("policy.rank", `
		UNWIND $ranks AS rank
		MATCH (p:Entity {id: rank.id})
		WHERE p.account = $account
		SET p += rank.properties`)
)

// newPlace is where a group is to go.
type newPlace struct {
	parent        *registry.Group
	inside, taken bool
}

// MoveGroup gives a group another parent, another name or both, with everything
// below it. If it is there already, nothing changes. It is refused with
// FAILED_PRECONDITION for the root and below itself, with CONFLICT where the
// name is taken and with LIMIT_EXCEEDED where something would lie too deep or
// have too long a path.
func (s *Store) MoveGroup(ctx context.Context, scope registry.Scope, ref registry.Ref, move registry.GroupMove) (*registry.MovedGroup, error) {
	if move.Name != nil {
		if violation := registry.CheckGroupName("name", *move.Name); violation != nil {
			return nil, registry.Invalid(*violation)
		}
	}
	moved := &registry.MovedGroup{}
	err := change(ctx, s, scope, "group.move", func(ctx context.Context, tx *transaction) error {
		if err := s.keepToToken(ctx, tx, movingOf(ref, move), s.planMove(scope, ref, move)); err != nil {
			return err
		}
		before, template, err := s.groupInPlace(ctx, tx, scope, groupRef(ref), move.IfVersion)
		if err != nil {
			return err
		}
		now, err := s.hierarchyIn(ctx, tx)
		if err != nil {
			return err
		}
		after, groups, err := placed(ctx, tx, now, before, move)
		if err != nil {
			return err
		}
		moved.Group, moved.Moved = before, 0
		if after.Path == before.Path {
			return nil
		}
		after.Version, after.UpdatedAt = before.Version+1, tx.at
		moved.Group, moved.Moved = after, groups
		tx.record(entry{
			kind: registry.ObjectGroup, id: after.ID, key: after.Path, operation: registry.ChangeUpdate, action: "moved", version: after.Version,
			before: thingSnapshot(before, template), after: thingSnapshot(after, template), structural: true,
		})
		return tx.moveGroup(ctx, now, before, after)
	})
	if err != nil {
		return nil, fmt.Errorf("move group: %w", err)
	}
	return moved, nil
}

// groupInPlace reads a group that is to be moved or deleted.
func (s *Store) groupInPlace(ctx context.Context, r runner, scope registry.Scope, ref registry.Ref, ifVersion *int) (*registry.Group, *registry.Template, error) {
	q, p := groupPlace.of(ref, nil)
	type answer struct {
		group    *registry.Group
		template *registry.Template
	}
	got, ok, err := one(ctx, r, q, p, func(f fields) answer {
		return answer{typedThing[*registry.Group](f), s.template(f.nested("template"), scope.Account).Template}
	})
	switch {
	case err != nil:
		return nil, nil, err
	case !ok:
		return nil, nil, missing(ref)
	}
	return got.group, got.template, atVersion("group", got.group.Version, ifVersion)
}

// placed returns the group as it is to be, and how many groups move, or says
// why that cannot be.
func placed(ctx context.Context, r runner, now *hierarchy, before *registry.Group, move registry.GroupMove) (*registry.Group, int, error) {
	if before.Depth == 0 {
		return nil, 0, registry.InvalidField("path", "root", "the root group cannot be moved")
	}
	name, above := before.Name, parentPath(before.Path)
	if move.Name != nil {
		name = *move.Name
	}
	if move.Parent != nil {
		above = cleanPath(*move.Parent)
	}
	place, _, err := one(ctx, r, groupNewPlace, params{
		"id": string(before.ID), "parent": Fold(above), "key": Fold(join(above, name)),
	}, func(f fields) newPlace {
		out := newPlace{inside: f.boolean("inside"), taken: f.boolean("taken")}
		if parent, ok := f.optionalMap("parent"); ok {
			out.parent, _ = thingOf(parent).(*registry.Group)
		}
		return out
	})
	if err != nil {
		return nil, 0, err
	}
	switch {
	case place.parent == nil:
		return nil, 0, registry.InvalidField("parent", "unknown", "group %q does not exist", above)
	case place.inside:
		return nil, 0, registry.FailedPrecondition("group %q cannot be moved below itself", before.Path)
	case place.taken:
		return nil, 0, registry.Conflict("name", "group %q exists already", join(place.parent.Path, name))
	}
	after := *before
	after.Name, after.Path, after.Depth, after.ParentID = name, join(place.parent.Path, name), place.parent.Depth+1, place.parent.ID
	below := now.subtree(before.ID)
	for _, id := range below {
		at := now.groups[id]
		if at == nil {
			return nil, 0, movingGround(nil)
		}
		if at.depth+after.Depth-before.Depth > registry.MaxGroupDepth {
			return nil, 0, registry.LimitExceeded("groups lie at most %d deep", registry.MaxGroupDepth)
		}
		if len(at.path)+len(after.Path)-len(before.Path) > registry.MaxPathBytes {
			return nil, 0, registry.LimitExceeded("a path has at most %d bytes", registry.MaxPathBytes)
		}
	}
	return &after, len(below), nil
}

// moveGroup writes a group's new place, the paths of all groups below it and
// the ranks of the policies that have another one then.
func (t *transaction) moveGroup(ctx context.Context, now *hierarchy, before, after *registry.Group) error {
	ranks, err := ranksAfter(now, after)
	if err != nil {
		return err
	}
	err = nothing(ctx, t, groupMove, params{
		"path": before.Path, "keyFold": Fold(before.Path), "deeper": after.Depth - before.Depth,
		"id": string(after.ID), "parent": string(after.ParentID), "since": t.at.UnixMilli(),
		"child": map[string]any{"since": t.at.UnixMilli(), "name": after.Name, "nameFold": Fold(after.Name)},
		"changes": map[string]any{
			"name": after.Name, "path": after.Path, "keyFold": Fold(after.Path), "depth": after.Depth, "version": after.Version, "updatedAt": after.UpdatedAt,
		},
	})
	if err != nil || len(ranks) == 0 {
		return err
	}
	return nothing(ctx, t, policiesRank, params{"ranks": ranks})
}

// ranksAfter finds out, on the hierarchy in memory, which policies have another
// rank after a move.
func ranksAfter(now *hierarchy, after *registry.Group) ([]any, error) {
	d := now.edit()
	d.put(after.ID, after.ParentID, after.Name)
	moved, err := d.finish()
	if err != nil {
		return nil, err
	}
	var ranks []any
	for id := range d.touched {
		was, is := now.policies[id], moved.policies[id]
		if was.deepest != is.deepest || was.depthSum != is.depthSum {
			ranks = append(ranks, map[string]any{"id": string(id), "properties": map[string]any{"deepest": is.deepest, "depthSum": is.depthSum}})
		}
	}
	return ranks, nil
}

// parentPath is the path above a path.
func parentPath(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '/' {
			return path[:i]
		}
	}
	return "/"
}
