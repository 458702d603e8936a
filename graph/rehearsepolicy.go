package graph

import (
	"context"

	"github.com/holon-registry/holon/registry"
)

// RehearseCreatePolicy returns what CreatePolicy would do.
func (s *Store) RehearseCreatePolicy(ctx context.Context, scope registry.Scope, n registry.NewPolicy) (*registry.Rehearsal, error) {
	return s.rehearse(ctx, scope, policyMaking(n), planNewPolicy(n))
}

// RehearseUpdatePolicy returns what UpdatePolicy would do.
func (s *Store) RehearseUpdatePolicy(ctx context.Context, scope registry.Scope, ref registry.Ref, patch registry.PolicyPatch) (*registry.Rehearsal, error) {
	return s.rehearse(ctx, scope, policyChanging(ref, patch), planPolicyPatch(ref, patch))
}

// RehearseDeletePolicy returns what DeletePolicy would do.
func (s *Store) RehearseDeletePolicy(ctx context.Context, scope registry.Scope, ref registry.Ref) (*registry.Rehearsal, error) {
	return s.rehearse(ctx, scope, policyDeleting(ref), planPolicyDeletion(ref))
}

// What tokens are bound to.
func policyMaking(n registry.NewPolicy) any { return []any{"policy.create", n} }
func policyChanging(ref registry.Ref, patch registry.PolicyPatch) any {
	return []any{"policy.update", ref, patch}
}
func policyDeleting(ref registry.Ref) any { return []any{"policy.delete", ref} }

func planNewPolicy(n registry.NewPolicy) planner {
	return func(ctx context.Context, r runner, now *hierarchy) (*plan, error) {
		_, wrong := documentText(n.Document)
		if violations := append(n.Check(), wrong...); len(violations) > 0 {
			return nil, registry.Invalid(violations...)
		}
		groups, err := policyTargets(ctx, r, n.AppliesTo)
		if err != nil {
			return nil, err
		}
		if _, taken, err := one(ctx, r, policyByReference, params{"key": Fold(n.Reference)}, policyOf); err != nil || taken {
			if err == nil {
				err = takenPolicy(n.Reference)
			}
			return nil, err
		}
		return planPolicies(now, nil, &registry.Policy{
			Object: registry.Object{ID: newID()}, Reference: n.Reference, Type: n.Type,
			Description: n.Description, Document: n.Document, GroupIDs: groups.ids,
		})
	}
}

func planPolicyPatch(ref registry.Ref, patch registry.PolicyPatch) planner {
	return func(ctx context.Context, r runner, now *hierarchy) (*plan, error) {
		before, err := policyToChange(ctx, r, ref, patch.IfVersion)
		if err != nil {
			return nil, err
		}
		patched, _, err := patchedPolicy(before, patch)
		if err != nil {
			return nil, err
		}
		after := *before
		after.Type, after.Description, after.Document = patched.Type, patched.Description, patched.Document
		if patch.AppliesTo != nil {
			groups, err := policyTargets(ctx, r, patch.AppliesTo)
			if err != nil {
				return nil, err
			}
			after.GroupIDs = groups.ids
		}
		return planPolicies(now, before, &after)
	}
}

func planPolicyDeletion(ref registry.Ref) planner {
	return func(ctx context.Context, r runner, now *hierarchy) (*plan, error) {
		before, err := policyToChange(ctx, r, ref, ref.IfVersion)
		if err != nil {
			return nil, err
		}
		return planPolicies(now, before, nil)
	}
}

// planPolicies replaces a policy by another; either may be nil. Whom it might
// concern is in all of its groups, so those in the deepest one are enough.
func planPolicies(now *hierarchy, before, after *registry.Policy) (*plan, error) {
	d, p := now.edit(), &plan{}
	if before != nil {
		d.drop(before.ID)
	}
	if after != nil {
		d.apply(after, 0)
	}
	var err error
	if p.after, err = d.finish(); err != nil {
		return nil, movingGround(err)
	}
	for _, policy := range []*registry.Policy{before, after} {
		if policy == nil {
			continue
		}
		var deepest *place
		for _, id := range policy.GroupIDs {
			at := now.groups[id]
			if at == nil {
				return nil, movingGround(nil)
			}
			if deepest == nil || at.depth > deepest.depth {
				deepest = at
			}
		}
		if deepest.depth == 0 {
			p.everyone = true
		}
		p.in = append(p.in, now.subtree(deepest.id)...)
	}
	return p, nil
}
