package registry

import (
	"encoding/json"
	"io"
	"maps"
	"math"
	"time"
)

// ValueType is the type of a measure's values.
type ValueType string

// The value types, and what a decoded value of each is.
const (
	ValueNumber    ValueType = "NUMBER"    // float64
	ValueBoolean   ValueType = "BOOLEAN"   // bool
	ValueString    ValueType = "STRING"    // string
	ValueEnum      ValueType = "ENUM"      // string, one of those that the measure type lists
	ValueLocation  ValueType = "LOCATION"  // Location
	ValueComposite ValueType = "COMPOSITE" // Composite
)

// BuiltInMeasureTypes are the measure types that every account has, by name.
var BuiltInMeasureTypes = map[string]ValueType{
	"number": ValueNumber, "boolean": ValueBoolean, "string": ValueString, "location": ValueLocation,
}

// MarshalGQL writes the value type as a GraphQL enum value.
func (t ValueType) MarshalGQL(w io.Writer) { marshalEnum(w, string(t)) }

// UnmarshalGQL reads the value type from a GraphQL enum value.
func (t *ValueType) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, t, ValueNumber, ValueBoolean, ValueString, ValueEnum, ValueLocation, ValueComposite)
}

// Location is a place on the Earth, in degrees of WGS 84.
type Location struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	// Altitude is in metres above the ellipsoid; nil where nobody said.
	Altitude *float64 `json:"altitude,omitempty"`
}

// Composite is a value of several fields: a float64, a bool or a string by each
// field's name.
type Composite map[string]any

// Quantity is a value with what its sender said beside it. It is what readings
// hold on their way in only: a stored value is in its device's unit.
type Quantity struct {
	Value any
	// Unit is what the sender called the unit; empty for the device's own.
	Unit string
	// MeasuredAt is zero for the time of the reading.
	MeasuredAt time.Time
}

// MarshalJSON writes the quantity as it can be sent.
func (q Quantity) MarshalJSON() ([]byte, error) {
	out := map[string]any{"value": q.Value}
	if q.Unit != "" {
		out["unit"] = q.Unit
	}
	if !q.MeasuredAt.IsZero() {
		out["measuredAt"] = q.MeasuredAt.UTC()
	}
	return json.Marshal(out)
}

// TypeOf returns the value type of a decoded value. A text may be of an ENUM
// too: that only a declaration knows.
func TypeOf(v any) (ValueType, bool) {
	switch v.(type) {
	case float64:
		return ValueNumber, true
	case bool:
		return ValueBoolean, true
	case string:
		return ValueString, true
	case Location:
		return ValueLocation, true
	case Composite:
		return ValueComposite, true
	}
	return "", false
}

// SameValue says whether two decoded values are the same.
func SameValue(x, y any) bool {
	switch x := x.(type) {
	case Location:
		y, ok := y.(Location)
		return ok && x.Latitude == y.Latitude && x.Longitude == y.Longitude && (x.Altitude == nil) == (y.Altitude == nil) &&
			(x.Altitude == nil || *x.Altitude == *y.Altitude)
	case Composite:
		y, ok := y.(Composite)
		return ok && maps.Equal(x, y)
	}
	switch y.(type) {
	case Location, Composite:
		return false
	}
	return x == y
}

// PlainValue is a decoded value as rules and statements take it: one that has
// parts is a map of them.
func PlainValue(v any) any {
	switch v := v.(type) {
	case Location:
		out := map[string]any{"latitude": v.Latitude, "longitude": v.Longitude}
		if v.Altitude != nil {
			out["altitude"] = *v.Altitude
		}
		return out
	case Composite:
		return map[string]any(v)
	}
	return v
}

// DecodeValue makes a value of what JSON has for it: a number, a boolean, a
// text, an object with latitude and longitude, a GeoJSON point, an object of
// other fields, or an object with a value and its unit or time, which becomes a
// Quantity. It says what is wrong in words otherwise.
func DecodeValue(v any) (value any, wrong string) {
	switch v := v.(type) {
	case float64, bool, string, Location, Composite, Quantity:
		return v, ""
	case map[string]any:
		return decodeObject(v)
	}
	if f, ok := numberOf(v); ok {
		return f, ""
	}
	return nil, "a value is a number, a boolean, a text or an object"
}

