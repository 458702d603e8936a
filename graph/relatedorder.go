package graph

import (
	"context"
	"fmt"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Relations in an order that was asked for: by fields of the objects at their
// other ends, and then by kind and by what Related orders by. Cursors are those
// of a search in that order.

// order is what the relations are ordered by.
func (f RelatedFilter) order() (*searchPlan, error) {
	plan := &searchPlan{}
	for _, kind := range registry.Kinds {
		plan.parts = append(plan.parts, searchPart{kind: kind})
	}
	return plan, plan.orderBy(registry.Search{OrderBy: f.OrderBy}, false)
}

// ordered is the query for a page.
func (f RelatedFilter) ordered(order *searchPlan, at pageStart, values params) query {
	columns, names := order.orderColumns()
	kind := fmt.Sprintf("CASE WHEN n:Group THEN %d WHEN n:Device THEN %d ELSE %d END AS kind", kindRank(registry.KindGroup), kindRank(registry.KindDevice), kindRank(registry.KindAsset))
	text := strings.Replace(relatedFrom, "RELATIONS", f.match(), 1) + ",\n\t\t" + strings.Join(append([]string{kind}, columns...), ", ")
	if at.given {
		greater := ">"
		if at.backward {
			greater = "<"
		}
		values["atKind"], values["atKey"] = at.kind, at.key
		text += "\n\tWHERE " + order.further(at, fmt.Sprintf("(kind %[1]s $atKind OR (kind = $atKind AND key %[1]s $atKey))", greater), values)
	}
	carried := strings.Join(append([]string{"r", "n", "way", "key", "kind"}, names...), ", ")
	item := strings.Replace(strings.TrimSuffix(relatedItem, "}"), "THING", thing("n"), 1)
	return query{"related.ordered", text + "\n\tWITH " + carried + " ORDER BY " + order.orderText(at.backward, "kind", "key") + " LIMIT $limit\n\tRETURN collect(" +
		item + ", kind: kind, key: key, order: [" + strings.Join(names, ", ") + "]}) AS items"}
}

// relatedInOrder is Related in an order that was asked for.
func (s *Store) relatedInOrder(ctx context.Context, scope registry.Scope, f RelatedFilter, p params, page registry.PageRequest) (registry.Page[RelatedEnd], error) {
	order, err := f.order()
	if err != nil {
		return registry.Page[RelatedEnd]{}, err
	}
	at, err := order.position(page)
	if err != nil {
		return registry.Page[RelatedEnd]{}, err
	}
	items, _, err := one(ctx, s.reading(scope), f.ordered(order, at, p), p, func(row fields) []RelatedEnd {
		maps := row.maps("items")
		out := make([]RelatedEnd, len(maps))
		for i, item := range maps {
			out[i] = relatedEnd(item)
			out[i].at = order.found(item).Key
		}
		return out
	})
	if err != nil {
		return registry.Page[RelatedEnd]{}, fmt.Errorf("related in order: %w", err)
	}
	return cut(items, page), nil
}

// relatedInOrder is that of the store as of a moment.
func (p *pastSearch) relatedInOrder(ctx context.Context, ends []pastEnd, page registry.PageRequest) (registry.Page[RelatedEnd], error) {
	at, err := p.plan.position(page)
	if err != nil {
		return registry.Page[RelatedEnd]{}, err
	}
	if len(ends) > maxPastLooked {
		return registry.Page[RelatedEnd]{}, registry.LimitExceeded("as of a moment, at most %d relations are put in order: name a relation, a direction and a kind", maxPastLooked)
	}
	kept, err := p.keepEnds(ctx, ends)
	if err != nil {
		return registry.Page[RelatedEnd]{}, err
	}
	byKey, hits := make(map[string]RelatedEnd, len(kept)), make([]pastHit, len(kept))
	for i, end := range kept {
		hits[i] = pastHit{thing: end.Other, kind: kindRank(end.OtherKind), key: end.Key()}
		byKey[end.Key()] = end
	}
	if hits, err = p.pageOf(ctx, hits, at, page.Size+1); err != nil {
		return registry.Page[RelatedEnd]{}, err
	}
	out := make([]RelatedEnd, len(hits))
	for i, hit := range hits {
		out[i] = byKey[hit.key]
		out[i].at = p.plan.cursor(hit.ranks, hit.values, hit.kind, hit.key)
	}
	return cut(out, page), nil
}
