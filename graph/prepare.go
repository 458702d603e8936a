package graph

import (
	"context"
	"fmt"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// What a change reads before it decides: the templates that are named, the
// objects that are referred to, and which of the keys to be given are taken.
// One query for all objects of a request.
var thingPrepare = labelled("prepare", `
	WITH COLLECT {
			UNWIND $templates AS name
			CALL (name) {
				MATCH (t:Template)
				WHERE t.account = $account AND t.kind = $kind AND t.nameFold = name AND t.version > 0 AND t.status = 'PUBLISHED'
				RETURN t ORDER BY t.version DESC LIMIT 1
			}
			RETURN {name: name, template: properties(t)}
		} AS templates,
		COLLECT { UNWIND $keys AS key MATCH (n:LABEL) WHERE n.account = $account AND n.keyFold = key RETURN key } AS taken,
		COLLECT { `+preparedRefs("refs")+` RETURN {ref: ref, place: elementId(n), thing: `+thing("n")+`} } AS targets,
		COLLECT { `+preparedRefs("ends")+`
			MATCH (n)-[:INSTANCE_OF]->(t:Template)
			RETURN `+preparedEnd+`
		} AS ends
	RETURN templates, taken, targets, ends, COLLECT {
		UNWIND [target IN targets | target.thing.templateID] + [end IN ends | end[6]] AS id
		WITH DISTINCT id
		MATCH (t:Entity {id: id})
		WHERE t.account = $account
		RETURN properties(t)
	} AS instanced`)

// preparedRefs finds the objects n of a parameter that lists them by kind and
// by id, with how they were referred to.
func preparedRefs(parameter string) string {
	return strings.ReplaceAll(`
			CALL () {
				UNWIND $LIST.groups AS key MATCH (n:Group) WHERE n.account = $account AND n.keyFold = key RETURN n, 'GROUP ' + key AS ref
				UNION ALL
				UNWIND $LIST.devices AS key MATCH (n:Device) WHERE n.account = $account AND n.keyFold = key RETURN n, 'DEVICE ' + key AS ref
				UNION ALL
				UNWIND $LIST.assets AS key MATCH (n:Asset) WHERE n.account = $account AND n.keyFold = key RETURN n, 'ASSET ' + key AS ref
				UNION ALL
				UNWIND $LIST.ids AS id MATCH (n:Entity {id: id}) WHERE n.account = $account AND n:Group|Device|Asset RETURN n, id AS ref
			}`, "LIST", parameter)
}

// target is an object that exists, with its template.
type target struct {
	thing    registry.Related
	template *compiledTemplate
	// node is what the database holds of it; empty if it was made in this change.
	node fields
}

// wanted is what a change has to know.
type wanted struct {
	kind registry.Kind
	// templates are names of templates of the kind; keys are keys to be given to
	// objects of the kind.
	templates, keys []string
	// refs are objects that all has to be known of, ends are those that relations
	// are to lead to: of them id, version, key and template are enough.
	refs, ends []registry.Ref
}

// prepared is what there is of it.
type prepared struct {
	templates map[string]*compiledTemplate
	targets   map[string]target
	taken     map[string]bool
	places    places
	// depths are how many assets an asset is within, of those that parts are
	// added to.
	depths map[registry.ID]int
}

// template returns the newest published template of a name, nil if there is
// none.
func (p *prepared) template(name string) *compiledTemplate { return p.templates[Fold(name)] }

// target returns an object that is referred to.
func (p *prepared) target(ref registry.Ref) (target, bool) {
	t, ok := p.targets[refKey(ref)]
	return t, ok
}

// add makes an object known to what follows it in the same request.
func (p *prepared) add(made registry.Related, template *compiledTemplate) {
	kind := kindOf(made)
	key := refKey(registry.Ref{Kind: kind, Key: keyOf(made)})
	p.targets[key] = target{thing: made, template: template}
	p.taken[Fold(keyOf(made))] = true
}

// remove takes back what add made known.
func (p *prepared) remove(made registry.Related) {
	delete(p.targets, refKey(registry.Ref{Kind: kindOf(made), Key: keyOf(made)}))
	delete(p.taken, Fold(keyOf(made)))
}

// refKey is how the prepare query names a target.
func refKey(ref registry.Ref) string {
	if ref.ID != "" {
		return string(ref.ID)
	}
	return string(ref.Kind) + " " + foldedKey(ref)
}

// foldedKey is the key of an object as it is stored for comparing.
func foldedKey(ref registry.Ref) string {
	if ref.Kind == registry.KindGroup {
		return Fold(cleanPath(ref.Key))
	}
	return Fold(ref.Key)
}

// prepare finds what a change has to know, in one round trip.
func (s *Store) prepare(ctx context.Context, r runner, scope registry.Scope, w wanted) (*prepared, error) {
	var templates, keys distinct
	for _, name := range w.templates {
		templates.add(Fold(name))
	}
	for _, key := range w.keys {
		keys.add(Fold(key))
	}
	got, _, err := one(ctx, r, thingPrepare[w.kind], params{
		"kind": string(w.kind), "templates": templates.all(), "keys": keys.all(), "refs": byKind(w.refs), "ends": byKind(w.ends),
	}, func(f fields) *prepared { return s.preparedOf(f, scope) })
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	return got, nil
}

// byKind lists what is referred to, each once, as the query takes it.
func byKind(refs []registry.Ref) map[string]any {
	lists := map[registry.Kind]*distinct{registry.KindGroup: {}, registry.KindDevice: {}, registry.KindAsset: {}}
	var ids distinct
	for _, ref := range refs {
		switch list := lists[ref.Kind]; {
		case ref.ID != "":
			ids.add(string(ref.ID))
		case list != nil:
			list.add(foldedKey(ref))
		}
	}
	return map[string]any{
		"ids": ids.all(), "groups": lists[registry.KindGroup].all(), "devices": lists[registry.KindDevice].all(), "assets": lists[registry.KindAsset].all(),
	}
}

func (s *Store) preparedOf(f fields, scope registry.Scope) *prepared {
	out := &prepared{templates: map[string]*compiledTemplate{}, targets: map[string]target{}, taken: map[string]bool{}, places: places{}, depths: map[registry.ID]int{}}
	for _, item := range f.maps("templates") {
		out.templates[item.text("name")] = s.template(item.nested("template"), scope.Account)
	}
	for _, key := range f.texts("taken") {
		out.taken[key] = true
	}
	instanced := map[registry.ID]*compiledTemplate{}
	for _, node := range f.maps("instanced") {
		t := s.template(node, scope.Account)
		instanced[t.ID] = t
	}
	out.readEnds(f, instanced)
	for _, item := range f.maps("targets") {
		thing := item.nested("thing")
		if template := thing.optional("templateID"); template == nil {
			continue // deleted in this very moment: there is no such object
		}
		to := target{thingOf(thing), instanced[thing.id("templateID")], thing.nested("node")}
		if *f.fail != nil {
			break
		}
		out.targets[item.text("ref")], out.places[to.thing.NodeID()] = to, item.text("place")
	}
	return out
}

// distinct collects texts, each once.
type distinct struct {
	list []string
	seen map[string]bool
}

func (d *distinct) add(text string) {
	if d.seen == nil {
		d.seen = map[string]bool{}
	}
	if !d.seen[text] {
		d.seen[text] = true
		d.list = append(d.list, text)
	}
}

// all is never nil: a query cannot unwind what is not there.
func (d *distinct) all() []string {
	if d.list == nil {
		return []string{}
	}
	return d.list
}
