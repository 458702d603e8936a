package graph

import (
	"encoding/json"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/registry"
)

// The spatial reference systems of WGS 84.
const (
	wgs84     = 4326
	wgs84High = 4979
)

// stored is a decoded value as a property. A composite, which as a measurement
// has a property for each field, is a JSON text where there is room for one
// property only.
func stored(value any) any {
	switch v := value.(type) {
	case registry.Location:
		if v.Altitude == nil {
			return neo4j.Point2D{X: v.Longitude, Y: v.Latitude, SpatialRefId: wgs84}
		}
		return neo4j.Point3D{X: v.Longitude, Y: v.Latitude, Z: *v.Altitude, SpatialRefId: wgs84High}
	case registry.Composite:
		return jsonText(v)
	}
	return value
}

func jsonText(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		return nil // numbers are finite: there is no such value
	}
	return string(text)
}

// valueOf is the decoded value of what the database has: a property, or all
// properties of a composite's node.
func valueOf(of registry.ValueType, value any) any {
	switch v := value.(type) {
	case int64:
		return float64(v)
	case neo4j.Point2D:
		return registry.Location{Latitude: v.Y, Longitude: v.X}
	case neo4j.Point3D:
		return registry.Location{Latitude: v.Y, Longitude: v.X, Altitude: &v.Z}
	case map[string]any:
		out := make(registry.Composite, len(v))
		for name, field := range v {
			switch name {
			case "at", "unit", "suspect":
			default:
				out[name] = valueOf("", field)
			}
		}
		return out
	case string:
		if of != registry.ValueComposite && of != registry.ValueLocation {
			return v
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(v), &object); err != nil {
			return nil
		}
		out, wrong := registry.DecodeValue(object)
		if wrong != "" {
			return nil
		}
		return out
	}
	return value
}
