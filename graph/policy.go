package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// maxDocument bounds a policy's document, in bytes of JSON.
const maxDocument = 256 << 10

// policyColumns returns a policy in the variable n.
const policyColumns = `{node: properties(n), groups: COLLECT { MATCH (n)-[:APPLIES_TO]->(g:Group) RETURN g.id ORDER BY g.keyFold }}`

var (
	policyGroups = named("policy.groups", `
		UNWIND $paths AS path
		MATCH (g:Group)
		WHERE g.account = $account AND g.keyFold = path
		RETURN collect({path: path, id: g.id, depth: g.depth, above: COLLECT { MATCH (g)-[:CHILD_OF*1..32]->(a:Group) RETURN a.id }}) AS groups`)

	policyCreate = named("policy.create", `
		CREATE (n:Policy:Entity)
		SET n = $properties, n.account = $account
		WITH n
		UNWIND $groups AS id
		MATCH (g:Entity {id: id})
		WHERE g.account = $account
		CREATE (n)-[:APPLIES_TO {since: $since}]->(g)
		RETURN count(g) AS n`)

	policyToChangeByID = named("policy.toChangeByID", `
		MATCH (n:Entity {id: $id})
		WHERE n.account = $account AND n:Policy
		RETURN `+policyColumns+` AS policy`)

	policyUpdate = named("policy.update", `
		MATCH (n:Entity {id: $id})
		WHERE n.account = $account
		SET n += $changes
		RETURN n.id AS id`)

	policyApply = named("policy.apply", `
		MATCH (n:Entity {id: $id})
		WHERE n.account = $account
		CALL (n) {
			MATCH (n)-[old:APPLIES_TO]->(g)
			WHERE NOT g.id IN $groups
			CREATE (n)-[was:WAS_APPLIES_TO]->(g)
			SET was = properties(old), was.until = $since
			DELETE old
		}
		UNWIND $groups AS group
		MATCH (g:Entity {id: group})
		WHERE g.account = $account
		MERGE (n)-[r:APPLIES_TO]->(g)
		ON CREATE SET r.since = $since
		RETURN count(g) AS n`)

	policyByReference = named("policy.byReference", `
		MATCH (n:Policy)
		WHERE n.account = $account AND n.keyFold = $key
		RETURN `+policyColumns+` AS policy`)

	policyByID = named("policy.byID", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account AND n:Policy
		RETURN collect({policy: `+policyColumns+`}) AS policies`)

	policyCount = named("policy.count", `
		MATCH (n:Policy)
		WHERE n.account = $account AND n.keyFold IS NOT NULL
		RETURN count(n) AS n`)

	policyCountOfType = named("policy.countOfType", `
		MATCH (n:Policy)
		WHERE n.account = $account AND n.typeFold = $type AND n.keyFold IS NOT NULL
		RETURN count(n) AS n`)

	policyList = listing{
		name: "policy.list", match: "MATCH (n:Policy) WHERE n.account = $account",
		prefix: "n.account, ", key: "n.keyFold", item: "{policy: " + policyColumns + "}",
	}.registered()

	policyListOfType = listing{
		name: "policy.listOfType", match: "MATCH (n:Policy) WHERE n.account = $account AND n.typeFold = $type",
		prefix: "n.account, n.typeFold, ", key: "n.keyFold", item: "{policy: " + policyColumns + "}",
	}.registered()
)

// CreatePolicy makes a policy that applies to groups, which must exist.
func (s *Store) CreatePolicy(ctx context.Context, scope registry.Scope, n registry.NewPolicy) (*registry.Policy, error) {
	violations := n.Check()
	document, wrong := documentText(n.Document)
	if violations = append(violations, wrong...); len(violations) > 0 {
		return nil, registry.Invalid(violations...)
	}
	var policy *registry.Policy
	err := change(ctx, s, scope, "policy.create", func(ctx context.Context, tx *transaction) error {
		if err := s.keepToToken(ctx, tx, policyMaking(n), planNewPolicy(n)); err != nil {
			return err
		}
		policy = &registry.Policy{
			Object:    registry.Object{ID: newID(), Version: 1, CreatedAt: tx.at, UpdatedAt: tx.at},
			Reference: n.Reference, Type: n.Type, Description: n.Description, Document: n.Document,
		}
		groups, err := policyTargets(ctx, tx, n.AppliesTo)
		if err != nil {
			return err
		}
		policy.GroupIDs = groups.ids
		node := policyProperties(policy, groups, document)
		tx.recordPolicy(registry.ChangeCreate, "created", nil, policy)
		return applied(ctx, tx, policyCreate, params{"properties": node, "groups": texts(groups.ids), "since": tx.at.UnixMilli()}, len(groups.ids))
	})
	if errors.Is(err, errConstraint) {
		return nil, takenPolicy(n.Reference)
	}
	if err != nil {
		return nil, fmt.Errorf("create policy %s: %w", n.Reference, err)
	}
	return policy, nil
}

// policyProperties is what a policy's node holds.
func policyProperties(p *registry.Policy, groups policyTargetList, document string) map[string]any {
	out := groups.rank()
	maps.Copy(out, map[string]any{
		"id": string(p.ID), "reference": p.Reference, "keyFold": Fold(p.Reference), "type": p.Type, "typeFold": Fold(p.Type),
		"description": p.Description, "document": document, "version": p.Version, "createdAt": p.CreatedAt, "updatedAt": p.UpdatedAt,
	})
	return out
}

func takenPolicy(reference string) error {
	return registry.Conflict("reference", "policy %q exists already", reference)
}

// recordPolicy notes what becomes of a policy; before or after is nil.
func (t *transaction) recordPolicy(operation registry.ChangeOperation, action string, before, after *registry.Policy) {
	e := entry{kind: registry.ObjectPolicy, operation: operation, action: action, structural: true}
	if before != nil {
		e.id, e.key, e.version, e.before = before.ID, before.Reference, before.Version, policySnapshot(before)
	}
	if after != nil {
		e.id, e.key, e.version, e.after = after.ID, after.Reference, after.Version, policySnapshot(after)
	}
	t.record(e)
}

// applied runs a query that applies a policy to groups, all of which must still
// exist.
func applied(ctx context.Context, tx *transaction, q query, p params, groups int) error {
	n, ok, err := one(ctx, tx, q, p, counted)
	if err == nil && (!ok || n != groups) {
		return errAgain
	}
	return err
}

// DeletePolicy deletes a policy and returns it as it was.
func (s *Store) DeletePolicy(ctx context.Context, scope registry.Scope, ref registry.Ref) (*registry.Policy, error) {
	var deleted *registry.Policy
	err := change(ctx, s, scope, "policy.delete", func(ctx context.Context, tx *transaction) (err error) {
		if err := s.keepToToken(ctx, tx, policyDeleting(ref), planPolicyDeletion(ref)); err != nil {
			return err
		}
		if deleted, err = policyToChange(ctx, tx, ref, ref.IfVersion); err != nil {
			return err
		}
		tx.recordPolicy(registry.ChangeDelete, "deleted", deleted, nil)
		return tx.bury(ctx, deleted.ID)
	})
	if err != nil {
		return nil, fmt.Errorf("delete policy: %w", err)
	}
	return deleted, nil
}

// PolicyByReference returns a policy by its reference.
func (s *Store) PolicyByReference(ctx context.Context, scope registry.Scope, reference string) (*registry.Policy, error) {
	if scope.AsOf != nil {
		return pastByReference[*registry.Policy](ctx, s, scope, registry.ObjectPolicy, reference)
	}
	policy, ok, err := one(ctx, s.reading(scope), policyByReference, params{"key": Fold(reference)}, policyOf)
	return found(policy, ok, err, "policy", reference)
}

// PoliciesByID returns policies, nil where there is none.
func (s *Store) PoliciesByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]*registry.Policy, error) {
	if scope.AsOf != nil {
		return pastOf[*registry.Policy](ctx, s, scope, ids)
	}
	known := make(map[registry.ID]*registry.Policy, len(ids))
	_, err := all(ctx, s.reading(scope), policyByID, params{"ids": texts(ids)}, func(f fields) struct{} {
		for _, item := range f.maps("policies") {
			policy := policyOf(item)
			known[policy.ID] = policy
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("policies by id: %w", err)
	}
	return slots(ids, known), nil
}

// ListPolicies returns policies by reference, of one type or of all.
func (s *Store) ListPolicies(ctx context.Context, scope registry.Scope, policyType *string, page registry.PageRequest) (registry.Page[*registry.Policy], error) {
	if scope.AsOf != nil {
		return s.listPastPolicies(ctx, scope, policyType, page)
	}
	l, p := policyList, params{}
	if policyType != nil {
		l, p = policyListOfType, params{"type": Fold(*policyType)}
	}
	out, err := pageWith(ctx, s.reading(scope), l, page, Fold(page.Key), p, policyOf)
	if err != nil {
		return out, fmt.Errorf("list policies: %w", err)
	}
	return out, nil
}

// CountPolicies counts policies, of one type or of all.
func (s *Store) CountPolicies(ctx context.Context, scope registry.Scope, policyType *string) (int, error) {
	if scope.AsOf != nil {
		return s.countPastPolicies(ctx, scope, policyType)
	}
	q, p := policyCount, params{}
	if policyType != nil {
		q, p = policyCountOfType, params{"type": Fold(*policyType)}
	}
	n, _, err := one(ctx, s.reading(scope), q, p, counted)
	if err != nil {
		return 0, fmt.Errorf("count policies: %w", err)
	}
	return n, nil
}

// policyOf reads a policy from the column policy.
func policyOf(f fields) *registry.Policy {
	policy := f.nested("policy")
	return policyFrom(policy.nested("node"), policy.ids("groups"))
}

func policyFrom(node fields, groups []registry.ID) *registry.Policy {
	policy := &registry.Policy{
		Object: objectOf(node), Reference: node.text("reference"), Type: node.text("type"),
		Description: node.optionalText("description"), GroupIDs: groups,
	}
	node.json("document", &policy.Document)
	return policy
}

func documentText(document map[string]any) (string, []registry.Violation) {
	text, err := json.Marshal(document)
	switch {
	case err != nil:
		return "", []registry.Violation{{Path: "document", Rule: "type", Message: "is a JSON object"}}
	case len(text) > maxDocument:
		return "", []registry.Violation{{Path: "document", Rule: "maxLength", Message: fmt.Sprintf("has at most %d bytes as JSON", maxDocument)}}
	}
	return string(text), nil
}

// policyTarget is a group that a policy is to apply to.
type policyTarget struct {
	path  string
	id    registry.ID
	depth int
	above []registry.ID
}

type policyTargetList struct {
	ids  []registry.ID
	rows []policyTarget
}

// policyTargets finds groups by their paths, in the order of their paths, once
// each.
func policyTargets(ctx context.Context, r runner, paths []string) (policyTargetList, error) {
	var folded []string
	for _, path := range paths {
		folded = append(folded, Fold(cleanPath(path)))
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(folded)))
	rows, _, err := one(ctx, r, policyGroups, params{"paths": sorted}, func(f fields) map[string]policyTarget {
		out := map[string]policyTarget{}
		for _, g := range f.maps("groups") {
			out[g.text("path")] = policyTarget{g.text("path"), g.id("id"), g.integer("depth"), g.ids("above")}
		}
		return out
	})
	if err != nil {
		return policyTargetList{}, fmt.Errorf("groups of a policy: %w", err)
	}
	var violations []registry.Violation
	for i, path := range folded {
		if _, ok := rows[path]; !ok {
			violations = append(violations, registry.Violation{Path: fmt.Sprintf("appliesTo[%d]", i), Rule: "unknown", Message: fmt.Sprintf("group %q does not exist", paths[i])})
		}
	}
	if len(violations) > 0 {
		return policyTargetList{}, registry.Invalid(violations...)
	}
	var out policyTargetList
	for _, path := range sorted {
		out.rows = append(out.rows, rows[path])
		out.ids = append(out.ids, rows[path].id)
	}
	return out, nil
}

// rank is what a policy's node keeps to be found and ordered by.
func (l policyTargetList) rank() map[string]any {
	deepest, sum := l.specificity()
	return map[string]any{"groupCount": len(l.rows), "deepest": deepest, "depthSum": sum}
}

// specificity is what policies are ordered by, most specific first: groups that
// lie above another of the policy's groups say nothing; of the others the
// deepest decides, then the sum of the depths.
func (l policyTargetList) specificity() (deepest, sum int) {
	above := map[registry.ID]bool{}
	for _, row := range l.rows {
		for _, id := range row.above {
			above[id] = true
		}
	}
	for _, row := range l.rows {
		if !above[row.id] {
			deepest = max(deepest, row.depth)
			sum += row.depth
		}
	}
	return deepest, sum
}
