package graph

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// match is an object that a search found and that is to be deleted or changed.
type match struct {
	id    registry.ID
	kind  registry.Kind
	depth int
	// key is its path or reference.
	key string
}

// DeleteMatching deletes everything that a search finds, in one transaction:
// devices and assets first, then groups, the deepest first. What is in the way
// of one group, and is not found itself, refuses all of it.
func (s *Store) DeleteMatching(ctx context.Context, scope registry.Scope, m registry.Search) (*registry.Matched, error) {
	var gone []registry.ID
	out, err := s.matching(ctx, scope, registry.ChangeDelete, m, nil, func(ctx context.Context, tx *transaction, found []match) error {
		for _, kind := range []registry.Kind{registry.KindDevice, registry.KindAsset} {
			these := ofOneKind(found, kind)
			refs := refsTo(these)
			d := doom{kind: kind, refs: refs}
			out, err := inParts(ctx, tx, s.deleting(scope, noun(kind)+"s", &d))
			if err != nil {
				return err
			}
			for i := range out {
				// What went with another, as a component does, is gone as asked.
				if code := registry.CodeOf(out[i].err); out[i].err != nil && (code == registry.CodeNotFound || code == registry.CodeConflict) {
					out[i].err = nil
				}
			}
			if err := refusal(placeOf(these), out); err != nil {
				return err
			}
			tx.onCommit(func() {
				gone = append(gone, d.components...)
				for _, ref := range refs {
					gone = append(gone, ref.ID)
				}
			})
		}
		groups := ofOneKind(found, registry.KindGroup)
		slices.SortFunc(groups, func(a, b match) int { return cmp.Or(b.depth-a.depth, strings.Compare(string(a.id), string(b.id))) })
		for _, m := range groups {
			group, template, err := s.groupInPlace(ctx, tx, scope, registry.Ref{ID: m.id, Kind: registry.KindGroup}, nil)
			if err != nil {
				return err
			}
			if _, err := deletable(ctx, tx, group, false); err != nil {
				return err
			}
			if err := tx.deleteGroups(ctx, []instance{{group, template}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Gone = gone
	return out, nil
}

// UpdateMatching changes everything that a search finds, in one transaction: all
// of it, or nothing.
func (s *Store) UpdateMatching(ctx context.Context, scope registry.Scope, m registry.Search, patch registry.MatchingPatch) (*registry.Matched, error) {
	return s.matching(ctx, scope, registry.ChangeUpdate, m, patch, func(ctx context.Context, tx *transaction, found []match) error {
		for _, kind := range registry.Kinds {
			these := ofOneKind(found, kind)
			refs := refsTo(these)
			if kind == registry.KindGroup && patch.State != nil && len(refs) > 0 {
				return registry.InvalidField("patch.state", "kind", "the search finds groups, which have no state: name other kinds")
			}
			things := make([]patchedThing, len(refs))
			for i, ref := range refs {
				things[i] = patchedThing{ref: ref, patch: registry.TwinPatch{Description: patch.Description, State: patch.State, Attributes: patch.Attributes}}
			}
			out, err := inParts(ctx, tx, s.changing(scope, kind, noun(kind)+"s", things))
			if err != nil {
				return err
			}
			if err := refusal(placeOf(these), out); err != nil {
				return err
			}
		}
		return nil
	})
}

// inParts runs a batch in a transaction that is there already.
func inParts(ctx context.Context, tx *transaction, b bulk) ([]outcome, error) {
	out := make([]outcome, b.items)
	for from := 0; from < b.items; {
		to := b.part(from)
		if err := b.work(ctx, tx, from, to, out); err != nil {
			return nil, err
		}
		from = to
	}
	return out, nil
}

// ofOneKind are those of the finds that are of a kind, in their order.
func ofOneKind(found []match, kind registry.Kind) []match {
	return slices.DeleteFunc(slices.Clone(found), func(m match) bool { return m.kind != kind })
}

func refsTo(found []match) []registry.Ref {
	refs := make([]registry.Ref, len(found))
	for i, m := range found {
		refs[i] = registry.Ref{ID: m.id, Kind: m.kind}
	}
	return refs
}

// placeOf names finds by their keys: whoever asked gave no list.
func placeOf(found []match) func(i int) string {
	return func(i int) string { return "objects[" + found[i].key + "]" }
}

// matching finds what is to be worked on, under the journal's lock, and works on
// it. A rehearsal makes the change and undoes it.
func (s *Store) matching(ctx context.Context, scope registry.Scope, operation registry.ChangeOperation, m registry.Search, patch any, work func(context.Context, *transaction, []match) error) (*registry.Matched, error) {
	if m.Where == "" && m.Under == "" && len(m.Templates) == 0 {
		return nil, registry.InvalidField("where", "required", "say what is meant: where, under or templates")
	}
	m.OrderBy = nil
	name := "matching." + Fold(string(operation))
	// Found outside the turn first: what is refused takes none, and the database
	// has planned the search when the turn comes.
	if _, err := s.matches(ctx, s.reading(scope), scope, m); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var out registry.Matched
	err := triable(ctx, s, scope, name, []any{m, patch}, func(ctx context.Context, tx *transaction) error {
		found, err := s.matches(ctx, tx, scope, m)
		if err != nil {
			return err
		}
		out = registry.Matched{Matched: len(found)}
		before := len(tx.entries)
		if err := work(ctx, tx, found); err != nil {
			return err
		}
		out.Done = tx.did(operation, before)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if scope.Rehearsal != nil {
		out.Done = 0
		return &out, nil
	}
	s.sweepSoon(ctx, scope)
	return &out, nil
}

// did counts the objects that were changed, or deleted, by what was recorded
// since: what is deleted changes others, whose relations end.
func (t *transaction) did(operation registry.ChangeOperation, since int) int {
	n := 0
	for _, e := range t.entries[since:] {
		if e.operation == operation {
			n++
		}
	}
	return n
}

// matches are the objects that a search finds, in the order of their ids.
func (s *Store) matches(ctx context.Context, r runner, scope registry.Scope, search registry.Search) ([]match, error) {
	plan, err := s.planSearch(ctx, r, scope, search)
	if err != nil {
		return nil, err
	}
	text := "CALL () {\n" + plan.nodes() + "\n}\nWITH n LIMIT " + fmt.Sprint(registry.MaxMatching+1) +
		"\nRETURN collect([n.id, CASE WHEN n:Group THEN 'GROUP' WHEN n:Device THEN 'DEVICE' ELSE 'ASSET' END, coalesce(n.depth, 0), coalesce(n.path, n.reference)]) AS found"
	found, _, err := one(ctx, r, query{"search.matches", text}, plan.params, func(f fields) []match {
		var out []match
		for i, item := range f.list("found") {
			row, ok := item.([]any)
			if !ok || len(row) != 4 {
				f.failed("found[%d] is no match", i)
				return nil
			}
			id, ok1 := row[0].(string)
			kind, ok2 := row[1].(string)
			depth, ok3 := row[2].(int64)
			key, ok4 := row[3].(string)
			if !ok1 || !ok2 || !ok3 || !ok4 {
				f.failed("found[%d] is no match", i)
			}
			out = append(out, match{registry.ID(id), registry.Kind(kind), int(depth), key})
		}
		return out
	})
	if err == nil && len(found) == 0 && search.Under != "" {
		_, err = s.GroupByPath(ctx, scope, search.Under)
	}
	if err != nil {
		return nil, err
	}
	if len(found) > registry.MaxMatching {
		return nil, registry.LimitExceeded("the search finds more than %d objects: narrow it and go in turns", registry.MaxMatching)
	}
	slices.SortFunc(found, func(a, b match) int { return strings.Compare(string(a.id), string(b.id)) })
	return found, nil
}
