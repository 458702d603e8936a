package graph

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// searchPast is Search as of a moment. In the order of kinds and keys a page
// reads a page; any other order takes all that is found.
func (s *Store) searchPast(ctx context.Context, scope registry.Scope, search registry.Search, page registry.PageRequest) (registry.Page[registry.Found], error) {
	var none registry.Page[registry.Found]
	p, err := s.newPastSearch(scope, search)
	if err != nil {
		return none, err
	}
	at, err := p.plan.position(page)
	if err != nil {
		return none, err
	}
	read := p.inKeyOrder
	if len(p.plan.order) > 0 {
		read = p.inOrder
	}
	hits, err := read(ctx, at, page.Size+1)
	if err != nil {
		return none, fmt.Errorf("search in the past: %w", err)
	}
	items := make([]registry.Found, len(hits))
	for i, hit := range hits {
		items[i] = registry.Found{Thing: hit.thing, Key: p.plan.cursor(hit.ranks, slices.Clone(hit.values), hit.kind, hit.key)}
		if p.plan.scored {
			score, _ := hit.values[0].(float64)
			items[i].Score = &score
		}
	}
	return cut(items, page), nil
}

// pastHit is what was found, with what orders it.
type pastHit struct {
	thing  registry.Related
	object rule.Object
	kind   int64
	key    string
	ranks  []int64
	values []any
}

// inKeyOrder reads what is found after a position, or before it going backward.
func (p *pastSearch) inKeyOrder(ctx context.Context, at pageStart, want int) ([]pastHit, error) {
	parts := slices.Clone(p.plan.parts)
	if at.backward {
		slices.Reverse(parts)
	}
	var out []pastHit
	for _, part := range parts {
		rank, key := kindRank(part.kind), ""
		if at.given && rank != at.kind && (rank < at.kind) != at.backward {
			continue
		}
		if at.given && rank == at.kind {
			key = at.key
		}
		from, err := p.source(ctx, part.kind, at.backward)
		if err != nil {
			return nil, err
		}
		items, err := readPast(ctx, from, p.keep, p.plain(), key, want-len(out))
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			out = append(out, pastHit{thing: item.node.(registry.Related), kind: rank, key: item.key})
		}
		if len(out) >= want {
			break
		}
	}
	return out, nil
}

// all reads everything that is found, which is not to take more than the
// search may look at.
func (p *pastSearch) all(ctx context.Context) ([]pastHit, error) {
	var out []pastHit
	looked := 0
	for _, part := range p.plan.parts {
		from, err := p.source(ctx, part.kind, false)
		if err != nil {
			return nil, err
		}
		for key := ""; ; {
			items, err := from(ctx, key, registry.MaxPage)
			if err != nil {
				return nil, err
			}
			if looked += len(items); looked > maxPastLooked {
				return nil, registry.LimitExceeded("as of a moment, at most %d objects are put in order and counted: narrow the question by a template, a group or a state that few have, or ask for pages in the order of keys", maxPastLooked)
			}
			kept, err := p.keep(ctx, items)
			if err != nil {
				return nil, err
			}
			for _, item := range kept {
				out = append(out, pastHit{thing: item.node.(registry.Related), kind: kindRank(part.kind), key: item.key})
			}
			if len(items) < registry.MaxPage {
				break
			}
			key = items[len(items)-1].key
		}
	}
	return out, nil
}

// show gives what was found as a rule sees it, with what lies on some ways.
func (p *pastSearch) show(ctx context.Context, hits []pastHit, reaches []*rule.Reach) error {
	things := make([]registry.Related, len(hits))
	for i, hit := range hits {
		things[i] = hit.thing
	}
	objects, err := p.around.objects(ctx, things, reaches)
	for i := range objects {
		hits[i].object = objects[i]
	}
	return err
}

// inOrder puts all that is found in order and takes a page of it.
func (p *pastSearch) inOrder(ctx context.Context, at pageStart, want int) ([]pastHit, error) {
	hits, err := p.all(ctx)
	if err != nil {
		return nil, err
	}
	return p.pageOf(ctx, hits, at, want)
}

