package rule

import (
	"time"

	"github.com/holon-registry/holon/registry"
)

// A condition is true or false of an object: a checked expression is a tree of
// them. The types below are all that there are.
type condition interface{}

type (
	// constant is true or false of everything.
	constant struct{ value bool }

	// junction is and, or or.
	junction struct {
		and   bool
		parts []condition
	}

	negation struct{ of condition }

	// truth is a yes-or-no field that stands alone.
	truth struct{ of field }

	// comparison holds a field against a constant or another field. Its operator
	// is one of == < <= > >= in contains startsWith endsWith matches; != is the
	// negation of ==.
	comparison struct {
		operator string
		left     operand
		right    operand
		pattern  *pattern // of matches
	}

	// quantifier is any, all or none of a collection.
	quantifier struct {
		name  string
		of    collection
		where condition
	}

	// tally compares the number of a collection's elements that fulfil a
	// condition with a constant.
	tally struct {
		of       collection
		where    condition // constant true if none was given
		operator string
		than     int64
	}
)

// operand is one side of a comparison: a field, or a constant if field is nil.
type operand struct {
	field *field
	// value is nil, a string (folded if the other side is a key), an int64, a
	// float64, a bool, a time.Time, or a list of these.
	value any
}

// fieldType says what a field can be compared with.
type fieldType int

const (
	typeText fieldType = iota
	// typeKey compares folded.
	typeKey
	// typeEnum compares in upper case.
	typeEnum
	typeNumber
	typeBoolean
	typeTime
	// typeAttribute may be anything, and differ from object to object.
	typeAttribute
)

func (t fieldType) String() string {
	return [...]string{"a text", "a key", "a name", "a number", "true or false", "a time", "an attribute"}[t]
}

// field is a value of an object.
type field struct {
	// depth says whose: 0 is the object that the rule is about, n the element of
	// the n-th collection around.
	depth int
	kind  fieldType
	name  Field
	// attribute is the dotted path of an attribute; name is empty then.
	attribute string
	// measure is the dotted path of a measure's newest value; name is empty then.
	measure string
	// position is where it stands in the text.
	position int
}

func (f field) String() string {
	switch {
	case f.attribute != "":
		return "attributes." + f.attribute
	case f.measure != "":
		return "measures." + f.measure
	}
	return string(f.name)
}

// collection is a set of neighbours.
type collection struct {
	depth int // whose
	// groups are the direct memberships, edge is one of Holon's own; relation and
	// direction are for others.
	groups    bool
	edge      Edge
	relation  string
	direction registry.Direction
	position  int
}

// ofGroups says that the elements are groups, which can stand for their paths.
func (c collection) ofGroups() bool { return c.groups || c.edge.Kind() == registry.KindGroup }

// Field names a built-in field.
type Field string

// The built-in fields, as they are written in rules.
const (
	FieldID                Field = "id"
	FieldReference         Field = "reference"
	FieldPath              Field = "path"
	FieldName              Field = "name"
	FieldDepth             Field = "depth"
	FieldKind              Field = "kind"
	FieldDescription       Field = "description"
	FieldState             Field = "state"
	FieldVersion           Field = "version"
	FieldCreatedAt         Field = "createdAt"
	FieldUpdatedAt         Field = "updatedAt"
	FieldConnected         Field = "connected"
	FieldExternalReference Field = "externalReference"
	FieldImageURL          Field = "imageUrl"
	FieldComponent         Field = "component"
	FieldTemplate          Field = "template"
)

var fieldTypes = map[Field]fieldType{
	FieldID: typeKey, FieldReference: typeKey, FieldPath: typeKey, FieldTemplate: typeKey,
	FieldName: typeText, FieldDescription: typeText, FieldExternalReference: typeText, FieldImageURL: typeText,
	FieldKind: typeEnum, FieldState: typeEnum,
	FieldDepth: typeNumber, FieldVersion: typeNumber,
	FieldConnected: typeBoolean, FieldComponent: typeBoolean,
	FieldCreatedAt: typeTime, FieldUpdatedAt: typeTime,
}

// Object is what a rule can be matched with.
type Object interface {
	// Field is the value of a built-in field: a string (keys and names as they
	// are, not folded), a whole number, a bool or a time.Time; nil if the object
	// has none.
	Field(name Field) any
	// Attributes are the user's own values.
	Attributes() registry.Attributes
	// Groups are the groups that a device or an asset is a direct member of, each
	// once.
	Groups() []Object
	// Around are the objects that an edge of Holon's own leads to.
	Around(edge Edge) []Object
	// Related are the objects at the other ends of relations of a name.
	Related(name string, direction registry.Direction) []Object
}

// Live is an Object whose newest values are known.
type Live interface {
	// Measures are the newest values by measure. A value that has parts is a map
	// of them.
	Measures() map[string]any
}

// timeLayouts are the ways to write a time, the most exact first.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02"}
