package graph

import (
	"context"
	"fmt"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// What became of the templates of some names, the newest first. A name has a few
// versions, each of them changed a few times.
var pastTemplates = named("past.templates", `
	UNWIND $names AS name
	CALL (name) {
		MATCH (c:Change) USING INDEX c:Change(account, kind, keyFold, position)
		WHERE c.account = $account AND c.kind = 'TEMPLATE' AND c.keyFold = name AND c.position > 0 AND c.at <= $at
		RETURN c ORDER BY c.account DESC, c.kind DESC, c.keyFold DESC, c.position DESC LIMIT 1000
	}
	RETURN collect({id: c.object, after: c.after}) AS changes`)

// newestThen is NewestTemplates as of a moment.
func (s *Store) newestThen(ctx context.Context, scope registry.Scope, refs []registry.TemplateRef) ([]*registry.Template, error) {
	var names distinct
	for _, ref := range refs {
		names.add(Fold(ref.Name))
	}
	versions, err := s.versionsThen(ctx, scope, names.all())
	if err != nil {
		return nil, err
	}
	known := map[templateName]*registry.Template{}
	for _, t := range versions {
		name := templateName{t.Kind, Fold(t.Name)}
		if t.Status == registry.TemplatePublished && (known[name] == nil || known[name].Version < t.Version) {
			known[name] = t
		}
	}
	out := make([]*registry.Template, len(refs))
	for i, ref := range refs {
		out[i] = known[templateName{ref.Kind, Fold(ref.Name)}]
	}
	return out, nil
}

// versionsThen are the versions that templates of some folded names had.
func (s *Store) versionsThen(ctx context.Context, scope registry.Scope, names []string) ([]*registry.Template, error) {
	p, err := s.look(scope, params{"names": names})
	if err != nil {
		return nil, err
	}
	out, _, err := one(ctx, s.reading(scope), pastTemplates, p, func(f fields) []*registry.Template {
		var out []*registry.Template
		seen := map[registry.ID]bool{}
		for _, item := range f.maps("changes") {
			if seen[item.id("id")] {
				continue
			}
			seen[item.id("id")] = true
			if item.optionalText("after") == nil {
				continue // deleted
			}
			if t, ok := fromSnapshot(item, registry.ObjectTemplate).(*registry.Template); ok {
				out = append(out, t)
			}
		}
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("templates of the past: %w", err)
	}
	return out, nil
}

// templateThen is Template as of a moment.
func (s *Store) templateThen(ctx context.Context, scope registry.Scope, kind registry.Kind, name string, version *int, status *registry.TemplateStatus) (*registry.Template, error) {
	if Fold(name) == registry.OpenTemplate {
		now := scope
		now.AsOf = nil
		return s.Template(ctx, now, kind, name, version, status) // it never changes
	}
	if version == nil && status == nil {
		published := registry.TemplatePublished
		status = &published
	}
	versions, err := s.versionsThen(ctx, scope, []string{Fold(name)})
	var newest *registry.Template
	for _, t := range versions {
		if t.Kind == kind && (version == nil || *version == t.Version) && (status == nil || *status == t.Status) && (newest == nil || newest.Version < t.Version) {
			newest = t
		}
	}
	return found(newest, newest != nil, err, "template", name)
}

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
