package graph

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// RelatedFilter narrows the relations of an object. Empty fields do not.
type RelatedFilter struct {
	// Name is a relation's name.
	Name      string
	Direction registry.Direction
	// Kind and Template are those of the object at the other end; the template is
	// named, of whatever version. State leaves groups out.
	Kind     registry.Kind
	Template string
	State    registry.State
	// Where is a rule about the object at the other end.
	Where string
	// OrderBy is about the object at the other end too; empty for the order of
	// Related.
	OrderBy []registry.OrderBy
	// where is that rule in Cypher, for each kind that it is about.
	where map[registry.Kind]string
}

// Check tells what is wrong with the filter.
func (f RelatedFilter) Check() error {
	if f.Name == "" {
		return nil
	}
	if violation := registry.CheckRelationName("name", f.Name); violation != nil {
		return registry.Invalid(*violation)
	}
	return nil
}

// match finds the relations r of x, with the objects n at their other ends and
// the way that they go. Only a checked name gets into the text.
func (f RelatedFilter) match() string {
	if f.where != nil {
		var parts []string
		for _, kind := range registry.Kinds {
			if where, ok := f.where[kind]; ok {
				parts = append(parts, f.matchOf(label(kind), " AND "+where))
			}
		}
		return strings.Join(parts, "\n\t\tUNION ALL\n\t\t")
	}
	labels := "Group|Device|Asset"
	if f.Kind != "" {
		labels = label(f.Kind)
	}
	return f.matchOf(labels, "")
}

func (f RelatedFilter) matchOf(labels, more string) string {
	condition, relation := "NOT type(r) IN $builtIn", ""
	if f.Name != "" {
		relation, condition = ":"+relationType(f.Name), "true"
	}
	if f.Template != "" {
		condition += " AND n.templateFold = $template"
	}
	if f.State != "" {
		condition += " AND n.state = $state"
	}
	condition += more
	var ways []string
	if f.Direction != registry.DirectionIn {
		ways = append(ways, "MATCH (x)-[rTYPE]->(n:LABEL) WHERE "+condition+" RETURN r, n, 'out' AS way")
	}
	if f.Direction != registry.DirectionOut {
		ways = append(ways, "MATCH (x)<-[rTYPE]-(n:LABEL) WHERE "+condition+" RETURN r, n, 'in' AS way")
	}
	return strings.NewReplacer("LABEL", labels, "TYPE", relation).Replace(strings.Join(ways, "\n\t\tUNION ALL\n\t\t"))
}

func (f RelatedFilter) params(id registry.ID) params {
	return params{"id": string(id), "builtIn": builtInTypes, "template": Fold(f.Template), "state": string(f.State)}
}

// relatedFrom begins the queries about the relations of one object.
const relatedFrom = `
	MATCH (x:Entity {id: $id})
	WHERE x.account = $account AND x:Group|Device|Asset
	CALL (x) {
		RELATIONS
	}
	WITH r, n, way, toLower(type(r)) + ' ' + way + CASE WHEN n:Group THEN ' 1 ' WHEN n:Device THEN ' 2 ' ELSE ' 3 ' END + n.keyFold AS key`

const relatedItem = `{thing: THING, name: toLower(type(r)), way: way, inherits: coalesce(r.inherits, true)}`

func (f RelatedFilter) page(page registry.PageRequest) query {
	condition, direction := "key > $key", ""
	switch {
	case page.Backward && page.Key != "":
		condition, direction = "key < $key", " DESC"
	case page.Backward:
		condition, direction = "true", " DESC"
	}
	return query{"related.page", strings.Replace(relatedFrom, "RELATIONS", f.match(), 1) + `
	WHERE ` + condition + `
	WITH r, n, way, key ORDER BY key` + direction + ` LIMIT $limit
	RETURN collect(` + strings.Replace(relatedItem, "THING", thing("n"), 1) + `) AS items`}
}

