package graph

import (
	"context"

	"github.com/holon-registry/holon/registry"
)

// profiles restores profiles. What their relations name is looked at when they
// are applied: a profile may name what is no longer there.
func (b *restoring) profiles(ctx context.Context, records []*registry.ProfileRecord) error {
	stamps := make([]registry.Stamp, len(records))
	for i, r := range records {
		stamps[i] = r.Stamp
	}
	taken, err := b.takenIDs(ctx, stamps)
	if err != nil {
		return err
	}
	for i, r := range records {
		if err := b.profile(ctx, i, r, taken); err != nil {
			return err
		}
	}
	return nil
}

func (b *restoring) profile(ctx context.Context, i int, r *registry.ProfileRecord, taken map[registry.ID]bool) error {
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
	for _, relation := range r.Relations {
		if violation := registry.CheckRelationName("relations."+relation.Name, relation.Name); violation != nil {
			violations = append(violations, *violation)
		}
	}
	if b.refuse(i, violations...) {
		return nil
	}
	old, err := b.store.profile(ctx, b, registry.ProfileRef{Kind: r.Kind, Template: r.Template, Name: r.Name})
	if err != nil && registry.CodeOf(err) != registry.CodeNotFound {
		return err
	}
	p := &registry.Profile{Kind: r.Kind, TemplateName: template.Name, Name: r.Name, Description: r.Description, Attributes: merge(nil, attributes), Relations: r.Relations}
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
	node, err := profileProperties(p)
	if err != nil {
		return err
	}
	b.tx.recordProfile(actionImported, old, p)
	return nothing(ctx, b, q, params{"id": string(p.ID), "properties": node})
}
