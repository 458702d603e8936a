package resolvers

import (
	"context"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

// linkDevice links a device to an asset, or says what that would do.
func (r *Resolver) linkDevice(ctx context.Context, in generated.LinkDeviceInput) (*generated.LinkDevicePayload, error) {
	linked, err := r.Graph.MakeLink(ctx, keeping(ctx, in.Token), newLink(in))
	if err != nil {
		return nil, err
	}
	out := &generated.LinkDevicePayload{Link: linked.Link, Ended: linked.Ended, Moved: &linked.Moved, Skipped: each(linked.Skipped, func(v registry.Violation) *registry.Violation { return &v })}
	if linked.Token != "" {
		out.Token = &linked.Token
	}
	if linked.Link != nil && linked.Moved.Measurements > 0 {
		r.forget(ctx, linked.Link.AssetID)
	}
	return out, nil
}

// replaceDevice puts a device in the place of another.
func (r *Resolver) replaceDevice(ctx context.Context, in generated.ReplaceDeviceInput) (*generated.ReplaceDevicePayload, error) {
	from := deviceRef(in.From)
	linked, err := r.Graph.MakeLink(ctx, scopeFrom(ctx), registry.NewLink{
		Device: deviceRef(in.To), Asset: assetRef(in.Asset), Measures: newMapping(in.Measures), Since: in.At, Instead: &from,
	})
	if err != nil {
		return nil, err
	}
	if linked.Moved.Measurements > 0 {
		r.forget(ctx, linked.Link.AssetID)
	}
	return &generated.ReplaceDevicePayload{Ended: linked.Ended[0], Link: linked.Link, Moved: &linked.Moved}, nil
}

// unmapped are the newest values of a link's device that are not the asset's.
func unmapped(ctx context.Context, link *registry.Link) ([]*registry.LiveValue, error) {
	out := []*registry.LiveValue{}
	if link.Until != nil {
		return out, nil
	}
	values, err := loadersFrom(ctx).live.Load(ctx, link.DeviceID)
	if err != nil {
		return nil, err
	}
	mapped := map[string]bool{}
	for _, m := range link.Measures {
		mapped[m.Device] = true
	}
	for _, v := range values {
		if !mapped[v.Measure] {
			out = append(out, v)
		}
	}
	return out, nil
}
