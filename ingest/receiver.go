package ingest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holon-registry/holon/registry"
)

// The bounds of one reading. They keep the memory of the queue, of a batch and
// of a transaction in the graph bounded.
const (
	maxValues    = 200
	maxMessageID = 128
	maxReference = 1024
)

// Receiver checks readings in memory and queues them. It is what every source
// hands its readings to. It is safe for concurrent use.
type Receiver struct {
	queue     *Queue
	directory *Directory
	now       func() time.Time
	metrics   *sourceMetrics
	// keepPayloads says that payloads are kept for a while.
	keepPayloads bool
}

// KeepPayloads keeps what is decoded, so that it can be decoded anew. It is called
// before the receiver is used.
func (r *Receiver) KeepPayloads() { r.keepPayloads = true }

// NewReceiver makes a receiver. A nil clock is the system's; metrics may be nil.
func NewReceiver(queue *Queue, directory *Directory, clock func() time.Time, metrics prometheus.Registerer) (*Receiver, error) {
	if clock == nil {
		clock = time.Now
	}
	m, err := newSourceMetrics(metrics)
	if err != nil {
		return nil, fmt.Errorf("source metrics: %w", err)
	}
	return &Receiver{queue: queue, directory: directory, now: clock, metrics: m}, nil
}

// Submission is what a source has read from one message.
type Submission struct {
	Readings []registry.Reading
	// Faults are what the source itself found wrong with some of the readings.
	Faults []Fault
	// Partial accepts the readings that are right although others are not.
	Partial bool
}

// message says which message a reading counts as one of: each is by itself where
// a part is accepted.
func (s *Submission) message(reading int) int {
	if s.Partial {
		return reading
	}
	return 0
}

// Fault is one thing that is wrong with one reading.
type Fault struct {
	// Index is the reading's place in the message, from 0.
	Index  int
	Reason registry.DeadLetterReason
	// Violation's path begins at the reading: "values.temperature".
	registry.Violation
}

// Receipt says what became of a submission.
type Receipt struct {
	// Accepted counts the readings that are queued. One whose values have times
	// of their own counts for each time.
	Accepted int
	// Faults says why others are not.
	Faults []Fault
	// partitions are where the accepted ones wait to be stored.
	partitions []int
}

// Receive checks readings and queues them, all or none: INVALID lists what is
// wrong with paths such as "[3].values.temperature", and nothing is queued.
// LIMIT_EXCEEDED (see RetryAfter) and UNAVAILABLE are those of Queue.Add; after
// these some readings may have been queued, and sending all again is safe.
// Source is "http", "graphql" and the like.
func (r *Receiver) Receive(ctx context.Context, principal *registry.Principal, source string, readings []registry.Reading) (Receipt, error) {
	return r.Submit(ctx, principal, source, Submission{Readings: readings})
}

// Submit is Receive for a source that has found faults itself, or that accepts
// a part.
func (r *Receiver) Submit(ctx context.Context, principal *registry.Principal, source string, s Submission) (Receipt, error) {
	start := time.Now()
	receipt, err := r.submit(ctx, principal, source, s)
	r.observe(source, answerOf(err), start, receipt.Accepted, len(s.Readings)-receipt.Accepted)
	return receipt, err
}

func (r *Receiver) submit(ctx context.Context, principal *registry.Principal, source string, s Submission) (Receipt, error) {
	checked, err := r.check(ctx, principal, source, s.Readings, s.Faults)
	if err != nil {
		return Receipt{}, err
	}
	if err := r.announce(ctx, principal, checked, s.Readings, s.message); err != nil {
		return Receipt{}, err
	}
	if len(checked.faults) > 0 && !s.Partial {
		err := invalid(checked.faults)
		return Receipt{Faults: checked.faults}, err
	}
	good := checked.good()
	if err := r.queue.Add(ctx, good); err != nil {
		return Receipt{}, err
	}
	return Receipt{Accepted: len(good), Faults: checked.faults, partitions: r.queue.partitionsOf(good)}, nil
}

// observe counts one message and its readings.
func (r *Receiver) observe(source, answer string, start time.Time, accepted, others int) {
	r.metrics.requests.WithLabelValues(source, answer).Observe(time.Since(start).Seconds())
	if accepted > 0 {
		r.metrics.readings.WithLabelValues(source, "accepted").Add(float64(accepted))
	}
	if others > 0 {
		if answer == answerAccepted {
			answer = answerOf(registry.Invalid())
		}
		r.metrics.readings.WithLabelValues(source, answer).Add(float64(others))
	}
}

// What a source answers, besides errors.
const (
	answerAccepted   = "accepted"
	answerDeadLetter = "dead_letter"
)

