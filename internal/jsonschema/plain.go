package jsonschema

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// maxNesting bounds how deep objects and lists lie in one another.
const maxNesting = 32

// Plain turns a decoded JSON value, however it was decoded, into nil, bool,
// string, int64, float64, []any and map[string]any. A number is an int64 if it
// is written as a whole number, else a float64. Path is for the
// violation that tells what cannot be turned: a whole number that does not fit is
// not rounded.
func Plain(path string, value any) (any, *registry.Violation) { return plain(path, value, 0) }

func plain(path string, value any, depth int) (any, *registry.Violation) {
	if depth > maxNesting {
		return nil, &registry.Violation{Path: path, Rule: "depth", Message: fmt.Sprintf("lies more than %d levels deep", maxNesting)}
	}
	switch v := value.(type) {
	case nil, bool, string, int64:
		return v, nil
	case int:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case float32:
		return plain(path, float64(v), depth)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, &registry.Violation{Path: path, Rule: "type", Message: "is not a finite number"}
		}
		return v, nil
	case json.Number:
		return plainNumber(path, v)
	case map[string]any:
		return plainObject(path, v, depth)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var violation *registry.Violation
			if out[i], violation = plain(fmt.Sprintf("%s[%d]", path, i), item, depth+1); violation != nil {
				return nil, violation
			}
		}
		return out, nil
	}
	return nil, &registry.Violation{Path: path, Rule: "type", Message: fmt.Sprintf("is a %T, which JSON does not have", value)}
}

func plainObject(path string, object map[string]any, depth int) (any, *registry.Violation) {
	out := make(map[string]any, len(object))
	for name, item := range object {
		value, violation := plain(path+"."+name, item, depth+1)
		if violation != nil {
			return nil, violation
		}
		out[name] = value
	}
	return out, nil
}

func plainNumber(path string, n json.Number) (any, *registry.Violation) {
	if whole, err := n.Int64(); err == nil {
		return whole, nil
	}
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) {
		return nil, &registry.Violation{Path: path, Rule: "type", Message: "is not a number that fits into 64 bits"}
	}
	// A large fraction may be written without a point, as 1e20 is in many languages.
	if whole := n.String(); !strings.ContainsAny(whole, ".eE") && strconv.FormatFloat(f, 'f', -1, 64) != whole {
		return nil, &registry.Violation{Path: path, Rule: "range", Message: fmt.Sprintf("%s would be rounded: whole numbers are from %d to %d", whole, math.MinInt64, math.MaxInt64)}
	}
	return f, nil
}
