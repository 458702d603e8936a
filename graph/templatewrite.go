package graph

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
)

var (
	templateCreate = named("template.create", `
		CREATE (t:Template:Entity)
		SET t = $properties, t.account = $account
		WITH t
		UNWIND $measureTypes AS id
		MATCH (m:Entity {id: id})
		WHERE m.account = $account
		CREATE (t)-[:HAS_MEASURE]->(m)`)

	templateReplace = named("template.replace", `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		SET t += $properties
		WITH t
		CALL (t) {
			MATCH (t)-[old:HAS_MEASURE]->()
			DELETE old
		}
		UNWIND $measureTypes AS id
		MATCH (m:Entity {id: id})
		WHERE m.account = $account
		CREATE (t)-[:HAS_MEASURE]->(m)`)
)

// CreateTemplate makes version 1 of a template, as a draft or published at
// once. A name that there is already is CONFLICT.
func (s *Store) CreateTemplate(ctx context.Context, scope registry.Scope, n registry.NewTemplate) (*registry.Template, error) {
	n, schema, err := checkedTemplate(n, contradictionsIn(n)...)
	if err != nil {
		return nil, err
	}
	var created *compiledTemplate
	committed := func() {}
	err = change(ctx, s, scope, "template.create", func(ctx context.Context, tx *transaction) error {
		newest, err := s.newestTemplate(ctx, tx, registry.TemplateRef{Kind: n.Kind, Name: n.Name})
		if err != nil {
			return err
		}
		if newest != nil {
			return registry.Conflict("name", "there is a template %q of %ss already: update it", newest.Name, noun(n.Kind))
		}
		t, measureTypes, err := s.prepareTemplate(ctx, tx, n)
		if err != nil {
			return err
		}
		t.ID, t.Version, t.Revision, t.Status, t.CreatedAt = newID(), 1, 1, registry.TemplateDraft, tx.at
		if n.Publish {
			t.Status, t.PublishedAt = registry.TemplatePublished, &t.CreatedAt
			if committed, err = s.claimTemplate(ctx, tx, t); err != nil {
				return err
			}
		}
		created = &compiledTemplate{Template: t, account: scope.Account, schema: schema}
		return tx.insertTemplate(ctx, t, measureTypes)
	})
	if errors.Is(err, errConstraint) {
		return nil, registry.Conflict("name", "there is a template %q of %ss already", n.Name, noun(n.Kind))
	}
	if err != nil {
		return nil, fmt.Errorf("create template %s: %w", n.Name, err)
	}
	committed()
	s.templates.put(created)
	return created.Template, nil
}

// UpdateTemplate changes the definition of a template's draft. If there is none,
// it makes the draft of the next version, in which everything that the patch
// does not give is as in the newest one.
func (s *Store) UpdateTemplate(ctx context.Context, scope registry.Scope, ref registry.TemplateRef, patch registry.TemplatePatch) (*registry.Template, error) {
	var draft *registry.Template
	err := change(ctx, s, scope, "template.update", func(ctx context.Context, tx *transaction) error {
		newest, err := s.newestTemplate(ctx, tx, ref)
		switch {
		case err != nil:
			return err
		case newest == nil:
			return missingTemplate(ref)
		case newest.Open:
			return registry.FailedPrecondition("template %q is built in", newest.Name)
		}
		if err := atRevision(newest, ref); err != nil {
			return err
		}
		n := patch.Apply(newest)
		n, _, err = checkedTemplate(n, contradictionsIn(n)...)
		if err != nil {
			return err
		}
		t, measureTypes, err := s.prepareTemplate(ctx, tx, n)
		if err != nil {
			return err
		}
		draft = t
		t.Name, t.Status = newest.Name, registry.TemplateDraft
		if newest.Status == registry.TemplatePublished {
			t.ID, t.Version, t.Revision, t.CreatedAt = newID(), newest.Version+1, 1, tx.at
			return tx.insertTemplate(ctx, t, measureTypes)
		}
		t.ID, t.Version, t.Revision, t.CreatedAt = newest.ID, newest.Version, newest.Revision, newest.CreatedAt
		if reflect.DeepEqual(templateSnapshot(newest), templateSnapshot(t)) {
			return nil
		}
		t.Revision++
		tx.recordTemplate(registry.ChangeUpdate, "updated", newest, t)
		node, err := templateProperties(t)
		if err != nil {
			return err
		}
		return nothing(ctx, tx, templateReplace, params{"id": string(t.ID), "properties": node, "measureTypes": texts(measureTypes)})
	})
	if err != nil {
		return nil, fmt.Errorf("update template: %w", err)
	}
	return draft, nil
}

// atRevision refuses with CONFLICT a version that is not the one that is wanted,
// or was changed since.
func atRevision(t *registry.Template, ref registry.TemplateRef) error {
	if err := atVersion("template", t.Version, ref.IfVersion); err != nil {
		return err
	}
	if want := ref.IfRevision; want != nil && *want != t.Revision {
		return registry.Conflict("ifRevision", "version %d of the template has revision %d, not %d", t.Version, t.Revision, *want)
	}
	return nil
}

// contradictionsIn tells which schemas of a definition that is written contradict
// themselves. An import takes them: they may be those of an earlier Holon.
func contradictionsIn(n registry.NewTemplate) []registry.Violation {
	var out []registry.Violation
	for _, name := range slices.Sorted(maps.Keys(n.Properties)) {
		out = append(out, jsonschema.Contradictions("properties."+name, n.Properties[name])...)
	}
	for i, declared := range n.Commands {
		out = append(out, jsonschema.Contradictions(fmt.Sprintf("commands[%d].parameters", i), declared.Parameters)...)
		out = append(out, jsonschema.Contradictions(fmt.Sprintf("commands[%d].response", i), declared.Response)...)
	}
	return out
}

// checkedTemplate is a definition in normal form, with its compiled schemas, or
// all that is wrong with it, and more that is.
func checkedTemplate(n registry.NewTemplate, more ...registry.Violation) (registry.NewTemplate, *jsonschema.Schema, error) {
	n, err := n.Normal()
	if err != nil {
		return n, nil, err
	}
	violations := append(n.Check(), more...)
	schema, wrong := jsonschema.Compile(n.Properties, n.Required)
	violations = append(violations, behaviourViolations(n)...)
	if schema != nil {
		violations = append(violations, schema.WrongDefaults()...)
	}
	if violations = append(violations, wrong...); len(violations) > 0 {
		return n, nil, registry.Invalid(violations...)
	}
	return n, schema, nil
}

// insertTemplate makes a version's node and notes that it was made.
func (t *transaction) insertTemplate(ctx context.Context, template *registry.Template, measureTypes []registry.ID) error {
	node, err := templateProperties(template)
	if err != nil {
		return err
	}
	t.recordTemplate(registry.ChangeCreate, "created", nil, template)
	return nothing(ctx, t, templateCreate, params{"properties": node, "measureTypes": texts(measureTypes)})
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
