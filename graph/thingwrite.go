package graph

import (
	"context"
	"fmt"
	"slices"

	"github.com/holon-registry/holon/registry"
)

var (
	thingUpdate = named("thing.update", `
		UNWIND $things AS thing
		MATCH (n:Entity {id: thing.id})
		WHERE n.account = $account
		SET n += thing.changes
		RETURN count(n) AS n`)

	thingMove = named("thing.changeTemplate", `
		UNWIND $things AS thing
		MATCH (n:Entity {id: thing.id})-[old:INSTANCE_OF]->()
		WHERE n.account = $account
		MATCH (t:Entity {id: thing.template})
		WHERE t.account = $account AND t:Template
		DELETE old
		CREATE (n)-[:INSTANCE_OF]->(t)
		RETURN count(t) AS n`)

	thingRelated = named("thing.relatedTemplates", `
		MATCH (n:Entity {id: $id})
		WHERE n.account = $account
		CALL (n) {
			CALL (n) {
				MATCH (n)-[r]->(o:Group|Device|Asset)
				WHERE NOT type(r) IN $builtIn AND NOT toLower(type(r)) + ' OUT ' + o.id IN $ended
				MATCH (o)-[:INSTANCE_OF]->(t:Template)
				RETURN DISTINCT toLower(type(r)) AS name, 'OUT' AS direction, t
				UNION ALL
				MATCH (n)<-[r]-(o:Group|Device|Asset)
				WHERE NOT type(r) IN $builtIn AND NOT toLower(type(r)) + ' IN ' + o.id IN $ended
				MATCH (o)-[:INSTANCE_OF]->(t:Template)
				RETURN DISTINCT toLower(type(r)) AS name, 'IN' AS direction, t
			}
			RETURN collect({name: name, direction: direction, template: properties(t)}) AS relations
		}
		RETURN relations, [(n)-[:COMPONENT_OF]->(:Device)-[:INSTANCE_OF]->(whole:Template) | properties(whole)] AS wholes,
			COLLECT { MATCH (n)<-[:COMPONENT_OF]-(:Device)-[:INSTANCE_OF]->(c:Template) RETURN DISTINCT c.name ORDER BY c.name } AS components`)

	topologyRaise = named("partition.raiseTopology", `
		UNWIND $partitions AS number
		MATCH (p:Partition {number: number})
		SET p.topology = p.topology + 1`)
)

// patchedThing is a thing that is to change, and how.
type patchedThing struct {
	ref   registry.Ref
	patch registry.TwinPatch
	// profile is the one that the patch names, nil if it does not exist.
	profile *registry.Profile
	// wrong is what was found without looking into the database.
	wrong []registry.Violation
	// again says that an earlier patch of the request is for the same thing.
	again bool
}

// refs are the objects that the patch names, and the one that it is for.
func (p *patchedThing) refs() []registry.Ref {
	refs := []registry.Ref{p.ref}
	if whole := p.patch.PartOf.Value; whole != nil && p.ref.Kind == registry.KindAsset {
		refs = append(refs, registry.Ref{Kind: registry.KindAsset, Key: *whole})
	}
	return append(refs, patchRefs(p.patch.Relations)...)
}

// plain makes the patch's attributes plain and notes what is wrong with it.
func (p *patchedThing) plain() {
	p.patch.Attributes, p.wrong = plainAttributes(p.ref.Kind, p.patch.Attributes)
	if violation := registry.CheckDescription(p.patch.Description.Value); violation != nil {
		p.wrong = append(p.wrong, *violation)
	}
	if state := p.patch.State; state != nil && !validState(*state) {
		p.wrong = append(p.wrong, registry.Violation{Path: "state", Rule: "enum", Message: fmt.Sprintf("%q is no state", *state)})
	}
	p.wrong = append(p.wrong, contrary(p.patch.Relations)...)
	details := registry.Details{ExternalReference: p.patch.ExternalReference.Value, ImageURL: p.patch.ImageURL.Value}
	p.wrong = append(p.wrong, details.Check()...)
}

// changing is the batch that changes things of one kind.
func (s *Store) changing(scope registry.Scope, kind registry.Kind, list string, things []patchedThing) bulk {
	asked, named := make([]any, len(things)), map[string]bool{}
	for i := range things {
		things[i].ref.Kind = kind
		asked[i] = registry.TwinEdit{Ref: things[i].ref, Patch: things[i].patch}
		things[i].plain()
		key := refKey(things[i].ref)
		things[i].again, named[key] = named[key], true
	}
	return bulk{
		name: noun(kind) + ".update", list: list, asked: asked, items: len(things),
		weight: func(i int) int { return len(patchRefs(things[i].patch.Relations)) },
		work: func(ctx context.Context, tx *transaction, from, to int, out []outcome) error {
			return s.changePart(ctx, tx, scope, kind, things[from:to], out[from:to])
		},
	}
}

