package resolvers

import (
	"context"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

func deviceUpsert(in generated.UpsertDeviceInput) registry.TwinEdit {
	return registry.TwinEdit{Ref: deviceRef(in.Reference), Patch: registry.TwinPatch{
		Description: patched(in.Description), State: in.State, Attributes: in.Attributes, Template: in.Template,
		Profile: in.Profile, ProfileMode: in.ProfileMode, IfVersion: in.IfVersion,
		ExternalReference: patched(in.ExternalReference), ImageURL: patched(in.ImageURL), Connected: patched(in.Connected),
		Relations: addedRelations(in.Relations),
	}}
}

func assetUpsert(in generated.UpsertAssetInput) registry.TwinEdit {
	return registry.TwinEdit{Ref: assetRef(in.Reference), Patch: registry.TwinPatch{
		Description: patched(in.Description), State: in.State, Attributes: in.Attributes, Template: in.Template,
		Profile: in.Profile, ProfileMode: in.ProfileMode, IfVersion: in.IfVersion,
		ExternalReference: patched(in.ExternalReference), ImageURL: patched(in.ImageURL), Connected: patched(in.Connected),
		Relations: addedRelations(in.Relations), PartOf: patched(in.PartOf),
	}}
}

func addedRelations(in []*generated.RelationsInput) *registry.RelationPatch {
	if len(in) == 0 {
		return nil
	}
	return &registry.RelationPatch{Add: newRelations(in)}
}

func (r *Resolver) upsertDevice(ctx context.Context, in generated.UpsertDeviceInput) (*generated.UpsertDevicePayload, error) {
	scope := trying(ctx, in.Rehearse, in.Token)
	twin, made, err := r.Graph.UpsertTwin(ctx, scope, registry.KindDevice, deviceUpsert(in))
	if err != nil {
		return nil, err
	}
	return &generated.UpsertDevicePayload{Device: unlessTried(scope, twin.(*registry.Device)), Created: made, Rehearsal: scope.Rehearsal}, nil
}

func (r *Resolver) upsertAsset(ctx context.Context, in generated.UpsertAssetInput) (*generated.UpsertAssetPayload, error) {
	scope := trying(ctx, in.Rehearse, in.Token)
	twin, made, err := r.Graph.UpsertTwin(ctx, scope, registry.KindAsset, assetUpsert(in))
	if err != nil {
		return nil, err
	}
	return &generated.UpsertAssetPayload{Asset: unlessTried(scope, twin.(*registry.Asset)), Created: made, Rehearsal: scope.Rehearsal}, nil
}

func (r *Resolver) upsertDevices(ctx context.Context, in generated.UpsertDevicesInput) (*registry.Bulk, error) {
	if err := asWhole("devices", in.Devices, func(in *generated.UpsertDeviceInput) (bool, *string) { return in.Rehearse, in.Token }); err != nil {
		return nil, err
	}
	result, err := r.Graph.UpsertTwins(ctx, trying(ctx, in.Rehearse, in.Token), registry.KindDevice, each(in.Devices, func(in *generated.UpsertDeviceInput) registry.TwinEdit { return deviceUpsert(*in) }), in.Atomic)
	return done(ctx, result, err)
}

func (r *Resolver) upsertAssets(ctx context.Context, in generated.UpsertAssetsInput) (*registry.Bulk, error) {
	if err := asWhole("assets", in.Assets, func(in *generated.UpsertAssetInput) (bool, *string) { return in.Rehearse, in.Token }); err != nil {
		return nil, err
	}
	result, err := r.Graph.UpsertTwins(ctx, trying(ctx, in.Rehearse, in.Token), registry.KindAsset, each(in.Assets, func(in *generated.UpsertAssetInput) registry.TwinEdit { return assetUpsert(*in) }), in.Atomic)
	return done(ctx, result, err)
}

func (r *Resolver) updateMeasureType(ctx context.Context, in generated.UpdateMeasureTypeInput) (*generated.UpdateMeasureTypePayload, error) {
	patch := registry.MeasureTypePatch{Values: in.Values, Description: patched(in.Description), Annotations: in.Annotations, IfVersion: in.IfVersion}
	if in.Fields != nil {
		patch.Fields = measureFields(in.Fields)
	}
	measureType, err := r.Graph.UpdateMeasureType(ctx, scopeFrom(ctx), in.Name, patch)
	if err != nil {
		return nil, err
	}
	return &generated.UpdateMeasureTypePayload{MeasureType: measureType}, nil
}
