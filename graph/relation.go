package graph

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

var (
	// The type stands in the text: in a MERGE or a MATCH a type from a parameter
	// reads every relationship of the node.
	relateText = `
		UNWIND $pairs AS pair
		MATCH (a:Entity {id: pair.from}) WHERE a.account = $account
		MATCH (b:Entity {id: pair.to}) WHERE b.account = $account
		MERGE (a)-[r:TYPE]->(b)
		ON CREATE SET r = pair.properties, r.new = true
		WITH pair, r, r.new IS NOT NULL AS made
		REMOVE r.new
		RETURN count(*) AS n, collect(CASE WHEN made THEN pair.index END) AS done`

	unrelateText = `
		UNWIND $pairs AS pair
		MATCH (a:Entity {id: pair.from}) WHERE a.account = $account
		MATCH (a)-[r:TYPE]->(b:Entity {id: pair.to})
		CREATE (a)-[w:WAS_RELATED]->(b)
		SET w = properties(r), w.name = $name, w.until = $until
		DELETE r
		RETURN count(*) AS n, collect(pair.index) AS done`
)

// ruleFor returns the rule that allows a relation, of the source's template or
// of the target's, nil if neither has one.
func ruleFor(name string, source, target *registry.Template) *registry.RelationRule {
	if rule := source.Relation(name, registry.DirectionOut, target); rule != nil {
		return rule
	}
	return target.Relation(name, registry.DirectionIn, source)
}

// undeclared is the violation of a relation that no template allows.
func undeclared(name string, source, target *registry.Template) registry.Violation {
	return registry.Violation{Path: "relations." + name, Rule: "undeclared", Message: fmt.Sprintf(
		"neither template %s lets it lead to a %s of template %s, nor does that let it come in", source.Name, noun(target.Kind), target.Name)}
}

// edge is a relation to be made between an object that is being made and
// another.
type edge struct {
	name     string
	other    registry.Related
	incoming bool
	inherits bool
}

// relationProperties are those of a relation's relationship.
func relationProperties(inherits bool, since time.Time) map[string]any {
	return map[string]any{"inherits": tag(inherits), "since": since.UnixMilli()}
}

// relationsMade are the differences that new relations make to the object that
// they start from.
func relationsMade(edges []edge) []registry.Difference {
	var out []registry.Difference
	for _, e := range edges {
		if !e.incoming {
			out = append(out, relationDifference(e.name, e.other, true))
		}
	}
	return out
}

// tag is the relationship's property: false on a mere tag, absent elsewhere.
func tag(inherits bool) any {
	if inherits {
		return nil
	}
	return false
}

// relationType is the relationship type of a relation, whose name has been
// checked.
func relationType(name string) string { return rule.RelationType(name) }

// edges checks the relations that a new object is to have.
func edges(own *registry.Template, relations []registry.NewRelation, got *prepared) ([]edge, []registry.Violation) {
	var out []edge
	var violations []registry.Violation
	type way struct {
		name     string
		incoming bool
		other    registry.ID
	}
	seen := map[way]bool{}
	for _, relation := range relations {
		path := "relations." + relation.Name
		if violation := registry.CheckRelationName(path, relation.Name); violation != nil {
			violations = append(violations, *violation)
			continue
		}
		for _, ref := range relation.To {
			other, ok := got.target(ref)
			if !ok {
				violations = append(violations, registry.Violation{Path: path, Rule: "unknown", Message: missing(ref).Error()})
				continue
			}
			incoming := relation.Direction == registry.DirectionIn
			source, target := own, other.template.Template
			if incoming {
				source, target = target, source
			}
			rule := ruleFor(relation.Name, source, target)
			if rule == nil {
				violations = append(violations, undeclared(relation.Name, source, target))
				continue
			}
			if w := (way{relation.Name, incoming, other.thing.NodeID()}); !seen[w] {
				seen[w] = true
				out = append(out, edge{relation.Name, other.thing, incoming, rule.Inherits})
			}
		}
	}
	return out, violations
}

func refsOf(relations []registry.NewRelation) []registry.Ref {
	var refs []registry.Ref
	for _, relation := range relations {
		refs = append(refs, relation.To...)
	}
	return refs
}

// edgeNames are the names that edges take up in the database.
func edgeNames(edges []edge) []string {
	names := make([]string, len(edges))
	for i, e := range edges {
		names[i] = relationType(e.name)
	}
	return names
}

