package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// Payloads is the store of what was decoded.
type Payloads interface {
	// KeptPayloads returns up to limit of what a device sent, with contents, oldest
	// first, after an id.
	KeptPayloads(ctx context.Context, scope registry.Scope, device registry.ID, f registry.PayloadFilter, after string, limit int) ([]*registry.KeptPayload, error)
	// Standings compares measurements with those that the device has, one slot each.
	Standings(ctx context.Context, scope registry.Scope, device registry.ID, template *registry.Template, wanted []registry.WantedValue) ([]registry.Standing, error)
	// Undo removes measurements of payloads, and notes the readings that are to be
	// queued instead of those that were noted before, in one transaction.
	Undo(ctx context.Context, scope registry.Scope, device registry.ID, undoings []registry.Undoing) (registry.Undone, error)
	// Requeued forgets readings that were noted, when they are in the queue.
	Requeued(ctx context.Context, scope registry.Scope, notes ...registry.ID) error
}

const (
	// reprocessPage is how many payloads are in memory at a time.
	reprocessPage = 50
	mostFailures  = 20
	// flushBytes and flushMeasurements bound what one transaction takes back and
	// queues instead, but for that of one payload.
	flushBytes        = 4 << 20
	flushMeasurements = 20_000
	// mostChanged ends a call before its time: what becomes of that many
	// measurements is in memory.
	mostChanged = 200_000
)

// reprocessing is one call of Reprocess.
type reprocessing struct {
	receiver  *Receiver
	principal *registry.Principal
	store     Payloads
	request   registry.ReprocessRequest
	device    *knownDevice
	out       registry.Reprocessed
	// became is what measurements came to be in what is not written, all of it in a
	// rehearsal; nil for those that are gone.
	became map[registry.MeasureTime]any
	// changed counts what becomes another measurement in the whole call.
	changed int
	// bound is what tokens of the request begin with.
	bound string
	// digest takes what is done, lines what is of the payload at hand.
	digest hash.Hash
	lines  []string

	// What is still to be written: undoings with so many measurements and bytes of
	// records, and the readings.
	undoings            []registry.Undoing
	measurements, bytes int
	readings            []registry.AcceptedReading
}

// Reprocess decodes payloads of a device anew, the oldest first, and replaces what
// they gave. Part by part, what goes is removed in one transaction that notes what
// comes instead, which then is queued as any reading is; when it returns that is
// stored. If it is interrupted in between, Requeue queues what was noted.
//
// It ends before all that was asked for is done if very much becomes another.
//
// With a token of a rehearsal it is CONFLICT if it would do something else, and
// INVALID if the rehearsal was of another request.
func (r *Receiver) Reprocess(ctx context.Context, principal *registry.Principal, store Payloads, request registry.ReprocessRequest) (registry.Reprocessed, error) {
	bound := binding(principal.Account, &request)
	if request.Token != "" && !request.Rehearse {
		if !strings.HasPrefix(request.Token, bound) {
			return registry.Reprocessed{}, registry.WrongToken()
		}
		first := request
		first.Rehearse, first.Token = true, ""
		would, err := r.Reprocess(ctx, principal, store, first)
		if err != nil {
			return would, err
		}
		if would.Token != request.Token {
			return registry.Reprocessed{}, registry.StaleToken()
		}
	}
	named := []registry.Reading{{Device: request.Device}}
	r.directory.forget(principal.Scope, named)
	devices, err := r.directory.find(ctx, principal.Scope, named, make([]bool, 1))
	if err != nil {
		return registry.Reprocessed{}, err
	}
	if devices[0] == nil {
		return registry.Reprocessed{}, registry.NotFound("device", request.Device)
	}
	p := &reprocessing{receiver: r, principal: principal, store: store, request: request, device: devices[0], became: map[registry.MeasureTime]any{}, bound: bound, digest: sha256.New()}
	return p.run(ctx)
}

