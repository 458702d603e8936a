package graph

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

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

// The names that templates have had: an account has few.
var pastTemplateNames = named("past.templateNames", `
	MATCH (c:Change) USING INDEX c:Change(account, kind, position)
	WHERE c.account = $account AND c.kind = 'TEMPLATE' AND c.position > 0 AND c.at <= $at
	RETURN collect(DISTINCT c.keyFold) AS names`)

// templatesThen are the templates that there were, by their keys.
func (s *Store) templatesThen(ctx context.Context, scope registry.Scope, f TemplateFilter) ([]*registry.Template, error) {
	p, err := s.look(scope, params{})
	if err != nil {
		return nil, err
	}
	names, _, err := one(ctx, s.reading(scope), pastTemplateNames, p, func(f fields) []string { return f.texts("names") })
	if err != nil {
		return nil, fmt.Errorf("names of templates of the past: %w", err)
	}
	out, err := s.versionsThen(ctx, scope, names)
	if err != nil {
		return nil, err
	}
	now, refs := scope, make([]registry.TemplateRef, len(registry.Kinds))
	now.AsOf = nil // the built-in ones never change
	for i, kind := range registry.Kinds {
		refs[i] = registry.TemplateRef{Kind: kind, Name: registry.OpenTemplate}
	}
	open, err := s.NewestTemplates(ctx, now, refs)
	if err != nil {
		return nil, err
	}
	out = append(out, open...)
	out = slices.DeleteFunc(out, func(t *registry.Template) bool {
		return f.Kind != nil && t.Kind != *f.Kind || f.Status != nil && t.Status != *f.Status
	})
	slices.SortFunc(out, func(a, b *registry.Template) int { return strings.Compare(TemplateKey(a), TemplateKey(b)) })
	return out, nil
}

// listTemplatesThen is ListTemplates as of a moment.
func (s *Store) listTemplatesThen(ctx context.Context, scope registry.Scope, f TemplateFilter, page registry.PageRequest) (registry.Page[*registry.Template], error) {
	all, err := s.templatesThen(ctx, scope, f)
	if err != nil {
		return registry.Page[*registry.Template]{}, err
	}
	if page.Backward {
		slices.Reverse(all)
	}
	if key := Fold(page.Key); key != "" {
		all = slices.DeleteFunc(all, func(t *registry.Template) bool {
			order := strings.Compare(TemplateKey(t), key)
			return order == 0 || order > 0 == page.Backward
		})
	}
	return cut(all[:min(len(all), page.Size+1)], page), nil
}

// templateVersionsThen is TemplateVersions as of a moment.
func (s *Store) templateVersionsThen(ctx context.Context, scope registry.Scope, ids []registry.ID) ([][]*registry.Template, error) {
	templates, err := s.TemplatesByID(ctx, scope, ids)
	if err != nil {
		return nil, err
	}
	var names distinct
	for _, t := range templates {
		if t != nil {
			names.add(Fold(t.Name))
		}
	}
	then, err := s.versionsThen(ctx, scope, names.all())
	if err != nil {
		return nil, err
	}
	slices.SortFunc(then, func(a, b *registry.Template) int { return cmp.Compare(b.Version, a.Version) })
	byName := map[templateName][]*registry.Template{}
	for _, t := range then {
		name := templateName{t.Kind, Fold(t.Name)}
		byName[name] = append(byName[name], t)
	}
	out := make([][]*registry.Template, len(ids))
	for i, t := range templates {
		switch {
		case t == nil:
		case t.Open:
			out[i] = []*registry.Template{t}
		default:
			out[i] = byName[templateName{t.Kind, Fold(t.Name)}]
		}
	}
	return out, nil
}

// currentThen says of templates which of them new objects got at a moment.
func (s *Store) currentThen(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]bool, error) {
	versions, err := s.templateVersionsThen(ctx, scope, ids)
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(ids))
	for i, id := range ids {
		newest := slices.IndexFunc(versions[i], func(t *registry.Template) bool { return t.Status == registry.TemplatePublished })
		out[i] = newest >= 0 && versions[i][newest].ID == id
	}
	return out, nil
}
