package graph_test

import (
	"slices"
	"strings"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

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
