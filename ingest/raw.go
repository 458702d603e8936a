package ingest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/decode"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

const (
	// maxPayload is in bytes: that much is kept of a payload, whole.
	maxPayload = 256 << 10
	// decodeTimeout bounds how long the payload of one message is decoded.
	decodeTimeout = 5 * time.Second
)

// rawMessage is a payload in a format of its sender's own, with where it was
// sent: for a device, or for a template whose decoder finds the devices.
type rawMessage struct {
	reference, template string
	content             []byte
	contentType         string
	receivedAt          time.Time
	// id is that of an earlier attempt; empty for a new payload.
	id registry.ID
	// name gives readings message ids; it may be nil.
	name func([]registry.Reading)
	// timed says that readings without a time get that of the payload.
	timed bool
}

// rawCheck is what is to be done with a payload.
type rawCheck struct {
	messageCheck
	payload *registry.Payload
	device  *knownDevice
	// astray says that the sender may not send for that device, or that there is no
	// such device or template: faults tell.
	astray bool
}

// checkRaw decodes payloads and checks the readings of all of them at once. Its
// error is one of the device directory. A rehearsal makes no devices.
func (r *Receiver) checkRaw(ctx context.Context, principal *registry.Principal, source string, messages []rawMessage, rehearse bool) ([]rawCheck, error) {
	checks := make([]rawCheck, len(messages))
	targets, err := r.targets(ctx, principal, messages, checks)
	if err != nil {
		return nil, err
	}
	gather := newGatherer(len(messages))
	for i := range messages {
		checks[i].payload = messages[i].payload(source)
		read, err := r.decode(ctx, &messages[i], &checks[i], targets[i])
		if err != nil {
			return nil, err
		}
		gather.add(read)
	}
	checked, err := gather.check(ctx, r, principal, source, rehearse)
	if err != nil {
		return nil, err
	}
	for i := range checked {
		c := &checks[i]
		c.messageCheck = checked[i]
		c.payload.Valid = len(c.faults) == 0
		if principal.Bound() {
			c.refuseOthers(messages[i].template != "")
		}
		r.attach(c)
	}
	return checks, nil
}

// refuseOthers lets the payload of a key that is bound to devices go astray if it
// holds, or may hold, anything of another device: as a dead letter it would be
// tried again by somebody who may send for all.
func (c *rawCheck) refuseOthers(anyDevice bool) {
	if at := slices.IndexFunc(c.faults, unknownDevice); at >= 0 {
		c.astray, c.faults = true, c.faults[at:at+1]
	} else if anyDevice && len(c.faults) > 0 {
		message := "a key that is bound to devices sends payloads for a template that can be used as they are: " + invalid(c.faults).Error()
		c.astray, c.faults = true, []Fault{{Reason: c.faults[0].Reason, Violation: registry.Violation{Rule: c.faults[0].Rule, Message: message}}}
	}
}

// unknownDevice says whether a fault is that a device is not there for the sender.
func unknownDevice(f Fault) bool { return f.Rule == ruleUnknown }

// targets finds the template of each message, nil where it went astray.
func (r *Receiver) targets(ctx context.Context, principal *registry.Principal, messages []rawMessage, checks []rawCheck) ([]*registry.Template, error) {
	templates := make([]*registry.Template, len(messages))
	named, elsewhere := make([]registry.Reading, len(messages)), make([]bool, len(messages))
	for i := range messages {
		named[i].Device, elsewhere[i] = messages[i].reference, messages[i].template != "" || len(messages[i].reference) > maxReference
	}
	devices, err := r.directory.find(ctx, principal.Scope, named, elsewhere)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		if name := messages[i].template; name != "" {
			if templates[i], err = r.directory.templateNamed(ctx, principal.Scope, name); err != nil {
				return nil, err
			}
		} else if device := devices[i]; device != nil && principal.MaySend(device.ID) {
			checks[i].device, templates[i] = device, device.template
		}
	}
	return templates, nil
}

// payload is what is kept of a message.
func (m *rawMessage) payload(source string) *registry.Payload {
	p := &registry.Payload{ID: m.id, Content: m.content, ContentType: strings.ToValidUTF8(shorten(m.contentType, 256), "\uFFFD"), Template: m.template, Source: source, ReceivedAt: wholeMillisecond(m.receivedAt)}
	if p.Content == nil {
		p.Content = []byte{}
	}
	if p.ID == "" {
		p.ID = registry.ID(uuid.Must(uuid.NewV7()).String()) // fails only where there is no randomness at all
	}
	return p
}

