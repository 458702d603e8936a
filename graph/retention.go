package graph

import (
	"context"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

// History may be kept for some time only. The moment from which on it is kept is
// the horizon; it stands in each account's Journal before anything goes. What
// history needs at the horizon stays: of each object that was there its newest
// snapshot until then, as the base from which the past is told.

const (
	// retentionTurn is how often the horizon moves on, retentionLease for how long
	// another process leaves it to the one that moved it last.
	retentionTurn  = 10 * time.Minute
	retentionLease = 30 * time.Minute
	// sweptAtOnce is how many changes, relationships or objects one transaction
	// looks at, sweptOfOne how many changes of one object.
	sweptAtOnce = 200
	sweptOfOne  = 100
)

var (
	// The accounts that are older than the horizon: each has changes before it.
	historyAccounts = named("history.accounts", `
		MATCH (j:Journal)
		WHERE j.keptAt IS NULL OR j.keptAt < $horizon
		MATCH (a:Entity {id: j.account})
		WHERE a:Account AND a.createdAt <= $horizon
		RETURN a.id AS account`)

	historyHorizon = named("history.horizon", `
		MATCH (j:Journal {account: $account})
		SET j.keptAt = $horizon`)

	historyKept = named("history.kept", `
		MATCH (j:Journal {account: $account})
		RETURN j.keptAt AS keptAt`)

	// The next changes before the horizon, and of whom they are.
	historyNext = named("history.next", `
		MATCH (j:Journal {account: $account})
		CALL (j) {
			MATCH (c:Change)
			WHERE c.account = $account AND c.position > coalesce(j.kept, 0) AND c.position <= $upto
			RETURN c.object AS object, c.position AS position ORDER BY c.account, c.position LIMIT $most
		}
		RETURN collect(DISTINCT object) AS ids, coalesce(max(position), 0) AS position`)

	// The base of an object is its newest snapshot, unless it was deleted. All
	// else goes, first what only changed it: it counts as made until it is known to
	// be made by its base, or gone.
	historySweep = named("history.sweep", `
		UNWIND $ids AS id
		CALL (id) {
			MATCH (c:Change) USING INDEX c:Change(object, position)
			WHERE c.object = id AND c.position <= $upto AND c.account = $account AND (c.after IS NOT NULL OR c.operation = 'DELETE')
			RETURN c AS last ORDER BY c.object DESC, c.position DESC LIMIT 1
		}
		CALL (id, last) {
			MATCH (c:Change) USING INDEX c:Change(object, position)
			WHERE c.object = id AND c.position <= $upto AND c.account = $account AND c.operation = 'UPDATE' AND c.base IS NULL AND c <> last
			WITH c LIMIT $most
			DELETE c
			RETURN count(c) AS updates
		}
		CALL (id, last, updates) {
			WITH id, last, updates WHERE updates < $most
			WITH id, last, CASE last.operation WHEN 'DELETE' THEN [] ELSE [last] END AS bases
			OPTIONAL MATCH (c:Change)
			WHERE c.object = id AND c.position <= $upto AND c.account = $account AND NOT c IN bases
			WITH bases, collect(c) AS rest
			FOREACH (base IN bases | SET base.base = true)
			FOREACH (c IN rest | DELETE c)
			RETURN count(*) AS done
		}
		RETURN coalesce(max(updates), 0) AS n`)

	historyMoved = named("history.moved", `
		MATCH (j:Journal {account: $account})
		SET j.kept = $position`)

	// What ended before the horizon. The horizon is the same for all accounts.
	historyEnded = func() []query {
		var out []query
		for i, past := range []string{"WAS_RELATED", "WAS_CHILD_OF", "WAS_APPLIES_TO", "WAS_PART_OF", "WAS_COMPONENT_OF"} {
			out = append(out, named(fmt.Sprintf("history.ended%d", i), `
		MATCH ()-[r:`+past+`]->()
		WHERE r.until <= $before
		WITH r LIMIT $most
		DELETE r
		RETURN count(*) AS n`))
		}
		return append(out, named("history.gone", `
		MATCH (n:Gone)
		WHERE n.goneAt <= $before
		WITH n LIMIT $most
		DETACH DELETE n
		RETURN count(*) AS n`))
	}()
)

// KeepHistory keeps the history of some time only, as long as the context lives.
// Any number of processes may run it.
func (s *Store) KeepHistory(ctx context.Context, period time.Duration) error {
	return s.inTurns(ctx, "history", retentionTurn, retentionLease, func(ctx context.Context) (more bool, err error) {
		return false, s.SweepHistory(ctx, s.now().Add(-period))
	})
}

// SweepHistory moves the horizon on and removes what is not needed from it on,
// in many small transactions. Two at once do no harm.
func (s *Store) SweepHistory(ctx context.Context, horizon time.Time) error {
	horizon = horizon.UTC().Truncate(time.Millisecond)
	accounts, err := all(ctx, s.reading(registry.Scope{}), historyAccounts, params{"horizon": horizon}, func(f fields) registry.ID { return f.id("account") })
	if err != nil {
		return fmt.Errorf("accounts with history: %w", err)
	}
	for _, account := range accounts {
		if err := nothing(ctx, s.writing(registry.Scope{Account: account}), historyHorizon, params{"horizon": horizon}); err != nil {
			return fmt.Errorf("set the horizon of account %s: %w", account, err)
		}
	}
	for _, account := range accounts {
		if err := s.sweepChanges(ctx, registry.Scope{Account: account}, horizon); err != nil {
			return fmt.Errorf("sweep the changes of account %s: %w", account, err)
		}
	}
	for _, q := range historyEnded {
		for n := sweptAtOnce; n == sweptAtOnce; {
			if n, _, err = one(ctx, s.writing(registry.Scope{}), q, params{"before": horizon.UnixMilli(), "most": sweptAtOnce}, counted); err != nil {
				return fmt.Errorf("sweep the past: %w", err)
			}
		}
	}
	return nil
}

// sweepChanges removes an account's changes until the horizon, but for the bases.
func (s *Store) sweepChanges(ctx context.Context, scope registry.Scope, horizon time.Time) error {
	upto, ok, err := one(ctx, s.reading(scope), changeLast, params{"at": horizon}, func(f fields) int64 { return required[int64](f, "n") })
	if err != nil || !ok {
		return err
	}
	type part struct {
		ids      []registry.ID
		position int64
	}
	for {
		next, _, err := one(ctx, s.reading(scope), historyNext, params{"upto": upto, "most": sweptAtOnce}, func(f fields) part {
			return part{f.ids("ids"), required[int64](f, "position")}
		})
		if err != nil || len(next.ids) == 0 {
			return err
		}
		for n := sweptOfOne; n == sweptOfOne; {
			if n, _, err = one(ctx, s.writing(scope), historySweep, params{"ids": texts(next.ids), "upto": upto, "most": sweptOfOne}, counted); err != nil {
				return err
			}
		}
		if err := nothing(ctx, s.writing(scope), historyMoved, params{"position": next.position}); err != nil {
			return err
		}
	}
}

// CheckMoment says whether an account's history reaches back to a moment:
// CURSOR_EXPIRED if it does not any more.
func (s *Store) CheckMoment(ctx context.Context, scope registry.Scope, at time.Time) error {
	kept, _, err := one(ctx, s.reading(scope), historyKept, nil, func(f fields) *time.Time { return f.optionalTime("keptAt") })
	if err != nil {
		return fmt.Errorf("horizon: %w", err)
	}
	if kept != nil && at.Before(*kept) {
		return &registry.Error{Code: registry.CodeCursorExpired, Field: "asOf",
			Message: fmt.Sprintf("history is kept from %s on: ask about a later moment", moment(*kept))}
	}
	return nil
}
