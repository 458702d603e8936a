package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// newThing is what a thing is made from. Make builds it once its template and,
// for a group, its parent are known.
type newThing struct {
	// asked is all that was asked for.
	asked      any
	kind       registry.Kind
	key        string
	keyField   string
	template   string
	attributes registry.Attributes
	relations  []registry.NewRelation
	// profile is the name of a profile of the template, empty for none. Given are
	// the attributes with the nulls that say what is not to come from there; lacks
	// is the error for a profile that does not exist.
	profile string
	given   registry.Attributes
	lacks   error
	// parent is for groups.
	parent *registry.Ref
	// whole is what an asset is to be a part of, or a device a component of, under
	// the name.
	whole *registry.Ref
	name  string
	// components are made with a device, or it is not.
	components []newThing
	// wrong is what was found without looking into the database.
	wrong []registry.Violation
	make  func(object registry.Object, template *registry.Template, attributes registry.Attributes, parent registry.Related) (registry.Related, error)
}

// plain makes the attributes plain and notes what is wrong with them.
func (n *newThing) plain() {
	attributes, wrong := plainAttributes(n.kind, n.attributes)
	n.given, n.attributes = attributes, merge(nil, attributes) // a null says that there is none
	n.wrong = append(n.wrong, wrong...)
	if n.template == "" {
		n.template = registry.OpenTemplate
	}
	for i := range n.components {
		n.components[i].plain()
	}
}

// above are the objects that the thing is to be within.
func (n *newThing) above() []registry.Ref {
	var refs []registry.Ref
	if n.parent != nil {
		refs = append(refs, *n.parent)
	}
	if n.whole != nil {
		refs = append(refs, *n.whole)
	}
	return refs
}

// weight is what making the thing costs beside the thing itself.
func (n *newThing) weight() int {
	weight := 0
	for _, relation := range n.relations {
		weight += len(relation.To)
	}
	for i := range n.components {
		weight += 1 + n.components[i].weight()
	}
	return weight
}

// wants adds what has to be known to make the thing, and its components.
func (n *newThing) wants(w *wanted) {
	w.templates, w.keys = append(w.templates, n.template), append(w.keys, n.key)
	w.refs, w.ends = append(w.refs, n.above()...), append(w.ends, refsOf(n.relations)...)
	for i := range n.components {
		n.components[i].wants(w)
	}
}

// making is the batch that makes things of one kind. Each may refer to those
// before it.
func (s *Store) making(scope registry.Scope, kind registry.Kind, list string, things []newThing) bulk {
	asked := make([]any, len(things))
	for i := range things {
		asked[i] = things[i].asked
		things[i].plain()
	}
	return bulk{
		name: noun(kind) + ".create", list: list, asked: asked, items: len(things),
		weight: func(i int) int { return things[i].weight() },
		work: func(ctx context.Context, tx *transaction, from, to int, out []outcome) error {
			return s.makePart(ctx, tx, scope, things[from:to], out[from:to])
		},
	}
}

// create makes a thing, with its relations, in one transaction.
func (s *Store) create(ctx context.Context, scope registry.Scope, n newThing) (registry.Related, error) {
	made, err := s.alone(ctx, scope, s.making(scope, n.kind, "", []newThing{n}))
	if errors.Is(err, errConstraint) {
		return nil, n.taken()
	}
	return made, err
}

func (n *newThing) taken() error {
	return registry.Conflict(n.keyField, "%s %q exists already", noun(n.kind), n.key)
}

// makePart checks things, each on its own, and writes those that are right.
func (s *Store) makePart(ctx context.Context, tx *transaction, scope registry.Scope, things []newThing, out []outcome) error {
	things, err := s.withProfiles(ctx, tx, things)
	if err != nil {
		return err
	}
	w := wanted{kind: things[0].kind}
	for i := range things {
		n := &things[i]
		if n.weight() > registry.MaxRelationsAtOne {
			continue
		}
		n.wants(&w)
	}
	got, err := s.prepare(ctx, tx, scope, w)
	if err != nil {
		return err
	}
	if err := s.partDepths(ctx, tx, things, got); err != nil {
		return err
	}
	var made []madeThing
	for i := range things {
		before, entries := len(made), len(tx.entries)
		if made, err = things[i].checkAll(tx, got, made); err == nil {
			out[i] = outcome{thing: made[before].thing, made: true}
			continue
		}
		if !itsOwn(err) {
			return err
		}
		for _, m := range made[before:] {
			got.remove(m.thing)
		}
		made, tx.entries = made[:before], tx.entries[:entries]
		out[i] = outcome{err: err}
	}
	return s.insert(ctx, tx, w.kind, made, got.places)
}

