package resolvers

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

// done tells the loaders what a bulk request brought and hands it on.
func done(ctx context.Context, result *registry.Bulk, err error) (*registry.Bulk, error) {
	if err != nil {
		return nil, err
	}
	var objects []registry.Node
	for _, r := range result.Results {
		if r.Object != nil {
			objects = append(objects, r.Object)
		}
	}
	loadersFrom(ctx).siblings(ctx, objects)
	return result, nil
}

// each makes of every input of a bulk request what the store takes.
func each[In, Out any](inputs []In, of func(In) Out) []Out {
	out := make([]Out, len(inputs))
	for i, in := range inputs {
		out[i] = of(in)
	}
	return out
}

// edits makes the items of a bulk update. An item that names no object, or two,
// is the whole request's fault: it could not be told what it was about.
func edits[In any](list string, inputs []In, of func(In) (registry.TwinEdit, error)) ([]registry.TwinEdit, error) {
	out := make([]registry.TwinEdit, len(inputs))
	for i, in := range inputs {
		var err error
		if out[i], err = of(in); err != nil {
			return nil, registry.InvalidField(fmt.Sprintf("input.%s[%d]", list, i), "exclusive", "give either id or reference")
		}
	}
	return out, nil
}

func (r *Resolver) createGroups(ctx context.Context, in generated.CreateGroupsInput) (*registry.Bulk, error) {
	if err := asWhole("groups", in.Groups, func(in *generated.CreateGroupInput) (bool, *string) { return in.Rehearse, in.Token }); err != nil {
		return nil, err
	}
	result, err := r.Graph.CreateGroups(ctx, trying(ctx, in.Rehearse, in.Token), each(in.Groups, newGroup), in.Atomic)
	return done(ctx, result, err)
}

func (r *Resolver) updateGroups(ctx context.Context, in generated.UpdateGroupsInput) (*registry.Bulk, error) {
	err := asWhole("groups", in.Groups, func(in *generated.UpdateGroupInput) (bool, *string) { return in.Rehearse, in.Token })
	if err != nil {
		return nil, err
	}
	items := make([]registry.TwinEdit, len(in.Groups))
	for i, group := range in.Groups {
		if items[i], err = groupEdit(*group); err != nil {
			return nil, registry.InvalidField(fmt.Sprintf("input.groups[%d]", i), "exclusive", "give either id or path")
		}
	}
	result, err := r.Graph.UpdateGroups(ctx, trying(ctx, in.Rehearse, in.Token), items, in.Atomic)
	return done(ctx, result, err)
}

func groupEdit(in generated.UpdateGroupInput) (registry.TwinEdit, error) {
	ref, err := refOf(registry.KindGroup, in.ID, in.Path, "path")
	return registry.TwinEdit{Ref: ref, Patch: registry.TwinPatch{
		Description: patched(in.Description), Attributes: in.Attributes, Template: in.Template, IfVersion: in.IfVersion,
		Profile: in.Profile, ProfileMode: in.ProfileMode, Relations: relationPatch(in.Relations),
	}}, err
}

func (r *Resolver) deleteGroups(ctx context.Context, in generated.DeleteGroupsInput) (*registry.Bulk, error) {
	all := append(each(in.Ids, func(id registry.ID) registry.Ref { return registry.Ref{ID: id, Kind: registry.KindGroup} }), refs(registry.KindGroup, in.Paths)...)
	return r.Graph.DeleteGroups(ctx, trying(ctx, in.Rehearse, in.Token), all, in.Atomic)
}

func (r *Resolver) createDevices(ctx context.Context, in generated.CreateDevicesInput) (*registry.Bulk, error) {
	if err := asWhole("devices", in.Devices, func(in *generated.CreateDeviceInput) (bool, *string) { return in.Rehearse, in.Token }); err != nil {
		return nil, err
	}
	items := each(in.Devices, func(in *generated.CreateDeviceInput) registry.NewTwin { return newDevice(*in) })
	result, err := r.Graph.CreateTwins(ctx, trying(ctx, in.Rehearse, in.Token), registry.KindDevice, items, in.Atomic)
	return done(ctx, result, err)
}

func (r *Resolver) createAssets(ctx context.Context, in generated.CreateAssetsInput) (*registry.Bulk, error) {
	if err := asWhole("assets", in.Assets, func(in *generated.CreateAssetInput) (bool, *string) { return in.Rehearse, in.Token }); err != nil {
		return nil, err
	}
	items := each(in.Assets, func(in *generated.CreateAssetInput) registry.NewTwin { return newAsset(*in) })
	result, err := r.Graph.CreateTwins(ctx, trying(ctx, in.Rehearse, in.Token), registry.KindAsset, items, in.Atomic)
	return done(ctx, result, err)
}

func (r *Resolver) updateDevices(ctx context.Context, in generated.UpdateDevicesInput) (*registry.Bulk, error) {
	err := asWhole("devices", in.Devices, func(in *generated.UpdateDeviceInput) (bool, *string) { return in.Rehearse, in.Token })
	if err != nil {
		return nil, err
	}
	items, err := edits("devices", in.Devices, func(in *generated.UpdateDeviceInput) (registry.TwinEdit, error) { return deviceEdit(*in) })
	if err != nil {
		return nil, err
	}
	result, err := r.Graph.UpdateTwins(ctx, trying(ctx, in.Rehearse, in.Token), registry.KindDevice, items, in.Atomic)
	return done(ctx, result, err)
}

