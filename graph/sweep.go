package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// A deleted twin leaves series that nobody can see any more. They go in turns,
// each a transaction of at most 10,000 measurements: the first turns before the
// deletion is reported, the rest in the background. What an interruption leaves
// goes with the account's next deletion.

// foregroundTurns is how many turns a deletion waits for.
const foregroundTurns = 3

var (
	// A bucket that another series shares only loses its relationship to the
	// orphaned one. Of one that is nobody else's, measurements go first.
	orphansSweep = named("series.sweep", `
		MATCH (s:Orphaned)
		WHERE s.account = $account
		WITH s LIMIT 1
		OPTIONAL MATCH (s)-[held:HAS_BUCKET]->(b:Bucket)
		WITH s, held, b LIMIT 50
		CALL (s, held, b) {
			WITH s, held, b WHERE b IS NOT NULL AND EXISTS { (b)<-[:HAS_BUCKET]-(o:Series) WHERE NOT o:Orphaned }
			DELETE held
			RETURN count(*) AS released
		}
		CALL (s, held, b) {
			WITH s, held, b WHERE b IS NOT NULL AND NOT EXISTS { (b)<-[:HAS_BUCKET]-(o:Series) WHERE NOT o:Orphaned }
			OPTIONAL MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WITH b, m LIMIT 200
			DETACH DELETE m
			RETURN count(m) AS measurements
		}
		CALL (b, measurements) {
			WITH b WHERE b IS NOT NULL AND measurements = 0 AND NOT EXISTS { (b)<-[:HAS_BUCKET]-(o:Series) WHERE NOT o:Orphaned }
			DETACH DELETE b
			RETURN count(*) AS emptied
		}
		WITH s, sum(released) + sum(measurements) + sum(emptied) AS done
		CALL (s, done) {
			WITH s WHERE done = 0
			DETACH DELETE s
			RETURN count(*) AS gone
		}
		RETURN done + gone AS n`)
)

// sweepSoon begins to remove what a deletion left. A failure is logged: the
// deletion itself is done.
func (s *Store) sweepSoon(ctx context.Context, scope registry.Scope) {
	for range foregroundTurns {
		more, err := s.sweep(ctx, scope)
		if err != nil {
			s.log.Warn().Err(err).Str("account", string(scope.Account)).Msg("measurements of a deleted twin are left for later")
		}
		if err != nil || !more {
			return
		}
	}
	s.background.Go(func() {
		for {
			more, err := s.sweep(s.closing, scope)
			if err != nil && s.closing.Err() == nil {
				s.log.Warn().Err(err).Str("account", string(scope.Account)).Msg("measurements of a deleted twin are left for later")
			}
			if err != nil || !more {
				return
			}
		}
	})
}

// sweep takes one turn and says whether there may be more to do.
func (s *Store) sweep(ctx context.Context, scope registry.Scope) (more bool, err error) {
	n, _, err := one(ctx, s.writing(scope), orphansSweep, nil, counted)
	if err != nil {
		return false, fmt.Errorf("sweep series: %w", err)
	}
	return n > 0, nil
}
