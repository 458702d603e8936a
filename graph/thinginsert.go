package graph

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// Things are written first, then their relations, so that these may lead from
// one to another. Those that are made here are known by their places in made,
// all else by its element id, which the database finds without an index. A
// group's parent is among the relations, as CHILD_OF.
var thingCreate = labelled("create", `
	CALL () {
		UNWIND $things AS part
		MATCH (t:Entity {id: part.template})
		WHERE t.account = $account AND t:Template
		UNWIND part.nodes AS node
		CREATE (n:LABEL:Entity)
		SET n = node
		CREATE (n)-[:INSTANCE_OF]->(t)
		RETURN collect(n) AS made
	}
	CALL (made) {
		UNWIND $out AS row
		WITH made[row[0]] AS n, row
		MATCH (o) WHERE elementId(o) = row[1]
		CREATE (n)-[r:$(row[2]) `+madeProperties+`]->(o)
		RETURN count(r) AS out
	}
	CALL (made) {
		UNWIND $in AS row
		WITH made[row[0]] AS n, row
		MATCH (o) WHERE elementId(o) = row[1]
		CREATE (o)-[r:$(row[2]) `+madeProperties+`]->(n)
		RETURN count(r) AS in
	}
	CALL (made) {
		UNWIND $among AS row
		WITH made[row[0]] AS n, made[row[1]] AS o, row
		CREATE (n)-[r:$(row[2]) `+madeProperties+`]->(o)
		RETURN count(r) AS among
	}
	RETURN size(made) AS made, out + in + among AS related`)

// madeProperties are those of a relationship, from its row. What is null, or
// beyond the row's end, is no property.
const madeProperties = `{since: $since, inherits: row[3], name: row[4], nameFold: row[5]}`

var entityPlaces = named("entity.places", `
	UNWIND $ids AS id
	MATCH (n:Entity {id: id})
	WHERE n.account = $account
	RETURN collect({id: id, place: elementId(n)}) AS items`)

// places are the element ids of nodes. They hold in the transaction that read
// them, which keeps others from deleting what they are of.
type places map[registry.ID]string

// madeThing is a thing that is about to be written.
type madeThing struct {
	thing    registry.Related
	template registry.ID
	node     map[string]any
	edges    []edge
	// whole is what it is a component or a part of, empty for nothing.
	whole registry.ID
	// silence is after which time without a reading a device is not connected.
	silence time.Duration
}

// madeEdge is a relationship that is made with a thing.
type madeEdge struct {
	self, other registry.ID
	incoming    bool
	// rest is the relationship's type and properties, as rows have them.
	rest []any
}

// edgesOf are all relationships that are made with a thing.
func (m *madeThing) edgesOf(kind registry.Kind) []madeEdge {
	id := m.thing.NodeID()
	var out []madeEdge
	for _, e := range m.edges {
		out = append(out, madeEdge{id, e.other.NodeID(), e.incoming, []any{relationType(e.name), tag(e.inherits)}})
	}
	if group, ok := m.thing.(*registry.Group); ok {
		// The name stands there too, so that former paths can be walked.
		out = append(out, madeEdge{id, group.ParentID, false, []any{"CHILD_OF", nil, group.Name, Fold(group.Name)}})
	}
	if m.whole != "" {
		rest := []any{wholeType(kind), nil}
		if device, ok := m.thing.(*registry.Device); ok {
			rest = append(rest, *device.ComponentName)
		}
		out = append(out, madeEdge{id, m.whole, false, rest})
	}
	return out
}

// insert writes things of one kind and their relations. Known are the places of
// what they lead to, as far as the transaction has read them.
func (s *Store) insert(ctx context.Context, tx *transaction, kind registry.Kind, made []madeThing, known places) error {
	if len(made) == 0 {
		return nil
	}
	if err := s.claimMade(ctx, tx, kind, made); err != nil {
		return err
	}
	things, number := partsByTemplate(tx.scope, made)
	var edges []madeEdge
	for i := range made {
		edges = append(edges, made[i].edgesOf(kind)...)
	}
	known, err := tx.places(ctx, edges, number, known)
	if err != nil {
		return err
	}
	out, in, among := []any{}, []any{}, []any{}
	for _, e := range edges {
		self := number[e.self]
		other, isMade := number[e.other]
		switch {
		case isMade && e.incoming:
			among = append(among, append([]any{other, self}, e.rest...))
		case isMade:
			among = append(among, append([]any{self, other}, e.rest...))
		case e.incoming:
			in = append(in, append([]any{self, known[e.other]}, e.rest...))
		default:
			out = append(out, append([]any{self, known[e.other]}, e.rest...))
		}
	}
	p := params{"things": things, "out": out, "in": in, "among": among, "since": tx.at.UnixMilli()}
	whole, ok, err := one(ctx, tx, thingCreate[kind], p, func(f fields) bool {
		return f.integer("made") == len(made) && f.integer("related") == len(edges)
	})
	switch {
	case err != nil:
		return err
	case !ok || !whole:
		return errAgain // the template or a target was deleted between the two queries
	}
	s.expect(tx, made)
	return nil
}

// claimMade claims the names that things and their relations take up.
func (s *Store) claimMade(ctx context.Context, tx *transaction, kind registry.Kind, made []madeThing) error {
	var types, attributes distinct
	for _, m := range made {
		for _, name := range edgeNames(m.edges) {
			types.add(name)
		}
		for _, name := range attributeNames(kind, m.node) {
			attributes.add(name)
		}
	}
	if err := s.claim(ctx, tx, relationNames, types.all()); err != nil {
		return err
	}
	return s.claim(ctx, tx, propertyNames, attributes.all())
}

// partsByTemplate are the nodes of things by their templates, and the number
// that each thing has in this order.
func partsByTemplate(scope registry.Scope, made []madeThing) (parts []any, number map[registry.ID]int) {
	byTemplate := map[registry.ID][]madeThing{}
	for _, m := range made {
		byTemplate[m.template] = append(byTemplate[m.template], m)
	}
	number = make(map[registry.ID]int, len(made))
	for _, template := range slices.Sorted(maps.Keys(byTemplate)) {
		var nodes []any
		for _, m := range byTemplate[template] {
			// All at once: the database then puts a thing into each index once.
			m.node["account"] = string(scope.Account)
			nodes = append(nodes, m.node)
			number[m.thing.NodeID()] = len(number)
		}
		parts = append(parts, map[string]any{"template": string(template), "nodes": nodes})
	}
	return parts, number
}

// places finds what relationships lead to, but for what is made with them.
func (t *transaction) places(ctx context.Context, edges []madeEdge, made map[registry.ID]int, known places) (places, error) {
	var ids distinct
	for _, e := range edges {
		if _, isMade := made[e.other]; !isMade && known[e.other] == "" {
			ids.add(string(e.other))
		}
	}
	if len(ids.list) == 0 {
		return known, nil
	}
	found, err := oneMap(ctx, t, entityPlaces, params{"ids": ids.all()}, func(f fields) (string, string) { return f.text("id"), f.text("place") })
	if err != nil {
		return nil, err
	}
	if len(found) < len(ids.list) {
		return nil, errAgain
	}
	out := make(places, len(known)+len(found))
	maps.Copy(out, known)
	for id, place := range found {
		out[registry.ID(id)] = place
	}
	return out, nil
}
