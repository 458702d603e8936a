package rule

import (
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// Edge is a collection of neighbours by an edge of Holon's own, as it is written
// in rules. Relations of users may have any name, and so these are no relations.
type Edge string

// The edges, by the names that they have in the API.
const (
	EdgeParent      Edge = "parent"
	EdgeChildren    Edge = "children"
	EdgeComponentOf Edge = "componentOf"
	EdgeComponents  Edge = "components"
	EdgePartOf      Edge = "partOf"
	EdgeParts       Edge = "parts"
)

// edges says how they are kept. Both ends are of one kind.
var edges = map[Edge]struct {
	relationship string
	direction    registry.Direction
	kind         registry.Kind
}{
	EdgeParent:      {"CHILD_OF", registry.DirectionOut, registry.KindGroup},
	EdgeChildren:    {"CHILD_OF", registry.DirectionIn, registry.KindGroup},
	EdgeComponentOf: {"COMPONENT_OF", registry.DirectionOut, registry.KindDevice},
	EdgeComponents:  {"COMPONENT_OF", registry.DirectionIn, registry.KindDevice},
	EdgePartOf:      {"PART_OF", registry.DirectionOut, registry.KindAsset},
	EdgeParts:       {"PART_OF", registry.DirectionIn, registry.KindAsset},
}

// collectionNames are all collections, for messages.
const collectionNames = "groups, parent, children, componentOf, components, partOf, parts, relations.<name> or inverse.<name>"

// Known says whether there is such an edge.
func (e Edge) Known() bool { return edges[e].relationship != "" }

// Relationship is the type of the relationship that the edge is kept as, and the
// direction in which it leads to the edge's objects.
func (e Edge) Relationship() (string, registry.Direction) {
	return edges[e].relationship, edges[e].direction
}

// Kind is that of the objects at both ends.
func (e Edge) Kind() registry.Kind { return edges[e].kind }

// match leads in Cypher from one node to the edge's objects. It ends in a WHERE to
// which more can be added.
func (e Edge) match(owner variable, element string) string {
	arrow := "-[:%s]->"
	if edges[e].direction == registry.DirectionIn {
		arrow = "<-[:%s]-"
	}
	text := fmt.Sprintf("MATCH (%s)"+arrow+"(%s:%s) WHERE true", owner.name, edges[e].relationship, element, label(e.Kind()))
	if owner.kind != "" && owner.kind != e.Kind() {
		text += " AND false"
	}
	return text
}

// back leads in Cypher from one of the edge's objects, other, to those that it is
// an object of: n, whose label LABEL stands for.
func (e Edge) back() string {
	arrow := "<-[:%s]-"
	if edges[e].direction == registry.DirectionIn {
		arrow = "-[:%s]->"
	}
	return fmt.Sprintf("MATCH (other)"+arrow+"(n:LABEL) WHERE true", edges[e].relationship)
}
