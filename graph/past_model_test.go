package graph_test

import (
	"maps"
	"slices"
	"strings"

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
