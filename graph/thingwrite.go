package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

var (
	// A group's parent is among the relations, as CHILD_OF.
	thingCreate = labelled("create", `
		MATCH (t:Entity {id: $template})
		WHERE t.account = $account AND t:Template
		CREATE (n:LABEL:Entity)
		SET n = $properties, n.account = $account
		CREATE (n)-[:INSTANCE_OF]->(t)
		WITH n
		CALL (n) {
			UNWIND $relations AS relation
			MATCH (o:Entity {id: relation.to})
			WHERE o.account = $account
			CREATE (n)-[r:$(relation.type)]->(o)
			SET r = relation.properties
			RETURN count(r) AS related
		}
		RETURN related AS n`)

	// The version is raised first: whoever else changes the thing waits here.
	thingLock = forEachKind("lock", `
		THING
		SET n.version = n.version + 1, n.updatedAt = $now
		WITH n
		MATCH (n)-[:INSTANCE_OF]->(t:Template)
		RETURN `+thing("n")+` AS thing, properties(t) AS template`)

	thingUpdate = named("thing.update", `
		MATCH (n:Entity {id: $id})
		WHERE n.account = $account
		SET n += $changes`)

	thingMove = named("thing.changeTemplate", `
		MATCH (n:Entity {id: $id})-[old:INSTANCE_OF]->()
		WHERE n.account = $account
		MATCH (t:Entity {id: $template})
		WHERE t.account = $account AND t:Template
		DELETE old
		CREATE (n)-[:INSTANCE_OF]->(t)
		RETURN t.id AS id`)

	thingRelated = named("thing.relatedTemplates", `
		MATCH (n:Entity {id: $id})
		WHERE n.account = $account
		CALL (n) {
			MATCH (n)-[r]->(o:Group|Device|Asset)
			WHERE NOT type(r) IN $builtIn
			MATCH (o)-[:INSTANCE_OF]->(t:Template)
			RETURN DISTINCT toLower(type(r)) AS name, 'OUT' AS direction, t
			UNION ALL
			MATCH (n)<-[r]-(o:Group|Device|Asset)
			WHERE NOT type(r) IN $builtIn
			MATCH (o)-[:INSTANCE_OF]->(t:Template)
			RETURN DISTINCT toLower(type(r)) AS name, 'IN' AS direction, t
		}
		RETURN collect({name: name, direction: direction, template: properties(t)}) AS relations`)

	topologyRaise = named("partition.raiseTopology", `
		UNWIND $partitions AS number
		MATCH (p:Partition {number: number})
		SET p.topology = p.topology + 1`)
)

// newThing is what a thing is made from. Make builds it once its template and,
// for a group, its parent are known.
type newThing struct {
	kind       registry.Kind
	key        string
	keyField   string
	template   string
	attributes registry.Attributes
	relations  []registry.NewRelation
	// parent is for groups.
	parent *registry.Ref
	make   func(object registry.Object, template *registry.Template, attributes registry.Attributes, parent registry.Related) (registry.Related, error)
}

// create makes a thing, with its relations, in one transaction.
func (s *Store) create(ctx context.Context, scope registry.Scope, n newThing) (registry.Related, error) {
	attributes, wrongAttributes := plainAttributes(n.kind, n.attributes)
	attributes = merge(nil, attributes) // a null says that there is none
	if n.template == "" {
		n.template = registry.OpenTemplate
	}
	refs := refsOf(n.relations)
	if len(refs) > registry.MaxRelationsAtOne {
		return nil, registry.LimitExceeded("an object can be made with at most %d relations", registry.MaxRelationsAtOne)
	}
	if n.parent != nil {
		refs = append(refs, *n.parent)
	}
	var created registry.Related
	committed := func() {}
	err := change(ctx, s, scope, noun(n.kind)+".create", func(ctx context.Context, tx *transaction) error {
		template, targets, err := s.prepare(ctx, tx, scope, n.kind, n.template, refs)
		if err != nil {
			return err
		}
		if template == nil {
			return unknownTemplate(n.kind, n.template)
		}
		made, violations := edges(template.Template, n.relations, targets)
		violations = slices.Concat(wrongAttributes, template.check(attributes), violations)
		var parent registry.Related
		if n.parent != nil {
			to, ok := targets[refKey(*n.parent)]
			if !ok {
				violations = append(violations, registry.Violation{Path: "parent", Rule: "unknown", Message: missing(*n.parent).Error()})
			}
			parent = to.thing
		}
		if len(violations) > 0 {
			return registry.Invalid(violations...)
		}
		object := registry.Object{ID: newID(), Version: 1, CreatedAt: tx.at, UpdatedAt: tx.at}
		if created, err = n.make(object, template.Template, attributes, parent); err != nil {
			return err
		}
		tx.record(entry{
			kind: objectKind(created), id: object.ID, key: keyOf(created), operation: registry.ChangeCreate, action: "created", version: 1,
			after: thingSnapshot(created, template.Template), relations: relationsMade(made), structural: n.kind == registry.KindGroup,
		})
		node, err := nodeOf(created, template.Template)
		if err != nil {
			return err
		}
		if committed, err = s.claimBoth(ctx, tx, edgeNames(made), attributeNames(n.kind, node)); err != nil {
			return err
		}
		return insert(ctx, tx, created, template.ID, node, made, parent)
	})
	if errors.Is(err, errConstraint) {
		return nil, registry.Conflict(n.keyField, "%s %q exists already", noun(n.kind), n.key)
	}
	if err != nil {
		return nil, fmt.Errorf("create %s %s: %w", noun(n.kind), n.key, err)
	}
	committed()
	return created, nil
}

