package scalar

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
)

// MarshalMeasureValue writes the value of a measure: a float64, a bool or a
// string.
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
	}
	return graphql.MarshalAny(v)
}

// UnmarshalMeasureValue reads the value of a measure.
func UnmarshalMeasureValue(v any) (any, error) {
	switch v := Plain(v).(type) {
	case float64, bool, string:
		return v, nil
	}
	return nil, fmt.Errorf("the value of a measure is a number, a boolean or a text, not %T", v)
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
