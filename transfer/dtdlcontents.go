package transfer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// contents puts what an interface has into a template.
type contents struct {
	*dtdl
	names
	into *registry.TemplateRecord
	// schemas are those that interfaces define for themselves, by id.
	schemas map[string]any
}

// interfaceOf puts in an interface and all that it extends; names get the
// prefix.
func (c *contents) interfaceOf(it *dtdlInterface, prefix string, depth int) {
	if depth > maxExtends {
		c.note("%s: more than %d levels of interfaces: the rest is left out", it.id, maxExtends)
		return
	}
	for _, schema := range it.Object.list("schemas") {
		if schema, ok := schema.(map[string]any); ok {
			c.schemas[object(schema).text("@id")] = schema
		}
	}
	for _, base := range it.Object.list("extends") {
		id := interfaceID(base)
		if parent := c.byID[id]; parent != nil {
			c.interfaceOf(parent, prefix, depth+1)
		} else {
			c.note("extends %s, which is not in the files: what it has is missing", id)
		}
	}
	for _, content := range it.Object.list("contents") {
		o, ok := content.(map[string]any)
		if !ok {
			continue
		}
		c.content(o, prefix, depth)
	}
}

// interfaceID is the id of an interface that is named or written down.
func interfaceID(v any) string {
	if o, ok := v.(map[string]any); ok {
		return object(o).text("@id")
	}
	id, _ := v.(string)
	return id
}

func (c *contents) content(o object, prefix string, depth int) {
	name := prefix + o.text("name")
	switch {
	case o.isA("Property"):
		c.property(name, o)
	case o.isA("Telemetry"):
		c.telemetry(name, o)
	case o.isA("Relationship"):
		c.relationship(name, o)
	case o.isA("Component"):
		id := interfaceID(o["schema"])
		if inner := c.byID[id]; inner != nil {
			c.note("component %s: its contents are called %s_…", name, name)
			c.interfaceOf(inner, name+"_", depth+1)
		} else {
			c.note("component %s is a %s, which is not in the files: it is left out", name, id)
		}
	case o.isA("Command"):
		c.note("command %s is left out", name)
	default:
		c.note("%s is a %v, which is left out", name, o["@type"])
	}
}

func (c *contents) property(name string, o object) {
	schema := c.schema(name, o["schema"], 0)
	if title := o.optional("displayName"); title != nil {
		schema["title"] = *title
	}
	if text := described(object{"description": o["description"]}); text != nil {
		schema["description"] = *text
	}
	if unit := o.text("unit"); unit != "" {
		schema["$comment"] = "unit: " + unit
	}
	if o["writable"] != true {
		schema["readOnly"] = true
	}
	c.into.Properties[c.attribute(c.into.Kind, name)] = schema
}

// telemetry becomes a measure, an object with plain fields one for each.
func (c *contents) telemetry(name string, o object) {
	schema := o["schema"]
	if id, ok := schema.(string); ok && c.schemas[id] != nil {
		schema = c.schemas[id]
	}
	if inner, ok := schema.(map[string]any); ok && object(inner).isA("Object") {
		c.note("telemetry %s is an object: its fields are measures called %s_…", name, name)
		for _, field := range object(inner).list("fields") {
			if field, ok := field.(map[string]any); ok {
				c.telemetry(name+"_"+object(field).text("name"), field)
			}
		}
		return
	}
	of := valueType(schema)
	if of == "" {
		c.note("telemetry %s is no number, boolean or text and is left out", name)
		return
	}
	m := registry.MeasureDeclaration{Name: c.measure(name), Type: strings.ToLower(string(of))}
	if unit := o.text("unit"); unit != "" {
		if m.Unit = ucum[unit]; m.Unit == "" {
			c.note("telemetry %s: unit %s is unknown here and is left out", name, unit)
		}
	}
	if slices.ContainsFunc(c.into.Measures, func(other registry.MeasureDeclaration) bool { return other.Name == m.Name }) {
		c.note("telemetry %s is there twice", name)
		return
	}
	c.into.Measures = append(c.into.Measures, m)
}

// valueType is the type of a telemetry's values; empty for what no measure has.
func valueType(schema any) registry.ValueType {
	name, _ := schema.(string)
	if o, ok := schema.(map[string]any); ok && object(o).isA("Enum") {
		if name = object(o).text("valueSchema"); name == "integer" {
			return registry.ValueNumber
		}
		return registry.ValueString
	}
	of, _ := primitive(name)["type"].(string)
	switch of {
	case "number", "integer":
		return registry.ValueNumber
	case "boolean":
		return registry.ValueBoolean
	case "string":
		return registry.ValueString
	}
	return ""
}