// ruleUnknown is broken by a device that does not exist for the sender.
const ruleUnknown = "unknown"

// answerOf names an answer for metrics.
func answerOf(err error) string {
	if err == nil {
		return answerAccepted
	}
	switch registry.CodeOf(err) {
	case registry.CodeInvalid:
		return "invalid"
	case registry.CodeLimitExceeded:
		return "full"
	case registry.CodeUnavailable:
		return "unavailable"
	case registry.CodeUnauthenticated, registry.CodeForbidden:
		return "forbidden"
	}
	return "failed"
}

// maxFaults bounds the answer to a message that is all wrong.
const maxFaults = 100

// invalid is the error that tells the faults of a message.
func invalid(faults []Fault) error {
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), cmp.Compare(a.Path, b.Path))
	})
	violations := make([]registry.Violation, 0, min(len(faults), maxFaults))
	for _, f := range faults[:min(len(faults), maxFaults)] {
		v := f.Violation
		place := "[" + strconv.Itoa(f.Index) + "]"
		if v.Path != "" {
			place += "."
		}
		v.Path = place + v.Path
		violations = append(violations, v)
	}
	return registry.Invalid(violations...)
}

// checked is a message whose readings were all looked at.
type checked struct {
	readings []registry.AcceptedReading // one for each reading
	bad      []bool
	faults   []Fault
	// restored says that the readings were taken once, beside what devices feed.
	restored bool
	// split has what a reading falls into whose values have their own times.
	split map[int][]registry.AcceptedReading
	// newcomers are readings whose devices are to be made, reporting those that say
	// something of their devices.
	newcomers []newcomer
	reporting []int
}

// good returns the readings without a fault.
func (c *checked) good() []registry.AcceptedReading { return c.goodOf(0, len(c.readings)) }

// goodOf is good for the readings from one to before another.
func (c *checked) goodOf(from, to int) []registry.AcceptedReading {
	if len(c.faults) == 0 && len(c.split) == 0 {
		return c.readings[from:to]
	}
	good := make([]registry.AcceptedReading, 0, to-from)
	for i := from; i < to; i++ {
		if parts := c.split[i]; !c.bad[i] && parts != nil {
			good = append(good, parts...)
		} else if !c.bad[i] {
			good = append(good, c.readings[i])
		}
	}
	return good
}

func (c *checked) fault(index int, reason registry.DeadLetterReason, path, rule, message string) {
	c.bad[index] = true
	c.faults = append(c.faults, Fault{index, reason, registry.Violation{Path: path, Rule: rule, Message: message}})
}

// check looks at every reading. Its error is one of the directory.
func (r *Receiver) check(ctx context.Context, principal *registry.Principal, source string, readings []registry.Reading, faults []Fault) (*checked, error) {
	c := &checked{
		readings: make([]registry.AcceptedReading, len(readings)), bad: make([]bool, len(readings)), faults: faults,
		restored: source == registry.SourceRestored,
	}
	for _, f := range faults {
		if f.Index < len(c.bad) {
			c.bad[f.Index] = true
		}
	}
	devices, err := r.directory.find(ctx, principal.Scope, readings, c.bad)
	if err != nil {
		return nil, err
	}
	announced, err := r.announced(ctx, principal, readings, devices, c.bad)
	if err != nil {
		return nil, err
	}
	now := r.now()
	for i := range readings {
		if c.bad[i] {
			continue
		}
		reading, device := &readings[i], devices[i]
		switch {
		case reading.Device != "" && reading.Asset != "":
			c.fault(i, registry.ReasonMalformed, "asset", "exclusive", "a reading is of a device or of an asset, not of both")
			continue
		case reading.Device == "" && reading.Asset == "":
			c.fault(i, registry.ReasonMalformed, "device", "required", "a reading names its device, or its asset")
			continue
		case len(reading.Device)+len(reading.Asset) > maxReference:
			c.unknown(i, reading, "length", "a reference has at most "+strconv.Itoa(maxReference)+" bytes")
			continue
		case device == nil && reading.Asset == "" && reading.Template != "" && !principal.Bound():
			template := c.checkNewcomer(i, reading, announced[strings.ToLower(reading.Template)])
			if template == nil {
				continue
			}
			device = &knownDevice{KnownDevice: KnownDevice{Reference: reading.Device}, template: template}
		case device == nil || !principal.MaySend(device.ID):
			// A key that is bound to other devices learns nothing about this one.
			c.unknown(i, reading, ruleUnknown, "there is no "+reading.Source()+" that this key may send for")
			continue
		}
		values, timed := c.checkReading(i, reading, device, now)
		if len(reading.Attributes) > 0 {
			c.checkReported(i, reading, device.template)
			c.reporting = append(c.reporting, i)
		}
		c.readings[i] = registry.AcceptedReading{
			Account: principal.Account, DeviceID: device.ID, Reference: device.Reference, Asset: reading.Asset != "", Source: source,
			MeasuredAt: wholeMillisecond(reading.MeasuredAt), MessageID: reading.MessageID, Values: values,
		}
		c.note(i, reading)
		if timed && !c.bad[i] {
			if c.split == nil {
				c.split = map[int][]registry.AcceptedReading{}
			}
			c.split[i] = byTime(c.readings[i])
		}
	}
	return c, nil
}

