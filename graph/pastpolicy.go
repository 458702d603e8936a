package graph

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// What was inherited is decided as what is (inherit.go), but for the order of
// policies: the depths of groups may have changed since.

// pastInheritance goes on from a list things of {id, ways: [{group, relation}]}.
var pastInheritance = `
	MATCH (root:Group)
	WHERE root.account = $account AND root.keyFold = '/'
	CALL (things) {
		UNWIND things AS thing
		UNWIND thing.ways AS way
		RETURN collect(DISTINCT way.group) AS direct
	}
	WITH root, things, CASE WHEN root IN direct THEN direct ELSE direct + [root] END AS starts
	CALL (starts) {
		UNWIND starts AS g
		RETURN collect({id: g.id, above: coalesce(COLLECT {
			MATCH (g) ((below)-[up:CHILD_OF|WAS_CHILD_OF WHERE ` + heldThen("up") + `]->(above)){1,32} ()
			RETURN above ORDER BY size(above) DESC LIMIT 1
		}[0], [])}) AS chains
	}
	CALL (starts, chains) {
		CALL () { ` + pastPosition + ` }
		UNWIND starts + reduce(all = [], chain IN chains | all + chain.above) AS g
		WITH DISTINCT highest, g
		MATCH (g)<-[a:APPLIES_TO|WAS_APPLIES_TO]-(p)
		WHERE ` + heldThen("a") + `
		WITH highest, p, collect(g.id) AS groups
		WHERE size(groups) = COUNT { MATCH (p)-[b:APPLIES_TO|WAS_APPLIES_TO]->() WHERE ` + heldThen("b") + ` }
		CALL (p, highest) {
			MATCH (c:Change) USING INDEX c:Change(object, position)
			WHERE c.object = p.id AND c.position <= highest AND c.account = $account AND (c.after IS NOT NULL OR c.operation = 'DELETE')
			RETURN c.after AS after ORDER BY c.object DESC, c.position DESC LIMIT 1
		}
		WITH p, groups, after WHERE after IS NOT NULL
		RETURN collect({id: p.id, kind: 'POLICY', after: after, groups: groups}) AS policies
	}
	RETURN root.id AS root, [thing IN things | {id: thing.id, ways: [way IN thing.ways | {group: way.group.id, relation: way.relation}]}] AS things,
		[chain IN chains | {id: chain.id, above: [a IN chain.above | a.id]}] AS chains, policies`

var (
	pastInherited = named("past.inherited", `
	CALL () {
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account AND `+isA("n", "Group", "Device", "Asset")+`
		RETURN collect({id: n.id, ways: CASE WHEN `+isA("n", "Group")+` THEN [{group: n, relation: ''}] ELSE COLLECT {
			MATCH `+pastMembership+`
			RETURN DISTINCT {group: g, relation: `+relationName+`} } END}) AS things
	}`+pastInheritance)

	// The policies whose groups they are, whoever inherits them.
	pastPolicyGroups = named("past.policyGroups", `
		MATCH (p:Entity {id: $id})
		WHERE p.account = $account
		RETURN COLLECT {
			MATCH (p)-[a:APPLIES_TO|WAS_APPLIES_TO]->(g)
			WHERE `+heldThen("a")+`
			RETURN {id: g.id, path: `+pastPath("g")+`}
		} AS groups`)
)

// pastClosure is the answer of the inheritance query.
type pastClosure struct {
	root     registry.ID
	ways     map[registry.ID][]way
	chains   map[registry.ID][]registry.ID // above each group that a thing was in
	policies []pastPolicy
}

type pastPolicy struct {
	policy            *registry.Policy
	groups            []registry.ID
	deepest, depthSum int
}