func (c *contents) relationship(name string, o object) {
	rule := registry.RelationRule{Name: c.relation(name), Direction: registry.DirectionOut, Kind: c.into.Kind, Inherits: true}
	if target := o.text("target"); target != "" {
		base, _, _ := strings.Cut(target, ";")
		if known := c.dtdl.names[base]; known != "" {
			rule.Templates = c.andHeirs(base)
		} else {
			c.note("relationship %s leads to %s, which is not in the files: it may lead to any device", name, target)
		}
	}
	for _, lost := range []string{"minMultiplicity", "maxMultiplicity", "properties", "writable"} {
		if o[lost] != nil && o[lost] != false {
			c.note("relationship %s: %s is left out", name, lost)
		}
	}
	for i, other := range c.into.Relations {
		if other.Name == rule.Name && other.Kind == rule.Kind {
			c.into.Relations[i].Templates = slices.Compact(slices.Sorted(slices.Values(append(other.Templates, rule.Templates...))))
			return
		}
	}
	c.into.Relations = append(c.into.Relations, rule)
}

// andHeirs are the templates of an interface and of all that extend it, which a
// relationship to it may lead to as well.
func (c *contents) andHeirs(base string) []string {
	heirs := map[string]bool{base: true}
	for again := true; again; {
		again = false
		for i := range c.interfaces {
			it := &c.interfaces[i]
			for _, parent := range it.Object.list("extends") {
				of, _, _ := strings.Cut(interfaceID(parent), ";")
				if heirs[of] && !heirs[it.base] {
					heirs[it.base], again = true, true
				}
			}
		}
	}
	var out []string
	for heir := range heirs {
		out = append(out, c.dtdl.names[heir])
	}
	slices.Sort(out)
	return out
}

// schema makes a JSON Schema of a DTDL schema.
func (c *contents) schema(name string, schema any, depth int) map[string]any {
	if id, ok := schema.(string); ok {
		if p := primitive(id); p != nil {
			return p
		}
		if known, ok := c.schemas[id]; ok && depth < maxExtends {
			return c.schema(name, known, depth+1)
		}
		c.note("property %s: schema %s is unknown and takes any value", name, id)
		return map[string]any{}
	}
	o, _ := schema.(map[string]any)
	s := object(o)
	switch {
	case s.isA("Array"):
		return map[string]any{"type": "array", "items": c.schema(name, s["elementSchema"], depth+1)}
	case s.isA("Map"):
		return map[string]any{"type": "object", "additionalProperties": c.schema(name, s.object("mapValue")["schema"], depth+1)}
	case s.isA("Enum"):
		var values []any
		for _, value := range s.list("enumValues") {
			if value, ok := value.(map[string]any); ok {
				values = append(values, value["enumValue"])
			}
		}
		return map[string]any{"enum": values}
	case s.isA("Object"):
		properties := map[string]any{}
		for _, field := range s.list("fields") {
			if field, ok := field.(map[string]any); ok {
				properties[object(field).text("name")] = c.schema(name, field["schema"], depth+1)
			}
		}
		return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	}
	c.note("property %s: schema %v is unknown and takes any value", name, fmt.Sprint(s["@type"]))
	return map[string]any{}
}

// primitive is the JSON Schema of one of DTDL's own schemas; nil if it is none.
func primitive(name string) map[string]any {
	name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(name, "dtmi:dtdl:instance:Schema:"), ";2"), ";3")
	switch name {
	case "boolean":
		return map[string]any{"type": "boolean"}
	case "double", "float", "decimal", "scaledDecimal":
		return map[string]any{"type": "number"}
	case "integer":
		return map[string]any{"type": "integer", "minimum": -1 << 31, "maximum": 1<<31 - 1}
	case "short":
		return map[string]any{"type": "integer", "minimum": -1 << 15, "maximum": 1<<15 - 1}
	case "byte":
		return map[string]any{"type": "integer", "minimum": -128, "maximum": 127}
	case "unsignedByte":
		return map[string]any{"type": "integer", "minimum": 0, "maximum": 255}
	case "unsignedShort":
		return map[string]any{"type": "integer", "minimum": 0, "maximum": 1<<16 - 1}
	case "unsignedInteger":
		return map[string]any{"type": "integer", "minimum": 0, "maximum": 1<<32 - 1}
	case "unsignedLong":
		return map[string]any{"type": "integer", "minimum": 0}
	case "long":
		return map[string]any{"type": "integer"}
	case "string":
		return map[string]any{"type": "string"}
	case "bytes":
		return map[string]any{"type": "string", "contentEncoding": "base64"}
	case "date":
		return map[string]any{"type": "string", "format": "date"}
	case "dateTime":
		return map[string]any{"type": "string", "format": "date-time"}
	case "time":
		return map[string]any{"type": "string", "pattern": `^[0-2][0-9]:[0-5][0-9](:[0-6][0-9](\.[0-9]+)?)?(Z|[+-][0-2][0-9]:[0-5][0-9])?$`}
	case "duration":
		return map[string]any{"type": "string", "format": "duration"}
	case "uuid":
		return map[string]any{"type": "string", "format": "uuid"}
	case "point", "lineString", "polygon", "multiPoint", "multiLineString", "multiPolygon":
		return map[string]any{
			"type": "object", "required": []any{"type", "coordinates"},
			"properties": map[string]any{"type": map[string]any{"const": strings.ToUpper(name[:1]) + name[1:]}, "coordinates": map[string]any{"type": "array"}},
		}
	}
	return nil
}

