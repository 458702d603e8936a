package graph_test

import (
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// model is an account as simply as it can be told: what the store says of a
// moment must be what the model was then.
type model struct {
	groups   map[registry.ID]modelGroup
	twins    map[registry.ID]modelTwin
	policies map[string]modelPolicy
}

type modelGroup struct {
	parent registry.ID // "" for the root
	name   string
	floor  any
}

type modelTwin struct {
	reference string
	kind      registry.Kind
	state     registry.State
	floor     any
	// relations are "name group-id"; those that begin with "tag" inherit nothing.
	relations []string
	// whole is what it is a component or a part of.
	whole registry.ID
}

type modelPolicy struct {
	kind   string
	groups []registry.ID
}

func (m model) clone() model {
	out := model{maps.Clone(m.groups), maps.Clone(m.twins), maps.Clone(m.policies)}
	for id, twin := range out.twins {
		twin.relations = slices.Clone(twin.relations)
		out.twins[id] = twin
	}
	return out
}

func (m model) path(id registry.ID) string {
	g := m.groups[id]
	if g.parent == "" {
		return "/"
	}
	return strings.TrimSuffix(m.path(g.parent), "/") + "/" + g.name
}

// chain is a group and those above it.
func (m model) chain(id registry.ID) []registry.ID {
	if id == "" {
		return nil
	}
	return append([]registry.ID{id}, m.chain(m.groups[id].parent)...)
}

func (m model) root() registry.ID {
	for id, g := range m.groups {
		if g.parent == "" {
			return id
		}
	}
	return ""
}

// memberships are the groups that a thing is in, itself or by its whole.
func (m model) memberships(id registry.ID) []registry.ID {
	if _, ok := m.groups[id]; ok {
		return []registry.ID{id}
	}
	if whole := m.twins[id].whole; whole != "" {
		return append(m.direct(id), m.memberships(whole)...)
	}
	return m.direct(id)
}

// within says whether a twin is another, or within it.
func (m model) within(id, whole registry.ID) bool {
	return id == whole || id != "" && m.within(m.twins[id].whole, whole)
}

// direct are the groups that a twin itself is in.
func (m model) direct(id registry.ID) []registry.ID {
	var out []registry.ID
	for _, relation := range m.twins[id].relations {
		if name, group, _ := strings.Cut(relation, " "); !strings.HasPrefix(name, "tag") {
			out = append(out, registry.ID(group))
		}
	}
	return out
}

func (m model) closure(id registry.ID) map[registry.ID]bool {
	out := map[registry.ID]bool{m.root(): true}
	for _, group := range m.memberships(id) {
		for _, above := range m.chain(group) {
			out[above] = true
		}
	}
	return out
}

// inherits are the references of what a thing inherits, most specific first.
func (m model) inherits(id registry.ID) []string {
	closure := m.closure(id)
	type candidate struct {
		reference    string
		deepest, sum int
	}
	var found []candidate
	for reference, p := range m.policies {
		if slices.ContainsFunc(p.groups, func(g registry.ID) bool { return !closure[g] }) {
			continue
		}
		c := candidate{reference: reference}
		for _, g := range p.groups {
			if !slices.ContainsFunc(p.groups, func(other registry.ID) bool { return other != g && slices.Contains(m.chain(other), g) }) {
				depth := len(m.chain(g)) - 1
				c.deepest, c.sum = max(c.deepest, depth), c.sum+depth
			}
		}
		found = append(found, c)
	}
	slices.SortFunc(found, func(a, b candidate) int {
		if a.deepest != b.deepest {
			return b.deepest - a.deepest
		}
		if a.sum != b.sum {
			return b.sum - a.sum
		}
		return strings.Compare(a.reference, b.reference)
	})
	out := []string{}
	for _, c := range found {
		out = append(out, c.reference)
	}
	return out
}

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
	"component and state == 'active'": func(m model, id registry.ID) bool {
		return m.twins[id].kind == registry.KindDevice && m.twins[id].whole != "" && m.twins[id].state == registry.StateActive
	},
}

func (m model) some(ids []registry.ID, is func(registry.ID) bool) bool {
	return slices.ContainsFunc(ids, is)
}

func (m model) floorOf(id registry.ID) int64 {
	floor, _ := m.groups[id].floor.(int64)
	return floor
}

// related are the groups that a relation leads to.
func (m model) related(id registry.ID, name string) []registry.ID {
	var out []registry.ID
	for _, relation := range m.twins[id].relations {
		if is, group, _ := strings.Cut(relation, " "); is == name {
			out = append(out, registry.ID(group))
		}
	}
	return out
}

// key is a group's path, or a twin's kind and reference.
func (m model) key(id registry.ID) string {
	if twin, ok := m.twins[id]; ok {
		return string(twin.kind) + " " + twin.reference
	}
	return m.path(id)
}

