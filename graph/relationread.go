package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

var (
	// At most 1,001 of one object and direction, which tells that there are more.
	relationsOf = named("relation.of", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account AND n:Group|Device|Asset
		CALL (n) {
			MATCH (n)-[r]->(o:Group|Device|Asset)
			WHERE NOT type(r) IN $builtIn
			WITH r, o ORDER BY type(r), o.keyFold LIMIT 1001
			RETURN collect([toLower(type(r)), coalesce(r.inherits, true), o.id, `+kindOfNode+`, coalesce(o.templateFold, '')]) AS out
		}
		CALL (n) {
			MATCH (n)<-[r]-(o:Group|Device|Asset)
			WHERE NOT type(r) IN $builtIn
			WITH r, o ORDER BY type(r), o.keyFold LIMIT 1001
			RETURN collect([toLower(type(r)), coalesce(r.inherits, true), o.id, `+kindOfNode+`, coalesce(o.templateFold, '')]) AS in
		}
		RETURN collect({id: id, out: out, in: in}) AS things`)

	groupsOf = named("relation.groupsOf", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account AND n:Device|Asset
		RETURN collect({id: id, groups: COLLECT {
			MATCH (n)-[r:!WAS_RELATED]->(g:Group)
			WHERE r.inherits IS NULL
			RETURN {group: g.id, relation: toLower(type(r))} ORDER BY g.keyFold, type(r)
		}}) AS things`)
)

// kindOfNode is the kind of the thing in the variable o.
const kindOfNode = `CASE WHEN o:Group THEN 'GROUP' WHEN o:Device THEN 'DEVICE' ELSE 'ASSET' END`

// FewRelations is how many relations of one object, and one direction,
// RelationsOf reads.
const FewRelations = 1000

// RelationsOf returns the relations of groups, devices and assets in both
// directions, by name and then by the other's key. If an object has more than
// FewRelations in a direction, its list is longer than that and incomplete: ask
// Related.
func (s *Store) RelationsOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([][]registry.Relation, error) {
	if scope.AsOf != nil {
		return s.pastRelations(ctx, scope, ids)
	}
	known := make(map[registry.ID][]registry.Relation, len(ids))
	_, err := all(ctx, s.reading(scope), relationsOf, params{"ids": texts(ids), "builtIn": builtInTypes}, func(f fields) struct{} {
		for _, item := range f.maps("things") {
			out, in := relationList(item, "out", registry.DirectionOut), relationList(item, "in", registry.DirectionIn)
			known[item.id("id")] = mergeRelations(out, in)
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("relations: %w", err)
	}
	return slots(ids, known), nil
}

func relationList(f fields, name string, direction registry.Direction) []registry.Relation {
	rows := f.list(name)
	out := make([]registry.Relation, len(rows))
	for i, row := range rows {
		values, ok := row.([]any)
		if !ok || len(values) != 5 {
			f.failed("%s%s[%d] is no relation", f.path, name, i)
			return nil
		}
		relation, ok1 := values[0].(string)
		inherits, ok2 := values[1].(bool)
		other, ok3 := values[2].(string)
		kind, ok4 := values[3].(string)
		template, ok5 := values[4].(string)
		if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 {
			f.failed("%s%s[%d] is no relation", f.path, name, i)
		}
		out[i] = registry.Relation{Name: relation, Direction: direction, Inherits: inherits, OtherID: registry.ID(other), OtherKind: registry.Kind(kind), OtherTemplate: template}
	}
	return out
}

// mergeRelations joins two lists that are in order into one by name, those that
// go out before those that come in.
func mergeRelations(out, in []registry.Relation) []registry.Relation {
	all := make([]registry.Relation, 0, len(out)+len(in))
	for len(out) > 0 && len(in) > 0 {
		if out[0].Name <= in[0].Name {
			all, out = append(all, out[0]), out[1:]
		} else {
			all, in = append(all, in[0]), in[1:]
		}
	}
	return append(append(all, out...), in...)
}

// Membership says that a twin is in a group, and by which relation.
type Membership struct {
	GroupID  registry.ID
	Relation string
}

// GroupsOf returns the groups that devices and assets are members of, by path;
// tags make no membership.
func (s *Store) GroupsOf(ctx context.Context, scope registry.Scope, twins []registry.ID) ([][]Membership, error) {
	if scope.AsOf != nil {
		return s.pastGroupsOf(ctx, scope, twins)
	}
	known := make(map[registry.ID][]Membership, len(twins))
	_, err := all(ctx, s.reading(scope), groupsOf, params{"ids": texts(twins)}, func(f fields) struct{} {
		for _, item := range f.maps("things") {
			for _, group := range item.maps("groups") {
				known[item.id("id")] = append(known[item.id("id")], Membership{group.id("group"), group.text("relation")})
			}
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("memberships: %w", err)
	}
	return slots(twins, known), nil
}
