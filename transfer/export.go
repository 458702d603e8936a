package transfer

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// sections is the order of a file.
var sections = []registry.RecordKind{
	registry.RecordMeasureType, registry.RecordTemplate, registry.RecordGroup, registry.RecordAsset, registry.RecordDevice,
	registry.RecordRelation, registry.RecordPart, registry.RecordLink, registry.RecordDesired, registry.RecordPolicy, registry.RecordProfile,
	registry.RecordAlarm, registry.RecordCommand,
}

// read are the kinds of records that are read from the source; the others come
// with them.
var read = []registry.RecordKind{
	registry.RecordMeasureType, registry.RecordTemplate, registry.RecordGroup, registry.RecordAsset, registry.RecordDevice, registry.RecordPolicy, registry.RecordProfile,
	registry.RecordAlarm, registry.RecordCommand,
}

const (
	// maxInline is how many ends the relations in one line lead to.
	maxInline = 1000
	// quietRounds is how often what changed meanwhile is read again before the
	// writers are held for that.
	quietRounds = 5
	// maxCorrections bounds what is kept in memory of what changed meanwhile.
	maxCorrections = 200_000
)

// Exporter writes an account to a file.
type Exporter struct {
	Source Source
	Scope  registry.Scope
	// Plain leaves out ids, versions and times of objects: what is left is the
	// same in two accounts that are alike.
	Plain bool
	// Measurements are written too, if it is not nil.
	Measurements *Interval
	// Dir is where temporary files go; the system's directory if empty.
	Dir string
	// Progress is told how many lines of a kind have been written; may be nil.
	Progress func(kind registry.RecordKind, lines int)
}

