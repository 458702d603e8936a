package graph

import (
	"context"
	"fmt"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// maxPastLooked is how many objects of the past are looked at for one page of a
// list that is narrowed by what they were like.
const maxPastLooked = 20_000

// The objects of a kind by their keys: the journal's index leads from key to
// key, so that a page is read and no more. In a subquery of their own they stay
// in the index's order: otherwise the whole journal would be sorted.
var pastLists = func() map[string]query {
	out := map[string]query{}
	for way, condition := range map[string]string{"Forward": "> $key", "Backward": "< $key", "Last": "IS NOT NULL"} {
		direction := " DESC"
		if way == "Forward" {
			direction = ""
		}
		out[way] = named("past.list"+way, `
		CALL () { `+pastPosition+` }
		CALL (highest) {
			MATCH (k:Change) USING INDEX k:Change(account, kind, keyFold, position)
			WHERE k.account = $account AND k.kind = $kind AND k.keyFold `+condition+` AND k.position > 0
			WITH DISTINCT k.account AS account, k.kind AS kind, k.keyFold AS key
			ORDER BY account`+direction+`, kind`+direction+`, key`+direction+`
			CALL (key, highest) { `+pastOfKey+` }
			WITH id, key, after LIMIT $limit
			RETURN collect({id: id, kind: $kind, key: key, after: after, above: []}) AS objects
		}
		RETURN objects`)
	}
	return out
}()

// What was made until a moment, or was there where history begins, less what was
// deleted.
var pastCount = named("past.count", `
	MATCH (c:Change) USING INDEX c:Change(account, kind, position)
	WHERE c.account = $account AND c.kind = $kind AND c.position > 0 AND (c.base OR c.operation IN ['CREATE', 'DELETE']) AND c.at <= $at
	RETURN sum(CASE c.operation WHEN 'DELETE' THEN -1 ELSE 1 END) AS n`)

// source reads a list of the past on from a key, at most n objects; fewer are
// the end.
type source func(ctx context.Context, key string, n int) ([]keyed, error)

// walkKeys is the source of all objects of a kind.
func (s *Store) walkKeys(scope registry.Scope, kind registry.ObjectKind, backward bool) source {
	return func(ctx context.Context, key string, n int) ([]keyed, error) {
		way := "Forward"
		if backward {
			if way = "Backward"; key == "" {
				way = "Last"
			}
		}
		p, err := s.look(scope, params{"kind": string(kind), "key": key, "limit": n})
		if err != nil {
			return nil, err
		}
		found, _, err := one(ctx, s.reading(scope), pastLists[way], p, keyedOf)
		if err != nil {
			return nil, err
		}
		return found, s.nameEnds(ctx, scope, nodesIn(found))
	}
}

// walkPlaces is the source of objects whose ids and keys are known.
func (s *Store) walkPlaces(scope registry.Scope, places []keyedID, backward bool) source {
	if backward {
		slices.Reverse(places)
	}
	return func(ctx context.Context, key string, n int) ([]keyed, error) {
		start := 0
		if key != "" {
			start = slices.IndexFunc(places, func(p keyedID) bool { return p.key > key != backward && p.key != key })
			if start < 0 {
				return nil, nil
			}
		}
		part := places[start:min(start+n, len(places))]
		ids := make([]registry.ID, len(part))
		for i, p := range part {
			ids[i] = p.id
		}
		known, err := s.past(ctx, scope, ids)
		if err != nil {
			return nil, err
		}
		out := make([]keyed, len(part))
		for i, p := range part {
			out[i] = keyed{p.key, known[p.id]}
		}
		return out, nil
	}
}

// readPast reads from a source on from a key, until so many are kept.
func readPast(ctx context.Context, from source, keep func(context.Context, []keyed) ([]keyed, error), plain bool, key string, want int) ([]keyed, error) {
	var found []keyed
	for looked := 0; len(found) < want; {
		n := want - len(found)
		if !plain {
			n = max(2*n, 200)
		}
		items, err := from(ctx, key, n)
		if err != nil {
			return nil, err
		}
		kept, err := keep(ctx, items)
		if err != nil {
			return nil, err
		}
		found = append(found, kept...)
		if len(items) < n {
			break
		}
		key = items[len(items)-1].key
		if looked += n; looked >= maxPastLooked && len(found) < want {
			return nil, registry.LimitExceeded("the first %d objects of that time hold no page of this list: narrow the question", maxPastLooked)
		}
	}
	return found[:min(len(found), want)], nil
}

// typedPage is a page of objects of one type.
func typedPage[T registry.Node](items []keyed, page registry.PageRequest) registry.Page[T] {
	typed := make([]T, 0, len(items))
	for _, item := range items {
		if one, ok := item.node.(T); ok {
			typed = append(typed, one)
		}
	}
	return cut(typed, page)
}

// pastObjects is a page of the objects of a kind that fit, by key; fits may be
// nil.
func pastObjects[T registry.Node](ctx context.Context, s *Store, scope registry.Scope, kind registry.ObjectKind, fits func(T) bool, page registry.PageRequest) (registry.Page[T], error) {
	if page.Size == 0 {
		return registry.Page[T]{}, nil
	}
	items, err := readPast(ctx, s.walkKeys(scope, kind, page.Backward), thatFit(fits), fits == nil, Fold(page.Key), page.Size+1)
	return typedPage[T](items, page), err
}

// countPastObjects counts the objects of a kind that fit.
func countPastObjects[T registry.Node](ctx context.Context, s *Store, scope registry.Scope, kind registry.ObjectKind, fits func(T) bool) (int, error) {
	from, keep := s.walkKeys(scope, kind, false), thatFit(fits)
	for n, key := 0, ""; ; {
		items, err := from(ctx, key, registry.MaxPage)
		if err != nil {
			return 0, err
		}
		more := len(items) == registry.MaxPage
		if more {
			key = items[len(items)-1].key
		}
		kept, err := keep(ctx, items)
		if n += len(kept); err != nil || !more {
			return n, err
		}
	}
}

func thatFit[T registry.Node](fits func(T) bool) func(context.Context, []keyed) ([]keyed, error) {
	return func(_ context.Context, items []keyed) ([]keyed, error) {
		return slices.DeleteFunc(items, func(item keyed) bool {
			typed, ok := item.node.(T)
			return !ok || fits != nil && !fits(typed)
		}), nil
	}
}

// listPast is a list of things of one kind.
func listPast[T registry.Related](ctx context.Context, s *Store, scope registry.Scope, kind registry.Kind, f registry.Filter, page registry.PageRequest) (registry.Page[T], error) {
	var items []keyed
	p, err := s.filtered(scope, kind, f)
	if err == nil {
		var from source
		if from, err = p.source(ctx, kind, page.Backward); err == nil && page.Size > 0 {
			items, err = readPast(ctx, from, p.keep, p.plain(), Fold(page.Key), page.Size+1)
		}
	}
	if err != nil {
		return registry.Page[T]{}, fmt.Errorf("list %ss of the past: %w", noun(kind), err)
	}
	return typedPage[T](items, page), nil
}

func (s *Store) countPast(ctx context.Context, scope registry.Scope, kind registry.Kind, f registry.Filter) (int, error) {
	p, err := s.filtered(scope, kind, f)
	if err != nil {
		return 0, err
	}
	n, err := p.count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count %ss of the past: %w", noun(kind), err)
	}
	return n, nil
}