func insert(ctx context.Context, tx *transaction, thing registry.Related, template registry.ID, node map[string]any, made []edge, parent registry.Related) error {
	relations := make([]any, 0, len(made)+1)
	for _, e := range made {
		relations = append(relations, e.parameter(tx.at))
	}
	if group, ok := thing.(*registry.Group); ok {
		relations = append(relations, map[string]any{"to": string(parent.NodeID()), "type": "CHILD_OF", "properties": childProperties(group.Name, tx.at)})
	}
	related, ok, err := one(ctx, tx, thingCreate[kindOf(thing)], params{"template": string(template), "properties": node, "relations": relations}, counted)
	if err == nil && (!ok || related != len(relations)) {
		// The template or a target was deleted between the two queries.
		return errAgain
	}
	return err
}

// childProperties are those of the relationship from a group to its parent. The
// name stands there too, so that former paths can be walked.
func childProperties(name string, since time.Time) map[string]any {
	return map[string]any{"since": since.UnixMilli(), "name": name, "nameFold": Fold(name)}
}

func unknownTemplate(kind registry.Kind, name string) error {
	return &registry.Error{Code: registry.CodeNotFound, Field: "template", Message: fmt.Sprintf("there is no published template %q for %ss", name, noun(kind))}
}

// claimBoth claims names of relations and of attributes.
func (s *Store) claimBoth(ctx context.Context, tx runner, relations, attributes []string) (committed func(), err error) {
	first, err := s.claimNames(ctx, tx, relationNames, relations)
	if err != nil {
		return nil, err
	}
	second, err := s.claimNames(ctx, tx, propertyNames, attributes)
	if err != nil {
		return nil, err
	}
	return func() { first(); second() }, nil
}

// update changes a thing in one transaction.
func (s *Store) update(ctx context.Context, scope registry.Scope, ref registry.Ref, patch registry.TwinPatch) (registry.Related, error) {
	attributes, violations := plainAttributes(ref.Kind, patch.Attributes)
	if violation := registry.CheckDescription(patch.Description.Value); violation != nil {
		violations = append(violations, *violation)
	}
	if patch.State != nil && !validState(*patch.State) {
		violations = append(violations, registry.Violation{Path: "state", Rule: "enum", Message: fmt.Sprintf("%q is no state", *patch.State)})
	}
	if len(violations) > 0 {
		return nil, registry.Invalid(violations...)
	}
	var updated registry.Related
	committed := func() {}
	err := change(ctx, s, scope, noun(ref.Kind)+".update", func(ctx context.Context, tx *transaction) error {
		before, err := s.lock(ctx, tx, scope, ref, patch.IfVersion)
		if err != nil {
			return err
		}
		template, action := before.template, "updated"
		if patch.Template != nil {
			if template, err = s.moveTemplate(ctx, tx, scope, before, *patch.Template); err != nil {
				return err
			}
			if template.ID != before.template.ID {
				action = "migrated"
			}
		}
		wanted := merge(attributesIn(before.thing), attributes)
		if wrong := template.check(wanted); len(wrong) > 0 {
			return registry.Invalid(wrong...)
		}
		updated = patched(before.thing, patch, template.ID, wanted)
		node, err := nodeOf(updated, template.Template)
		if err != nil {
			return err
		}
		if committed, err = s.claimNames(ctx, tx, propertyNames, attributeNames(ref.Kind, node)); err != nil {
			return err
		}
		tx.record(entry{
			kind: objectKind(updated), id: updated.NodeID(), key: keyOf(updated), operation: registry.ChangeUpdate, action: action,
			version: objectIn(updated).Version, before: thingSnapshot(before.thing, before.template.Template), after: thingSnapshot(updated, template.Template),
		})
		return nothing(ctx, tx, thingUpdate, params{"id": string(updated.NodeID()), "changes": changes(before.node, ref.Kind, node)})
	})
	if err != nil {
		return nil, fmt.Errorf("update %s: %w", noun(ref.Kind), err)
	}
	committed()
	return updated, nil
}

