package graph

import (
	"context"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

// migrateBatch is how many objects one transaction moves, where that need not
// be all.
const migrateBatch = 1000

// maxTold bounds the violations that a refused migration lists.
const maxTold = 50

var templateMigrate = named("template.migrate", `
	UNWIND $things AS thing
	MATCH (n:Entity {id: thing.id})-[old:INSTANCE_OF]->()
	WHERE n.account = $account
	DELETE old
	SET n += thing.changes, n.version = n.version + 1, n.updatedAt = $now
	WITH n
	MATCH (t:Entity {id: $target})
	WHERE t.account = $account AND t:Template
	CREATE (n)-[:INSTANCE_OF]->(t)
	RETURN count(n) AS n`)

// migrationTarget is the published version that objects are to get.
func (s *Store) migrationTarget(ctx context.Context, r runner, scope registry.Scope, m registry.Migration) (*compiledTemplate, error) {
	published := registry.TemplatePublished
	p := params{"kind": string(m.Kind), "nameFold": Fold(m.Template), "statuses": statuses(&published)}
	q := templateNewest
	if m.Version != nil {
		q, p["key"] = templateByVersion, templateKey(m.Kind, m.Template, *m.Version)
	}
	t, ok, err := one(ctx, r, q, p, func(f fields) *compiledTemplate { return s.template(f.nested("node"), scope.Account) })
	if err == nil && !ok {
		name := m.Template
		if m.Version != nil {
			name = fmt.Sprintf("%s version %d", name, *m.Version)
		}
		err = registry.NotFound("published template", name)
	}
	return t, err
}

// namedSubjects reads the objects that a migration names, without those that have the
// version already.
func (s *Store) namedSubjects(ctx context.Context, r runner, scope registry.Scope, m registry.Migration, target *compiledTemplate) ([]subject, error) {
	keys := make([]string, len(m.References))
	for i, reference := range m.References {
		keys[i] = Fold(reference)
	}
	found, err := subjects(ctx, r, subjectsNamed[m.Kind], params{"keys": keys, "ids": texts(m.IDs)})
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, 2*len(found))
	for _, one := range found {
		known[one.key()], known[string(one.thing.NodeID())] = true, true
	}
	for i, key := range keys {
		if !known[key] {
			return nil, missing(registry.Ref{Kind: m.Kind, Key: m.References[i]})
		}
	}
	for _, id := range m.IDs {
		if !known[string(id)] {
			return nil, missing(registry.Ref{Kind: m.Kind, ID: id})
		}
	}
	var own []registry.ID
	out := found[:0]
	for _, one := range found {
		if id := templateOfThing(one.thing); id != target.ID {
			out, own = append(out, one), append(own, id)
		}
	}
	templates := map[registry.ID]*registry.Template{}
	if err := s.learnTemplates(ctx, r, scope, templates, own); err != nil {
		return nil, err
	}
	for i, one := range out {
		if template := templates[own[i]]; template == nil || Fold(template.Name) != Fold(target.Name) {
			return nil, registry.InvalidField("template", "template", "%s %q is of another template: change its template instead", noun(m.Kind), keyOf(one.thing))
		}
	}
	return out, nil
}

func templateOfThing(thing registry.Related) registry.ID {
	switch thing := thing.(type) {
	case *registry.Group:
		return thing.TemplateID
	case *registry.Device:
		return thing.TemplateID
	}
	return thing.(*registry.Asset).TemplateID
}

// rehearseMigration holds what is to be moved against the version.
func (s *Store) rehearseMigration(ctx context.Context, r runner, scope registry.Scope, m registry.Migration, target *compiledTemplate) (*fitReport, []subject, error) {
	if m.All {
		found, err := s.rehearseAll(ctx, r, scope, target)
		return found, nil, err
	}
	things, err := s.namedSubjects(ctx, r, scope, m, target)
	if err != nil {
		return nil, nil, err
	}
	violations, err := s.fittingOf(target, false).misfits(ctx, r, scope, things)
	if err != nil {
		return nil, nil, err
	}
	found := newFitReport()
	found.add(things, violations)
	return found, onlyFitting(things, violations), nil
}

