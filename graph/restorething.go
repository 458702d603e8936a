package graph

import (
	"context"
	"fmt"
	"slices"

	"github.com/holon-registry/holon/registry"
)

var (
	// What is known of things by their keys: enough to relate to them.
	restoreTargets = named("restore.targets", `
		CALL () {
			UNWIND $groups AS key MATCH (n:Group) WHERE n.account = $account AND n.keyFold = key RETURN n, 'GROUP' AS kind
			UNION ALL
			UNWIND $devices AS key MATCH (n:Device) WHERE n.account = $account AND n.keyFold = key RETURN n, 'DEVICE' AS kind
			UNION ALL
			UNWIND $assets AS key MATCH (n:Asset) WHERE n.account = $account AND n.keyFold = key RETURN n, 'ASSET' AS kind
		}
		MATCH (n)-[:INSTANCE_OF]->(t:Template)
		RETURN collect([kind, n.id, coalesce(n.path, n.reference), coalesce(n.depth, n.componentDepth, 0), t.id, n.version]) AS targets`)

	// All of things that may have to change.
	restoreHeld = labelled("restoreHeld", `
		UNWIND $keys AS key
		MATCH (n:LABEL)
		WHERE n.account = $account AND n.keyFold = key
		RETURN collect({thing: `+thing("n")+`, template: [(n)-[:INSTANCE_OF]->(t) | properties(t)][0],
			relations: [(n)-[r]->(o:Group|Device|Asset) WHERE NOT type(r) IN $builtIn AND size($relatedTo) > 0 AND o.id IN $relatedTo | [type(r), o.id]]}) AS items`)

	restoreEdges = named("restore.edges", `
		UNWIND $edges AS edge
		MATCH (a:Entity {id: edge[0]}) WHERE a.account = $account
		MATCH (b:Entity {id: edge[2]}) WHERE b.account = $account
		CREATE (a)-[r:$(edge[1])]->(b)
		SET r = edge[3]
		RETURN count(r) AS n`)
)

// heldThing is a thing that is there already.
type heldThing struct {
	target
	related map[string]bool
}

// thingPlan is what becomes of one record.
type thingPlan struct {
	index    int
	record   *registry.ThingRecord
	template *compiledTemplate
	wanted   registry.Related
	node     map[string]any
	edges    []edge
	held     *heldThing
	// whole is the device that a component belongs to.
	whole *restoredThing
}

func (b *restoring) restoreThings(ctx context.Context, records []*registry.ThingRecord) error {
	kind := records[0].Kind
	keys, stamps := make([]string, len(records)), make([]registry.Stamp, len(records))
	var refs []registry.Ref
	for i, r := range records {
		if kind == registry.KindGroup {
			r.Path = cleanPath(r.Path)
			refs = append(refs, registry.Ref{Kind: kind, Key: parentPath(r.Path)})
		}
		keys[i], stamps[i] = Fold(r.RecordKey()), r.Stamp
		if r.ComponentOf != "" {
			refs = append(refs, registry.Ref{Kind: kind, Key: r.ComponentOf})
		}
		for j := range r.Relations {
			refs = append(refs, r.Relations[j].Refs()...)
		}
	}
	targets, err := b.targets(ctx, refs)
	if err != nil {
		return err
	}
	held, err := b.held(ctx, kind, keys, targets)
	if err != nil {
		return err
	}
	taken, err := b.takenIDs(ctx, stamps)
	if err != nil {
		return err
	}
	var plans []*thingPlan
	for i, r := range records {
		p := &thingPlan{index: i, record: r, held: held[keys[i]]}
		if err := b.planThing(ctx, p, targets, taken); err != nil {
			return err
		}
		if b.results[i].Result == registry.RestoreRefused {
			continue
		}
		of := restoredThing{p.wanted.NodeID(), kind, keyOf(p.wanted), 0, p.template, objectIn(p.wanted).Version}
		switch thing := p.wanted.(type) {
		case *registry.Group:
			of.depth = thing.Depth
		case *registry.Device:
			of.depth = thing.ComponentDepth
		}
		key := refKey(registry.Ref{Kind: kind, Key: of.key})
		targets[key] = of
		held[keys[i]] = p.asHeld()
		if b.results[i].Result != registry.RestoreUnchanged {
			plans = append(plans, p)
		}
		if b.tx == nil {
			b.after = append(b.after, func() { b.things[key] = of; b.ids[of.id] = true })
		}
	}
	if b.tx == nil {
		return nil
	}
	return b.writeThings(ctx, kind, plans)
}

