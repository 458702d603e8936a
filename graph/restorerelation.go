package graph

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// The type stands in the text, as in relateText.
const restoreRelatedText = `
	UNWIND $ends AS ends
	MATCH (a:Entity {id: ends[0]}) WHERE a.account = $account
	MATCH (b:Entity {id: ends[1]}) WHERE b.account = $account
	WITH ends, a, b WHERE EXISTS { (a)-[:TYPE]->(b) }
	RETURN collect(ends[0] + ' ' + ends[1]) AS related`

// relations restores relations of things that exist.
func (b *restoring) relations(ctx context.Context, records []*registry.RelationRecord) error {
	var refs []registry.Ref
	for _, r := range records {
		refs = append(append(refs, r.From.Ref()), r.Refs()...)
	}
	targets, err := b.targets(ctx, refs)
	if err != nil {
		return err
	}
	wanted := make([][]edge, len(records))
	sources := make([]restoredThing, len(records))
	ends := map[string][]any{}
	for i, r := range records {
		from := r.From.Ref()
		if from.Kind == registry.KindGroup {
			from.Key = cleanPath(from.Key)
		}
		source, ok := targets[refKey(from)]
		if !ok {
			b.refuse(i, registry.Violation{Path: "from", Rule: "unknown", Message: missing(from).Error()})
			continue
		}
		edges, violations := restoredEdges(source.template.Template, []registry.RelationsRecord{r.RelationsRecord}, targets)
		if b.refuse(i, violations...) {
			continue
		}
		wanted[i], sources[i] = edges, source
		for _, e := range edges {
			ends[e.name] = append(ends[e.name], []any{string(source.id), string(e.other.NodeID())})
		}
	}
	related := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(ends)) {
		found, _, err := one(ctx, b, query{"restore.related", typedText(restoreRelatedText, name)}, params{"ends": ends[name]}, func(f fields) []string { return f.texts("related") })
		if err != nil {
			return err
		}
		for _, pair := range found {
			related[name+" "+pair] = true
		}
	}
	var rows []any
	for i := range records {
		if b.results[i].Result == registry.RestoreRefused {
			continue
		}
		if err := b.relate(ctx, i, sources[i], wanted[i], related, &rows); err != nil {
			return err
		}
	}
	if b.tx == nil {
		return nil
	}
	return b.writeEdges(ctx, rows)
}

// relate decides about one record, and adds the relationships that are missing.
func (b *restoring) relate(ctx context.Context, i int, source restoredThing, wanted []edge, related map[string]bool, rows *[]any) error {
	var made []edge
	for _, e := range wanted {
		key := fmt.Sprintf("%s %s %s", e.name, source.id, e.other.NodeID())
		if related[key] || b.others[key] {
			continue
		}
		related[key] = true
		made = append(made, e)
		if b.tx == nil {
			b.after = append(b.after, func() { b.others[key] = true })
		}
	}
	if len(made) == 0 {
		b.results[i].Result = registry.RestoreUnchanged
		return nil
	}
	b.results[i].Result = registry.RestoreMade
	if b.tx == nil {
		return nil
	}
	committed, err := b.store.claimNames(ctx, b, relationNames, edgeNames(made))
	if registry.CodeOf(err) == registry.CodeLimitExceeded {
		b.results[i] = refusedBy(err)
		return nil
	}
	if err != nil {
		return err
	}
	b.committed = append(b.committed, committed)
	for _, e := range made {
		*rows = append(*rows, []any{string(source.id), relationType(e.name), string(e.other.NodeID()), relationProperties(e.inherits, b.tx.at)})
	}
	thing := source.thing()
	b.tx.record(entry{
		kind: objectKind(thing), id: source.id, key: source.key, operation: registry.ChangeUpdate, action: "related",
		version: source.version, relations: relationsMade(made),
	})
	return nil
}
