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
// key, so that a page is read and no more.
var pastLists = func() map[string]query {
	out := map[string]query{}
	for way, condition := range map[string]string{"Forward": "> $key", "Backward": "< $key", "Last": "IS NOT NULL"} {
		direction := " DESC"
		if way == "Forward" {
			direction = ""
		}
		out[way] = named("past.list"+way, `
		CALL () { `+pastPosition+` }
		MATCH (k:Change) USING INDEX k:Change(account, kind, keyFold, position)
		WHERE k.account = $account AND k.kind = $kind AND k.keyFold `+condition+` AND k.position > 0
		WITH DISTINCT highest, k.account AS account, k.kind AS kind, k.keyFold AS key
		ORDER BY account`+direction+`, kind`+direction+`, key`+direction+`
		CALL (key, highest) { `+pastOfKey+` }
		WITH id, key, after LIMIT $limit
		RETURN collect({id: id, kind: $kind, key: key, after: after, above: []}) AS objects`)
	}
	return out
}()

// What was made until a moment, less what was deleted.
var pastCount = named("past.count", `
	MATCH (c:Change) USING INDEX c:Change(account, kind, position)
	WHERE c.account = $account AND c.kind = $kind AND c.position > 0 AND c.operation IN ['CREATE', 'DELETE'] AND c.at <= $at
	RETURN sum(CASE c.operation WHEN 'CREATE' THEN 1 ELSE -1 END) AS n`)

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
		return found, err
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

// readPast reads a page of a source; keep may be nil.
func readPast[T registry.Node](ctx context.Context, from source, keep func(registry.Node) bool, page registry.PageRequest) (registry.Page[T], error) {
	if page.Size == 0 {
		return registry.Page[T]{}, nil
	}
	var found []T
	key := Fold(page.Key)
	for looked := 0; len(found) <= page.Size; {
		n := page.Size + 1 - len(found)
		if keep != nil {
			n = max(2*n, 200)
		}
		items, err := from(ctx, key, n)
		if err != nil {
			return registry.Page[T]{}, err
		}
		for _, item := range items {
			if typed, ok := item.node.(T); ok && (keep == nil || keep(item.node)) {
				found = append(found, typed)
			}
			key = item.key
		}
		if len(items) < n {
			break
		}
		if looked += n; looked >= maxPastLooked {
			return registry.Page[T]{}, registry.LimitExceeded("the first %d objects of that time hold no page of this list: narrow the question", maxPastLooked)
		}
	}
	return cut(found[:min(len(found), page.Size+1)], page), nil
}

// pastThings is the source of a filter's list of things, and what the filter
// looks at in each.
func (s *Store) pastThings(ctx context.Context, scope registry.Scope, kind registry.Kind, f registry.Filter, backward bool) (source, func(registry.Node) bool, error) {
	keep := s.pastKeep(ctx, scope, f.Template, f.State)
	switch {
	case f.Keys != nil && f.Under != "":
		return nil, nil, registry.InvalidField("under", "exclusive", "name the %ss or the group that they are under, not both", noun(kind))
	case len(f.Keys) > registry.MaxPage:
		return nil, nil, registry.LimitExceeded("name at most %d %ss", registry.MaxPage, noun(kind))
	case kind == registry.KindGroup:
		places, err := s.pastGroups(ctx, scope, f)
		return s.walkPlaces(scope, places, backward), keep, err
	case f.Keys != nil:
		found, err := s.pastWithKeys(ctx, scope, registry.ObjectKind(kind), slices.Compact(slices.Sorted(slices.Values(foldedKeys(kind, f.Keys)))))
		places := make([]keyedID, len(found))
		for i, item := range found {
			places[i] = keyedID{item.node.NodeID(), item.key}
		}
		return s.walkPlaces(scope, places, backward), keep, err
	case f.Under == "" || cleanPath(f.Under) == "/":
		return s.walkKeys(scope, registry.ObjectKind(kind), backward), keep, nil
	}
	top, err := s.pastGroupID(ctx, scope, f.Under)
	if err != nil {
		return nil, nil, err
	}
	places, err := s.pastPlaces(ctx, scope, pastUnder, "things", "", params{"id": string(top), "kind": string(kind)})
	return s.walkPlaces(scope, places, backward), keep, err
}

