package graph

import (
	"context"
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

	measureTypeDelete = named("measureType.delete", `
		MATCH (m:MeasureType)
		WHERE m.account = $account AND m.keyFold = $key
		WITH m, m.id AS id, COUNT { (:Template)-[:HAS_MEASURE]->(m) } AS templates
		FOREACH (_ IN CASE WHEN templates = 0 THEN [1] ELSE [] END | DELETE m)
		RETURN id, templates`)

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
	if violations := n.Check(); len(violations) > 0 {
		return nil, registry.Invalid(violations...)
	}
	now := s.now()
	m := &registry.MeasureType{
		Object: registry.Object{ID: newID(), Version: 1, CreatedAt: now, UpdatedAt: now},
		Name:   n.Name, ValueType: n.ValueType, Unit: n.Unit, Description: n.Description,
	}
	err := nothing(ctx, s.writing(scope), measureTypeCreate, params{"properties": map[string]any{
		"id": string(m.ID), "keyFold": Fold(m.Name), "name": m.Name, "valueType": string(m.ValueType),
		"unit": m.Unit, "description": m.Description, "version": 1, "createdAt": now, "updatedAt": now,
	}})
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
func (s *Store) DeleteMeasureType(ctx context.Context, scope registry.Scope, name string) (registry.ID, error) {
	type answer struct {
		id        registry.ID
		templates int
	}
	deleted, ok, err := one(ctx, s.writing(scope), measureTypeDelete, params{"key": Fold(name)}, func(f fields) answer {
		return answer{f.id("id"), f.integer("templates")}
	})
	switch {
	case errors.Is(err, errConstraint):
		return "", registry.FailedPrecondition("measure type %q is used by a template", name)
	case err != nil:
		return "", fmt.Errorf("delete measure type %s: %w", name, err)
	case !ok:
		return "", registry.NotFound("measure type", name)
	case deleted.templates > 0:
		return "", registry.FailedPrecondition("measure type %q is used by %d template(s)", name, deleted.templates)
	}
	return deleted.id, nil
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

func measureTypeOf(f fields) *registry.MeasureType {
	node := f.nested("node")
	return &registry.MeasureType{
		Object: objectOf(node), Name: node.text("name"), ValueType: registry.ValueType(node.text("valueType")),
		Unit: node.optionalText("unit"), Description: node.optionalText("description"),
	}
}
