package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// maxPastAround bounds the neighbours that one question of the past looks at.
const maxPastAround = 50_000

// neighbourhood shows objects of the past to rules, with their neighbours of
// then. It reads what a rule looks at, and each object once.
type neighbourhood struct {
	store *Store
	scope registry.Scope
	names map[registry.ID]string // of templates
	known map[registry.ID]registry.Node
	met   int
}

func (s *Store) neighbourhood(scope registry.Scope) *neighbourhood {
	return &neighbourhood{store: s, scope: scope, names: map[registry.ID]string{}, known: map[registry.ID]registry.Node{}}
}

// pastEnds is the query for the other ends of a collection. Only a checked name
// gets into the text.
func pastEnds(reach *rule.Reach) query {
	way := "(n)-[r:" + relationType(reach.Relation) + "|WAS_RELATED]->(o)"
	if reach.Direction == registry.DirectionIn {
		way = "(n)<-[r:" + relationType(reach.Relation) + "|WAS_RELATED]-(o)"
	}
	condition := "(type(r) <> 'WAS_RELATED' OR r.name = $name) AND " + isA("o", "Group", "Device", "Asset")
	if reach.Edge != "" {
		relationship, direction := reach.Edge.Relationship()
		way = "(n)-[r:" + relationship + "|WAS_" + relationship + "]->(o)"
		if direction == registry.DirectionIn {
			way = "(n)<-[r:" + relationship + "|WAS_" + relationship + "]-(o)"
		}
		condition = isA("o", label(reach.Edge.Kind()))
	}
	if reach.Groups {
		way, condition = "(n)-[r]->(o)", isA("n", "Device", "Asset")+" AND r.inherits IS NULL AND "+isA("o", "Group")
	}
	return query{"past.ends", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account
		CALL (n) {
			MATCH ` + way + `
			WHERE ` + condition + ` AND ` + heldThen("r") + `
			WITH DISTINCT o LIMIT $limit
			RETURN collect(o.id) AS ends
		}
		RETURN collect({id: id, ends: ends}) AS things`}
}

// The texts with some name, for the plan test.
var _ = func() bool {
	for _, reach := range []*rule.Reach{{Groups: true}, {Relation: "located_at"}, {Relation: "located_at", Direction: registry.DirectionIn},
		{Edge: rule.EdgeParent}, {Edge: rule.EdgeChildren}, {Edge: rule.EdgeComponentOf}, {Edge: rule.EdgeComponents}, {Edge: rule.EdgePartOf}, {Edge: rule.EdgeParts}} {
		named("past.ends", pastEnds(reach).text)
	}
	return true
}()

// objects are things with what a rule looks at around them.
func (n *neighbourhood) objects(ctx context.Context, things []registry.Related, reaches []*rule.Reach) ([]rule.Object, error) {
	out := make([]rule.Object, len(things))
	if len(things) == 0 {
		return out, nil
	}
	if err := n.learnNames(ctx, things); err != nil {
		return nil, err
	}
	seen := make([]rule.Thing, len(things))
	ids := make([]registry.ID, len(things))
	for i, thing := range things {
		ids[i] = thing.NodeID()
		seen[i] = rule.Thing{Of: thing, Template: n.names[templateIDOf(thing)], Neighbours: rule.Neighbours{Related: map[string][]rule.Object{}, Edges: map[rule.Edge][]rule.Object{}}}
	}
	for _, reach := range reaches {
		ends, around, err := n.follow(ctx, ids, reach)
		if err != nil {
			return nil, err
		}
		for i, id := range ids {
			var list []rule.Object
			for _, end := range ends[id] {
				if object, ok := around[end]; ok {
					list = append(list, object)
				}
			}
			switch {
			case reach.Groups:
				seen[i].Neighbours.Groups = list
			case reach.Edge != "":
				seen[i].Neighbours.Edges[reach.Edge] = list
			default:
				seen[i].Neighbours.Related[string(reach.Direction)+" "+reach.Relation] = list
			}
		}
	}
	for i := range seen {
		out[i] = seen[i]
	}
	return out, nil
}

// follow reads a collection of some things: the ids of each, and all of the
// objects.
func (n *neighbourhood) follow(ctx context.Context, ids []registry.ID, reach *rule.Reach) (map[registry.ID][]registry.ID, map[registry.ID]rule.Object, error) {
	p, err := n.store.look(n.scope, params{"ids": texts(ids), "name": reach.Relation, "limit": maxPastAround + 1})
	if err != nil {
		return nil, nil, err
	}
	ends := make(map[registry.ID][]registry.ID, len(ids))
	var unknown distinct
	_, _, err = one(ctx, n.store.reading(n.scope), pastEnds(reach), p, func(f fields) struct{} {
		for _, item := range f.maps("things") {
			of := item.ids("ends")
			ends[item.id("id")] = of
			for _, id := range of {
				unknown.add(string(id))
			}
		}
		return struct{}{}
	})
	if err != nil {
		return nil, nil, fmt.Errorf("neighbours of the past: %w", err)
	}
	if n.met += len(unknown.list); n.met > maxPastAround {
		return nil, nil, registry.LimitExceeded("as of a moment, a rule looks at no more than %d groups and related objects: narrow the question", maxPastAround)
	}
	var missing, all []registry.ID
	for _, id := range unknown.list {
		all = append(all, registry.ID(id))
		if _, known := n.known[registry.ID(id)]; !known {
			missing = append(missing, registry.ID(id))
		}
	}
	if len(missing) > 0 {
		found, err := n.store.past(ctx, n.scope, missing)
		if err != nil {
			return nil, nil, err
		}
		for id, node := range found {
			n.known[id] = node
		}
	}
	around := pick[registry.Related](n.known, all)
	objects, err := n.objects(ctx, around, reach.From)
	if err != nil {
		return nil, nil, err
	}
	out := make(map[registry.ID]rule.Object, len(around))
	for i, thing := range around {
		out[thing.NodeID()] = objects[i]
	}
	return ends, out, nil
}

// learnNames reads the names of the templates of things.
func (n *neighbourhood) learnNames(ctx context.Context, things []registry.Related) error {
	var unknown []registry.ID
	for _, thing := range things {
		id := templateIDOf(thing)
		if _, known := n.names[id]; !known {
			n.names[id] = ""
			unknown = append(unknown, id)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	templates, err := n.store.TemplatesByID(ctx, n.scope, unknown)
	if err != nil {
		return err
	}
	for i, template := range templates {
		if template != nil {
			n.names[unknown[i]] = template.Name
		}
	}
	return nil
}

func templateIDOf(thing registry.Related) registry.ID {
	switch thing := thing.(type) {
	case *registry.Group:
		return thing.TemplateID
	case registry.Twin:
		return thing.TwinTemplate()
	}
	return ""
}
