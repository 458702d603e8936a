package graph

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// The past. Reading methods whose scope has a moment answer as things were
// then: objects come from the snapshots of the journal, edges from the
// relationships that held, among those of now and those of the past. What is
// deleted is found like everything else: it keeps its node (gone.go).

// ahead is how far a moment may lie in the future of this process's clock:
// other processes have clocks of their own.
const ahead = 5 * time.Second

// look checks the moment of a scope and makes it a query's parameters.
func (s *Store) look(scope registry.Scope, p params) (params, error) {
	if scope.AsOf.After(s.now().Add(ahead)) {
		return nil, registry.InvalidField("asOf", "future", "this moment has not come yet: %s", moment(*scope.AsOf))
	}
	p["at"], p["when"] = *scope.AsOf, scope.AsOf.UnixMilli()
	return p, nil
}

// heldThen is the condition that a relationship held at the moment that is asked
// about.
func heldThen(relationship string) string { return heldAt(relationship, "$when") }

// isA is the condition that a node is or was of one of some kinds.
func isA(node string, labels ...string) string {
	var kinds []string
	for _, l := range labels {
		kinds = append(kinds, "'"+strings.ToUpper(l)+"'")
	}
	return "(" + node + ":" + strings.Join(labels, "|") + " OR " + node + ":Gone AND " + node + ".was IN [" + strings.Join(kinds, ", ") + "])"
}

// pastKind is the kind of the thing in a variable, which may be gone.
func pastKind(v string) string {
	return strings.ReplaceAll("CASE WHEN NODE:Group THEN 'GROUP' WHEN NODE:Device THEN 'DEVICE' WHEN NODE:Asset THEN 'ASSET' ELSE NODE.was END", "NODE", v)
}

// pastAbove are the groups above a group, nearest first, each with the name of
// the group below it.
func pastAbove(group string) string {
	return `COLLECT {
		MATCH (` + group + `) ((below)-[up:CHILD_OF|WAS_CHILD_OF WHERE ` + heldThen("up") + `]->(above)){1,32} ()
		WITH above, up ORDER BY size(up) DESC LIMIT 1
		UNWIND range(0, size(up) - 1) AS i
		RETURN {id: above[i].id, name: up[i].name}
	}`
}

// pastPath is the path of a group.
func pastPath(group string) string {
	return `coalesce(COLLECT {
		MATCH (` + group + `) ((below)-[up:CHILD_OF|WAS_CHILD_OF WHERE ` + heldThen("up") + `]->(above)){1,32} ()
		RETURN reduce(path = '', step IN up | '/' + step.name + path) ORDER BY size(up) DESC LIMIT 1
	}[0], '/')`
}

// pastMembership leads from the thing n to the groups g that it was in by
// relations r: a component's are its whole's too.
var pastMembership = `(n) ((x)-[w:COMPONENT_OF|WAS_COMPONENT_OF|PART_OF|WAS_PART_OF WHERE ` + heldThen("w") + `]->(y)){0,32} (m)-[r]->(g)
			WHERE r.inherits IS NULL AND ` + heldThen("r") + ` AND ` + isA("g", "Group")

// relationName is the name of the relation that the relationship r is or was.
const relationName = `CASE WHEN type(r) = 'WAS_RELATED' THEN r.name ELSE toLower(type(r)) END`

const (
	// The last position of the journal at the moment.
	pastPosition = `
			MATCH (p:Change) USING INDEX p:Change(account, at)
			WHERE p.account = $account AND p.at <= $at
			RETURN p.position AS highest ORDER BY p.account DESC, p.at DESC, p.position DESC LIMIT 1`

	// The object that had a key at that position. There was at most one at a time,
	// so the last that became of the key decides.
	pastOfKey = `
			MATCH (c:Change) USING INDEX c:Change(account, kind, keyFold, position)
			WHERE c.account = $account AND c.kind = $kind AND c.keyFold = key AND c.position <= highest AND (c.after IS NOT NULL OR c.operation = 'DELETE')
			WITH c ORDER BY c.account DESC, c.kind DESC, c.keyFold DESC, c.position DESC LIMIT 1
			WITH c WHERE c.after IS NOT NULL
			RETURN c.object AS id, c.after AS after`
)