func (r *Resolver) updateAssets(ctx context.Context, in generated.UpdateAssetsInput) (*registry.Bulk, error) {
	err := asWhole("assets", in.Assets, func(in *generated.UpdateAssetInput) (bool, *string) { return in.Rehearse, in.Token })
	if err != nil {
		return nil, err
	}
	items, err := edits("assets", in.Assets, func(in *generated.UpdateAssetInput) (registry.TwinEdit, error) { return assetEdit(*in) })
	if err != nil {
		return nil, err
	}
	result, err := r.Graph.UpdateTwins(ctx, trying(ctx, in.Rehearse, in.Token), registry.KindAsset, items, in.Atomic)
	return done(ctx, result, err)
}

// deleteTwins deletes devices or assets and forgets their live state.
func (r *Resolver) deleteTwins(ctx context.Context, scope registry.Scope, kind registry.Kind, ids []registry.ID, references []string, atomic bool) (*registry.Bulk, error) {
	all := append(each(ids, func(id registry.ID) registry.Ref { return registry.Ref{ID: id, Kind: kind} }), refs(kind, references)...)
	result, deleted, err := r.Graph.DeleteTwins(ctx, scope, kind, all, atomic)
	r.forget(ctx, deleted...)
	return result, err
}

func newGroup(in *generated.CreateGroupInput) registry.NewGroup {
	return registry.NewGroup{
		Parent: in.Parent, Name: in.Name, Description: in.Description,
		Template: deref(in.Template), Profile: deref(in.Profile), Attributes: in.Attributes, Relations: newRelations(in.Relations),
	}
}

func newDevice(in generated.CreateDeviceInput) registry.NewTwin {
	return registry.NewTwin{
		Reference: in.Reference, Description: in.Description, State: in.State,
		Template: deref(in.Template), Profile: deref(in.Profile), Attributes: in.Attributes, Relations: newRelations(in.Relations),
		Details:    registry.Details{ExternalReference: in.ExternalReference, ImageURL: in.ImageURL, Connected: in.Connected},
		Components: each(in.Components, newComponent),
	}
}

func newComponent(in *generated.ComponentInput) registry.NewComponent {
	return registry.NewComponent{Name: in.Name, NewTwin: registry.NewTwin{
		Description: in.Description, State: in.State,
		Template: deref(in.Template), Attributes: in.Attributes, Relations: newRelations(in.Relations),
		Details:    registry.Details{ExternalReference: in.ExternalReference, ImageURL: in.ImageURL, Connected: in.Connected},
		Components: each(in.Components, newComponent),
	}}
}

func newAsset(in generated.CreateAssetInput) registry.NewTwin {
	return registry.NewTwin{
		Reference: in.Reference, Description: in.Description, State: in.State,
		Template: deref(in.Template), Profile: deref(in.Profile), Attributes: in.Attributes, Relations: newRelations(in.Relations),
		Details: registry.Details{ExternalReference: in.ExternalReference, ImageURL: in.ImageURL, Connected: in.Connected},
		PartOf:  in.PartOf,
	}
}

func deviceEdit(in generated.UpdateDeviceInput) (registry.TwinEdit, error) {
	ref, err := refOf(registry.KindDevice, in.ID, in.Reference, "reference")
	return registry.TwinEdit{Ref: ref, Patch: registry.TwinPatch{
		Description: patched(in.Description), State: in.State, Attributes: in.Attributes, Template: in.Template, IfVersion: in.IfVersion,
		Profile: in.Profile, ProfileMode: in.ProfileMode,
		ExternalReference: patched(in.ExternalReference), ImageURL: patched(in.ImageURL), Connected: patched(in.Connected),
		Relations: relationPatch(in.Relations),
	}}, err
}

func assetEdit(in generated.UpdateAssetInput) (registry.TwinEdit, error) {
	ref, err := refOf(registry.KindAsset, in.ID, in.Reference, "reference")
	return registry.TwinEdit{Ref: ref, Patch: registry.TwinPatch{
		Description: patched(in.Description), State: in.State, Attributes: in.Attributes, Template: in.Template, IfVersion: in.IfVersion,
		Profile: in.Profile, ProfileMode: in.ProfileMode,
		ExternalReference: patched(in.ExternalReference), ImageURL: patched(in.ImageURL), Connected: patched(in.Connected),
		Relations: relationPatch(in.Relations), PartOf: patched(in.PartOf),
	}}, err
}

func relationPatch(in *generated.RelationPatchInput) *registry.RelationPatch {
	if in == nil {
		return nil
	}
	patch := &registry.RelationPatch{Add: newRelations(in.Add), Remove: newRelations(in.Remove)}
	for _, set := range in.Replace {
		patch.Replace = append(patch.Replace, registry.RelationSet{Direction: set.Direction, Kind: set.Kind, Relations: newRelations(set.Relations)})
	}
	return patch
}

// componentRef names a component by its id, or by its device and its name.
func componentRef(in generated.DeleteComponentInput) (registry.Ref, error) {
	switch {
	case in.ID != nil && in.Device == nil && in.Name == nil:
		return registry.Ref{ID: *in.ID, Kind: registry.KindDevice}, nil
	case in.ID == nil && in.Device != nil && in.Name != nil:
		return deviceRef(*in.Device + "/" + *in.Name), nil
	}
	return registry.Ref{}, registry.InvalidField("input.name", "exclusive", "give either id, or device and name")
}

// keyed is the size of a page of objects that are named: all of them, unless
// something else is asked for.
func keyed(keys []string, first, last *int) *int {
	if keys == nil || first != nil || last != nil {
		return first
	}
	n := min(len(keys), registry.MaxPage)
	return &n
}

// exclusiveReferences refuses a list that is named and searched at once.
func exclusiveReferences() error {
	return registry.InvalidField("references", "exclusive", "give either references, or where and orderBy")
}
