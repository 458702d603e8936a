package graph

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

// What replaces measurements that were undone is noted in the same transaction,
// until it is in the queue: whoever was to queue it may die in between.

const (
	requeueTurn, requeueLease = 10 * time.Second, 2 * time.Minute
	// requeueAfter leaves a note to the one who wrote it, for so long.
	requeueAfter = time.Minute
	// requeuesAtOnce bounds the notes in memory, each of some MiB.
	requeuesAtOnce = 5
)

var (
	requeueNote = named("requeue.note", `
		CREATE (n:Requeue {id: $id, account: $account, at: $at, twins: $twins, records: $records})`)

	requeueDone = named("requeue.done", `
		MATCH (n:Requeue {id: $id})
		WHERE n.account = $account
		DELETE n`)

	requeueDue = named("requeue.due", `
		MATCH (n:Requeue)
		WHERE n.at < $before
		RETURN n{.id, .account, .twins, .records} AS note ORDER BY n.at LIMIT $limit`)
)

// Requeue is readings that are to be queued, as records of the queue, and the
// twins that lack them.
type Requeue struct {
	registry.Undone
	Scope   registry.Scope
	Records []byte
}

func (s *Store) noteRequeue(ctx context.Context, tx *transaction, undone registry.Undone, records []byte) error {
	return nothing(ctx, tx, requeueNote, params{"id": string(undone.Note), "at": s.now().UnixMilli(), "twins": texts(undone.Twins), "records": records})
}

// Requeued forgets readings that were noted, since they are in the queue.
func (s *Store) Requeued(ctx context.Context, scope registry.Scope, note registry.ID) error {
	if err := nothing(ctx, s.writing(scope), requeueDone, params{"id": string(note)}); err != nil {
		return fmt.Errorf("forget readings that are in the queue: %w", err)
	}
	return nil
}

// KeepRequeueing queues what was noted and not queued, as long as the context
// lives. Any number of processes may run it: one at a time works.
func (s *Store) KeepRequeueing(ctx context.Context, queue func(context.Context, Requeue) error) error {
	return s.inTurns(ctx, "requeueing", requeueTurn, requeueLease, func(ctx context.Context) (more bool, err error) {
		return s.RequeueSome(ctx, s.now().Add(-requeueAfter), queue)
	})
}

// RequeueSome queues some of what was noted before a time, and says whether
// there is more.
func (s *Store) RequeueSome(ctx context.Context, before time.Time, queue func(context.Context, Requeue) error) (more bool, err error) {
	due, err := all(ctx, s.reading(registry.Scope{}), requeueDue, params{"before": before.UnixMilli(), "limit": requeuesAtOnce}, func(f fields) Requeue {
		n := f.nested("note")
		return Requeue{registry.Undone{Note: n.id("id"), Twins: n.ids("twins")}, registry.Scope{Account: n.id("account")}, required[[]byte](n, "records")}
	})
	if err != nil {
		return false, fmt.Errorf("readings to queue: %w", err)
	}
	var failed []error
	for _, note := range due {
		err := queue(ctx, note)
		if err == nil {
			err = s.Requeued(ctx, note.Scope, note.Note)
		}
		failed = append(failed, err) // another note may still be queued
	}
	err = errors.Join(failed...)
	return err == nil && len(due) == requeuesAtOnce, err
}
