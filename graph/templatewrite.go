package graph

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
)

var (
	templatePrepare = named("template.prepare", `
		OPTIONAL MATCH (t:Template)
		WHERE t.account = $account AND t.kind = $kind AND t.nameFold = $nameFold AND t.version > 0
		WITH t ORDER BY t.version DESC LIMIT 1
		RETURN t.name AS name, coalesce(t.version, 0) AS version,
			COLLECT { UNWIND $measureTypes AS key MATCH (m:MeasureType) WHERE m.account = $account AND m.keyFold = key RETURN {node: properties(m)} } AS measureTypes`)

	templateCreate = named("template.create", `
		CREATE (t:Template:Entity)
		SET t = $properties, t.account = $account
		WITH t
		UNWIND $measureTypes AS id
		MATCH (m:Entity {id: id})
		WHERE m.account = $account
		CREATE (t)-[:HAS_MEASURE]->(m)`)

	templateLock = named("template.lock", `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account AND t:Template
		SET t.touchedAt = $now
		RETURN properties(t) AS node, EXISTS { (t)<-[:INSTANCE_OF]-() } AS used`)

	templatePublish = named("template.publish", `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		SET t.status = 'PUBLISHED', t.publishedAt = $now`)
)

// CreateTemplate makes the next version of a template, as a draft or published
// at once.
func (s *Store) CreateTemplate(ctx context.Context, scope registry.Scope, n registry.NewTemplate) (*registry.Template, error) {
	violations := n.Check()
	if n.Properties == nil {
		n.Properties = map[string]any{} // a template without properties has none, not an unknown set
	}
	schema, wrong := jsonschema.Compile(n.Properties, n.Required)
	if violations = append(violations, wrong...); len(violations) > 0 {
		return nil, registry.Invalid(violations...)
	}
	var created *compiledTemplate
	committed := func() {}
	err := change(ctx, s, scope, "template.create", func(ctx context.Context, tx *transaction) error {
		t, measureTypes, err := prepareTemplate(ctx, tx, n)
		if err != nil {
			return err
		}
		node, err := templateProperties(t)
		if err != nil {
			return err
		}
		if n.Publish {
			t.Status, t.PublishedAt = registry.TemplatePublished, &t.CreatedAt
			node["status"], node["publishedAt"] = string(t.Status), t.CreatedAt
			if committed, err = s.claimTemplateNames(ctx, tx, t); err != nil {
				return err
			}
		}
		tx.recordTemplate(registry.ChangeCreate, "created", nil, t)
		created = &compiledTemplate{Template: t, account: scope.Account, schema: schema}
		err = nothing(ctx, tx, templateCreate, params{"properties": node, "measureTypes": texts(measureTypes)})
		if errors.Is(err, errConstraint) {
			// Another client made the same version: the next attempt takes the one
			// after it.
			return errAgain
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create template %s: %w", n.Name, err)
	}
	committed()
	s.templates.put(created)
	return created.Template, nil
}

// recordTemplate notes what becomes of a template; before or after is nil.
func (t *transaction) recordTemplate(operation registry.ChangeOperation, action string, before, after *registry.Template) {
	e := entry{kind: registry.ObjectTemplate, operation: operation, action: action}
	if before != nil {
		e.id, e.key, e.version, e.before = before.ID, before.Name, before.Version, templateSnapshot(before)
	}
	if after != nil {
		e.id, e.key, e.version, e.after = after.ID, after.Name, after.Version, templateSnapshot(after)
	}
	t.record(e)
}

// prepareTemplate numbers a new template and fills in its measures' value
// types.
func prepareTemplate(ctx context.Context, tx *transaction, n registry.NewTemplate) (*registry.Template, []registry.ID, error) {
	var keys []string
	for _, m := range n.Measures {
		if _, builtIn := registry.BuiltInMeasureTypes[strings.ToLower(m.Type)]; !builtIn {
			keys = append(keys, Fold(m.Type))
		}
	}
	slices.Sort(keys)
	type answer struct {
		name    *string
		version int
		types   []*registry.MeasureType
	}
	before, _, err := one(ctx, tx, templatePrepare, params{"kind": string(n.Kind), "nameFold": Fold(n.Name), "measureTypes": slices.Compact(keys)}, func(f fields) answer {
		out := answer{name: f.optionalText("name"), version: f.integer("version")}
		for _, m := range f.maps("measureTypes") {
			out.types = append(out.types, measureTypeOf(m))
		}
		return out
	})
	if err != nil {
		return nil, nil, err
	}
	t := &registry.Template{
		ID: newID(), Kind: n.Kind, Name: n.Name, Version: before.version + 1, Status: registry.TemplateDraft, Description: n.Description,
		Properties: n.Properties, Required: n.Required, Relations: n.Relations, CreatedAt: tx.at,
	}
	if before.name != nil {
		// All versions of a template write its name in the same way.
		t.Name = *before.name
	}
	types := make(map[string]*registry.MeasureType, len(before.types))
	ids := make([]registry.ID, len(before.types))
	for i, m := range before.types {
		types[Fold(m.Name)], ids[i] = m, m.ID
	}
	var violations []registry.Violation
	for i, m := range n.Measures {
		declared, violation := declare(fmt.Sprintf("measures[%d]", i), m, types)
		if violation != nil {
			violations = append(violations, *violation)
		}
		t.Measures = append(t.Measures, declared)
	}
	if len(violations) > 0 {
		return nil, nil, registry.Invalid(violations...)
	}
	return t, ids, nil
}

// declare fills in what a measure has from its type.
func declare(path string, m registry.MeasureDeclaration, types map[string]*registry.MeasureType) (registry.MeasureDeclaration, *registry.Violation) {
	if builtIn, ok := registry.BuiltInMeasureTypes[strings.ToLower(m.Type)]; ok {
		m.Type, m.ValueType = strings.ToLower(m.Type), builtIn
		return m, nil
	}
	of, ok := types[Fold(m.Type)]
	if !ok {
		return m, &registry.Violation{Path: path + ".type", Rule: "unknown", Message: fmt.Sprintf("there is no measure type %q: make it, or use number, boolean or string", m.Type)}
	}
	m.Type, m.ValueType = of.Name, of.ValueType
	if of.Unit != nil {
		if m.Unit != "" && m.Unit != *of.Unit {
			return m, &registry.Violation{Path: path + ".unit", Rule: "unit", Message: fmt.Sprintf("measure type %s is in %s", of.Name, *of.Unit)}
		}
		m.Unit = *of.Unit
	}
	return m, nil
}

// claimTemplateNames claims the names that objects of a template will bring
// into the database.
func (s *Store) claimTemplateNames(ctx context.Context, tx runner, t *registry.Template) (committed func(), err error) {
	relations := make([]string, len(t.Relations))
	for i, rule := range t.Relations {
		relations[i] = relationType(rule.Name)
	}
	first, err := s.claimNames(ctx, tx, relationNames, relations)
	if err != nil {
		return nil, err
	}
	second, err := s.claimNames(ctx, tx, propertyNames, slices.Collect(maps.Keys(t.Properties)))
	if err != nil {
		return nil, err
	}
	return func() { first(); second() }, nil
}

// PublishTemplate makes a draft usable; from then on it never changes. A
// published one stays as it is.
func (s *Store) PublishTemplate(ctx context.Context, scope registry.Scope, id registry.ID) (*registry.Template, error) {
	var published *registry.Template
	committed := func() {}
	err := change(ctx, s, scope, "template.publish", func(ctx context.Context, tx *transaction) error {
		now := tx.at
		t, ok, err := one(ctx, tx, templateLock, params{"id": string(id), "now": now}, s.templateIn(scope))
		if err != nil {
			return err
		}
		if !ok {
			return registry.NotFound("template", string(id))
		}
		published = t
		if t.Status == registry.TemplatePublished {
			return nil
		}
		if committed, err = s.claimTemplateNames(ctx, tx, t); err != nil {
			return err
		}
		before := *t
		t.Status, t.PublishedAt = registry.TemplatePublished, &now
		tx.recordTemplate(registry.ChangeUpdate, "published", &before, t)
		return nothing(ctx, tx, templatePublish, params{"id": string(id), "now": now})
	})
	if err != nil {
		return nil, fmt.Errorf("publish template %s: %w", id, err)
	}
	committed()
	return published, nil
}

// DeleteTemplate deletes a template that nothing is an instance of.
func (s *Store) DeleteTemplate(ctx context.Context, scope registry.Scope, id registry.ID) error {
	err := change(ctx, s, scope, "template.delete", func(ctx context.Context, tx *transaction) error {
		type answer struct {
			template *registry.Template
			used     bool
		}
		t, ok, err := one(ctx, tx, templateLock, params{"id": string(id), "now": tx.at}, func(f fields) answer {
			return answer{s.templateIn(scope)(f), f.boolean("used")}
		})
		switch {
		case err != nil:
			return err
		case !ok:
			return registry.NotFound("template", string(id))
		case t.template.Open:
			return registry.FailedPrecondition("template %q is built in", t.template.Name)
		case t.used:
			return registry.FailedPrecondition("template %q version %d is in use", t.template.Name, t.template.Version)
		}
		tx.recordTemplate(registry.ChangeDelete, "deleted", t.template, nil)
		return tx.bury(ctx, id)
	})
	if err != nil {
		return fmt.Errorf("delete template %s: %w", id, err)
	}
	s.templates.forget(id)
	return nil
}
