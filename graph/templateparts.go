package graph

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/decode"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
	"github.com/holon-registry/holon/unit"
)

// What a template's definition refers to: measure types, other templates, and
// names that the database has to keep.

var (
	templateKnown = named("template.known", `
		RETURN COLLECT {
			UNWIND $measureTypes AS key
			MATCH (m:MeasureType)
			WHERE m.account = $account AND m.keyFold = key
			RETURN {node: properties(m)}
		} AS measureTypes, COLLECT {
			UNWIND $templates AS wanted
			MATCH (t:Template)
			WHERE t.account = $account AND t.kind = wanted.kind AND t.nameFold = wanted.nameFold AND t.version > 0 AND t.status = 'PUBLISHED'
			RETURN DISTINCT {kind: t.kind, nameFold: t.nameFold, name: t.name}
		} AS templates`)

	templateSearched = named("template.searched", `
		MATCH (t:Template)
		WHERE t.account = $account AND t.keyFold IS NOT NULL AND t.status = 'PUBLISHED' AND size(t.searched) > 0
		UNWIND t.searched AS name
		RETURN collect(DISTINCT t.kind + '.' + name) AS names`)
)

// named templates are told apart by kind and folded name.
type templateName struct {
	kind registry.Kind
	fold string
}

// prepareTemplate makes a version of a definition, with the value types of its
// measures and with other templates' names as they are written, if all of that
// exists.
func (s *Store) prepareTemplate(ctx context.Context, tx *transaction, n registry.NewTemplate) (*registry.Template, []registry.ID, error) {
	keys := []string{}
	for _, m := range n.Measures {
		if _, builtIn := registry.BuiltInMeasureTypes[strings.ToLower(m.Type)]; !builtIn {
			keys = append(keys, Fold(m.Type))
		}
	}
	slices.Sort(keys)
	type answer struct {
		types     map[string]*registry.MeasureType
		templates map[templateName]string
	}
	known, _, err := one(ctx, tx, templateKnown, params{"measureTypes": slices.Compact(keys), "templates": templatesNamed(n)}, func(f fields) answer {
		out := answer{map[string]*registry.MeasureType{}, map[templateName]string{}}
		for _, item := range f.maps("measureTypes") {
			m := measureTypeOf(item)
			out.types[Fold(m.Name)] = m
		}
		for _, item := range f.maps("templates") {
			out.templates[templateName{registry.Kind(item.text("kind")), item.text("nameFold")}] = item.text("name")
		}
		return out
	})
	if err != nil {
		return nil, nil, err
	}
	// A template may name itself from the start.
	known.templates[templateName{n.Kind, Fold(n.Name)}] = n.Name
	t := &registry.Template{
		Kind: n.Kind, Name: n.Name, Description: n.Description, Properties: n.Properties, Required: n.Required,
		Relations: slices.Clone(n.Relations), Components: slices.Clone(n.Components), Searched: n.Searched,
		Annotations: n.Annotations, Behaviour: n.Behaviour,
	}
	violations := resolve(t, known.templates)
	for i, m := range n.Measures {
		declared, violation := declare(fmt.Sprintf("measures[%d]", i), m, known.types)
		if violation != nil {
			violations = append(violations, *violation)
		}
		t.Measures = append(t.Measures, declared)
	}
	violations = append(violations, rule.CheckComputed(t)...)
	violations = append(violations, rule.CheckAlarms(t)...)
	if violations = append(violations, decode.Check(t)...); len(violations) > 0 {
		return nil, nil, registry.Invalid(violations...)
	}
	ids := []registry.ID{}
	for _, key := range slices.Sorted(maps.Keys(known.types)) {
		ids = append(ids, known.types[key].ID)
	}
	return t, ids, nil
}

