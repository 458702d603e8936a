package jsonschema_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
)

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var out map[string]any
	if err := decoder.Decode(&out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

func brief(violations []registry.Violation) []string {
	out := []string{}
	for _, v := range violations {
		if v.Message == "" {
			out = append(out, "no message for "+v.Path)
		}
		out = append(out, v.Path+" "+v.Rule)
	}
	return out
}

func TestCheck(t *testing.T) {
	schema, wrong := jsonschema.Compile(object(t, `{
		"serial": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$", "maxLength": 12},
		"floor": {"type": "integer", "minimum": -2, "maximum": 163},
		"ratio": {"type": "number", "multipleOf": 0.01},
		"colour": {"enum": ["red", "green"]},
		"since": {"type": "string", "format": "date"},
		"tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "uniqueItems": true, "$defs": {"tag": {"type": "string"}}},
		"address": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}, "required": ["city"], "additionalProperties": false},
		"either": {"anyOf": [{"type": "string"}, {"type": "boolean"}]}
	}`), []string{"serial"})
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	for name, c := range map[string]struct {
		attributes string
		want       []string
	}{
		"all right":           {`{"serial": "AB-1", "floor": 3, "ratio": 0.07, "colour": "red", "since": "2026-02-28", "tags": ["a"], "address": {"city": "x"}, "either": true}`, nil},
		"required":            {`{}`, []string{"attributes.serial required"}},
		"undeclared":          {`{"serial": "AB-1", "nope": 1}`, []string{"attributes.nope undeclared"}},
		"type":                {`{"serial": 1}`, []string{"attributes.serial type"}},
		"pattern":             {`{"serial": "ab"}`, []string{"attributes.serial pattern"}},
		"two at once":         {`{"serial": "ab-123456789012"}`, []string{"attributes.serial maxLength", "attributes.serial pattern"}},
		"minimum":             {`{"serial": "AB-1", "floor": -3}`, []string{"attributes.floor minimum"}},
		"integer as float":    {`{"serial": "AB-1", "floor": 3.0}`, nil},
		"not an integer":      {`{"serial": "AB-1", "floor": 3.5}`, []string{"attributes.floor type"}},
		"huge number":         {`{"serial": "AB-1", "floor": 1e300}`, []string{"attributes.floor maximum"}},
		"multipleOf":          {`{"serial": "AB-1", "ratio": 0.071}`, []string{"attributes.ratio multipleOf"}},
		"enum":                {`{"serial": "AB-1", "colour": "blue"}`, []string{"attributes.colour enum"}},
		"format":              {`{"serial": "AB-1", "since": "2026-02-30"}`, []string{"attributes.since format"}},
		"item":                {`{"serial": "AB-1", "tags": ["a", 2]}`, []string{"attributes.tags[1] type"}},
		"unique":              {`{"serial": "AB-1", "tags": ["a", "a"]}`, []string{"attributes.tags uniqueItems"}},
		"nested type":         {`{"serial": "AB-1", "address": {"city": 7}}`, []string{"attributes.address.city type"}},
		"nested required":     {`{"serial": "AB-1", "address": {"zip": "1"}}`, []string{"attributes.address.city required"}},
		"nested additional":   {`{"serial": "AB-1", "address": {"city": "x", "country": "y"}}`, []string{"attributes.address.country additionalProperties"}},
		"none of the choices": {`{"serial": "AB-1", "either": 3}`, []string{"attributes.either anyOf"}},
	} {
		t.Run(name, func(t *testing.T) {
			attributes, violation := jsonschema.Plain("attributes", object(t, c.attributes))
			if violation != nil {
				t.Fatal(violation)
			}
			got := brief(schema.Check(attributes.(map[string]any)))
			if c.want == nil {
				c.want = []string{}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, c := range map[string]struct{ properties, want string }{
		"keyword of a wrong type": {`{"colour": {"minimum": "low"}}`, "properties.colour.minimum type"},
		"unknown type":            {`{"colour": {"type": "colour"}}`, "properties.colour.type"},
		"no schema":               {`{"colour": 7}`, "properties.colour type"},
		"remote reference":        {`{"colour": {"$ref": "https://example.com/colour.json"}}`, "properties.colour $ref"},
		"file reference":          {`{"colour": {"$ref": "file:///etc/passwd"}}`, "properties.colour $ref"},
		"reference to nowhere":    {`{"colour": {"$ref": "#/$defs/none"}}`, "properties.colour"},
		"pattern beyond RE2":      {`{"colour": {"pattern": "(?=a)"}}`, "properties.colour"},
		"other dialect":           {`{"colour": {"$schema": "http://json-schema.org/draft-04/schema#"}}`, "properties.colour.$schema"},
		"nested":                  {`{"a": {"type": "object", "properties": {"b": {"maxLength": -1}}}}`, "properties.a.properties.b.maxLength"},
	} {
		t.Run(name, func(t *testing.T) {
			_, violations := jsonschema.Compile(object(t, c.properties), nil)
			got := brief(violations)
			if len(got) == 0 || !strings.HasPrefix(got[0], c.want) {
				t.Errorf("violations = %q, want one that begins with %q", got, c.want)
			}
		})
	}
	_, violations := jsonschema.Compile(nil, []string{"ghost"})
	if diff := cmp.Diff([]string{"required[0] undeclared"}, brief(violations)); diff != "" {
		t.Error(diff)
	}
}

func TestPlain(t *testing.T) {
	got, violation := jsonschema.Plain("attributes", registry.Attributes{
		"whole": json.Number("3"), "written as a fraction": json.Number("3.0"), "beyond 64 bits": json.Number("1.2345678901234567890e19"), "as others write 1e20": json.Number("100000000000000000000"),
		"int": 7, "list": []any{json.Number("1"), 2.5, nil}, "object": map[string]any{"x": json.Number("-1")},
	})
	want := map[string]any{
		"whole": int64(3), "written as a fraction": 3.0, "beyond 64 bits": 12345678901234567890.0, "as others write 1e20": 1e20,
		"int": int64(7), "list": []any{int64(1), 2.5, nil}, "object": map[string]any{"x": int64(-1)},
	}
	if diff := cmp.Diff(want, got); diff != "" || violation != nil {
		t.Errorf("%v\n%s", violation, diff)
	}
	var deep any = "x"
	for range 40 {
		deep = []any{deep}
	}
	for name, bad := range map[string]any{"infinite": math.Inf(1), "huge": json.Number("1e999"), "whole": json.Number("9223372036854775808"), "negative": json.Number("-9223372036854775809"), "channel": make(chan int), "deep": deep} {
		if _, violation := jsonschema.Plain("attributes."+name, bad); violation == nil || !strings.HasPrefix(violation.Path, "attributes."+name) {
			t.Errorf("%s: %v", name, fmt.Sprint(violation))
		}
	}
}

func TestChoiceIsExplained(t *testing.T) {
	_, violations := jsonschema.Compile(map[string]any{"colour": map[string]any{"type": "colour"}}, nil)
	if len(violations) != 1 || !strings.Contains(violations[0].Message, "'string'") {
		t.Errorf("violations = %+v, want one that lists the types", violations)
	}
}

// What is said of a long value shows only its beginning.
func TestLongValuesAreShortened(t *testing.T) {
	long := strings.Repeat("ä", 300_000)
	for name, schema := range map[string]string{
		"pattern": `{"pattern": "^b"}`, "format": `{"format": "date-time"}`, "choice": `{"anyOf": [{"pattern": "^b"}, {"format": "uri"}]}`,
	} {
		found := jsonschema.CheckValue("p", object(t, schema), long)
		if len(found) != 1 || len(found[0].Message) > 1000 || !strings.Contains(found[0].Message, strings.Repeat("ä", 100)+"…") {
			t.Errorf("%s: %d violations, %.1200v", name, len(found), found)
		}
	}
}
