package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Policy inheritance. A thing's memberships are the groups that it has an
// outgoing relation to, tags left out; a component has those of its device as
// well, and a part those of its whole; a group's membership is the group itself.
// Its closure is these groups, all groups above them, and the root. It
// inherits a policy if and only if every group that the policy applies to is in
// its closure.
//
// Memberships are read; the rest is decided on the hierarchy in memory.

// memberships is the list of the ids of the groups that the thing n is in.
const memberships = `CASE WHEN n:Group THEN [n.id] ELSE COLLECT { MATCH (n)-` + wholes + `->()-[r:!WAS_RELATED]->(g:Group) WHERE r.inherits IS NULL RETURN DISTINCT g.id } END`

var (
	inheritedByID = named("policy.inherited", glance+`
		CALL () {
			UNWIND $ids AS id
			MATCH (n:Entity {id: id})
			WHERE n.account = $account AND n:Group|Device|Asset
			RETURN collect([n.id, `+memberships+`]) AS things
		}
		RETURN structure, news, things`)

	inheritedByGroupPaths = named("policy.inheritedByGroups", glance+`
		CALL () {
			UNWIND $paths AS path
			MATCH (n:Group)
			WHERE n.account = $account AND n.keyFold = path
			RETURN collect(n.id) AS groups
		}
		RETURN structure, news, groups`)

	twinsUnder = named("group.twinsUnder", `
		MATCH (top:Group)
		WHERE top.account = $account AND top.keyFold = $key
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account AND n:Device|Asset
			AND (top.depth = 0 OR EXISTS { MATCH (n)-`+wholes+`->()-[r:!WAS_RELATED]->(:Group)-[:CHILD_OF*0..32]->(top) WHERE r.inherits IS NULL })
		RETURN collect(n.id) AS ids`)
)

// inheritor is a thing with its memberships.
type inheritor struct {
	id     registry.ID
	groups []registry.ID
}

// inheritorsOf reads a list of ids and lists of ids.
func inheritorsOf(f fields) []inheritor {
	rows := f.list("things")
	out := make([]inheritor, len(rows))
	for i, item := range rows {
		row, _ := item.([]any)
		if len(row) != 2 {
			f.failed("things[%d] has %d columns", i, len(row))
			return nil
		}
		id, ok := row[0].(string)
		groups, ok2 := row[1].([]any)
		if !ok || !ok2 {
			f.failed("things[%d] is no thing with its groups", i)
			return nil
		}
		out[i] = inheritor{registry.ID(id), make([]registry.ID, len(groups))}
		for j, group := range groups {
			text, ok := group.(string)
			if !ok {
				f.failed("things[%d] is in %v", i, group)
			}
			out[i].groups[j] = registry.ID(text)
		}
	}
	return out
}

// groupsIn lists the groups that things are in.
func groupsIn(things []inheritor) []registry.ID {
	var out []registry.ID
	for _, thing := range things {
		out = append(out, thing.groups...)
	}
	return out
}

// InheritedPolicies returns the policies that each device, asset or group
// inherits, most specific first: all, or those of one type.
func (s *Store) InheritedPolicies(ctx context.Context, scope registry.Scope, things []registry.ID, policyType *string) ([][]*registry.Policy, error) {
	if scope.AsOf != nil {
		return s.pastInherited(ctx, scope, things, policyType)
	}
	return inheritedLists(ctx, s, scope, things, policyType, func(r *ranked) *registry.Policy { return r.policy })
}

// InheritedPolicyReferences returns the references of the policies that each
// device, asset or group inherits, most specific first.
func (s *Store) InheritedPolicyReferences(ctx context.Context, scope registry.Scope, things []registry.ID, policyType *string) ([][]string, error) {
	if scope.AsOf != nil {
		lists, err := s.pastInherited(ctx, scope, things, policyType)
		return referencesIn(lists), err
	}
	return inheritedLists(ctx, s, scope, things, policyType, func(r *ranked) string { return r.policy.Reference })
}

func inheritedLists[P any](ctx context.Context, s *Store, scope registry.Scope, things []registry.ID, policyType *string, policy func(*ranked) P) ([][]P, error) {
	h, read, _, err := onHierarchy(ctx, s, scope, inheritedByID, params{"ids": texts(things)}, inheritorsOf, groupsIn)
	if err != nil {
		return nil, fmt.Errorf("inherited policies: %w", err)
	}
	typeFold := foldOptional(policyType)
	lists := make(map[registry.ID][]P, len(read))
	for _, thing := range read {
		lists[thing.id] = chosen(h.inherited(thing.groups, typeFold), policy)
	}
	return slots(things, lists), nil
}

// chosen takes what is asked for of each policy. It is never nil.
func chosen[P any](policies []*ranked, of func(*ranked) P) []P {
	out := make([]P, len(policies))
	for i, r := range policies {
		out[i] = of(r)
	}
	return out
}

// PoliciesOfGroups returns the policies that a thing would inherit if it were a
// member of all of these groups.
func (s *Store) PoliciesOfGroups(ctx context.Context, scope registry.Scope, paths []string, policyType *string) ([]*registry.Policy, error) {
	if len(paths) > registry.MaxRelationsAtOne {
		return nil, registry.LimitExceeded("name at most %d groups", registry.MaxRelationsAtOne)
	}
	if scope.AsOf != nil {
		return s.pastPoliciesOfGroups(ctx, scope, paths, policyType)
	}
	folded := foldedKeys(registry.KindGroup, paths)
	distinct := slices.Compact(slices.Sorted(slices.Values(folded)))
	h, groups, _, err := onHierarchy(ctx, s, scope, inheritedByGroupPaths, params{"paths": distinct},
		func(f fields) []registry.ID { return f.ids("groups") }, func(groups []registry.ID) []registry.ID { return groups })
	if err != nil {
		return nil, fmt.Errorf("policies of groups: %w", err)
	}
	if len(groups) != len(distinct) {
		return nil, registry.InvalidField("groups", "unknown", "one of these groups does not exist: %s", strings.Join(paths, ", "))
	}
	return chosen(h.inherited(groups, foldOptional(policyType)), func(r *ranked) *registry.Policy { return r.policy }), nil
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
