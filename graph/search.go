package graph

import (
	"context"
	"fmt"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Search returns a page of what a search finds, in the order of its fields, of
// its score if it is for words, and at last by kind (groups, devices, assets)
// and key.
func (s *Store) Search(ctx context.Context, scope registry.Scope, search registry.Search, page registry.PageRequest) (registry.Page[registry.Found], error) {
	if scope.AsOf != nil {
		return s.searchPast(ctx, scope, search, page)
	}
	var none registry.Page[registry.Found]
	plan, err := s.planSearch(ctx, s.reading(scope), scope, search)
	if err != nil {
		return none, err
	}
	at, err := plan.position(page)
	if err != nil {
		return none, err
	}
	p := plan.params
	p["limit"] = page.Size + 1
	q := query{"search.page", plan.pageText(at, p)}
	items, _, err := one(ctx, s.reading(scope), q, p, func(f fields) []registry.Found {
		maps := f.maps("items")
		out := make([]registry.Found, len(maps))
		for i, item := range maps {
			out[i] = plan.found(item)
		}
		return out
	})
	if err == nil && len(items) == 0 && search.Under != "" {
		// Nothing there, or no such group? Only an empty answer costs this look.
		_, err = s.GroupByPath(ctx, scope, search.Under)
	}
	if err != nil {
		return none, fmt.Errorf("search: %w", err)
	}
	return cut(items, page), nil
}

// Summarize counts what a search finds, in all and by the values of fields, in
// one round trip (and those that a regular expression takes).
func (s *Store) Summarize(ctx context.Context, scope registry.Scope, search registry.Search, facets []registry.FacetRequest) (registry.Summary, error) {
	if scope.AsOf != nil {
		return s.summarizePast(ctx, scope, search, facets)
	}
	search.OrderBy = nil
	plan, err := s.planSearch(ctx, s.reading(scope), scope, search)
	if err != nil {
		return registry.Summary{}, err
	}
	text, p := plan.countText(), plan.params
	counted := make([]facetQuery, len(facets))
	for i, request := range facets {
		if counted[i], err = facetFor(request, i); err != nil {
			return registry.Summary{}, err
		}
	}
	if len(facets) > 0 {
		text = plan.facetText(counted, p)
	}
	out, _, err := one(ctx, s.reading(scope), query{"search.summary", text}, p, func(f fields) registry.Summary {
		out := registry.Summary{Total: f.integer("n"), Facets: make([][]registry.Facet, len(facets))}
		for i := range facets {
			out.Facets[i] = counted[i].decode(f)
		}
		return out
	})
	if err != nil {
		return out, fmt.Errorf("summarize a search: %w", err)
	}
	return out, nil
}

// searchPlan is a search turned into Cypher: for each kind, a text that finds
// its nodes n.
type searchPlan struct {
	parts  []searchPart
	order  []searchOrder
	scored bool
	params params
}

// searchPart finds the nodes n of one kind. Its text ends in a WHERE to which
// more can be added.
type searchPart struct {
	kind  registry.Kind
	match string
	// distinct is for matches that find a node several times.
	distinct bool
	// indexed says that the nodes come in the order of their keys if asked to,
	// with prefix before the key.
	indexed bool
	prefix  string
}

// kindRank orders kinds, as text.
func kindRank(kind registry.Kind) int64 {
	switch kind {
	case registry.KindGroup:
		return 1
	case registry.KindDevice:
		return 2
	}
	return 3
}

// nodes returns the plan's nodes as n, each once, for a statement to go on from.
func (p *searchPlan) nodes(returned string) string {
	parts := make([]string, len(p.parts))
	for i, part := range p.parts {
		with := "RETURN "
		if part.distinct {
			with = "RETURN DISTINCT "
		}
		parts[i] = part.match + "\n" + with + returned
	}
	return strings.Join(parts, "\nUNION ALL\n")
}

func (p *searchPlan) countText() string {
	return "CALL () {\n" + p.nodes("n") + "\n}\nRETURN count(n) AS n"
}