// asHeld is the thing as it will be for a later record of the same batch.
func (p *thingPlan) asHeld() *heldThing {
	related := map[string]bool{}
	if p.held != nil {
		related = p.held.related
	}
	for _, e := range p.edges {
		related[relationType(e.name)+" "+string(e.other.NodeID())] = true
	}
	return &heldThing{target{p.wanted, p.template, fields{object: p.node}}, related}
}

// targets finds things by their keys.
func (b *restoring) targets(ctx context.Context, refs []registry.Ref) (map[string]restoredThing, error) {
	out := map[string]restoredThing{}
	byKind := map[registry.Kind]map[string]bool{registry.KindGroup: {}, registry.KindDevice: {}, registry.KindAsset: {}}
	for _, ref := range refs {
		if ref.Kind == registry.KindGroup {
			ref.Key = cleanPath(ref.Key)
		}
		if known, ok := b.things[refKey(ref)]; ok {
			out[refKey(ref)] = known
		} else {
			byKind[ref.Kind][Fold(ref.Key)] = true
		}
	}
	templates := map[registry.ID]*compiledTemplate{}
	type row struct {
		restoredThing
		template registry.ID
	}
	rows, _, err := one(ctx, b, restoreTargets, params{
		"groups": sortedKeys(byKind[registry.KindGroup]), "devices": sortedKeys(byKind[registry.KindDevice]), "assets": sortedKeys(byKind[registry.KindAsset]),
	}, func(f fields) []row {
		var out []row
		for _, item := range f.list("targets") {
			values, ok := item.([]any)
			if !ok || len(values) != 6 {
				f.failed("a target is no list of six")
				return nil
			}
			kind, _ := values[0].(string)
			id, _ := values[1].(string)
			key, _ := values[2].(string)
			depth, _ := values[3].(int64)
			template, _ := values[4].(string)
			version, _ := values[5].(int64)
			out = append(out, row{restoredThing{registry.ID(id), registry.Kind(kind), key, int(depth), nil, int(version)}, registry.ID(template)})
			templates[registry.ID(template)] = nil
		}
		return out
	})
	if err != nil {
		return nil, err
	}
	if err := b.templatesOf(ctx, templates); err != nil {
		return nil, err
	}
	for _, r := range rows {
		r.restoredThing.template = templates[r.template]
		out[refKey(registry.Ref{Kind: r.kind, Key: r.key})] = r.restoredThing
	}
	return out, nil
}

