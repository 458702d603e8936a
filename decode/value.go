package decode

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// finder finds what is at a place of a frame. A unit is what the payload itself
// says of it; empty where it says nothing.
type finder func(place any) (found any, unit string, ok bool)

// cell is a text of which nobody said that it is one: it may be a number.
type cell string

// values makes the values of a frame by the mappings, as long as the budget lasts.
// What is not there is left out.
func values(all []mapping, find finder, left *budget) (map[string]any, *Error) {
	out := make(map[string]any, len(all))
	for i := range all {
		m := &all[i]
		made, unit, ok, err := m.value.make(find)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if err := left.spend(weight(made)); err != nil {
			return nil, err
		}
		if m.unit != "" {
			unit = m.unit
		}
		if _, number := made.(float64); number && unit != "" {
			made = registry.Quantity{Value: made, Unit: unit}
		}
		out[m.measure] = made
	}
	return out, nil
}

// make makes a value; ok is false if it is not there.
func (v *value) make(find finder) (made any, unit string, ok bool, err *Error) {
	if v.fields != nil {
		made, ok, err = v.makeObject(find)
		return made, "", ok, err
	}
	found, unit, ok := find(v.place)
	if !ok {
		return nil, "", false, nil
	}
	if text, is := found.(cell); is && strings.TrimSpace(string(text)) == "" {
		return nil, "", false, nil
	}
	made, message := v.turn(found)
	if message != "" {
		return nil, "", false, &Error{v.label, message}
	}
	return made, unit, true, nil
}

// makeObject puts fields together. Without any it is not there.
func (v *value) makeObject(find finder) (any, bool, *Error) {
	object := make(map[string]any, len(v.fields))
	for i := range v.fields {
		f := &v.fields[i]
		made, _, ok, err := f.value.make(find)
		if err != nil {
			return nil, false, err
		}
		if ok {
			object[f.name] = made
		}
	}
	if len(object) == 0 {
		return nil, false, nil
	}
	if v.of != registry.ValueLocation {
		return registry.Composite(object), true, nil
	}
	made, message := registry.DecodeValue(object)
	if _, location := made.(registry.Location); !location {
		if message == "" {
			message = "a location has latitude and longitude, both numbers"
		}
		return nil, false, &Error{v.fields[0].value.label, message}
	}
	return made, true, nil
}

// turn makes of what was found what the measure takes.
func (v *value) turn(found any) (made any, message string) {
	if v.names != nil {
		text, ok := textOf(found)
		name, known := v.names[text]
		if !ok || !known {
			return nil, strconv.Quote(shortened(text)) + " is not among the values that are mapped"
		}
		found = name
		if n, number := plainNumber(name); number {
			found = n
		}
	}
	switch v.of {
	case registry.ValueNumber:
		return v.turnNumber(found)
	case registry.ValueBoolean:
		return turnBoolean(found)
	case registry.ValueString, registry.ValueEnum:
		if text, ok := textOf(found); ok {
			return text, ""
		}
		return nil, "a text is due"
	case registry.ValueLocation, registry.ValueComposite:
		return turnObject(found)
	}
	return v.guess(found)
}

func (v *value) turnNumber(found any) (any, string) {
	n, ok := plainNumber(found)
	if text, is := plainText(found); !ok && is {
		parsed, err := v.number(strings.TrimSpace(text))
		if err != nil {
			return nil, strconv.Quote(shortened(text)) + " is not a number"
		}
		n, ok = parsed, true
	}
	if !ok {
		return nil, "a number is due"
	}
	if v.scale != nil {
		n *= *v.scale
	}
	if v.offset != nil {
		n += *v.offset
	}
	if v.scale != nil {
		n = tidy(n)
	}
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return nil, "the number is too large for 64 bits"
	}
	return n, ""
}

// tidy takes away what scaling by a decimal fraction adds to a number: 215 times
// 0.1 is 21.5, not 21.500000000000004. Fifteen digits are what 64 bits hold for
// sure.
func tidy(n float64) float64 {
	short, err := strconv.ParseFloat(strconv.FormatFloat(n, 'g', 15, 64), 64)
	if err != nil {
		return n
	}
	return short
}

func turnBoolean(found any) (any, string) {
	if b, ok := found.(bool); ok {
		return b, ""
	}
	text, _ := textOf(found)
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "1":
		return true, ""
	case "false", "0":
		return false, ""
	}
	return nil, "true or false is due, or 1 or 0"
}

func turnObject(found any) (any, string) {
	switch found.(type) {
	case registry.Location, registry.Composite:
		return found, ""
	case map[string]any:
		return registry.DecodeValue(found)
	}
	return nil, "an object is due"
}

// guess takes what was found for what it looks like.
func (v *value) guess(found any) (any, string) {
	if text, ok := found.(cell); ok {
		trimmed := strings.TrimSpace(string(text))
		if n, err := v.number(trimmed); err == nil {
			return n, ""
		}
		if made, message := turnBoolean(trimmed); message == "" {
			return made, ""
		}
		return string(text), ""
	}
	return registry.DecodeValue(found)
}

// textOf is a text, a number or a boolean as text.
func textOf(found any) (string, bool) {
	if text, ok := plainText(found); ok {
		return text, true
	}
	switch v := found.(type) {
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	if n, ok := plainNumber(found); ok {
		return strconv.FormatFloat(n, 'g', -1, 64), true
	}
	return "", false
}

func plainText(found any) (string, bool) {
	switch v := found.(type) {
	case string:
		return v, true
	case cell:
		return strings.TrimSpace(string(v)), true
	}
	return "", false
}

// plainNumber is a number in any of the forms that JSON libraries give it.
func plainNumber(found any) (float64, bool) {
	switch v := found.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case json.Number:
		n, err := v.Float64()
		return n, err == nil
	}
	return 0, false
}

// parseNumber reads a number with a decimal point. What Go alone would take, hex
// digits and underscores, is none.
func parseNumber(text string) (float64, error) {
	if strings.IndexFunc(text, func(c rune) bool { return !strings.ContainsRune("0123456789+-.eE", c) }) >= 0 {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(text, 64)
}

// parseComma reads a number with a decimal comma.
func parseComma(text string) (float64, error) {
	if strings.Contains(text, ".") {
		return 0, strconv.ErrSyntax
	}
	return parseNumber(strings.Replace(text, ",", ".", 1))
}

// shortened is a text that fits into a message.
func shortened(text string) string {
	if len(text) > 64 {
		return strings.ToValidUTF8(text[:64], "") + "..."
	}
	return text
}
