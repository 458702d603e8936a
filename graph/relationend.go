package graph

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// relationEnding are the relations that end with objects, seen from these: those
// that lead away from them, and those that come from other objects, of which some
// are parts of them.
var relationEnding = named("relation.ending", `
	UNWIND $ids AS id
	MATCH (n:Entity {id: id})
	WHERE n.account = $account
	CALL (n) {
		MATCH (n)-[r]->(o:Group|Device|Asset)
		WHERE NOT type(r) IN $builtIn
		RETURN r, o, true AS away
		UNION ALL
		MATCH (n)<-[r]-(o:Group|Device|Asset)
		WHERE NOT type(r) IN $builtIn AND NOT o.id IN $ids
		RETURN r, o, false AS away
		UNION ALL
		MATCH (n)<-[r:PART_OF]-(o:Asset)
		WHERE NOT o.id IN $ids
		RETURN r, o, false AS away
	}
	WITH id, r, o, away LIMIT $limit
	RETURN collect({of: id, name: toLower(type(r)), away: away, part: type(r) = 'PART_OF', id: o.id, kind: `+kindOfNode+`, key: coalesce(o.path, o.reference), version: o.version}) AS items`)

// ending is what objects that are deleted take along of relations.
type ending struct {
	// away are, by object, the relations that led away from it.
	away map[registry.ID][]registry.Difference
	// others are the objects that stay and whose relations to those that are
	// deleted end, in the order of their keys.
	others []*entry
}

// endings reads what ends with objects that are deleted.
func (t *transaction) endings(ctx context.Context, gone []registry.Related) (ending, error) {
	byID := make(map[registry.ID]registry.Related, len(gone))
	ids := make([]registry.ID, len(gone))
	for i, thing := range gone {
		ids[i], byID[thing.NodeID()] = thing.NodeID(), thing
	}
	out := ending{away: map[registry.ID][]registry.Difference{}}
	n, _, err := one(ctx, t, relationEnding, params{"ids": texts(ids), "builtIn": builtInTypes, "limit": registry.MaxRelationsEnding + 1}, func(f fields) int {
		items, others := f.maps("items"), map[registry.ID]*entry{}
		for _, item := range items {
			of, name := byID[item.id("of")], item.text("name")
			far := farEnd{registry.Kind(item.text("kind")), item.text("key"), item.id("id")}
			switch {
			case of == nil:
				f.failed("object %s was not asked about", item.id("of"))
				return 0
			case item.boolean("away"):
				out.away[of.NodeID()] = append(out.away[of.NodeID()], far.difference(name, false))
			default:
				if others[far.id] == nil {
					others[far.id] = &entry{
						kind: registry.ObjectKind(far.kind), id: far.id, key: far.key, operation: registry.ChangeUpdate,
						action: "unrelated", version: item.integer("version"),
					}
				}
				ended := relationDifference(name, of, false)
				if item.boolean("part") {
					ended = wholeDifference(of, nil)
				}
				others[far.id].relations = append(others[far.id].relations, ended)
			}
		}
		out.others = slices.SortedFunc(maps.Values(others), func(a, b *entry) int {
			return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(Fold(a.key), Fold(b.key)))
		})
		return len(items)
	})
	if err != nil {
		return out, err
	}
	if t.ended += len(out.others); n > registry.MaxRelationsEnding || t.ended > registry.MaxRelationsEnding {
		return out, registry.LimitExceeded("more than %d relations cannot be ended at once: end them with unrelateAll, or delete fewer objects", registry.MaxRelationsEnding)
	}
	for _, e := range out.others {
		inOrder(e.relations)
	}
	for _, differences := range out.away {
		inOrder(differences)
	}
	return out, nil
}

// recordOthers notes of the objects that stay what ended of theirs. It comes
// before the deletions: history then tells of no relation to what is gone.
func (t *transaction) recordOthers(end ending) {
	for _, e := range end.others {
		t.record(*e)
	}
}

// inOrder sorts relations that ended.
func inOrder(ended []registry.Difference) {
	slices.SortFunc(ended, func(a, b registry.Difference) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(endKey(a), endKey(b)))
	})
}

// endKey is the key of the other end of a relation that ended.
func endKey(d registry.Difference) string {
	end, _ := d.Before.(map[string]any)
	key, _ := end["key"].(string)
	return key
}
