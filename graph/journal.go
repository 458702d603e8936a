package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// The journal. Every change of an account's objects takes the lock of its
// journal first, so that changes happen one after the other: what a change
// reads is what it changes, positions have no gaps, moments only rise, and two
// changes never wait for each other in a circle. Readings and readers do not
// take it (docs/adr/0013-one-writer-an-account.md).

var (
	// Setting a property takes the node's lock; what is returned is read under it.
	journalBegin = named("journal.begin", `
		MATCH (j:Journal {account: $account})
		SET j.turn = true
		WITH j
		RETURN j.position AS position, j.structure AS structure, j.at AS at`)

	journalAppend = named("journal.append", `
		MATCH (j:Journal {account: $account})
		SET j.position = $position, j.structure = $structure, j.at = $at
		WITH j
		UNWIND $changes AS change
		CREATE (c:Change {account: $account, at: $at, actor: $actor, actorName: $actorName, request: $request, `+changeRow+`})`)
)

// changeRow are the properties of a change that are its own, from a list: maps
// take longer to send and to read. Entry.row makes the list.
const changeRow = `position: change[0], kind: change[1], object: change[2], key: change[3], keyFold: change[4], operation: change[5],
	action: change[6], version: change[7], structure: change[8], diff: change[9], before: change[10], after: change[11]`

// appendedAtOnce bounds one query that writes changes down.
const appendedAtOnce = 1000

// journal is what a transaction knows of its account's journal.
type journal struct {
	position, structure int64
	// at is the moment of the transaction.
	at      time.Time
	entries []entry
	// ended counts the objects that lost relations because others were deleted.
	ended int
	// committed is called once the transaction is.
	committed []func()
}

// entry is one change as it is recorded.
type entry struct {
	kind      registry.ObjectKind
	id        registry.ID
	key       string
	operation registry.ChangeOperation
	action    string
	version   int
	// before and after are snapshots. An entry that is only about relations has
	// neither.
	before, after map[string]any
	// relations are differences beside those of the snapshots.
	relations []registry.Difference
	// structural entries concern where groups are, or policies: what is kept of
	// the hierarchy in memory is brought up to date by them.
	structural bool
}

// change runs work as a change of an account's objects: one managed write
// transaction that holds the journal's lock, at the moment tx.at, and writes
// down what work records. Work may run again, as with write. If it records
// nothing, nothing is written down.
func change(ctx context.Context, s *Store, scope registry.Scope, name string, work func(ctx context.Context, tx *transaction) error) error {
	if scope.Rehearsal != nil {
		return fmt.Errorf("graph: %s cannot be rehearsed by trying", name)
	}
	var last *transaction
	err := write(ctx, s, scope, name, func(ctx context.Context, tx *transaction) error {
		last = tx
		if err := tx.begin(ctx); err != nil {
			return err
		}
		if err := work(ctx, tx); err != nil {
			return err
		}
		return tx.writeDown(ctx)
	})
	if err != nil {
		return err
	}
	for _, committed := range last.committed {
		committed()
	}
	if len(last.entries) > 0 {
		if ids := last.knownChanged(); len(ids) > 0 && s.knownChanged != nil {
			s.knownChanged(ids)
		}
		s.Wake(scope.Account)
		if s.changed != nil {
			s.changed(scope.Account)
		}
	}
	return nil
}

// onCommit notes what is to be done once the transaction is committed.
func (t *transaction) onCommit(f func()) { t.committed = append(t.committed, f) }

// begin waits for the account's other writers and takes their place.
func (t *transaction) begin(ctx context.Context) error {
	last, ok, err := one(ctx, t, journalBegin, nil, func(f fields) journal {
		return journal{position: int64(f.integer("position")), structure: int64(f.integer("structure")), at: f.time("at")}
	})
	if err != nil {
		return fmt.Errorf("begin a change: %w", err)
	}
	if !ok {
		return registry.NotFound("account", string(t.scope.Account))
	}
	t.journal = last
	t.at = later(t.store.now(), last.at.Add(time.Millisecond))
	return nil
}

// record notes a change that the transaction makes.
func (t *transaction) record(e entry) { t.entries = append(t.entries, e) }

// writeDown appends what was recorded.
func (t *transaction) writeDown(ctx context.Context) error {
	if len(t.entries) == 0 {
		return nil
	}
	changes := make([]any, len(t.entries))
	for i, e := range t.entries {
		t.position++
		if e.structural {
			t.structure++
		}
		row, err := e.row(t.position, t.structure)
		if err != nil {
			return err
		}
		changes[i] = row
	}
	for part := range slices.Chunk(changes, appendedAtOnce) {
		err := nothing(ctx, t, journalAppend, params{
			"position": t.position, "structure": t.structure, "at": t.at, "changes": part,
			"actorName": t.scope.ActorName, "request": orNil(t.scope.Request),
		})
		if err != nil {
			return fmt.Errorf("write down a change: %w", err)
		}
	}
	return nil
}

// row is the entry as it is written down. An update keeps its differences; of
// what was made and deleted they follow from the object itself.
func (e entry) row(position, structure int64) ([]any, error) {
	differences := e.relations
	if e.operation == registry.ChangeUpdate {
		differences = append(compare(e.before, e.after), e.relations...)
	}
	var inStructure, diff, before, after any
	if e.structural {
		inStructure = structure
	}
	var err error
	if len(differences) > 0 {
		diff, err = e.text("the differences", differences)
	}
	if e.operation == registry.ChangeDelete && e.before != nil && err == nil {
		before, err = e.text("what was before", e.before)
	}
	if e.after != nil && err == nil {
		after, err = e.text("what is after", e.after)
	}
	return []any{
		position, string(e.kind), string(e.id), e.key, Fold(e.key), string(e.operation), e.action, e.version,
		inStructure, diff, before, after,
	}, err
}

func (e entry) text(what string, value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("write down %s of %s: %w", what, e.key, err)
	}
	return string(text), nil
}

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}
