package graph_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// history makes random changes in a store and in a model alike.
type history struct {
	world
	random *rand.Rand
	model  model
	made   int
}

// oneOf picks from a map, in an order that does not change from run to run.
func oneOf[K ~string, V any](h *history, from map[K]V, fits func(K) bool) (K, bool) {
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(from)), func(k K) bool { return fits != nil && !fits(k) })
	if len(keys) == 0 {
		return "", false
	}
	return keys[h.random.IntN(len(keys))], true
}

func (h *history) someGroups() []registry.ID {
	var out []registry.ID
	for range 1 + h.random.IntN(2) {
		id, _ := oneOf(h, h.model.groups, nil)
		out = append(out, id)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (h *history) pathsOf(ids []registry.ID) []string {
	var out []string
	for _, id := range ids {
		out = append(out, h.model.path(id))
	}
	return out
}

// step does one change; what cannot be done now is left out.
func (h *history) step() {
	ctx, m := h.Context(), h.model
	h.made++
	floor := registry.Attributes{"floor": int64(h.random.IntN(9))}
	notRoot := func(id registry.ID) bool { return m.groups[id].parent != "" }
	switch h.random.IntN(17) {
	case 0, 1:
		parent, _ := oneOf(h, m.groups, func(id registry.ID) bool { return len(m.chain(id)) < 5 })
		name := fmt.Sprint("g", h.made)
		g := must(h.CreateGroup(ctx, h.scope, registry.NewGroup{Parent: m.path(parent), Name: name, Attributes: floor}))
		m.groups[g.ID] = modelGroup{parent, name, floor["floor"]}
	case 2, 3:
		id, ok := oneOf(h, m.groups, notRoot)
		parent, _ := oneOf(h, m.groups, func(p registry.ID) bool { return !slices.Contains(m.chain(p), id) && len(m.chain(p)) < 5 })
		if !ok || parent == "" {
			return
		}
		g := m.groups[id]
		g.parent, g.name = parent, fmt.Sprint("m", h.made)
		to := m.path(parent)
		must(h.MoveGroup(ctx, h.scope, registry.Ref{Kind: registry.KindGroup, ID: id}, registry.GroupMove{Parent: &to, Name: &g.name}))
		m.groups[id] = g
	case 4:
		id, _ := oneOf(h, m.groups, nil)
		g := m.groups[id]
		g.floor = floor["floor"]
		must(h.UpdateGroup(ctx, h.scope, registry.Ref{Kind: registry.KindGroup, ID: id}, registry.TwinPatch{Attributes: floor}))
		m.groups[id] = g
	case 5, 6:
		groups := h.someGroups()
		twin := modelTwin{reference: fmt.Sprint("t", h.random.IntN(12)), kind: registry.KindDevice, state: registry.StateActive, floor: floor["floor"]}
		create := registry.NewTwin{Reference: twin.reference, Attributes: floor, Relations: locatedAt(h.pathsOf(groups)...)}
		for _, g := range groups {
			twin.relations = append(twin.relations, "located_at "+string(g))
		}
		if h.random.IntN(3) == 0 {
			twin.kind = registry.KindAsset
		}
		for _, other := range m.twins {
			if other.kind == twin.kind && other.reference == twin.reference {
				return
			}
		}
		if twin.kind == registry.KindAsset {
			m.twins[must(h.CreateAsset(ctx, h.scope, create)).ID] = twin
		} else {
			create.Template = "tagged"
			m.twins[must(h.CreateDevice(ctx, h.scope, create)).ID] = twin
		}
	case 7:
		id, ok := oneOf(h, m.twins, func(id registry.ID) bool { return m.twins[id].kind == registry.KindDevice })
		if !ok {
			return
		}
		twin := m.twins[id]
		twin.state, twin.floor = registry.StateRetired, floor["floor"]
		must(h.UpdateDevice(ctx, h.scope, registry.Ref{Kind: registry.KindDevice, ID: id}, registry.TwinPatch{State: &twin.state, Attributes: floor}))
		m.twins[id] = twin
	case 8, 9:
		h.relate()
	case 10:
		id, ok := oneOf(h, m.twins, nil)
		if !ok {
			return
		}
		inside := slices.DeleteFunc(slices.Collect(maps.Keys(m.twins)), func(other registry.ID) bool { return other == id || !m.within(other, id) })
		for _, other := range inside {
			twin := m.twins[other]
			switch {
			case twin.kind == registry.KindDevice:
				delete(m.twins, other) // components go with their device
			case twin.whole == id:
				twin.whole = ""
				m.twins[other] = twin
			}
		}
		if m.twins[id].kind == registry.KindAsset {
			must(h.DeleteAsset(ctx, h.scope, registry.Ref{Kind: registry.KindAsset, ID: id}))
		} else {
			must(h.DeleteDevice(ctx, h.scope, registry.Ref{Kind: registry.KindDevice, ID: id}))
		}
		delete(m.twins, id)
	case 11:
		h.component(floor)
	case 12, 13:
		h.part()
	default:
		h.policyOrGroup()
	}
}

// component makes a component of a device.
func (h *history) component(floor registry.Attributes) {
	m := h.model
	id, ok := oneOf(h, m.twins, func(id registry.ID) bool {
		return m.twins[id].kind == registry.KindDevice && len(strings.Split(m.twins[id].reference, "/")) < 3
	})
	if !ok {
		return
	}
	name := fmt.Sprint("c", h.made)
	d := must(h.CreateComponent(h.Context(), h.scope, registry.Ref{Kind: registry.KindDevice, ID: id},
		registry.NewComponent{Name: name, NewTwin: registry.NewTwin{Template: "tagged", Attributes: floor}}))
	m.twins[d.ID] = modelTwin{reference: m.twins[id].reference + "/" + name, kind: registry.KindDevice, state: registry.StateActive, floor: floor["floor"], whole: id}
}

// part makes an asset a part of another, or of none any more.
func (h *history) part() {
	m := h.model
	ofAssets := func(id registry.ID) bool { return m.twins[id].kind == registry.KindAsset }
	id, ok := oneOf(h, m.twins, ofAssets)
	if !ok {
		return
	}
	asset := m.twins[id]
	whole, ok := oneOf(h, m.twins, func(other registry.ID) bool { return ofAssets(other) && !m.within(other, id) })
	patch := registry.TwinPatch{PartOf: registry.Optional[string]{Set: true}}
	asset.whole = ""
	if ok && h.random.IntN(3) > 0 {
		asset.whole = whole
		reference := m.twins[whole].reference
		patch.PartOf.Value = &reference
	}
	must(h.UpdateAsset(h.Context(), h.scope, registry.Ref{Kind: registry.KindAsset, ID: id}, patch))
	m.twins[id] = asset
}

// relate ends a relation that there is, or makes one that there is not.
func (h *history) relate() {
	id, ok := oneOf(h, h.model.twins, nil)
	if !ok {
		return
	}
	twin := h.model.twins[id]
	name, group := "located_at", h.someGroups()[0]
	if twin.kind == registry.KindDevice && h.random.IntN(3) == 0 {
		name = "tag"
	}
	from, to := registry.Ref{Kind: twin.kind, ID: id}, registry.Ref{Kind: registry.KindGroup, ID: group}
	relation := name + " " + string(group)
	if i := slices.Index(twin.relations, relation); i >= 0 {
		if _, _, err := h.Unrelate(h.Context(), h.scope, from, name, to); err != nil {
			h.Fatal(err)
		}
		twin.relations = slices.Delete(twin.relations, i, i+1)
	} else {
		if _, _, err := h.Relate(h.Context(), h.scope, from, name, to); err != nil {
			h.Fatal(err)
		}
		twin.relations = append(twin.relations, relation)
	}
	h.model.twins[id] = twin
}

func (h *history) policyOrGroup() {
	ctx, m := h.Context(), h.model
	groups := h.someGroups()
	reference := fmt.Sprint("p", h.random.IntN(8))
	p, known := m.policies[reference]
	switch h.random.IntN(5) {
	case 0, 1, 2:
		next := modelPolicy{fmt.Sprint("k", h.random.IntN(2)), groups}
		if known {
			must(h.UpdatePolicy(ctx, h.scope, registry.Ref{Key: reference}, registry.PolicyPatch{Type: &next.kind, AppliesTo: h.pathsOf(groups)}))
		} else {
			must(h.CreatePolicy(ctx, h.scope, registry.NewPolicy{Reference: reference, Type: next.kind, Document: map[string]any{}, AppliesTo: h.pathsOf(groups)}))
		}
		m.policies[reference] = next
	case 3:
		if known && len(p.groups) > 0 {
			must(h.DeletePolicy(ctx, h.scope, registry.Ref{Key: reference}))
			delete(m.policies, reference)
		}
	case 4:
		id, ok := oneOf(h, m.groups, func(id registry.ID) bool { return m.groups[id].parent != "" && !h.used(id) })
		if ok {
			if _, err := h.DeleteGroup(ctx, h.scope, registry.Ref{Kind: registry.KindGroup, ID: id}, registry.GroupDeletion{}); err != nil {
				h.Fatal(err)
			}
			delete(m.groups, id)
		}
	}
}

func (h *history) used(id registry.ID) bool {
	for _, g := range h.model.groups {
		if g.parent == id {
			return true
		}
	}
	for _, t := range h.model.twins {
		if slices.ContainsFunc(t.relations, func(r string) bool { return strings.HasSuffix(r, " "+string(id)) }) {
			return true
		}
	}
	for _, p := range h.model.policies {
		if slices.Contains(p.groups, id) {
			return true
		}
	}
	return false
}

// instant is what an account was at a moment.
type instant struct {
	at    time.Time
	model model
}

// randomHistory makes a history of some changes.
func randomHistory(w world, seed uint64, changes int) (*history, []instant) {
	w.Helper()
	w.template(registry.NewTemplate{Kind: registry.KindDevice, Name: "tagged", Components: []string{"tagged"}, Properties: map[string]any{"floor": map[string]any{"type": "integer"}}, Relations: []registry.RelationRule{
		{Name: "located_at", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true},
		{Name: "tag", Direction: registry.DirectionOut, Kind: registry.KindGroup},
	}})
	root := must(w.GroupByPath(w.Context(), w.scope, "/"))
	h := &history{world: w, random: rand.New(rand.NewPCG(seed, 1)), model: model{map[registry.ID]modelGroup{root.ID: {}}, map[registry.ID]modelTwin{}, map[string]modelPolicy{}}}
	var instants []instant
	for range changes {
		h.step()
		newest := must(w.ListChanges(w.Context(), w.scope, registry.ChangeFilter{}, registry.PageRequest{Size: 1})).Items[0].At
		if n := len(instants); n > 0 && instants[n-1].at.Equal(newest) {
			instants = instants[:n-1]
		}
		instants = append(instants, instant{newest, h.model.clone()})
	}
	return h, instants
}

// TestPastEqualsModel makes a random history and asks as of random moments of
// it. A failure names its seed.
func TestPastEqualsModel(t *testing.T) {
	w := newWorld(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	h, instants := randomHistory(w, seed, 150)
	for i, now := range instants {
		if i != len(instants)-1 && h.random.IntN(len(instants)) > 6 {
			continue
		}
		at := now.at
		if i < len(instants)-1 && h.random.IntN(2) == 0 {
			at = instants[i+1].at.Add(-time.Millisecond) // the last moment of it
		}
		scope := w.scope
		scope.AsOf = &at
		if diff := cmp.Diff(now.model.tell(), w.ask(scope)); diff != "" {
			t.Fatalf("seed %d, change %d as of %s (-model +store):\n%s", seed, i, at, diff)
		}
	}
	if diff := cmp.Diff(h.model.tell(), w.ask(w.scope)); diff != "" {
		t.Errorf("seed %d, now (-model +store):\n%s", seed, diff)
	}
}