func (m model) all() []registry.ID {
	return append(slices.Collect(maps.Keys(m.groups)), slices.Collect(maps.Keys(m.twins))...)
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

// ask asks the store for the same, as of the scope's moment.
func (w world) ask(scope registry.Scope) told {
	w.Helper()
	ctx := w.Context()
	out := newTold()
	whole := registry.PageRequest{Size: 1000}
	paths := map[registry.ID]string{}
	groups := must(w.ListGroups(ctx, scope, registry.Filter{}, whole)).Items
	var ids []registry.ID
	for _, g := range groups {
		paths[g.ID], out.Groups[g.Path] = g.Path, g.Attributes["floor"]
		ids = append(ids, g.ID)
	}
	children, above := must(w.Children(ctx, scope, ids, whole)), must(w.Ancestors(ctx, scope, ids))
	inherits := must(w.InheritedPolicyReferences(ctx, scope, ids, nil))
	for i, g := range groups {
		out.Children[g.Path], out.Above[g.Path], out.Under[g.Path], out.Members[g.Path] = []string{}, []string{}, []string{}, []string{}
		for _, child := range children[i].Items {
			out.Children[g.Path] = append(out.Children[g.Path], child.Path)
		}
		for _, a := range above[i] {
			out.Above[g.Path] = append(out.Above[g.Path], a.Path)
		}
		for _, below := range must(w.ListGroups(ctx, scope, registry.Filter{Under: g.Path}, whole)).Items {
			out.Under[g.Path] = append(out.Under[g.Path], below.Path)
		}
		for _, below := range must(w.ListDevices(ctx, scope, registry.Filter{Under: g.Path}, whole)).Items {
			out.Under[g.Path] = append(out.Under[g.Path], below.Reference)
		}
		for _, member := range must(w.Members(ctx, scope, g.ID, graph.MemberFilter{}, whole)).Items {
			_, reference, _ := strings.Cut(graph.MemberKey(member), "/")
			out.Members[g.Path] = append(out.Members[g.Path], reference)
		}
		slices.Sort(out.Under[g.Path])
		slices.Sort(out.Members[g.Path])
		out.Inherits[g.Path] = inherits[i]
		rule := graph.RelatedFilter{Direction: registry.DirectionIn, Name: "located_at", Where: "kind == 'device' and state == 'active'"}
		for _, end := range must(w.Related(ctx, scope, g.ID, rule, whole)).Items {
			out.Related[g.Path] = append(out.Related[g.Path], keyIn(end.Other))
		}
		slices.Sort(out.Related[g.Path])
		if n := must(w.CountRelated(ctx, scope, g.ID, rule)); n != len(out.Related[g.Path]) {
			w.Errorf("%s has %d related, not %v", g.Path, n, out.Related[g.Path])
		}
	}
	for text := range modelRules {
		search := registry.Search{Where: text, OrderBy: []registry.OrderBy{{Field: "attributes.floor", Direction: registry.SortDescending}}}
		found := must(w.Search(ctx, scope, search, whole)).Items
		last := int64(1 << 40)
		for _, item := range found {
			out.Found[text] = append(out.Found[text], keyIn(item.Thing))
			floor, ok := attributesIn(item.Thing)["floor"].(int64)
			if ok && floor > last {
				w.Errorf("%s: floor %d comes after %d", text, floor, last)
			} else if ok {
				last = floor
			}
		}
		slices.Sort(out.Found[text])
		if n := must(w.Summarize(ctx, scope, search, nil)).Total; n != len(found) {
			w.Errorf("%s: %d counted, %d found", text, n, len(found))
		}
	}
	facets := must(w.Summarize(ctx, scope, registry.Search{Kinds: []registry.Kind{registry.KindDevice}}, []registry.FacetRequest{{Field: "groups.path", First: 1000}})).Facets[0]
	for _, facet := range facets {
		out.Places[facet.Value.(string)] = facet.Count
	}
	for _, d := range must(w.ListDevices(ctx, scope, registry.Filter{}, whole)).Items {
		w.askTwin(scope, out, paths, d.ID, "DEVICE "+d.Reference, d.State, d.Attributes["floor"])
	}
	for _, a := range must(w.ListAssets(ctx, scope, registry.Filter{}, whole)).Items {
		w.askTwin(scope, out, paths, a.ID, "ASSET "+a.Reference, a.State, a.Attributes["floor"])
	}
	for _, p := range must(w.ListPolicies(ctx, scope, nil, whole)).Items {
		list := []string{p.Type}
		for _, id := range p.GroupIDs {
			list = append(list, paths[id])
		}
		slices.Sort(list[1:])
		out.Policies[p.Reference] = list
	}
	return out
}

func (w world) askTwin(scope registry.Scope, out told, paths map[registry.ID]string, id registry.ID, key string, state registry.State, floor any) {
	w.Helper()
	relations, groups := []string{}, []string{}
	for _, r := range must(w.RelationsOf(w.Context(), scope, []registry.ID{id}))[0] {
		relations = append(relations, r.Name+" "+paths[r.OtherID])
	}
	for _, m := range must(w.GroupsOf(w.Context(), scope, []registry.ID{id}))[0] {
		groups = append(groups, paths[m.GroupID])
	}
	slices.Sort(relations)
	out.Twins[key] = []any{state, floor, relations, slices.Compact(groups)}
	if node := must(w.WholesOf(w.Context(), scope, []registry.ID{id}))[0]; node != nil {
		out.Wholes[key] = keyIn(node)
	}
	for _, node := range must(w.PartsOf(w.Context(), scope, []registry.ID{id}))[0] {
		out.Parts[key] = append(out.Parts[key], keyIn(node))
	}
	out.Inherits[key] = must(w.InheritedPolicyReferences(w.Context(), scope, []registry.ID{id}, nil))[0]
}

func keyIn(node registry.Node) string {
	switch n := node.(type) {
	case *registry.Group:
		return n.Path
	case *registry.Device:
		return "DEVICE " + n.Reference
	case *registry.Asset:
		return "ASSET " + n.Reference
	}
	return ""
}

func attributesIn(node registry.Node) registry.Attributes {
	switch n := node.(type) {
	case *registry.Group:
		return n.Attributes
	case *registry.Device:
		return n.Attributes
	case *registry.Asset:
		return n.Attributes
	}
	return nil
}
