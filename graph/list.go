package graph

import (
	"context"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// listing is a query for a page of a list that is ordered by keys. Its text is
// the one that list.go puts together, from constants only.
type listing struct {
	name string
	// match finds the nodes n of the list and ends in a WHERE to which more can
	// be added.
	match string
	// key is the expression that orders within the list.
	key string
	// prefix goes before the key in ORDER BY, so that an index's order can be
	// used: "n.account, ".
	prefix string
	// distinct is for matches that find a node several times.
	distinct bool
	// item is what is returned of each node, as a map.
	item string
}

// text is the page's query: forward or backward, from a key or from the end.
// One item more than the page holds tells whether there is a next page.
func (l listing) text(backward, fromKey bool) string {
	condition, direction := l.key+" > $key", ""
	if backward {
		direction = " DESC"
		condition = l.key + " < $key"
		if !fromKey {
			condition = l.key + " IS NOT NULL"
		}
	}
	with := "WITH n"
	if l.distinct {
		with = "WITH DISTINCT n"
	}
	order := strings.ReplaceAll(l.prefix, ", ", direction+", ") + l.key + direction
	return l.match + " AND " + condition + "\n" + with + " ORDER BY " + order + " LIMIT $limit\nRETURN collect(" + l.item + ") AS items"
}

// query is the query for a page.
func (l listing) query(page registry.PageRequest) query {
	return query{l.name, l.text(page.Backward, page.Key != "")}
}

// registered puts every variant of a listing on the list of queries.
func (l listing) registered() listing {
	named(l.name+"Forward", l.text(false, true))
	named(l.name+"Backward", l.text(true, true))
	named(l.name+"Last", l.text(true, false))
	return l
}

// readPage runs a listing and decodes its items. Size 0 asks nothing.
func readPage[T any](ctx context.Context, r runner, l listing, page registry.PageRequest, p params, of func(fields) T) (registry.Page[T], error) {
	return pageWith(ctx, r, l, page, page.Key, p, of)
}

// pageWith is readPage with the key in the form that the database has it.
func pageWith[T any](ctx context.Context, r runner, l listing, page registry.PageRequest, key string, p params, of func(fields) T) (registry.Page[T], error) {
	p["key"], p["limit"] = key, page.Size+1
	items, _, err := one(ctx, r, l.query(page), p, func(f fields) []T {
		maps := f.maps("items")
		out := make([]T, len(maps))
		for i, item := range maps {
			out[i] = of(item)
		}
		return out
	})
	if err != nil {
		return registry.Page[T]{}, err
	}
	return cut(items, page), nil
}

// cut makes a page of the items that were found, one more than asked for if
// there are more.
func cut[T any](items []T, page registry.PageRequest) registry.Page[T] {
	more := len(items) > page.Size
	if more {
		items = items[:page.Size]
	}
	out := registry.Page[T]{Items: items, HasNext: more, HasPrevious: page.Key != ""}
	if page.Backward {
		slices.Reverse(out.Items)
		out.HasNext, out.HasPrevious = page.Key != "", more
	}
	return out
}

// slots puts values into the order of the ids that they were asked for by, the
// zero value where there is none.
func slots[T any](ids []registry.ID, values map[registry.ID]T) []T {
	out := make([]T, len(ids))
	for i, id := range ids {
		out[i] = values[id]
	}
	return out
}

// texts makes a parameter of ids.
func texts(ids []registry.ID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}
