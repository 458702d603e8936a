package jsonschema_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/internal/jsonschema"
)

func TestContradictions(t *testing.T) {
	for name, c := range map[string]struct {
		schema string
		want   []string
	}{
		"nothing to choose from":     {`{"enum": []}`, []string{"p.enum contradiction"}},
		"choices of another type":    {`{"type": "integer", "enum": ["a", "b"]}`, []string{"p.enum contradiction"}},
		"some choices will do":       {`{"type": "string", "enum": ["a", 1]}`, nil},
		"a constant out of bounds":   {`{"const": 7, "maximum": 5}`, []string{"p.const contradiction"}},
		"numbers":                    {`{"minimum": 5, "maximum": 4.5}`, []string{"p.maximum contradiction"}},
		"one number":                 {`{"minimum": 5, "maximum": 5}`, nil},
		"numbers that never are":     {`{"exclusiveMinimum": 5, "maximum": 5, "exclusiveMaximum": 6}`, []string{"p.maximum contradiction"}},
		"lengths":                    {`{"minLength": 5, "maxLength": 4}`, []string{"p.maxLength contradiction"}},
		"lists":                      {`{"minItems": 5, "maxItems": 4, "items": {"minLength": 2, "maxLength": 1}}`, []string{"p.maxItems contradiction", "p.items.maxLength contradiction"}},
		"required and not there":     {`{"properties": {"a": {}}, "required": ["a", "b"], "additionalProperties": false}`, []string{"p.required[1] contradiction"}},
		"required by a pattern":      {`{"patternProperties": {"^b": {}}, "required": ["b"], "additionalProperties": false}`, nil},
		"required and open":          {`{"properties": {"a": {}}, "required": ["b"]}`, nil},
		"more required than allowed": {`{"required": ["a", "b"], "maxProperties": 1}`, []string{"p.maxProperties contradiction"}},
		"default of a part":          {`{"properties": {"a": {"type": "integer", "default": "x"}, "b": {"default": 1}}}`, []string{"p.properties.a.default type"}},
		"deep":                       {`{"anyOf": [{"type": "string"}, {"items": {"$defs": {"x": {"enum": []}}}}]}`, []string{"p.anyOf[1].items.$defs.x.enum contradiction"}},
		"a bound that is rounded":    {`{"maximum": 9007199254740993, "items": {"enum": [9007199254740992, -9007199254740993]}}`, []string{"p.items.enum[1] range", "p.maximum range"}},
		"beyond all numbers":         {`{"maximum": 9223372036854775808}`, []string{"p.maximum range"}},
		"what is not":                {`{"not": {"enum": []}}`, nil},
		"itself":                     {`{"$ref": "#"}`, []string{"p.$ref contradiction"}},
		"itself among others":        {`{"type": "string", "allOf": [{"$ref": "#"}]}`, []string{"p.allOf[0].$ref contradiction"}},
		"a circle":                   {`{"items": {"$ref": "#/$defs/a~1b"}, "$defs": {"a/b": {"$ref": "#/$defs/c%20d"}, "c d": {"$ref": "#/$defs/a~1b"}}}`, []string{"p.$defs.c d.$ref contradiction"}},
		"a tree":                     {`{"type": "object", "properties": {"left": {"$ref": "#"}, "list": {"items": {"$ref": "#"}}}, "additionalProperties": {"anyOf": [{"type": "string"}, {"$ref": "#"}]}}`, nil},
		"two ways to one place":      {`{"allOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/x"}], "$defs": {"x": {"type": "integer"}}}`, nil},
		"said elsewhere":             {`{"$ref": "#/$defs/x", "enum": [1], "$defs": {"x": {"type": "integer"}}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := brief(jsonschema.Contradictions("p", object(t, c.schema)))
			if diff := cmp.Diff(append([]string{}, c.want...), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
