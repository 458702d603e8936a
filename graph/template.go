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
		WHERE t.account = $account AND t.kind = $kind AND t.nameFold = $nameFold AND t.version > 0 AND t.status IN $statuses
		RETURN properties(t) AS node ORDER BY t.version DESC LIMIT 1`)

	templateByVersion = named("template.byVersion", `
		MATCH (t:Template)
		WHERE t.account = $account AND t.keyFold = $key AND t.status IN $statuses
		RETURN properties(t) AS node`)

	templateVersions = named("template.versions", `
		UNWIND $ids AS id
		MATCH (one:Entity {id: id})
		WHERE one.account = $account AND one:Template
		RETURN collect({id: id, versions: COLLECT {
			MATCH (t:Template)
			WHERE t.account = $account AND t.kind = one.kind AND t.nameFold = one.nameFold AND t.version > 0
			RETURN properties(t) ORDER BY t.version DESC
		}}) AS templates`)

	templateUse = named("template.use", `
		UNWIND $ids AS id
		MATCH (one:Entity {id: id})
		WHERE one.account = $account AND one:Template
		RETURN collect({id: id, objects: COUNT { (one)<-[:INSTANCE_OF]-() },
			current: one.status = 'PUBLISHED' AND NOT EXISTS {
				MATCH (t:Template)
				WHERE t.account = $account AND t.kind = one.kind AND t.nameFold = one.nameFold AND t.version > one.version AND t.status = 'PUBLISHED'
			}}) AS templates`)

	templateCount = named("template.count", `
		MATCH (t:Template)
		WHERE t.account = $account AND t.keyFold IS NOT NULL AND t.status IN $statuses
		RETURN count(t) AS n`)

	templateCountOfKind = named("template.countOfKind", `
		MATCH (t:Template)
		WHERE t.account = $account AND t.kind = $kind AND t.keyFold IS NOT NULL AND t.status IN $statuses
		RETURN count(t) AS n`)

	templateList = listing{
		name: "template.list", match: "MATCH (n:Template) WHERE n.account = $account AND n.status IN $statuses",
		prefix: "n.account, ", key: "n.keyFold", item: "{node: properties(n)}",
	}.registered()

	templateListOfKind = listing{
		name: "template.listOfKind", match: "MATCH (n:Template) WHERE n.account = $account AND n.kind = $kind AND n.status IN $statuses",
		prefix: "n.account, n.kind, ", key: "n.keyFold", item: "{node: properties(n)}",
	}.registered()
)

// statuses are those that a template may have: the one that is asked for, or
// both.
func statuses(status *registry.TemplateStatus) []string {
	if status != nil {
		return []string{string(*status)}
	}
	return []string{string(registry.TemplateDraft), string(registry.TemplatePublished)}
}

// Template returns a template: that version of it, or the newest one of a
// status; published if none is given. As of a moment it is as it was then.
func (s *Store) Template(ctx context.Context, scope registry.Scope, kind registry.Kind, name string, version *int, status *registry.TemplateStatus) (*registry.Template, error) {
	if scope.AsOf != nil {
		return s.templateThen(ctx, scope, kind, name, version, status)
	}
	p := params{"kind": string(kind), "nameFold": Fold(name), "statuses": statuses(status)}
	q := templateNewest
	switch published := registry.TemplatePublished; {
	case version != nil:
		q, p["key"] = templateByVersion, templateKey(kind, name, *version)
	case status == nil:
		p["statuses"] = statuses(&published)
	}
	t, ok, err := one(ctx, s.reading(scope), q, p, s.templateIn(scope))
	return found(t, ok, err, "template", name)
}

// TemplatesByID returns templates, nil where there is none. Published ones come
// from memory once they have been read.
func (s *Store) TemplatesByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]*registry.Template, error) {
	known := make(map[registry.ID]*registry.Template, len(ids))
	if err := s.learnTemplates(ctx, s.reading(scope), scope, known, ids); err != nil {
		return nil, err
	}
	if scope.AsOf == nil {
		return slots(ids, known), nil
	}
	var deleted []registry.ID
	for _, id := range ids {
		if known[id] == nil {
			deleted = append(deleted, id)
		}
	}
	if len(deleted) > 0 {
		past, err := s.past(ctx, scope, deleted)
		if err != nil {
			return nil, err
		}
		for id, node := range past {
			if t, ok := node.(*registry.Template); ok {
				known[id] = t
			}
		}
	}
	return slots(ids, known), nil
}

// learnTemplates adds the templates that are not known yet. What does not exist
// becomes nil.
func (s *Store) learnTemplates(ctx context.Context, r runner, scope registry.Scope, known map[registry.ID]*registry.Template, ids []registry.ID) error {
	var unknown []registry.ID
	for _, id := range ids {
		if _, ok := known[id]; ok {
			continue
		}
		if t := s.templates.get(scope.Account, id); t != nil {
			known[id] = t.Template
			continue
		}
		known[id] = nil
		unknown = append(unknown, id)
	}
	if len(unknown) == 0 {
		return nil
	}
	_, err := all(ctx, r, templateByID, params{"ids": texts(unknown)}, func(f fields) struct{} {
		for _, node := range f.maps("templates") {
			t := s.template(node, scope.Account)
			known[t.ID] = t.Template
		}
		return struct{}{}
	})
	if err != nil {
		return fmt.Errorf("templates by id: %w", err)
	}
	return nil
}

// TemplateFilter narrows a list of templates. Empty fields do not.
type TemplateFilter struct {
	Kind   *registry.Kind
	Status *registry.TemplateStatus
}

// ListTemplates returns templates by kind, name and version.
func (s *Store) ListTemplates(ctx context.Context, scope registry.Scope, f TemplateFilter, page registry.PageRequest) (registry.Page[*registry.Template], error) {
	if scope.AsOf != nil {
		return s.listTemplatesThen(ctx, scope, f, page)
	}
	l, p := templateList, params{"statuses": statuses(f.Status)}
	if f.Kind != nil {
		l, p["kind"] = templateListOfKind, string(*f.Kind)
	}
	out, err := readPage(ctx, s.reading(scope), l, page, p, s.templateIn(scope))
	if err != nil {
		return out, fmt.Errorf("list templates: %w", err)
	}
	return out, nil
}

// CountTemplates counts what ListTemplates lists, the built-in ones included.
func (s *Store) CountTemplates(ctx context.Context, scope registry.Scope, f TemplateFilter) (int, error) {
	if scope.AsOf != nil {
		then, err := s.templatesThen(ctx, scope, f)
		return len(then), err
	}
	q, p := templateCount, params{"statuses": statuses(f.Status)}
	if f.Kind != nil {
		q, p["kind"] = templateCountOfKind, string(*f.Kind)
	}
	n, _, err := one(ctx, s.reading(scope), q, p, counted)
	if err != nil {
		return 0, fmt.Errorf("count templates: %w", err)
	}
	return n, nil
}

// TemplateVersions returns, for each template, all versions of its kind and
// name, newest first.
func (s *Store) TemplateVersions(ctx context.Context, scope registry.Scope, ids []registry.ID) ([][]*registry.Template, error) {
	if scope.AsOf != nil {
		return s.templateVersionsThen(ctx, scope, ids)
	}
	known := make(map[registry.ID][]*registry.Template, len(ids))
	_, err := all(ctx, s.reading(scope), templateVersions, params{"ids": texts(ids)}, func(f fields) struct{} {
		for _, item := range f.maps("templates") {
			id := item.id("id")
			for _, node := range item.maps("versions") {
				known[id] = append(known[id], s.template(node, scope.Account).Template)
			}
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("versions of templates: %w", err)
	}
	return slots(ids, known), nil
}

// TemplateUse is what a template is to objects.
type TemplateUse struct {
	// Current is true for the newest published version, which new objects get.
	Current bool
	// Objects are instances of this very version at this moment, as of whatever
	// other the template is asked.
	Objects int
}

// TemplateUses returns what templates are to objects.
func (s *Store) TemplateUses(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]TemplateUse, error) {
	known := make(map[registry.ID]TemplateUse, len(ids))
	_, err := all(ctx, s.reading(scope), templateUse, params{"ids": texts(ids)}, func(f fields) struct{} {
		for _, item := range f.maps("templates") {
			known[item.id("id")] = TemplateUse{item.boolean("current"), item.integer("objects")}
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("use of templates: %w", err)
	}
	out := slots(ids, known)
	if scope.AsOf == nil {
		return out, nil
	}
	current, err := s.currentThen(ctx, scope, ids)
	for i, is := range current {
		out[i].Current = is
	}
	return out, err
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
		ID: f.id("id"), Kind: registry.Kind(f.text("kind")), Name: f.text("name"), Version: f.integer("version"), Revision: 1,
		Status: registry.TemplateStatus(f.text("status")), Description: f.optionalText("description"),
		Properties: map[string]any{}, Required: someTexts(f, "required"), Components: someTexts(f, "components"), Searched: someTexts(f, "searched"),
		CreatedAt: f.time("createdAt"), PublishedAt: f.optionalTime("publishedAt"),
	}
	if revision := nullable[int64](f, "revision"); revision != nil {
		t.Revision = int(*revision)
	}
	if silence := nullable[int64](f, "silence"); silence != nil {
		t.SilenceSeconds = float64(*silence) / 1000
	}
	if one := nullable[bool](f, "oneAsset"); one != nil {
		t.OneAsset = *one
	}
	if provisioning := f.optionalText("provisioning"); provisioning != nil {
		t.Provisioning = registry.Provisioning(*provisioning)
	}
	t.Reported = someTexts(f, "reported")
	f.json("annotations", &t.Annotations)
	if open := nullable[bool](f, "open"); open != nil {
		t.Open = *open
	}
	f.json("properties", &t.Properties)
	f.json("relations", &t.Relations)
	f.json("measures", &t.Measures)
	f.json("commands", &t.Commands)
	f.json("alarms", &t.Alarms)
	f.json("decoder", &t.Decoder)
	if t.Properties == nil {
		t.Properties = map[string]any{}
	}
	return t
}

// someTexts is nil for an empty list too.
func someTexts(f fields, name string) []string {
	if list := f.texts(name); len(list) > 0 {
		return list
	}
	return nil
}

// templateProperties is what a template's node holds.
func templateProperties(t *registry.Template) (map[string]any, error) {
	out := map[string]any{
		"id": string(t.ID), "keyFold": TemplateKey(t), "kind": string(t.Kind), "name": t.Name, "nameFold": Fold(t.Name),
		"version": t.Version, "revision": t.Revision, "status": string(t.Status), "description": t.Description, "required": listed(t.Required),
		"components": listed(t.Components), "searched": listed(t.Searched), "createdAt": t.CreatedAt,
	}
	if t.PublishedAt != nil {
		out["publishedAt"] = *t.PublishedAt
	}
	out["silence"] = nil
	if silence := t.SilenceFor(); silence > 0 {
		out["silence"] = silence.Milliseconds()
	}
	out["oneAsset"] = nil
	if t.OneAsset {
		out["oneAsset"] = true
	}
	out["provisioning"], out["reported"], out["annotations"] = nil, nil, nil
	if t.Provisioning != "" {
		out["provisioning"] = string(t.Provisioning)
	}
	if len(t.Reported) > 0 {
		out["reported"] = t.Reported
	}
	if len(t.Annotations) > 0 {
		text, err := json.Marshal(t.Annotations)
		if err != nil {
			return nil, fmt.Errorf("template annotations: %w", err)
		}
		out["annotations"] = string(text)
	}
	// Templates of measures that are not kept for ever are found by that.
	out["kept"] = nil
	if t.Kept() {
		out["kept"] = true
	}
	// Templates that raise alarms are found by how many they declare.
	out["alarmed"] = nil
	if n := len(t.Alarms); n > 0 {
		out["alarmed"] = n
	}
	out["decoder"] = nil
	if t.Decoder != nil {
		text, err := json.Marshal(t.Decoder)
		if err != nil {
			return nil, fmt.Errorf("template decoder: %w", err)
		}
		out["decoder"] = string(text)
	}
	for name, value := range map[string]any{"properties": t.Properties, "relations": t.Relations, "measures": t.Measures, "commands": t.Commands, "alarms": t.Alarms} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", name, err)
		}
		out[name] = string(text)
	}
	return out, nil
}
