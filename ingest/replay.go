package ingest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// DeadLetters is the store of what could not be used.
type DeadLetters interface {
	// OldestDeadLetters returns up to limit, oldest first, after an id; all that
	// the filter names by their ids, if it does.
	OldestDeadLetters(ctx context.Context, scope registry.Scope, f registry.DeadLetterFilter, after string, limit int) ([]*registry.DeadLetter, error)
	RemoveDeadLetters(ctx context.Context, scope registry.Scope, ids []registry.ID) (int, error)
	RejudgeDeadLetters(ctx context.Context, scope registry.Scope, letters []*registry.DeadLetter) error
}

const (
	// replayPage is how many dead letters are in memory at a time.
	replayPage = 50
	// mostRefused bounds how many of those that stay are told.
	mostRefused = 100
)

// Replay tries dead letters again, the oldest first: what is right by now goes
// into the queue, and only when the queue has it is the letter removed. What is
// still wrong stays, with the reason of now.
//
// If it is interrupted in between, the letter is there as well as the reading,
// and trying again is a repeat: a reading without a time of its own gets that
// of its receipt, so it is always the same measurement. What a worker refuses
// for another reason than a source can know (another value is stored for that
// time) becomes a new letter, which the cursor does not come to.
func (r *Receiver) Replay(ctx context.Context, principal *registry.Principal, letters DeadLetters, request registry.ReplayRequest) (registry.Replayed, error) {
	var out registry.Replayed
	filter := request.Filter
	after, until, err := parseReplayCursor(request.After, r.now())
	if err != nil {
		return out, err
	}
	if filter.To == nil || until.Before(*filter.To) {
		filter.To = &until
	}
	for left := request.First; left > 0; {
		size := min(left, replayPage)
		page, err := letters.OldestDeadLetters(ctx, principal.Scope, filter, after, size)
		if err != nil {
			return out, err
		}
		if err := r.replayPage(ctx, principal, letters, page, request.Rehearse, &out); err != nil {
			return out, err
		}
		if len(filter.IDs) > 0 || len(page) < size {
			return out, nil
		}
		after = string(page[len(page)-1].ID)
		left -= len(page)
	}
	out.After = registry.Cursor(after + " " + strconv.FormatInt(until.UnixMilli(), 10))
	return out, nil
}

// parseReplayCursor returns the last id, and when the first call was made: what
// came later is not tried.
func parseReplayCursor(cursor string, now time.Time) (after string, until time.Time, err error) {
	if cursor == "" {
		return "", now, nil
	}
	key, err := registry.ParseCursor(cursor)
	if err != nil {
		return "", now, err
	}
	after, at, _ := strings.Cut(key, " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return "", now, registry.InvalidField("after", "format", "%q is not a cursor of a replay", cursor)
	}
	return after, time.UnixMilli(ms), nil
}

func (r *Receiver) replayPage(ctx context.Context, principal *registry.Principal, letters DeadLetters, page []*registry.DeadLetter, rehearse bool, out *registry.Replayed) error {
	attempts, err := r.checkLetters(ctx, principal, page, rehearse)
	if err != nil {
		return err
	}
	var readings []registry.AcceptedReading
	var done []registry.ID
	var refused []*registry.DeadLetter
	for i, a := range attempts {
		if len(a.faults) == 0 {
			readings, done = append(readings, a.readings...), append(done, page[i].ID)
			continue
		}
		message := invalid(a.faults).Error() // sorts them, so it comes first
		letter := *page[i]
		letter.Reason, letter.Message = a.faults[0].Reason, message
		refused = append(refused, &letter)
	}
	if !rehearse {
		if err := r.queue.Add(ctx, readings); err != nil {
			return err
		}
		if len(done) > 0 {
			if _, err := letters.RemoveDeadLetters(ctx, principal.Scope, done); err != nil {
				return err
			}
		}
		if len(refused) > 0 {
			if err := letters.RejudgeDeadLetters(ctx, principal.Scope, refused); err != nil {
				return err
			}
		}
	}
	out.Accepted, out.Refused, out.Readings = out.Accepted+len(done), out.Refused+len(refused), out.Readings+len(readings)
	out.StillRefused = append(out.StillRefused, refused[:min(len(refused), mostRefused-len(out.StillRefused))]...)
	return nil
}

