package graph

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/holon-registry/holon/registry"
)

var (
	pastRelations = named("past.relations", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account
		RETURN collect({id: id, out: COLLECT {
			MATCH (n)-[r]->(o)
			WHERE NOT type(r) IN $builtIn AND `+heldThen("r")+` AND `+isA("o", "Group", "Device", "Asset")+`
			RETURN [`+relationName+`, coalesce(r.inherits, true), o.id, `+pastKind("o")+`, `+pastKey("o")+`] LIMIT $limit
		}, in: COLLECT {
			MATCH (n)<-[r]-(o)
			WHERE NOT type(r) IN $builtIn AND `+heldThen("r")+` AND `+isA("o", "Group", "Device", "Asset")+`
			RETURN [`+relationName+`, coalesce(r.inherits, true), o.id, `+pastKind("o")+`, `+pastKey("o")+`] LIMIT $limit
		}}) AS things`)

	pastGroupsOf = named("past.groupsOf", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account AND `+isA("n", "Device", "Asset")+`
		RETURN collect({id: id, groups: COLLECT {
			MATCH (n)-[r]->(g)
			WHERE r.inherits IS NULL AND `+heldThen("r")+` AND `+isA("g", "Group")+`
			RETURN {group: g.id, relation: `+relationName+`, path: `+pastPath("g")+`}
		}}) AS things`)

	// A link holds from and until moments of its own choice, not of its making.
	pastLinks = named("past.links", `
		UNWIND $ids AS id
		MATCH (t:Entity {id: id})
		WHERE t.account = $account
		RETURN collect({id: id, links: COLLECT {
			MATCH (t)-[l:LINKED_TO]-()
			WHERE l.since <= $when
			WITH l, startNode(l) AS d, endNode(l) AS a
			RETURN {id: l.id, device: d.id, deviceReference: d.reference, asset: a.id, assetReference: a.reference, since: l.since,
				until: CASE WHEN l.until <= $when THEN l.until END, deviceMeasures: l.deviceMeasures, assetMeasures: l.assetMeasures}
		}}) AS twins`)
)

// pastKey is the key of a thing, which may be gone.
func pastKey(v string) string {
	return "CASE WHEN " + isA(v, "Group") + " THEN " + pastPath(v) + " ELSE " + v + ".reference END"
}

// pastRelations returns the relations that objects had, in the order of
// RelationsOf.
func (s *Store) pastRelations(ctx context.Context, scope registry.Scope, ids []registry.ID) ([][]registry.Relation, error) {
	builtIn := slices.DeleteFunc(slices.Clone(builtInTypes), func(name string) bool { return name == "WAS_RELATED" })
	p, err := s.look(scope, params{"ids": texts(ids), "builtIn": builtIn, "limit": MaxRelations + 1})
	if err != nil {
		return nil, err
	}
	known := make(map[registry.ID][]registry.Relation, len(ids))
	_, _, err = one(ctx, s.reading(scope), pastRelations, p, func(f fields) struct{} {
		for _, item := range f.maps("things") {
			known[item.id("id")] = mergeRelations(
				pastRelationList(item, "out", registry.DirectionOut), pastRelationList(item, "in", registry.DirectionIn))
		}
		return struct{}{}
	})
	for _, list := range known {
		if len(list) > MaxRelations {
			err = registry.LimitExceeded("there were more than %d relations: ask related, page by page", MaxRelations)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("relations of the past: %w", err)
	}
	return slots(ids, known), nil
}

func pastRelationList(f fields, name string, direction registry.Direction) []registry.Relation {
	type ordered struct {
		registry.Relation
		key string
	}
	var list []ordered
	for i, row := range f.list(name) {
		values, _ := row.([]any)
		if len(values) != 5 {
			f.failed("%s%s[%d] is no relation", f.path, name, i)
			return nil
		}
		text := func(i int) string {
			s, ok := values[i].(string)
			if !ok {
				f.failed("%s%s holds %v", f.path, name, values)
			}
			return s
		}
		inherits, _ := values[1].(bool)
		list = append(list, ordered{registry.Relation{
			Name: text(0), Direction: direction, Inherits: inherits, OtherID: registry.ID(text(2)), OtherKind: registry.Kind(text(3)),
		}, Fold(text(4))})
	}
	slices.SortFunc(list, func(a, b ordered) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.key, b.key)) })
	out := make([]registry.Relation, len(list))
	for i := range list {
		out[i] = list[i].Relation
	}
	return out
}

// pastGroupsOf returns the groups that twins were members of, by path.
func (s *Store) pastGroupsOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([][]Membership, error) {
	p, err := s.look(scope, params{"ids": texts(ids)})
	if err != nil {
		return nil, err
	}
	known := make(map[registry.ID][]Membership, len(ids))
	_, _, err = one(ctx, s.reading(scope), pastGroupsOf, p, func(f fields) struct{} {
		for _, item := range f.maps("things") {
			groups := item.maps("groups")
			slices.SortFunc(groups, func(a, b fields) int {
				return cmp.Or(cmp.Compare(Fold(a.text("path")), Fold(b.text("path"))), cmp.Compare(a.text("relation"), b.text("relation")))
			})
			for _, g := range groups {
				known[item.id("id")] = append(known[item.id("id")], Membership{g.id("group"), g.text("relation")})
			}
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("memberships of the past: %w", err)
	}
	return slots(ids, known), nil
}

// pastLinks returns the links that had begun, newest first.
func (s *Store) pastLinks(ctx context.Context, scope registry.Scope, ids []registry.ID) ([][]*registry.Link, error) {
	p, err := s.look(scope, params{"ids": texts(ids)})
	if err != nil {
		return nil, err
	}
	found, _, err := one(ctx, s.reading(scope), pastLinks, p, func(f fields) map[registry.ID][]*registry.Link {
		out := map[registry.ID][]*registry.Link{}
		for _, twin := range f.maps("twins") {
			links := []*registry.Link{}
			for _, l := range twin.maps("links") {
				links = append(links, linkBetween(l))
			}
			slices.SortFunc(links, newestLink)
			out[twin.id("id")] = links
		}
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("links of the past: %w", err)
	}
	return slots(ids, found), nil
}
