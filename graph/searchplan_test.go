package graph_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// plannedSearches are searches of every way to begin.
func (w world) plannedSearches() map[string]registry.Search {
	devices, groups := []registry.Kind{registry.KindDevice}, []registry.Kind{registry.KindGroup}
	site := must(w.GroupByPath(w.Context(), w.scope, "/site1"))
	byKey := []registry.OrderBy{{Field: "createdAt", Direction: registry.SortDescending}}
	return map[string]registry.Search{
		"walk":            {Kinds: devices, Where: "state == 'active' and attributes.a != 1"},
		"walk of all":     {Where: "attributes.a == 'x' or attributes.b > 1"},
		"ordered walk":    {Kinds: devices, OrderBy: byKey},
		"template":        {Kinds: devices, Templates: []string{"t1"}, Where: "attributes.a contains 'x'"},
		"templates":       {Kinds: devices, Templates: []string{"t1", "t2"}},
		"key":             {Kinds: devices, Where: "reference == 'd00100'"},
		"keys and under":  {Where: "reference in ['d00100', 'a00001']", Under: "/site1"},
		"prefix":          {Kinds: devices, Where: "reference startsWith 'd000' and version > 0"},
		"under":           {Kinds: devices, Under: "/site1", Where: "attributes.a == nil"},
		"under all":       {Under: "/site1", IncludeSelf: true, IncludeLinked: true},
		"groups under":    {Kinds: groups, Under: "/site1", Where: "depth > 1"},
		"below the root":  {Under: "/", Where: "version == 1"},
		"linked":          {Kinds: devices, Under: "/site1", IncludeLinked: true},
		"relation":        {Kinds: devices, Where: "any(relations.located_at, .path == '/site1/room3')"},
		"relation in":     {Kinds: devices, Where: "any(inverse.near, .reference in ['d00001', 'd00002'])"},
		"group":           {Where: "'/site1/room3' in groups"},
		"nested":          {Kinds: devices, Under: "/site1", Where: "all(relations.near, any(inverse.located_at, .state == 'active')) and count(groups) > 1"},
		"parent":          {Where: "any(parent, .path == '/site1') or any(componentOf, .attributes.a > 1)"},
		"below a group":   {Kinds: groups, Where: "any(parent, # == '/site1')"},
		"components":      {Kinds: devices, Where: "any(components, .reference == 'd00100') and none(parts, true)"},
		"members":         {Members: &registry.Members{Group: site.ID, Deep: true}, Where: "state == 'active'"},
		"members and key": {Members: &registry.Members{Group: site.ID, Relation: "near"}, Where: "reference == 'd00001'"},
		"words":           {Text: "abc", Under: "/site1"},
		"expression":      {Kinds: devices, Where: "reference matches '^d000.*7$'"},
	}
}

// checkSearchPlans explains what searches are turned into, and refuses scans.
func (w world) checkSearchPlans(known *knownPlans) {
	w.Helper()
	facets := []registry.FacetRequest{{Field: "state", First: 10}, {Field: "relations.located_at.path", First: 10}, {Field: "attributes.a", Ranges: []registry.FloatRange{{}}}}
	searches := w.plannedSearches()
	for _, name := range slices.Sorted(maps.Keys(searches)) {
		texts, err := w.SearchTexts(w.Context(), w.scope, searches[name], facets)
		if err != nil {
			w.Errorf("%s: %v", name, err)
			continue
		}
		for i, text := range texts {
			if known.has(graph.Query{Name: fmt.Sprintf("search:%s:%d", strings.ReplaceAll(name, " ", "-"), i), Text: text}) {
				continue
			}
			plan, err := w.Explain(w.Context(), w.scope, text)
			if err != nil {
				w.Errorf("%s: explain: %v\n%s", name, err, text)
				continue
			}
			if part := startsAnew(plan); part != "" {
				w.Errorf("%s has a part that begins at no node that was found before: %s\n%s", name, part, text)
			}
			for _, operator := range operators(plan) {
				if scans.MatchString(operator) {
					w.Errorf("%s: %s\n%s", name, operator, text)
				}
			}
		}
	}
}

// Walks through too many objects are refused, and say what to do.
func (w world) checkWalks() {
	w.Helper()
	if _, err := w.Cypher(w.Context(), w.scope, `CREATE (:Device:Entity {id: randomUUID(), account: $account, keyFold: 'e', reference: 'e', templateFold: 't1', version: 1, createdAt: datetime(), updatedAt: datetime()})`, nil); err != nil {
		w.Fatal(err)
	}
	devices := []registry.Kind{registry.KindDevice}
	for _, s := range []registry.Search{{Where: "attributes.a == 1"}, {Kinds: devices, Where: "attributes.a != 1 or reference == 'e'"}} {
		_, err := w.Search(w.Context(), w.scope, s, registry.PageRequest{Size: 1})
		violates(w.T, err, "where", "walk")
	}
	_, err := w.Search(w.Context(), w.scope, registry.Search{Kinds: devices, OrderBy: []registry.OrderBy{{Field: "createdAt"}}}, registry.PageRequest{Size: 1})
	violates(w.T, err, "orderBy", "walk")
	_, err = w.Search(w.Context(), w.scope, registry.Search{Kinds: devices, Where: "reference startsWith 'd' and reference matches '0$'"}, registry.PageRequest{Size: 1})
	violates(w.T, err, "where", "matches")
	for _, s := range []registry.Search{
		{Kinds: []registry.Kind{registry.KindAsset}, Where: "attributes.a != 1"}, {Kinds: devices, Templates: []string{"t3"}, Where: "attributes.a != 1"},
		{Kinds: devices, Where: "attributes.a != 1 and reference startsWith 'd0001'"}, {Kinds: devices},
	} {
		if _, err := w.Search(w.Context(), w.scope, s, registry.PageRequest{Size: 1}); err != nil {
			w.Errorf("%+v: %v", s, err)
		}
	}
}
