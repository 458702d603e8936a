package graph

import (
	"cmp"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// countFacet counts the values of a field among objects of the past: each
// object once for each value that it has, a list by its items.
func countFacet(request registry.FacetRequest, reader *rule.FieldReader, hits []pastHit) []registry.Facet {
	if len(request.Ranges) > 0 {
		return countRanges(request.Ranges, reader, hits)
	}
	type counted struct {
		value, shown any
		n            int
	}
	known := map[any]*counted{}
	for _, hit := range hits {
		seen := map[any]bool{}
		for _, found := range reader.Values(hit.object) {
			list, isList := found.Value.([]any)
			if !isList {
				list = []any{found.Value}
			}
			for _, value := range list {
				key := facetKey(value)
				if seen[key] {
					continue
				}
				seen[key] = true
				shown := found.Shown
				if isList {
					shown = value
				}
				if known[key] == nil {
					known[key] = &counted{value: value, shown: shown}
				}
				known[key].n++
			}
		}
	}
	list := make([]*counted, 0, len(known))
	for _, c := range known {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *counted) int {
		return cmp.Or(b.n-a.n, facetRank(a.value)-facetRank(b.value), rule.Compare(a.value, b.value))
	})
	out := make([]registry.Facet, 0, min(len(list), request.First))
	for _, c := range list[:min(len(list), request.First)] {
		if at, isTime := c.shown.(time.Time); isTime {
			c.shown = moment(at)
		}
		out = append(out, registry.Facet{Value: c.shown, Count: c.n})
	}
	return out
}

// facetKey makes equal numbers one.
func facetKey(value any) any {
	if f, isFloat := value.(float64); isFloat && f == float64(int64(f)) {
		return int64(f)
	}
	if at, isTime := value.(time.Time); isTime {
		return at.UTC()
	}
	return value
}

// facetRank is the order of types among values that are as frequent.
func facetRank(value any) int {
	switch value.(type) {
	case string:
		return 1
	case bool:
		return 2
	case int64, float64:
		return 3
	}
	return 0
}

func countRanges(ranges []registry.FloatRange, reader *rule.FieldReader, hits []pastHit) []registry.Facet {
	out := make([]registry.Facet, len(ranges))
	for i, r := range ranges {
		out[i] = registry.Facet{From: r.From, To: r.To}
	}
	for _, hit := range hits {
		values := reader.Values(hit.object)
		for i, r := range ranges {
			if slices.ContainsFunc(values, func(v rule.FieldValue) bool { return within(r, v.Value) }) {
				out[i].Count++
			}
		}
	}
	return out
}

func within(r registry.FloatRange, value any) bool {
	switch value.(type) {
	case int64, float64:
		return (r.From == nil || rule.Compare(value, *r.From) >= 0) && (r.To == nil || rule.Compare(value, *r.To) < 0)
	}
	return false
}
