package graph

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Which objects fit another version of their template: asked before it is
// published, and when objects are moved to it. Objects are read in pages, with
// the templates that each is related to but not the objects there, and are held
// against the version here.

// fitPage is how many objects are read at once.
const fitPage = 1000

// subjectColumns returns the thing n with what a template may have against it.
const subjectText = `
		RETURN collect({thing: THING,
			related: COLLECT {
				MATCH (n)-[r]-(o:Group|Device|Asset)
				WHERE NOT type(r) IN $builtIn
				MATCH (o)-[:INSTANCE_OF]->(other:Template)
				RETURN DISTINCT [toLower(type(r)), startNode(r) = n, other.id]
			},
			components: COLLECT {
				MATCH (n)<-[:COMPONENT_OF]-(:Device)-[:INSTANCE_OF]->(other:Template)
				RETURN DISTINCT other.name
			}}) AS things`

var (
	subjectsOfTemplate = labelled("fitOfTemplate", `
		MATCH (n:LABEL)
		WHERE n.account = $account AND n.templateFold = $template AND n.keyFold > $key
			AND NOT EXISTS { (n)-[:INSTANCE_OF]->(:Template {id: $target}) }
		WITH n ORDER BY n.account, n.templateFold, n.keyFold LIMIT $limit`+strings.ReplaceAll(subjectText, "THING", thing("n")))

	subjectsNamed = labelled("fitNamed", `
		CALL () {
			UNWIND $keys AS key
			MATCH (n:LABEL) WHERE n.account = $account AND n.keyFold = key
			RETURN n
			UNION
			UNWIND $ids AS id
			MATCH (n:Entity {id: id}) WHERE n.account = $account AND n:LABEL
			RETURN n
		}`+strings.ReplaceAll(subjectText, "THING", thing("n")))

	journalPosition = named("journal.position", `
		MATCH (j:Journal {account: $account})
		RETURN j.position AS n`)
)

// subject is a thing that may get another version of its template.
type subject struct {
	thing      registry.Related
	related    []relatedTemplate
	components []string
}

// relatedTemplate says that a thing has relations of a name to, or from, things
// of a template.
type relatedTemplate struct {
	name     string
	out      bool
	template registry.ID
}

func (s subject) key() string { return ThingKey(s.thing) }

// ThingKey is the key that lists of one kind of things are ordered by.
func ThingKey(thing registry.Related) string { return Fold(keyOf(thing)) }

// subjects reads things, by key.
func subjects(ctx context.Context, r runner, q query, p params) ([]subject, error) {
	p["builtIn"] = builtInTypes
	found, _, err := one(ctx, r, q, p, func(f fields) []subject {
		var out []subject
		for _, item := range f.maps("things") {
			s := subject{thing: thingOf(item.nested("thing")), components: item.texts("components")}
			for i, row := range item.list("related") {
				three, ok := row.([]any)
				if !ok || len(three) != 3 {
					item.failed("related[%d] is %v", i, row)
					continue
				}
				name, isName := three[0].(string)
				leads, isOut := three[1].(bool)
				template, isID := three[2].(string)
				if !isName || !isOut || !isID {
					item.failed("related[%d] is %v", i, row)
				}
				s.related = append(s.related, relatedTemplate{name, leads, registry.ID(template)})
			}
			out = append(out, s)
		}
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("read what may not fit: %w", err)
	}
	slices.SortFunc(found, func(a, b subject) int { return cmp.Compare(a.key(), b.key()) })
	return found, nil
}

// fitting holds things against a version of a template.
type fitting struct {
	store  *Store
	target *compiledTemplate
	// whole says that all objects of the template get the version.
	whole bool
	// others are the templates of the things, and those at the other ends of
	// relations.
	others map[registry.ID]*registry.Template
}

func (s *Store) fittingOf(target *compiledTemplate, whole bool) *fitting {
	return &fitting{s, target, whole, map[registry.ID]*registry.Template{}}
}

// misfits returns, for each thing, everything that the version has against it.
func (f *fitting) misfits(ctx context.Context, r runner, scope registry.Scope, things []subject) ([][]registry.Violation, error) {
	var others []registry.ID
	for _, s := range things {
		others = append(others, templateOfThing(s.thing))
		for _, related := range s.related {
			others = append(others, related.template)
		}
	}
	if err := f.store.learnTemplates(ctx, r, scope, f.others, others); err != nil {
		return nil, err
	}
	out := make([][]registry.Violation, len(things))
	for i, s := range things {
		out[i] = f.check(s)
	}
	return out, nil
}

func (f *fitting) check(s subject) []registry.Violation {
	attributes := attributesIn(s.thing)
	if old := f.others[templateOfThing(s.thing)]; old != nil {
		attributes = f.target.adopted(attributes, nil, old)
	}
	violations := f.target.check(attributes)
	seen := map[string]bool{}
	for _, related := range s.related {
		source, other := f.target.Template, f.others[related.template]
		if other == nil {
			continue // deleted in this very moment
		}
		if f.whole && other.Kind == source.Kind && Fold(other.Name) == Fold(source.Name) {
			other = source
		}
		if !related.out {
			source, other = other, source
		}
		if ruleFor(related.name, source, other) != nil {
			continue
		}
		if v := undeclared(related.name, source, other); !seen[v.Path+v.Message] {
			seen[v.Path+v.Message] = true
			violations = append(violations, v)
		}
	}
	for _, component := range s.components {
		if !f.target.Component(component) {
			violations = append(violations, registry.Violation{Path: "components", Rule: "components", Message: fmt.Sprintf("has a component of template %s, which is not among those allowed", component)})
		}
	}
	return violations
}
