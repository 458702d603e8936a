package registry

import (
	"io"
	"slices"
	"strings"
	"time"
)

// OpenTemplate is the name of the built-in template of each kind, for objects
// that need no rules: it takes any attribute, relation and measure.
const OpenTemplate = "open"

// Template is a type of group, device or asset: what such an object may and
// must have. A published template never changes.
type Template struct {
	ID   ID
	Kind Kind
	Name string
	// Version numbers the templates of one name, from 1.
	Version     int
	Status      TemplateStatus
	Description *string
	// Properties maps an attribute's name to its JSON Schema (2020-12).
	Properties map[string]any
	// Required lists the attributes that an object must have.
	Required  []string
	Relations []RelationRule
	Measures  []MeasureDeclaration
	// Components names the templates that components of a device may have; none
	// means that it has no components.
	Components []string
	// Searched lists the properties that searches go by.
	Searched []string
	// Open is true for the built-in templates only.
	Open        bool
	CreatedAt   time.Time
	PublishedAt *time.Time
}

// IsNode marks a template as a GraphQL Node.
func (*Template) IsNode() {}

// NodeID is the template's id.
func (t *Template) NodeID() ID { return t.ID }

// Measure returns the declaration of a measure. An open template declares none.
func (t *Template) Measure(name string) (MeasureDeclaration, bool) {
	for _, m := range t.Measures {
		if m.Name == name {
			return m, true
		}
	}
	return MeasureDeclaration{}, false
}

// Relation returns the rule that lets an object of this template have a
// relation to (OUT) or from (IN) an object of another, nil if there is none.
func (t *Template) Relation(name string, direction Direction, other *Template) *RelationRule {
	if t.Open && direction == DirectionOut {
		return &RelationRule{Name: name, Direction: direction, Kind: other.Kind, Inherits: true}
	}
	for i := range t.Relations {
		r := &t.Relations[i]
		if r.Name == name && r.Direction == direction && r.Kind == other.Kind && r.allows(other.Name) {
			return r
		}
	}
	return nil
}

// RelationRule is a relation that a template allows.
type RelationRule struct {
	Name string `json:"name"`
	// Direction is OUT from an object of the template, or IN to it.
	Direction Direction `json:"direction"`
	// Kind is what is at the other end.
	Kind Kind `json:"kind"`
	// Templates names the templates that may be at the other end; none means any.
	Templates []string `json:"templates,omitempty"`
	// Inherits is false for a relation that is a mere tag: it makes no membership.
	Inherits bool `json:"inherits"`
}

func (r *RelationRule) allows(template string) bool {
	if len(r.Templates) == 0 {
		return true
	}
	return names(r.Templates, template)
}

// names says whether a list of templates' names has a name, in whatever case.
func names(list []string, template string) bool {
	return slices.ContainsFunc(list, func(one string) bool { return strings.EqualFold(one, template) })
}

// Component says whether a device of this template may have components of
// another.
func (t *Template) Component(template string) bool { return t.Open || names(t.Components, template) }

// MeasureDeclaration is a measure that a device or an asset has values of.
type MeasureDeclaration struct {
	Name string `json:"name"`
	// Type names a measure type of the account, or a built-in one.
	Type string `json:"type"`
	// ValueType is what the measure type's values are.
	ValueType ValueType `json:"valueType"`
	// Unit is a UCUM code such as "Cel" or "%"; empty where there is none.
	Unit string `json:"unit,omitempty"`
}

// UnitCode is the unit, nil where there is none.
func (m MeasureDeclaration) UnitCode() *string {
	if m.Unit == "" {
		return nil
	}
	return &m.Unit
}

// MeasureType is defined once and used under many names.
type MeasureType struct {
	Object
	Name        string
	ValueType   ValueType
	Unit        *string
	Description *string
}

// IsNode marks a measure type as a GraphQL Node.
func (*MeasureType) IsNode() {}

// ValueType is the type of a measure's values.
type ValueType string

// The value types.
const (
	ValueNumber  ValueType = "NUMBER"
	ValueBoolean ValueType = "BOOLEAN"
	ValueString  ValueType = "STRING"
)

// BuiltInMeasureTypes are the measure types that every account has, by name.
var BuiltInMeasureTypes = map[string]ValueType{
	"number": ValueNumber, "boolean": ValueBoolean, "string": ValueString,
}

// MarshalGQL writes the value type as a GraphQL enum value.
func (t ValueType) MarshalGQL(w io.Writer) { marshalEnum(w, string(t)) }

// UnmarshalGQL reads the value type from a GraphQL enum value.
func (t *ValueType) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, t, ValueNumber, ValueBoolean, ValueString)
}

// TypeOf returns the value type of a decoded value: float64, bool or string.
func TypeOf(v any) (ValueType, bool) {
	switch v.(type) {
	case float64:
		return ValueNumber, true
	case bool:
		return ValueBoolean, true
	case string:
		return ValueString, true
	}
	return "", false
}

// TemplateStatus is the state of a template.
type TemplateStatus string

// The statuses.
const (
	TemplateDraft     TemplateStatus = "DRAFT"
	TemplatePublished TemplateStatus = "PUBLISHED"
)

// MarshalGQL writes the status as a GraphQL enum value.
func (s TemplateStatus) MarshalGQL(w io.Writer) { marshalEnum(w, string(s)) }

// UnmarshalGQL reads the status from a GraphQL enum value.
func (s *TemplateStatus) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, s, TemplateDraft, TemplatePublished)
}

// Direction of a relation, seen from the object that is asked.
type Direction string

// The directions.
const (
	DirectionOut Direction = "OUT"
	DirectionIn  Direction = "IN"
)

// MarshalGQL writes the direction as a GraphQL enum value.
func (d Direction) MarshalGQL(w io.Writer) { marshalEnum(w, string(d)) }

// UnmarshalGQL reads the direction from a GraphQL enum value.
func (d *Direction) UnmarshalGQL(v any) error { return unmarshalEnum(v, d, DirectionOut, DirectionIn) }

// NewMeasureType is what a measure type is made from.
type NewMeasureType struct {
	Name        string
	ValueType   ValueType
	Unit        *string
	Description *string
}
