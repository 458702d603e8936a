package rule

import (
	"slices"

	"github.com/holon-registry/holon/registry"
)

// Reach is a collection of neighbours that has to be known to match a rule, with
// those that are asked for from its elements.
type Reach struct {
	// Groups are the direct memberships, Edge is one of Holon's own; Relation and
	// Direction are for others.
	Groups    bool
	Edge      Edge
	Relation  string
	Direction registry.Direction
	From      []*Reach
}

// Reaches are the collections that the rule looks at, from the object that it is
// about.
func (r *Rule) Reaches() []*Reach {
	top := &Reach{}
	reaches(r.root, []*Reach{top})
	return top.From
}

// reaches adds what a condition looks at; the first of the owners is the object
// that the rule is about, the others are the elements of the collections around.
func reaches(of condition, owners []*Reach) {
	switch c := of.(type) {
	case junction:
		for _, part := range c.parts {
			reaches(part, owners)
		}
	case negation:
		reaches(c.of, owners)
	case quantifier:
		reaches(c.where, inside(owners, c.of))
	case tally:
		reaches(c.where, inside(owners, c.of))
	}
}

func inside(owners []*Reach, of collection) []*Reach {
	return append(owners[:len(owners):len(owners)], owners[of.depth].to(of))
}

// to is the reach of a collection, each once.
func (r *Reach) to(of collection) *Reach {
	i := slices.IndexFunc(r.From, func(known *Reach) bool {
		return known.Groups == of.groups && known.Edge == of.edge && known.Relation == of.relation && known.Direction == of.direction
	})
	if i < 0 {
		i = len(r.From)
		r.From = append(r.From, &Reach{Groups: of.groups, Edge: of.edge, Relation: of.relation, Direction: of.direction})
	}
	return r.From[i]
}

// FieldReader reads a field of objects, or of those that relations lead to: what
// FieldExpression is in Cypher.
type FieldReader struct {
	way   []collection
	field field
	reach []*Reach
}

// NewFieldReader checks a field as FieldExpression does.
func NewFieldReader(text, path string, steps int) (*FieldReader, error) {
	way, field, err := fieldPath(text, path, steps)
	if err != nil {
		return nil, err
	}
	out := &FieldReader{way: way, field: field}
	top := &Reach{}
	owners := []*Reach{top}
	for _, of := range way {
		owners = inside(owners, of)
	}
	out.reach = top.From
	return out, nil
}

// Reaches are the collections on the way to the field.
func (f *FieldReader) Reaches() []*Reach { return f.reach }

// Attribute says whether the field is an attribute.
func (f *FieldReader) Attribute() bool { return f.field.attribute != "" }

// Time says whether the field is a time.
func (f *FieldReader) Time() bool { return f.field.kind == typeTime }

// FieldValue is a value as it is compared, and as users wrote it.
type FieldValue struct{ Value, Shown any }

// Values are those of an object: one an object that the way leads to, without
// those that have none. What cannot be searched is none.
func (f *FieldReader) Values(of Object) []FieldValue {
	objects := []Object{of}
	for _, step := range f.way {
		var next []Object
		for _, object := range objects {
			step.depth = 0
			next = append(next, step.of([]Object{object})...)
		}
		objects = next
	}
	here := f.field
	here.depth = 0
	var out []FieldValue
	for _, object := range objects {
		value := valueOf(&here, []Object{object})
		if value == nil || value == (opaque{}) {
			continue
		}
		shown := value
		if here.kind == typeKey {
			shown = object.Field(here.name)
		}
		out = append(out, FieldValue{value, shown})
	}
	return out
}
