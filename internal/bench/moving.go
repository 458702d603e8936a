package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

const moveTitle = "moving a sub-tree"

// moving measures moves of a sub-tree, and plain Cypher that writes the same to a
// copy of it.
type moving struct{ ours, raw []sample }

// rawMove hangs a group elsewhere and writes the places of all below it anew, and
// the change.
const rawMove = `
	MATCH (n) WHERE elementId(n) = $group
	MATCH (to) WHERE elementId(to) = $parent
	MATCH (n)-[old:CHILD_OF]->(from)
	CREATE (n)-[was:WAS_CHILD_OF]->(from)
	SET was = properties(old), was.until = $since
	DELETE old
	CREATE (n)-[now:CHILD_OF]->(to)
	SET now = $child
	SET n += $changes
	CREATE (c:Change)
	SET c = $change
	WITH n
	CALL () {
		MATCH (below:Group)
		WHERE below.account = $account AND below.keyFold STARTS WITH $under
		SET below += {
			path: $changes.path + substring(below.path, size($path)),
			keyFold: $changes.keyFold + substring(below.keyFold, size($path)),
			depth: below.depth + $deeper
		}
		RETURN count(below) AS groups
	}
	RETURN groups + 1 AS n`

// movedOurs reads what a move wrote.
const movedOurs = `
	MATCH (c:Change)
	WHERE c.account = $account AND c.position > $from
	MATCH (n:Entity {id: c.object})-[now:CHILD_OF]->(to)
	RETURN [n {.name, .path, .keyFold, .depth, .version, .updatedAt}, properties(now), to.keyFold, properties(c)] AS moved`

// moves is how often the sub-tree is moved in a round.
const moves = 4

// measureMoves moves the last hierarchy to another parent and back again, each
// time followed by the same move by plain Cypher.
func (r *runner) measureMoves(ctx context.Context, counts bool) error {
	here, away := r.fleet.groups[len(hierarchies)-1][0], r.fleet.groups[0][0]
	var ours, raw sample
	for i := range moves {
		from, to := here, away
		if i%2 == 1 {
			from, to = away+here, "/"
		}
		position, err := r.position(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		moved, err := r.Graph.MoveGroup(ctx, r.Scope, registry.Ref{Kind: registry.KindGroup, Key: from}, registry.GroupMove{Parent: &to})
		if err != nil {
			return err
		}
		ours.requests = append(ours.requests, time.Since(began))
		if want := r.share(len(hierarchies) - 1); moved.Moved != want {
			return fmt.Errorf("%d groups were moved, not %d", moved.Moved, want)
		}
		took, err := r.moveRaw(ctx, position, from, moved.Moved)
		if err != nil {
			return fmt.Errorf("plain Cypher: %w", err)
		}
		raw.requests = append(raw.requests, took)
	}
	ours.took, raw.took = total(ours.requests), total(raw.requests)
	if counts {
		r.moving.ours, r.moving.raw = append(r.moving.ours, ours), append(r.moving.raw, raw)
	}
	return nil
}

func total(times []time.Duration) (sum time.Duration) {
	for _, t := range times {
		sum += t
	}
	return sum
}

// moveRaw does to the copy what was done since a position of the journal.
func (r *runner) moveRaw(ctx context.Context, position any, path string, groups int) (time.Duration, error) {
	rows, err := r.rows(ctx, movedOurs, map[string]any{"account": string(r.Scope.Account), "from": position})
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 {
		return 0, fmt.Errorf("a move is %d changes", len(rows))
	}
	row := rows[0].([]any)
	changes, child, change := row[0].(map[string]any), row[1].(map[string]any), row[3].(map[string]any)
	to := r.copies[0]
	top := r.fleet.groups[len(hierarchies)-1][0]
	depth, _ := changes["depth"].(int64)
	params := map[string]any{
		"account": to.account, "group": to.groups[top], "parent": to.groups[row[2].(string)], "since": child["since"], "child": child,
		"changes": changes, "change": to.renamed(change, "object", uuid.NewString()), "path": path, "under": path + "/", "deeper": depth - depthOf(path),
	}
	began := time.Now()
	n, err := r.writeRaw(ctx, rawMove, params)
	took := time.Since(began)
	if err == nil && n != int64(groups) {
		err = fmt.Errorf("%v groups were moved, not %d", n, groups)
	}
	return took, err
}

// depthOf is how deep a path lies: a top is 1 deep.
func depthOf(path string) (depth int64) {
	for _, c := range path {
		if c == '/' {
			depth++
		}
	}
	return depth
}