// unknown notes that what a reading is of is not there.
func (c *checked) unknown(index int, reading *registry.Reading, rule, message string) {
	if reading.Asset != "" {
		c.fault(index, registry.ReasonUnknownAsset, "asset", rule, message)
		return
	}
	c.fault(index, registry.ReasonUnknownDevice, "device", rule, message)
}

// wholeMillisecond cuts a time down to what is stored.
func wholeMillisecond(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Truncate(time.Millisecond)
}

// checkReading looks at one reading and returns its values, and whether some
// have times of their own.
func (c *checked) checkReading(i int, reading *registry.Reading, device *knownDevice, now time.Time) (values map[string]any, timed bool) {
	if refusal := registry.CheckTime(reading.MeasuredAt, now); refusal != nil {
		c.fault(i, refusal.Reason, "measuredAt", "range", refusal.Message)
	}
	if len(reading.MessageID) > maxMessageID || !utf8.ValidString(reading.MessageID) {
		c.fault(i, registry.ReasonMalformed, "messageId", "length", "a message id has at most "+strconv.Itoa(maxMessageID)+" bytes of UTF-8")
	}
	switch n := len(reading.Values); {
	case n == 0 && len(reading.Attributes) == 0:
		c.fault(i, registry.ReasonMalformed, "values", "required", "a reading has at least one value, or attributes of its device")
	case n > maxValues:
		c.fault(i, registry.ReasonMalformed, "values", "length", "a reading has at most "+strconv.Itoa(maxValues)+" values")
		return nil, false
	}
	values = reading.Values
	own := false
	for measure, value := range reading.Values {
		if object, ok := value.(map[string]any); ok {
			decoded, wrong := registry.DecodeValue(object)
			if wrong != "" {
				c.fault(i, registry.ReasonWrongType, "values."+measure, "type", wrong)
				continue
			}
			if !own {
				values, own = maps.Clone(values), true
			}
			values[measure], value = decoded, decoded
		}
		if refusal := device.template.CheckValue(measure, value); refusal != nil {
			c.fault(i, refusal.Reason, "values."+measure, refusal.Rule, refusal.Message)
			continue
		}
		at := reading.MeasuredAt
		if at.IsZero() {
			at = now
		}
		if q, ok := value.(registry.Quantity); ok && !q.MeasuredAt.IsZero() {
			timed, at = true, q.MeasuredAt
			if refusal := registry.CheckTime(q.MeasuredAt, now); refusal != nil {
				c.fault(i, refusal.Reason, "values."+measure+".measuredAt", "range", refusal.Message)
			}
		}
		if len(device.Feeds) > 0 && !c.restored {
			if refusal := device.template.CheckManual(measure, at, device.Feeds); refusal != nil {
				c.fault(i, refusal.Reason, "values."+measure, refusal.Rule, refusal.Message)
			}
		}
	}
	return values, timed
}

// byTime parts a reading whose values have times of their own: first what has
// the reading's time, then one reading a time, in order.
func byTime(r registry.AcceptedReading) []registry.AcceptedReading {
	rest := r
	rest.Values = map[string]any{}
	parts := map[time.Time]map[string]any{}
	for measure, value := range r.Values {
		q, ok := value.(registry.Quantity)
		if !ok || q.MeasuredAt.IsZero() {
			rest.Values[measure] = value
			continue
		}
		at := wholeMillisecond(q.MeasuredAt)
		if q.MeasuredAt = (time.Time{}); q.Unit == "" {
			value = q.Value
		} else {
			value = q
		}
		if parts[at] == nil {
			parts[at] = map[string]any{}
		}
		parts[at][measure] = value
	}
	var out []registry.AcceptedReading
	if len(rest.Values) > 0 {
		out = append(out, rest)
	}
	for _, at := range slices.SortedFunc(maps.Keys(parts), time.Time.Compare) {
		part := r
		part.MeasuredAt, part.Values = at, parts[at]
		out = append(out, part)
	}
	return out
}
