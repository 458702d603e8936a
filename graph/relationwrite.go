package graph

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// pair is a relation between two objects that is to be made or to be ended.
type pair struct {
	name     string
	from, to registry.Related
	inherits bool
	// of is the object whose update asks for it; empty if none does.
	of registry.ID
}

// relationChange is a relation that was made or ended.
type relationChange struct {
	action string
	pair
}

// entry is the change that is recorded, with the object where the relation
// starts.
func (c relationChange) entry() entry {
	return entry{
		kind: objectKind(c.from), id: c.from.NodeID(), key: keyOf(c.from), operation: registry.ChangeUpdate, action: c.action,
		version: objectIn(c.from).Version, relations: []registry.Difference{relationDifference(c.name, c.to, c.action == "related")},
	}
}

// recordRelations notes that relations were made or ended.
func (t *transaction) recordRelations(did []relationChange) {
	for _, c := range did {
		t.record(c.entry())
	}
}

// relationChanges are relations to be made and to be ended. What is there
// already, or not there, is left as it is.
type relationChanges struct{ made, ended []pair }

func (c *relationChanges) add(more relationChanges) {
	c.made, c.ended = append(c.made, more.made...), append(c.ended, more.ended...)
}

// relationsNow are the relations of one object that a patch replaces.
var relationsNow = named("relation.now", `
	MATCH (n:Entity {id: $id})
	WHERE n.account = $account
	CALL (n) {
		MATCH (n)-[r]->(o:Group|Device|Asset)
		WHERE NOT type(r) IN $builtIn AND ((o:Group AND 'GROUP' IN $out) OR (o:Device AND 'DEVICE' IN $out) OR (o:Asset AND 'ASSET' IN $out))
		RETURN r, o, 'OUT' AS direction
		UNION ALL
		MATCH (n)<-[r]-(o:Group|Device|Asset)
		WHERE NOT type(r) IN $builtIn AND ((o:Group AND 'GROUP' IN $in) OR (o:Device AND 'DEVICE' IN $in) OR (o:Asset AND 'ASSET' IN $in))
		RETURN r, o, 'IN' AS direction
	}
	WITH r, o, direction LIMIT $limit
	RETURN collect({name: toLower(type(r)), direction: direction, thing: `+thing("o")+`}) AS relations`)

// maxReplaced bounds the relations that a patch replaces at once.
const maxReplaced = 10_000

// patchRefs are the objects that a patch of relations names.
func patchRefs(p *registry.RelationPatch) []registry.Ref {
	if p == nil {
		return nil
	}
	refs := append(refsOf(p.Add), refsOf(p.Remove)...)
	for _, set := range p.Replace {
		refs = append(refs, refsOf(set.Relations)...)
	}
	return refs
}

// relationPatch decides which relations of an object a patch makes and ends.
func (s *Store) relationPatch(ctx context.Context, tx *transaction, self registry.Related, template *registry.Template, p *registry.RelationPatch, got *prepared) (relationChanges, []registry.Violation, error) {
	var out relationChanges
	if p == nil {
		return out, nil, nil
	}
	if n := len(patchRefs(p)); n > registry.MaxRelationsAtOne {
		return out, nil, registry.LimitExceeded("an object can be changed with at most %d relations at once, not %d", registry.MaxRelationsAtOne, n)
	}
	wanted, violations := edges(template, p.Add, got)
	replaced := map[registry.Direction][]string{registry.DirectionOut: {}, registry.DirectionIn: {}}
	for _, set := range p.Replace {
		replaced[set.Direction] = append(replaced[set.Direction], string(set.Kind))
		in, wrong := edges(template, directed(set.Relations, set.Direction), got)
		violations = append(append(violations, wrong...), ofKind(set)...)
		wanted = append(wanted, in...)
	}
	removed, wrong := unlinked(p.Remove, got)
	if violations = append(violations, wrong...); len(violations) > 0 {
		return out, violations, nil
	}
	for _, e := range wanted {
		out.made = append(out.made, e.pair(self))
	}
	for _, e := range removed {
		out.ended = append(out.ended, e.pair(self))
	}
	if len(p.Replace) == 0 {
		return out, nil, nil
	}
	keep := map[pairKey]bool{}
	for _, made := range out.made {
		keep[made.key()] = true
	}
	now, _, err := one(ctx, tx, relationsNow, params{
		"id": string(self.NodeID()), "builtIn": builtInTypes, "limit": maxReplaced + 1,
		"out": replaced[registry.DirectionOut], "in": replaced[registry.DirectionIn],
	}, func(f fields) []edge {
		var now []edge
		for _, item := range f.maps("relations") {
			now = append(now, edge{name: item.text("name"), other: thingOf(item.nested("thing")), incoming: item.text("direction") == string(registry.DirectionIn)})
		}
		return now
	})
	if err != nil {
		return out, nil, err
	}
	if len(now) > maxReplaced {
		return out, nil, registry.LimitExceeded("more than %d relations would be replaced: end them with unrelateAll", maxReplaced)
	}
	for _, e := range now {
		if old := e.pair(self); !keep[old.key()] {
			out.ended = append(out.ended, old)
		}
	}
	return out, nil, nil
}

