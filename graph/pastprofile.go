package graph

import (
	"context"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// pastProfile is Profile as of a moment.
func (s *Store) pastProfile(ctx context.Context, scope registry.Scope, ref registry.ProfileRef) (*registry.Profile, error) {
	if ref.ID == "" {
		return pastByReference[*registry.Profile](ctx, s, scope, registry.ObjectProfile, registry.ProfileKey(ref.Kind, ref.Template, ref.Name))
	}
	found, err := pastOf[*registry.Profile](ctx, s, scope, []registry.ID{ref.ID})
	if err == nil && found[0] == nil {
		err = registry.NotFound("profile", string(ref.ID))
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// endsThen are what the relations of a profile led to, of its snapshot. One that
// was made while profiles kept keys only has no ids.
func endsThen(f fields) []registry.ProfileEnd {
	var kept struct {
		Relations []struct {
			registry.ProfileEnd
			Groups, Devices, Assets []string
		}
	}
	f.json("after", &kept)
	var out []registry.ProfileEnd
	for _, relation := range kept.Relations {
		if relation.ID != "" {
			out = append(out, relation.ProfileEnd)
		}
		for kind, keys := range map[registry.Kind][]string{
			registry.KindGroup: relation.Groups, registry.KindDevice: relation.Devices, registry.KindAsset: relation.Assets,
		} {
			for _, key := range keys {
				end := relation.ProfileEnd
				end.Kind, end.Key = kind, key
				out = append(out, end)
			}
		}
	}
	return registry.SortEnds(out)
}

// nameEnds gives the ends of profiles, among objects of the past, the keys that
// they had then: groups may have moved since the profile was changed.
func (s *Store) nameEnds(ctx context.Context, scope registry.Scope, nodes []registry.Node) error {
	var ids []registry.ID
	for _, node := range nodes {
		if p, ok := node.(*registry.Profile); ok {
			for _, end := range p.Ends {
				ids = append(ids, end.ID)
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	then, err := s.past(ctx, scope, slices.Compact(ids))
	if err != nil {
		return err
	}
	for _, node := range nodes {
		p, ok := node.(*registry.Profile)
		if !ok {
			continue
		}
		for i, end := range p.Ends {
			if thing, ok := then[end.ID].(registry.Related); ok {
				p.Ends[i].Key = keyOf(thing)
			}
		}
		p.Ends = registry.SortEnds(p.Ends)
	}
	return nil
}

// fits says whether a profile passes the filter, nil if all do.
func (f ProfileFilter) fits() func(*registry.Profile) bool {
	if f.Kind == nil && f.Template == nil {
		return nil
	}
	return func(p *registry.Profile) bool {
		return (f.Kind == nil || p.Kind == *f.Kind) && (f.Template == nil || Fold(p.TemplateName) == Fold(*f.Template))
	}
}