// binding is what the tokens of a request begin with, and no other's.
func binding(account registry.ID, r *registry.ReprocessRequest) string {
	text := fmt.Sprintf("%s %q %d %q", account, strings.ToLower(r.Device), r.First, r.After)
	for _, t := range []*time.Time{r.From, r.To} {
		if t != nil {
			text += " " + t.UTC().Format(time.RFC3339Nano)
		} else {
			text += " -"
		}
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

func (p *reprocessing) run(ctx context.Context) (registry.Reprocessed, error) {
	after := ""
	if p.request.After != "" {
		var err error
		if after, err = registry.ParseCursor(p.request.After); err != nil {
			return p.out, err
		}
	}
	forgotten := map[string]bool{}
	for left := p.request.First; left > 0; {
		size := min(left, reprocessPage)
		page, err := p.store.KeptPayloads(ctx, p.principal.Scope, p.device.ID, registry.PayloadFilter{From: p.request.From, To: p.request.To}, after, size)
		if err != nil {
			return p.out, err
		}
		for _, one := range page {
			if !forgotten[one.Template] {
				forgotten[one.Template] = true
				p.receiver.directory.forgetTemplate(p.principal.Scope, one.Template)
			}
		}
		for _, one := range page {
			if err := p.payload(ctx, one); err != nil {
				return p.out, err
			}
			after = string(one.ID)
			left--
			if p.bytes >= flushBytes || p.measurements >= flushMeasurements || p.changed >= mostChanged {
				if err := p.flush(ctx); err != nil {
					return p.out, err
				}
			}
			if p.changed >= mostChanged {
				return p.done(registry.Cursor(after)), nil
			}
		}
		if err := p.flush(ctx); err != nil {
			return p.out, err
		}
		if len(page) < size {
			return p.done(""), nil
		}
	}
	return p.done(registry.Cursor(after)), nil
}

func (p *reprocessing) done(after string) registry.Reprocessed {
	p.out.After = after
	if p.request.Rehearse {
		p.out.Token = p.bound + hex.EncodeToString(p.digest.Sum(nil)[:16])
	}
	slices.Sort(p.out.Twins)
	p.out.Twins = slices.Compact(p.out.Twins)
	return p.out
}

// payload decodes a payload and plans what follows from it.
func (p *reprocessing) payload(ctx context.Context, one *registry.KeptPayload) error {
	p.out.Payloads++
	decoded, message, err := p.decode(ctx, one)
	if err != nil {
		return err
	}
	var undoing registry.Undoing
	var again []registry.AcceptedReading
	if message != "" {
		p.out.Undecodable++
		if len(p.out.Failures) < mostFailures {
			p.out.Failures = append(p.out.Failures, registry.ReprocessFailure{Payload: &one.Payload, Message: message})
		}
		undoing = registry.Undoing{Payload: one.ID, Keep: one.Gave}
		p.lines = append(p.lines, string(one.ID)+" cannot be decoded")
	} else if undoing, again, err = p.compare(ctx, one, decoded); err != nil {
		return err
	}
	slices.Sort(p.lines) // values come out of maps
	for _, line := range p.lines {
		p.digest.Write([]byte(line + "\n"))
	}
	p.lines = p.lines[:0]
	if p.request.Rehearse {
		return nil
	}
	for i := range again {
		if undoing.Records, err = appendRecord(undoing.Records, &again[i]); err != nil {
			return err
		}
	}
	p.undoings, p.readings = append(p.undoings, undoing), append(p.readings, again...)
	p.measurements += len(undoing.Remove) + len(undoing.Keep)
	p.bytes += len(undoing.Records)
	return nil
}

// flush writes what is planned.
func (p *reprocessing) flush(ctx context.Context) error {
	if len(p.undoings) == 0 {
		return nil
	}
	undone, err := p.store.Undo(ctx, p.principal.Scope, p.device.ID, p.undoings)
	if err != nil {
		return err
	}
	p.out.Twins = append(p.out.Twins, undone.Twins...)
	if len(p.readings) > 0 {
		queue := p.receiver.queue
		if err := queue.Add(ctx, p.readings); err != nil {
			return err
		}
		if err := p.store.Requeued(ctx, p.principal.Scope, undone.Notes...); err != nil {
			return err
		}
		if err := queue.settle(ctx, p.readings); err != nil {
			return err
		}
	}
	clear(p.became) // the store knows
	p.undoings, p.measurements, p.bytes, p.readings = nil, 0, 0, nil
	return nil
}

// decode decodes one payload anew: the readings of the device, or a message that
// says why it cannot be decoded.
func (p *reprocessing) decode(ctx context.Context, one *registry.KeptPayload) ([]registry.AcceptedReading, string, error) {
	if one.Content == nil {
		return nil, "what was sent is not kept", nil
	}
	scope, reference := p.principal.Scope, p.device.Reference
	m := rawMessage{reference: reference, content: one.Content, contentType: one.ContentType, receivedAt: one.ReceivedAt, id: one.ID}
	c := rawCheck{payload: &one.Payload, device: p.device}
	template := p.device.template
	if one.Template != "" {
		var err error
		if template, err = p.receiver.directory.templateNamed(ctx, scope, one.Template); err != nil {
			return nil, "", err
		}
		m.reference, m.template, c.device = "", one.Template, nil
	}
	s, err := p.receiver.decode(ctx, &m, &c, template)
	if err != nil {
		return nil, "", err
	}
	if len(s.Faults) > 0 {
		return nil, s.Faults[0].Message, nil
	}
	// As the graph compares references: a reading of this device must not be missed,
	// or its measurements would go.
	own := rule.Fold(reference)
	s.Readings = slices.DeleteFunc(s.Readings, func(r registry.Reading) bool { return rule.Fold(r.Device) != own })
	giveTimes(s.Readings, map[string][]time.Time{own: one.Given}, one.ReceivedAt)
	checked, err := p.receiver.check(ctx, p.principal, one.Source, s.Readings, nil)
	if err != nil {
		return nil, "", err
	}
	if err := p.receiver.foresee(ctx, p.principal, checked, s.Readings, s.message); err != nil {
		return nil, "", err
	}
	if len(checked.faults) > 0 {
		return nil, invalid(checked.faults).Error(), nil
	}
	return checked.good(), "", nil
}

// compare finds out what decoding a payload anew changes: what goes, and the
// readings that come.
func (p *reprocessing) compare(ctx context.Context, one *registry.KeptPayload, decoded []registry.AcceptedReading) (registry.Undoing, []registry.AcceptedReading, error) {
	undoing := registry.Undoing{Payload: one.ID, Valid: true}
	own := map[registry.MeasureTime]bool{}
	for _, gave := range one.Gave {
		own[gave] = true
	}
	var wanted []registry.WantedValue
	for i := range decoded {
		for measure, value := range decoded[i].Values {
			stored, _, refusal := p.device.template.Accept(measure, value)
			if refusal != nil { // it was checked a moment ago
				return undoing, nil, fmt.Errorf("measure %s: %s", measure, refusal.Message)
			}
			key := registry.MeasureTime{Measure: measure, At: decoded[i].MeasuredAt.UnixMilli()}
			wanted = append(wanted, registry.WantedValue{MeasureTime: key, Value: stored})
		}
	}
	come := map[registry.MeasureTime]bool{}
	for _, w := range wanted {
		come[w.MeasureTime] = true
	}
	for _, gave := range one.Gave {
		if !come[gave] {
			wanted = append(wanted, registry.WantedValue{MeasureTime: gave})
		}
	}
	standings, err := p.store.Standings(ctx, p.principal.Scope, p.device.ID, p.device.template, wanted)
	if err != nil {
		return undoing, nil, err
	}
	write := map[registry.MeasureTime]bool{}
	for i, w := range wanted {
		p.decide(w, p.standing(w, standings[i]), own[w.MeasureTime], &undoing, write)
	}
	var again []registry.AcceptedReading
	for _, r := range decoded {
		values := map[string]any{}
		for measure, value := range r.Values {
			if write[registry.MeasureTime{Measure: measure, At: r.MeasuredAt.UnixMilli()}] {
				values[measure] = value
			}
		}
		if len(values) > 0 {
			r.Values, r.Payload, r.Again = values, &registry.Payload{ID: one.ID}, true
			again = append(again, r)
		}
	}
	return undoing, again, nil
}

// standing is what a measurement comes to be by what was decided so far.
func (p *reprocessing) standing(w registry.WantedValue, stored registry.Standing) registry.Standing {
	value, known := p.became[w.MeasureTime]
	switch {
	case !known:
		return stored
	case value == nil:
		return registry.StandingAbsent
	case registry.SameValue(value, w.Value):
		return registry.StandingSame
	}
	return registry.StandingOther
}

func (p *reprocessing) become(w registry.WantedValue, value any) {
	p.changed++
	p.became[w.MeasureTime] = value
}

// decide says what becomes of one measurement.
func (p *reprocessing) decide(w registry.WantedValue, now registry.Standing, own bool, undoing *registry.Undoing, write map[registry.MeasureTime]bool) {
	var what string
	switch {
	case w.Value == nil && now == registry.StandingAbsent: // gone already
		return
	case now == registry.StandingGone:
		p.out.NoLongerKept++
		if own {
			undoing.Keep = append(undoing.Keep, w.MeasureTime)
		}
		return
	case w.Value == nil:
		p.out.Removed++
		p.become(w, nil)
		what = "removed"
		undoing.Remove = append(undoing.Remove, w.MeasureTime)
	case now == registry.StandingAbsent:
		p.out.Added++
		p.become(w, w.Value)
		what = "added"
		write[w.MeasureTime] = true
	case now == registry.StandingSame:
		p.out.Unchanged++
		if own {
			undoing.Keep = append(undoing.Keep, w.MeasureTime)
		}
		return
	case own:
		p.out.Replaced++
		p.become(w, w.Value)
		what = "replaced"
		undoing.Remove = append(undoing.Remove, w.MeasureTime)
		write[w.MeasureTime] = true
	default:
		p.out.Conflicts++
		what = "conflict"
	}
	p.lines = append(p.lines, what+" "+string(undoing.Payload)+" "+w.Measure+" "+strconv.FormatInt(w.At, 10)+" "+fmt.Sprint(registry.PlainValue(w.Value)))
}
