package jsonschema

import (
	"errors"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/holon-registry/holon/registry"
)

// CheckSchema returns what is wrong with a JSON Schema.
func CheckSchema(path string, document map[string]any) []registry.Violation {
	_, wrong := compile(path, document)
	return wrong
}

// CheckValue returns what a JSON Schema has against a plain value (see Plain).
// Paths begin with the given one.
func CheckValue(path string, document map[string]any, value any) []registry.Violation {
	compiled, wrong := compile(path, document)
	if len(wrong) > 0 {
		return wrong
	}
	if tree, ok := errors.AsType[*jsonschema.ValidationError](compiled.Validate(value)); ok {
		return leaves(path, value, tree)
	}
	return nil
}
