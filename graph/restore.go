package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// Records are restored in batches: one change a batch, which reads what is
// there, decides about each record in memory, and writes what is to be made and
// changed as lists. A record that is refused leaves nothing behind and does not
// hinder the others.

// MaxRestore bounds a batch.
const MaxRestore = 1000

// RestoreOptions say how records are restored.
type RestoreOptions struct {
	// KeepIDs gives objects the ids, versions and times of their records.
	KeepIDs bool
	// Rehearse changes nothing, and says what would be done.
	Rehearse bool
	// SendQueued leaves commands that waited to be sent waiting. Else they are taken
	// for sent: nobody knows what became of them since.
	SendQueued bool
	// Forget is told, after their batch, of twins with active alarms: what is
	// remembered of these beside the live state may be older. May be nil.
	Forget func(ctx context.Context, scope registry.Scope, twins []registry.ID) error
}

// Restorer makes the objects that records describe, or changes them to be so.
// One goroutine uses it at a time.
type Restorer struct {
	store   *Store
	scope   registry.Scope
	options RestoreOptions
	// account makes the account that a rehearsal needs and that does not exist.
	account  params
	compiled map[string]*compiledTemplate
	// The rest is of rehearsals: what would be there by now.
	things   map[string]restoredThing
	ids      map[registry.ID]bool
	measures map[string]*registry.MeasureType
	others   map[string]bool
	raised   map[string]*registry.Alarm
	sent     map[string]*registry.Command
}

// restoredThing is what later records have to know of a thing.
type restoredThing struct {
	id   registry.ID
	kind registry.Kind
	key  string
	// depth is that of a group, or how many devices a component is within.
	depth    int
	template *compiledTemplate
	version  int
}

// NewRestorer makes a restorer of an account's records.
func (s *Store) NewRestorer(scope registry.Scope, options RestoreOptions) *Restorer {
	return &Restorer{
		store: s, scope: scope, options: options, compiled: map[string]*compiledTemplate{},
		things: map[string]restoredThing{}, ids: map[registry.ID]bool{}, measures: map[string]*registry.MeasureType{}, others: map[string]bool{},
		raised: map[string]*registry.Alarm{}, sent: map[string]*registry.Command{},
	}
}

// NewAccountRehearsal makes a restorer that says what would be done in an account
// of that name, which does not exist and is not made. The database may even be
// one that was never migrated.
func (s *Store) NewAccountRehearsal(name string, options RestoreOptions) (*Restorer, error) {
	if err := registry.CheckAccountName(name); err != nil {
		return nil, err
	}
	account, making, err := s.newAccount(name)
	if err != nil {
		return nil, err
	}
	options.Rehearse = true
	r := s.NewRestorer(registry.Scope{Account: account.ID, AccountName: account.Name}, options)
	r.account = making
	return r, nil
}

// errRehearsed takes back what a rehearsal needed.
var errRehearsed = errors.New("this was a rehearsal")

// rehearse does work that only reads. An account that does not exist is made for
// it, in a transaction that is taken back.
func (r *Restorer) rehearse(ctx context.Context, work func(context.Context, runner) error) error {
	if r.account == nil {
		return work(ctx, r.store.reading(r.scope))
	}
	err := write(ctx, r.store, r.scope, "restore.rehearse", func(ctx context.Context, tx *transaction) error {
		if err := nothing(ctx, tx, accountCreate, r.account); err != nil {
			return err
		}
		if err := work(ctx, tx); err != nil {
			return err
		}
		return errRehearsed
	})
	if errors.Is(err, errRehearsed) {
		return nil
	}
	return err
}

// restoring is one batch on its way.
type restoring struct {
	*Restorer
	// tx is nil in a rehearsal.
	tx *transaction
	// runner reads: in the transaction, or without one.
	runner
	results   []registry.Restored
	committed []func()
	// after is done once the batch is committed, or at the end of a rehearsal.
	after []func()
	// toForget are twins of whose alarms something else may be remembered than what
	// they are now.
	toForget []registry.ID
}

// Restore makes or changes what the records describe, all of which are of one
// kind: one result a record, in order. An error means that nothing of the batch
// was done, or that what was is not yet forgotten: done again, it is completed. In
// a rehearsal nothing ever is done.
func (r *Restorer) Restore(ctx context.Context, records []registry.Record) ([]registry.Restored, error) {
	if len(records) == 0 {
		return nil, nil
	}
	if len(records) > MaxRestore {
		return nil, registry.LimitExceeded("at most %d records are restored at once", MaxRestore)
	}
	kind := records[0].RecordKind()
	var b *restoring
	work := func(ctx context.Context, tx *transaction, reads runner) error {
		b = &restoring{Restorer: r, tx: tx, runner: reads, results: make([]registry.Restored, len(records))}
		return b.restore(ctx, kind, records)
	}
	var err error
	if r.options.Rehearse {
		err = r.rehearse(ctx, func(ctx context.Context, reads runner) error { return work(ctx, nil, reads) })
	} else {
		err = change(ctx, r.store, r.scope, "restore."+string(kind), func(ctx context.Context, tx *transaction) error { return work(ctx, tx, tx) })
	}
	if errors.Is(err, errConstraint) && len(records) > 1 {
		// One of them clashes with what another account has: alone it is refused.
		return r.oneByOne(ctx, records)
	}
	if errors.Is(err, errConstraint) {
		return []registry.Restored{refusedBy(registry.Conflict("id", "the id or the key is taken"))}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("restore %ss: %w", kind, err)
	}
	for _, f := range slices.Concat(b.committed, b.after) {
		f()
	}
	return b.results, b.forget(ctx)
}

