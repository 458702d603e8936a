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
	Version int
	// Revision counts the changes of the version, from 1.
	Revision    int
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
	// Annotations are for clients.
	Annotations Annotations
	Behaviour
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
	if m := t.Declared(name); m != nil {
		return *m, true
	}
	return MeasureDeclaration{}, false
}

// Declared returns the declaration of a measure, nil if there is none. It is
// not to be changed.
func (t *Template) Declared(name string) *MeasureDeclaration {
	for i := range t.Measures {
		if t.Measures[i].Name == name {
			return &t.Measures[i]
		}
	}
	return nil
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

// Names says whether the template names another in its relations or components.
func (t *Template) Names(kind Kind, name string) bool {
	if kind == KindDevice && names(t.Components, name) {
		return true
	}
	return slices.ContainsFunc(t.Relations, func(r RelationRule) bool { return r.Kind == kind && names(r.Templates, name) })
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
