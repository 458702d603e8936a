package graph

import (
	"context"
	"fmt"

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
	p, err := s.look(scope, params{"names": names.all()})
	if err != nil {
		return nil, err
	}
	known := map[templateName]*registry.Template{}
	_, _, err = one(ctx, s.reading(scope), pastTemplates, p, func(f fields) struct{} {
		seen := map[registry.ID]bool{}
		for _, item := range f.maps("changes") {
			if seen[item.id("id")] {
				continue
			}
			seen[item.id("id")] = true
			if item.optionalText("after") == nil {
				continue // deleted
			}
			t, ok := fromSnapshot(item, registry.ObjectTemplate).(*registry.Template)
			if !ok || t.Status != registry.TemplatePublished {
				continue
			}
			name := templateName{t.Kind, Fold(t.Name)}
			if known[name] == nil || known[name].Version < t.Version {
				known[name] = t
			}
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("newest templates of the past: %w", err)
	}
	out := make([]*registry.Template, len(refs))
	for i, ref := range refs {
		out[i] = known[templateName{ref.Kind, Fold(ref.Name)}]
	}
	return out, nil
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

// fits says whether a profile passes the filter, nil if all do.
func (f ProfileFilter) fits() func(*registry.Profile) bool {
	if f.Kind == nil && f.Template == nil {
		return nil
	}
	return func(p *registry.Profile) bool {
		return (f.Kind == nil || p.Kind == *f.Kind) && (f.Template == nil || Fold(p.TemplateName) == Fold(*f.Template))
	}
}
