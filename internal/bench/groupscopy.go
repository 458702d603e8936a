package bench

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// groupsCopy is a copy of the account's groups, of an account that is nobody's:
// what plain Cypher writes hangs there, so that Holon never meets it.
type groupsCopy struct {
	account string
	// template is the devices' template, groups are the copies by their keys: the
	// database's ids.
	template string
	groups   map[string]string
}

const (
	copyGroups = `
	MATCH (g:Group) WHERE g.account = $account
	CREATE (c:Group:Entity)
	SET c = g {.*, account: $other, id: randomUUID()}
	RETURN count(c)`

	copyParents = `
	MATCH (g:Group)-[old:CHILD_OF]->(above:Group) WHERE g.account = $account
	MATCH (c:Group) WHERE c.account = $other AND c.keyFold = g.keyFold
	MATCH (p:Group) WHERE p.account = $other AND p.keyFold = above.keyFold
	CREATE (c)-[new:CHILD_OF]->(p)
	SET new = properties(old)
	RETURN count(new)`

	copyTemplates = `
	MATCH (g:Group)-[old:INSTANCE_OF]->(t) WHERE g.account = $account
	MATCH (c:Group) WHERE c.account = $other AND c.keyFold = g.keyFold
	CREATE (c)-[new:INSTANCE_OF]->(t)
	SET new = properties(old)
	RETURN count(new)`

	copyKeys = `MATCH (g:Group) WHERE g.account = $other RETURN [g.keyFold, elementId(g)]`

	copyTemplate = `MATCH (d:Entity {id: $device})-[:INSTANCE_OF]->(t) RETURN elementId(t)`
)

// copyOfGroups copies the groups.
func (r *runner) copyOfGroups(ctx context.Context) (*groupsCopy, error) {
	to := &groupsCopy{account: uuid.NewString(), groups: map[string]string{}}
	params := map[string]any{"account": string(r.Scope.Account), "other": to.account, "device": string(r.fleet.devices[0].id)}
	for _, cypher := range []string{copyGroups, copyParents, copyTemplates} {
		if _, err := r.rows(ctx, cypher, params); err != nil {
			return nil, err
		}
	}
	keys, err := r.rows(ctx, copyKeys, params)
	if err != nil {
		return nil, err
	}
	for _, row := range keys {
		pair, _ := row.([]any)
		key, _ := pair[0].(string)
		to.groups[key], _ = pair[1].(string)
	}
	template, err := r.rows(ctx, copyTemplate, params)
	if err != nil {
		return nil, err
	}
	to.template, _ = template[0].(string)
	return to, nil
}

// copied makes the parameters of one device out of what was written: its
// properties, those of its relationship to its template, its groups, those of the
// relationships to them, and its change.
func (t *groupsCopy) copied(made any) ([]any, error) {
	row, _ := made.([]any)
	if len(row) != 4 {
		return nil, fmt.Errorf("a device was written as %v", made)
	}
	properties, _ := row[0].(map[string]any)
	change, _ := row[3].(map[string]any)
	id := uuid.NewString()
	device := t.renamed(properties, "id", id)
	groups, relations := make([]any, len(memberships)), make([]any, len(memberships))
	related, _ := row[2].([]any)
	for i, name := range memberships {
		at := slices.IndexFunc(related, func(r any) bool { return r.([]any)[0] == strings.ToUpper(name) })
		if at < 0 || len(related) != len(memberships) {
			return nil, fmt.Errorf("a device was related by %v", related)
		}
		relation := related[at].([]any)
		groups[i], relations[i] = t.groups[relation[2].(string)], relation[1]
	}
	return []any{device, row[1], groups, relations, t.renamed(change, "object", id)}, nil
}

// renamed are properties of the other account, of another object.
func (t *groupsCopy) renamed(properties map[string]any, name string, id any) map[string]any {
	out := maps.Clone(properties)
	out["account"], out[name] = t.account, id
	return out
}
