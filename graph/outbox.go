package graph

import (
	"context"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

// The journal is the outbox of changes that go to an outside broker: up to
// where an account's were published stands in its Journal. One process at a time
// publishes; what it says of the cursor counts only while it is the one.

var (
	// Whoever publishes first of all begins with what happens from then on.
	outboxBegin = named("outbox.begin", `
		MATCH (l:Lease {name: 'events'})
		WHERE l.begun IS NULL
		SET l.begun = true
		WITH l
		MATCH (j:Journal) WHERE j.published IS NULL
		SET j.published = j.position`)

	outboxBacklogs = named("outbox.backlogs", `
		MATCH (j:Journal)
		WHERE j.position > coalesce(j.published, 0)
		MATCH (a:Entity {id: j.account})
		WHERE a:Account
		RETURN a.id AS account, a.name AS name, coalesce(j.published, 0) AS published, j.position AS last`)

	outboxMark = named("outbox.mark", `
		MATCH (l:Lease {name: 'events'})
		WHERE l.holder = $holder
		MATCH (j:Journal {account: $account})
		WHERE coalesce(j.published, 0) < $position
		SET j.published = $position`)
)

// LeadOutbox makes a process the only one that publishes changes for some time,
// or for longer; false if another one is.
func (s *Store) LeadOutbox(ctx context.Context, holder string, period time.Duration) (bool, error) {
	held, err := s.holds(ctx, "events", holder, period)
	if err != nil || !held {
		return false, err
	}
	if err := nothing(ctx, s.writing(registry.Scope{}), outboxBegin, nil); err != nil {
		return false, fmt.Errorf("begin the outbox: %w", err)
	}
	return true, nil
}

// LeaveOutbox lets another process publish at once.
func (s *Store) LeaveOutbox(ctx context.Context, holder string) error {
	return s.give(ctx, "events", holder)
}

// Backlogs returns the accounts with changes that were not published.
func (s *Store) Backlogs(ctx context.Context) ([]registry.Backlog, error) {
	found, err := all(ctx, s.reading(registry.Scope{}), outboxBacklogs, nil, func(f fields) registry.Backlog {
		return registry.Backlog{
			Scope:     registry.Scope{Account: f.id("account"), AccountName: f.text("name")},
			Published: required[int64](f, "published"), Last: required[int64](f, "last"),
		}
	})
	if err != nil {
		return nil, fmt.Errorf("backlogs: %w", err)
	}
	return found, nil
}

// Unpublished returns the next changes of an account after a position, as they
// are told: each with the object after it. What was swept before it was
// published is left out.
func (s *Store) Unpublished(ctx context.Context, scope registry.Scope, after int64, most int) ([]*registry.Change, error) {
	page := registry.PageRequest{Size: most, Key: fmt.Sprint(after)}
	found, err := s.ListChanges(ctx, scope, registry.ChangeFilter{Direction: registry.SortAscending}, page)
	if err != nil {
		return nil, err
	}
	return s.WithObjects(ctx, scope, found.Items)
}

// WithObjects returns changes with the object after each, where there is one.
// Those that were given stay as they are: others read them too.
func (s *Store) WithObjects(ctx context.Context, scope registry.Scope, changes []*registry.Change) ([]*registry.Change, error) {
	objects, err := s.ObjectAfter(ctx, scope, changes)
	if err != nil {
		return nil, err
	}
	out := make([]*registry.Change, len(changes))
	for i, c := range changes {
		whole := *c
		whole.After = objects[i]
		out[i] = &whole
	}
	return out, nil
}

// MarkPublished remembers that an account's changes up to a position were
// published, if the process still is the one that publishes.
func (s *Store) MarkPublished(ctx context.Context, scope registry.Scope, holder string, position int64) error {
	if err := nothing(ctx, s.writing(scope), outboxMark, params{"holder": holder, "position": position}); err != nil {
		return fmt.Errorf("mark as published: %w", err)
	}
	return nil
}