// locked is a thing as it was read under its lock; its version is raised.
type locked struct {
	target
	node fields
}

// lock raises a thing's version and reads it.
func (s *Store) lock(ctx context.Context, tx *transaction, scope registry.Scope, ref registry.Ref, ifVersion *int) (locked, error) {
	q, p := thingLock.of(ref, params{"now": tx.at})
	before, ok, err := one(ctx, tx, q, p, func(f fields) locked {
		thing := f.nested("thing")
		return locked{target{thingOf(thing), s.template(f.nested("template"), scope.Account)}, thing.nested("node")}
	})
	if err != nil {
		return before, err
	}
	if !ok {
		return before, missing(ref)
	}
	if version := objectIn(before.thing).Version - 1; ifVersion != nil && *ifVersion != version {
		return before, registry.Conflict("ifVersion", "the %s has version %d, not %d", noun(ref.Kind), version, *ifVersion)
	}
	return before, nil
}

// moveTemplate makes a thing an instance of the newest published template of a
// name, if its relations allow that. The relations stay as they are.
func (s *Store) moveTemplate(ctx context.Context, tx *transaction, scope registry.Scope, before locked, name string) (*compiledTemplate, error) {
	kind := kindOf(before.thing)
	template, _, err := s.prepare(ctx, tx, scope, kind, name, nil)
	if err != nil {
		return nil, err
	}
	if template == nil {
		return nil, unknownTemplate(kind, name)
	}
	if template.ID == before.template.ID {
		return template, nil
	}
	id := string(before.thing.NodeID())
	violations, _, err := one(ctx, tx, thingRelated, params{"id": id, "builtIn": builtInTypes}, func(f fields) []registry.Violation {
		var out []registry.Violation
		for _, relation := range f.maps("relations") {
			source, target := template.Template, s.template(relation.nested("template"), scope.Account).Template
			if relation.text("direction") == string(registry.DirectionIn) {
				source, target = target, source
			}
			if name := relation.text("name"); ruleFor(name, source, target) == nil {
				out = append(out, undeclared(name, source, target))
			}
		}
		return out
	})
	if err != nil {
		return nil, err
	}
	if len(violations) > 0 {
		return nil, registry.Invalid(violations...)
	}
	if kind == registry.KindDevice {
		if err := s.raiseTopology(ctx, tx, before.thing.NodeID()); err != nil {
			return nil, err
		}
	}
	moved, err := tx.run(ctx, thingMove, params{"id": id, "template": string(template.ID)})
	if err == nil && len(moved) == 0 {
		err = errAgain
	}
	return template, err
}

// raiseTopology tells the workers of the devices' partitions, in the same
// transaction, that what they know of devices and links no longer holds.
func (s *Store) raiseTopology(ctx context.Context, tx runner, devices ...registry.ID) error {
	partitions, err := s.Partitions(ctx)
	if err != nil {
		return err
	}
	numbers := make([]int, len(devices))
	for i, device := range devices {
		numbers[i] = registry.PartitionOf(device, partitions)
	}
	// In one order, so that two transactions do not wait for each other.
	slices.Sort(numbers)
	return nothing(ctx, tx, topologyRaise, params{"partitions": slices.Compact(numbers)})
}

// patched is a copy of a thing with the patch applied.
func patched(before registry.Related, patch registry.TwinPatch, template registry.ID, attributes registry.Attributes) registry.Related {
	describe := func(description **string) {
		if patch.Description.Set {
			*description = patch.Description.Value
		}
	}
	switch before := before.(type) {
	case *registry.Group:
		after := *before
		describe(&after.Description)
		after.TemplateID, after.Attributes = template, attributes
		return &after
	case *registry.Device:
		after := *before
		describe(&after.Description)
		after.TemplateID, after.Attributes = template, attributes
		if patch.State != nil {
			after.State = *patch.State
		}
		return &after
	}
	after := *before.(*registry.Asset)
	describe(&after.Description)
	after.TemplateID, after.Attributes = template, attributes
	if patch.State != nil {
		after.State = *patch.State
	}
	return &after
}

func validState(state registry.State) bool {
	switch state {
	case registry.StateUnprovisioned, registry.StateActive, registry.StateDecommissioned, registry.StateRetired:
		return true
	}
	return false
}

func objectIn(thing registry.Related) registry.Object {
	switch thing := thing.(type) {
	case *registry.Group:
		return thing.Object
	case *registry.Device:
		return thing.Object
	}
	return thing.(*registry.Asset).Object
}

func attributesIn(thing registry.Related) registry.Attributes {
	switch thing := thing.(type) {
	case *registry.Group:
		return thing.Attributes
	case *registry.Device:
		return thing.Attributes
	}
	return thing.(*registry.Asset).Attributes
}
