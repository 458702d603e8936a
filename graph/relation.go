package graph

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

var (
	// An object that a relation is to lead to, by key or by id.
	targetsPrepare = named("thing.prepare", `
		CALL () {
			OPTIONAL MATCH (t:Template)
			WHERE t.account = $account AND t.kind = $kind AND t.nameFold = $template AND t.version > 0 AND t.status = 'PUBLISHED'
			RETURN properties(t) AS template ORDER BY t.version DESC LIMIT 1
		}
		RETURN template, COLLECT {
			CALL () {
				UNWIND $groups AS key MATCH (n:Group) WHERE n.account = $account AND n.keyFold = key RETURN n, 'GROUP ' + key AS ref
				UNION ALL
				UNWIND $devices AS key MATCH (n:Device) WHERE n.account = $account AND n.keyFold = key RETURN n, 'DEVICE ' + key AS ref
				UNION ALL
				UNWIND $assets AS key MATCH (n:Asset) WHERE n.account = $account AND n.keyFold = key RETURN n, 'ASSET ' + key AS ref
				UNION ALL
				UNWIND $ids AS id MATCH (n:Entity {id: id}) WHERE n.account = $account AND (n:Group OR n:Device OR n:Asset) RETURN n, id AS ref
			}
			MATCH (n)-[:INSTANCE_OF]->(t:Template)
			RETURN {ref: ref, thing: `+thing("n")+`, template: properties(t)}
		} AS targets`)

	// The type stands in the text: in a MERGE or a MATCH a type from a parameter
	// reads every relationship of the node.
	relateText = `
		MATCH (a:Entity {id: $from}) WHERE a.account = $account
		MATCH (b:Entity {id: $to}) WHERE b.account = $account
		MERGE (a)-[r:TYPE]->(b)
		ON CREATE SET r = $properties, r.new = true
		WITH r, r.new IS NOT NULL AS made
		REMOVE r.new
		RETURN made`

	unrelateText = `
		MATCH (a:Entity {id: $from}) WHERE a.account = $account
		MATCH (a)-[r:TYPE]->(b:Entity {id: $to})
		CREATE (a)-[w:WAS_RELATED]->(b)
		SET w = properties(r), w.name = $name, w.until = $until
		DELETE r
		RETURN count(r) AS n`
)

// target is an object that exists, with its template.
type target struct {
	thing    registry.Related
	template *compiledTemplate
}

// refKey is how the prepare query names a target.
func refKey(ref registry.Ref) string {
	if ref.ID != "" {
		return string(ref.ID)
	}
	return string(ref.Kind) + " " + Fold(ref.Key)
}

// prepare finds, in one round trip, the newest published template of a name
// (nil if there is none) and the objects that are referred to.
func (s *Store) prepare(ctx context.Context, r runner, scope registry.Scope, kind registry.Kind, template string, refs []registry.Ref) (*compiledTemplate, map[string]target, error) {
	byKind := map[registry.Kind][]string{registry.KindGroup: {}, registry.KindDevice: {}, registry.KindAsset: {}}
	ids := []string{}
	for _, ref := range refs {
		if ref.ID != "" {
			ids = append(ids, string(ref.ID))
		} else {
			byKind[ref.Kind] = append(byKind[ref.Kind], Fold(ref.Key))
		}
	}
	type answer struct {
		template *compiledTemplate
		targets  map[string]target
	}
	got, _, err := one(ctx, r, targetsPrepare, params{
		"kind": string(kind), "template": Fold(template), "ids": ids,
		"groups": byKind[registry.KindGroup], "devices": byKind[registry.KindDevice], "assets": byKind[registry.KindAsset],
	}, func(f fields) answer {
		out := answer{targets: map[string]target{}}
		if node, ok := f.optionalMap("template"); ok {
			out.template = s.template(node, scope.Account)
		}
		for _, item := range f.maps("targets") {
			if item.nested("thing").nested("node").optional("id") == nil {
				continue // deleted in this very moment: there is no such object
			}
			out.targets[item.text("ref")] = target{thingOf(item.nested("thing")), s.template(item.nested("template"), scope.Account)}
		}
		return out
	})
	if err != nil {
		return nil, nil, fmt.Errorf("prepare: %w", err)
	}
	return got.template, got.targets, nil
}

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

// edge is a relation to be made.
type edge struct {
	name     string
	to       registry.Related
	inherits bool
}

// parameter is the edge as the create query takes it.
func (e edge) parameter(since time.Time) map[string]any {
	return map[string]any{"to": string(e.to.NodeID()), "type": relationType(e.name), "properties": relationProperties(e.inherits, since)}
}

// relationProperties are those of a relation's relationship.
func relationProperties(inherits bool, since time.Time) map[string]any {
	return map[string]any{"inherits": tag(inherits), "since": since.UnixMilli()}
}