func (f RelatedFilter) count() query {
	return query{"related.count", strings.Replace(relatedFrom, "RELATIONS", f.match(), 1) + "\n\tRETURN count(key) AS n"}
}

// ending is the query that ends relations and says which.
func (f RelatedFilter) ending() query {
	return query{"relation.endAll", `
	MATCH (x:Entity {id: $id})
	WHERE x.account = $account AND x:Group|Device|Asset
	CALL (x) {
		` + f.match() + `
	}
	WITH DISTINCT r, n, way, startNode(r) AS a, endNode(r) AS b, toLower(type(r)) AS name, properties(r) AS had LIMIT $limit
	CREATE (a)-[w:WAS_RELATED]->(b)
	SET w = had, w.name = name, w.until = $until
	DELETE r
	RETURN collect({thing: ` + thing("n") + `, name: name, way: way}) AS items`}
}

// The texts without a name, for the plan test.
var _ = func() bool {
	for _, kind := range append([]registry.Kind{""}, registry.Kinds...) {
		for _, direction := range []registry.Direction{"", registry.DirectionOut, registry.DirectionIn} {
			f := RelatedFilter{Kind: kind, Direction: direction, Template: "t", OrderBy: []registry.OrderBy{{Field: "version"}}}
			for _, page := range []registry.PageRequest{{}, {Backward: true}, {Backward: true, Key: "k"}} {
				named("related.page", f.page(page).text)
			}
			named("related.count", f.count().text)
			order, _ := f.order()
			named("related.ordered", f.ordered(order, pageStart{}, params{}).text)
			named("relation.endAll", f.ending().text)
		}
	}
	return true
}()

// RelatedEnd is a relation with the object at its other end.
type RelatedEnd struct {
	registry.Relation
	Other registry.Related
	// at is where it lies in an order that was asked for.
	at string
}

// Key is the key that Related orders by.
func (e RelatedEnd) Key() string {
	if e.at != "" {
		return e.at
	}
	return relatedKey(e.Relation, keyOf(e.Other))
}

func relatedKey(r registry.Relation, key string) string {
	number := map[registry.Kind]string{registry.KindGroup: " 1 ", registry.KindDevice: " 2 ", registry.KindAsset: " 3 "}
	return r.Name + " " + Fold(string(r.Direction)) + number[r.OtherKind] + Fold(key)
}

func relatedEnd(f fields) RelatedEnd {
	other := thingOf(f.nested("thing"))
	if other == nil {
		return RelatedEnd{}
	}
	direction := registry.DirectionOut
	if f.text("way") == "in" {
		direction = registry.DirectionIn
	}
	return RelatedEnd{registry.Relation{
		Name: f.text("name"), Direction: direction, Inherits: f.boolean("inherits"), OtherID: other.NodeID(), OtherKind: kindOf(other),
	}, other, ""}
}

// Related returns a page of the relations of a group, a device or an asset, by
// name, direction, kind and key of the object at the other end.
func (s *Store) Related(ctx context.Context, scope registry.Scope, id registry.ID, f RelatedFilter, page registry.PageRequest) (registry.Page[RelatedEnd], error) {
	if err := f.Check(); err != nil {
		return registry.Page[RelatedEnd]{}, err
	}
	if scope.AsOf != nil {
		return s.pastRelated(ctx, scope, id, f, page)
	}
	f, p, err := s.ruled(ctx, scope, id, f)
	if err != nil {
		return registry.Page[RelatedEnd]{}, err
	}
	p["key"], p["limit"] = page.Key, page.Size+1
	if len(f.OrderBy) > 0 {
		return s.relatedInOrder(ctx, scope, f, p, page)
	}
	items, _, err := one(ctx, s.reading(scope), f.page(page), p, func(row fields) []RelatedEnd {
		maps := row.maps("items")
		out := make([]RelatedEnd, len(maps))
		for i, item := range maps {
			out[i] = relatedEnd(item)
		}
		return out
	})
	if err != nil {
		return registry.Page[RelatedEnd]{}, fmt.Errorf("related: %w", err)
	}
	return cut(items, page), nil
}