// update changes a thing in one transaction.
func (s *Store) update(ctx context.Context, scope registry.Scope, ref registry.Ref, patch registry.TwinPatch) (registry.Related, error) {
	return s.alone(ctx, scope, s.changing(scope, ref.Kind, "", []patchedThing{{ref: ref, patch: patch}}))
}

// changed is what a part of a batch of changes comes to.
type changed struct {
	written []any
	// moved change their template; devices among them their measures.
	moved     []any
	devices   []registry.ID
	names     distinct
	relations relationChanges
	// things are those that the part names and that are not refused.
	things map[registry.ID]*altered
}

// changePart checks changes, each on its own, and writes those that are right.
func (s *Store) changePart(ctx context.Context, tx *transaction, scope registry.Scope, kind registry.Kind, things []patchedThing, out []outcome) error {
	things, err := s.patchesWithProfiles(ctx, tx, kind, things)
	if err != nil {
		return err
	}
	w := wanted{kind: kind}
	for i := range things {
		w.refs = append(w.refs, things[i].refs()...)
		if name := things[i].patch.Template; name != nil {
			w.templates = append(w.templates, *name)
		}
	}
	got, err := s.prepare(ctx, tx, scope, w)
	if err != nil {
		return err
	}
	all := changed{things: map[registry.ID]*altered{}}
	seen := map[registry.ID]bool{}
	for i := range things {
		before, ok := got.target(things[i].ref)
		switch known := ok && kindOf(before.thing) == kind; {
		case !known && len(things[i].wrong) > 0:
			err = registry.Invalid(things[i].wrong...)
		case !known:
			err = missing(things[i].ref)
		case things[i].again || seen[before.thing.NodeID()]:
			err = registry.Conflict("", "the request changes this %s already", noun(kind))
		default:
			seen[before.thing.NodeID()] = true
			out[i].thing, err = s.changeOne(ctx, tx, scope, before, &things[i], got, &all)
		}
		if out[i].err = err; err != nil && !itsOwn(err) {
			return err
		}
	}
	if err := s.writeChanges(ctx, tx, &all); err != nil {
		return err
	}
	for i := range out {
		if out[i].thing != nil {
			out[i].thing = all.things[out[i].thing.NodeID()].thing
		}
	}
	return nil
}

// changeOne decides what a thing becomes.
func (s *Store) changeOne(ctx context.Context, tx *transaction, scope registry.Scope, before target, p *patchedThing, got *prepared, all *changed) (registry.Related, error) {
	kind, object := kindOf(before.thing), objectIn(before.thing)
	if err := atVersion(noun(kind), object.Version, p.patch.IfVersion); err != nil {
		return nil, err
	}
	if name := p.patch.Profile; name != nil && p.profile == nil {
		return nil, registry.NotFound("profile", *name)
	}
	template, action, violations := before.template, "updated", slices.Clone(p.wrong)
	if p.patch.Template != nil {
		if template = got.template(*p.patch.Template); template == nil {
			return nil, unknownTemplate(kind, *p.patch.Template)
		}
	}
	relations, unrelatable, err := s.relationPatch(ctx, tx, before.thing, template.Template, p.patch.Relations, got)
	if err != nil {
		return nil, err
	}
	if template.ID != before.template.ID {
		action = "migrated"
		wrong, err := s.unfit(ctx, tx, scope, before.thing, template.Template, relations.ended)
		if err != nil {
			return nil, err
		}
		violations = append(violations, wrong...)
	}
	attributes := p.attributes(attributesIn(before.thing))
	if template.ID != before.template.ID {
		attributes = template.adopted(attributes, p.patch.Attributes, before.template.Template)
	}
	violations = append(violations, template.check(attributes)...)
	whole, wrong := p.whole(got)
	violations = append(violations, wrong...)
	if violations = append(violations, unrelatable...); len(violations) > 0 {
		return nil, registry.Invalid(violations...)
	}
	var moved []registry.Difference
	if p.patch.PartOf.Set && kind == registry.KindAsset {
		d, err := s.partOf(ctx, tx, before.thing, whole)
		if err != nil {
			return nil, err
		}
		if d != nil {
			moved = append(moved, *d)
		}
	}
	after := patched(before.thing, p.patch, template.ID, attributes)
	was, is := thingSnapshot(before.thing, before.template.Template), thingSnapshot(after, template.Template)
	if len(compare(was, is))+len(moved) == 0 {
		all.relations.add(relations)
		all.things[object.ID] = &altered{before: before, thing: before.thing, template: template.Template}
		return before.thing, nil
	}
	raise(after, tx.at)
	node, err := nodeOf(after, template.Template)
	if err != nil {
		return nil, err
	}
	all.relations.add(relations)
	all.things[object.ID] = &altered{before: before, thing: after, template: template.Template, raised: true, told: true}
	for _, name := range attributeNames(kind, node) {
		all.names.add(name)
	}
	all.written = append(all.written, map[string]any{"id": string(object.ID), "changes": changes(before.node, kind, node)})
	if action == "migrated" {
		all.moved = append(all.moved, map[string]any{"id": string(object.ID), "template": string(template.ID)})
		if kind != registry.KindGroup {
			all.devices = append(all.devices, object.ID)
		}
	}
	tx.record(entry{
		kind: objectKind(after), id: object.ID, key: keyOf(after), operation: registry.ChangeUpdate, action: action,
		version: objectIn(after).Version, before: was, after: thingSnapshot(after, template.Template), relations: moved,
	})
	return after, nil
}

