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

var leaseGive = named("lease.give", `
	MATCH (l:Lease {name: $name, holder: $holder})
	SET l.holder = null, l.until = null`)

// leaseGiving bounds how long the end of a process waits for its leases.
const leaseGiving = 5 * time.Second

// holds takes or renews a lease, and says whether the holder has it.
func (s *Store) holds(ctx context.Context, name, holder string, lasts time.Duration) (bool, error) {
	now := s.now()
	n, _, err := one(ctx, s.writing(registry.Scope{}), leaseTake, params{"name": name, "holder": holder, "now": now, "until": now.Add(lasts)}, counted)
	if err != nil {
		return false, fmt.Errorf("take the lease %s: %w", name, err)
	}
	return n > 0, nil
}

// give gives a lease back, so that whoever comes next needs not wait until it has
// expired.
func (s *Store) give(ctx context.Context, name, holder string) error {
	if err := nothing(ctx, s.writing(registry.Scope{}), leaseGive, params{"name": name, "holder": holder}); err != nil {
		return fmt.Errorf("give the lease %s back: %w", name, err)
	}
	return nil
}

// giveAfter does the same when the context of the work may have ended; a failure
// is logged, since the lease expires by itself.
func (s *Store) giveAfter(ctx context.Context, name, holder string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseGiving)
	defer cancel()
	if err := s.give(ctx, name, holder); err != nil {
		s.log.Warn().Err(err).Str("work", name).Msg("a lease is left to expire")
	}
}

// inTurns does work again and again while this process holds the lease of that
// name, until the context ends: at once as long as there is more to do, else
// after a pause. What fails is logged and tried again.
func (s *Store) inTurns(ctx context.Context, name string, every, lasts time.Duration, work func(context.Context) (more bool, err error)) error {
	holder := string(newID())
	worked := false
	defer func() {
		if worked {
			s.giveAfter(ctx, name, holder)
		}
	}()
	for {
		more := false
		held, err := s.holds(ctx, name, holder, lasts)
		if held {
			worked = true
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
