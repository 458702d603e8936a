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

// memberships are the groups that a thing is in.
func (m model) memberships(id registry.ID) []registry.ID {
	if _, ok := m.groups[id]; ok {
		return []registry.ID{id}
	}
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
}

func newTold() told {
	return told{map[string]any{}, map[string][]any{}, map[string][]string{}, map[string][]string{}, map[string][]string{}, map[string][]string{}, map[string][]string{}, map[string][]string{}}
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
			if slices.Contains(m.memberships(other), id) {
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
		for _, group := range m.memberships(id) {
			groups = append(groups, m.path(group))
		}
		slices.Sort(relations)
		slices.Sort(groups)
		out.Twins[key] = []any{twin.state, twin.floor, relations, slices.Compact(groups)}
		out.Inherits[key] = m.inherits(id)
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
	out.Inherits[key] = must(w.InheritedPolicyReferences(w.Context(), scope, []registry.ID{id}, nil))[0]
}
