package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

var (
	measureTypeCreate = named("measureType.create", `
		CREATE (m:MeasureType:Entity)
		SET m = $properties, m.account = $account`)

	measureTypeByName = named("measureType.byName", `
		MATCH (m:MeasureType)
		WHERE m.account = $account AND m.keyFold = $key
		RETURN properties(m) AS node`)

	measureTypeHeld = named("measureType.held", `
		MATCH (m:MeasureType)
		WHERE m.account = $account AND m.keyFold = $key
		RETURN properties(m) AS node, COUNT { (:Template)-[:HAS_MEASURE]->(m) } AS templates`)

	measureTypeCount = named("measureType.count", `
		MATCH (m:MeasureType)
		WHERE m.account = $account AND m.keyFold IS NOT NULL
		RETURN count(m) AS n`)

	measureTypeList = listing{
		name: "measureType.list", match: "MATCH (n:MeasureType) WHERE n.account = $account",
		prefix: "n.account, ", key: "n.keyFold", item: "{node: properties(n)}",
	}.registered()
)

// CreateMeasureType defines a measure type. Its name is unique in the account.
func (s *Store) CreateMeasureType(ctx context.Context, scope registry.Scope, n registry.NewMeasureType) (*registry.MeasureType, error) {
	n = n.Normal()
	if violations := n.Check(); len(violations) > 0 {
		return nil, registry.Invalid(violations...)
	}
	var m *registry.MeasureType
	err := change(ctx, s, scope, "measureType.create", func(ctx context.Context, tx *transaction) error {
		m = &registry.MeasureType{
			Object: registry.Object{ID: newID(), Version: 1, CreatedAt: tx.at, UpdatedAt: tx.at},
			Name:   n.Name, ValueType: n.ValueType, Values: n.Values, Fields: n.Fields, Unit: n.Unit, Description: n.Description,
			Annotations: n.Annotations,
		}
		node, err := measureTypeProperties(m)
		if err != nil {
			return err
		}
		tx.record(entry{
			kind: registry.ObjectMeasureType, id: m.ID, key: m.Name, operation: registry.ChangeCreate, action: "created",
			version: 1, after: measureTypeSnapshot(m),
		})
		return nothing(ctx, tx, measureTypeCreate, params{"properties": node})
	})
	if errors.Is(err, errConstraint) {
		return nil, registry.Conflict("name", "there is a measure type %q already", n.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("create measure type %s: %w", n.Name, err)
	}
	return m, nil
}

// DeleteMeasureType deletes a measure type that no template uses and returns
// its id.
func (s *Store) DeleteMeasureType(ctx context.Context, scope registry.Scope, name string, ifVersion *int) (registry.ID, error) {
	type answer struct {
		measureType *registry.MeasureType
		templates   int
	}
	var held answer
	err := change(ctx, s, scope, "measureType.delete", func(ctx context.Context, tx *transaction) (err error) {
		var ok bool
		held, ok, err = one(ctx, tx, measureTypeHeld, params{"key": Fold(name)}, func(f fields) answer {
			return answer{measureTypeOf(f), f.integer("templates")}
		})
		switch {
		case err != nil:
			return err
		case !ok:
			return registry.NotFound("measure type", name)
		case held.templates > 0:
			return registry.FailedPrecondition("measure type %q is used by %d template(s)", name, held.templates)
		}
		m := held.measureType
		if err := atVersion("measure type", m.Version, ifVersion); err != nil {
			return err
		}
		tx.record(entry{
			kind: registry.ObjectMeasureType, id: m.ID, key: m.Name, operation: registry.ChangeDelete, action: "deleted",
			version: m.Version, before: measureTypeSnapshot(m),
		})
		return tx.bury(ctx, m.ID)
	})
	if err != nil {
		return "", fmt.Errorf("delete measure type %s: %w", name, err)
	}
	return held.measureType.ID, nil
}

// MeasureType returns a measure type by its name.
func (s *Store) MeasureType(ctx context.Context, scope registry.Scope, name string) (*registry.MeasureType, error) {
	m, ok, err := one(ctx, s.reading(scope), measureTypeByName, params{"key": Fold(name)}, measureTypeOf)
	return found(m, ok, err, "measure type", name)
}

// ListMeasureTypes returns measure types by name.
func (s *Store) ListMeasureTypes(ctx context.Context, scope registry.Scope, page registry.PageRequest) (registry.Page[*registry.MeasureType], error) {
	out, err := pageWith(ctx, s.reading(scope), measureTypeList, page, Fold(page.Key), params{}, measureTypeOf)
	if err != nil {
		return out, fmt.Errorf("list measure types: %w", err)
	}
	return out, nil
}

// CountMeasureTypes counts the account's own measure types.
func (s *Store) CountMeasureTypes(ctx context.Context, scope registry.Scope) (int, error) {
	n, _, err := one(ctx, s.reading(scope), measureTypeCount, nil, counted)
	if err != nil {
		return 0, fmt.Errorf("count measure types: %w", err)
	}
	return n, nil
}

// measureTypeProperties is what a measure type's node holds.
func measureTypeProperties(m *registry.MeasureType) (map[string]any, error) {
	out := map[string]any{
		"id": string(m.ID), "keyFold": Fold(m.Name), "name": m.Name, "valueType": string(m.ValueType), "unit": m.Unit,
		"description": m.Description, "version": m.Version, "createdAt": m.CreatedAt, "updatedAt": m.UpdatedAt,
	}
	if len(m.Annotations) > 0 {
		text, err := json.Marshal(m.Annotations)
		if err != nil {
			return nil, fmt.Errorf("annotations of measure type %s: %w", m.Name, err)
		}
		out["annotations"] = string(text)
	}
	if len(m.Values) > 0 {
		out["values"] = m.Values
	}
	if len(m.Fields) > 0 {
		text, err := json.Marshal(m.Fields)
		if err != nil {
			return nil, fmt.Errorf("fields of measure type %s: %w", m.Name, err)
		}
		out["fields"] = string(text)
	}
	return out, nil
}

func measureTypeOf(f fields) *registry.MeasureType {
	node := f.nested("node")
	m := &registry.MeasureType{
		Object: objectOf(node), Name: node.text("name"), ValueType: registry.ValueType(node.text("valueType")),
		Unit: node.optionalText("unit"), Description: node.optionalText("description"),
	}
	m.Values, m.Fields = measureTypeShape(node)
	node.json("annotations", &m.Annotations)
	return m
}

// measureTypeShape reads the values of an enumeration and the fields of a
// composite.
func measureTypeShape(node fields) (values []string, parts []registry.MeasureField) {
	if node.optional("values") != nil {
		values = node.texts("values")
	}
	if node.optional("fields") != nil {
		node.json("fields", &parts)
	}
	return values, parts
}
