// Package transfer writes a whole account to a file and makes an account from
// one: a line a record, in an order in which everything comes after what it
// names (docs/import-export.md). It also reads the files of other systems and
// makes records of what is in them.
//
// It knows no store: it reads from a Source and writes to a Target. Of the
// other rooms it imports registry only.
package transfer

import (
	"context"
	"time"

	"github.com/holon-registry/holon/registry"
)

// Source is what an account is read from.
type Source interface {
	// Moment returns the position of the account's last change, and when that
	// was. Both only rise.
	Moment(ctx context.Context, scope registry.Scope) (position int64, at time.Time, err error)
	// Records returns a page of records in the order of their keys, after a key,
	// and the key to go on after; empty at the end. Relations and links come with
	// the things where they start, all of them.
	Records(ctx context.Context, scope registry.Scope, kind registry.RecordKind, after string) (records []registry.Record, next string, err error)
	// RecordsByID returns the records of objects, without those that do not exist.
	RecordsByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]registry.Record, error)
	// Touched returns the ids of all objects whose records may differ between two
	// positions.
	Touched(ctx context.Context, scope registry.Scope, after, upto int64) ([]registry.ID, error)
	// HoldWriters runs work while nothing of the account changes. Work may run
	// again.
	HoldWriters(ctx context.Context, scope registry.Scope, work func(ctx context.Context) error) error
	// OwnSeries returns which measures twins have readings of their own of: one
	// slot an id, in order. What an asset shares with devices is the devices'.
	OwnSeries(ctx context.Context, scope registry.Scope, twins []registry.ID) ([][]registry.OwnSeries, error)
	// OwnSamples returns up to limit of these readings as they were sent, oldest
	// first, and where to go on.
	OwnSamples(ctx context.Context, scope registry.Scope, twin registry.ID, measure string, from, to time.Time, limit int) (*registry.Samples, error)
}

// Target is what records are made into objects by. Records of one call are of
// one kind; there is one result a record, in order. An error means that nothing
// of the call was done, and that it may be called again.
type Target interface {
	Restore(ctx context.Context, records []registry.Record) ([]registry.Restored, error)
}

// Recorder takes readings, all of a call or none: INVALID says what is wrong
// with them, LIMIT_EXCEEDED that there is no room at the moment. What it took is
// not lost. To hand a reading over again does no harm.
type Recorder interface {
	Record(ctx context.Context, readings []registry.Reading) error
}
