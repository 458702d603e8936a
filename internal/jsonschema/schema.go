package jsonschema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/holon-registry/holon/registry"
)

// draft is the only dialect.
const draft = "https://json-schema.org/draft/2020-12/schema"

// Schema is what a template demands of attributes. It is safe for concurrent
// use.
type Schema struct {
	properties    map[string]*jsonschema.Schema
	required      []string
	defaults      map[string]any
	wrongDefaults []registry.Violation
}

// Compile checks and compiles the JSON Schema of each property. It returns a
// violation for each that is none, with a path such as
// "properties.colour.minimum".
func Compile(properties map[string]any, required []string) (*Schema, []registry.Violation) {
	s := &Schema{properties: make(map[string]*jsonschema.Schema, len(properties)), required: required, defaults: map[string]any{}}
	var violations []registry.Violation
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		compiled, wrong := compile("properties."+name, properties[name])
		violations = append(violations, wrong...)
		s.properties[name] = compiled
		s.takeDefault("properties."+name+".default", name, properties[name])
	}
	for i, name := range required {
		if _, ok := properties[name]; !ok {
			violations = append(violations, registry.Violation{
				Path: fmt.Sprintf("required[%d]", i), Rule: "undeclared", Message: fmt.Sprintf("%q is not among the properties", name),
			})
		}
	}
	return s, violations
}

func compile(path string, document any) (*jsonschema.Schema, []registry.Violation) {
	document, violation := Plain(path, document)
	if violation != nil {
		return nil, []registry.Violation{*violation}
	}
	if object, ok := document.(map[string]any); ok && object["$schema"] != nil && object["$schema"] != draft {
		return nil, []registry.Violation{{Path: path + ".$schema", Rule: "$schema", Message: "only " + draft + " is known"}}
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	compiler.UseLoader(nowhere{})
	const address = "holon:property"
	if err := compiler.AddResource(address, document); err != nil {
		return nil, []registry.Violation{{Path: path, Rule: "schema", Message: "is not a JSON Schema"}}
	}
	compiled, err := compiler.Compile(address)
	if err != nil {
		return nil, schemaViolations(path, document, err)
	}
	return compiled, unknownKeywords(path, document)
}

// schemaViolations says what is wrong with a schema.
func schemaViolations(path string, document any, err error) []registry.Violation {
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if tree, ok := errors.AsType[*jsonschema.ValidationError](invalid.Err); ok {
			if found := leaves(path, document, tree); len(found) > 0 {
				return found
			}
		}
	}
	if _, ok := errors.AsType[*jsonschema.LoadURLError](err); ok || errors.Is(err, errNowhere) {
		return []registry.Violation{{Path: path, Rule: "$ref", Message: "a $ref leads to a place in the same schema, such as #/$defs/name: nothing is fetched"}}
	}
	if regex, ok := errors.AsType[*jsonschema.InvalidRegexError](err); ok {
		return []registry.Violation{{Path: path, Rule: "pattern", Message: fmt.Sprintf("%q is not a regular expression in RE2 syntax", regex.Regex)}}
	}
	return []registry.Violation{{Path: path, Rule: "schema", Message: "is not a JSON Schema whose references lead somewhere"}}
}

// Check returns everything that is wrong with attributes, which must be plain
// (see Plain). Paths begin with "attributes.".
func (s *Schema) Check(attributes map[string]any) []registry.Violation {
	var violations []registry.Violation
	for _, name := range s.required {
		if _, ok := attributes[name]; !ok {
			violations = append(violations, registry.Violation{Path: "attributes." + name, Rule: "required", Message: "is required by the template"})
		}
	}
	return append(violations, s.CheckGiven(attributes)...)
}

// CheckGiven is Check for attributes of which some may be given later: none is
// required.
func (s *Schema) CheckGiven(attributes map[string]any) []registry.Violation {
	var violations []registry.Violation
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		path, value := "attributes."+name, attributes[name]
		compiled, ok := s.properties[name]
		if !ok {
			violations = append(violations, registry.Violation{Path: path, Rule: "undeclared", Message: "the template declares no such attribute"})
			continue
		}
		violations = append(violations, violationsOf(path, value, compiled)...)
	}
	return violations
}

// violationsOf returns what a schema has against a plain value.
func violationsOf(path string, value any, schema *jsonschema.Schema) []registry.Violation {
	if tree, ok := errors.AsType[*jsonschema.ValidationError](schema.Validate(value)); ok {
		return leaves(path, value, tree)
	}
	return nil
}

var errNowhere = errors.New("nothing is fetched")

// nowhere is a loader that fetches nothing.
type nowhere struct{}

func (nowhere) Load(string) (any, error) { return nil, errNowhere }

// pointer writes a place in a value as a path: "address.lines[2]".
func pointer(path string, value any, tokens []string) string {
	var b strings.Builder
	b.WriteString(path)
	for _, token := range tokens {
		switch v := value.(type) {
		case []any:
			b.WriteString("[" + token + "]")
			value = nil
			var i int
			if _, err := fmt.Sscanf(token, "%d", &i); err == nil && i >= 0 && i < len(v) {
				value = v[i]
			}
		case map[string]any:
			b.WriteString("." + token)
			value = v[token]
		default:
			b.WriteString("." + token)
		}
	}
	return b.String()
}
