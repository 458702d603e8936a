package rule

import (
	"encoding/json"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// opaque is a value that is there but cannot be searched: a list that is empty
// or of several types, an object that is empty or holds null.
type opaque struct{}

// lookup finds an attribute by its dotted path. An object as such is nil: its
// parts are what is searched.
func lookup(attributes registry.Attributes, path string) any {
	for {
		name, rest, deeper := strings.Cut(path, ".")
		value := attributes[name]
		object, isObject := value.(map[string]any)
		switch {
		case !deeper && isObject && hasParts(object):
			return nil
		case !deeper:
			return searchable(value)
		case !isObject || !hasParts(object):
			return nil
		}
		attributes, path = object, rest
	}
}

// hasParts says whether an object is searched by its parts.
func hasParts(object map[string]any) bool {
	for name, value := range object {
		if !registry.AttributeName(name) || value == nil {
			return false
		}
	}
	return len(object) > 0
}

// searchable is a value as it is compared.
func searchable(value any) any {
	switch v := value.(type) {
	case nil, bool, string, int64, float64:
		return v
	case int:
		return int64(v)
	case json.Number:
		if whole, err := v.Int64(); err == nil {
			return whole
		}
		fraction, _ := v.Float64()
		return fraction
	case []any:
		return searchableList(v)
	}
	return opaque{}
}

// searchableList is a list whose items are all texts, all true or false, or all
// numbers.
func searchableList(list []any) any {
	out := make([]any, len(list))
	var texts, booleans, numbers int
	for i, item := range list {
		out[i] = searchable(item)
		switch out[i].(type) {
		case string:
			texts++
		case bool:
			booleans++
		case int64, float64:
			numbers++
		}
	}
	if n := len(list); n == 0 || texts != n && booleans != n && numbers != n {
		return opaque{}
	}
	return out
}
