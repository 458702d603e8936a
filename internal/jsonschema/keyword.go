package jsonschema

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Validators pass over keywords and formats that they do not know, so that one
// that is misspelt allows everything. Templates may not have such.

// below says what a keyword's value holds.
type below int

const (
	plainValue below = iota
	oneSchema
	listOfSchemas
	schemasByName
)

// keywords are those of JSON Schema 2020-12.
var keywords = func() map[string]below {
	out := map[string]below{}
	for kind, names := range map[below]string{
		plainValue: "$schema $id $ref $anchor $dynamicRef $dynamicAnchor $vocabulary $comment type enum const multipleOf maximum exclusiveMaximum " +
			"minimum exclusiveMinimum maxLength minLength pattern maxItems minItems uniqueItems maxContains minContains maxProperties minProperties " +
			"required dependentRequired title description default deprecated readOnly writeOnly examples format contentEncoding contentMediaType" +
			" annotations", // for clients; checked where templates are
		oneSchema:     "items contains additionalProperties propertyNames if then else not unevaluatedItems unevaluatedProperties contentSchema",
		listOfSchemas: "prefixItems allOf anyOf oneOf",
		schemasByName: "properties patternProperties $defs dependentSchemas",
	} {
		for name := range strings.FieldsSeq(names) {
			out[name] = kind
		}
	}
	return out
}()

// formats are those that values are checked against.
var formats = strings.Fields("date date-time time duration email hostname ipv4 ipv6 iri iri-reference json-pointer regex relative-json-pointer uri uri-reference uri-template uuid semver period")

// unknownKeywords lists the keywords and formats of a plain schema that are
// none. Those that begin with "x-" are for the user's own ends.
func unknownKeywords(path string, schema any) []registry.Violation {
	object, ok := schema.(map[string]any)
	if !ok {
		return nil
	}
	var out []registry.Violation
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if strings.HasPrefix(name, "x-") {
			continue
		}
		at, value := path+"."+name, object[name]
		if _, known := keywords[name]; !known {
			out = append(out, registry.Violation{Path: at, Rule: "keyword", Message: fmt.Sprintf("%q is no keyword of JSON Schema", name)})
			continue
		}
		if format, ok := value.(string); ok && name == "format" && !slices.Contains(formats, format) {
			out = append(out, registry.Violation{Path: at, Rule: "format", Message: fmt.Sprintf("%q is no format that is checked: there are %s", format, strings.Join(formats, ", "))})
		}
		inside(at, name, value, func(path string, inner any) { out = append(out, unknownKeywords(path, inner)...) })
	}
	return out
}

// inside calls back for each schema that the value of a keyword holds.
func inside(path, keyword string, value any, do func(path string, schema any)) {
	switch inner := value.(type) {
	case []any:
		if keywords[keyword] == listOfSchemas {
			for i, one := range inner {
				do(fmt.Sprintf("%s[%d]", path, i), one)
			}
		}
	case map[string]any:
		switch keywords[keyword] {
		case oneSchema:
			do(path, inner)
		case schemasByName:
			for _, one := range slices.Sorted(maps.Keys(inner)) {
				do(path+"."+one, inner[one])
			}
		}
	}
}
