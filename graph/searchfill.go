package graph

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// Things that were made before words were searched for have no texts for the
// index. They get them once, in the background.

const (
	fillLease = 30 * time.Second
	// fillTurn is how often it is seen whether there is anything left.
	fillTurn = time.Minute
	// fillAtOnce bounds one transaction.
	fillAtOnce = 500
)

var (
	// The lease tells how far this came: the ids until then are done.
	wordsMissing = named("words.missing", `
		MATCH (l:Lease {name: $name})
		WHERE l.done IS NULL
		CALL (l) {
			MATCH (n:Entity)
			WHERE n.id > coalesce(l.after, '')
			WITH n ORDER BY n.id LIMIT $limit
			RETURN collect({id: n.id, kind: CASE WHEN n.searchText IS NOT NULL THEN '' WHEN n:Group THEN 'GROUP' WHEN n:Device THEN 'DEVICE' WHEN n:Asset THEN 'ASSET' ELSE '' END,
				node: properties(n)}) AS page
		}
		RETURN page`)

	// Whoever changed a thing meanwhile has given it its texts.
	wordsFill = named("words.fill", `
		CALL () {
			UNWIND $items AS item
			MATCH (n:Entity {id: item.id})
			SET n.filling = true
			WITH n, item
			REMOVE n.filling
			WITH n, item
			WHERE n.searchText IS NULL AND n.version = item.version
			SET n.searchText = item.words
		}
		MATCH (l:Lease {name: $name})
		SET l.after = $after, l.done = $done
		RETURN count(l) AS n`)
)

// FillWords gives things that were made by a Holon without a search for words
// the texts that it needs, as long as the context lives. Any number of processes
// may run it.
func (s *Store) FillWords(ctx context.Context) error {
	return s.inTurns(ctx, "words", fillTurn, fillLease, s.fillWords)
}

// fillWords fills a page, and says whether there may be more.
func (s *Store) fillWords(ctx context.Context) (more bool, err error) {
	type missing struct {
		after string
		read  int
		items []any
	}
	name := "words"
	page, some, err := one(ctx, s.reading(registry.Scope{}), wordsMissing, params{"name": name, "limit": fillAtOnce}, func(f fields) missing {
		out := missing{items: []any{}}
		for _, item := range f.maps("page") {
			out.after = item.text("id")
			out.read++
			kind := registry.Kind(item.text("kind"))
			if kind == "" {
				continue
			}
			node, own := item.nested("node"), map[string]any{}
			for property, value := range node.object {
				top, _, _ := strings.Cut(property, ".")
				if property == encodedProperty || !registry.BuiltInAttribute(kind, top) {
					own[property] = value
				}
			}
			if words := searchText(own); words != nil {
				out.items = append(out.items, map[string]any{"id": out.after, "version": node.integer("version"), "words": words})
			}
		}
		return out
	})
	if err != nil || !some {
		return false, err
	}
	var done any
	if page.read < fillAtOnce {
		done = true
	}
	if err := nothing(ctx, s.writing(registry.Scope{}), wordsFill, params{"name": name, "items": page.items, "after": page.after, "done": done}); err != nil {
		return false, fmt.Errorf("fill the words of things: %w", err)
	}
	return done == nil, nil
}