// CountRelated counts what Related lists.
func (s *Store) CountRelated(ctx context.Context, scope registry.Scope, id registry.ID, f RelatedFilter) (int, error) {
	if err := f.Check(); err != nil {
		return 0, err
	}
	if scope.AsOf != nil {
		return s.countPastRelated(ctx, scope, id, f)
	}
	f, p, err := s.ruled(ctx, scope, id, f)
	if err != nil {
		return 0, err
	}
	n, _, err := one(ctx, s.reading(scope), f.count(), p, counted)
	if err != nil {
		return 0, fmt.Errorf("count related: %w", err)
	}
	return n, nil
}

// endedAtOnce bounds the relations that one transaction of UnrelateAll ends.
const endedAtOnce = 5000

// UnrelateAll ends relations of an object and says how many. Beyond 5,000 they
// end in several transactions, each of which stands.
func (s *Store) UnrelateAll(ctx context.Context, scope registry.Scope, from registry.Ref, f RelatedFilter) (int, error) {
	if err := f.Check(); err != nil {
		return 0, err
	}
	if scope.Rehearsal != nil || scope.Token != "" {
		return s.unrelateTried(ctx, scope, from, f)
	}
	for ended := 0; ; {
		n := 0
		err := change(ctx, s, scope, "relation.endAll", func(ctx context.Context, tx *transaction) (err error) {
			n, err = s.endSome(ctx, tx, scope, from, f)
			return err
		})
		if err != nil {
			return ended, fmt.Errorf("unrelate all: %w", err)
		}
		if ended += n; n < endedAtOnce {
			return ended, nil
		}
	}
}

// unrelateTried is UnrelateAll in one transaction, which can be rehearsed.
func (s *Store) unrelateTried(ctx context.Context, scope registry.Scope, from registry.Ref, f RelatedFilter) (ended int, err error) {
	asked := []any{from, f.Name, f.Direction, f.Kind}
	err = triable(ctx, s, scope, "relation.endAll", asked, func(ctx context.Context, tx *transaction) error {
		for ended = 0; ; {
			n, err := s.endSome(ctx, tx, scope, from, f)
			if err != nil {
				return err
			}
			if ended += n; ended > registry.MaxTwinsUnrelated {
				return registry.LimitExceeded("more than %d relations cannot be rehearsed at once: narrow them by relation, direction or kind", registry.MaxTwinsUnrelated)
			}
			if n < endedAtOnce {
				return nil
			}
		}
	})
	if err != nil {
		return 0, fmt.Errorf("unrelate all: %w", err)
	}
	return ended, nil
}

func (s *Store) endSome(ctx context.Context, tx *transaction, scope registry.Scope, from registry.Ref, f RelatedFilter) (int, error) {
	got, err := s.prepare(ctx, tx, scope, wanted{kind: registry.KindDevice, refs: []registry.Ref{from}})
	if err != nil {
		return 0, err
	}
	self, ok := got.target(from)
	if !ok {
		return 0, missing(from)
	}
	p := f.params(self.thing.NodeID())
	p["limit"], p["until"] = endedAtOnce, tx.at.UnixMilli()
	ended, _, err := one(ctx, tx, f.ending(), p, func(row fields) []edge {
		var out []edge
		for _, item := range row.maps("items") {
			out = append(out, edge{name: item.text("name"), other: thingOf(item.nested("thing")), incoming: item.text("way") == "in"})
		}
		return out
	})
	slices.SortFunc(ended, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.name, b.name), strings.Compare(Fold(keyOf(a.other)), Fold(keyOf(b.other))))
	})
	for _, e := range ended {
		tx.record(relationChange{"unrelated", e.pair(self.thing)}.entry())
	}
	return len(ended), err
}

// MaxRelations bounds the relations that are read of one object at once.
const MaxRelations = 10_000