// Export writes the account as it was at one moment: everything is read into
// temporary files, then what changed meanwhile is read again, for the last time
// while no one changes anything (docs/adr/0019-an-export-is-one-moment.md).
// Measurements are those that the graph has when their device's turn comes.
func (e *Exporter) Export(ctx context.Context, to io.Writer) (header Header, err error) {
	dir, err := os.MkdirTemp(e.Dir, "holon-export-")
	if err != nil {
		return header, fmt.Errorf("temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	s, err := newSpool(dir)
	if err != nil {
		return header, err
	}
	defer s.close()
	position, _, err := e.Source.Moment(ctx, e.Scope)
	if err != nil {
		return header, err
	}
	if err := e.readAll(ctx, s); err != nil {
		return header, err
	}
	position, at, err := e.catchUp(ctx, s, position)
	if err != nil {
		return header, err
	}
	header = Header{Format: Format, Version: Version, Account: e.Scope.AccountName, Position: position, At: &at, Measurements: e.Measurements}
	if e.Plain {
		header = Header{Format: Format, Version: Version, Measurements: e.Measurements}
	}
	if header.Records, err = s.counts(); err != nil {
		return header, err
	}
	out := &lineWriter{w: bufio.NewWriterSize(to, 1<<20)}
	if err := out.record(&header); err != nil {
		return header, err
	}
	for _, kind := range sections {
		if err := s.merge(kind, out.line); err != nil {
			return header, err
		}
	}
	if e.Measurements != nil {
		if err := e.measurements(ctx, at, out); err != nil {
			return header, err
		}
	}
	if err := out.record(&end{Lines: out.lines + 1}); err != nil {
		return header, err
	}
	return header, out.w.Flush()
}

// lineWriter counts what it writes.
type lineWriter struct {
	w     *bufio.Writer
	lines int
}

func (w *lineWriter) line(text []byte) error {
	w.lines++
	if _, err := w.w.Write(text); err != nil {
		return err
	}
	return w.w.WriteByte('\n')
}

func (w *lineWriter) record(r registry.Record) error {
	line, err := encode(r)
	if err != nil {
		return err
	}
	return w.line(line)
}

// readAll reads every record into the spool.
func (e *Exporter) readAll(ctx context.Context, s *spool) error {
	for _, kind := range read {
		lines := 0
		for after := ""; ; {
			records, next, err := e.Source.Records(ctx, e.Scope, kind, after)
			if err != nil {
				return err
			}
			for _, record := range records {
				if err := e.split(record, s.add); err != nil {
					return err
				}
			}
			if lines += len(records); e.Progress != nil {
				e.Progress(kind, lines)
			}
			if after = next; next == "" {
				break
			}
		}
	}
	return nil
}

// catchUp reads what changed since a position until there is nothing more, and
// returns the position and the moment that the spool then shows.
func (e *Exporter) catchUp(ctx context.Context, s *spool, position int64) (int64, time.Time, error) {
	var at time.Time
	for round := 0; ; round++ {
		now, moment, err := e.Source.Moment(ctx, e.Scope)
		if err != nil {
			return position, at, err
		}
		if at = moment; now == position {
			return position, at, nil
		}
		if round == quietRounds {
			break
		}
		if err := e.correct(ctx, s, position, now); err != nil {
			return position, at, err
		}
		position = now
	}
	err := e.Source.HoldWriters(ctx, e.Scope, func(ctx context.Context) error {
		now, moment, err := e.Source.Moment(ctx, e.Scope)
		if err == nil {
			err = e.correct(ctx, s, position, now)
		}
		if err == nil {
			position, at = now, moment
		}
		return err
	})
	return position, at, err
}

// correct reads again what the changes between two positions have touched.
func (e *Exporter) correct(ctx context.Context, s *spool, after, upto int64) error {
	ids, err := e.Source.Touched(ctx, e.Scope, after, upto)
	if err != nil {
		return err
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if s.corrected()+len(ids) > maxCorrections {
		return registry.FailedPrecondition("more than %d objects have changed during the export: try again when there is less going on", maxCorrections)
	}
	records, err := e.Source.RecordsByID(ctx, e.Scope, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		s.forget(id)
	}
	for _, record := range records {
		if err := e.split(record, s.correct); err != nil {
			return err
		}
	}
	return nil
}

// entry is a line on its way into the file.
type entry struct {
	kind registry.RecordKind
	// owner is the object that the line comes and goes with.
	owner registry.ID
	order string
	line  []byte
}

// split makes the lines of a record: a thing's own line has its relations to
// what comes before it; the others, and its links, have lines of their own.
func (e *Exporter) split(record registry.Record, add func(entry) error) error {
	owner, order := record.RecordID(), orderOf(record)
	records := []registry.Record{record}
	if thing, ok := record.(*registry.ThingRecord); ok {
		records = splitThing(thing)
	}
	for i, r := range records {
		if e.Plain {
			r = plain(r)
		}
		line, err := encode(r)
		if err != nil {
			return err
		}
		place := order
		if i > 0 {
			// Relations of groups come before those of assets and devices.
			place = fmt.Sprint(rank(records[0].(*registry.ThingRecord).Kind)) + order
		}
		if err := add(entry{r.RecordKind(), owner, place, line}); err != nil {
			return err
		}
	}
	return nil
}

func splitThing(thing *registry.ThingRecord) []registry.Record {
	own := *thing
	own.Relations, own.Links, own.PartOf, own.Desired = nil, nil, "", nil
	out := []registry.Record{&own}
	total := 0
	for i := range thing.Relations {
		total += len(thing.Relations[i].Refs())
	}
	for i := range thing.Relations {
		r := &thing.Relations[i]
		before := registry.RelationsRecord{Name: r.Name, Tag: r.Tag}
		after := before
		for _, ref := range r.Refs() {
			if rank(ref.Kind) < rank(thing.Kind) && total <= maxInline {
				before.Add(ref.Kind, ref.Key)
				continue
			}
			after.Add(ref.Kind, ref.Key)
			if len(after.Refs()) == maxInline {
				out = append(out, &registry.RelationRecord{From: registry.NewRefRecord(thing.Kind, thing.RecordKey()), RelationsRecord: after})
				after = registry.RelationsRecord{Name: r.Name, Tag: r.Tag}
			}
		}
		if len(before.Refs()) > 0 {
			own.Relations = append(own.Relations, before)
		}
		if len(after.Refs()) > 0 {
			out = append(out, &registry.RelationRecord{From: registry.NewRefRecord(thing.Kind, thing.RecordKey()), RelationsRecord: after})
		}
	}
	if thing.PartOf != "" {
		out = append(out, &registry.PartRecord{Asset: thing.Reference, Of: thing.PartOf})
	}
	for _, link := range thing.Links {
		out = append(out, link)
	}
	if thing.Desired != nil {
		out = append(out, thing.Desired)
	}
	return out
}

// rank is the place of a kind in the file.
func rank(kind registry.Kind) int {
	return slices.Index(sections, registry.RecordKind(strings.ToLower(string(kind))))
}

func orderOf(record registry.Record) string {
	switch r := record.(type) {
	case *registry.MeasureTypeRecord:
		return r.Order
	case *registry.TemplateRecord:
		return r.Order
	case *registry.ThingRecord:
		return r.Order
	case *registry.PolicyRecord:
		return r.Order
	case *registry.ProfileRecord:
		return r.Order
	case *registry.AlarmRecord:
		return r.Order
	case *registry.CommandRecord:
		return r.Order
	}
	return ""
}

// plain is a record without what an account gives it.
func plain(record registry.Record) registry.Record {
	switch r := record.(type) {
	case *registry.MeasureTypeRecord:
		out := *r
		out.Stamp, out.Revision = registry.Stamp{}, registry.Revision{}
		return &out
	case *registry.TemplateRecord:
		out := *r
		out.Stamp, out.Revision, out.PublishedAt = registry.Stamp{}, 0, nil
		return &out
	case *registry.ThingRecord:
		out := *r
		out.Stamp, out.Revision = registry.Stamp{}, registry.Revision{}
		return &out
	case *registry.LinkRecord:
		out := *r
		out.ID = ""
		return &out
	case *registry.DesiredRecord:
		out := *r
		out.Revision = registry.Revision{}
		return &out
	case *registry.ProfileRecord:
		out := *r
		out.Stamp, out.Revision = registry.Stamp{}, registry.Revision{}
		return &out
	case *registry.PolicyRecord:
		out := *r
		out.Stamp, out.Revision = registry.Stamp{}, registry.Revision{}
		return &out
	case *registry.AlarmRecord:
		out := *r
		if out.ID, out.Version = "", 0; out.AcknowledgedBy != nil {
			if out.AcknowledgedBy = nil; r.AcknowledgedBy.Name != "" {
				out.AcknowledgedBy = &registry.ActorRecord{Name: r.AcknowledgedBy.Name}
			}
		}
		return &out
	case *registry.CommandRecord:
		out := *r
		out.ID, out.Version = "", 0
		return &out
	}
	return record
}
