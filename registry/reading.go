package registry

import "time"

// Reading is one message of a device, or what somebody has read from an asset
// itself, as a source hands it in.
type Reading struct {
	// Device is the device's reference, Asset the asset's; one of them is empty.
	Device, Asset string
	// MeasuredAt is zero if the device did not say: the time of receipt holds.
	MeasuredAt time.Time
	// MessageID makes a repeat of a reading without MeasuredAt known; optional.
	MessageID string
	// Template names the template that the device is made of if there is none of
	// that reference; optional. Attributes are what the device says of itself.
	Template   string
	Attributes Attributes
	// Values has a decoded value for each measure (see ValueType), or a Quantity
	// where its unit or its time was sent with it.
	Values map[string]any
}

// AcceptedReading is a reading on its way through the queue.
type AcceptedReading struct {
	Account ID
	// DeviceID is the id of the device, or of the asset if Asset is set.
	DeviceID  ID
	Reference string
	Asset     bool
	// MeasuredAt and ReceivedAt are set by the time a worker sees them.
	MeasuredAt time.Time
	ReceivedAt time.Time
	MessageID  string
	// Source is "http", "mqtt", "graphql", ...
	Source string
	Values map[string]any
	// Template and Attributes, a JSON object, are what the reading says of its
	// device: a dead letter has to say it too, to make the device later.
	Template   string
	Attributes []byte
	// Timeless says that its sender gave no time: MeasuredAt was given to it.
	Timeless bool
	// Again says that it was received before, and is tried or decoded anew: it does
	// not show that its device is there now.
	Again bool
	// Payload is what the reading was decoded from; all but the first reading of a
	// payload have its id only. Nil where readings were sent, and where payloads
	// are not kept.
	Payload *Payload
	// Refused is set when a source could not refuse the message to its sender:
	// it goes to the dead letters, with Raw.
	Refused *Refusal
	// Raw is what was received, kept only where Refused is set and there is no
	// Payload.
	Raw []byte
}

// Refusal says why a reading, or one value of it, cannot be used.
type Refusal struct {
	Reason DeadLetterReason
	// Measure is empty where the whole reading is refused.
	Measure string
	Message string
	// Rule names what a value breaks: "type", "undeclared", "unit", "computed",
	// "enum", "range", "length" or "fed". A refusal that was queued has none.
	Rule string
}

// The bounds of measuredAt.
var earliestMeasurement = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// SourceRestored is the source of readings that a file of an export tells of:
// what they meant for alarms stands in the file, so it is not decided again.
const SourceRestored = "restored"

// FutureTolerance is how far ahead of Holon's clock a device's may be.
const FutureTolerance = 5 * time.Minute

// CheckTime refuses a time of measurement that no clock in order would say.
// The zero time is fine: it means the time of receipt.
func CheckTime(measuredAt, now time.Time) *Refusal {
	switch {
	case measuredAt.IsZero():
		return nil
	case measuredAt.Before(earliestMeasurement):
		return &Refusal{Reason: ReasonTimeOutOfBounds, Message: "measuredAt lies before the year 2000, before which nothing is taken; a number counts milliseconds since 1970, not seconds"}
	case measuredAt.After(now.Add(FutureTolerance)):
		return &Refusal{Reason: ReasonTimeOutOfBounds, Message: "measuredAt lies more than 5 minutes in the future"}
	}
	return nil
}

// TwinUpdate is what a stored batch means for one twin: the newest value of
// each measure that the batch brought.
type TwinUpdate struct {
	Account ID
	TwinID  ID
	Values  []LiveValue
	// SeenFirst and Seen are when the first and the last reading of a device were
	// received; zero for an asset. Silence is after which time without another the
	// device is not connected, 0 for never.
	SeenFirst, Seen time.Time
	Silence         time.Duration
	// Alarming says that the account has alarms. Steps then are all values of the
	// batch: each counts.
	Alarming bool
	Steps    []LiveValue
}

// AppendResult is what became of a batch of readings.
type AppendResult struct {
	// Stored, Repeats and DeadLetters count readings: each is exactly one.
	Stored, Repeats, DeadLetters int
	// Measurements counts the nodes that were made.
	Measurements int
	// Updates has one entry a twin, devices and linked assets alike, repeats
	// included, so that a batch that runs again tells the same again.
	Updates []TwinUpdate
}