// templatesNamed are the templates that a definition names, once each.
func templatesNamed(n registry.NewTemplate) []any {
	seen := map[templateName]bool{}
	out := []any{}
	add := func(kind registry.Kind, names []string) {
		for _, name := range names {
			if key := (templateName{kind, Fold(name)}); !seen[key] {
				seen[key] = true
				out = append(out, map[string]any{"kind": string(kind), "nameFold": key.fold})
			}
		}
	}
	for _, relation := range n.Relations {
		add(relation.Kind, relation.Templates)
	}
	add(registry.KindDevice, n.Components)
	return out
}

// resolve writes the templates that a template names as they are called, and
// tells which do not exist.
func resolve(t *registry.Template, known map[templateName]string) []registry.Violation {
	var violations []registry.Violation
	written := func(path string, kind registry.Kind, names []string) []string {
		out := slices.Clone(names)
		for i, name := range names {
			var ok bool
			if out[i], ok = known[templateName{kind, Fold(name)}]; !ok {
				violations = append(violations, registry.Violation{
					Path: fmt.Sprintf("%s[%d]", path, i), Rule: "unknown", Message: fmt.Sprintf("there is no published template %q for %ss", name, noun(kind)),
				})
			}
		}
		return out
	}
	for i, relation := range t.Relations {
		t.Relations[i].Templates = written(fmt.Sprintf("relations[%d].templates", i), relation.Kind, relation.Templates)
	}
	t.Components = written("components", registry.KindDevice, t.Components)
	return violations
}

// declare fills in what a measure has from its type.
func declare(path string, m registry.MeasureDeclaration, types map[string]*registry.MeasureType) (registry.MeasureDeclaration, *registry.Violation) {
	if builtIn, ok := registry.BuiltInMeasureTypes[strings.ToLower(m.Type)]; ok {
		m.Type, m.ValueType, m.Values, m.Fields = strings.ToLower(m.Type), builtIn, nil, nil
		return m, m.CheckNumeric(path)
	}
	of, ok := types[Fold(m.Type)]
	if !ok {
		return m, &registry.Violation{Path: path + ".type", Rule: "unknown", Message: fmt.Sprintf("there is no measure type %q: make it, or use number, boolean, string or location", m.Type)}
	}
	m.Type, m.ValueType, m.Values, m.Fields = of.Name, of.ValueType, of.Values, of.Fields
	if of.Unit != nil {
		if m.Unit != "" && m.Unit != *of.Unit {
			if _, err := unit.Convert(m.Unit, *of.Unit); err != nil {
				return m, &registry.Violation{Path: path + ".unit", Rule: "unit", Message: fmt.Sprintf("measure type %s is in %s: %s", of.Name, *of.Unit, err)}
			}
		} else {
			m.Unit = *of.Unit
		}
	}
	return m, m.CheckNumeric(path)
}

// claimTemplate claims what the objects of a template will bring into the
// database when it is published: names, and indexes for what is searched.
func (s *Store) claimTemplate(ctx context.Context, tx runner, t *registry.Template) (committed func(), err error) {
	relations := make([]string, len(t.Relations))
	for i, relation := range t.Relations {
		relations[i] = relationType(relation.Name)
	}
	if err := claimSearched(ctx, tx, t); err != nil {
		return nil, err
	}
	names := slices.Collect(maps.Keys(t.Properties))
	for i := range t.Measures {
		for _, field := range t.Measures[i].Fields {
			names = append(names, field.Name) // they are properties of measurements
		}
	}
	return s.claimBoth(ctx, tx, relations, names)
}

func claimSearched(ctx context.Context, tx runner, t *registry.Template) error {
	if len(t.Searched) == 0 {
		return nil
	}
	all, _, err := one(ctx, tx, templateSearched, nil, func(f fields) []string { return f.texts("names") })
	if err != nil {
		return fmt.Errorf("count searched properties: %w", err)
	}
	for _, name := range t.Searched {
		if name = string(t.Kind) + "." + name; !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	if len(all) > registry.MaxSearched {
		return registry.LimitExceeded("the templates of an account declare at most %d properties searched: with this one it would be %d", registry.MaxSearched, len(all))
	}
	return nil
}
