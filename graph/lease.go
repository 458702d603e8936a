package graph

import (
	"context"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

// Work that one process at a time does in the background has a lease: a node
// by its name. Whoever holds it renews it with every turn; when a holder dies,
// another one takes over once it has expired.
var leaseTake = named("lease.take", `
	MERGE (l:Lease {name: $name})
	SET l.turn = true
	WITH l
	WHERE l.holder IS NULL OR l.holder = $holder OR l.until < $now
	SET l.holder = $holder, l.until = $until
	RETURN count(l) AS n`)

// holds takes or renews a lease, and says whether the holder has it.
func (s *Store) holds(ctx context.Context, name, holder string, lasts time.Duration) (bool, error) {
	now := s.now()
	n, _, err := one(ctx, s.writing(registry.Scope{}), leaseTake, params{"name": name, "holder": holder, "now": now, "until": now.Add(lasts)}, counted)
	if err != nil {
		return false, fmt.Errorf("take the lease %s: %w", name, err)
	}
	return n > 0, nil
}

// inTurns does work again and again while this process holds the lease of that
// name, until the context ends: at once as long as there is more to do, else
// after a pause. What fails is logged and tried again.
func (s *Store) inTurns(ctx context.Context, name string, every, lasts time.Duration, work func(context.Context) (more bool, err error)) error {
	holder := string(newID())
	for {
		more := false
		held, err := s.holds(ctx, name, holder, lasts)
		if held {
			more, err = work(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn().Err(err).Str("work", name).Msg("work in the background is left for later")
		}
		if more && err == nil && ctx.Err() == nil {
			continue
		}
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}
