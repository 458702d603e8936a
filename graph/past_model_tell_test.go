package graph_test

import (
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// told is what the model says, in the form in which the store is asked.
type told struct {
	Groups   map[string]any      // floor by path
	Twins    map[string][]any    // state, floor, relations and groups by kind and reference
	Children map[string][]string // paths by path
	Above    map[string][]string
	Under    map[string][]string // keys below each group, groups and devices
	Members  map[string][]string
	Inherits map[string][]string // by key
	Policies map[string][]string // type and paths of groups by reference
	Wholes   map[string]string   // by kind and reference
	Parts    map[string][]string
	Related  map[string][]string // keys by path and rule
	Found    map[string][]string // keys by rule
	Places   map[string]int      // devices by path
}

// modelRules are asked of all things, with what they mean: groups and relations,
// in both directions and of one another.
var modelRules = map[string]func(m model, id registry.ID) bool{
	"any(relations.located_at, .attributes.floor > 4)": func(m model, id registry.ID) bool {
		return m.some(m.related(id, "located_at"), func(g registry.ID) bool { return m.floorOf(g) > 4 })
	},
	"none(relations.tag, true) and kind == 'device'": func(m model, id registry.ID) bool {
		return len(m.related(id, "tag")) == 0 && m.twins[id].kind == registry.KindDevice
	},
	"count(inverse.located_at, .state == 'active' and .kind == 'device') > 1": func(m model, id registry.ID) bool {
		n := 0
		for other, twin := range m.twins {
			if twin.kind == registry.KindDevice && twin.state == registry.StateActive && slices.Contains(m.related(other, "located_at"), id) {
				n++
			}
		}
		return n > 1
	},
	"any(groups, # startsWith '/m')": func(m model, id registry.ID) bool {
		return m.some(m.direct(id), func(g registry.ID) bool { return strings.HasPrefix(m.path(g), "/m") })
	},
	"any(relations.located_at, any(.inverse.located_at, .reference == 't1' and .attributes.floor != attributes.floor))": func(m model, id registry.ID) bool {
		return m.some(m.related(id, "located_at"), func(g registry.ID) bool {
			for other, twin := range m.twins {
				if twin.reference == "t1" && twin.floor != m.twins[id].floor && slices.Contains(m.related(other, "located_at"), g) {
					return true
				}
			}
			return false
		})
	},
	"any(parent, .attributes.floor > 5) or count(children, .attributes.floor < 4) > 0": func(m model, id registry.ID) bool {
		parent := m.groups[id].parent
		above, isNumber := m.groups[parent].floor.(int64)
		return parent != "" && isNumber && above > 5 || slices.ContainsFunc(slices.Collect(maps.Values(m.groups)), func(g modelGroup) bool {
			floor, isNumber := g.floor.(int64)
			return g.parent == id && isNumber && floor < 4
		})
	},
	"any(componentOf, .attributes.floor > 3) or any(partOf, .state == 'active') or any(components, .attributes.floor != attributes.floor) or any(parts, true)": func(m model, id registry.ID) bool {
		twin, isTwin := m.twins[id]
		if !isTwin {
			return false
		}
		if whole, ok := m.twins[twin.whole]; ok {
			floor, isNumber := whole.floor.(int64)
			if twin.kind == registry.KindAsset || isNumber && floor > 3 {
				return true
			}
		}
		for _, other := range m.twins {
			if other.whole == id && (twin.kind == registry.KindAsset || other.floor != twin.floor) {
				return true
			}
		}
		return false
	},
	"component and state == 'active'": func(m model, id registry.ID) bool {
		return m.twins[id].kind == registry.KindDevice && m.twins[id].whole != "" && m.twins[id].state == registry.StateActive
	},
}

func newTold() told {
	lists := func() map[string][]string { return map[string][]string{} }
	return told{
		map[string]any{}, map[string][]any{}, lists(), lists(), lists(), lists(), lists(), lists(),
		map[string]string{}, lists(), lists(), lists(), map[string]int{},
	}
}

func (m model) tell() told {
	out := newTold()
	for id, g := range m.groups {
		path := m.path(id)
		out.Groups[path] = g.floor
		out.Inherits[path] = m.inherits(id)
		out.Children[path], out.Above[path], out.Under[path], out.Members[path] = []string{}, []string{}, []string{}, []string{}
		for _, above := range m.chain(id)[1:] {
			out.Above[path] = append(out.Above[path], m.path(above))
		}
		for other, o := range m.groups {
			if o.parent == id {
				out.Children[path] = append(out.Children[path], m.path(other))
			}
			if other != id && m.closure(other)[id] {
				out.Under[path] = append(out.Under[path], m.path(other))
			}
		}
		for other, twin := range m.twins {
			if twin.kind == registry.KindDevice && m.closure(other)[id] {
				out.Under[path] = append(out.Under[path], twin.reference)
			}
			if slices.Contains(m.direct(other), id) {
				out.Members[path] = append(out.Members[path], twin.reference)
			}
		}
		for _, list := range []map[string][]string{out.Children, out.Under, out.Members} {
			slices.Sort(list[path])
		}
	}
	for id, twin := range m.twins {
		key := string(twin.kind) + " " + twin.reference
		relations, groups := []string{}, []string{}
		for _, relation := range twin.relations {
			name, group, _ := strings.Cut(relation, " ")
			relations = append(relations, name+" "+m.path(registry.ID(group)))
		}
		for _, group := range m.direct(id) {
			groups = append(groups, m.path(group))
		}
		slices.Sort(relations)
		slices.Sort(groups)
		out.Twins[key] = []any{twin.state, twin.floor, relations, slices.Compact(groups)}
		out.Inherits[key] = m.inherits(id)
		if twin.whole != "" {
			out.Wholes[key] = m.key(twin.whole)
			out.Parts[m.key(twin.whole)] = append(out.Parts[m.key(twin.whole)], key)
		}
		if twin.kind == registry.KindDevice {
			for _, group := range slices.Compact(slices.Sorted(slices.Values(m.direct(id)))) {
				out.Places[m.path(group)]++
			}
		}
	}
	for _, parts := range out.Parts {
		slices.Sort(parts)
	}
	for text, is := range modelRules {
		for _, id := range m.all() {
			if is(m, id) {
				out.Found[text] = append(out.Found[text], m.key(id))
			}
		}
		slices.Sort(out.Found[text])
	}
	for id := range m.groups {
		for other, twin := range m.twins {
			if twin.kind == registry.KindDevice && twin.state == registry.StateActive && slices.Contains(m.related(other, "located_at"), id) {
				out.Related[m.path(id)] = append(out.Related[m.path(id)], m.key(other))
			}
		}
		slices.Sort(out.Related[m.path(id)])
	}
	for reference, p := range m.policies {
		paths := []string{p.kind}
		for _, g := range p.groups {
			paths = append(paths, m.path(g))
		}
		slices.Sort(paths[1:])
		out.Policies[reference] = paths
	}
	return out
}
