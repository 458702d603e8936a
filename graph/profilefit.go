package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

var profilesOfTemplate = named("profile.ofTemplate", `
	MATCH (p:Profile)
	WHERE p.account = $account AND p.kind = $kind AND p.templateFold = $template AND p.keyFold > $key
	WITH p ORDER BY p.account, p.kind, p.templateFold, p.keyFold LIMIT $limit
	RETURN collect(`+profileItem("p")+`) AS profiles`)

// profilesRead is how many profiles are read at once.
const profilesRead = 200

// misfitProfiles are the first profiles of a version's template that the version
// has something against, by key.
func (s *Store) misfitProfiles(ctx context.Context, r runner, scope registry.Scope, target *compiledTemplate) ([]*registry.ProfileMisfit, error) {
	var out []*registry.ProfileMisfit
	for key := ""; ; {
		profiles, _, err := one(ctx, r, profilesOfTemplate, params{
			"kind": string(target.Kind), "template": Fold(target.Name), "key": key, "limit": profilesRead,
		}, func(f fields) []*registry.Profile {
			var out []*registry.Profile
			for _, item := range f.maps("profiles") {
				out = append(out, profileOf(item))
			}
			return out
		})
		if err != nil {
			return nil, fmt.Errorf("read profiles of a template: %w", err)
		}
		wrong, err := s.profilesAgainst(ctx, r, scope, target, profiles)
		if err != nil {
			return nil, err
		}
		out = append(out, wrong...)
		if n := len(profiles); n < profilesRead || len(out) >= registry.MaxProfileMisfits {
			return out[:min(len(out), registry.MaxProfileMisfits)], nil
		}
		key = Fold(profiles[len(profiles)-1].Key())
	}
}

// profilesAgainst are those of some profiles that a version of their template has
// something against.
func (s *Store) profilesAgainst(ctx context.Context, r runner, scope registry.Scope, target *compiledTemplate, profiles []*registry.Profile) ([]*registry.ProfileMisfit, error) {
	var refs []registry.Ref
	for _, p := range profiles {
		refs = append(refs, refsOf(p.NewRelations())...)
	}
	got, err := s.prepare(ctx, r, scope, wanted{kind: target.Kind, refs: refs})
	if err != nil {
		return nil, err
	}
	var out []*registry.ProfileMisfit
	for _, p := range profiles {
		if _, violations := fitProfile(target, p, p.NewRelations(), got); len(violations) > 0 {
			out = append(out, &registry.ProfileMisfit{Profile: p, Violations: violations})
		}
	}
	return out, nil
}
