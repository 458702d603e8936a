package registry

import "slices"

// MeasureTypePatch changes a measure type. What is nil stays.
type MeasureTypePatch struct {
	// Values and Fields are all that it is to have, those of before included.
	Values      []string
	Fields      []MeasureField
	Description Optional[string]
	Annotations Annotations
	// IfVersion refuses the change with CONFLICT when the version differs.
	IfVersion *int
}

// Apply returns what a patch makes of a measure type. CONFLICT says that it would
// take something away that values may have.
func (p MeasureTypePatch) Apply(m *MeasureType) (*MeasureType, error) {
	n := NewMeasureType{
		Name: m.Name, ValueType: m.ValueType, Values: m.Values, Fields: m.Fields, Unit: m.Unit, Description: m.Description, Annotations: m.Annotations,
	}
	instead(&n.Values, p.Values)
	instead(&n.Fields, p.Fields)
	if p.Description.Set {
		n.Description = p.Description.Value
	}
	if p.Annotations != nil {
		n.Annotations = p.Annotations
	}
	n = n.Normal()
	if violations := n.Check(); len(violations) > 0 {
		return nil, Invalid(violations...)
	}
	for _, value := range m.Values {
		if !slices.Contains(n.Values, value) {
			return nil, Conflict("values", "measure type %s has the value %q, which measurements may have: it can get others beside", m.Name, value)
		}
	}
	for _, field := range m.Fields {
		if !slices.Contains(n.Fields, field) {
			return nil, Conflict("fields", "measure type %s has the field %s, a %s, which measurements may have: it can get others beside", m.Name, field.Name, field.Type)
		}
	}
	out := *m
	out.Values, out.Fields, out.Description, out.Annotations = n.Values, n.Fields, n.Description, n.Annotations
	return &out, nil
}
