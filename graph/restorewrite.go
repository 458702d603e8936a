package graph

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// oneMap runs a query that returns a list named items, and keeps the items by
// the keys that of gives them.
func oneMap[T any](ctx context.Context, r runner, q query, p params, of func(fields) (string, T)) (map[string]T, error) {
	out, _, err := one(ctx, r, q, p, func(f fields) map[string]T {
		out := map[string]T{}
		for _, item := range f.maps("items") {
			key, value := of(item)
			out[key] = value
		}
		return out
	})
	if out == nil {
		out = map[string]T{}
	}
	return out, err
}

// jsonEqual compares two values as JSON.
func jsonEqual(x, y any) bool {
	one, err := json.Marshal(x)
	other, err2 := json.Marshal(y)
	var a, b any
	if err == nil && err2 == nil {
		err, err2 = json.Unmarshal(one, &a), json.Unmarshal(other, &b)
	}
	return err == nil && err2 == nil && reflect.DeepEqual(a, b)
}

// writeThings makes and changes things of one kind and their relations.
func (b *restoring) writeThings(ctx context.Context, kind registry.Kind, plans []*thingPlan) error {
	var made []madeThing
	changed, rows := []any{}, []any{}
	for _, p := range plans {
		switch b.results[p.index].Result {
		case registry.RestoreMade:
			m, differences := madeThing{thing: p.wanted, template: p.template.ID, node: p.node, edges: p.edges, silence: p.template.SilenceFor()}, relationsMade(p.edges)
			if p.whole != nil {
				m.whole = p.whole.id
				differences = append(differences, wholeDifference(nil, p.whole.thing()))
			}
			made = append(made, m)
			b.tx.record(entry{
				kind: objectKind(p.wanted), id: p.wanted.NodeID(), key: keyOf(p.wanted), operation: registry.ChangeCreate, action: actionImported,
				version: objectIn(p.wanted).Version, after: thingSnapshot(p.wanted, p.template.Template), relations: differences, structural: kind == registry.KindGroup,
			})
		case registry.RestoreChanged:
			change, err := b.changeThing(ctx, p)
			if err != nil {
				return err
			}
			if change != nil {
				changed = append(changed, change)
			}
			for _, e := range p.edges {
				rows = append(rows, []any{string(p.wanted.NodeID()), relationType(e.name), string(e.other.NodeID()), relationProperties(e.inherits, b.tx.at)})
			}
		}
	}
	if err := b.store.insert(ctx, b.tx, kind, made, nil); err != nil {
		return err
	}
	if err := b.must(ctx, thingUpdate, params{"things": changed}, len(changed)); err != nil {
		return err
	}
	return b.writeEdges(ctx, rows)
}

// writeEdges makes relationships, in the order of their types: a type at a time
// is planned once.
func (b *restoring) writeEdges(ctx context.Context, rows []any) error {
	slices.SortStableFunc(rows, func(x, y any) int { return strings.Compare(x.([]any)[1].(string), y.([]any)[1].(string)) })
	return b.must(ctx, restoreEdges, params{"edges": rows}, len(rows))
}

// must runs a query that returns the number n of what it did.
func (b *restoring) must(ctx context.Context, q query, p params, n int) error {
	if n == 0 {
		return nil
	}
	did, ok, err := one(ctx, b, q, p, counted)
	if err == nil && (!ok || did != n) {
		// What was found a moment ago is gone.
		return errAgain
	}
	return err
}

// changeThing records what becomes of a thing that is there, moves it to another
// template if need be, and returns what is to be set.
func (b *restoring) changeThing(ctx context.Context, p *thingPlan) (any, error) {
	before := p.held
	e := entry{
		kind: objectKind(p.wanted), id: p.wanted.NodeID(), key: keyOf(p.wanted), operation: registry.ChangeUpdate, action: actionImported,
		version: objectIn(before.thing).Version, relations: relationsMade(p.edges),
	}
	if p.held.template.ID == p.template.ID && sameNode(before.node, p.node) {
		b.tx.record(e) // only relations are new
		return nil, nil
	}
	e.version++
	raised := withRevision(p.wanted, registry.Object{
		ID: p.wanted.NodeID(), Version: e.version, CreatedAt: objectIn(before.thing).CreatedAt, UpdatedAt: b.tx.at,
	})
	e.before, e.after = thingSnapshot(before.thing, before.template.Template), thingSnapshot(raised, p.template.Template)
	b.tx.record(e)
	if p.held.template.ID != p.template.ID {
		if err := b.must(ctx, thingMove, params{"things": []any{map[string]any{"id": string(e.id), "template": string(p.template.ID)}}}, 1); err != nil {
			return nil, err
		}
		if p.record.Kind != registry.KindGroup {
			if err := b.store.raiseTopology(ctx, b, e.id); err != nil {
				return nil, err
			}
		}
	}
	node, err := nodeOf(raised, p.template.Template)
	if err != nil {
		return nil, err
	}
	return map[string]any{"id": string(e.id), "changes": changes(before.node, p.record.Kind, node)}, nil
}

// withRevision is a copy of a thing with another id, version and times.
func withRevision(thing registry.Related, object registry.Object) registry.Related {
	switch thing := thing.(type) {
	case *registry.Group:
		out := *thing
		out.Object = object
		return &out
	case *registry.Device:
		out := *thing
		out.Object = object
		return &out
	}
	out := *thing.(*registry.Asset)
	out.Object = object
	return &out
}
