package jsonschema

import (
	"maps"
	"math"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// A default is the value that an object gets for a property when it is made
// without one. That of a part of a property is documentation only, as JSON
// Schema has it.

// takeDefault notes the default of a property, or what is wrong with it.
func (s *Schema) takeDefault(path, name string, document any) {
	object, _ := document.(map[string]any)
	given, has := object["default"]
	if !has || given == nil || s.properties[name] == nil {
		return
	}
	value, violation := Plain(path, given)
	if violation != nil {
		s.wrongDefaults = append(s.wrongDefaults, *violation)
		return
	}
	value = whole(value)
	if wrong := violationsOf(path, value, s.properties[name]); len(wrong) > 0 {
		s.wrongDefaults = append(s.wrongDefaults, wrong...)
		return
	}
	s.defaults[name] = value
}

// WrongDefaults tells which defaults their own schemas do not let through.
func (s *Schema) WrongDefaults() []registry.Violation { return s.wrongDefaults }

// Default returns the default of a property; false if it has none.
func (s *Schema) Default(name string) (any, bool) {
	value, has := s.defaults[name]
	return value, has
}

// Defaults are the names of the properties that have one, in order.
func (s *Schema) Defaults() []string { return slices.Sorted(maps.Keys(s.defaults)) }

// Requires says whether every object has a property.
func (s *Schema) Requires(name string) bool { return slices.Contains(s.required, name) }

// whole makes whole numbers of fractions that are none: those of a schema that
// was kept as JSON.
func whole(value any) any {
	switch v := value.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = whole(v[name])
		}
	}
	return value
}
