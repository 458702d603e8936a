package jsonschema

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// A schema may be one by the letter of JSON Schema and let nothing through.
// Whoever writes such a thing means something else.

// bounds are pairs of keywords whose first may not be above the second, or not
// even reach it.
var bounds = []struct {
	low, high string
	apart     bool
}{
	{"minimum", "maximum", false},
	{"minimum", "exclusiveMaximum", true},
	{"exclusiveMinimum", "maximum", true},
	{"exclusiveMinimum", "exclusiveMaximum", true},
	{"minLength", "maxLength", false},
	{"minItems", "maxItems", false},
	{"minContains", "maxContains", false},
	{"minProperties", "maxProperties", false},
}

// Contradictions tells where a property's schema, which is one, contradicts
// itself, with a path such as "properties.colour.enum", or would not be kept as it
// is written.
func Contradictions(path string, document any) []registry.Violation {
	document, violation := Plain(path, document)
	if violation != nil {
		return []registry.Violation{*violation}
	}
	out := append(rounded(path, document), circles(path, document)...)
	if object, ok := document.(map[string]any); ok {
		out = append(out, contradictions(path, object, true)...)
	}
	return out
}

// rounded tells which whole numbers a schema would not keep: its numbers are
// kept as fractions.
func rounded(path string, value any) []registry.Violation {
	var out []registry.Violation
	switch v := value.(type) {
	case int64:
		if int64(float64(v)) != v {
			out = append(out, registry.Violation{Path: path, Rule: "range", Message: fmt.Sprintf("%d would be rounded: a schema keeps whole numbers up to %d", v, 1<<53)})
		}
	case []any:
		for i, item := range v {
			out = append(out, rounded(fmt.Sprintf("%s[%d]", path, i), item)...)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(out, rounded(path+"."+name, v[name])...)
		}
	}
	return out
}

func contradictions(path string, schema map[string]any, whole bool) []registry.Violation {
	out := contraryBounds(path, schema)
	out = append(out, contraryRequired(path, schema)...)
	out = append(out, contraryValues(path, schema)...)
	if !whole { // that of a whole property is one of WrongDefaults
		out = append(out, contraryDefault(path, schema)...)
	}
	for _, name := range slices.Sorted(maps.Keys(schema)) {
		if name == "not" || name == "if" {
			continue // what lets nothing through means something there
		}
		inside(path+"."+name, name, schema[name], func(path string, inner any) {
			if object, ok := inner.(map[string]any); ok {
				out = append(out, contradictions(path, object, false)...)
			}
		})
	}
	return out
}

func contraryBounds(path string, schema map[string]any) []registry.Violation {
	var out []registry.Violation
	for _, b := range bounds {
		low, hasLow := number(schema[b.low])
		high, hasHigh := number(schema[b.high])
		if hasLow && hasHigh && (low > high || b.apart && low == high) {
			out = append(out, contradiction(path+"."+b.high, "no value can be: %s is %v, %s is %v", b.low, schema[b.low], b.high, schema[b.high]))
		}
	}
	return out
}

// contraryRequired tells what is required and not allowed.
func contraryRequired(path string, schema map[string]any) []registry.Violation {
	var out []registry.Violation
	required, _ := schema["required"].([]any)
	if most, ok := number(schema["maxProperties"]); ok && float64(len(required)) > most {
		out = append(out, contradiction(path+".maxProperties", "no object can be: %d properties are required", len(required)))
	}
	if schema["additionalProperties"] != false {
		return out
	}
	properties, _ := schema["properties"].(map[string]any)
	patterns, _ := schema["patternProperties"].(map[string]any)
	for i, item := range required {
		name, _ := item.(string)
		if _, declared := properties[name]; declared || matchesAny(patterns, name) {
			continue
		}
		out = append(out, contradiction(fmt.Sprintf("%s.required[%d]", path, i), "%q is required, but not among the properties, and additionalProperties is false", name))
	}
	return out
}

func matchesAny(patterns map[string]any, name string) bool {
	for pattern := range patterns {
		if matched, err := regexp.MatchString(pattern, name); err != nil || matched {
			return true
		}
	}
	return false
}

// contraryValues tells of what a schema enumerates and does not let through. One
// that refers to another place is let be: that place is not known here.
func contraryValues(path string, schema map[string]any) []registry.Violation {
	keyword := "enum"
	values, has := schema[keyword].([]any)
	if constant, is := schema["const"]; is {
		keyword, values, has = "const", []any{constant}, true
	}
	if !has {
		return nil
	}
	allowed := func(v any) bool { return len(CheckValue(path, schema, v)) == 0 }
	if refers(schema) && len(values) > 0 || slices.ContainsFunc(values, allowed) {
		return nil
	}
	return []registry.Violation{contradiction(path+"."+keyword, "no value can be: the rest of the schema allows none of these %d", len(values))}
}

// contraryDefault tells of the default of a part that its schema does not let
// through.
func contraryDefault(path string, schema map[string]any) []registry.Violation {
	given := schema["default"]
	if given == nil || refers(schema) {
		return nil
	}
	compiled, wrong := compile(path, schema)
	if len(wrong) > 0 {
		return nil
	}
	return violationsOf(path+".default", given, compiled)
}

// refers says whether something in a schema is said elsewhere.
func refers(schema any) bool {
	switch v := schema.(type) {
	case map[string]any:
		return v["$ref"] != nil || v["$dynamicRef"] != nil || slices.ContainsFunc(slices.Collect(maps.Values(v)), refers)
	case []any:
		return slices.ContainsFunc(v, refers)
	}
	return false
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

func contradiction(path, format string, args ...any) registry.Violation {
	return registry.Violation{Path: path, Rule: "contradiction", Message: fmt.Sprintf(format, args...)}
}
