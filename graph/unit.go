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
	declared := ""
	templates, err := s.TemplatesByID(ctx, scope, []registry.ID{template})
	if err != nil {
		return nil, err
	}
	if templates[0] != nil {
		if m := templates[0].Declared(measure); m != nil {
			declared = m.Unit
		}
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
