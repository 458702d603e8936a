package registry

import (
	"slices"
	"strconv"
	"strings"

	"github.com/holon-registry/holon/unit"
)

// MeasureType is defined once and used under many names.
type MeasureType struct {
	Object
	Name      string
	ValueType ValueType
	// Values are those of an ENUM, Fields those of a COMPOSITE.
	Values      []string
	Fields      []MeasureField
	Unit        *string
	Description *string
	// Annotations are for clients.
	Annotations Annotations
}

// IsNode marks a measure type as a GraphQL Node.
func (*MeasureType) IsNode() {}

// NewMeasureType is what a measure type is made from.
type NewMeasureType struct {
	Name        string
	ValueType   ValueType
	Values      []string
	Fields      []MeasureField
	Unit        *string
	Description *string
	Annotations Annotations
}

// Normal is the measure type as it is kept: units by their codes, empty lists as
// nil.
func (n NewMeasureType) Normal() NewMeasureType {
	n.Values, n.Fields, n.Annotations = some(n.Values), some(n.Fields), normalAnnotations(n.Annotations)
	for i := range n.Fields {
		n.Fields[i].Unit = unitCode(n.Fields[i].Unit)
	}
	if n.Unit != nil {
		code := unitCode(*n.Unit)
		if n.Unit = &code; code == "" {
			n.Unit = nil
		}
	}
	return n
}

// unitCode is the code of a unit; what is none stays as it is.
func unitCode(text string) string {
	if u, err := unit.Parse(text); err == nil {
		return u.Code()
	}
	return text
}

func checkUnit(c *checker, path, code string) {
	if code == "" {
		return
	}
	if _, err := unit.Parse(code); err != nil {
		c.add(path, "unit", "%s", err.Error())
	}
}

// Check returns everything that is wrong with a measure type.
func (n NewMeasureType) Check() []Violation {
	c := checker{}
	if !measureName.MatchString(n.Name) {
		c.add("name", "name", "a measure type's name is 1 to 64 letters, digits and underscores and does not begin with a digit")
	}
	if _, taken := BuiltInMeasureTypes[strings.ToLower(n.Name)]; taken {
		c.add("name", "reserved", "%q is a built-in measure type", n.Name)
	}
	switch n.ValueType {
	case ValueNumber, ValueBoolean, ValueString, ValueEnum, ValueLocation, ValueComposite:
	default:
		c.add("valueType", "enum", "is NUMBER, BOOLEAN, STRING, ENUM, LOCATION or COMPOSITE")
	}
	if n.Unit != nil {
		if n.ValueType != ValueNumber {
			c.add("unit", "type", "only numbers have units")
		}
		checkUnit(&c, "unit", *n.Unit)
	}
	checkShape(&c, n.ValueType, n.Values, n.Fields)
	c.take(CheckDescription(n.Description))
	c.take(checkAnnotations(attributeAnnotations, n.Annotations))
	return c.violations
}

// The bounds of values.
const (
	maxFields    = 32
	maxEnum      = 128     // bytes of a value of an enumeration
	MaxTextValue = 8 << 10 // bytes of a text
)

// ownFields are names that the fields of a composite cannot have: they tell
// other values apart from composites, or are Holon's own on a measurement.
var ownFields = map[string]bool{
	"at": true, "value": true, "unit": true, "suspect": true, "measuredAt": true,
	"latitude": true, "longitude": true, "coordinates": true,
}

// MeasureField is a field of a composite.
type MeasureField struct {
	Name string `json:"name"`
	// Type is NUMBER, BOOLEAN or STRING.
	Type ValueType `json:"type"`
	// Unit is a UCUM code; empty where there is none.
	Unit string `json:"unit,omitempty"`
}

// UnitCode is the unit, nil where there is none.
func (f MeasureField) UnitCode() *string {
	if f.Unit == "" {
		return nil
	}
	return &f.Unit
}

// checkShape tells what is wrong with the values of an enumeration and the
// fields of a composite.
func checkShape(c *checker, of ValueType, values []string, fields []MeasureField) {
	switch {
	case of == ValueEnum && len(values) == 0:
		c.add("values", "required", "an ENUM lists its values")
	case of != ValueEnum && len(values) > 0:
		c.add("values", "type", "only an ENUM lists its values")
	case len(values) > MaxTemplateParts:
		c.add("values", "maxItems", "has at most %d", MaxTemplateParts)
	}
	for i, value := range values {
		if value == "" || len(value) > maxEnum || !printable(value) || slices.Contains(values[:i], value) {
			c.add("values["+strconv.Itoa(i)+"]", "format", "is 1 to %d bytes without control characters, and no other value", maxEnum)
		}
	}
	switch {
	case of == ValueComposite && len(fields) == 0:
		c.add("fields", "required", "a COMPOSITE has fields")
	case of != ValueComposite && len(fields) > 0:
		c.add("fields", "type", "only a COMPOSITE has fields")
	case len(fields) > maxFields:
		c.add("fields", "maxItems", "has at most %d", maxFields)
	}
	for i, f := range fields {
		path := "fields[" + strconv.Itoa(i) + "]"
		switch {
		case !attributeName.MatchString(f.Name):
			c.add(path+".name", "name", "a name is 1 to 64 letters, digits and underscores and does not begin with a digit")
		case ownFields[f.Name] || builtInAttributes[f.Name]:
			c.add(path+".name", "reserved", "%q is one of Holon's own names", f.Name)
		case slices.ContainsFunc(fields[:i], func(other MeasureField) bool { return other.Name == f.Name }):
			c.add(path+".name", "unique", "there is another field %q", f.Name)
		}
		if f.Type != ValueNumber && f.Type != ValueBoolean && f.Type != ValueString {
			c.add(path+".type", "enum", "is NUMBER, BOOLEAN or STRING")
		}
		if f.Unit != "" && f.Type != ValueNumber {
			c.add(path+".unit", "type", "only numbers have units")
		}
	}
}
