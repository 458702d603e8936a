package graph

import (
	"context"

	"github.com/holon-registry/holon/registry"
)

// profiles restores profiles. What their relations name has to be there.
func (b *restoring) profiles(ctx context.Context, records []*registry.ProfileRecord) error {
	stamps := make([]registry.Stamp, len(records))
	var refs []registry.Ref
	for i, r := range records {
		stamps[i] = r.Stamp
		for _, relation := range r.Relations {
			refs = append(refs, relation.NewRelation().To...)
		}
	}
	targets, err := b.targets(ctx, refs)
	if err != nil {
		return err
	}
	taken, err := b.takenIDs(ctx, stamps)
	if err != nil {
		return err
	}
	for i, r := range records {
		if err := b.profile(ctx, i, r, targets, taken); err != nil {
			return err
		}
	}
	return nil
}

func (b *restoring) profile(ctx context.Context, i int, r *registry.ProfileRecord, targets map[string]restoredThing, taken map[registry.ID]bool) error {
	attributes, violations := plainAttributes(r.Kind, r.Attributes)
	violations = append(violations, registry.NewProfile{Kind: r.Kind, Name: r.Name, Description: r.Description}.Check()...)
	template, err := b.templateFor(ctx, r.Kind, r.Template, 0)
	if err != nil {
		return err
	}
	if template == nil {
		violations = append(violations, registry.Violation{Path: "template", Rule: "unknown", Message: unknownTemplate(r.Kind, r.Template).Error()})
	} else {
		violations = append(violations, template.checkGiven(merge(nil, attributes))...)
	}
	ends, wrong := restoredEnds(r.Relations, targets)
	if b.refuse(i, append(violations, wrong...)...) {
		return nil
	}
	old, err := b.store.profile(ctx, b, registry.ProfileRef{Kind: r.Kind, Template: r.Template, Name: r.Name})
	if err != nil && registry.CodeOf(err) != registry.CodeNotFound {
		return err
	}
	p := &registry.Profile{Kind: r.Kind, TemplateName: template.Name, Name: r.Name, Description: r.Description, Attributes: merge(nil, attributes), Ends: ends}
	q, action := profileCreate, registry.RestoreMade
	if err == nil {
		if b.taken(i, "profile", r.Name, r.Stamp, old.ID) {
			return nil
		}
		p.Object, p.Name, q, action = old.Object, old.Name, profileUpdate, registry.RestoreChanged
		if jsonEqual(profileSnapshot(old), profileSnapshot(p)) {
			b.results[i].Result = registry.RestoreUnchanged
			return nil
		}
		p.Version++
	} else if old = nil; !b.identify(i, r.Stamp, taken) {
		return nil
	} else {
		p.Object = b.object(r.Stamp, r.Revision)
	}
	b.results[i].Result = action
	if b.tx == nil {
		return nil
	}
	if old != nil {
		p.UpdatedAt = b.tx.at
	}
	b.tx.recordProfile(actionImported, old, p)
	return writeProfile(ctx, b, q, p)
}

// restoredEnds are what the relations of a profile's record lead to.
func restoredEnds(relations []registry.ProfileRelation, targets map[string]restoredThing) ([]registry.ProfileEnd, []registry.Violation) {
	var ends []registry.ProfileEnd
	var violations []registry.Violation
	for _, relation := range relations {
		path := "relations." + relation.Name
		if violation := registry.CheckRelationName(path, relation.Name); violation != nil {
			violations = append(violations, *violation)
		}
		for _, ref := range relation.NewRelation().To {
			if ref.Kind == registry.KindGroup {
				ref.Key = cleanPath(ref.Key)
			}
			to, ok := targets[refKey(ref)]
			if !ok {
				violations = append(violations, registry.Violation{Path: path, Rule: "unknown", Message: missing(ref).Error()})
			}
			ends = append(ends, registry.ProfileEnd{Relation: relation.Name, Direction: relation.Direction, Kind: to.kind, ID: to.id, Key: to.key})
		}
	}
	return registry.SortEnds(ends), violations
}