func (s *Store) countPastKind(ctx context.Context, scope registry.Scope, kind registry.ObjectKind) (int, error) {
	p, err := s.look(scope, params{"kind": string(kind)})
	if err != nil {
		return 0, err
	}
	n, _, err := one(ctx, s.reading(scope), pastCount, p, counted)
	if err != nil {
		return 0, fmt.Errorf("count objects of the past: %w", err)
	}
	return n, nil
}

// pastMembers returns a page of what was in a group, devices first.
func (s *Store) pastMembers(ctx context.Context, scope registry.Scope, group registry.ID, f MemberFilter, page registry.PageRequest) (registry.Page[registry.Twin], error) {
	p, from, err := s.membersThen(ctx, scope, group, f, page.Backward)
	var items []keyed
	if err == nil && page.Size > 0 {
		items, err = readPast(ctx, from, p.keep, p.plain(), Fold(page.Key), page.Size+1)
	}
	if err != nil {
		return registry.Page[registry.Twin]{}, fmt.Errorf("members of group %s: %w", group, err)
	}
	return typedPage[registry.Twin](items, page), nil
}

// membersThen is the search for a group's members, and their source in the order
// of Members.
func (s *Store) membersThen(ctx context.Context, scope registry.Scope, group registry.ID, f MemberFilter, backward bool) (*pastSearch, source, error) {
	if _, err := f.listing(); err != nil {
		return nil, nil, err
	}
	search := registry.Search{State: f.State, Members: &registry.Members{Group: group, Deep: f.Deep}}
	if f.Template != "" {
		search.Templates = []string{f.Template}
	}
	if f.Relation != nil {
		search.Members.Relation = *f.Relation
	}
	if f.Kind != nil {
		search.Kinds = []registry.Kind{*f.Kind}
	}
	p, err := s.newPastSearch(scope, search)
	if err != nil {
		return nil, nil, err
	}
	places, err := p.memberPlaces(ctx, *search.Members, f.Kind)
	return p, s.walkPlaces(scope, places, backward), err
}

// memberPlaces are the members of a group, of one kind or of both.
func (p *pastSearch) memberPlaces(ctx context.Context, m registry.Members, kind *registry.Kind) ([]keyedID, error) {
	values := params{"id": string(m.Group), "relation": nil, "kind": nil}
	if m.Relation != "" {
		values["relation"] = m.Relation
	}
	if kind != nil {
		values["kind"] = string(*kind)
	}
	return p.pastPlaces(ctx, p.scope, pastMembers[m.Deep], "things", "", values)
}

func (s *Store) countPastMembers(ctx context.Context, scope registry.Scope, group registry.ID, f MemberFilter) (int, error) {
	p, _, err := s.membersThen(ctx, scope, group, f, false)
	if err == nil {
		var n int
		if n, err = p.count(ctx); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("count members of group %s: %w", group, err)
}
