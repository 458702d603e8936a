package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

// Subscribers are clients of the gateways that want to be told of changes also
// after they were away. They are remembered here and not in a gateway, so that
// they may come back to another one, or after a restart.

// maxSubscribers bounds those of an account: a client chooses its name itself.
const maxSubscribers = 1000

var (
	subscriberFind = named("subscriber.find", `
		MATCH (s:Subscriber {account: $account, client: $client})
		WHERE s.until > $now
		RETURN s.filters AS filters, s.position AS position, s.until AS until`)

	subscriberKeep = named("subscriber.keep", `
		OPTIONAL MATCH (known:Subscriber {account: $account, client: $client})
		CALL (known) {
			WITH known WHERE known IS NULL
			MATCH (s:Subscriber) WHERE s.account = $account AND s.client >= ''
			RETURN count(s) AS others
			UNION
			WITH known WHERE known IS NOT NULL
			RETURN 0 AS others
		}
		CALL (others) {
			WITH others WHERE others < $most
			MERGE (s:Subscriber {account: $account, client: $client})
			SET s.filters = $filters, s.position = $position, s.until = $until
			RETURN count(s) AS n
		}
		RETURN n`)

	subscriberForget = named("subscriber.forget", `
		MATCH (s:Subscriber {account: $account, client: $client})
		DELETE s`)

	// Never backwards: a client may have come back to another gateway meanwhile.
	subscriberMove = named("subscriber.move", `
		UNWIND $moves AS move
		MATCH (s:Subscriber {account: $account, client: move.client})
		SET s.until = move.until, s.position = CASE WHEN move.position > s.position THEN move.position ELSE s.position END`)

	subscriberExpire = named("subscriber.expire", `
		MATCH (s:Subscriber)
		WHERE s.until <= $now
		WITH s LIMIT 1000
		DELETE s`)
)

// Subscriber returns what is remembered of a client, nil if nothing is.
func (s *Store) Subscriber(ctx context.Context, scope registry.Scope, client string) (*registry.Subscriber, error) {
	found, ok, err := one(ctx, s.reading(scope), subscriberFind, params{"client": client, "now": s.now()}, func(f fields) *registry.Subscriber {
		out := &registry.Subscriber{Client: client, Position: required[int64](f, "position"), Until: f.time("until")}
		if err := json.Unmarshal([]byte(f.text("filters")), &out.Filters); err != nil {
			f.failed("filters of subscriber %s: %v", client, err)
		}
		return out
	})
	if err != nil || !ok {
		return nil, err
	}
	return found, nil
}

// KeepSubscriber remembers a client, in place of what was remembered of it.
// LIMIT_EXCEEDED if the account has too many.
func (s *Store) KeepSubscriber(ctx context.Context, scope registry.Scope, subscriber registry.Subscriber) error {
	filters, err := json.Marshal(subscriber.Filters)
	if err != nil {
		return fmt.Errorf("subscriber %s: %w", subscriber.Client, err)
	}
	n, _, err := one(ctx, s.writing(scope), subscriberKeep, params{
		"client": subscriber.Client, "filters": string(filters), "position": subscriber.Position, "until": subscriber.Until, "most": maxSubscribers,
	}, counted)
	if err != nil {
		return fmt.Errorf("subscriber %s: %w", subscriber.Client, err)
	}
	if n == 0 {
		return registry.LimitExceeded("an account has at most %d clients that are remembered while they are away", maxSubscribers)
	}
	return nil
}

// ForgetSubscriber forgets a client.
func (s *Store) ForgetSubscriber(ctx context.Context, scope registry.Scope, client string) error {
	if err := nothing(ctx, s.writing(scope), subscriberForget, params{"client": client}); err != nil {
		return fmt.Errorf("forget subscriber %s: %w", client, err)
	}
	return nil
}

// MoveSubscribers remembers how far clients of an account were told.
func (s *Store) MoveSubscribers(ctx context.Context, scope registry.Scope, moves []registry.SubscriberMove) error {
	rows := make([]any, len(moves))
	for i, m := range moves {
		rows[i] = map[string]any{"client": m.Client, "position": m.Position, "until": m.Until.UTC()}
	}
	if err := nothing(ctx, s.writing(scope), subscriberMove, params{"moves": rows}); err != nil {
		return fmt.Errorf("move subscribers: %w", err)
	}
	return nil
}

// ExpireSubscribers forgets clients that did not come back in time.
func (s *Store) ExpireSubscribers(ctx context.Context, now time.Time) error {
	if err := nothing(ctx, s.writing(registry.Scope{}), subscriberExpire, params{"now": now}); err != nil {
		return fmt.Errorf("expire subscribers: %w", err)
	}
	return nil
}
