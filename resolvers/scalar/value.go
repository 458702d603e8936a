package scalar

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"github.com/99designs/gqlgen/graphql"

	"github.com/holon-registry/holon/registry"
)

// MarshalMeasureValue writes the value of a measure: see registry.ValueType.
func MarshalMeasureValue(v any) graphql.Marshaler {
	switch v := v.(type) {
	case float64:
		return graphql.WriterFunc(func(w io.Writer) {
			var buf [32]byte
			w.Write(strconv.AppendFloat(buf[:0], v, 'g', -1, 64)) //nolint:errcheck // gqlgen's writer keeps its error
		})
	case bool:
		return graphql.MarshalBoolean(v)
	case string:
		return graphql.MarshalString(v)
	case registry.Location:
		return graphql.WriterFunc(func(w io.Writer) {
			json.NewEncoder(w).Encode(v) //nolint:errcheck // gqlgen's writer keeps its error
		})
	}
	return graphql.MarshalAny(v)
}

// UnmarshalMeasureValue reads the value of a measure.
func UnmarshalMeasureValue(v any) (any, error) {
	value, wrong := registry.DecodeValue(Plain(v))
	if wrong != "" {
		return nil, errors.New(wrong)
	}
	return value, nil
}

// Plain turns a number of a JSON object into a float64; other values stay as
// they are. It is what a measure's values are made of.
func Plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case int64:
		return float64(v)
	case int:
		return float64(v)
	}
	return v
}
