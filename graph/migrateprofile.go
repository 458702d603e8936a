package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// Profiles once named what they relate to as text. Cypher reads no JSON, so that
// this migration goes on in Go.

// profilesAtOnce bounds one transaction.
const profilesAtOnce = 500

var (
	profilesWithText = query{"migration.profilesWithText", `
		MATCH (p:Profile)
		WHERE p.relations IS NOT NULL
		WITH p LIMIT $limit
		RETURN collect({id: p.id, relations: p.relations}) AS profiles`}

	// What is not there any more, or has moved since, cannot be found: it is left
	// out.
	profilesRelate = query{"migration.profilesRelate", `
		UNWIND $profiles AS profile
		MATCH (p:Entity {id: profile.id})
		REMOVE p.relations
		WITH p, profile
		UNWIND profile.ends AS given
		CALL (p, given) {
			MATCH (o:Group) WHERE given.kind = 'GROUP' AND o.account = p.account AND o.keyFold = given.key RETURN o
			UNION ALL
			MATCH (o:Device) WHERE given.kind = 'DEVICE' AND o.account = p.account AND o.keyFold = given.key RETURN o
			UNION ALL
			MATCH (o:Asset) WHERE given.kind = 'ASSET' AND o.account = p.account AND o.keyFold = given.key RETURN o
		}
		MERGE (p)-[:GIVES {name: given.name, direction: given.direction}]->(o)`}
)

// relateProfiles gives profiles relationships to what they named as text.
func (s *Store) relateProfiles(ctx context.Context) error {
	for {
		profiles, _, err := one(ctx, s.writing(registry.Scope{}), profilesWithText, params{"limit": profilesAtOnce}, func(f fields) []any {
			var out []any
			for _, item := range f.maps("profiles") {
				var relations []registry.ProfileRelation
				item.json("relations", &relations)
				out = append(out, map[string]any{"id": item.text("id"), "ends": endsNamed(relations)})
			}
			return out
		})
		if err != nil {
			return fmt.Errorf("read profiles: %w", err)
		}
		if len(profiles) == 0 {
			return nil
		}
		if err := nothing(ctx, s.writing(registry.Scope{}), profilesRelate, params{"profiles": profiles}); err != nil {
			return fmt.Errorf("relate profiles: %w", err)
		}
	}
}

// endsNamed are what relations name, one by one.
func endsNamed(relations []registry.ProfileRelation) []any {
	out := []any{}
	for _, relation := range relations {
		for _, ref := range relation.NewRelation().To {
			out = append(out, map[string]any{
				"name": relation.Name, "direction": string(relation.Direction), "kind": string(ref.Kind), "key": foldedKey(ref),
			})
		}
	}
	return out
}
