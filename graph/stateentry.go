package graph

import (
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// stateEntries are what a change is in the state history: one entry, or two if
// it set both attributes and other properties.
func stateEntries(twin registry.ID, c *registry.Change) []*registry.StateEntry {
	entry := func(cause registry.StateCause, names []string) *registry.StateEntry {
		slices.Sort(names)
		return &registry.StateEntry{PastState: registry.PastState{At: c.At}, TwinID: twin, Cause: cause, Names: slices.Compact(names), Change: c}
	}
	if c.Action == "linked" || c.Action == "unlinked" {
		cause := registry.StateLinked
		if c.Action == "unlinked" {
			cause = registry.StateUnlinked
		}
		names, link := linkedNames(c)
		e := entry(cause, names)
		e.LinkID = link
		return []*registry.StateEntry{e}
	}
	var attributes, others []string
	for _, d := range c.Differences {
		name, attribute := strings.CutPrefix(d.Path, "attributes.")
		switch {
		case attribute:
			attributes = append(attributes, name)
		case notCompared[d.Path] || d.Path == "attributes" || strings.HasPrefix(d.Path, "relations.") || d.Path == "links":
		default:
			top, _, _ := strings.Cut(d.Path, ".")
			others = append(others, top)
		}
	}
	if c.Operation == registry.ChangeCreate {
		return []*registry.StateEntry{entry(registry.StateOther, append(others, attributes...))}
	}
	var out []*registry.StateEntry
	if len(attributes) > 0 {
		out = append(out, entry(registry.StateAttributes, attributes))
	}
	if len(others) > 0 {
		out = append(out, entry(registry.StateOther, others))
	}
	return out
}

// linkedNames are the measures of the changed end that a link began or ceased
// to map, by its own names, and the link's id.
func linkedNames(c *registry.Change) (names []string, link registry.ID) {
	side := "asset"
	if c.Kind == registry.ObjectDevice {
		side = "device"
	}
	for _, d := range c.Differences {
		end, ok := d.After.(map[string]any)
		if !ok {
			end, _ = d.Before.(map[string]any)
		}
		if id, ok := end["id"].(string); ok {
			link = registry.ID(id)
		}
		measures, _ := end["measures"].([]any)
		for _, item := range measures {
			if m, ok := item.(map[string]any); ok {
				if name, ok := m[side].(string); ok {
					names = append(names, name)
				}
			}
		}
	}
	return names, link
}