// pageOf puts hits in order and takes a page of them.
func (p *pastSearch) pageOf(ctx context.Context, hits []pastHit, at pageStart, want int) ([]pastHit, error) {
	if err := p.show(ctx, hits, nil); err != nil {
		return nil, err
	}
	for i := range hits {
		hit := &hits[i]
		if p.plan.scored {
			hit.ranks, hit.values = []int64{rankNumber}, []any{wordScore(hit.object, p.words)}
			continue
		}
		for _, reader := range p.readers {
			rank, value := orderValue(reader, hit.object)
			hit.ranks, hit.values = append(hit.ranks, rank), append(hit.values, value)
		}
	}
	slices.SortFunc(hits, p.compare)
	if at.given {
		start := pastHit{kind: at.kind, key: at.key, ranks: at.ranks, values: at.values}
		hits = slices.DeleteFunc(hits, func(hit pastHit) bool {
			order := p.compare(hit, start)
			return order == 0 || (order < 0) != at.backward
		})
	}
	if at.backward {
		slices.Reverse(hits)
	}
	return hits[:min(len(hits), want)], nil
}

func (p *pastSearch) compare(a, b pastHit) int {
	for i, order := range p.plan.order {
		if a.ranks[i] != b.ranks[i] {
			return cmp.Compare(a.ranks[i], b.ranks[i])
		}
		way := rule.Compare(a.values[i], b.values[i])
		if order.descending {
			way = -way
		}
		if way != 0 {
			return way
		}
	}
	return cmp.Or(cmp.Compare(a.kind, b.kind), strings.Compare(a.key, b.key))
}

// orderValue is what a field orders an object by, see searchOrder.
func orderValue(reader *rule.FieldReader, object rule.Object) (rank int64, value any) {
	values := reader.Values(object)
	if len(values) == 0 {
		return rankNone, nil
	}
	value = values[0].Value
	switch value.(type) {
	case int64, float64, time.Time:
		return rankNumber, value
	case string:
		rank = rankText
	case bool:
		rank = rankBoolean
	default:
		return rankNone, nil
	}
	if !reader.Attribute() {
		rank = rankNumber
	}
	return rank, value
}

// summarizePast is Summarize as of a moment.
func (s *Store) summarizePast(ctx context.Context, scope registry.Scope, search registry.Search, facets []registry.FacetRequest) (registry.Summary, error) {
	search.OrderBy = nil
	p, err := s.newPastSearch(scope, search)
	if err != nil {
		return registry.Summary{}, err
	}
	readers := make([]*rule.FieldReader, len(facets))
	for i, request := range facets {
		if _, err := facetFor(request, i); err != nil {
			return registry.Summary{}, err
		}
		if readers[i], err = rule.NewFieldReader(request.Field, "field", registry.MaxFacetSteps); err != nil {
			return registry.Summary{}, err
		}
	}
	if len(facets) == 0 {
		n, err := p.count(ctx)
		return registry.Summary{Total: n}, err
	}
	hits, err := p.all(ctx)
	if err != nil {
		return registry.Summary{}, fmt.Errorf("summarize a search in the past: %w", err)
	}
	out := registry.Summary{Total: len(hits), Facets: make([][]registry.Facet, len(facets))}
	for i, request := range facets {
		if err := p.show(ctx, hits, readers[i].Reaches()); err != nil {
			return registry.Summary{}, err
		}
		out.Facets[i] = countFacet(request, readers[i], hits)
	}
	return out, nil
}

// count counts what is found.
func (p *pastSearch) count(ctx context.Context) (int, error) {
	if p.plain() && p.search.Members == nil && p.keys == nil {
		return p.countPlaces(ctx)
	}
	hits, err := p.all(ctx)
	return len(hits), err
}

// countPlaces counts what is found where nothing has to be looked at.
func (p *pastSearch) countPlaces(ctx context.Context) (int, error) {
	total := 0
	for _, part := range p.plan.parts {
		var n int
		var err error
		switch {
		case part.kind == registry.KindGroup:
			var places []keyedID
			places, err = p.groupPlaces(ctx, nil, false)
			if n = len(places); err == nil && n > 0 && places[0].key == "/" {
				// The root has no group above it that would tell since when it is there.
				var root []*registry.Group
				if root, err = pastOf[*registry.Group](ctx, p.Store, p.scope, []registry.ID{places[0].id}); err == nil && root[0] == nil {
					n--
				}
			}
		case p.search.Under == "" || cleanPath(p.search.Under) == "/":
			n, err = p.countPastKind(ctx, p.scope, registry.ObjectKind(part.kind))
		default:
			var places []keyedID
			places, err = p.placesUnder(ctx, part.kind)
			n = len(places)
		}
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}