// checkLetters reads dead letters, payloads to decode among them, and checks the
// readings of all at once.
func (r *Receiver) checkLetters(ctx context.Context, principal *registry.Principal, page []*registry.DeadLetter, rehearse bool) ([]messageCheck, error) {
	var plain, raw []*registry.DeadLetter
	for _, letter := range page {
		if letter.Payload != nil {
			raw = append(raw, letter)
		} else {
			plain = append(plain, letter)
		}
	}
	read, err := r.checkPlainLetters(ctx, principal, plain, rehearse)
	if err != nil {
		return nil, err
	}
	decoded, err := r.checkRawLetters(ctx, principal, raw, rehearse)
	if err != nil {
		return nil, err
	}
	out := make([]messageCheck, 0, len(page))
	for _, letter := range page {
		if letter.Payload != nil {
			out, decoded = append(out, decoded[0].messageCheck), decoded[1:]
		} else {
			out, read = append(out, read[0]), read[1:]
		}
	}
	return out, nil
}

// checkRawLetters decodes payloads once more. They keep their ids and the time of
// their receipt.
func (r *Receiver) checkRawLetters(ctx context.Context, principal *registry.Principal, page []*registry.DeadLetter, rehearse bool) ([]rawCheck, error) {
	messages, named := make([]rawMessage, len(page)), make([]registry.Reading, len(page))
	for i, letter := range page {
		p := letter.Payload
		messages[i] = rawMessage{reference: letter.DeviceReference, template: p.Template, content: p.Content, contentType: p.ContentType,
			receivedAt: p.ReceivedAt, id: p.ID, timed: true}
		named[i].Device = letter.DeviceReference
		r.directory.forgetTemplate(principal.Scope, p.Template)
	}
	r.directory.forget(principal.Scope, named)
	checks, err := r.checkRaw(ctx, principal, "", messages, rehearse)
	if err != nil {
		return nil, err
	}
	for i := range checks {
		if page[i].Truncated {
			checks[i].readings, checks[i].faults = nil, []Fault{malformed(0, "what was received was not kept whole, so it cannot be replayed")}
		}
		checks[i].payload.Source = page[i].Source
		for j := range checks[i].readings {
			checks[i].readings[j].Source, checks[i].readings[j].Again = page[i].Source, true
		}
	}
	return checks, nil
}

// checkPlainLetters is checkLetters for those that are readings.
func (r *Receiver) checkPlainLetters(ctx context.Context, principal *registry.Principal, page []*registry.DeadLetter, rehearse bool) ([]messageCheck, error) {
	gather := newGatherer(len(page))
	for _, letter := range page {
		gather.add(readLetter(letter))
	}
	r.directory.forget(principal.Scope, gather.readings)
	checks, err := gather.check(ctx, r, principal, "", rehearse)
	if err != nil {
		return nil, err
	}
	for i, c := range checks {
		for j := range c.readings {
			c.readings[j].Source, c.readings[j].Again = page[i].Source, true
		}
	}
	return checks, nil
}

// readLetter reads what was received. A letter that a worker wrote names its
// device; a message of a device does not.
func readLetter(letter *registry.DeadLetter) Submission {
	if letter.Truncated {
		return Submission{Faults: []Fault{malformed(0, "what was received was not kept whole, so it cannot be replayed")}}
	}
	s := ParseJSON([]byte(letter.Raw), "")
	for i := range s.Readings {
		reading := &s.Readings[i]
		switch {
		case reading.Asset == "" && reading.Device == "":
			reading.Device, reading.Asset = letter.DeviceReference, letter.AssetReference
		case letter.DeviceReference == "" && letter.AssetReference == "":
			// Of a message that names itself what its readings are of.
		case reading.Asset != letter.AssetReference || reading.Device != letter.DeviceReference:
			s.Faults = append(s.Faults, Fault{i, registry.ReasonMalformed, registry.Violation{
				Path: "device", Rule: "undeclared", Message: fmt.Sprintf("the message of %q names something else", letter.DeviceReference+letter.AssetReference)}})
		}
		if reading.MeasuredAt.IsZero() {
			// Apart, as the queue would have put them.
			reading.MeasuredAt = letter.ReceivedAt.Add(time.Duration(i) * time.Millisecond)
		}
	}
	return s
}