// templatesOf fills in templates by id.
func (b *restoring) templatesOf(ctx context.Context, templates map[registry.ID]*compiledTemplate) error {
	var unknown []registry.ID
	for id := range templates {
		if t := b.store.templates.get(b.scope.Account, id); t != nil {
			templates[id] = t
		} else {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	read := map[registry.ID]*registry.Template{}
	if err := b.store.learnTemplates(ctx, b, b.scope, read, unknown); err != nil {
		return err
	}
	for _, id := range unknown {
		t := read[id]
		if t == nil {
			return errAgain
		}
		templates[id] = &compiledTemplate{Template: t, account: b.scope.Account}
		if c := b.store.templates.get(b.scope.Account, t.ID); c != nil {
			templates[id] = c
		}
	}
	return nil
}

// templateFor finds the template that a record names, nil if there is none that
// things can be instances of.
func (b *restoring) templateFor(ctx context.Context, kind registry.Kind, name string, version int) (*compiledTemplate, error) {
	if name == "" {
		name = registry.OpenTemplate
	}
	if version == 0 && b.tx == nil {
		for _, c := range b.compiled {
			if c.Kind == kind && Fold(c.Name) == Fold(name) && c.Status == registry.TemplatePublished && c.Version > version {
				version = c.Version
			}
		}
	}
	key := templateKey(kind, name, version)
	if c := b.compiled[key]; c != nil && c.Status == registry.TemplatePublished {
		return c, nil
	}
	published := registry.TemplatePublished
	q, p := templateNewest, params{"kind": string(kind), "nameFold": Fold(name), "statuses": statuses(&published)}
	if version > 0 {
		q, p["key"] = templateByVersion, key
	}
	c, ok, err := one(ctx, b, q, p, func(f fields) *compiledTemplate { return b.store.template(f.nested("node"), b.scope.Account) })
	if err != nil || !ok {
		return nil, err
	}
	if b.tx == nil || version > 0 || c.Open {
		b.compiled[key] = c
	}
	return c, nil
}

// held reads the things that are there already, and which of the targets they
// are related to.
func (b *restoring) held(ctx context.Context, kind registry.Kind, keys []string, targets map[string]restoredThing) (map[string]*heldThing, error) {
	var related []registry.ID
	for _, t := range targets {
		related = append(related, t.id)
	}
	return oneMap(ctx, b, restoreHeld[kind], params{"keys": keys, "relatedTo": texts(related), "builtIn": builtInTypes}, func(f fields) (string, *heldThing) {
		thing := f.nested("thing")
		h := &heldThing{target{thingOf(thing), b.store.template(f.nested("template"), b.scope.Account), thing.nested("node")}, map[string]bool{}}
		for _, row := range f.list("relations") {
			if values, ok := row.([]any); ok && len(values) == 2 {
				h.related[fmt.Sprintf("%s %s", values[0], values[1])] = true
			}
		}
		return thing.nested("node").text("keyFold"), h
	})
}

// planThing decides what becomes of a record.
func (b *restoring) planThing(ctx context.Context, p *thingPlan, targets map[string]restoredThing, taken map[registry.ID]bool) (err error) {
	r, i := p.record, p.index
	if p.template, err = b.templateFor(ctx, r.Kind, r.Template, r.TemplateVersion); err != nil {
		return err
	}
	attributes, violations := plainAttributes(r.Kind, r.Attributes)
	attributes = merge(nil, attributes)
	if p.template == nil {
		name := r.Template
		if r.TemplateVersion > 0 {
			name = fmt.Sprintf("%s version %d", name, r.TemplateVersion)
		}
		violations = append(violations, registry.Violation{Path: "template", Rule: "unknown", Message: fmt.Sprintf("there is no published template %q for %ss", name, noun(r.Kind))})
		b.refuse(i, violations...)
		return nil
	}
	violations = append(violations, p.template.check(attributes)...)
	var object registry.Object
	switch {
	case p.held != nil && p.held.thing != nil:
		object = objectIn(p.held.thing)
		if r.Path != "/" && b.taken(i, noun(r.Kind), r.RecordKey(), r.Stamp, object.ID) {
			return nil
		}
	default:
		object = b.object(r.Stamp, r.Revision)
	}
	if p.held != nil && p.held.thing != nil && p.held.template.ID != p.template.ID {
		wrong, err := b.store.unfit(ctx, b, b.scope, p.held.thing, p.template.Template, nil)
		if err != nil {
			return err
		}
		violations = append(violations, wrong...)
	}
	violations = append(violations, b.wantedThing(p, object, attributes, targets)...)
	wanted, wrong := restoredEdges(p.template.Template, r.Relations, targets)
	violations = append(violations, wrong...)
	if b.refuse(i, violations...) {
		return nil
	}
	for _, e := range wanted {
		if p.held == nil || !p.held.related[relationType(e.name)+" "+string(e.other.NodeID())] {
			p.edges = append(p.edges, e)
		}
	}
	if p.node, err = nodeOf(p.wanted, p.template.Template); err != nil {
		return err
	}
	if p.held == nil {
		if b.identify(i, r.Stamp, taken) {
			b.results[i].Result = registry.RestoreMade
		}
	} else if b.results[i].Result = registry.RestoreChanged; len(p.edges) == 0 && p.held.template.ID == p.template.ID && sameNode(p.held.node, p.node) {
		b.results[i].Result = registry.RestoreUnchanged
	}
	return b.claimThing(ctx, p)
}

// claimThing claims the names that a thing brings into the database; a record
// whose names there is no room for is refused.
func (b *restoring) claimThing(ctx context.Context, p *thingPlan) error {
	if b.tx == nil || b.results[p.index].Result != registry.RestoreMade && b.results[p.index].Result != registry.RestoreChanged {
		return nil
	}
	committed, err := b.store.claimBoth(ctx, b, edgeNames(p.edges), attributeNames(p.record.Kind, p.node))
	if registry.CodeOf(err) == registry.CodeLimitExceeded {
		b.results[p.index] = refusedBy(err)
		return nil
	}
	if err == nil {
		b.committed = append(b.committed, committed)
	}
	return err
}

func sortedKeys(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for key := range set {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}
