package jsonschema

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/holon-registry/holon/registry"
)

// circles tells which parts of a schema demand themselves of the same value,
// which no validator can decide. A schema that demands itself of a part of the
// value, such as an item, is a recursive structure and fine.
func circles(path string, document any) []registry.Violation {
	compiled, wrong := compile(path, document)
	if len(wrong) > 0 {
		return nil
	}
	f := circleFinder{path: path, document: document, open: map[*jsonschema.Schema]bool{}, todo: []*jsonschema.Schema{compiled}}
	for len(f.todo) > 0 {
		next := f.todo[0]
		f.todo = f.todo[1:]
		if _, known := f.open[next]; !known {
			f.visit(next)
		}
	}
	return f.found
}

type circleFinder struct {
	path     string
	document any
	// open has the schemas that were visited: true for those on the way to the
	// one that is visited now.
	open map[*jsonschema.Schema]bool
	// todo are schemas of parts of the value.
	todo  []*jsonschema.Schema
	found []registry.Violation
}

func (f *circleFinder) visit(s *jsonschema.Schema) {
	f.open[s] = true
	for _, next := range ofSameValue(s) {
		switch open, known := f.open[next]; {
		case !known:
			f.visit(next)
		case open:
			f.found = append(f.found, contradiction(f.placeOf(s, next), "no value can be: the schema leads back to itself for the same value; refer to it from properties or items"))
		}
	}
	f.open[s] = false
	f.todo = append(f.todo, ofParts(s)...)
}

// placeOf is the path of what in a schema leads to the next one.
func (f *circleFinder) placeOf(s, next *jsonschema.Schema) string {
	_, fragment, _ := strings.Cut(s.Location, "#")
	tokens := strings.Split(fragment, "/")[1:]
	for i, token := range tokens {
		if plain, err := url.PathUnescape(token); err == nil {
			token = plain
		}
		tokens[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
	}
	if s.Ref == next {
		tokens = append(tokens, "$ref")
	}
	return pointer(f.path, f.document, tokens)
}

// ofSameValue are the schemas that are held against the value that a schema is
// held against.
func ofSameValue(s *jsonschema.Schema) []*jsonschema.Schema {
	out := slices.Concat([]*jsonschema.Schema{s.Ref, s.Not, s.If, s.Then, s.Else}, s.AllOf, s.AnyOf, s.OneOf, byName(s.DependentSchemas))
	if s.DynamicRef != nil {
		out = append(out, s.DynamicRef.Ref)
	}
	return slices.DeleteFunc(out, isAbsent)
}

// ofParts are the schemas that are held against parts of a value.
func ofParts(s *jsonschema.Schema) []*jsonschema.Schema {
	out := slices.Concat([]*jsonschema.Schema{s.Contains, s.Items2020, s.UnevaluatedItems, s.PropertyNames, s.UnevaluatedProperties, s.ContentSchema},
		s.PrefixItems, byName(s.Properties), slices.Collect(maps.Values(s.PatternProperties)))
	if additional, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		out = append(out, additional)
	}
	return slices.DeleteFunc(out, isAbsent)
}

func isAbsent(s *jsonschema.Schema) bool { return s == nil }

func byName(schemas map[string]*jsonschema.Schema) []*jsonschema.Schema {
	out := make([]*jsonschema.Schema, 0, len(schemas))
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		out = append(out, schemas[name])
	}
	return out
}
