package registry

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/holon-registry/holon/unit"
)

// MeasureDeclaration is a measure that a device or an asset has values of.
type MeasureDeclaration struct {
	Name string `json:"name"`
	// Type names a measure type of the account, or a built-in one.
	Type string `json:"type"`
	// ValueType is what the measure type's values are; Values lists those of an
	// ENUM, Fields what a COMPOSITE has.
	ValueType ValueType      `json:"valueType"`
	Values    []string       `json:"values,omitempty"`
	Fields    []MeasureField `json:"fields,omitempty"`
	// Unit is a UCUM code such as "Cel" or "%"; empty where there is none.
	Unit string `json:"unit,omitempty"`
	// Minimum and Maximum bound what is to be believed of a number, MaximumRate
	// how much it can change in a second. Others are kept and marked as suspect.
	Minimum     *float64 `json:"minimum,omitempty"`
	Maximum     *float64 `json:"maximum,omitempty"`
	MaximumRate *float64 `json:"maximumRate,omitempty"`
	// Computed is an expression over other measures and attributes: the measure
	// is worked out when it is read, and never stored. Empty for others.
	Computed string `json:"computed,omitempty"`
}

// ComputedText is the expression, nil where there is none.
func (m MeasureDeclaration) ComputedText() *string {
	if m.Computed == "" {
		return nil
	}
	return &m.Computed
}

// Limited says whether the measure has limits.
func (m *MeasureDeclaration) Limited() bool {
	return m.Minimum != nil || m.Maximum != nil || m.MaximumRate != nil
}

// Suspect says why a number should not be believed by itself; empty if it can
// be.
func (m *MeasureDeclaration) Suspect(number float64) SuspectReason {
	switch {
	case m.Minimum != nil && number < *m.Minimum:
		return SuspectBelowMinimum
	case m.Maximum != nil && number > *m.Maximum:
		return SuspectAboveMaximum
	}
	return ""
}

// SuspectChange says whether a number that follows another after a time, in
// milliseconds, changed faster than can be believed.
func (m *MeasureDeclaration) SuspectChange(before, number float64, after int64) SuspectReason {
	if m.MaximumRate != nil && after > 0 && math.Abs(number-before) > *m.MaximumRate*float64(after)/1000 {
		return SuspectRate
	}
	return ""
}

// CheckNumeric tells what a measure has that only numbers can have; nil if it is
// a number, or has nothing of the kind.
func (m *MeasureDeclaration) CheckNumeric(path string) *Violation {
	switch {
	case m.ValueType == ValueNumber:
		return nil
	case m.Unit != "":
		return &Violation{path + ".unit", "type", "only numbers have units"}
	case m.Limited():
		return &Violation{path, "type", "only numbers have limits"}
	case m.Computed != "":
		return &Violation{path + ".computed", "type", "only numbers are computed"}
	}
	return nil
}

// checkLimits tells what is wrong with the limits of a measure.
func (m *MeasureDeclaration) checkLimits(c *checker, path string) {
	for _, limit := range []*float64{m.Minimum, m.Maximum, m.MaximumRate} {
		if limit != nil && !finite(*limit) {
			c.add(path, "type", "limits are finite numbers")
		}
	}
	if m.Minimum != nil && m.Maximum != nil && *m.Minimum > *m.Maximum {
		c.add(path+".minimum", "range", "is not above the maximum")
	}
	if m.MaximumRate != nil && *m.MaximumRate <= 0 {
		c.add(path+".maximumRate", "range", "is above 0")
	}
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
	Name      string
	ValueType ValueType
	// Values are those of an ENUM, Fields those of a COMPOSITE.
	Values      []string
	Fields      []MeasureField
	Unit        *string
	Description *string
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
}

