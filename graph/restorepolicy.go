package graph

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/holon-registry/holon/registry"
)

var restorePolicies = named("policy.byReferences", `
	UNWIND $keys AS key
	MATCH (n:Policy)
	WHERE n.account = $account AND n.keyFold = key
	RETURN collect({key: key, policy: `+policyColumns+`, paths: `+policyRecord+`.groups}) AS items`)

type heldPolicy struct {
	*registry.Policy
	paths []string
}

// policies restores policies.
func (b *restoring) policies(ctx context.Context, records []*registry.PolicyRecord) error {
	keys, stamps := make([]string, len(records)), make([]registry.Stamp, len(records))
	var refs []registry.Ref
	for i, r := range records {
		keys[i], stamps[i] = Fold(r.Reference), r.Stamp
		for _, path := range r.AppliesTo {
			refs = append(refs, registry.Ref{Kind: registry.KindGroup, Key: cleanPath(path)})
		}
	}
	known, err := oneMap(ctx, b, restorePolicies, params{"keys": keys}, func(f fields) (string, heldPolicy) {
		return f.text("key"), heldPolicy{policyOf(f), foldedPaths(f.texts("paths"))}
	})
	if err != nil {
		return err
	}
	targets, err := b.targets(ctx, refs)
	if err != nil {
		return err
	}
	taken, err := b.takenIDs(ctx, stamps)
	if err != nil {
		return err
	}
	for i, r := range records {
		n := registry.NewPolicy{Reference: r.Reference, Type: r.Type, Description: r.Description, Document: r.Document, AppliesTo: r.AppliesTo}
		violations := n.Check()
		document, wrong := documentText(r.Document)
		violations = append(violations, wrong...)
		for j, path := range r.AppliesTo {
			ref := registry.Ref{Kind: registry.KindGroup, Key: cleanPath(path)}
			if _, ok := targets[refKey(ref)]; !ok {
				violations = append(violations, registry.Violation{Path: fmt.Sprintf("appliesTo[%d]", j), Rule: "unknown", Message: missing(ref).Error()})
			}
		}
		if b.refuse(i, violations...) {
			continue
		}
		if old, ok := known[keys[i]]; ok {
			err = b.changePolicy(ctx, i, r, old)
		} else {
			err = b.makePolicy(ctx, i, r, document, taken)
		}
		if err != nil {
			return err
		}
		if result := b.results[i].Result; result == registry.RestoreMade || result == registry.RestoreChanged {
			known[keys[i]] = heldPolicy{&registry.Policy{
				Object: registry.Object{ID: r.ID}, Reference: r.Reference, Type: r.Type, Description: r.Description, Document: r.Document,
			}, foldedPaths(r.AppliesTo)}
		}
	}
	return nil
}

func foldedPaths(paths []string) []string {
	out := make([]string, len(paths))
	for i, path := range paths {
		out[i] = Fold(cleanPath(path))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (b *restoring) makePolicy(ctx context.Context, i int, r *registry.PolicyRecord, document string, taken map[registry.ID]bool) error {
	if !b.identify(i, r.Stamp, taken) {
		return nil
	}
	key := "policy " + Fold(r.Reference)
	if b.results[i].Result = registry.RestoreMade; b.others[key] {
		b.results[i].Result = registry.RestoreChanged
	}
	if b.tx == nil {
		b.after = append(b.after, func() { b.others[key] = true })
		return nil
	}
	policy := &registry.Policy{Object: b.object(r.Stamp, r.Revision), Reference: r.Reference, Type: r.Type, Description: r.Description, Document: r.Document}
	groups, err := policyTargets(ctx, b, r.AppliesTo)
	if err != nil {
		return err
	}
	policy.GroupIDs = groups.ids
	node := policyProperties(policy, groups, document)
	b.tx.recordPolicy(registry.ChangeCreate, actionImported, nil, policy)
	return applied(ctx, b.tx, policyCreate, params{"properties": node, "groups": texts(groups.ids), "since": b.tx.at.UnixMilli()}, len(groups.ids))
}

func (b *restoring) changePolicy(ctx context.Context, i int, r *registry.PolicyRecord, old heldPolicy) error {
	if b.taken(i, "policy", r.Reference, r.Stamp, old.ID) {
		return nil
	}
	paths := foldedPaths(r.AppliesTo)
	if old.Type == r.Type && reflect.DeepEqual(old.Description, r.Description) && jsonEqual(old.Document, r.Document) && slices.Equal(old.paths, paths) {
		b.results[i].Result = registry.RestoreUnchanged
		return nil
	}
	b.results[i].Result = registry.RestoreChanged
	if b.tx == nil {
		return nil
	}
	policy, err := policyToChange(ctx, b.tx, registry.Ref{Key: r.Reference}, nil)
	if err != nil {
		return err
	}
	before := *policy
	patch := registry.PolicyPatch{
		Type: &r.Type, Description: registry.Optional[string]{Set: true, Value: r.Description}, Document: registry.Some(r.Document),
	}
	if !slices.Equal(old.paths, paths) {
		patch.AppliesTo = r.AppliesTo
	}
	if changed, err := changePolicy(ctx, b.tx, policy, patch); err != nil || !changed {
		return err
	}
	b.tx.recordPolicy(registry.ChangeUpdate, actionImported, &before, policy)
	return nil
}
