package graph

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
)

// encodedProperty lists the attributes that are kept as JSON text.
const encodedProperty = "encoded"

// plainAttributes checks the names of attributes and makes their values plain.
// A null is kept: in a patch it clears.
func plainAttributes(kind registry.Kind, attributes registry.Attributes) (map[string]any, []registry.Violation) {
	out := make(map[string]any, len(attributes))
	var violations []registry.Violation
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		path := "attributes." + name
		violation := registry.CheckAttributeName(path, kind, name)
		if violation == nil {
			out[name], violation = jsonschema.Plain(path, attributes[name])
		}
		if violation != nil {
			violations = append(violations, *violation)
		}
	}
	return out, violations
}

// merge applies a JSON merge patch (RFC 7386): objects merge, null removes,
// everything else replaces. It changes neither of its arguments.
func merge(target, patch map[string]any) map[string]any {
	out := maps.Clone(target)
	if out == nil {
		out = map[string]any{}
	}
	for name, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(out, name)
		case map[string]any:
			inner, _ := out[name].(map[string]any)
			out[name] = merge(inner, value)
		default:
			out[name] = value
		}
	}
	return out
}

// properties turns attributes into what the database can keep: scalars and
// lists of one scalar type as they are, objects flattened to "address.city",
// the rest as JSON text, whose names are in the property "encoded".
func properties(attributes map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(attributes)+1)
	var encoded []any
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if err := flatten(name, attributes[name], out, &encoded); err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	if len(encoded) > 0 {
		out[encodedProperty] = encoded
	}
	return out, nil
}

func flatten(name string, value any, out map[string]any, encoded *[]any) error {
	switch v := value.(type) {
	case nil:
		return nil
	case bool, string, int64, float64:
		out[name] = v
		return nil
	case []any:
		if list, ok := nativeList(v); ok {
			out[name] = list
			return nil
		}
	case map[string]any:
		if flattens(v) {
			for _, part := range slices.Sorted(maps.Keys(v)) {
				if err := flatten(name+"."+part, v[part], out, encoded); err != nil {
					return err
				}
			}
			return nil
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	out[name] = string(text)
	*encoded = append(*encoded, name)
	return nil
}

// flattens says whether an object can be kept as several properties: it has
// some, and their names can be told apart again.
func flattens(object map[string]any) bool {
	for name, value := range object {
		if !registry.AttributeName(name) || value == nil {
			return false
		}
	}
	return len(object) > 0
}

// nativeList returns a list as the database keeps it, false if its items have
// several types. Whole numbers become fractions beside fractions, if they stay the
// same.
func nativeList(list []any) ([]any, bool) {
	if len(list) == 0 {
		return nil, false
	}
	var texts, booleans, wholes, fractions int
	for _, item := range list {
		switch item.(type) {
		case string:
			texts++
		case bool:
			booleans++
		case int64:
			wholes++
		case float64:
			fractions++
		}
	}
	switch n := len(list); {
	case texts == n || booleans == n || wholes == n || fractions == n:
		return list, true
	case wholes+fractions == n:
		numbers := make([]any, n)
		for i, item := range list {
			if whole, ok := item.(int64); ok {
				if numbers[i] = float64(whole); !exact(whole) {
					return nil, false
				}
			} else {
				numbers[i] = item
			}
		}
		return numbers, true
	}
	return nil, false
}

// exact says whether a fraction holds a whole number as it is.
func exact(whole int64) bool { return -1<<53 <= whole && whole <= 1<<53 }

// attributesOf turns a node's properties back into attributes.
func attributesOf(f fields, kind registry.Kind) registry.Attributes {
	encoded := f.texts(encodedProperty)
	out := registry.Attributes{}
	for name, value := range f.object {
		top, _, _ := strings.Cut(name, ".")
		if registry.BuiltInAttribute(kind, top) {
			continue
		}
		if slices.Contains(encoded, name) {
			value = f.plain(name)
		}
		put(out, strings.Split(name, "."), value)
	}
	return out
}

func put(object map[string]any, path []string, value any) {
	for _, part := range path[:len(path)-1] {
		inner, ok := object[part].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[part] = inner
		}
		object = inner
	}
	object[path[len(path)-1]] = value
}

// changes says what has to be set to get from the attributes that a node has to
// new ones; null removes a property.
func changes(node fields, kind registry.Kind, wanted map[string]any) map[string]any {
	out := maps.Clone(wanted)
	for name := range node.object {
		top, _, _ := strings.Cut(name, ".")
		if _, kept := wanted[name]; !kept && (name == encodedProperty || !registry.BuiltInAttribute(kind, top)) {
			out[name] = nil
		}
	}
	return out
}

// attributeNames are the names of properties that attributes take up on a node.
func attributeNames(kind registry.Kind, node map[string]any) []string {
	names := make([]string, 0, len(node))
	for name := range node {
		if top, _, _ := strings.Cut(name, "."); !registry.BuiltInAttribute(kind, top) {
			names = append(names, name)
		}
	}
	return names
}
