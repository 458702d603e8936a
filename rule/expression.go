package rule

import (
	"fmt"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Expression is a field in Cypher, to order by or to count values of.
type Expression struct {
	// Match leads from the node n to the node whose field it is; empty if that is
	// n itself. It ends in a WHERE to which more can be added.
	Match string
	// Text is null where the node has no such field. Keys are folded.
	Text string
	// Shown is Text as users wrote it.
	Shown string
	// Attribute is the dotted path of an attribute, empty for built-in fields.
	Attribute string
	// Node is the variable whose field it is.
	Node string
	Name Field
	Time bool
}

// fieldPath takes a field apart: the collections that lead to it, and the field
// of what is there.
func fieldPath(text, path string, steps int) (way []collection, f field, err error) {
	wrong := func(format string, args ...any) error {
		return registry.InvalidField(path, "field", "%q: %s", text, fmt.Sprintf(format, args...))
	}
	parts := strings.Split(text, ".")
	for taken := 0; len(parts) > 1; taken++ {
		of := collection{depth: taken, direction: registry.DirectionOut}
		switch parts[0] {
		case "groups":
			of.groups, parts = true, parts[1:]
		case "relations", "inverse":
			if parts[0] == "inverse" {
				of.direction = registry.DirectionIn
			}
			of.relation = Fold(parts[1])
			if problem := registry.CheckRelationName(path, of.relation); problem != nil {
				return nil, f, wrong("%s", problem.Message)
			}
			parts = parts[2:]
		default:
			if of.edge = Edge(parts[0]); of.edge.Known() {
				parts = parts[1:]
				break
			}
			taken = MaxNesting
		}
		if taken >= MaxNesting {
			break
		}
		if taken >= steps {
			return nil, f, wrong("at most %d relations can lead to the field here", steps)
		}
		way = append(way, of)
	}
	f, problem := fieldOf(parts, len(way), len(way) > 0 && way[len(way)-1].ofGroups())
	if problem != "" {
		return nil, f, wrong("%s", problem)
	}
	if f.measure != "" {
		return nil, f, wrong("newest values change all the time: they are asked for in rules of twinChanged")
	}
	return way, f, nil
}

// FieldExpression writes a field of the node n, such as reference or
// attributes.size. At most steps relations may lead to it, as in
// relations.located_at.path. Errors are INVALID at a path.
func FieldExpression(text, path string, steps int) (Expression, error) {
	way, f, err := fieldPath(text, path, steps)
	if err != nil {
		return Expression{}, err
	}
	c := &compiler{out: &Predicate{}, vars: []variable{{name: "n"}}}
	matches := make([]string, len(way))
	for i, of := range way {
		matches[i] = c.elements(of)
	}
	last := c.vars[len(c.vars)-1]
	value, guard := c.value(f)
	out := Expression{Match: strings.Join(matches, " "), Attribute: f.attribute, Node: last.name, Name: f.name, Time: f.kind == typeTime}
	out.Text = guardedValue(guard, value)
	out.Shown = out.Text
	if f.name == FieldReference || f.name == FieldPath {
		out.Shown = last.name + "." + string(f.name)
	}
	return out, nil
}

func guardedValue(guard, value string) string {
	switch guard {
	case "":
		return value
	case "false":
		return "null"
	}
	return "CASE WHEN " + guard + " THEN " + value + " END"
}
