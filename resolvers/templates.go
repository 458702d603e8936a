package resolvers

import (
	"context"
	"slices"
	"strings"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

func newTemplate(in generated.CreateTemplateInput) registry.NewTemplate {
	return registry.NewTemplate{
		Kind: in.Kind, Name: in.Name, Description: in.Description, Properties: in.Properties, Required: in.Required,
		Relations: relationRules(in.Relations), Measures: measureDeclarations(in.Measures),
		Components: in.Components, Searched: in.Searched, Publish: in.Publish, Annotations: in.Annotations, Behaviour: behaviour(in),
	}
}

func templatePatch(in generated.UpdateTemplateInput) registry.TemplatePatch {
	return registry.TemplatePatch{
		Description: patched(in.Description), Properties: in.Properties, Required: in.Required,
		Relations: relationRules(in.Relations), Measures: measureDeclarations(in.Measures),
		Components: in.Components, Searched: in.Searched, Annotations: in.Annotations, Provisioning: in.Provisioning, Reported: in.Reported,
		Silence: in.Silence, ManyAssets: in.ManyAssets, Commands: commandDeclarations(in.Commands), Alarms: alarmRules(in.Alarms),
		Decoder: patched(in.Decoder),
	}
}

// relationRules keeps nil and empty apart: one leaves what is there, the other
// empties it.
func relationRules(in []*generated.RelationRuleInput) []registry.RelationRule {
	if in == nil {
		return nil
	}
	out := make([]registry.RelationRule, len(in))
	for i, r := range in {
		out[i] = registry.RelationRule{Name: r.Name, Direction: r.Direction, Kind: r.Kind, Templates: r.Templates, Inherits: r.Inherits}
	}
	return out
}

func measureDeclarations(in []*generated.MeasureDeclarationInput) []registry.MeasureDeclaration {
	if in == nil {
		return nil
	}
	out := make([]registry.MeasureDeclaration, len(in))
	for i, m := range in {
		out[i] = registry.MeasureDeclaration{
			Name: m.Name, Type: m.Type, Unit: deref(m.Unit), Minimum: m.Minimum, Maximum: m.Maximum, MaximumRate: m.MaximumRate, Computed: deref(m.Computed), Manual: m.Manual,
			Annotations: m.Annotations,
		}
		out[i].SetKeep(m.KeepRaw, m.KeepHourly, m.KeepDaily)
	}
	return out
}

func measureFields(in []*generated.MeasureFieldInput) []registry.MeasureField {
	out := make([]registry.MeasureField, len(in))
	for i, f := range in {
		out[i] = registry.MeasureField{Name: f.Name, Type: f.Type, Unit: deref(f.Unit)}
	}
	return out
}

// templateRef names a template by id, or by kind and name: exactly one way.
func templateRef(id *registry.ID, kind *registry.Kind, name *string) (registry.TemplateRef, error) {
	switch {
	case id != nil && kind == nil && name == nil:
		return registry.TemplateRef{ID: *id}, nil
	case id == nil && kind != nil && name != nil:
		return registry.TemplateRef{Kind: *kind, Name: *name}, nil
	}
	return registry.TemplateRef{}, registry.InvalidField("input.name", "exclusive", "give either id, or kind and name")
}

func (r *Resolver) updateTemplate(ctx context.Context, in generated.UpdateTemplateInput) (*registry.Template, error) {
	ref, err := templateRef(in.ID, in.Kind, in.Name)
	if err != nil {
		return nil, err
	}
	ref.IfVersion, ref.IfRevision = in.IfVersion, in.IfRevision
	return r.Graph.UpdateTemplate(ctx, scopeFrom(ctx), ref, templatePatch(in))
}

func (r *Resolver) publishTemplate(ctx context.Context, in generated.PublishTemplateInput) (*generated.PublishTemplatePayload, error) {
	ref, err := templateRef(in.ID, in.Kind, in.Name)
	if err != nil {
		return nil, err
	}
	ref.IfVersion, ref.IfRevision = in.IfVersion, in.IfRevision
	payload := &generated.PublishTemplatePayload{}
	if in.Rehearse {
		payload.Template, payload.Rehearsal, err = r.Graph.RehearsePublish(ctx, scopeFrom(ctx), ref)
	} else {
		payload.Template, payload.Profiles, err = r.Graph.PublishTemplate(ctx, scopeFrom(ctx), ref, givenText(in.Token))
	}
	if err != nil {
		return nil, err
	}
	return payload, nil
}

func (r *Resolver) migrateObjects(ctx context.Context, in generated.MigrateObjectsInput) (*generated.MigrateObjectsPayload, error) {
	m := registry.Migration{
		Kind: in.Kind, Template: in.Template, Version: in.Version, IDs: in.Ids, References: in.References, All: in.All,
		SkipFailing: in.SkipFailing, Token: givenText(in.Token),
	}
	payload := &generated.MigrateObjectsPayload{}
	var err error
	if in.Rehearse {
		payload.Rehearsal, err = r.Graph.RehearseMigration(ctx, scopeFrom(ctx), m)
	} else {
		payload.Migrated, err = r.Graph.MigrateObjects(ctx, scopeFrom(ctx), m)
	}
	if err != nil {
		return nil, err
	}
	return payload, nil
}

// misfits makes a page of a rehearsal's objects.
func misfits(ctx context.Context, in *registry.TemplateRehearsal, request registry.PageRequest) *generated.TemplateMisfitConnection {
	after, found := slices.BinarySearchFunc(in.Misfits, request.Key, func(m registry.TemplateMisfit, key string) int {
		return strings.Compare(misfitKey(&m), key)
	})
	if found {
		after++
	}
	if request.Key == "" {
		after = 0
	}
	page := registry.Page[*registry.TemplateMisfit]{HasPrevious: after > 0}
	for i := after; i < len(in.Misfits) && len(page.Items) < request.Size; i++ {
		page.Items = append(page.Items, &in.Misfits[i])
	}
	page.HasNext = after+len(page.Items) < len(in.Misfits)
	things := make([]registry.Node, len(page.Items))
	for i, misfit := range page.Items {
		things[i] = misfit.Object
	}
	loadersFrom(ctx).siblings(ctx, things)
	return &generated.TemplateMisfitConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, misfitKey), TotalCount: len(in.Misfits),
		Edges: edges(page, misfitKey, func(cursor string, m *registry.TemplateMisfit) *generated.TemplateMisfitEdge {
			return &generated.TemplateMisfitEdge{Cursor: cursor, Node: m}
		}),
	}
}

func misfitKey(m *registry.TemplateMisfit) string { return graph.ThingKey(m.Object) }

func (r *Resolver) deleteTemplate(ctx context.Context, in generated.DeleteTemplateInput) (*generated.DeleteTemplatePayload, error) {
	ref, err := templateRef(in.ID, in.Kind, in.Name)
	if err != nil {
		return nil, err
	}
	ref.IfVersion, ref.IfRevision = in.IfVersion, in.IfRevision
	ids, err := r.Graph.DeleteTemplate(ctx, scopeFrom(ctx), ref)
	if err != nil {
		return nil, err
	}
	return &generated.DeleteTemplatePayload{DeletedID: ids[0], DeletedIds: ids}, nil
}