// relationsMade are the differences that new relations make.
func relationsMade(edges []edge) []registry.Difference {
	var out []registry.Difference
	for _, e := range edges {
		out = append(out, relationDifference(e.name, e.to, true))
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
// checked: letters, digits and underscores. One that is called like a built-in
// relationship keeps its lower case, which makes it another type and gives the
// same name when folded.
func relationType(name string) string {
	if registry.BuiltInRelation(name) {
		return name
	}
	return strings.ToUpper(name)
}

// edges checks the relations that a new object is to have.
func edges(source *registry.Template, relations []registry.NewRelation, targets map[string]target) ([]edge, []registry.Violation) {
	var out []edge
	var violations []registry.Violation
	type way struct {
		name string
		to   registry.ID
	}
	seen := map[way]bool{}
	for _, relation := range relations {
		path := "relations." + relation.Name
		if violation := registry.CheckRelationName(path, relation.Name); violation != nil {
			violations = append(violations, *violation)
			continue
		}
		for _, ref := range relation.To {
			to, ok := targets[refKey(ref)]
			if !ok {
				violations = append(violations, registry.Violation{Path: path, Rule: "unknown", Message: missing(ref).Error()})
				continue
			}
			rule := ruleFor(relation.Name, source, to.template.Template)
			if rule == nil {
				violations = append(violations, undeclared(relation.Name, source, to.template.Template))
				continue
			}
			if w := (way{relation.Name, to.thing.NodeID()}); !seen[w] {
				seen[w] = true
				out = append(out, edge{relation.Name, to.thing, rule.Inherits})
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
	if violation := registry.CheckRelationName("relation", name); violation != nil {
		return nil, nil, registry.Invalid(*violation)
	}
	committed := func() {}
	err = change(ctx, s, scope, "relation.relate", func(ctx context.Context, tx *transaction) error {
		a, b, err := s.ends(ctx, tx, scope, from, to)
		if err != nil {
			return err
		}
		source, other = a.thing, b.thing
		rule := ruleFor(name, a.template.Template, b.template.Template)
		if rule == nil {
			return registry.Invalid(undeclared(name, a.template.Template, b.template.Template))
		}
		if committed, err = s.claimNames(ctx, tx, relationNames, []string{relationType(name)}); err != nil {
			return err
		}
		q := query{"relation.relate", typedText(relateText, name)}
		made, ok, err := one(ctx, tx, q, params{
			"from": string(source.NodeID()), "to": string(other.NodeID()), "properties": relationProperties(rule.Inherits, tx.at),
		}, func(f fields) bool { return f.boolean("made") })
		if err == nil && !ok {
			return errAgain
		}
		if made {
			tx.recordRelation("related", source, name, other)
		}
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("relate: %w", err)
	}
	committed()
	return source, other, nil
}

// Unrelate ends a relation between two objects and returns them. If there is
// none of the name, nothing changes.
func (s *Store) Unrelate(ctx context.Context, scope registry.Scope, from registry.Ref, name string, to registry.Ref) (source, other registry.Related, err error) {
	if violation := registry.CheckRelationName("relation", name); violation != nil {
		return nil, nil, registry.Invalid(*violation)
	}
	err = change(ctx, s, scope, "relation.unrelate", func(ctx context.Context, tx *transaction) error {
		a, b, err := s.ends(ctx, tx, scope, from, to)
		if err != nil {
			return err
		}
		source, other = a.thing, b.thing
		// A new text costs planning, and a name that the database has never seen
		// has no relationship to end.
		known, _, err := one(ctx, tx, namesKnown, params{"kind": string(relationNames), "names": []string{relationType(name)}}, func(f fields) []string { return f.texts("names") })
		if err != nil || len(known) == 0 {
			return err
		}
		q := query{"relation.unrelate", typedText(unrelateText, name)}
		ended, _, err := one(ctx, tx, q, params{
			"from": string(source.NodeID()), "to": string(other.NodeID()), "name": name, "until": tx.at.UnixMilli(),
		}, counted)
		if ended > 0 {
			tx.recordRelation("unrelated", source, name, other)
		}
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("unrelate: %w", err)
	}
	return source, other, nil
}

// recordRelation notes that a relation was made or ended, with the object where
// it starts.
func (t *transaction) recordRelation(action string, source registry.Related, name string, other registry.Related) {
	t.record(entry{
		kind: objectKind(source), id: source.NodeID(), key: keyOf(source), operation: registry.ChangeUpdate, action: action,
		version: objectIn(source).Version, relations: []registry.Difference{relationDifference(name, other, action == "related")},
	})
}

// typedText puts a relation's checked name into a text.
func typedText(text, name string) string { return strings.ReplaceAll(text, "TYPE", relationType(name)) }

// ends finds both ends of a relation.
func (s *Store) ends(ctx context.Context, tx *transaction, scope registry.Scope, from, to registry.Ref) (a, b target, err error) {
	_, targets, err := s.prepare(ctx, tx, scope, registry.KindDevice, "", []registry.Ref{from, to})
	if err != nil {
		return a, b, err
	}
	for _, ref := range []registry.Ref{from, to} {
		if _, ok := targets[refKey(ref)]; !ok {
			return a, b, missing(ref)
		}
	}
	return targets[refKey(from)], targets[refKey(to)], nil
}

// builtInTypes are relationship types between things that are no relations.
var builtInTypes = []string{
	"CHILD_OF", "COMPONENT_OF", "PART_OF", "LINKED_TO",
	"APPLIES_TO", "WAS_APPLIES_TO", "WAS_CHILD_OF", "WAS_COMPONENT_OF", "WAS_PART_OF", "WAS_RELATED",
}