// whole finds the asset that the patch makes an asset a part of.
func (p *patchedThing) whole(got *prepared) (*target, []registry.Violation) {
	if p.patch.PartOf.Value == nil || p.ref.Kind != registry.KindAsset {
		return nil, nil
	}
	ref := registry.Ref{Kind: registry.KindAsset, Key: *p.patch.PartOf.Value}
	whole, ok := got.target(ref)
	if !ok {
		return nil, []registry.Violation{{Path: "partOf", Rule: "unknown", Message: missing(ref).Error()}}
	}
	return &whole, nil
}

// writeChanges writes what was decided.
func (s *Store) writeChanges(ctx context.Context, tx *transaction, all *changed) error {
	did, err := s.changeRelations(ctx, tx, &all.relations)
	if err != nil {
		return err
	}
	if all.related(tx, did); len(all.written) == 0 {
		return nil
	}
	if err := s.claim(ctx, tx, propertyNames, all.names.all()); err != nil {
		return err
	}
	if len(all.devices) > 0 {
		if err := s.raiseTopology(ctx, tx, all.devices...); err != nil {
			return err
		}
	}
	if err := wholly(ctx, tx, thingUpdate, params{"things": all.written}, len(all.written)); err != nil || len(all.moved) == 0 {
		return err
	}
	return wholly(ctx, tx, thingMove, params{"things": all.moved}, len(all.moved))
}

// wholly runs a query that counts what it did as n, and asks to begin again if
// that is not what was expected: something went away meanwhile.
func wholly(ctx context.Context, tx *transaction, q query, p params, want int) error {
	did, _, err := one(ctx, tx, q, p, counted)
	if err == nil && did != want {
		return errAgain
	}
	return err
}

// unfit returns what is wrong with a thing's relations and components if it
// becomes an instance of another template. They stay as they are, but for the
// relations that end.
func (s *Store) unfit(ctx context.Context, r runner, scope registry.Scope, thing registry.Related, template *registry.Template, ending []pair) ([]registry.Violation, error) {
	ended := make([]string, len(ending))
	for i, p := range ending {
		direction, other := registry.DirectionOut, p.to
		if p.from.NodeID() != thing.NodeID() {
			direction, other = registry.DirectionIn, p.from
		}
		ended[i] = fmt.Sprintf("%s %s %s", p.name, direction, other.NodeID())
	}
	violations, _, err := one(ctx, r, thingRelated, params{"id": string(thing.NodeID()), "builtIn": builtInTypes, "ended": ended}, func(f fields) []registry.Violation {
		var out []registry.Violation
		for _, relation := range f.maps("relations") {
			source, target := template, s.template(relation.nested("template"), scope.Account).Template
			if relation.text("direction") == string(registry.DirectionIn) {
				source, target = target, source
			}
			if name := relation.text("name"); ruleFor(name, source, target) == nil {
				out = append(out, undeclared(name, source, target))
			}
		}
		for _, node := range f.maps("wholes") {
			if whole := s.template(node, scope.Account); !whole.Component(template.Name) {
				out = append(out, noComponent("template", whole.Name, template.Name))
			}
		}
		for _, name := range f.texts("components") {
			if !template.Component(name) {
				out = append(out, noComponent("components", template.Name, name))
			}
		}
		return out
	})
	return violations, err
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
		after.Details = patchedDetails(after.Details, patch)
		return &after
	}
	after := *before.(*registry.Asset)
	describe(&after.Description)
	after.TemplateID, after.Attributes = template, attributes
	if patch.State != nil {
		after.State = *patch.State
	}
	after.Details = patchedDetails(after.Details, patch)
	return &after
}

func patchedDetails(d registry.Details, patch registry.TwinPatch) registry.Details {
	if patch.ExternalReference.Set {
		d.ExternalReference = patch.ExternalReference.Value
	}
	if patch.ImageURL.Set {
		d.ImageURL = patch.ImageURL.Value
	}
	if patch.Connected.Set {
		d.Connected = patch.Connected.Value
	}
	return d
}

func validState(state registry.State) bool {
	switch state {
	case registry.StateUnprovisioned, registry.StateActive, registry.StateDecommissioned, registry.StateRetired:
		return true
	}
	return false
}
