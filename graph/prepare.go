package graph

import (
	"context"
	"fmt"

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
		COLLECT {
			CALL () {
				UNWIND $groups AS key MATCH (n:Group) WHERE n.account = $account AND n.keyFold = key RETURN n, 'GROUP ' + key AS ref
				UNION ALL
				UNWIND $devices AS key MATCH (n:Device) WHERE n.account = $account AND n.keyFold = key RETURN n, 'DEVICE ' + key AS ref
				UNION ALL
				UNWIND $assets AS key MATCH (n:Asset) WHERE n.account = $account AND n.keyFold = key RETURN n, 'ASSET ' + key AS ref
				UNION ALL
				UNWIND $ids AS id MATCH (n:Entity {id: id}) WHERE n.account = $account AND n:Group|Device|Asset RETURN n, id AS ref
			}
			RETURN {ref: ref, thing: `+thing("n")+`}
		} AS targets
	RETURN templates, taken, targets, COLLECT {
		UNWIND targets AS target
		WITH DISTINCT target.thing.templateID AS id
		MATCH (t:Entity {id: id})
		WHERE t.account = $account
		RETURN properties(t)
	} AS instanced`)

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
	refs            []registry.Ref
}

// prepared is what there is of it.
type prepared struct {
	templates map[string]*compiledTemplate
	targets   map[string]target
	taken     map[string]bool
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
	lists := map[registry.Kind]*distinct{registry.KindGroup: {}, registry.KindDevice: {}, registry.KindAsset: {}}
	var ids, templates, keys distinct
	for _, ref := range w.refs {
		switch list := lists[ref.Kind]; {
		case ref.ID != "":
			ids.add(string(ref.ID))
		case list != nil:
			list.add(foldedKey(ref))
		}
	}
	for _, name := range w.templates {
		templates.add(Fold(name))
	}
	for _, key := range w.keys {
		keys.add(Fold(key))
	}
	got, _, err := one(ctx, r, thingPrepare[w.kind], params{
		"kind": string(w.kind), "templates": templates.all(), "keys": keys.all(), "ids": ids.all(),
		"groups": lists[registry.KindGroup].all(), "devices": lists[registry.KindDevice].all(), "assets": lists[registry.KindAsset].all(),
	}, func(f fields) *prepared { return s.preparedOf(f, scope) })
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	return got, nil
}

func (s *Store) preparedOf(f fields, scope registry.Scope) *prepared {
	out := &prepared{templates: map[string]*compiledTemplate{}, targets: map[string]target{}, taken: map[string]bool{}, depths: map[registry.ID]int{}}
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
	for _, item := range f.maps("targets") {
		thing := item.nested("thing")
		if template := thing.optional("templateID"); template == nil {
			continue // deleted in this very moment: there is no such object
		}
		out.targets[item.text("ref")] = target{thingOf(thing), instanced[thing.id("templateID")], thing.nested("node")}
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
