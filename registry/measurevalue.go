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
		return nil, "", &Refusal{Reason: ReasonUndeclaredMeasure, Measure: measure, Rule: "undeclared", Message: "template " + t.Name + " declares no measure " + measure + t.listMeasures()}
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
		return "measure " + m.Name + " takes " + WithArticle(string(m.ValueType)) + ", not " + WithArticle(string(got)), "type"
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
			return "field " + name + " takes " + WithArticle(string(m.Fields[i].Type)), "type"
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

// listMeasures goes on with the names of the measures, if there are any.
func (t *Template) listMeasures() string {
	if len(t.Measures) == 0 {
		return ""
	}
	names := make([]string, len(t.Measures))
	for i := range t.Measures {
		names[i] = t.Measures[i].Name
	}
	return ": there are " + someOf(names)
}

// WithArticle puts "a" or "an" before a word.
func WithArticle(word string) string {
	if strings.ContainsAny(word[:min(1, len(word))], "AEIOUaeiou") {
		return "an " + word
	}
	return "a " + word
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
