package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Policy inheritance. A thing's memberships are the groups that it has an
// outgoing relation to, tags left out; a group's membership is the group
// itself. Its closure is these groups, all groups above them, and the root. It
// inherits a policy if and only if every group that the policy applies to is in
// its closure.
//
// One query returns, for all things asked for, their memberships, the chain of
// groups above each, and the policies all of whose groups are in the closure of
// all things together. Which thing has which policy is then decided here: the
// chains are short and shared, so that is cheaper than asking thing by thing.

// memberships is the list of groups that the thing n is in.
const memberships = `CASE WHEN n:Group THEN [n] ELSE COLLECT { MATCH (n)-[r:!WAS_RELATED]->(g:Group) WHERE r.inherits IS NULL RETURN DISTINCT g } END`

// inheritance goes on from a list things of {id, groups, ...}.
const inheritance = `
	MATCH (root:Group)
	WHERE root.account = $account AND root.keyFold = '/'
	CALL (things) {
		UNWIND things AS thing
		UNWIND thing.groups AS g
		RETURN collect(DISTINCT g) AS direct
	}
	WITH things, CASE WHEN root IN direct THEN direct ELSE direct + [root] END AS starts
	CALL (starts) {
		UNWIND starts AS g
		RETURN collect({id: g.id, above: [(g)-[:CHILD_OF*1..32]->(a:Group) | a]}) AS chains
	}
	CALL (chains) {
		UNWIND chains AS chain
		UNWIND chain.above AS g
		RETURN collect(DISTINCT g) AS higher
	}
	CALL (starts, higher) {
		UNWIND starts + higher AS g
		WITH DISTINCT g ORDER BY g.keyFold
		MATCH (g)<-[:APPLIES_TO]-(p:Policy)
		WHERE $type IS NULL OR p.typeFold = $type
		WITH p, collect(g.id) AS groups
		WHERE size(groups) = p.groupCount
		RETURN collect({node: POLICY, groups: groups}) AS policies
	}
	RETURN [thing IN things | thing {.*, groups: [g IN thing.groups | g.id]}] AS things,
		[chain IN chains | chain {.id, above: [a IN chain.above | a.id]}] AS chains, policies`

// What is returned of a policy: all, or what names and orders it.
const (
	wholePolicy = `properties(p)`
	shortPolicy = `p {.reference, .keyFold, .deepest, .depthSum}`
)

func inheritanceQuery(name, things, policy string) query {
	return named(name, things+strings.ReplaceAll(inheritance, "POLICY", policy))
}

const (
	inheritorsByID = `
	CALL () {
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account AND n:Group|Device|Asset
		RETURN collect({id: n.id, groups: ` + memberships + `}) AS things
	}`

	inheritorOfPaths = `
	CALL () {
		UNWIND $paths AS path
		MATCH (n:Group)
		WHERE n.account = $account AND n.keyFold = path
		RETURN [{id: '', groups: collect(n)}] AS things
	}`
)

var (
	inheritedByID         = inheritanceQuery("policy.inherited", inheritorsByID, wholePolicy)
	inheritedReferences   = inheritanceQuery("policy.inheritedReferences", inheritorsByID, shortPolicy)
	inheritedByGroupPaths = inheritanceQuery("policy.inheritedByGroups", inheritorOfPaths, wholePolicy)

	twinsUnder = named("group.twinsUnder", `
		MATCH (top:Group)
		WHERE top.account = $account AND top.keyFold = $key
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account AND n:Device|Asset
			AND (top.depth = 0 OR EXISTS { MATCH (n)-[r:!WAS_RELATED]->(:Group)-[:CHILD_OF*0..32]->(top) WHERE r.inherits IS NULL })
		RETURN collect(n.id) AS ids`)
)

// inheritable is a policy with what orders it. P is what was asked for of it.
type inheritable[P any] struct {
	policy            P
	key               string
	deepest, depthSum int
	groups            []registry.ID
}

// inherited is the answer of an inheritance query. The policies are in order,
// most specific first.
type inherited[P any] struct {
	things   []fields
	groups   map[registry.ID][]registry.ID // of each thing
	above    map[registry.ID][]registry.ID // of each group that a thing is in, and of the root
	root     registry.ID                   // which everything is below
	policies []inheritable[P]
}

