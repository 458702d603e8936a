package graph

import (
	"context"
	"slices"

	"github.com/holon-registry/holon/registry"
)

var (
	rehearsalRelations = named("rehearsal.relations", `
		MATCH (a:Entity {id: $from})
		WHERE a.account = $account
		MATCH (a)-[r]->(b:Entity {id: $to})
		RETURN collect(type(r)) AS types, collect(CASE WHEN r.inherits IS NULL THEN type(r) END) AS memberships`)

	// Those that would be in the group without the relation too: by another one,
	// or as part of something else.
	rehearsalStay = named("rehearsal.stay", `
		MATCH (whole:Entity {id: $from})
		WHERE whole.account = $account
		MATCH (whole)<-[:COMPONENT_OF|PART_OF*0..32]-(n:Device|Asset)
		WITH DISTINCT n
		WHERE EXISTS {
			MATCH (n)-[:COMPONENT_OF|PART_OF*0..32]->(other)-[r:!WAS_RELATED]->(:Entity {id: $to})
			WHERE r.inherits IS NULL AND NOT (other.id = $from AND type(r) = $type)
		}
		RETURN collect(n.id) AS ids`)
)

// RehearseRelate returns what Relate would do.
func (s *Store) RehearseRelate(ctx context.Context, scope registry.Scope, from registry.Ref, name string, to registry.Ref) (*registry.Rehearsal, error) {
	if violation := registry.CheckRelationName("relation", name); violation != nil {
		return nil, registry.Invalid(*violation)
	}
	return s.rehearse(ctx, scope, relating("relate", from, name, to), s.planRelate(scope, from, name, to))
}

// RehearseUnrelate returns what Unrelate would do.
func (s *Store) RehearseUnrelate(ctx context.Context, scope registry.Scope, from registry.Ref, name string, to registry.Ref) (*registry.Rehearsal, error) {
	if violation := registry.CheckRelationName("relation", name); violation != nil {
		return nil, registry.Invalid(*violation)
	}
	return s.rehearse(ctx, scope, relating("unrelate", from, name, to), s.planUnrelate(scope, from, name, to))
}

// relating is what tokens are bound to.
func relating(what string, from registry.Ref, name string, to registry.Ref) any {
	return []any{what, from, name, to}
}

func (s *Store) planRelate(scope registry.Scope, from registry.Ref, name string, to registry.Ref) planner {
	return func(ctx context.Context, r runner, now *hierarchy) (*plan, error) {
		a, b, err := s.ends(ctx, r, scope, from, to)
		if err != nil {
			return nil, err
		}
		rule := ruleFor(name, a.template.Template, b.template.Template)
		if rule == nil {
			return nil, registry.Invalid(undeclared(name, a.template.Template, b.template.Template))
		}
		types, _, err := relationsBetween(ctx, r, a.thing, b.thing)
		if err != nil {
			return nil, err
		}
		p := &plan{after: now}
		if slices.Contains(types, relationType(name)) {
			return p, nil
		}
		p.relations = 1
		group, isGroup := b.thing.(*registry.Group)
		if !isGroup || kindOf(a.thing) == registry.KindGroup || !rule.Inherits {
			return p, nil
		}
		p.twins = []registry.ID{a.thing.NodeID()}
		p.left = func(c candidate) []registry.ID {
			if slices.Contains(c.groups, group.ID) {
				return c.groups
			}
			return append(slices.Clip(c.groups), group.ID)
		}
		return p, nil
	}
}

func (s *Store) planUnrelate(scope registry.Scope, from registry.Ref, name string, to registry.Ref) planner {
	return func(ctx context.Context, r runner, now *hierarchy) (*plan, error) {
		a, b, err := s.ends(ctx, r, scope, from, to)
		if err != nil {
			return nil, err
		}
		types, memberships, err := relationsBetween(ctx, r, a.thing, b.thing)
		if err != nil {
			return nil, err
		}
		p := &plan{after: now}
		if !slices.Contains(types, relationType(name)) {
			return p, nil
		}
		p.relations = 1
		if kindOf(b.thing) != registry.KindGroup || kindOf(a.thing) == registry.KindGroup || !slices.Contains(memberships, relationType(name)) {
			return p, nil
		}
		stay, _, err := one(ctx, r, rehearsalStay, params{
			"from": string(a.thing.NodeID()), "to": string(b.thing.NodeID()), "type": relationType(name),
		}, func(f fields) []registry.ID { return f.ids("ids") })
		if err != nil {
			return nil, err
		}
		p.twins = []registry.ID{a.thing.NodeID()}
		p.left = func(c candidate) []registry.ID {
			if slices.Contains(stay, c.id) {
				return c.groups
			}
			return slices.DeleteFunc(slices.Clone(c.groups), func(group registry.ID) bool { return group == b.thing.NodeID() })
		}
		return p, nil
	}
}

// relationsBetween are the types of the relationships from one thing to another,
// and of those that are memberships.
func relationsBetween(ctx context.Context, r runner, a, b registry.Related) (types, memberships []string, err error) {
	type both struct{ types, memberships []string }
	got, _, err := one(ctx, r, rehearsalRelations, params{"from": string(a.NodeID()), "to": string(b.NodeID())}, func(f fields) both {
		return both{f.texts("types"), f.texts("memberships")}
	})
	return got.types, got.memberships, err
}