// pastGroups are the groups of a filter by path: those below a group, or all.
func (s *Store) pastGroups(ctx context.Context, scope registry.Scope, f registry.Filter) ([]keyedID, error) {
	top, err := s.pastGroupID(ctx, scope, f.Under)
	if err != nil {
		return nil, err
	}
	above := cleanPath(f.Under)
	if above == "/" {
		above = ""
	}
	places, err := s.pastPlaces(ctx, scope, pastTree, "groups", above, params{"id": string(top)})
	for i := range places {
		places[i].key = cleanPath(places[i].key)
	}
	wanted := map[string]bool{}
	for _, key := range foldedKeys(registry.KindGroup, f.Keys) {
		wanted[key] = true
	}
	return slices.DeleteFunc(places, func(p keyedID) bool {
		return p.id == top && f.Under != "" || f.Keys != nil && !wanted[p.key]
	}), err
}

// pastKeep looks at a thing's template and state, nil if they do not matter.
func (s *Store) pastKeep(ctx context.Context, scope registry.Scope, template string, state registry.State) func(registry.Node) bool {
	if template == "" && state == "" {
		return nil
	}
	names := map[registry.ID]string{}
	return func(node registry.Node) bool {
		var id registry.ID
		is := state
		switch node := node.(type) {
		case *registry.Group:
			id = node.TemplateID
		case *registry.Device:
			id, is = node.TemplateID, node.State
		case *registry.Asset:
			id, is = node.TemplateID, node.State
		}
		if state != "" && is != state {
			return false
		}
		if _, known := names[id]; !known && template != "" {
			if found, err := s.TemplatesByID(ctx, scope, []registry.ID{id}); err == nil && found[0] != nil {
				names[id] = Fold(found[0].Name)
			}
		}
		return template == "" || names[id] == Fold(template)
	}
}

func listPast[T registry.Related](ctx context.Context, s *Store, scope registry.Scope, kind registry.Kind, f registry.Filter, page registry.PageRequest) (registry.Page[T], error) {
	from, keep, err := s.pastThings(ctx, scope, kind, f, page.Backward)
	if err == nil {
		var out registry.Page[T]
		if out, err = readPast[T](ctx, from, keep, page); err == nil {
			return out, nil
		}
	}
	return registry.Page[T]{}, fmt.Errorf("list %ss of the past: %w", noun(kind), err)
}

func (s *Store) countPast(ctx context.Context, scope registry.Scope, kind registry.Kind, f registry.Filter) (int, error) {
	if kind != registry.KindGroup && (f.Under == "" || cleanPath(f.Under) == "/") && f.Template == "" && f.State == "" && f.Keys == nil {
		return s.countPastKind(ctx, scope, registry.ObjectKind(kind))
	}
	from, keep, err := s.pastThings(ctx, scope, kind, f, false)
	if err != nil {
		return 0, err
	}
	n, key := 0, ""
	for {
		items, err := from(ctx, key, registry.MaxPage)
		if err != nil {
			return 0, fmt.Errorf("count %ss of the past: %w", noun(kind), err)
		}
		for _, item := range items {
			if item.node != nil && (keep == nil || keep(item.node)) {
				n++
			}
			key = item.key
		}
		if len(items) < registry.MaxPage {
			return n, nil
		}
	}
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
	from, err := s.pastMembersFrom(ctx, scope, group, f, page.Backward)
	if err != nil {
		return registry.Page[registry.Twin]{}, fmt.Errorf("members of group %s: %w", group, err)
	}
	return readPast[registry.Twin](ctx, from, s.pastKeep(ctx, scope, f.Template, f.State), page)
}

func (s *Store) pastMembersFrom(ctx context.Context, scope registry.Scope, group registry.ID, f MemberFilter, backward bool) (source, error) {
	if _, err := f.listing(); err != nil {
		return nil, err
	}
	p := params{"id": string(group), "deep": f.Deep, "relation": f.Relation, "kind": nil}
	if f.Kind != nil {
		p["kind"] = string(*f.Kind)
	}
	places, err := s.pastPlaces(ctx, scope, pastMembers, "things", "", p)
	return s.walkPlaces(scope, places, backward), err
}

func (s *Store) countPastMembers(ctx context.Context, scope registry.Scope, group registry.ID, f MemberFilter) (int, error) {
	from, err := s.pastMembersFrom(ctx, scope, group, f, false)
	if err != nil {
		return 0, fmt.Errorf("count members of group %s: %w", group, err)
	}
	keep := s.pastKeep(ctx, scope, f.Template, f.State)
	items, err := from(ctx, "", maxPastIDs)
	n := 0
	for _, item := range items {
		if item.node != nil && (keep == nil || keep(item.node)) {
			n++
		}
	}
	return n, err
}