func pastClosureOf(f fields) pastClosure {
	out := pastClosure{root: f.id("root"), ways: map[registry.ID][]way{}, chains: map[registry.ID][]registry.ID{}}
	for _, chain := range f.maps("chains") {
		out.chains[chain.id("id")] = chain.ids("above")
	}
	for _, thing := range f.maps("things") {
		ways := []way{}
		for _, w := range thing.maps("ways") {
			group := w.id("group")
			ways = append(ways, way{w.text("relation"), append([]registry.ID{group}, out.chains[group]...)})
		}
		out.ways[thing.id("id")] = ways
	}
	above := out.above()
	for _, item := range f.maps("policies") {
		policy, _ := fromSnapshot(item, registry.ObjectPolicy).(*registry.Policy)
		out.policies = append(out.policies, rankedThen(policy, item.ids("groups"), above))
	}
	slices.SortFunc(out.policies, func(a, b pastPolicy) int {
		return cmp.Or(b.deepest-a.deepest, b.depthSum-a.depthSum, strings.Compare(Fold(a.policy.Reference), Fold(b.policy.Reference)))
	})
	return out
}

// above are the groups above each group that was met.
func (c pastClosure) above() map[registry.ID][]registry.ID {
	out := map[registry.ID][]registry.ID{}
	for group, chain := range c.chains {
		out[group] = chain
		for i, id := range chain {
			out[id] = chain[i+1:]
		}
	}
	return out
}

// rankedThen gives a policy what orders it (policyTargetList.rank).
func rankedThen(policy *registry.Policy, groups []registry.ID, above map[registry.ID][]registry.ID) pastPolicy {
	out := pastPolicy{policy: policy, groups: groups}
	for _, group := range groups {
		if slices.ContainsFunc(groups, func(other registry.ID) bool { return slices.Contains(above[other], group) }) {
			continue
		}
		depth := len(above[group])
		out.deepest = max(out.deepest, depth)
		out.depthSum += depth
	}
	return out
}

// of returns what a thing inherited, most specific first; nil if there was no
// such thing.
func (c pastClosure) of(thing registry.ID, policyType *string) []*registry.Policy {
	ways, ok := c.ways[thing]
	if !ok {
		return nil
	}
	closure := map[registry.ID]bool{c.root: true}
	for _, w := range ways {
		for _, group := range w.chain {
			closure[group] = true
		}
	}
	out := []*registry.Policy{}
	for _, p := range c.policies {
		if policyType != nil && Fold(p.policy.Type) != Fold(*policyType) {
			continue
		}
		if !slices.ContainsFunc(p.groups, func(group registry.ID) bool { return !closure[group] }) {
			out = append(out, p.policy)
		}
	}
	return out
}

func (s *Store) pastClosure(ctx context.Context, scope registry.Scope, things []registry.ID) (pastClosure, error) {
	p, err := s.look(scope, params{"ids": texts(things)})
	if err != nil {
		return pastClosure{}, err
	}
	closure, _, err := one(ctx, s.reading(scope), pastInherited, p, pastClosureOf)
	if err != nil {
		return closure, fmt.Errorf("inherited policies of the past: %w", err)
	}
	return closure, nil
}

func (s *Store) pastInherited(ctx context.Context, scope registry.Scope, things []registry.ID, policyType *string) ([][]*registry.Policy, error) {
	closure, err := s.pastClosure(ctx, scope, things)
	if err != nil {
		return nil, err
	}
	out := make([][]*registry.Policy, len(things))
	for i, thing := range things {
		out[i] = closure.of(thing, policyType)
	}
	return out, nil
}

