package rule

import (
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// WithPart is a template that declares a part of one of its measures, such as
// "pump.speed" or "place.latitude", as a measure of its own that is computed from
// the whole; nil if the name is not that of a part. INVALID if there is no such
// part, or if it is no number.
func WithPart(t *registry.Template, name string) (*registry.Template, error) {
	whole, part, parts := strings.Cut(name, ".")
	declared := t.Declared(whole)
	if !parts || declared == nil {
		return nil, nil
	}
	if kind, problem := (input{field: field{measure: name}}).problem(t); problem != "" {
		return nil, registry.InvalidField("measure", kind, "%s", problem)
	}
	out := *t
	out.Measures = append(slices.Clone(t.Measures), registry.MeasureDeclaration{
		Name: name, ValueType: registry.ValueNumber, Unit: unitOfPart(declared, part), Computed: "measures." + name,
	})
	return &out, nil
}

// unitOfPart is the unit of a composite's field, empty where there is none.
func unitOfPart(of *registry.MeasureDeclaration, part string) string {
	for _, f := range of.Fields {
		if f.Name == part {
			return f.Unit
		}
	}
	return ""
}
