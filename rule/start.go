package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Conjunct is one of the conditions that all have to hold.
type Conjunct struct {
	Text string
	// Start says how a search can begin with it.
	Start Start
}

// StartKind tells ways to begin a search apart, the best ones last.
type StartKind int

const (
	// StartNone is for what can only be tested.
	StartNone StartKind = iota
	// StartRelation begins at an object that is named by its key.
	StartRelation
	// StartRange is a range or a prefix of Property.
	StartRange
	// StartEqual is the value of Property, or one of several.
	StartEqual
	// StartIDs is a list of ids in Param.
	StartIDs
)

// Start is a way to begin a search.
type Start struct {
	Kind StartKind
	// Property is that of the node n, as it is named in the database.
	Property string
	// Match is for StartRelation: it finds n, from its own start.
	Match string
	// Param is for StartIDs.
	Param string
}

// conjunct writes a condition that has to hold, and says how to begin with it.
func (c *compiler) conjunct(s signed) Conjunct {
	before := len(c.out.Matchers)
	out := Conjunct{Text: c.condition(s.of, s.negated)}
	if s.negated {
		return out
	}
	switch x := s.of.(type) {
	case truth:
		out.Start = startAt(StartEqual, x.of)
	case comparison:
		if x.operator == "matches" {
			if len(c.out.Matchers) > before {
				c.out.Matchers[before].Positive = true
				out.Start = Start{Kind: StartIDs, Param: c.out.Matchers[before].Param}
			} else if c.candidates && x.pattern.prefix != "" {
				out.Start = startAt(StartRange, *x.left.field)
			}
			break
		}
		out.Start = c.startOf(x)
	case quantifier:
		if x.name == "any" {
			out.Start = c.relationStart(x)
		}
	}
	return out
}

func (c *compiler) startOf(x comparison) Start {
	if x.left.field == nil || x.left.field.depth > 0 || x.right.field != nil || x.right.value == nil {
		return Start{}
	}
	switch x.operator {
	case "==", "in":
		return startAt(StartEqual, *x.left.field)
	case "<", "<=", ">", ">=", "startsWith":
		return startAt(StartRange, *x.left.field)
	}
	return Start{}
}

func startAt(kind StartKind, f field) Start {
	if f.depth > 0 || f.measure != "" {
		return Start{}
	}
	property := f.attribute
	switch f.name {
	case FieldReference, FieldPath:
		property = "keyFold"
	case FieldTemplate:
		property = "templateFold"
	case "":
	default:
		return Start{}
	}
	return Start{Kind: kind, Property: property}
}

// relationStart begins at the other end of a relation of the object, where a
// condition names it by its key.
func (c *compiler) relationStart(q quantifier) Start {
	if q.of.depth > 0 {
		return Start{}
	}
	for _, part := range conjunctsOf(q.where, false) {
		x, ok := part.of.(comparison)
		if !ok || part.negated || x.left.field == nil || x.left.field.depth != 1 || x.right.field != nil || x.right.value == nil || x.operator != "==" && x.operator != "in" {
			continue
		}
		var kinds []registry.Kind
		switch x.left.field.name {
		case FieldPath:
			kinds = []registry.Kind{registry.KindGroup}
		case FieldReference:
			kinds = []registry.Kind{registry.KindDevice, registry.KindAsset}
		default:
			continue
		}
		if of := q.of.edge; of != "" {
			if !slices.Contains(kinds, of.Kind()) {
				continue
			}
			kinds = []registry.Kind{of.Kind()}
		}
		return Start{Kind: StartRelation, Match: c.fromKeys(q.of, kinds, cypherOperators[x.operator]+" "+c.param(x.right.value))}
	}
	return Start{}
}

// fromKeys finds n from objects by their keys. LABEL stands for n's label.
func (c *compiler) fromKeys(of collection, kinds []registry.Kind, condition string) string {
	var step string
	switch {
	case of.groups:
		step = "MATCH (other)<-[m:!WAS_RELATED]-(n:LABEL) WHERE m.inherits IS NULL"
	case of.edge != "":
		step = of.edge.back()
	case of.direction == registry.DirectionIn:
		step = fmt.Sprintf("MATCH (other)-[:%s]->(n:LABEL) WHERE true", RelationType(of.relation))
	default:
		step = fmt.Sprintf("MATCH (other)<-[:%s]-(n:LABEL) WHERE true", RelationType(of.relation))
	}
	parts := make([]string, len(kinds))
	for i, kind := range kinds {
		parts[i] = fmt.Sprintf("MATCH (other:%s) WHERE other.account = $account AND other.keyFold %s RETURN other", label(kind), condition)
	}
	return "CALL () { " + strings.Join(parts, " UNION ") + " } " + step
}
