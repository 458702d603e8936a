package graph

import (
	"context"

	"github.com/holon-registry/holon/registry"
)

// parts restores what assets are parts of.
func (b *restoring) parts(ctx context.Context, records []*registry.PartRecord) error {
	var refs []registry.Ref
	for _, r := range records {
		refs = append(refs, registry.Ref{Kind: registry.KindAsset, Key: r.Asset}, registry.Ref{Kind: registry.KindAsset, Key: r.Of})
	}
	targets, err := b.targets(ctx, refs)
	if err != nil {
		return err
	}
	for i := range records {
		part, ok := targets[refKey(refs[2*i])]
		whole, ok2 := targets[refKey(refs[2*i+1])]
		var violations []registry.Violation
		if !ok {
			violations = append(violations, registry.Violation{Path: "asset", Rule: "unknown", Message: missing(refs[2*i]).Error()})
		}
		if !ok2 {
			violations = append(violations, registry.Violation{Path: "of", Rule: "unknown", Message: missing(refs[2*i+1]).Error()})
		}
		if b.refuse(i, violations...) {
			continue
		}
		if err := b.part(ctx, i, part, whole); err != nil {
			return err
		}
	}
	return nil
}

// part decides about one record.
func (b *restoring) part(ctx context.Context, i int, part, whole restoredThing) error {
	b.results[i].Result = registry.RestoreMade
	if b.tx == nil {
		wholes, err := b.store.WholesOf(ctx, b.scope, []registry.ID{part.id})
		if err == nil && wholes[0] != nil {
			b.results[i].Result = registry.RestoreChanged
			if wholes[0].NodeID() == whole.id {
				b.results[i].Result = registry.RestoreUnchanged
			}
		}
		return err
	}
	difference, err := b.store.partOf(ctx, b.tx, part.thing(), &target{thing: whole.thing(), template: whole.template})
	if err != nil && itsOwn(err) {
		b.results[i] = refusedBy(err)
		return nil
	}
	if err != nil {
		return err
	}
	if difference == nil {
		b.results[i].Result = registry.RestoreUnchanged
		return nil
	}
	if difference.Before != nil {
		b.results[i].Result = registry.RestoreChanged
	}
	b.tx.record(entry{
		kind: registry.ObjectAsset, id: part.id, key: part.key, operation: registry.ChangeUpdate, action: actionImported,
		version: part.version, relations: []registry.Difference{*difference},
	})
	return nil
}