// inheritedOf decodes each distinct policy once.
func inheritedOf[P any](policy func(node fields, groups []registry.ID) P) func(fields) inherited[P] {
	return func(f fields) inherited[P] {
		out := inherited[P]{groups: map[registry.ID][]registry.ID{}, above: map[registry.ID][]registry.ID{}, things: f.maps("things")}
		for _, thing := range out.things {
			out.groups[thing.id("id")] = thing.ids("groups")
		}
		for _, chain := range f.maps("chains") {
			id, above := chain.id("id"), chain.ids("above")
			if out.above[id] = above; len(above) == 0 {
				out.root = id
			}
		}
		for _, item := range f.maps("policies") {
			node, groups := item.nested("node"), item.ids("groups")
			out.policies = append(out.policies, inheritable[P]{
				policy(node, groups), node.text("keyFold"), node.integer("deepest"), node.integer("depthSum"), groups,
			})
		}
		slices.SortFunc(out.policies, func(a, b inheritable[P]) int {
			switch {
			case a.deepest != b.deepest:
				return b.deepest - a.deepest
			case a.depthSum != b.depthSum:
				return b.depthSum - a.depthSum
			}
			return strings.Compare(a.key, b.key)
		})
		return out
	}
}

// of returns the policies that a thing inherits, most specific first.
func (in inherited[P]) of(thing registry.ID) []P {
	groups, ok := in.groups[thing]
	if !ok {
		return nil
	}
	closure := map[registry.ID]bool{}
	for _, group := range groups {
		closure[group] = true
		for _, above := range in.above[group] {
			closure[above] = true
		}
	}
	closure[in.root] = true
	out := make([]P, 0, len(in.policies))
	for _, candidate := range in.policies {
		if !slices.ContainsFunc(candidate.groups, func(group registry.ID) bool { return !closure[group] }) {
			out = append(out, candidate.policy)
		}
	}
	return out
}

// InheritedPolicies returns the policies that each device, asset or group
// inherits, most specific first: all, or those of one type.
func (s *Store) InheritedPolicies(ctx context.Context, scope registry.Scope, things []registry.ID, policyType *string) ([][]*registry.Policy, error) {
	return inheritedLists(ctx, s.reading(scope), inheritedByID, things, policyType, policyFrom)
}

// InheritedPolicyReferences returns the references of the policies that each
// device, asset or group inherits, most specific first.
func (s *Store) InheritedPolicyReferences(ctx context.Context, scope registry.Scope, things []registry.ID, policyType *string) ([][]string, error) {
	return inheritedLists(ctx, s.reading(scope), inheritedReferences, things, policyType, func(node fields, _ []registry.ID) string { return node.text("reference") })
}

func inheritedLists[P any](ctx context.Context, r runner, q query, things []registry.ID, policyType *string, policy func(fields, []registry.ID) P) ([][]P, error) {
	in, _, err := one(ctx, r, q, params{"ids": texts(things), "type": foldOptional(policyType)}, inheritedOf(policy))
	if err != nil {
		return nil, fmt.Errorf("inherited policies: %w", err)
	}
	out := make([][]P, len(things))
	for i, thing := range things {
		out[i] = in.of(thing)
	}
	return out, nil
}

// PoliciesOfGroups returns the policies that a thing would inherit if it were a
// member of all of these groups.
func (s *Store) PoliciesOfGroups(ctx context.Context, scope registry.Scope, paths []string, policyType *string) ([]*registry.Policy, error) {
	if len(paths) > registry.MaxRelationsAtOne {
		return nil, registry.LimitExceeded("name at most %d groups", registry.MaxRelationsAtOne)
	}
	folded := make([]string, len(paths))
	for i, path := range paths {
		folded[i] = Fold(cleanPath(path))
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(folded)))
	in, _, err := one(ctx, s.reading(scope), inheritedByGroupPaths, params{"paths": distinct, "type": foldOptional(policyType)}, inheritedOf(policyFrom))
	if err != nil {
		return nil, fmt.Errorf("policies of groups: %w", err)
	}
	if len(in.groups[""]) != len(distinct) {
		return nil, registry.InvalidField("groups", "unknown", "one of these groups does not exist: %s", strings.Join(paths, ", "))
	}
	return in.of(""), nil
}

// TwinsUnder says which of the twins are in the sub-tree of a group.
func (s *Store) TwinsUnder(ctx context.Context, scope registry.Scope, groupPath string, ids []registry.ID) (map[registry.ID]bool, error) {
	under, _, err := one(ctx, s.reading(scope), twinsUnder, params{"key": Fold(cleanPath(groupPath)), "ids": texts(ids)}, func(f fields) []registry.ID { return f.ids("ids") })
	if err != nil {
		return nil, fmt.Errorf("twins under %s: %w", groupPath, err)
	}
	out := make(map[registry.ID]bool, len(under))
	for _, id := range under {
		out[id] = true
	}
	return out, nil
}
