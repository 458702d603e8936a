package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/holon-registry/holon/registry"
)

// UpdatePolicy changes a policy, which is named by id or by reference.
func (s *Store) UpdatePolicy(ctx context.Context, scope registry.Scope, ref registry.Ref, patch registry.PolicyPatch) (*registry.Policy, error) {
	var updated *registry.Policy
	err := change(ctx, s, scope, "policy.update", func(ctx context.Context, tx *transaction) error {
		if err := s.keepToToken(ctx, tx, policyChanging(ref, patch), planPolicyPatch(ref, patch)); err != nil {
			return err
		}
		policy, err := policyToChange(ctx, tx, ref, patch.IfVersion)
		if err != nil {
			return err
		}
		before := *policy
		changed, err := changePolicy(ctx, tx, policy, patch)
		updated = policy
		if err != nil || !changed {
			return err
		}
		tx.recordPolicy(registry.ChangeUpdate, "updated", &before, policy)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("update policy: %w", err)
	}
	return updated, nil
}

// patchedPolicy is what a policy would be made from after a patch, and its
// document as text. Groups that do not exist are not noticed.
func patchedPolicy(policy *registry.Policy, patch registry.PolicyPatch) (after registry.NewPolicy, document string, err error) {
	after = registry.NewPolicy{Reference: policy.Reference, Type: policy.Type, Description: policy.Description, Document: policy.Document, AppliesTo: patch.AppliesTo}
	if patch.Type != nil {
		after.Type = *patch.Type
	}
	if patch.Description.Set {
		after.Description = patch.Description.Value
	}
	if patch.Document.Set && patch.Document.Value != nil {
		after.Document = *patch.Document.Value
	}
	checked := after
	if patch.AppliesTo == nil {
		checked.AppliesTo = []string{"/"} // what the policy applies to stays
	}
	violations := checked.Check()
	document, wrong := documentText(after.Document)
	if violations = append(violations, wrong...); len(violations) > 0 {
		return after, "", registry.Invalid(violations...)
	}
	return after, document, nil
}

// changePolicy applies a patch to a policy and tells whether that made a
// difference.
func changePolicy(ctx context.Context, tx *transaction, policy *registry.Policy, patch registry.PolicyPatch) (changed bool, err error) {
	after, document, err := patchedPolicy(policy, patch)
	if err != nil {
		return false, err
	}
	before := policySnapshot(policy)
	policy.Type, policy.Description, policy.Document = after.Type, after.Description, nil
	if err := json.Unmarshal([]byte(document), &policy.Document); err != nil {
		return false, err
	}
	changes := map[string]any{}
	if patch.AppliesTo != nil {
		groups, err := policyTargets(ctx, tx, patch.AppliesTo)
		if err != nil {
			return false, err
		}
		policy.GroupIDs, changes = groups.ids, groups.rank()
	}
	if len(compare(before, policySnapshot(policy))) == 0 {
		return false, nil
	}
	policy.Version, policy.UpdatedAt = policy.Version+1, tx.at
	if err := applied(ctx, tx, policyApply, params{
		"id": string(policy.ID), "groups": texts(policy.GroupIDs), "since": tx.at.UnixMilli(),
	}, len(policy.GroupIDs)); err != nil {
		return false, err
	}
	maps.Copy(changes, map[string]any{
		"type": after.Type, "typeFold": Fold(after.Type), "description": after.Description, "document": document,
		"version": policy.Version, "updatedAt": tx.at,
	})
	return true, nothing(ctx, tx, policyUpdate, params{"id": string(policy.ID), "changes": changes})
}

// policyToChange reads a policy in a change, in which nobody else writes.
func policyToChange(ctx context.Context, r runner, ref registry.Ref, ifVersion *int) (*registry.Policy, error) {
	q, p, name := policyByReference, params{"key": Fold(ref.Key)}, ref.Key
	if ref.ID != "" {
		q, p, name = policyToChangeByID, params{"id": string(ref.ID)}, string(ref.ID)
	}
	policy, ok, err := one(ctx, r, q, p, policyOf)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, registry.NotFound("policy", name)
	}
	return policy, atVersion("policy", policy.Version, ifVersion)
}