// ucum are the UCUM codes of DTDL's units.
var ucum = map[string]string{
	"degreeCelsius": "Cel", "degreeFahrenheit": "[degF]", "kelvin": "K", "percent": "%", "unity": "1", "lux": "lx", "lumen": "lm", "candela": "cd",
	"ampere": "A", "volt": "V", "millivolt": "mV", "microvolt": "uV", "kilovolt": "kV", "megavolt": "MV", "ohm": "Ohm", "farad": "F", "henry": "H",
	"coulomb": "C", "watt": "W", "kilowatt": "kW", "megawatt": "MW", "gigawatt": "GW", "microwatt": "uW", "milliwatt": "mW", "horsepower": "[HP]",
	"joule": "J", "kilojoule": "kJ", "megajoule": "MJ", "gigajoule": "GJ", "electronvolt": "eV", "kilowattHour": "kW.h",
	"pascal": "Pa", "kilopascal": "kPa", "bar": "bar", "millibar": "mbar", "millimetresOfMercury": "mm[Hg]", "poundPerSquareInch": "[psi]", "inchesOfMercury": "[in_i'Hg]",
	"metre": "m", "centimetre": "cm", "millimetre": "mm", "micrometre": "um", "nanometre": "nm", "kilometre": "km", "foot": "[ft_i]", "inch": "[in_i]", "mile": "[mi_i]",
	"nauticalMile": "[nmi_i]", "metrePerSecond": "m/s", "kilometrePerHour": "km/h", "metrePerHour": "m/h", "milePerHour": "[mi_i]/h", "knot": "[kn_i]", "metrePerSecondSquared": "m/s2",
	"gramPerCubicMetre": "g/m3", "kilogramPerCubicMetre": "kg/m3", "gForce": "[g]", "kilogram": "kg", "gram": "g", "milligram": "mg", "microgram": "ug", "tonne": "t",
	"litre": "L", "millilitre": "mL", "cubicMetre": "m3", "cubicCentimetre": "cm3", "gallon": "[gal_us]", "litrePerSecond": "L/s", "litrePerHour": "L/h", "millilitrePerSecond": "mL/s",
	"squareMetre": "m2", "squareCentimetre": "cm2", "squareKilometre": "km2", "hectare": "har", "squareFoot": "[sft_i]",
	"second": "s", "minute": "min", "hour": "h", "day": "d", "week": "wk", "year": "a", "millisecond": "ms", "microsecond": "us", "nanosecond": "ns",
	"hertz": "Hz", "kilohertz": "kHz", "megahertz": "MHz", "gigahertz": "GHz", "revolutionPerMinute": "{rev}/min", "revolutionPerSecond": "{rev}/s",
	"radian": "rad", "degreeOfArc": "deg", "minuteOfArc": "'", "secondOfArc": "''", "turn": "{turn}", "radianPerSecond": "rad/s", "degreePerSecond": "deg/s",
	"newton": "N", "newtonMetre": "N.m", "weber": "Wb", "tesla": "T", "decibel": "dB", "bel": "B", "bit": "bit", "byte": "By", "kibibyte": "KiBy", "mebibyte": "MiBy", "gibibyte": "GiBy",
	"bitPerSecond": "bit/s", "kibibitPerSecond": "Kibit/s", "mebibitPerSecond": "Mibit/s", "bytePerSecond": "By/s", "lumenSecond": "lm.s", "squareMetrePerSecond": "m2/s",
}
