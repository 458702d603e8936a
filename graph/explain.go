package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

var policyExplain = named("policy.explain", `
	MATCH (n:Entity {id: $id})
	WHERE n.account = $account AND n:Group|Device|Asset
	OPTIONAL MATCH (p:Policy)
	WHERE p.account = $account AND p.keyFold = $key
	RETURN p.id AS policy,
		COLLECT { MATCH (p)-[:APPLIES_TO]->(g:Group) RETURN {id: g.id, depth: g.depth} ORDER BY g.keyFold } AS groups,
		CASE WHEN n:Group THEN [{relation: '', chain: COLLECT { MATCH path = (n)-[:CHILD_OF*0..32]->(a:Group) RETURN a.id ORDER BY length(path) }}]
		ELSE COLLECT {
			MATCH (n)-`+wholes+`->()-[r:!WAS_RELATED]->(g:Group)
			WHERE r.inherits IS NULL
			RETURN {relation: toLower(type(r)), chain: COLLECT { MATCH path = (g)-[:CHILD_OF*0..32]->(a:Group) RETURN a.id ORDER BY length(path) }}
			ORDER BY g.keyFold, type(r)
		} END AS memberships`)

// way is a membership and the groups from its group up to the root.
type way struct {
	relation string
	chain    []registry.ID
}

// ExplainPolicy says, for each group of a policy, by which way a thing reaches
// it: the shortest one, if there are several.
func (s *Store) ExplainPolicy(ctx context.Context, scope registry.Scope, thingID registry.ID, policyReference string) (*registry.PolicyExplanation, error) {
	if scope.AsOf != nil {
		return s.explainPast(ctx, scope, thingID, policyReference)
	}
	type answer struct {
		policy *string
		groups []fields
		ways   []way
	}
	got, ok, err := one(ctx, s.reading(scope), policyExplain, params{"id": string(thingID), "key": Fold(policyReference)}, func(f fields) answer {
		out := answer{policy: f.optionalText("policy"), groups: f.maps("groups")}
		for _, membership := range f.maps("memberships") {
			out.ways = append(out.ways, way{membership.text("relation"), membership.ids("chain")})
		}
		return out
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("explain policy %s: %w", policyReference, err)
	case !ok:
		return nil, registry.NotFound("object", string(thingID))
	case got.policy == nil:
		return nil, registry.NotFound("policy", policyReference)
	}
	explanation := &registry.PolicyExplanation{PolicyID: registry.ID(*got.policy), Inherited: true}
	for _, group := range got.groups {
		reach := reached(group.id("id"), group.integer("depth") == 0, got.ways)
		explanation.Inherited = explanation.Inherited && reach.Reached
		explanation.Groups = append(explanation.Groups, reach)
	}
	return explanation, nil
}

// reached finds the shortest way to a group.
func reached(group registry.ID, root bool, ways []way) registry.PolicyReach {
	reach := registry.PolicyReach{GroupID: group, Reached: root}
	for _, w := range ways {
		for i, id := range w.chain {
			if id != group || reach.Via != nil && len(reach.Via) <= i+1 {
				continue
			}
			reach.Reached, reach.Via = true, w.chain[:i+1]
			if !root {
				reach.Relation = w.relation
			}
		}
	}
	return reach
}