func (r *Restorer) oneByOne(ctx context.Context, records []registry.Record) ([]registry.Restored, error) {
	out := make([]registry.Restored, len(records))
	for i := range records {
		one, err := r.Restore(ctx, records[i:i+1])
		if err != nil {
			return nil, err
		}
		out[i] = one[0]
	}
	return out, nil
}

func (b *restoring) restore(ctx context.Context, kind registry.RecordKind, records []registry.Record) error {
	switch kind {
	case registry.RecordMeasureType:
		return b.measureTypes(ctx, typedRecords[*registry.MeasureTypeRecord](records))
	case registry.RecordTemplate:
		return b.templateVersions(ctx, typedRecords[*registry.TemplateRecord](records))
	case registry.RecordGroup, registry.RecordAsset, registry.RecordDevice:
		return b.restoreThings(ctx, typedRecords[*registry.ThingRecord](records))
	case registry.RecordRelation:
		return b.relations(ctx, typedRecords[*registry.RelationRecord](records))
	case registry.RecordPart:
		return b.parts(ctx, typedRecords[*registry.PartRecord](records))
	case registry.RecordLink:
		return b.links(ctx, typedRecords[*registry.LinkRecord](records))
	case registry.RecordDesired:
		return b.desires(ctx, typedRecords[*registry.DesiredRecord](records))
	case registry.RecordProfile:
		return b.profiles(ctx, typedRecords[*registry.ProfileRecord](records))
	case registry.RecordPolicy:
		return b.policies(ctx, typedRecords[*registry.PolicyRecord](records))
	case registry.RecordAlarm:
		return b.alarms(ctx, typedRecords[*registry.AlarmRecord](records))
	case registry.RecordCommand:
		return b.commands(ctx, typedRecords[*registry.CommandRecord](records))
	}
	return fmt.Errorf("graph: records of kind %s are not restored", kind)
}

func typedRecords[T registry.Record](records []registry.Record) []T {
	out := make([]T, len(records))
	for i := range records {
		out[i] = records[i].(T)
	}
	return out
}

func refusedBy(err error) registry.Restored {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		e = &registry.Error{Code: registry.CodeInternal, Message: err.Error()}
	}
	return registry.Restored{Result: registry.RestoreRefused, Err: e}
}

// refuse refuses a record for what is wrong with it; false if nothing is.
func (b *restoring) refuse(i int, violations ...registry.Violation) bool {
	if len(violations) == 0 {
		return false
	}
	b.results[i] = refusedBy(registry.Invalid(violations...))
	return true
}

// taken refuses a record, false if it need not be, whose object exists under
// another id although ids are to be kept.
func (b *restoring) taken(i int, noun, key string, stamp registry.Stamp, id registry.ID) bool {
	if !b.options.KeepIDs || stamp.ID == "" || stamp.ID == id {
		return false
	}
	b.results[i] = refusedBy(registry.Conflict("id", "%s %q exists already, with another id", noun, key))
	return true
}

// object is what a new object gets: its record's id, version and times, or new
// ones.
func (b *restoring) object(stamp registry.Stamp, revision registry.Revision) registry.Object {
	o := registry.Object{ID: newID(), Version: 1}
	if b.tx != nil {
		o.CreatedAt, o.UpdatedAt = b.tx.at, b.tx.at
	}
	if !b.options.KeepIDs {
		return o
	}
	if stamp.ID != "" {
		o.ID = stamp.ID
	}
	if revision.Version > 0 {
		o.Version = revision.Version
	}
	if stamp.CreatedAt != nil {
		o.CreatedAt, o.UpdatedAt = stamp.CreatedAt.UTC(), stamp.CreatedAt.UTC()
	}
	if revision.UpdatedAt != nil {
		o.UpdatedAt = revision.UpdatedAt.UTC()
	}
	return o
}

// Which of some ids are taken, in whatever account.
var restoreTaken = named("restore.taken", `
	UNWIND $ids AS id
	MATCH (e:Entity {id: id})
	RETURN collect(CASE WHEN e.account = $account THEN e.id ELSE e.id END) AS ids`)

// takenIDs finds those of the ids that are taken. Ids must look like ids.
func (b *restoring) takenIDs(ctx context.Context, stamps []registry.Stamp) (map[registry.ID]bool, error) {
	out := map[registry.ID]bool{}
	if !b.options.KeepIDs {
		return out, nil
	}
	var ids []registry.ID
	for _, stamp := range stamps {
		if stamp.ID != "" {
			ids = append(ids, stamp.ID)
		}
		out[stamp.ID] = b.ids[stamp.ID]
	}
	found, _, err := one(ctx, b, restoreTaken, params{"ids": texts(ids)}, func(f fields) []registry.ID { return f.ids("ids") })
	for _, id := range found {
		out[id] = true
	}
	return out, err
}

// identify refuses a new object whose id is taken or is none.
func (b *restoring) identify(i int, stamp registry.Stamp, taken map[registry.ID]bool) bool {
	switch {
	case !b.options.KeepIDs || stamp.ID == "":
		return true
	case !validID(stamp.ID):
		b.refuse(i, registry.Violation{Path: "id", Rule: "format", Message: "is a UUID in lower-case letters"})
		return false
	case taken[stamp.ID]:
		b.results[i] = refusedBy(registry.Conflict("id", "an object with the id %s exists already", stamp.ID))
		return false
	}
	taken[stamp.ID] = true
	return true
}
