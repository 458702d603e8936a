package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
)

// desires restores what devices and assets are to become: just what the record
// says.
func (b *restoring) desires(ctx context.Context, records []*registry.DesiredRecord) error {
	refs := make([]registry.Ref, len(records))
	for i, r := range records {
		refs[i] = r.Ref()
	}
	targets, err := b.targets(ctx, refs)
	if err != nil {
		return err
	}
	ids := make([]registry.ID, len(records))
	for i := range records {
		ids[i] = targets[refKey(refs[i])].id
	}
	held, err := b.store.desired(ctx, b, ids)
	if err != nil {
		return err
	}
	done := map[registry.ID]bool{}
	for i, r := range records {
		at, ok := targets[refKey(refs[i])]
		switch {
		case (r.Device == "") == (r.Asset == ""):
			b.refuse(i, registry.Violation{Path: "device", Rule: "exclusive", Message: "name a device or an asset"})
		case !ok:
			b.refuse(i, registry.Violation{Path: noun(refs[i].Kind), Rule: "unknown", Message: missing(refs[i]).Error()})
		case done[at.id]:
			b.results[i] = refusedBy(registry.Conflict("", "the file says already what this %s is to become", noun(at.kind)))
		default:
			done[at.id] = true
			if err := b.desire(ctx, i, r, at, held[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// desire decides about one record.
func (b *restoring) desire(ctx context.Context, i int, r *registry.DesiredRecord, at restoredThing, held *registry.Desired) error {
	plain, violation := jsonschema.Plain("values", r.Values)
	if violation != nil {
		b.refuse(i, *violation)
		return nil
	}
	given, _ := plain.(map[string]any)
	after, violations := desiredAfter(at.template.Template, map[string]any{}, given)
	if b.refuse(i, violations...) {
		return nil
	}
	b.results[i].Result = registry.RestoreMade
	version, before := 1, map[string]any{}
	if held != nil {
		version, before = held.Version+1, held.Values
		b.results[i].Result = registry.RestoreChanged
	}
	if reflect.DeepEqual(before, after) {
		b.results[i].Result = registry.RestoreUnchanged
		return nil
	}
	if b.tx == nil {
		return nil
	}
	now := b.tx.at
	if b.options.KeepIDs && r.Version > 0 {
		version = r.Version
	}
	if b.options.KeepIDs && r.UpdatedAt != nil {
		now = r.UpdatedAt.UTC()
	}
	text, err := json.Marshal(after)
	if err != nil {
		return fmt.Errorf("desired values: %w", err)
	}
	b.tx.record(entry{
		kind: registry.ObjectKind(at.kind), id: at.id, key: at.key, operation: registry.ChangeUpdate, action: actionImported,
		version: at.version, relations: compare(map[string]any{"desired": before}, map[string]any{"desired": after}),
	})
	b.committed = append(b.committed, func() { b.store.tellDownlink(b.scope.Account, at.id) })
	return nothing(ctx, b, desiredSet, params{"twin": string(at.id), "version": version, "values": string(text), "now": now})
}