// pair is the edge from its source to its target, as an update of self asks for
// it.
func (e edge) pair(self registry.Related) pair {
	p := pair{name: e.name, from: self, to: e.other, inherits: e.inherits, of: self.NodeID()}
	if e.incoming {
		p.from, p.to = p.to, p.from
	}
	return p
}

type pairKey struct {
	name     string
	from, to registry.ID
}

func (p pair) key() pairKey { return pairKey{p.name, p.from.NodeID(), p.to.NodeID()} }

// directed gives relations one direction.
func directed(relations []registry.NewRelation, direction registry.Direction) []registry.NewRelation {
	out := slices.Clone(relations)
	for i := range out {
		out[i].Direction = direction
	}
	return out
}

// ofKind returns what in a set is of another kind than the set.
func ofKind(set registry.RelationSet) []registry.Violation {
	var out []registry.Violation
	for _, relation := range set.Relations {
		for _, ref := range relation.To {
			if ref.Kind != set.Kind {
				out = append(out, registry.Violation{Path: "relations." + relation.Name, Rule: "kind", Message: fmt.Sprintf("%s %q is not of the kind that is replaced, %s", noun(ref.Kind), nameOf(ref), set.Kind)})
			}
		}
	}
	return out
}

// unlinked checks relations that are to end: no template has to allow them.
func unlinked(relations []registry.NewRelation, got *prepared) ([]edge, []registry.Violation) {
	var out []edge
	var violations []registry.Violation
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
			out = append(out, edge{name: relation.Name, other: other.thing, incoming: relation.Direction == registry.DirectionIn})
		}
	}
	return out, violations
}

// changeRelations makes and ends relations, one query a name, and returns what
// that changed.
func (s *Store) changeRelations(ctx context.Context, tx *transaction, c *relationChanges) ([]relationChange, error) {
	var did []relationChange
	if len(c.ended) > 0 {
		ended, err := s.endPairs(ctx, tx, c.ended)
		if err != nil {
			return nil, err
		}
		did = ended
	}
	made := byName(c.made)
	types := make([]string, 0, len(made))
	for name := range made {
		types = append(types, relationType(name))
	}
	if err := s.claim(ctx, tx, relationNames, types); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(made)) {
		pairs := made[name]
		rows := make([]any, len(pairs))
		for i, p := range pairs {
			rows[i] = map[string]any{"index": i, "from": string(p.from.NodeID()), "to": string(p.to.NodeID()), "properties": relationProperties(p.inherits, tx.at)}
		}
		found, done, err := doPairs(ctx, tx, query{"relation.relate", typedText(relateText, name)}, params{"pairs": rows}, "related", pairs)
		if err != nil {
			return nil, err
		}
		if found != len(pairs) {
			return nil, errAgain
		}
		did = append(did, done...)
	}
	return did, nil
}

// endPairs ends relations and returns those that there were.
func (s *Store) endPairs(ctx context.Context, tx *transaction, ended []pair) ([]relationChange, error) {
	all := byName(ended)
	types := make([]string, 0, len(all))
	for name := range all {
		types = append(types, relationType(name))
	}
	// A new text costs planning, and a name that the database has never seen has
	// no relationship to end.
	known, _, err := one(ctx, tx, namesKnown, params{"kind": string(relationNames), "names": types}, func(f fields) []string { return f.texts("names") })
	if err != nil {
		return nil, err
	}
	var did []relationChange
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(known, relationType(name)) {
			continue
		}
		pairs := all[name]
		rows := make([]any, len(pairs))
		for i, p := range pairs {
			rows[i] = map[string]any{"index": i, "from": string(p.from.NodeID()), "to": string(p.to.NodeID())}
		}
		q := query{"relation.unrelate", typedText(unrelateText, name)}
		_, done, err := doPairs(ctx, tx, q, params{"pairs": rows, "name": name, "until": tx.at.UnixMilli()}, "unrelated", pairs)
		if err != nil {
			return nil, err
		}
		did = append(did, done...)
	}
	return did, nil
}

// doPairs runs a query on pairs and returns how many it found and those that it
// did something about.
func doPairs(ctx context.Context, tx *transaction, q query, p params, action string, pairs []pair) (int, []relationChange, error) {
	type answer struct {
		found int
		done  []any
	}
	got, _, err := one(ctx, tx, q, p, func(f fields) answer { return answer{f.integer("n"), f.list("done")} })
	var did []relationChange
	for _, index := range got.done {
		if i, ok := index.(int64); ok {
			did = append(did, relationChange{action, pairs[i]})
		}
	}
	return got.found, did, err
}

// byName sorts pairs by their names, each pair once.
func byName(pairs []pair) map[string][]pair {
	out, seen := map[string][]pair{}, map[pairKey]bool{}
	for _, p := range pairs {
		if !seen[p.key()] {
			seen[p.key()] = true
			out[p.name] = append(out[p.name], p)
		}
	}
	return out
}
