package graph

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// wholesThen are the relationships from a part to its whole, of now and of then.
const wholesThen = "COMPONENT_OF|WAS_COMPONENT_OF|PART_OF|WAS_PART_OF"

var (
	pastWholes = named("past.wholes", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account
		MATCH (n)-[w:`+wholesThen+`]->(o)
		WHERE `+heldThen("w")+`
		RETURN collect({id: id, others: [o.id]}) AS things`)

	pastParts = named("past.parts", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account
		RETURN collect({id: id, others: COLLECT {
			MATCH (n)<-[w:`+wholesThen+`]-(o)
			WHERE `+heldThen("w")+`
			RETURN o.id LIMIT $limit
		}}) AS things`)
)

// pastOthers returns the objects that a query leads to from each of some twins,
// by reference.
func (s *Store) pastOthers(ctx context.Context, scope registry.Scope, q query, ids []registry.ID) ([][]registry.Node, error) {
	p, err := s.look(scope, params{"ids": texts(ids), "limit": maxParts})
	if err != nil {
		return nil, err
	}
	var all distinct
	others := make(map[registry.ID][]registry.ID, len(ids))
	_, _, err = one(ctx, s.reading(scope), q, p, func(f fields) struct{} {
		for _, item := range f.maps("things") {
			others[item.id("id")] = item.ids("others")
			for _, id := range item.ids("others") {
				all.add(string(id))
			}
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.name, err)
	}
	every := make([]registry.ID, len(all.list))
	for i, id := range all.list {
		every[i] = registry.ID(id)
	}
	known, err := s.past(ctx, scope, every)
	if err != nil {
		return nil, err
	}
	out := make([][]registry.Node, len(ids))
	for i, id := range ids {
		things := pick[registry.Related](known, others[id])
		slices.SortFunc(things, func(a, b registry.Related) int {
			return cmp.Or(strings.Compare(Fold(keyOf(a)), Fold(keyOf(b))), cmp.Compare(a.NodeID(), b.NodeID()))
		})
		for _, thing := range things {
			out[i] = append(out[i], thing)
		}
	}
	return out, nil
}

// pastWholes returns what each twin was a component or a part of.
func (s *Store) pastWholes(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]registry.Node, error) {
	lists, err := s.pastOthers(ctx, scope, pastWholes, ids)
	if err != nil {
		return nil, err
	}
	out := make([]registry.Node, len(ids))
	for i, list := range lists {
		if len(list) > 0 {
			out[i] = list[0]
		}
	}
	return out, nil
}
