package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/holon-registry/holon/registry"
)

var (
	profileByKey = named("profile.byKey", `
		MATCH (p:Profile)
		WHERE p.account = $account AND p.keyFold = $key
		RETURN `+profileItem("p")+` AS profile`)

	profileByID = named("profile.byID", `
		MATCH (p:Entity {id: $id})
		WHERE p.account = $account AND p:Profile
		RETURN `+profileItem("p")+` AS profile`)

	// The kind and the template, if they are given, begin the key.
	profileList = listing{
		name: "profile.list", match: "MATCH (n:Profile) WHERE n.account = $account AND n.keyFold STARTS WITH $prefix AND n.templateFold = coalesce($template, n.templateFold)",
		prefix: "n.account, ", key: "n.keyFold", item: profileItem("n"),
	}.registered()

	profileCount = named("profile.count", profileList.match+"\nRETURN count(n) AS n")

	templateNewestOf = named("template.newestOf", `
		UNWIND $newest AS wanted
		CALL (wanted) {
			MATCH (t:Template)
			WHERE t.account = $account AND t.kind = wanted.kind AND t.nameFold = wanted.nameFold AND t.version > 0 AND t.status = 'PUBLISHED'
			RETURN t ORDER BY t.version DESC LIMIT 1
		}
		RETURN collect({node: properties(t)}) AS templates`)
)

// Profile returns a profile of a template.
func (s *Store) Profile(ctx context.Context, scope registry.Scope, ref registry.ProfileRef) (*registry.Profile, error) {
	if scope.AsOf != nil {
		return s.pastProfile(ctx, scope, ref)
	}
	p, err := s.profile(ctx, s.reading(scope), ref)
	if err != nil {
		return nil, fmt.Errorf("read a profile: %w", err)
	}
	return p, nil
}

func (s *Store) profile(ctx context.Context, r runner, ref registry.ProfileRef) (*registry.Profile, error) {
	q, p, key := profileByKey, params{"key": profileKey(ref.Kind, ref.Template, ref.Name)}, ref.Name
	if ref.ID != "" {
		q, p, key = profileByID, params{"id": string(ref.ID)}, string(ref.ID)
	}
	profile, ok, err := one(ctx, r, q, p, func(f fields) *registry.Profile { return profileOf(f.nested("profile")) })
	if err == nil && !ok {
		err = registry.NotFound("profile", key)
	}
	return profile, err
}

// ProfileFilter narrows a list of profiles. Empty fields do not.
type ProfileFilter struct {
	Kind     *registry.Kind
	Template *string
}

func (f ProfileFilter) params() params {
	p := params{"prefix": "", "template": nil}
	if f.Template != nil {
		p["template"] = Fold(*f.Template)
	}
	if f.Kind != nil {
		prefix := noun(*f.Kind) + "/"
		if f.Template != nil {
			prefix += Fold(*f.Template) + "/"
		}
		p["prefix"] = prefix
	}
	return p
}

// ListProfiles returns profiles by kind, template and name.
func (s *Store) ListProfiles(ctx context.Context, scope registry.Scope, f ProfileFilter, page registry.PageRequest) (registry.Page[*registry.Profile], error) {
	if scope.AsOf != nil {
		return pastObjects(ctx, s, scope, registry.ObjectProfile, f.fits(), page)
	}
	out, err := pageWith(ctx, s.reading(scope), profileList, page, Fold(page.Key), f.params(), profileOf)
	if err != nil {
		return out, fmt.Errorf("list profiles: %w", err)
	}
	return out, nil
}

// CountProfiles counts what ListProfiles lists.
func (s *Store) CountProfiles(ctx context.Context, scope registry.Scope, f ProfileFilter) (int, error) {
	if scope.AsOf != nil {
		return countPastObjects(ctx, s, scope, registry.ObjectProfile, f.fits())
	}
	n, _, err := one(ctx, s.reading(scope), profileCount, f.params(), counted)
	if err != nil {
		return 0, fmt.Errorf("count profiles: %w", err)
	}
	return n, nil
}

// NewestTemplates returns the newest published version of each template, nil
// where there is none.
func (s *Store) NewestTemplates(ctx context.Context, scope registry.Scope, refs []registry.TemplateRef) ([]*registry.Template, error) {
	if scope.AsOf != nil {
		return s.newestThen(ctx, scope, refs)
	}
	wanted := make([]any, len(refs))
	for i, ref := range refs {
		wanted[i] = map[string]any{"kind": string(ref.Kind), "nameFold": Fold(ref.Name)}
	}
	known := make(map[templateName]*registry.Template, len(refs))
	_, err := all(ctx, s.reading(scope), templateNewestOf, params{"newest": wanted}, func(f fields) struct{} {
		for _, item := range f.maps("templates") {
			t := s.templateIn(scope)(item)
			known[templateName{t.Kind, Fold(t.Name)}] = t
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("newest templates: %w", err)
	}
	out := make([]*registry.Template, len(refs))
	for i, ref := range refs {
		out[i] = known[templateName{ref.Kind, Fold(ref.Name)}]
	}
	return out, nil
}

func profileKey(kind registry.Kind, template, name string) string {
	return Fold(registry.ProfileKey(kind, template, name))
}

// profileName names the profile p in what is told of it.
const profileName = "toLower(p.kind) + '/' + p.template + '/' + p.name"

// profileItem is the profile in a variable with what its relations lead to.
func profileItem(v string) string {
	return strings.ReplaceAll(`{node: properties(NODE), ends: [(NODE)-[r:GIVES]->(o:Group|Device|Asset) |
			{name: r.name, direction: r.direction, kind: `+kindOfNode+`, id: o.id, key: coalesce(o.path, o.reference)}]}`, "NODE", v)
}

// profileOf reads a profile with what its relations lead to.
func profileOf(item fields) *registry.Profile {
	f := item.nested("node")
	p := &registry.Profile{
		Object: objectOf(f), Kind: registry.Kind(f.text("kind")), TemplateName: f.text("template"), Name: f.text("name"),
		Description: f.optionalText("description"),
	}
	// Whole numbers are to stay whole.
	decoder := json.NewDecoder(strings.NewReader(f.text("attributes")))
	decoder.UseNumber()
	var attributes map[string]any
	err := decoder.Decode(&attributes)
	plain, wrong := plainAttributes(p.Kind, attributes)
	if err != nil || len(wrong) > 0 {
		f.failed("profile %s is broken", p.ID)
	}
	p.Attributes = plain
	for _, end := range item.maps("ends") {
		p.Ends = append(p.Ends, registry.ProfileEnd{
			Relation: end.text("name"), Direction: registry.Direction(end.text("direction")), Kind: registry.Kind(end.text("kind")), ID: end.id("id"), Key: end.text("key"),
		})
	}
	p.Ends = registry.SortEnds(p.Ends)
	return p
}
