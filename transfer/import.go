package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

const (
	// batchSize is how many records become objects in one transaction.
	batchSize = 500
	// queueWait is how long to wait when the queue has no room.
	queueWait = 200 * time.Millisecond
)

// Importer makes objects of records. What is there already and equal stays as it
// is; nothing is ever deleted or ended, except that a link ends which the file
// says has ended.
type Importer struct {
	Target Target
	// Recorder takes measurements; nil if the feed has none.
	Recorder Recorder
	// Rehearse says that nothing is to be changed, which is the target's
	// business; the importer then records no measurements.
	Rehearse bool
	// Report is told what became of each record, in order; may be nil.
	Report func(Outcome)
	// Done is called after everything up to an item was dealt with, with the sum
	// so far; may be nil.
	Done func(Item, Sum) error
}

// Outcome is what became of one record.
type Outcome struct {
	Line   int                    `json:"line"`
	Origin string                 `json:"origin,omitempty"`
	Record registry.RecordKind    `json:"record,omitempty"`
	Key    string                 `json:"key,omitempty"`
	Result registry.RestoreResult `json:"result"`
	// Code, Message and Violations say why it was refused.
	Code       registry.Code        `json:"code,omitempty"`
	Message    string               `json:"message,omitempty"`
	Violations []registry.Violation `json:"violations,omitempty"`
	// Notes say what of the origin the record does not carry.
	Notes []string `json:"notes,omitempty"`
}

// Sum counts outcomes.
type Sum struct {
	Made      int `json:"made"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	Refused   int `json:"refused"`
	Notes     int `json:"notes,omitempty"`
	// Readings were handed to the queue.
	Readings int `json:"readings,omitempty"`
}

func (s *Sum) add(o Outcome) {
	switch o.Result {
	case registry.RestoreMade:
		s.Made++
	case registry.RestoreChanged:
		s.Changed++
	case registry.RestoreUnchanged:
		s.Unchanged++
	case registry.RestoreRefused:
		s.Refused++
	}
	s.Notes += len(o.Notes)
}

// Import takes in all that a feed has, beginning with a sum of what was done
// before. An error means that it stopped there: what was done is done, and to
// start again from the beginning does no harm.
func (m *Importer) Import(ctx context.Context, feed Feed, sum Sum) (Sum, error) {
	r := &importing{Importer: m, ctx: ctx, sum: sum}
	err := feed(func(item Item) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(r.items) > 0 && (len(r.items) == batchSize || item.Record != nil && item.Err == nil && r.kind != "" && item.Record.RecordKind() != r.kind) {
			if err := r.flush(); err != nil {
				return err
			}
		}
		r.items = append(r.items, item)
		if item.Record != nil && item.Err == nil {
			r.kind = item.Record.RecordKind()
		}
		return nil
	})
	if flushed := r.flush(); err == nil || flushed != nil {
		err = errors.Join(err, flushed)
	}
	return r.sum, err
}

type importing struct {
	*Importer
	ctx   context.Context //nolint:containedctx // one import's, which this is
	items []Item
	kind  registry.RecordKind
	sum   Sum
}

// flush deals with the items that were gathered.
func (r *importing) flush() error {
	if len(r.items) == 0 {
		return nil
	}
	var records []registry.Record
	for _, item := range r.items {
		if item.Err == nil && item.Record != nil {
			records = append(records, item.Record)
		}
	}
	results, err := r.restore(records)
	if err != nil {
		return fmt.Errorf("line %d and those after it: %w", r.items[0].Line, err)
	}
	for _, item := range r.items {
		o := Outcome{Line: item.Line, Origin: item.Origin, Notes: item.Notes, Result: registry.RestoreRefused}
		refused := item.Err
		if item.Record != nil {
			o.Record, o.Key = item.Record.RecordKind(), item.Record.RecordKey()
		}
		if item.Err == nil && item.Record != nil {
			o.Result, refused = results[0].Result, nil
			if results[0].Err != nil {
				refused = results[0].Err
			}
			results = results[1:]
		} else if item.Err == nil {
			o.Result = "" // notes only
		}
		if e, ok := errors.AsType[*registry.Error](refused); ok {
			o.Code, o.Message, o.Violations = e.Code, e.Message, e.Violations
		} else if refused != nil {
			o.Code, o.Message = registry.CodeInternal, refused.Error()
		}
		r.sum.add(o)
		if r.Report != nil {
			r.Report(o)
		}
	}
	last := r.items[len(r.items)-1]
	r.items, r.kind = r.items[:0], ""
	if r.Done != nil {
		return r.Done(last, r.sum)
	}
	return nil
}

func (r *importing) restore(records []registry.Record) ([]registry.Restored, error) {
	if len(records) == 0 {
		return nil, nil
	}
	if records[0].RecordKind() != registry.RecordMeasurements {
		return r.Target.Restore(r.ctx, records)
	}
	results := make([]registry.Restored, len(records))
	for i, record := range records {
		n, err := r.record(record.(*registry.MeasurementsRecord))
		e, _ := errors.AsType[*registry.Error](err)
		switch {
		case err == nil:
			results[i].Result = registry.RestoreMade
			r.sum.Readings += n
		case e != nil && e.Code == registry.CodeInvalid:
			results[i] = registry.Restored{Result: registry.RestoreRefused, Err: e}
		default:
			return nil, err
		}
	}
	return results, nil
}

// record hands measurements over as readings, and waits while there is no room.
func (r *importing) record(m *registry.MeasurementsRecord) (int, error) {
	if (m.Device == "") == (m.Asset == "") {
		return 0, registry.InvalidField("device", "exclusive", "measurements are of a device or of an asset: name one of them")
	}
	if len(m.At) != len(m.Values) || len(m.At) == 0 {
		return 0, registry.InvalidField("values", "length", "there is one value for each time, and at least one")
	}
	readings := make([]registry.Reading, len(m.At))
	for i, at := range m.At {
		value, wrong := registry.DecodeValue(m.Values[i])
		if wrong != "" {
			return 0, registry.InvalidField(fmt.Sprintf("values[%d]", i), "type", "%s", wrong)
		}
		readings[i] = registry.Reading{Device: m.Device, Asset: m.Asset, MeasuredAt: time.UnixMilli(at).UTC(), Values: map[string]any{m.Measure: value}}
	}
	if r.Rehearse {
		return 0, nil
	}
	if r.Recorder == nil {
		return 0, registry.FailedPrecondition("the file has measurements, and there is no queue to hand them to")
	}
	for {
		err := r.Recorder.Record(r.ctx, readings)
		if err == nil || registry.CodeOf(err) != registry.CodeLimitExceeded {
			return len(readings), err
		}
		select {
		case <-r.ctx.Done():
			return 0, r.ctx.Err()
		case <-time.After(queueWait):
		}
	}
}
