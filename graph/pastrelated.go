package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// maxPastRelated bounds the relations of one object that are put in order.
const maxPastRelated = 100_000

// pastRelated finds the relations that an object had, with what they led to.
// Only a checked name gets into the text.
func (f RelatedFilter) pastText() string {
	relation, condition := "", "NOT type(r) IN $builtIn"
	if f.Name != "" {
		relation, condition = ":"+relationType(f.Name)+"|WAS_RELATED", "(type(r) <> 'WAS_RELATED' OR r.name = $name)"
	}
	labels := []string{"Group", "Device", "Asset"}
	if f.Kind != "" {
		labels = []string{label(f.Kind)}
	}
	condition += " AND " + heldThen("r") + " AND " + isA("o", labels...)
	var ways []string
	if f.Direction != registry.DirectionIn {
		ways = append(ways, "MATCH (x)-[r"+relation+"]->(o) WHERE "+condition+" RETURN r, o, 'OUT' AS way")
	}
	if f.Direction != registry.DirectionOut {
		ways = append(ways, "MATCH (x)<-[r"+relation+"]-(o) WHERE "+condition+" RETURN r, o, 'IN' AS way")
	}
	return `
		MATCH (x:Entity {id: $id})
		WHERE x.account = $account
		CALL (x) {
			` + strings.Join(ways, "\n\t\t\tUNION ALL\n\t\t\t") + `
		}
		WITH r, o, way LIMIT $limit
		RETURN collect({name: ` + relationName + `, way: way, inherits: coalesce(r.inherits, true), id: o.id, kind: ` + pastKind("o") + `, key: ` + pastKey("o") + `}) AS ends`
}

// The texts without a name, for the plan test.
var _ = func() bool {
	for _, direction := range []registry.Direction{"", registry.DirectionOut, registry.DirectionIn} {
		named("past.related", RelatedFilter{Direction: direction}.pastText())
	}
	return true
}()

// pastEnd is a relation of the past, not yet with the object at its other end.
type pastEnd struct {
	registry.Relation
	key string // see RelatedEnd.Key
}

// endsThen returns the relations that an object had, in the order of Related.
func (s *Store) endsThen(ctx context.Context, scope registry.Scope, id registry.ID, f RelatedFilter) ([]pastEnd, error) {
	builtIn := slices.DeleteFunc(slices.Clone(builtInTypes), func(name string) bool { return name == "WAS_RELATED" })
	p, err := s.look(scope, params{"id": string(id), "builtIn": builtIn, "name": f.Name, "limit": maxPastRelated + 1})
	if err != nil {
		return nil, err
	}
	ends, _, err := one(ctx, s.reading(scope), query{"past.related", f.pastText()}, p, func(row fields) []pastEnd {
		var out []pastEnd
		for _, item := range row.maps("ends") {
			end := pastEnd{Relation: registry.Relation{
				Name: item.text("name"), Direction: registry.Direction(item.text("way")), Inherits: item.boolean("inherits"),
				OtherID: item.id("id"), OtherKind: registry.Kind(item.text("kind")),
			}}
			end.key = relatedKey(end.Relation, item.text("key"))
			out = append(out, end)
		}
		return out
	})
	if err != nil {
		return nil, err
	}
	if len(ends) > maxPastRelated {
		return nil, registry.LimitExceeded("more than %d relations were there: name a relation, a direction and a kind", maxPastRelated)
	}
	slices.SortFunc(ends, func(a, b pastEnd) int { return strings.Compare(a.key, b.key) })
	return ends, nil
}

// keepEnds leaves of some relations those that the filter is for.
func (p *pastSearch) keepEnds(ctx context.Context, ends []pastEnd) ([]RelatedEnd, error) {
	ids := make([]registry.ID, len(ends))
	for i, end := range ends {
		ids[i] = end.OtherID
	}
	known, err := p.past(ctx, p.scope, slices.Compact(slices.Sorted(slices.Values(ids))))
	if err != nil {
		return nil, err
	}
	var items []keyed
	for _, node := range known {
		items = append(items, keyed{node: node})
	}
	items, err = p.keep(ctx, items)
	if err != nil {
		return nil, err
	}
	kept := map[registry.ID]registry.Related{}
	for _, item := range items {
		kept[item.node.NodeID()], _ = item.node.(registry.Related)
	}
	var out []RelatedEnd
	for _, end := range ends {
		if other, ok := kept[end.OtherID]; ok {
			end.OtherTemplate = Fold(p.around.names[templateIDOf(other)])
			out = append(out, RelatedEnd{end.Relation, other, ""})
		}
	}
	return out, nil
}

// relatedThen is the search among an object's relations, and the relations.
func (s *Store) relatedThen(ctx context.Context, scope registry.Scope, id registry.ID, f RelatedFilter) (*pastSearch, []pastEnd, error) {
	search := registry.Search{State: f.State, Where: f.Where, OrderBy: f.OrderBy}
	if f.Template != "" {
		search.Templates = []string{f.Template}
	}
	p, err := s.newPastSearch(scope, search)
	if err != nil {
		return nil, nil, err
	}
	ends, err := s.endsThen(ctx, scope, id, f)
	return p, ends, err
}

// pastRelated is Related as of a moment.
func (s *Store) pastRelated(ctx context.Context, scope registry.Scope, id registry.ID, f RelatedFilter, page registry.PageRequest) (registry.Page[RelatedEnd], error) {
	p, ends, err := s.relatedThen(ctx, scope, id, f)
	if err != nil {
		return registry.Page[RelatedEnd]{}, fmt.Errorf("related in the past: %w", err)
	}
	if len(f.OrderBy) > 0 {
		out, err := p.relatedInOrder(ctx, ends, page)
		if err != nil {
			return out, fmt.Errorf("related in the past: %w", err)
		}
		return out, nil
	}
	ends = slices.DeleteFunc(ends, func(end pastEnd) bool {
		return page.Key != "" && (end.key == page.Key || end.key < page.Key != page.Backward)
	})
	if page.Backward {
		slices.Reverse(ends)
	}
	var found []RelatedEnd
	for looked := 0; page.Size > 0 && len(found) <= page.Size && len(ends) > 0; {
		if looked > maxPastLooked {
			return registry.Page[RelatedEnd]{}, registry.LimitExceeded("the first %d relations of that time hold no page of this list: narrow the question", maxPastLooked)
		}
		n := min(len(ends), max(page.Size+1-len(found), 200))
		kept, err := p.keepEnds(ctx, ends[:n])
		if err != nil {
			return registry.Page[RelatedEnd]{}, fmt.Errorf("related in the past: %w", err)
		}
		found, ends, looked = append(found, kept...), ends[n:], looked+n
	}
	return cut(found[:min(len(found), page.Size+1)], page), nil
}

// countPastRelated counts what pastRelated lists.
func (s *Store) countPastRelated(ctx context.Context, scope registry.Scope, id registry.ID, f RelatedFilter) (int, error) {
	p, ends, err := s.relatedThen(ctx, scope, id, f)
	if err != nil || p.plain() {
		return len(ends), err
	}
	if len(ends) > maxPastLooked {
		return 0, registry.LimitExceeded("as of a moment, at most %d relations are counted: narrow the question", maxPastLooked)
	}
	n := 0
	for part := range slices.Chunk(ends, registry.MaxPage) {
		kept, err := p.keepEnds(ctx, part)
		if err != nil {
			return 0, fmt.Errorf("count related in the past: %w", err)
		}
		n += len(kept)
	}
	return n, nil
}
