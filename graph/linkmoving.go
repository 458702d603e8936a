package graph

import (
	"context"
	"errors"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// moveOn takes one turn of a link's move and says whether there are more.
func (s *Store) moveOn(ctx context.Context, scope registry.Scope, link, device registry.ID) (more bool, err error) {
	err = write(ctx, s, scope, "move", func(ctx context.Context, tx *transaction) error {
		more = false
		// Readings of the device wait: what they are sorted by changes.
		if err := s.raiseTopology(ctx, tx, device); err != nil {
			return err
		}
		m := linkMove{store: s, tx: tx, device: device, link: string(link), measures: map[string]assetMeasure{}}
		_, found, err := one(ctx, tx, moveState, params{"device": string(device), "link": string(link)}, func(f fields) struct{} {
			m.asset, m.since, m.frontier = f.id("asset"), required[int64](f, "since"), required[int64](f, "frontier")
			from, to, units, types := f.texts("deviceMeasures"), f.texts("assetMeasures"), f.texts("units"), f.texts("types")
			for i := range from {
				m.measures[from[i]] = assetMeasure{to[i], units[i], registry.ValueType(types[i])}
			}
			return struct{}{}
		})
		if err != nil || !found {
			return err
		}
		more, err = m.step(ctx)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("move what link %s has measured: %w", link, err)
	}
	return more, nil
}

// moveSoon goes on with a move: the first turns at once, the others in the
// background. What an interruption leaves is taken up by MoveLinks.
func (s *Store) moveSoon(ctx context.Context, scope registry.Scope, link, device registry.ID) {
	turn := func(ctx context.Context) bool {
		more, err := s.moveOn(ctx, scope, link, device)
		if err != nil && s.closing.Err() == nil {
			s.log.Warn().Err(err).Str("link", string(link)).Msg("moving measurements is left for later")
		}
		return more && err == nil
	}
	for range moveTurns {
		if !turn(ctx) {
			return
		}
	}
	s.background.Go(func() {
		for turn(s.closing) {
		}
	})
}

// MoveLinks goes on with moves that were interrupted, as long as the context
// lives. Any number of processes may run it: one at a time works.
func (s *Store) MoveLinks(ctx context.Context) error {
	return s.inTurns(ctx, "moving", moveTurn, moveLease, s.moveSome)
}

// moveSome takes one turn of each move that is not done.
func (s *Store) moveSome(ctx context.Context) (more bool, err error) {
	due, _, err := one(ctx, s.reading(registry.Scope{}), moveDue, params{"none": -1}, func(f fields) [][3]string {
		var out [][3]string
		for _, item := range f.list("due") {
			list, _ := item.([]any)
			var one [3]string
			for i := range min(len(list), len(one)) {
				one[i], _ = list[i].(string)
			}
			out = append(out, one)
		}
		return out
	})
	if err != nil {
		return false, fmt.Errorf("moves that are not done: %w", err)
	}
	var failed []error
	for _, d := range due {
		again, err := s.moveOn(ctx, registry.Scope{Account: registry.ID(d[0])}, registry.ID(d[2]), registry.ID(d[1]))
		failed = append(failed, err) // another move may still go on
		more = more || again
	}
	return more, errors.Join(failed...)
}