func decodeObject(object map[string]any) (any, string) {
	if _, ok := object["value"]; ok {
		return decodeQuantity(object)
	}
	if _, ok := object["coordinates"]; ok {
		return decodePoint(object)
	}
	_, latitude := object["latitude"]
	_, longitude := object["longitude"]
	if latitude || longitude {
		return decodeLocation(object)
	}
	out := make(Composite, len(object))
	for name, field := range object {
		switch field := field.(type) {
		case float64, bool, string:
			out[name] = field
		default:
			f, ok := numberOf(field)
			if !ok {
				return nil, "the fields of an object are numbers, booleans and texts: " + name + " is not"
			}
			out[name] = f
		}
	}
	return out, ""
}

func decodeLocation(object map[string]any) (any, string) {
	var l Location
	var ok1, ok2 bool
	l.Latitude, ok1 = numberOf(object["latitude"])
	l.Longitude, ok2 = numberOf(object["longitude"])
	if !ok1 || !ok2 {
		return nil, "a location has latitude and longitude, both numbers"
	}
	for name, field := range object {
		switch name {
		case "latitude", "longitude":
		case "altitude":
			if field == nil {
				continue
			}
			altitude, ok := numberOf(field)
			if !ok {
				return nil, "the altitude of a location is a number of metres"
			}
			l.Altitude = &altitude
		default:
			return nil, "a location has latitude, longitude and altitude, not " + name
		}
	}
	return l, ""
}

// decodePoint takes a point as GeoJSON (RFC 7946) has it: longitude first.
func decodePoint(object map[string]any) (any, string) {
	const want = "a point of GeoJSON is {\"type\": \"Point\", \"coordinates\": [longitude, latitude]}, with an altitude as the third number if need be"
	list, _ := object["coordinates"].([]any)
	if object["type"] != "Point" || len(object) != 2 || len(list) < 2 || len(list) > 3 {
		return nil, want
	}
	var numbers [3]float64
	for i, one := range list {
		var ok bool
		if numbers[i], ok = numberOf(one); !ok {
			return nil, want
		}
	}
	l := Location{Latitude: numbers[1], Longitude: numbers[0]}
	if len(list) == 3 {
		l.Altitude = &numbers[2]
	}
	return l, ""
}

func decodeQuantity(object map[string]any) (any, string) {
	inner, wrong := DecodeValue(object["value"])
	if wrong != "" {
		return nil, wrong
	}
	if _, again := inner.(Quantity); again {
		return nil, "the value of a value is not one of its own"
	}
	q := Quantity{Value: inner}
	for name, field := range object {
		switch name {
		case "value":
		case "unit":
			unit, ok := field.(string)
			if !ok && field != nil {
				return nil, "the unit of a value is a text"
			}
			q.Unit = unit
		case "measuredAt":
			if field == nil {
				continue
			}
			at, ok := timeOf(field)
			if !ok {
				return nil, "measuredAt is RFC 3339 (2026-01-02T03:04:05.678Z) or whole epoch milliseconds"
			}
			q.MeasuredAt = at
		default:
			return nil, "beside a value there are its unit and measuredAt only, not " + name
		}
	}
	if q.Unit == "" && q.MeasuredAt.IsZero() {
		return inner, ""
	}
	return q, ""
}

func timeOf(v any) (time.Time, bool) {
	if text, ok := v.(string); ok {
		at, err := time.Parse(time.RFC3339, text)
		return at.UTC(), err == nil
	}
	ms, ok := numberOf(v)
	if !ok || ms != math.Trunc(ms) || math.Abs(ms) > 1<<52 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(ms)).UTC(), true
}

// numberOf reads a number in any of the forms that JSON libraries give it.
func numberOf(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	return 0, false
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
