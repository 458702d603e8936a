package graph

import (
	"context"
	"fmt"
	"reflect"

	"github.com/holon-registry/holon/registry"
)

var measureTypeReplace = named("measureType.replace", `
	MATCH (m:Entity {id: $id})
	WHERE m.account = $account AND m:MeasureType
	SET m += $properties`)

// UpdateMeasureType changes what is said of a measure type, and widens it: more
// values of an ENUM, more fields of a COMPOSITE. Templates keep what it had when
// they were written. CONFLICT if it would not take what it took before.
func (s *Store) UpdateMeasureType(ctx context.Context, scope registry.Scope, name string, patch registry.MeasureTypePatch) (*registry.MeasureType, error) {
	var after *registry.MeasureType
	err := change(ctx, s, scope, "measureType.update", func(ctx context.Context, tx *transaction) error {
		before, ok, err := one(ctx, tx, measureTypeByName, params{"key": Fold(name)}, measureTypeOf)
		switch {
		case err != nil:
			return err
		case !ok:
			return registry.NotFound("measure type", name)
		}
		if err := atVersion("measure type", before.Version, patch.IfVersion); err != nil {
			return err
		}
		if after, err = patch.Apply(before); err != nil {
			return err
		}
		if reflect.DeepEqual(measureTypeSnapshot(before), measureTypeSnapshot(after)) {
			return nil
		}
		return tx.replaceMeasureType(ctx, before, after, "updated")
	})
	if err != nil {
		return nil, fmt.Errorf("update measure type %s: %w", name, err)
	}
	return after, nil
}

// replaceMeasureType writes what becomes of a measure type, and notes it.
func (t *transaction) replaceMeasureType(ctx context.Context, before, after *registry.MeasureType, action string) error {
	after.Version, after.UpdatedAt = before.Version+1, t.at
	node, err := measureTypeProperties(after)
	if err != nil {
		return err
	}
	if len(after.Annotations) == 0 {
		node["annotations"] = nil
	}
	t.record(entry{
		kind: registry.ObjectMeasureType, id: after.ID, key: after.Name, operation: registry.ChangeUpdate, action: action,
		version: after.Version, before: measureTypeSnapshot(before), after: measureTypeSnapshot(after),
	})
	return nothing(ctx, t, measureTypeReplace, params{"id": string(after.ID), "properties": node})
}
