package graph

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
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
}

// DeleteMatching deletes everything that a search finds, in one transaction:
// devices and assets first, then groups, the deepest first. What is in the way
// of one group, and is not found itself, refuses all of it.
func (s *Store) DeleteMatching(ctx context.Context, scope registry.Scope, m registry.Matching) (*registry.Matched, error) {
	var gone []registry.ID
	out, err := s.matching(ctx, scope, "matching.delete", m, nil, func(ctx context.Context, tx *transaction, found []match) error {
		for _, kind := range []registry.Kind{registry.KindDevice, registry.KindAsset} {
			refs := refsOfKind(found, kind)
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
			if err := refusal(placeIn(noun(kind)+"s"), out); err != nil {
				return err
			}
			tx.onCommit(func() {
				gone = append(gone, d.components...)
				for _, ref := range refs {
					gone = append(gone, ref.ID)
				}
			})
		}
		groups := slices.DeleteFunc(slices.Clone(found), func(m match) bool { return m.kind != registry.KindGroup })
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
func (s *Store) UpdateMatching(ctx context.Context, scope registry.Scope, m registry.Matching, patch registry.MatchingPatch) (*registry.Matched, error) {
	return s.matching(ctx, scope, "matching.update", m, patch, func(ctx context.Context, tx *transaction, found []match) error {
		for _, kind := range registry.Kinds {
			refs := refsOfKind(found, kind)
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
			if err := refusal(placeIn(noun(kind)+"s"), out); err != nil {
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

func refsOfKind(found []match, kind registry.Kind) []registry.Ref {
	var refs []registry.Ref
	for _, m := range found {
		if m.kind == kind {
			refs = append(refs, registry.Ref{ID: m.id, Kind: kind})
		}
	}
	return refs
}

// matching finds what is to be worked on, under the journal's lock, and works on
// it. A rehearsal only finds it.
func (s *Store) matching(ctx context.Context, scope registry.Scope, name string, m registry.Matching, patch any, work func(context.Context, *transaction, []match) error) (*registry.Matched, error) {
	if m.Where == "" && m.Under == "" && len(m.Templates) == 0 {
		return nil, registry.InvalidField("where", "required", "say what is meant: where, under or templates")
	}
	m.OrderBy = nil
	var out *registry.Matched
	find := func(ctx context.Context, r runner) ([]match, error) {
		found, err := s.matches(ctx, r, scope, m.Search)
		if err != nil {
			return nil, err
		}
		out = &registry.Matched{Matched: len(found)}
		out.Token, err = matchingToken(scope, name, m.Search, patch, found)
		if err == nil && m.Token != "" && m.Token != out.Token {
			err = registry.Conflict("token", "the search finds other objects now, or something else was asked for, than when the token was made: rehearse again")
		}
		return found, err
	}
	if m.Rehearse {
		_, err := find(ctx, s.reading(scope))
		return out, err
	}
	// Found outside the turn first: what is refused takes none, and the database
	// has planned the search when the turn comes.
	if _, err := find(ctx, s.reading(scope)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	err := change(ctx, s, scope, name, func(ctx context.Context, tx *transaction) error {
		found, err := find(ctx, tx)
		if err != nil {
			return err
		}
		before := len(tx.entries)
		if err := work(ctx, tx, found); err != nil {
			return err
		}
		out.Done = len(found)
		if name == "matching.update" {
			out.Done = len(tx.entries) - before
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.sweepSoon(ctx, scope)
	return out, nil
}

// matches are the objects that a search finds, in the order of their ids.
func (s *Store) matches(ctx context.Context, r runner, scope registry.Scope, search registry.Search) ([]match, error) {
	plan, err := s.planSearch(ctx, r, scope, search)
	if err != nil {
		return nil, err
	}
	text := "CALL () {\n" + plan.nodes() + "\n}\nWITH n LIMIT " + fmt.Sprint(registry.MaxMatching+1) +
		"\nRETURN collect([n.id, CASE WHEN n:Group THEN 'GROUP' WHEN n:Device THEN 'DEVICE' ELSE 'ASSET' END, coalesce(n.depth, 0)]) AS found"
	found, _, err := one(ctx, r, query{"search.matches", text}, plan.params, func(f fields) []match {
		var out []match
		for i, item := range f.list("found") {
			row, ok := item.([]any)
			if !ok || len(row) != 3 {
				f.failed("found[%d] is no match", i)
				return nil
			}
			id, ok1 := row[0].(string)
			kind, ok2 := row[1].(string)
			depth, ok3 := row[2].(int64)
			if !ok1 || !ok2 || !ok3 {
				f.failed("found[%d] is no match", i)
			}
			out = append(out, match{registry.ID(id), registry.Kind(kind), int(depth)})
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

// matchingToken stands for what is to be done with which objects.
func matchingToken(scope registry.Scope, name string, search registry.Search, patch any, found []match) (string, error) {
	hash := sha256.New()
	ids := make([]registry.ID, len(found))
	for i, m := range found {
		ids[i] = m.id
	}
	if err := json.NewEncoder(hash).Encode([]any{scope.Account, name, search, patch, ids}); err != nil {
		return "", fmt.Errorf("token of a search: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(hash.Sum(nil)), nil
}
