package graph

import (
	"cmp"
	"context"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/unit"
)

// conversions turns numbers of several units into one: the unit that is asked
// for, else that of the twin's template, else what they are in. It is INVALID to
// ask for a unit that they cannot be turned into.
func (s *Store) conversions(ctx context.Context, scope registry.Scope, template registry.ID, measure, asked string, from []string) (map[string]unit.Conversion, error) {
	declared, err := s.declaredUnit(ctx, scope, template, measure)
	if err != nil {
		return nil, err
	}
	out := make(map[string]unit.Conversion, len(from))
	for _, code := range from {
		c, err := unit.Convert(cmp.Or(code, declared), cmp.Or(asked, declared))
		switch {
		case asked != "" && code == "" && declared == "":
			return nil, registry.InvalidField("unit", "unit", "measure %s has no unit", measure)
		case err != nil && asked != "":
			return nil, registry.InvalidField("unit", "unit", "%s", err.Error())
		case err != nil:
			c = unit.Same // a template that was published before units were checked
		}
		out[code] = c
	}
	return out, nil
}

// declaredUnit is the unit that a template declares of a measure, empty if it
// declares none.
func (s *Store) declaredUnit(ctx context.Context, scope registry.Scope, template registry.ID, measure string) (string, error) {
	templates, err := s.TemplatesByID(ctx, scope, []registry.ID{template})
	if err != nil || templates[0] == nil {
		return "", err
	}
	if m := templates[0].Declared(measure); m != nil {
		return m.Unit, nil
	}
	return "", nil
}