// onlyFitting are the things that nothing is wrong with.
func onlyFitting(things []subject, violations [][]registry.Violation) []subject {
	out := make([]subject, 0, len(things))
	for i, one := range things {
		if len(violations[i]) == 0 {
			out = append(out, one)
		}
	}
	return out
}

func migrating(scope registry.Scope, m registry.Migration) digest {
	m.Token = ""
	return binding(scope, []any{"migrateObjects", m})
}

// RehearseMigration tells which objects a migration would break.
func (s *Store) RehearseMigration(ctx context.Context, scope registry.Scope, m registry.Migration) (*registry.TemplateRehearsal, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	position, err := s.position(ctx, scope)
	if err != nil {
		return nil, fmt.Errorf("rehearse a migration: %w", err)
	}
	target, err := s.migrationTarget(ctx, s.reading(scope), scope, m)
	if err != nil {
		return nil, fmt.Errorf("rehearse a migration: %w", err)
	}
	found, _, err := s.rehearseMigration(ctx, s.reading(scope), scope, m, target)
	if err != nil {
		return nil, fmt.Errorf("rehearse a migration to %s: %w", target.Name, err)
	}
	found.Token = token{position, migrating(scope, m), found.digest(target.Template)}.text()
	return &found.TemplateRehearsal, nil
}

// MigrateObjects moves objects to another version of their template and returns
// how many it moved; those that have it already are none of them. If one of them
// would break the version, none is moved, unless the migration skips such. Named
// objects are moved in one transaction. All objects of a template are looked at
// first and then moved in batches; if one of them has come to break the version
// meanwhile, what is moved stays moved and the rest stays where it is, with
// CONFLICT.
func (s *Store) MigrateObjects(ctx context.Context, scope registry.Scope, m registry.Migration) (int, error) {
	if err := m.Check(); err != nil {
		return 0, err
	}
	var moved int
	var err error
	if m.All {
		moved, err = s.migrateAll(ctx, scope, m)
	} else {
		err = change(ctx, s, scope, "template.migrate", func(ctx context.Context, tx *transaction) error {
			target, things, err := s.cleared(ctx, tx, scope, m)
			moved = len(things)
			if err != nil {
				return err
			}
			return s.migrate(ctx, tx, target, things)
		})
	}
	if err != nil {
		return 0, fmt.Errorf("migrate objects: %w", err)
	}
	return moved, nil
}

// cleared rehearses a migration and returns what may be moved, nothing yet if
// that is everything, or an error if the migration is not to be made.
func (s *Store) cleared(ctx context.Context, r runner, scope registry.Scope, m registry.Migration) (*compiledTemplate, []subject, error) {
	target, err := s.migrationTarget(ctx, r, scope, m)
	if err != nil {
		return nil, nil, err
	}
	found, things, err := s.rehearseMigration(ctx, r, scope, m, target)
	if err != nil {
		return nil, nil, err
	}
	if m.Token != "" {
		given, err := tokenOf(m.Token, migrating(scope, m))
		if err != nil {
			return nil, nil, err
		}
		if err := found.kept(given, target.Template); err != nil {
			return nil, nil, err
		}
	}
	if found.Failing > 0 && !m.SkipFailing {
		return nil, nil, breaking(found, target.Template)
	}
	return target, things, nil
}

// breaking lists what is wrong with objects that do not fit.
func breaking(found *fitReport, target *registry.Template) error {
	var violations []registry.Violation
	for _, misfit := range found.Misfits {
		for _, v := range misfit.Violations {
			if len(violations) < maxTold {
				v.Path = fmt.Sprintf("objects[%s].%s", keyOf(misfit.Object), v.Path)
				violations = append(violations, v)
			}
		}
	}
	err := registry.Invalid(violations...)
	err.Message = fmt.Sprintf("%d of %s would break version %d of template %s: %s", found.Failing, several(found.Objects, "object"), target.Version, target.Name, err.Message)
	return err
}

