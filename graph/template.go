package graph

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

var (
	templateByID = named("template.byID", `
		UNWIND $ids AS id
		MATCH (t:Entity {id: id})
		WHERE t.account = $account AND t:Template
		RETURN collect(properties(t)) AS templates`)

	templateNewest = named("template.newest", `
		MATCH (t:Template)
		WHERE t.account = $account AND t.kind = $kind AND t.nameFold = $nameFold AND t.version > 0 AND t.status = 'PUBLISHED'
		RETURN properties(t) AS node ORDER BY t.version DESC LIMIT 1`)

	templateByVersion = named("template.byVersion", `
		MATCH (t:Template)
		WHERE t.account = $account AND t.keyFold = $key
		RETURN properties(t) AS node`)

	templateCount = named("template.count", `
		MATCH (t:Template)
		WHERE t.account = $account AND t.keyFold IS NOT NULL
		RETURN count(t) AS n`)

	templateCountOfKind = named("template.countOfKind", `
		MATCH (t:Template)
		WHERE t.account = $account AND t.kind = $kind AND t.keyFold IS NOT NULL
		RETURN count(t) AS n`)

	templateList = listing{
		name: "template.list", match: "MATCH (n:Template) WHERE n.account = $account",
		prefix: "n.account, ", key: "n.keyFold", item: "{node: properties(n)}",
	}.registered()

	templateListOfKind = listing{
		name: "template.listOfKind", match: "MATCH (n:Template) WHERE n.account = $account AND n.kind = $kind",
		prefix: "n.account, n.kind, ", key: "n.keyFold", item: "{node: properties(n)}",
	}.registered()
)

// Template returns a template: that version of it, or the newest published
// one.
func (s *Store) Template(ctx context.Context, scope registry.Scope, kind registry.Kind, name string, version *int) (*registry.Template, error) {
	q, p := templateNewest, params{"kind": string(kind), "nameFold": Fold(name)}
	if version != nil {
		q, p = templateByVersion, params{"key": templateKey(kind, name, *version)}
	}
	t, ok, err := one(ctx, s.reading(scope), q, p, s.templateIn(scope))
	return found(t, ok, err, "template", name)
}

// TemplatesByID returns templates, nil where there is none. Published ones come
// from memory once they have been read.
func (s *Store) TemplatesByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]*registry.Template, error) {
	known := make(map[registry.ID]*registry.Template, len(ids))
	var unknown []registry.ID
	for _, id := range ids {
		if t := s.templates.get(scope.Account, id); t != nil {
			known[id] = t.Template
		} else {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) > 0 {
		read, _, err := one(ctx, s.reading(scope), templateByID, params{"ids": texts(unknown)}, func(f fields) []*compiledTemplate {
			maps := f.maps("templates")
			out := make([]*compiledTemplate, len(maps))
			for i, node := range maps {
				out[i] = s.template(node, scope.Account)
			}
			return out
		})
		if err != nil {
			return nil, fmt.Errorf("templates by id: %w", err)
		}
		for _, t := range read {
			known[t.ID] = t.Template
		}
	}
	return slots(ids, known), nil
}

// ListTemplates returns templates of one kind or of all, by kind, name and
// version.
func (s *Store) ListTemplates(ctx context.Context, scope registry.Scope, kind *registry.Kind, page registry.PageRequest) (registry.Page[*registry.Template], error) {
	l, p := templateList, params{}
	if kind != nil {
		l, p = templateListOfKind, params{"kind": string(*kind)}
	}
	out, err := readPage(ctx, s.reading(scope), l, page, p, s.templateIn(scope))
	if err != nil {
		return out, fmt.Errorf("list templates: %w", err)
	}
	return out, nil
}

// CountTemplates counts templates of one kind or of all, the built-in ones
// included.
func (s *Store) CountTemplates(ctx context.Context, scope registry.Scope, kind *registry.Kind) (int, error) {
	q, p := templateCount, params{}
	if kind != nil {
		q, p = templateCountOfKind, params{"kind": string(*kind)}
	}
	n, _, err := one(ctx, s.reading(scope), q, p, counted)
	if err != nil {
		return 0, fmt.Errorf("count templates: %w", err)
	}
	return n, nil
}

// templateIn reads a template from the column node.
func (s *Store) templateIn(scope registry.Scope) func(fields) *registry.Template {
	return func(f fields) *registry.Template { return s.template(f.nested("node"), scope.Account).Template }
}

// TemplateKey is the key that lists of templates are ordered by.
func TemplateKey(t *registry.Template) string { return templateKey(t.Kind, t.Name, t.Version) }

// templateKey is the folded key of a template: templates are unique by kind,
// name and version.
func templateKey(kind registry.Kind, name string, version int) string {
	return fmt.Sprintf("%s/%s/%06d", Fold(string(kind)), Fold(name), version)
}

// templateOf reads a template's node.
func templateOf(f fields) *registry.Template {
	t := &registry.Template{
		ID: f.id("id"), Kind: registry.Kind(f.text("kind")), Name: f.text("name"), Version: f.integer("version"),
		Status: registry.TemplateStatus(f.text("status")), Description: f.optionalText("description"),
		Required: f.texts("required"), CreatedAt: f.time("createdAt"), PublishedAt: f.optionalTime("publishedAt"),
	}
	if open := nullable[bool](f, "open"); open != nil {
		t.Open = *open
	}
	f.json("properties", &t.Properties)
	f.json("relations", &t.Relations)
	f.json("measures", &t.Measures)
	if t.Properties == nil {
		t.Properties = map[string]any{}
	}
	return t
}

// templateProperties is what a template's node holds.
func templateProperties(t *registry.Template) (map[string]any, error) {
	out := map[string]any{
		"id": string(t.ID), "keyFold": TemplateKey(t), "kind": string(t.Kind), "name": t.Name, "nameFold": Fold(t.Name),
		"version": t.Version, "status": string(t.Status), "description": t.Description, "required": t.Required, "createdAt": t.CreatedAt,
	}
	for name, value := range map[string]any{"properties": t.Properties, "relations": t.Relations, "measures": t.Measures} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", name, err)
		}
		out[name] = string(text)
	}
	return out, nil
}
