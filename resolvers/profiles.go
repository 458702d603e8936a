package resolvers

import (
	"context"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

func profileKey(p *registry.Profile) string { return p.Key() }

// profileRef names a profile by id, or by kind, template and name: exactly one
// way.
func profileRef(id *registry.ID, kind *registry.Kind, template, name *string) (registry.ProfileRef, error) {
	switch {
	case id != nil && kind == nil && template == nil && name == nil:
		return registry.ProfileRef{ID: *id}, nil
	case id == nil && kind != nil && template != nil && name != nil:
		return registry.ProfileRef{Kind: *kind, Template: *template, Name: *name}, nil
	}
	return registry.ProfileRef{}, registry.InvalidField("input.name", "exclusive", "give either id, or kind, template and name")
}

func (r *Resolver) updateProfile(ctx context.Context, in generated.UpdateProfileInput) (*registry.Profile, error) {
	ref, err := profileRef(in.ID, in.Kind, in.Template, in.Name)
	if err != nil {
		return nil, err
	}
	patch := registry.ProfilePatch{Description: patched(in.Description), Attributes: in.Attributes, IfVersion: in.IfVersion}
	if in.Relations != nil {
		patch.Relations = newRelations(in.Relations)
	}
	return r.Graph.UpdateProfile(ctx, scopeFrom(ctx), ref, patch)
}

func (r *Resolver) deleteProfile(ctx context.Context, in generated.DeleteProfileInput) (registry.ID, error) {
	ref, err := profileRef(in.ID, in.Kind, in.Template, in.Name)
	if err != nil {
		return "", err
	}
	ref.IfVersion = in.IfVersion
	return r.Graph.DeleteProfile(ctx, scopeFrom(ctx), ref)
}

func (r *Resolver) profiles(ctx context.Context, f graph.ProfileFilter, request registry.PageRequest) (*generated.ProfileConnection, error) {
	page, err := r.Graph.ListProfiles(ctx, scopeFrom(ctx), f, request)
	if err != nil {
		return nil, err
	}
	page = listed(ctx, page)
	total, err := countIfAsked(ctx, func() (int, error) { return r.Graph.CountProfiles(ctx, scopeFrom(ctx), f) })
	return &generated.ProfileConnection{
		Nodes: page.Items, PageInfo: pageInfo(page, profileKey), TotalCount: total,
		Edges: edges(page, profileKey, func(cursor string, p *registry.Profile) *generated.ProfileEdge {
			return &generated.ProfileEdge{Cursor: cursor, Node: p}
		}),
	}, err
}