// decode reads the readings of a payload. Its error is that the context has ended.
func (r *Receiver) decode(ctx context.Context, m *rawMessage, c *rawCheck, template *registry.Template) (Submission, error) {
	if template == nil {
		c.astray = true
		message := "there is no device " + strconv.Quote(shorten(m.reference, maxReference)) + " that this key may send for"
		if m.template != "" {
			message = "there is no published template " + strconv.Quote(shorten(m.template, maxReference)) + " of devices"
		}
		return Submission{Faults: []Fault{{Reason: registry.ReasonUnknownDevice, Violation: registry.Violation{Path: "device", Rule: ruleUnknown, Message: message}}}}, nil
	}
	decoder, problem := r.directory.decoder(template)
	if problem != "" {
		return undecodable(problem), nil
	}
	if len(m.content) > maxPayload {
		return undecodable("a payload has at most " + strconv.Itoa(maxPayload) + " bytes"), nil
	}
	bounded, cancel := context.WithTimeout(ctx, decodeTimeout)
	defer cancel()
	p := decode.Payload{Content: m.content, ContentType: m.contentType, ReceivedAt: c.payload.ReceivedAt}
	if c.device != nil {
		p.Device = c.device.Reference
	}
	readings, err := decoder.Decode(bounded, p)
	switch {
	case ctx.Err() != nil: // says nothing of the payload
		return Submission{}, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return undecodable("takes longer than " + decodeTimeout.String() + " to decode"), nil
	case err != nil:
		return undecodable(err.Error()), nil
	}
	if m.template != "" {
		for i := range readings {
			readings[i].Template = template.Name // it may make devices
		}
	}
	if m.name != nil {
		m.name(readings)
	}
	if m.timed {
		giveTimes(readings, nil, c.payload.ReceivedAt)
	}
	return Submission{Readings: readings}, nil
}

// giveTimes gives readings without a time the times that such readings of their
// device got before, and those that are left one after the other from when they
// were received.
func giveTimes(readings []registry.Reading, before map[string][]time.Time, receivedAt time.Time) {
	taken := map[string]int{}
	for i := range readings {
		reading := &readings[i]
		if !reading.MeasuredAt.IsZero() {
			continue
		}
		device := rule.Fold(reading.Device)
		n := taken[device]
		taken[device]++
		if n < len(before[device]) {
			reading.MeasuredAt = before[device][n]
		} else {
			reading.MeasuredAt = receivedAt.Add(time.Duration(n) * time.Millisecond)
		}
	}
}

func undecodable(message string) Submission {
	return Submission{Faults: []Fault{{Reason: registry.ReasonUndecodable, Violation: registry.Violation{Rule: "decode", Message: message}}}}
}

// attach lets the readings of a payload say where they come from. The first one
// carries what is kept.
func (r *Receiver) attach(c *rawCheck) {
	if !r.keepPayloads || len(c.faults) > 0 {
		return
	}
	same := &registry.Payload{ID: c.payload.ID}
	for i := range c.readings {
		c.readings[i].Payload = same
	}
	if len(c.readings) > 0 {
		c.payload.Kept = true
		c.readings[0].Payload = c.payload
	}
}

// queued is what of a payload goes into the queue: its readings, or itself as a
// dead letter.
func (r *Receiver) queued(scope registry.Scope, source string, m *rawMessage, c *rawCheck) []registry.AcceptedReading {
	if len(c.faults) == 0 {
		return c.readings
	}
	letter := deadLetter(scope, source, deviceMessage{m.reference, nil}, c.faults)
	letter.Payload = c.payload
	if c.device != nil {
		letter.DeviceID, letter.Reference = c.device.ID, c.device.Reference
		c.payload.Kept = r.keepPayloads
	}
	return []registry.AcceptedReading{letter}
}

// rawReceipt says what became of a payload.
type rawReceipt struct {
	accepted, readings int
	// faults say why it is a dead letter.
	faults     []Fault
	partitions []int
}

// errAstray is a payload for nobody.
var errAstray = errors.New("the payload went astray")

// receiveRaw decodes one payload and queues its readings, or the payload as a
// dead letter. NOT_FOUND is a payload for nobody.
func (r *Receiver) receiveRaw(ctx context.Context, principal *registry.Principal, source string, m rawMessage) (rawReceipt, error) {
	checks, err := r.checkRaw(ctx, principal, source, []rawMessage{m}, false)
	if err != nil {
		return rawReceipt{}, err
	}
	c := &checks[0]
	if c.astray {
		return rawReceipt{faults: c.faults}, &registry.Error{Code: registry.CodeNotFound, Message: c.faults[0].Message, Cause: errAstray}
	}
	queued := r.queued(principal.Scope, source, &m, c)
	if err := r.queue.Add(ctx, queued); err != nil {
		return rawReceipt{}, err
	}
	out := rawReceipt{faults: c.faults, readings: max(len(c.readings), 1), partitions: r.queue.partitionsOf(queued)}
	if len(c.faults) == 0 {
		out.accepted = len(queued)
	}
	return out, nil
}