func (s *Store) migrateAll(ctx context.Context, scope registry.Scope, m registry.Migration) (moved int, err error) {
	target, _, err := s.cleared(ctx, s.reading(scope), scope, m)
	if err != nil {
		return 0, err
	}
	for key, more := "", true; more; {
		var batch, read []subject
		var violations [][]registry.Violation
		err := change(ctx, s, scope, "template.migrate", func(ctx context.Context, tx *transaction) error {
			var err error
			if read, err = subjects(ctx, tx, subjectsOfTemplate[m.Kind], params{
				"template": Fold(target.Name), "target": string(target.ID), "key": key, "limit": migrateBatch,
			}); err != nil {
				return err
			}
			if violations, err = s.fittingOf(target, true).misfits(ctx, tx, scope, read); err != nil {
				return err
			}
			batch = onlyFitting(read, violations)
			if len(batch) < len(read) && !m.SkipFailing {
				return registry.Conflict("all", "an object has come to break the version meanwhile, after %s had been moved: rehearse again", several(moved, "object"))
			}
			return s.migrate(ctx, tx, target, batch)
		})
		if err != nil {
			return moved, err
		}
		moved += len(batch)
		if more = len(read) == migrateBatch; more {
			key = read[len(read)-1].key()
		}
	}
	return moved, nil
}

// migrate makes things instances of a version.
func (s *Store) migrate(ctx context.Context, tx *transaction, target *compiledTemplate, things []subject) error {
	if len(things) == 0 {
		return nil
	}
	known := map[registry.ID]*registry.Template{}
	ids, old := make([]registry.ID, len(things)), make([]registry.ID, len(things))
	for i, one := range things {
		ids[i], old[i] = one.thing.NodeID(), templateOfThing(one.thing)
	}
	if err := s.learnTemplates(ctx, tx, tx.scope, known, old); err != nil {
		return err
	}
	var names distinct
	written, attributes := make([]any, len(things)), make([]registry.Attributes, len(things))
	for i, one := range things {
		if known[old[i]] == nil {
			return errAgain
		}
		attributes[i] = target.adopted(attributesIn(one.thing), nil, known[old[i]])
		changes, err := adoptedProperties(attributesIn(one.thing), attributes[i])
		if err != nil {
			return err
		}
		for _, name := range attributeNames(target.Kind, changes) {
			names.add(name)
		}
		written[i] = map[string]any{"id": string(ids[i]), "changes": changes}
	}
	if err := s.claim(ctx, tx, propertyNames, names.all()); err != nil {
		return err
	}
	n, _, err := one(ctx, tx, templateMigrate, params{"things": written, "target": string(target.ID), "now": tx.at}, counted)
	if err == nil && n != len(ids) {
		err = errAgain
	}
	if err != nil {
		return err
	}
	for i, one := range things {
		after := migrated(one.thing, target.ID, attributes[i], tx.at)
		tx.record(entry{
			kind: objectKind(after), id: after.NodeID(), key: keyOf(after), operation: registry.ChangeUpdate, action: "migrated", version: objectIn(after).Version,
			before: thingSnapshot(one.thing, known[old[i]]), after: thingSnapshot(after, target.Template),
		})
	}
	if target.Kind != registry.KindGroup {
		return s.raiseTopology(ctx, tx, ids...)
	}
	return nil
}

// adoptedProperties is what has to be set on a node so that it has attributes,
// some of which it got by its template: nothing if it got none.
func adoptedProperties(before, after registry.Attributes) (map[string]any, error) {
	if len(before) == len(after) {
		return map[string]any{}, nil
	}
	out, err := properties(after)
	if err != nil {
		return nil, err
	}
	out[wordsProperty] = searchText(out)
	return out, nil
}

// migrated is a copy of a thing as an instance of another version.
func migrated(thing registry.Related, template registry.ID, attributes registry.Attributes, at time.Time) registry.Related {
	raised := func(o registry.Object) registry.Object {
		o.Version, o.UpdatedAt = o.Version+1, at
		return o
	}
	switch thing := thing.(type) {
	case *registry.Group:
		after := *thing
		after.Object, after.TemplateID, after.Attributes = raised(after.Object), template, attributes
		return &after
	case *registry.Device:
		after := *thing
		after.Object, after.TemplateID, after.Attributes = raised(after.Object), template, attributes
		return &after
	}
	after := *thing.(*registry.Asset)
	after.Object, after.TemplateID, after.Attributes = raised(after.Object), template, attributes
	return &after
}
