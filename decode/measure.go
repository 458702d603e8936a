package decode

import (
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/unit"
)

// measures knows what may be mapped.
type measures struct {
	// template is nil where everything may be.
	template *registry.Template
}

// mapping says how to make the value of one measure.
type mapping struct {
	measure string
	value   value
	// unit is what the values are said to be in; empty for the declared one.
	unit string
}

// value says where a value is in a frame and what is made of it.
type value struct {
	// place is where a decoder finds it; nil if the value is made of fields.
	place any
	// label is the place as a person reads it.
	label string
	// of is what the value has to become; empty if nobody knows.
	of            registry.ValueType
	scale, offset *float64
	// names are other values for those that are found, by their texts.
	names  map[string]any
	fields []field
	// number reads texts as numbers.
	number func(string) (float64, error)
}

// field is one part of a value that is an object.
type field struct {
	name  string
	value value
}

// placer reads where a value is from its options; label is empty if they are
// wrong.
type placer func(o *options) (place any, label string)

// mappings reads the option "measures".
func (m *measures) mappings(o *options, short string, place placer, number func(string) (float64, error)) []mapping {
	all := o.object("measures")
	if all == nil || len(all.values) == 0 {
		o.refuse("measures", "required", "maps one measure at least")
		return nil
	}
	if len(all.values) > registry.MaxTemplateParts {
		o.refuse("measures", "maxItems", "maps at most %d measures", registry.MaxTemplateParts)
		return nil
	}
	out := make([]mapping, 0, len(all.values))
	for _, name := range all.names() {
		of := all.short(name, short)
		if of == nil {
			continue
		}
		out = append(out, m.mapping(name, of, short, place, number))
		of.end()
	}
	return out
}

func (m *measures) mapping(name string, o *options, short string, place placer, number func(string) (float64, error)) mapping {
	declared := m.declared(name, o)
	out := mapping{measure: name, unit: o.text("unit")}
	var of registry.ValueType
	if declared != nil {
		of = declared.ValueType
	}
	if fields := o.object("fields"); fields != nil {
		out.value = m.object(declared, of, fields, short, place, number)
	} else {
		out.value = readValue(o, of, short, place, number)
	}
	m.checkNames(o, declared, out)
	if out.unit != "" {
		checkUnit(o, declared, out.unit)
	}
	return out
}

// declared finds the declaration of a measure; nil if nobody declares any.
func (m *measures) declared(name string, o *options) *registry.MeasureDeclaration {
	if m.template == nil {
		return nil
	}
	declared := m.template.Declared(name)
	switch {
	case declared == nil:
		o.refuse("", "undeclared", "the template declares no measure %s", name)
	case declared.Computed != "":
		o.refuse("", "computed", "measure %s is computed from others", name)
	}
	return declared
}

// The types that the option "as" may say, for what no template declares.
var typesByName = map[string]registry.ValueType{
	"NUMBER": registry.ValueNumber, "BOOLEAN": registry.ValueBoolean, "STRING": registry.ValueString,
}

// readValue reads a value that has a place.
func readValue(o *options, of registry.ValueType, short string, place placer, number func(string) (float64, error)) value {
	v := value{of: of, scale: o.number("scale"), offset: o.number("offset"), number: number}
	if said := o.text("as"); said != "" {
		t, known := typesByName[said]
		switch {
		case !known:
			o.refuse("as", "enum", "is NUMBER, BOOLEAN or STRING")
		case of != "" && of != t:
			o.refuse("as", "exclusive", "the template declares the measure as %s", of)
		}
		v.of = t
	}
	if v.scale != nil || v.offset != nil {
		switch v.of {
		case "":
			v.of = registry.ValueNumber
		case registry.ValueNumber:
		default:
			o.refuse("", "type", "only numbers have a scale and an offset")
		}
	}
	if names := o.get("values"); names != nil {
		object, ok := names.(map[string]any)
		if !ok || len(object) == 0 || len(object) > registry.MaxTemplateParts {
			o.refuse("values", "type", "is an object with 1 to %d values", registry.MaxTemplateParts)
		}
		v.names = object
	}
	v.place, v.label = place(o)
	if v.label == "" {
		if _, given := o.values[short]; !given {
			o.refuse(short, "required", "says where the value is")
		}
	}
	return v
}

// object reads a value that is made of fields.
func (m *measures) object(declared *registry.MeasureDeclaration, of registry.ValueType, o *options, short string, place placer, number func(string) (float64, error)) value {
	v := value{of: of}
	if of == "" {
		v.of = registry.ValueComposite
		if _, place := o.values["latitude"]; place {
			v.of = registry.ValueLocation
		}
	}
	if v.of != registry.ValueLocation && v.of != registry.ValueComposite {
		o.refuse("", "type", "only locations and composites have fields")
		return v
	}
	for _, name := range o.names() {
		inner := o.short(name, short)
		if inner == nil {
			continue
		}
		v.fields = append(v.fields, field{name, readValue(inner, m.fieldType(declared, v.of, name, inner), short, place, number)})
		inner.end()
	}
	if len(v.fields) == 0 {
		o.refuse("", "required", "names one field at least")
	}
	if v.of == registry.ValueLocation {
		for _, name := range []string{"latitude", "longitude"} {
			if o.values[name] == nil {
				o.refuse(name, "required", "a location has a latitude and a longitude")
			}
		}
	}
	return v
}

// fieldType is what a field's values are.
func (m *measures) fieldType(declared *registry.MeasureDeclaration, of registry.ValueType, name string, o *options) registry.ValueType {
	if of == registry.ValueLocation {
		if name != "latitude" && name != "longitude" && name != "altitude" {
			o.refuse("", "undeclared", "a location has latitude, longitude and altitude")
		}
		return registry.ValueNumber
	}
	if declared == nil {
		return ""
	}
	i := slices.IndexFunc(declared.Fields, func(f registry.MeasureField) bool { return f.Name == name })
	if i < 0 {
		o.refuse("", "undeclared", "measure %s has no field %s", declared.Name, name)
		return ""
	}
	return declared.Fields[i].Type
}

// checkNames refuses values that the measure does not take.
func (m *measures) checkNames(o *options, declared *registry.MeasureDeclaration, of mapping) {
	if declared == nil || declared.Computed != "" {
		return
	}
	for text, name := range of.value.names {
		plain := name
		if n, ok := plainNumber(name); ok {
			plain = n
		}
		if _, _, refusal := declared.Accept(plain); refusal != nil {
			o.refuse("values."+text, refusal.Rule, "%s", refusal.Message)
		}
	}
}

// checkUnit refuses a unit that cannot be turned into the declared one.
func checkUnit(o *options, declared *registry.MeasureDeclaration, code string) {
	parsed, err := unit.Parse(code)
	switch {
	case err != nil:
	case declared == nil:
		return
	case declared.Unit == "":
		o.refuse("unit", "unit", "measure %s has no unit", declared.Name)
		return
	default:
		_, err = unit.Convert(parsed.Code(), declared.Unit)
	}
	if err != nil {
		o.refuse("unit", "unit", "%s", err)
	}
}

// labelled is a list of labels in a message.
func labelled(all []mapping) string {
	var out []string
	for i := range all {
		if all[i].value.label != "" {
			out = append(out, all[i].value.label)
		}
	}
	if len(out) > 10 {
		out = append(out[:10], "...")
	}
	return strings.Join(out, ", ")
}
