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
	// requeueWork ends a turn well before its lease does.
	requeueWork = requeueLease / 2
)

var (
	// Ids begin with the payload and the device.
	requeueVoid = named("requeue.void", `
		UNWIND $keys AS key
		MATCH (n:Requeue)
		WHERE n.id STARTS WITH key AND n.account = $account
		DELETE n`)

	requeueNote = named("requeue.note", `
		UNWIND $rows AS r
		CREATE (n:Requeue {id: r[0], account: $account, at: $at, twins: $twins, records: r[1]})`)

	requeueDone = named("requeue.done", `
		UNWIND $ids AS id
		MATCH (n:Requeue {id: id})
		WHERE n.account = $account
		DELETE n`)

	requeueDue = named("requeue.due", `
		MATCH (n:Requeue)
		WHERE $from <= n.at AND n.at < $before AND (n.at > $from OR n.id > $after)
		RETURN n{.id, .account, .at, .twins, .records} AS note ORDER BY n.at, n.id LIMIT 1`)
)

// Requeue is readings that are to be queued, as records of the queue, and the
// twins that lack them.
type Requeue struct {
	Note    registry.ID
	Twins   []registry.ID
	Scope   registry.Scope
	Records []byte
	at      int64
}

// requeues are notes to be written, and what their ids and those of earlier notes
// of the same payloads begin with.
type requeues struct {
	keys []string
	ids  []registry.ID
	rows []any
}

func requeuesOf(device registry.ID, undoings []registry.Undoing) (out requeues) {
	for _, u := range undoings {
		key := string(u.Payload) + "/" + string(device) + "/"
		if u.Valid {
			out.keys = append(out.keys, key)
		}
		if len(u.Records) > 0 {
			id := key + string(newID())
			out.ids, out.rows = append(out.ids, registry.ID(id)), append(out.rows, []any{id, u.Records})
		}
	}
	return out
}

// noteRequeues replaces what was noted of payloads: an older note would bring back
// what a newer template does not give.
func (s *Store) noteRequeues(ctx context.Context, tx *transaction, notes requeues, twins []registry.ID) error {
	if err := nothing(ctx, tx, requeueVoid, params{"keys": listed(notes.keys)}); err != nil || len(notes.rows) == 0 {
		return err
	}
	return nothing(ctx, tx, requeueNote, params{"rows": notes.rows, "at": s.now().UnixMilli(), "twins": texts(twins)})
}

// Requeued forgets readings that were noted, since they are in the queue.
func (s *Store) Requeued(ctx context.Context, scope registry.Scope, notes ...registry.ID) error {
	if err := nothing(ctx, s.writing(scope), requeueDone, params{"ids": texts(notes)}); err != nil {
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

// RequeueSome passes on what was noted before a time to one who queues it and
// then calls Requeued, the oldest first, and says whether there is more than it
// had the time for. What cannot be queued stays, and those after it have their
// turn all the same, unless a store is down.
func (s *Store) RequeueSome(ctx context.Context, before time.Time, queue func(context.Context, Requeue) error) (more bool, err error) {
	var failed []error
	var last Requeue
	for start := time.Now(); time.Since(start) < requeueWork; {
		// One at a time: a newer Undo may void those that were to follow.
		note, found, err := one(ctx, s.reading(registry.Scope{}), requeueDue, params{"from": last.at, "after": string(last.Note), "before": before.UnixMilli()}, func(f fields) Requeue {
			n := f.nested("note")
			return Requeue{n.id("id"), n.ids("twins"), registry.Scope{Account: n.id("account")}, required[[]byte](n, "records"), required[int64](n, "at")}
		})
		if err != nil {
			return false, errors.Join(append(failed, fmt.Errorf("readings to queue: %w", err))...)
		}
		if !found {
			return false, errors.Join(failed...)
		}
		if err := queue(ctx, note); err != nil {
			failed = append(failed, fmt.Errorf("note %s of account %s: %w", note.Note, note.Scope.Account, err))
			if registry.CodeOf(err) == registry.CodeUnavailable {
				return false, errors.Join(failed...)
			}
		}
		last = note
	}
	return true, errors.Join(failed...)
}
