package graph

import (
	"context"
	"fmt"
	"slices"
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
	items, err := s.pageFound(ctx, scope, plan, page)
	if err != nil {
		return none, fmt.Errorf("search: %w", err)
	}
	return cut(items, page), s.groupThere(ctx, scope, search, len(items))
}

func (s *Store) pageFound(ctx context.Context, scope registry.Scope, plan *searchPlan, page registry.PageRequest) ([]registry.Found, error) {
	at, err := plan.position(page)
	if err != nil {
		return nil, err
	}
	p := plan.params
	p["limit"] = page.Size + 1
	items, _, err := one(ctx, s.reading(scope), query{"search.page", plan.pageText(at, p)}, p, plan.items)
	return items, err
}

// groupThere tells a search that found nothing from one under a group that does
// not exist: only an empty answer costs this look.
func (s *Store) groupThere(ctx context.Context, scope registry.Scope, search registry.Search, found int) error {
	if found > 0 || search.Under == "" {
		return nil
	}
	_, err := s.GroupByPath(ctx, scope, search.Under)
	return err
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
	summary, err := s.summary(ctx, scope, plan, facets)
	if err != nil {
		return summary, fmt.Errorf("summarize a search: %w", err)
	}
	return summary, nil
}

func (s *Store) summary(ctx context.Context, scope registry.Scope, plan *searchPlan, facets []registry.FacetRequest) (registry.Summary, error) {
	counted, err := facetsFor(facets)
	if err != nil {
		return registry.Summary{}, err
	}
	text, p := plan.countText(), plan.params
	if len(facets) > 0 {
		text = plan.facetText(counted, p)
	}
	out, _, err := one(ctx, s.reading(scope), query{"search.summary", text}, p, func(f fields) registry.Summary { return summaryOf(f, counted) })
	return out, err
}

// SearchAndSummarize is Search and Summarize. What a search has to go through for
// its page, it counts on the way.
func (s *Store) SearchAndSummarize(ctx context.Context, scope registry.Scope, search registry.Search, page registry.PageRequest, facets []registry.FacetRequest) (registry.Page[registry.Found], registry.Summary, error) {
	if scope.AsOf != nil {
		found, err := s.Search(ctx, scope, search, page)
		if err != nil {
			return found, registry.Summary{}, err
		}
		summary, err := s.Summarize(ctx, scope, search, facets)
		return found, summary, err
	}
	var none registry.Page[registry.Found]
	plan, err := s.planSearch(ctx, s.reading(scope), scope, search)
	if err != nil {
		return none, registry.Summary{}, err
	}
	items, summary, err := s.findAndCount(ctx, scope, plan, page, facets)
	if err != nil {
		return none, summary, fmt.Errorf("search: %w", err)
	}
	return cut(items, page), summary, s.groupThere(ctx, scope, search, summary.Total)
}

func (s *Store) findAndCount(ctx context.Context, scope registry.Scope, plan *searchPlan, page registry.PageRequest, facets []registry.FacetRequest) ([]registry.Found, registry.Summary, error) {
	if !plan.throughAll(facets) {
		items, err := s.pageFound(ctx, scope, plan, page)
		if err != nil {
			return nil, registry.Summary{}, err
		}
		summary, err := s.summary(ctx, scope, plan, facets)
		return items, summary, err
	}
	at, err := plan.position(page)
	if err != nil {
		return nil, registry.Summary{}, err
	}
	counted, err := facetsFor(facets)
	if err != nil {
		return nil, registry.Summary{}, err
	}
	p := plan.params
	p["limit"] = page.Size + 1
	type both struct {
		items   []registry.Found
		summary registry.Summary
	}
	out, _, err := one(ctx, s.reading(scope), query{"search.all", plan.allText(at, counted, p)}, p, func(f fields) both {
		return both{plan.items(f), summaryOf(f, counted)}
	})
	return out.items, out.summary, err
}

// searchPlan is a search turned into Cypher: for each kind, a text that finds
// its nodes n.
type searchPlan struct {
	parts  []searchPart
	order  []searchOrder
	scored bool
	// sum tells orders apart, see orderSum.
	sum    string
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

// throughAll says whether a page has to go through all that the search finds
// anyway, or the facets have. Otherwise the page ends early, in the order of an
// index or of a score.
func (p *searchPlan) throughAll(facets []registry.FacetRequest) bool {
	if p.scored {
		return false
	}
	return len(facets) > 0 || len(p.order) > 0 || slices.ContainsFunc(p.parts, func(part searchPart) bool { return !part.indexed })
}

// nodes returns the plan's nodes as n, each once, for a statement to go on from.
func (p *searchPlan) nodes() string {
	parts := make([]string, len(p.parts))
	for i, part := range p.parts {
		with := "RETURN n"
		if part.distinct {
			with = "RETURN DISTINCT n"
		}
		parts[i] = part.match + "\n" + with
	}
	return strings.Join(parts, "\nUNION ALL\n")
}

func (p *searchPlan) countText() string {
	return "CALL () {\n" + p.nodes() + "\n}\nRETURN count(n) AS n"
}