// checkAll checks a thing and then its components, and adds them to what is to
// be made.
func (n *newThing) checkAll(tx *transaction, got *prepared, made []madeThing) ([]madeThing, error) {
	m, err := n.check(tx, got)
	if err != nil {
		return made, err
	}
	made = append(made, m)
	for i := range n.components {
		if made, err = n.components[i].checkAll(tx, got, made); err != nil {
			return made, inside(fmt.Sprintf("components[%d]", i), err)
		}
	}
	return made, nil
}

// inside says of an error where in the input it is.
func inside(path string, err error) error {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		return err
	}
	within := *e
	within.Message = path + "." + e.Message
	if within.Field != "" {
		within.Field = path + "." + e.Field
	}
	within.Violations = nil
	for _, v := range e.Violations {
		within.Violations = append(within.Violations, registry.Violation{Path: path + "." + v.Path, Rule: v.Rule, Message: v.Message})
	}
	return &within
}

// check decides whether a thing can be made, and makes it known to those after
// it.
func (n *newThing) check(tx *transaction, got *prepared) (madeThing, error) {
	if n.weight() > registry.MaxRelationsAtOne {
		return madeThing{}, registry.LimitExceeded("an object can be made with at most %d relations", registry.MaxRelationsAtOne)
	}
	template := got.template(n.template)
	if template == nil {
		return madeThing{}, unknownTemplate(n.kind, n.template)
	}
	if n.lacks != nil {
		return madeThing{}, n.lacks
	}
	found, violations := edges(template.Template, n.relations, got)
	attributes := template.filled(n.attributes, n.given)
	violations = slices.Concat(n.wrong, template.check(attributes), violations)
	var parent registry.Related
	if n.parent != nil {
		above, ok := got.target(*n.parent)
		if !ok {
			violations = append(violations, registry.Violation{Path: "parent", Rule: "unknown", Message: missing(*n.parent).Error()})
		}
		parent = above.thing
	}
	var whole *target
	if n.whole != nil {
		found, ok := got.target(*n.whole)
		switch {
		case !ok && n.kind == registry.KindDevice:
			return madeThing{}, missing(*n.whole)
		case !ok:
			violations = append(violations, registry.Violation{Path: "partOf", Rule: "unknown", Message: missing(*n.whole).Error()})
		default:
			whole = &found
		}
	}
	if whole != nil && n.kind == registry.KindDevice {
		violations = append(violations, n.within(whole, template.Template)...)
	}
	if len(violations) > 0 {
		return madeThing{}, registry.Invalid(violations...)
	}
	if whole != nil && n.kind == registry.KindAsset && got.depths[whole.thing.NodeID()]+1 > registry.MaxPartDepth {
		return madeThing{}, registry.LimitExceeded("an asset is a part of at most %d others, one within the other", registry.MaxPartDepth)
	}
	if got.taken[Fold(n.key)] {
		return madeThing{}, n.taken()
	}
	object := registry.Object{ID: newID(), Version: 1, CreatedAt: tx.at, UpdatedAt: tx.at}
	thing, err := n.make(object, template.Template, attributes, parent)
	if err != nil {
		return madeThing{}, err
	}
	differences := relationsMade(found)
	var wholeID registry.ID
	if whole != nil {
		differences = append(differences, wholeDifference(nil, whole.thing))
		wholeID = whole.thing.NodeID()
		if device, ok := thing.(*registry.Device); ok {
			above := whole.thing.(*registry.Device)
			device.Reference = above.Reference + "/" + n.name // as the device's is written
			device.ComponentName, device.ComponentDepth = &n.name, above.ComponentDepth+1
		} else {
			got.depths[object.ID] = got.depths[wholeID] + 1
		}
	}
	node, err := nodeOf(thing, template.Template)
	if err != nil {
		return madeThing{}, err
	}
	got.add(thing, template)
	tx.record(entry{
		kind: objectKind(thing), id: object.ID, key: keyOf(thing), operation: registry.ChangeCreate, action: "created", version: 1,
		after: thingSnapshot(thing, template.Template), relations: differences, structural: n.kind == registry.KindGroup,
	})
	for _, e := range found {
		if e.incoming {
			tx.record(relationChange{"related", e.pair(thing)}.entry())
		}
	}
	return madeThing{thing, template.ID, node, found, wholeID, template.SilenceFor()}, nil
}

func unknownTemplate(kind registry.Kind, name string) error {
	return &registry.Error{Code: registry.CodeNotFound, Field: "template", Message: fmt.Sprintf("there is no published template %q for %ss", name, noun(kind))}
}
