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
	checks := make([]messageCheck, len(messages))
	var readings []registry.Reading
	var faults []Fault
	var owner []int // by reading: the message
	first := make([]int, len(messages)+1)
	for i, m := range messages {
		first[i] = len(readings)
		parsed := ParseJSON(m.payload, m.reference)
		if len(parsed.Readings) == 0 { // nothing, or nothing that can be read
			checks[i].faults = parsed.Faults
			continue
		}
		for _, f := range parsed.Faults {
			f.Index += len(readings)
			faults = append(faults, f)
		}
		readings = append(readings, parsed.Readings...)
		for range parsed.Readings {
			owner = append(owner, i)
		}
	}
	first[len(messages)] = len(readings)
	checked, err := r.check(ctx, principal, source, readings, faults)
	if err != nil {
		return nil, err
	}
	for _, f := range checked.faults {
		c := &checks[owner[f.Index]]
		f.Index -= first[owner[f.Index]]
		c.faults = append(c.faults, f)
	}
	for i := range checks {
		checks[i].readings = checked.goodOf(first[i], first[i+1])
	}
	return checks, nil
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
