package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// TwinSelection says which twins somebody follows.
type TwinSelection struct {
	// IDs are those of the twins, nil for all.
	IDs []registry.ID
	// Under is the path of a group: only what is in its sub-tree; empty for all.
	Under string
	// Where is nil if no rule narrows the selection.
	Where *rule.Rule
}

func (t TwinSelection) search() registry.Search {
	return registry.Search{Kinds: []registry.Kind{registry.KindDevice, registry.KindAsset}, IDs: t.IDs, Under: t.Under}
}

// TwinCandidates returns the ids of all twins that a selection may be about,
// whatever they measure: those that the rule is true of if what it asks of
// newest values is left out. LIMIT_EXCEEDED if they are more than most.
func (s *Store) TwinCandidates(ctx context.Context, scope registry.Scope, wanted TwinSelection, most int) ([]registry.ID, error) {
	where := wanted.Where
	if where != nil {
		where = where.Unmeasured()
	}
	tooMany := registry.LimitExceeded("more than %d twins would have to be followed: narrow them by under, by ids, or by a condition on the template or on an attribute that is searched", most)
	ids, err := s.twinIDs(ctx, scope, wanted.search(), where, nil, most+1)
	if walked(err) || len(ids) > most {
		return nil, tooMany
	}
	if err != nil {
		return nil, fmt.Errorf("twins to follow: %w", err)
	}
	return ids, nil
}

// walked says that a search was refused for how much it would walk through.
func walked(err error) bool {
	refused, ok := errors.AsType[*registry.Error](err)
	return ok && slices.ContainsFunc(refused.Violations, func(v registry.Violation) bool { return v.Rule == "walk" || v.Rule == "matches" })
}

// TwinsMatching returns those of some twins that are in a selection now. Live
// has their newest values, by id and measure.
func (s *Store) TwinsMatching(ctx context.Context, scope registry.Scope, wanted TwinSelection, ids []registry.ID, live map[string]any) (map[registry.ID]bool, error) {
	search := wanted.search()
	search.IDs = ids
	if live == nil {
		live = map[string]any{}
	}
	found, err := s.twinIDs(ctx, scope, search, wanted.Where, live, len(ids)+1)
	if err != nil {
		return nil, fmt.Errorf("match twins: %w", err)
	}
	matching := make(map[registry.ID]bool, len(found))
	for _, id := range found {
		matching[id] = true
	}
	return matching, nil
}

func (s *Store) twinIDs(ctx context.Context, scope registry.Scope, search registry.Search, where *rule.Rule, live map[string]any, limit int) ([]registry.ID, error) {
	plan, err := s.planRule(ctx, s.reading(scope), scope, search, where, live)
	if err != nil {
		return nil, err
	}
	plan.params["limit"] = limit
	text := "CALL () {\n" + plan.nodes() + "\n}\nWITH n LIMIT $limit\nRETURN collect(n.id) AS ids"
	ids, _, err := one(ctx, s.reading(scope), query{"search.ids", text}, plan.params, func(f fields) []registry.ID { return f.ids("ids") })
	return ids, err
}

var twinWithin = named("twin.within", `
	UNWIND $ids AS id
	MATCH (n:Entity {id: id})
	WHERE n.account = $account AND n:Device|Asset
	MATCH (n)<-[:COMPONENT_OF|PART_OF*1..32]-(x:Device|Asset)
	RETURN collect(DISTINCT x.id) AS ids`)

// WithinTwins returns the ids of everything that some twins consist of: it is
// where they are.
func (s *Store) WithinTwins(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]registry.ID, error) {
	within, _, err := one(ctx, s.reading(scope), twinWithin, params{"ids": texts(ids)}, func(f fields) []registry.ID { return f.ids("ids") })
	if err != nil {
		return nil, fmt.Errorf("parts of twins: %w", err)
	}
	return within, nil
}
