package ingest

import (
	"context"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// deviceMessage is a message of one device, as it comes by MQTT: one reading,
// or an array, without the device's name.
type deviceMessage struct {
	reference string
	payload   []byte
}

// messageCheck is what is to be done with a message: if it has no faults its
// readings can be queued, which then are all that it has.
type messageCheck struct {
	readings []registry.AcceptedReading
	faults   []Fault
}

// checkMessages parses messages and checks the readings of all of them at
// once. Its error is one of the device directory.
func (r *Receiver) checkMessages(ctx context.Context, principal *registry.Principal, source string, messages []deviceMessage) ([]messageCheck, error) {
	gather := newGatherer(len(messages))
	for _, m := range messages {
		gather.add(ParseJSON(m.payload, m.reference))
	}
	return gather.check(ctx, r, principal, source, false)
}

// gatherer puts the readings of many messages together, so that their devices
// are looked up at once.
type gatherer struct {
	checks   []messageCheck
	readings []registry.Reading
	faults   []Fault
	owner    []int // by reading: the message
	first    []int // by message: its first reading
}

func newGatherer(messages int) *gatherer {
	return &gatherer{checks: make([]messageCheck, 0, messages), first: make([]int, 1, messages+1)}
}

// add adds what was read from one message.
func (g *gatherer) add(parsed Submission) {
	var c messageCheck
	if len(parsed.Readings) == 0 { // nothing, or nothing that can be read
		c.faults = parsed.Faults
	}
	for _, f := range parsed.Faults {
		if len(parsed.Readings) > 0 {
			f.Index += len(g.readings)
			g.faults = append(g.faults, f)
		}
	}
	g.readings = append(g.readings, parsed.Readings...)
	for range parsed.Readings {
		g.owner = append(g.owner, len(g.checks))
	}
	g.checks, g.first = append(g.checks, c), append(g.first, len(g.readings))
}

// check checks all readings and tells what is wrong by message. A rehearsal makes
// no devices, and sets none of their attributes.
func (g *gatherer) check(ctx context.Context, r *Receiver, principal *registry.Principal, source string, rehearse bool) ([]messageCheck, error) {
	checked, err := r.check(ctx, principal, source, g.readings, g.faults)
	if err != nil {
		return nil, err
	}
	announce := r.announce
	if rehearse {
		announce = r.foresee
	}
	if err := announce(ctx, principal, checked, g.readings, func(i int) int { return g.owner[i] }); err != nil {
		return nil, err
	}
	for _, f := range checked.faults {
		c := &g.checks[g.owner[f.Index]]
		f.Index -= g.first[g.owner[f.Index]]
		c.faults = append(c.faults, f)
	}
	for i := range g.checks {
		g.checks[i].readings = checked.goodOf(g.first[i], g.first[i+1])
	}
	return g.checks, nil
}

// deadLetter is a message whose sender cannot be told what is wrong with it.
func deadLetter(scope registry.Scope, source string, m deviceMessage, faults []Fault) registry.AcceptedReading {
	message := invalid(faults).Error() // sorts them, so it comes first
	return registry.AcceptedReading{
		Account: scope.Account, Reference: strings.ToValidUTF8(shorten(m.reference, maxReference), "\uFFFD"), Source: source, Raw: m.payload,
		Refused: &registry.Refusal{Reason: faults[0].Reason, Message: message},
	}
}

// shorten cuts a text at a number of bytes, between two characters.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