// pastPoliciesOfGroups returns what a member of all of these groups would have
// inherited.
func (s *Store) pastPoliciesOfGroups(ctx context.Context, scope registry.Scope, paths []string, policyType *string) ([]*registry.Policy, error) {
	ids := make([]registry.ID, len(paths))
	for i, path := range paths {
		id, err := s.pastGroupID(ctx, scope, path)
		if registry.CodeOf(err) == registry.CodeNotFound {
			err = registry.InvalidField("groups", "unknown", "one of these groups did not exist: %s", strings.Join(paths, ", "))
		}
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	closure, err := s.pastClosure(ctx, scope, ids)
	if err != nil {
		return nil, err
	}
	together := []way{}
	for _, id := range ids {
		together = append(together, closure.ways[id]...)
	}
	closure.ways[""] = together
	return closure.of("", policyType), nil
}

// explainPast says by which ways a thing reached the groups of a policy.
func (s *Store) explainPast(ctx context.Context, scope registry.Scope, thing registry.ID, reference string) (*registry.PolicyExplanation, error) {
	policy, err := pastByReference[*registry.Policy](ctx, s, scope, registry.ObjectPolicy, reference)
	if err != nil {
		return nil, err
	}
	closure, err := s.pastClosure(ctx, scope, []registry.ID{thing})
	if err != nil {
		return nil, err
	}
	ways, ok := closure.ways[thing]
	if !ok {
		return nil, registry.NotFound("object", string(thing))
	}
	if err := s.inPathOrder(ctx, scope, thing, ways); err != nil {
		return nil, err
	}
	p, err := s.look(scope, params{"id": string(policy.ID)})
	if err != nil {
		return nil, err
	}
	groups, _, err := one(ctx, s.reading(scope), pastPolicyGroups, p, func(f fields) []fields { return f.maps("groups") })
	if err != nil {
		return nil, fmt.Errorf("groups of policy %s: %w", reference, err)
	}
	slices.SortFunc(groups, func(a, b fields) int { return strings.Compare(Fold(a.text("path")), Fold(b.text("path"))) })
	explanation := &registry.PolicyExplanation{PolicyID: policy.ID, Inherited: true}
	for _, group := range groups {
		reach := reached(group.id("id"), group.id("id") == closure.root, ways)
		explanation.Inherited = explanation.Inherited && reach.Reached
		explanation.Groups = append(explanation.Groups, reach)
	}
	return explanation, nil
}

// inPathOrder puts the ways of a thing into the order of the groups' paths, so
// that of two ways of the same length the same one is told as for now.
func (s *Store) inPathOrder(ctx context.Context, scope registry.Scope, thing registry.ID, ways []way) error {
	lists, err := s.pastGroupsOf(ctx, scope, []registry.ID{thing})
	if err != nil {
		return err
	}
	rank := func(w way) int { return slices.Index(lists[0], Membership{w.chain[0], w.relation}) }
	slices.SortStableFunc(ways, func(a, b way) int { return rank(a) - rank(b) })
	return nil
}

// listPastPolicies returns policies by reference, of one type or of all.
func (s *Store) listPastPolicies(ctx context.Context, scope registry.Scope, policyType *string, page registry.PageRequest) (registry.Page[*registry.Policy], error) {
	out, err := pastObjects(ctx, s, scope, registry.ObjectPolicy, ofType(policyType), page)
	if err != nil {
		return out, fmt.Errorf("list policies of the past: %w", err)
	}
	return out, nil
}

func (s *Store) countPastPolicies(ctx context.Context, scope registry.Scope, policyType *string) (int, error) {
	if policyType == nil {
		return s.countPastKind(ctx, scope, registry.ObjectPolicy)
	}
	return countPastObjects(ctx, s, scope, registry.ObjectPolicy, ofType(policyType))
}

func ofType(policyType *string) func(*registry.Policy) bool {
	if policyType == nil {
		return nil
	}
	return func(policy *registry.Policy) bool { return Fold(policy.Type) == Fold(*policyType) }
}

// referencesIn are the references of lists of policies.
func referencesIn(lists [][]*registry.Policy) [][]string {
	out := make([][]string, len(lists))
	for i, list := range lists {
		if list == nil {
			continue
		}
		out[i] = make([]string, len(list))
		for j, policy := range list {
			out[i][j] = policy.Reference
		}
	}
	return out
}
