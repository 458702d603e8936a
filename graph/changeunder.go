package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// A change is under a group if what it changed was below the group just before
// it or is just after it. So moves in and out are told, and deletions.

// maxLookedUnder is how many changes are looked at for one page under a group.
const maxLookedUnder = 20_000

// Everything that one transaction did has one moment, and the one before it is
// earlier: a millisecond before a change is the state that it found.
var changesInside = named("change.inside", `
	MATCH (top:Entity {id: $id})
	WHERE top.account = $account
	UNWIND $changes AS change
	MATCH (n:Entity {id: change.object})
	WHERE n.account = $account
	OPTIONAL MATCH (t:Entity {id: n.twin})
	CALL (top, n, t, change) {
		UNWIND [change.at, change.at - 1] AS when
		WITH top, n, t, when
		WHERE CASE
			WHEN n:Group OR n:Gone AND n.was = 'GROUP' THEN n <> top AND EXISTS {
				MATCH (n) ((a)-[c:CHILD_OF|WAS_CHILD_OF WHERE `+heldAt("c", "when")+`]->(b)){1,32} (top) }
			WHEN n:Policy OR n:Gone AND n.was = 'POLICY' THEN EXISTS {
				MATCH (n)-[p:APPLIES_TO|WAS_APPLIES_TO WHERE `+heldAt("p", "when")+`]->(g) ((a)-[c:CHILD_OF|WAS_CHILD_OF WHERE `+heldAt("c", "when")+`]->(b)){0,32} (top) }
			WHEN n:Device|Asset OR n:Gone AND n.was IN ['DEVICE', 'ASSET'] THEN top.path = '/' AND top:Group OR EXISTS {
				MATCH (n) ((x)-[w:COMPONENT_OF|WAS_COMPONENT_OF|PART_OF|WAS_PART_OF WHERE `+heldAt("w", "when")+`]->(y)){0,32} (m)-[r]->(g)
				WHERE r.inherits IS NULL AND `+heldAt("r", "when")+` AND (g:Group OR g:Gone AND g.was = 'GROUP')
				MATCH (g) ((a)-[c:CHILD_OF|WAS_CHILD_OF WHERE `+heldAt("c", "when")+`]->(b)){0,32} (top) }
			WHEN n:Alarm OR n:Command THEN EXISTS {
				MATCH (t) ((x)-[w:COMPONENT_OF|WAS_COMPONENT_OF|PART_OF|WAS_PART_OF WHERE `+heldAt("w", "when")+`]->(y)){0,32} (m)-[r]->(g)
				WHERE r.inherits IS NULL AND `+heldAt("r", "when")+` AND (g:Group OR g:Gone AND g.was = 'GROUP')
				MATCH (g) ((a)-[c:CHILD_OF|WAS_CHILD_OF WHERE `+heldAt("c", "when")+`]->(b)){0,32} (top) }
			ELSE false END
		RETURN count(*) > 0 AS inside
	}
	WITH change WHERE inside
	RETURN collect(change.position) AS positions`)

// heldAt is the condition that a relationship held at a moment; it stands in
// patterns over relationships of now and of the past.
func heldAt(relationship, moment string) string {
	return "coalesce(" + relationship + ".since, 0) <= " + moment + " AND (" + relationship + ".until IS NULL OR " + relationship + ".until > " + moment + ")"
}

// GroupEver returns the id of the group that has a path now, or that had it
// last.
func (s *Store) GroupEver(ctx context.Context, scope registry.Scope, path string) (registry.ID, error) {
	scope.AsOf = nil
	group, err := s.GroupByPath(ctx, scope, path)
	if err == nil {
		return group.ID, nil
	}
	if registry.CodeOf(err) != registry.CodeNotFound {
		return "", err
	}
	page, listing := s.ListChanges(ctx, scope, registry.ChangeFilter{Kinds: []registry.ObjectKind{registry.ObjectGroup}, Key: path}, registry.PageRequest{Size: 1})
	if listing != nil {
		return "", listing
	}
	if len(page.Items) == 0 {
		return "", err
	}
	return page.Items[0].ObjectID, nil
}

// ChangesUnder says which changes are of something that was below a group
// before or after it, by position.
func (s *Store) ChangesUnder(ctx context.Context, scope registry.Scope, group registry.ID, changes []*registry.Change) (map[int64]bool, error) {
	asked := make([]any, len(changes))
	for i, c := range changes {
		asked[i] = map[string]any{"object": string(c.ObjectID), "position": c.Position, "at": c.At.UnixMilli()}
	}
	inside := map[int64]bool{}
	_, _, err := one(ctx, s.reading(scope), changesInside, params{"id": string(group), "changes": asked}, func(f fields) struct{} {
		for _, position := range f.list("positions") {
			if n, ok := position.(int64); ok {
				inside[n] = true
			}
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("changes under group %s: %w", group, err)
	}
	return inside, nil
}

// changesUnder reads changes until a page under a group is full, or enough were
// looked at: then the page says that there may be more, and where to go on.
func (s *Store) changesUnder(ctx context.Context, r *changeReader, path string, page registry.PageRequest) (registry.ChangePage, error) {
	group, err := s.GroupEver(ctx, r.scope, path)
	if err != nil || page.Size == 0 {
		return registry.ChangePage{}, err
	}
	var found []*registry.Change
	looked := 0
	for size := max(page.Size+1, 100); len(found) <= page.Size && looked < maxLookedUnder; size = min(2*size, 2000) {
		changes, err := r.next(ctx, size)
		if err != nil {
			return registry.ChangePage{}, err
		}
		if len(changes) == 0 {
			return changePage(found, page), nil
		}
		looked += len(changes)
		inside, err := s.ChangesUnder(ctx, r.scope, group, changes)
		if err != nil {
			return registry.ChangePage{}, err
		}
		for _, c := range changes {
			if inside[c.Position] {
				found = append(found, c)
			}
		}
	}
	out := changePage(found, page)
	switch {
	case len(found) > page.Size:
	case page.Backward:
		out.HasPrevious, out.Start = true, r.looked
	default:
		out.HasNext, out.End = true, r.looked
	}
	return out, nil
}
