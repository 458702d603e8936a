package graph

import (
	"context"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// ChangeSelection says which changes somebody who follows them wants.
type ChangeSelection struct {
	// Kinds are those of the objects; all if empty.
	Kinds []registry.ObjectKind
	// Under is a group: what is below it before a change or after; empty for all.
	Under registry.ID
	where *rule.Rule
}

// SetWhere narrows the selection to objects that a rule is true of. INVALID if
// it is no rule, or asks for more than the object itself.
func (c *ChangeSelection) SetWhere(text string) error {
	where, err := rule.Parse(text)
	if err != nil {
		return err
	}
	if where.NeedsNeighbours() {
		return registry.InvalidField("where", "unsupported", "a rule for changes is about the object itself, not about what is around it, such as its groups and relations")
	}
	c.where = where
	return nil
}

// SelectChanges keeps the changes of a selection.
func (s *Store) SelectChanges(ctx context.Context, scope registry.Scope, wanted ChangeSelection, changes []*registry.Change) ([]*registry.Change, error) {
	keep := func(fits func(*registry.Change) bool) {
		var kept []*registry.Change
		for _, c := range changes {
			if fits(c) {
				kept = append(kept, c)
			}
		}
		changes = kept
	}
	if len(wanted.Kinds) > 0 {
		keep(func(c *registry.Change) bool { return slices.Contains(wanted.Kinds, c.Kind) })
	}
	if wanted.Under != "" && len(changes) > 0 {
		inside, err := s.ChangesUnder(ctx, scope, wanted.Under, changes)
		if err != nil {
			return nil, err
		}
		keep(func(c *registry.Change) bool { return inside[c.Position] })
	}
	if wanted.where == nil || len(changes) == 0 {
		return changes, nil
	}
	matching, err := s.changesMatching(ctx, scope, wanted.where, changes)
	if err != nil {
		return nil, err
	}
	keep(func(c *registry.Change) bool { return matching[c.Position] })
	return changes, nil
}

// changesMatching says of which changes a rule is true, of the object before or
// after, by position.
func (s *Store) changesMatching(ctx context.Context, scope registry.Scope, where *rule.Rule, changes []*registry.Change) (map[int64]bool, error) {
	matching := map[int64]bool{}
	for _, c := range changes {
		if c.Kind != registry.ObjectGroup && c.Kind != registry.ObjectDevice && c.Kind != registry.ObjectAsset {
			continue
		}
		for _, at := range []int64{c.At.UnixMilli(), c.At.UnixMilli() - 1} {
			then := scope
			moment := time.UnixMilli(at).UTC()
			then.AsOf = &moment
			known, err := s.past(ctx, then, []registry.ID{c.ObjectID})
			if err != nil {
				return nil, err
			}
			thing, ok := known[c.ObjectID].(registry.Related)
			if !ok {
				continue
			}
			templates, err := s.TemplatesByID(ctx, then, []registry.ID{templateIDOf(thing)})
			if err != nil {
				return nil, err
			}
			name := ""
			if templates[0] != nil {
				name = templates[0].Name
			}
			if where.Match(rule.Thing{Of: thing, Template: name}) {
				matching[c.Position] = true
				break
			}
		}
	}
	return matching, nil
}