// Normal is the measure type as it is kept: units by their codes, empty lists as
// nil.
func (n NewMeasureType) Normal() NewMeasureType {
	n.Values, n.Fields = some(n.Values), some(n.Fields)
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

// CheckValue refuses a value that a template does not declare. An open template
// takes every value but composites. Quantities are taken as they were sent.
func (t *Template) CheckValue(measure string, value any) *Refusal {
	_, _, refusal := t.Accept(measure, value)
	return refusal
}

// Accept is CheckValue for a value that is to be stored: it returns the value in
// the declared unit, and the code of the unit that it was sent in if that is
// another one.
func (t *Template) Accept(measure string, value any) (stored any, sent string, refusal *Refusal) {
	declared := t.Declared(measure)
	if declared != nil {
		return declared.Accept(value)
	}
	if !t.Open || !measureName.MatchString(measure) {
		return nil, "", &Refusal{Reason: ReasonUndeclaredMeasure, Measure: measure, Rule: "undeclared", Message: "template " + t.Name + " declares no measure " + measure}
	}
	of, _ := TypeOf(value)
	if q, ok := value.(Quantity); ok {
		if q.Unit != "" {
			return nil, "", wrongValue(measure, "unit", "template "+t.Name+" declares no unit of measure "+measure)
		}
		of, _ = TypeOf(q.Value)
	}
	if of == ValueComposite {
		return nil, "", wrongValue(measure, "type", "objects of several fields need a template that declares them")
	}
	return (&MeasureDeclaration{Name: measure, ValueType: of}).Accept(value)
}

func wrongValue(measure, rule, message string) *Refusal {
	return &Refusal{Reason: ReasonWrongType, Measure: measure, Rule: rule, Message: message}
}

// Accept returns a value of the measure as it is stored, and the code of the
// unit that it was sent in if that is not the declared one.
func (m *MeasureDeclaration) Accept(value any) (stored any, sent string, refusal *Refusal) {
	if m.Computed != "" {
		return nil, "", &Refusal{Reason: ReasonUndeclaredMeasure, Measure: m.Name, Rule: "computed", Message: "measure " + m.Name + " is computed from others: it cannot be sent"}
	}
	if f, ok := value.(float64); ok && m.ValueType == ValueNumber && finite(f) {
		return value, "", nil
	}
	if q, ok := value.(Quantity); ok {
		if q.Unit == "" {
			return m.Accept(q.Value)
		}
		return m.convert(q)
	}
	if wrong, rule := m.wrong(value); wrong != "" {
		return nil, "", wrongValue(m.Name, rule, wrong)
	}
	return value, "", nil
}

// convert turns a number into the declared unit.
func (m *MeasureDeclaration) convert(q Quantity) (stored any, sent string, refusal *Refusal) {
	number, ok := q.Value.(float64)
	switch {
	case !ok || m.ValueType != ValueNumber:
		if wrong, rule := m.wrong(q.Value); wrong != "" {
			return nil, "", wrongValue(m.Name, rule, wrong)
		}
		return nil, "", wrongValue(m.Name, "unit", "only numbers have units")
	case !finite(number):
		return nil, "", wrongValue(m.Name, "type", "a number is finite")
	case m.Unit == "":
		return nil, "", wrongValue(m.Name, "unit", "measure "+m.Name+" has no unit: it takes a number without one")
	}
	from, err := unit.Parse(q.Unit)
	if err != nil {
		return nil, "", wrongValue(m.Name, "unit", err.Error())
	}
	if from.Code() == m.Unit {
		return number, "", nil
	}
	conversion, err := unit.Convert(from.Code(), m.Unit)
	if err != nil {
		return nil, "", wrongValue(m.Name, "unit", err.Error())
	}
	if number = conversion.Apply(number); !finite(number) {
		return nil, "", wrongValue(m.Name, "range", "the number is too large for 64 bits in "+m.Unit)
	}
	return number, from.Code(), nil
}

// wrong says what is wrong with a value that is no quantity.
func (m *MeasureDeclaration) wrong(value any) (message, rule string) {
	got, ok := TypeOf(value)
	if f, number := value.(float64); !ok || number && !finite(f) {
		return "a value is a finite number, a boolean, a text or an object", "type"
	}
	if text, ok := value.(string); ok && m.ValueType == ValueEnum {
		if !slices.Contains(m.Values, text) {
			return "measure " + m.Name + " takes one of " + someOf(m.Values) + ", not " + strconv.Quote(shortened(text)), "enum"
		}
		return "", ""
	}
	if m.ValueType != got {
		return "measure " + m.Name + " takes a " + string(m.ValueType) + ", not a " + string(got), "type"
	}
	switch v := value.(type) {
	case string:
		return wrongText(v)
	case Location:
		if !finite(v.Latitude) || !finite(v.Longitude) || math.Abs(v.Latitude) > 90 || math.Abs(v.Longitude) > 180 || v.Altitude != nil && !finite(*v.Altitude) {
			return "a latitude is from -90 to 90 degrees, a longitude from -180 to 180", "range"
		}
	case Composite:
		return m.wrongFields(v)
	}
	return "", ""
}

func wrongText(text string) (message, rule string) {
	if len(text) > MaxTextValue || !utf8.ValidString(text) {
		return fmt.Sprintf("a text has at most %d bytes of UTF-8", MaxTextValue), "length"
	}
	return "", ""
}

// wrongFields says what is wrong with a composite. It may lack some of the
// declared fields, but not all.
func (m *MeasureDeclaration) wrongFields(value Composite) (message, rule string) {
	if len(value) == 0 {
		return "measure " + m.Name + " takes an object of the fields " + fieldNames(m.Fields), "required"
	}
	for name, field := range value {
		i := slices.IndexFunc(m.Fields, func(f MeasureField) bool { return f.Name == name })
		if i < 0 {
			return "measure " + m.Name + " has the fields " + fieldNames(m.Fields) + ", not " + strconv.Quote(shortened(name)), "undeclared"
		}
		got, _ := TypeOf(field)
		if got != m.Fields[i].Type {
			return "field " + name + " takes a " + string(m.Fields[i].Type), "type"
		}
		switch v := field.(type) {
		case float64:
			if !finite(v) {
				return "field " + name + " takes a finite number", "type"
			}
		case string:
			if message, rule = wrongText(v); message != "" {
				return message, rule
			}
		}
	}
	return "", ""
}

func fieldNames(fields []MeasureField) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return someOf(names)
}

// someOf lists names in a message, but not hundreds.
func someOf(names []string) string {
	if len(names) > 10 {
		return strings.Join(names[:10], ", ") + ", ..."
	}
	return strings.Join(names, ", ")
}

func shortened(text string) string {
	if len(text) > 64 {
		return strings.ToValidUTF8(text[:64], "") + "..."
	}
	return text
}

// Fits says why values of one measure cannot be values of another of the same
// type; empty if they can.
func (m *MeasureDeclaration) Fits(into *MeasureDeclaration) string {
	switch m.ValueType {
	case ValueEnum:
		for _, value := range m.Values {
			if !slices.Contains(into.Values, value) {
				return "measure " + into.Name + " has no value " + strconv.Quote(value)
			}
		}
	case ValueComposite:
		for _, f := range m.Fields {
			if !slices.Contains(into.Fields, f) {
				return "measure " + into.Name + " has no such field " + f.Name
			}
		}
	}
	return ""
}