var (
	// The last that is known of an object: how it became, or that it was deleted.
	pastByIDs = named("past.byID", `
		CALL () { `+pastPosition+` }
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account
		CALL (id, highest) {
			MATCH (c:Change) USING INDEX c:Change(object, position)
			WHERE c.object = id AND c.position <= highest AND c.account = $account AND (c.after IS NOT NULL OR c.operation = 'DELETE')
			RETURN c.kind AS kind, c.after AS after ORDER BY c.object DESC, c.position DESC LIMIT 1
		}
		WITH id, n, kind, after WHERE after IS NOT NULL
		RETURN collect({id: id, kind: kind, after: after, above: CASE kind WHEN 'GROUP' THEN `+pastAbove("n")+` ELSE [] END}) AS objects`)

	pastByKeys = named("past.byKeys", `
		CALL () { `+pastPosition+` }
		UNWIND $keys AS key
		CALL (key, highest) { `+pastOfKey+` }
		RETURN collect({id: id, kind: $kind, key: key, after: after, above: []}) AS objects`)
)

// past returns objects as they were, by id; those that were not there are
// absent.
func (s *Store) past(ctx context.Context, scope registry.Scope, ids []registry.ID) (map[registry.ID]registry.Node, error) {
	p, err := s.look(scope, params{"ids": texts(ids)})
	if err != nil {
		return nil, err
	}
	found, _, err := one(ctx, s.reading(scope), pastByIDs, p, func(f fields) map[registry.ID]registry.Node {
		out := map[registry.ID]registry.Node{}
		for _, item := range f.maps("objects") {
			if node := pastObject(item); node != nil {
				out[item.id("id")] = node
			}
		}
		return out
	})
	if err == nil {
		err = s.nameEnds(ctx, scope, slices.Collect(maps.Values(found)))
	}
	if err != nil {
		return nil, fmt.Errorf("objects of the past: %w", err)
	}
	return found, nil
}

// pastOf is past for objects of one type: one slot an id, in order.
func pastOf[T registry.Node](ctx context.Context, s *Store, scope registry.Scope, ids []registry.ID) ([]T, error) {
	found, err := s.past(ctx, scope, ids)
	if err != nil {
		return nil, err
	}
	typed := make(map[registry.ID]T, len(found))
	for id, node := range found {
		if one, ok := node.(T); ok {
			typed[id] = one
		}
	}
	return slots(ids, typed), nil
}

// keyed is an object of the past with the key that lists are ordered by; the
// object is nil if it is of another kind than was asked for.
type keyed struct {
	key  string
	node registry.Node
}

// pastWithKeys returns the objects of a kind that had keys, without those that
// were not there.
func (s *Store) pastWithKeys(ctx context.Context, scope registry.Scope, kind registry.ObjectKind, keys []string) ([]keyed, error) {
	p, err := s.look(scope, params{"kind": string(kind), "keys": keys})
	if err != nil {
		return nil, err
	}
	found, _, err := one(ctx, s.reading(scope), pastByKeys, p, keyedOf)
	if err == nil {
		err = s.nameEnds(ctx, scope, nodesIn(found))
	}
	if err != nil {
		return nil, fmt.Errorf("%ss of the past: %w", strings.ToLower(string(kind)), err)
	}
	return found, nil
}

func keyedOf(f fields) []keyed {
	items := f.maps("objects")
	out := make([]keyed, len(items))
	for i, item := range items {
		out[i] = keyed{item.text("key"), pastObject(item)}
	}
	return out
}

func nodesIn(items []keyed) []registry.Node {
	out := make([]registry.Node, len(items))
	for i, item := range items {
		out[i] = item.node
	}
	return out
}

// pastByReference returns the object that had a key.
func pastByReference[T registry.Node](ctx context.Context, s *Store, scope registry.Scope, kind registry.ObjectKind, key string) (T, error) {
	var none T
	found, err := s.pastWithKeys(ctx, scope, kind, []string{Fold(key)})
	if err != nil {
		return none, err
	}
	if len(found) == 1 {
		if typed, ok := found[0].node.(T); ok {
			return typed, nil
		}
	}
	return none, registry.NotFound(strings.ToLower(string(kind)), key)
}

// pastObject reads an object from its snapshot. Where a group was is told by
// the groups that were above it: it moves with them.
func pastObject(f fields) registry.Node {
	node := fromSnapshot(f, registry.ObjectKind(f.text("kind")))
	group, ok := node.(*registry.Group)
	if !ok {
		return node
	}
	if above := f.maps("above"); len(above) > 0 {
		group.Name, group.ParentID, group.Depth, group.Path = above[0].text("name"), above[0].id("id"), len(above), ""
		for _, step := range above {
			group.Path = "/" + step.text("name") + group.Path
		}
	}
	return node
}