// Relate makes a relation between two objects, if a template allows it, and
// returns them. If there is one of the name already, nothing changes.
func (s *Store) Relate(ctx context.Context, scope registry.Scope, from registry.Ref, name string, to registry.Ref) (source, other registry.Related, err error) {
	source, other, _, err = s.RelateOnce(ctx, scope, from, name, to)
	return source, other, err
}

// RelateOnce is Relate and says whether that changed anything.
func (s *Store) RelateOnce(ctx context.Context, scope registry.Scope, from registry.Ref, name string, to registry.Ref) (source, other registry.Related, changed bool, err error) {
	if violation := registry.CheckRelationName("relation", name); violation != nil {
		return nil, nil, false, registry.Invalid(*violation)
	}
	err = change(ctx, s, scope, "relation.relate", func(ctx context.Context, tx *transaction) error {
		if err := s.keepToToken(ctx, tx, relating("relate", from, name, to), s.planRelate(scope, from, name, to)); err != nil {
			return err
		}
		a, b, err := s.ends(ctx, tx, scope, from, to)
		if err != nil {
			return err
		}
		source, other = a.thing, b.thing
		rule := ruleFor(name, a.template.Template, b.template.Template)
		if rule == nil {
			return registry.Invalid(undeclared(name, a.template.Template, b.template.Template))
		}
		did, err := s.changeRelations(ctx, tx, &relationChanges{made: []pair{{name: name, from: source, to: other, inherits: rule.Inherits}}})
		tx.recordRelations(did)
		changed = len(did) > 0
		return err
	})
	if err != nil {
		return nil, nil, false, fmt.Errorf("relate: %w", err)
	}
	return source, other, changed, nil
}

// Unrelate ends a relation between two objects and returns them. If there is
// none of the name, nothing changes.
func (s *Store) Unrelate(ctx context.Context, scope registry.Scope, from registry.Ref, name string, to registry.Ref) (source, other registry.Related, err error) {
	source, other, _, err = s.UnrelateOnce(ctx, scope, from, name, to)
	return source, other, err
}

// UnrelateOnce is Unrelate and says whether that changed anything.
func (s *Store) UnrelateOnce(ctx context.Context, scope registry.Scope, from registry.Ref, name string, to registry.Ref) (source, other registry.Related, changed bool, err error) {
	if violation := registry.CheckRelationName("relation", name); violation != nil {
		return nil, nil, false, registry.Invalid(*violation)
	}
	err = change(ctx, s, scope, "relation.unrelate", func(ctx context.Context, tx *transaction) error {
		if err := s.keepToToken(ctx, tx, relating("unrelate", from, name, to), s.planUnrelate(scope, from, name, to)); err != nil {
			return err
		}
		a, b, err := s.ends(ctx, tx, scope, from, to)
		if err != nil {
			return err
		}
		source, other = a.thing, b.thing
		did, err := s.changeRelations(ctx, tx, &relationChanges{ended: []pair{{name: name, from: source, to: other}}})
		tx.recordRelations(did)
		changed = len(did) > 0
		return err
	})
	if err != nil {
		return nil, nil, false, fmt.Errorf("unrelate: %w", err)
	}
	return source, other, changed, nil
}

// typedText puts a relation's checked name into a text.
func typedText(text, name string) string { return strings.ReplaceAll(text, "TYPE", relationType(name)) }

// ends finds both ends of a relation.
func (s *Store) ends(ctx context.Context, r runner, scope registry.Scope, from, to registry.Ref) (a, b target, err error) {
	got, err := s.prepare(ctx, r, scope, wanted{kind: registry.KindDevice, refs: []registry.Ref{from, to}})
	if err != nil {
		return a, b, err
	}
	var ok bool
	if a, ok = got.target(from); !ok {
		return a, b, missing(from)
	}
	if b, ok = got.target(to); !ok {
		return a, b, missing(to)
	}
	return a, b, nil
}

// builtInTypes are relationship types between things that are no relations.
var builtInTypes = []string{
	"CHILD_OF", "COMPONENT_OF", "PART_OF", "LINKED_TO",
	"APPLIES_TO", "WAS_APPLIES_TO", "WAS_CHILD_OF", "WAS_COMPONENT_OF", "WAS_PART_OF", "WAS_RELATED",
}
