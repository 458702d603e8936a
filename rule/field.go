package rule

import (
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/holon-registry/holon/registry"
)

// field checks a node that names a field of the object or of an element.
func (c *checker) field(node ast.Node, s scope) (field, bool) {
	parts, depth, ok := c.names(node, s)
	if !ok {
		return field{}, false
	}
	f, problem := fieldOf(parts, depth, s.groups)
	if problem != "" {
		c.fail(node, "unknown", "%s", problem)
		return f, false
	}
	f.position = node.Location().From
	if depth == 0 {
		c.own = append(c.own, f)
	}
	c.measures = c.measures || f.measure != ""
	c.connected = c.connected || f.name == FieldConnected && f.depth == 0
	return f, true
}

// fieldOf says which field some names stand for, or what is wrong with them.
func fieldOf(parts []string, depth int, ofGroups bool) (field, string) {
	if len(parts) == 0 {
		if !ofGroups {
			return field{}, "an element is an object: name a field of it, as in .reference"
		}
		return field{depth: depth, kind: typeKey, name: FieldPath}, ""
	}
	switch parts[0] {
	case "attributes":
		if len(parts) == 1 {
			return field{}, "name an attribute, as in attributes.colour"
		}
		for _, part := range parts[1:] {
			if !registry.AttributeName(part) {
				return field{}, "\"" + part + "\" cannot be the name of an attribute"
			}
		}
		if name := Field(parts[1]); name != FieldName && registry.BuiltInAttribute(registry.KindDevice, parts[1]) {
			if _, known := fieldTypes[name]; known {
				return field{}, "\"" + parts[1] + "\" is a field of its own: leave out attributes"
			}
			return field{}, "\"" + parts[1] + "\" cannot be the name of an attribute"
		}
		return field{depth: depth, kind: typeAttribute, attribute: strings.Join(parts[1:], ".")}, ""
	case "measures":
		return measureField(parts, depth)
	case "relations", "inverse", "groups":
		return field{}, parts[0] + " are objects: ask any(" + strings.Join(parts[:min(len(parts), 2)], ".") + ", ...), all, none or count"
	}
	if Edge(parts[0]).Known() {
		return field{}, parts[0] + " leads to objects: ask any(" + parts[0] + ", ...), all, none or count"
	}
	kind, known := fieldTypes[Field(parts[0])]
	if !known || len(parts) > 1 {
		return field{}, "there is no field " + strings.Join(parts, ".") + ": attributes are written attributes." + parts[len(parts)-1] + suggestions(parts[0])
	}
	return field{depth: depth, kind: kind, name: Field(parts[0])}, ""
}

// measureField is measures.temperature, or a part of a measure whose values have
// parts, as in measures.position.latitude.
func measureField(parts []string, depth int) (field, string) {
	switch {
	case depth > 0:
		return field{}, "measures are those of the twin itself, not of what it is related to"
	case len(parts) == 1:
		return field{}, "name a measure, as in measures.temperature"
	}
	for _, part := range parts[1:] {
		if !registry.AttributeName(part) {
			return field{}, "\"" + part + "\" cannot be the name of a measure"
		}
	}
	return field{kind: typeAttribute, measure: strings.Join(parts[1:], ".")}, ""
}

// suggestions lists the built-in fields when a name comes close to one.
func suggestions(name string) string {
	for field := range fieldTypes {
		if strings.EqualFold(string(field), name) {
			return ", and that field " + string(field)
		}
	}
	return ""
}
