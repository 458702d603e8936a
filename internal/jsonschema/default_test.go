package jsonschema_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/internal/jsonschema"
)

func TestDefaults(t *testing.T) {
	schema, wrong := jsonschema.Compile(object(t, `{
		"floor": {"type": "integer", "default": 3.0},
		"open": {"type": "boolean", "default": false},
		"place": {"type": "object", "properties": {"x": {"type": "number", "default": 1}}, "default": {"x": 2, "list": [1, 1.5]}},
		"none": {"type": ["string", "null"], "default": null},
		"part": {"type": "object", "properties": {"x": {"default": 1}}},
		"small": {"type": "integer", "maximum": 3, "default": 4},
		"text": {"type": "string", "default": 7},
		"loose": {"default": "any"}
	}`), []string{"floor"})
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	if diff := cmp.Diff([]string{"floor", "loose", "open", "place"}, schema.Defaults()); diff != "" {
		t.Errorf("defaults (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"properties.small.default maximum", "properties.text.default type"}, brief(schema.WrongDefaults())); diff != "" {
		t.Errorf("wrong ones (-want +got)\n%s", diff)
	}
	for name, want := range map[string]any{"floor": int64(3), "open": false, "place": map[string]any{"x": int64(2), "list": []any{int64(1), 1.5}}} {
		got, has := schema.Default(name)
		if diff := cmp.Diff(want, got); diff != "" || !has {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	if _, has := schema.Default("text"); has {
		t.Error("a default that does not fit is one")
	}
	if !schema.Requires("floor") || schema.Requires("open") {
		t.Error("what is required is told otherwise")
	}
}
