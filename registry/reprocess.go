package registry

import "time"

// KeptPayload is a payload with what it gave one device.
type KeptPayload struct {
	Payload
	// Gave are the measurements that are this payload's own.
	Gave []MeasureTime
	// Given are the times that readings without one were given, in their order.
	Given []time.Time
}

// MeasureTime names one measurement of a device.
type MeasureTime struct {
	Measure string
	// At is in milliseconds since 1970.
	At int64
}

// PayloadFilter says which payloads are meant.
type PayloadFilter struct {
	// From and To bound when they were received; To is outside.
	From, To *time.Time
	// Template names a template whose decoder read them, in any version.
	Template *string
	Valid    *bool
}

// Standing says what a device has where a measurement is to be.
type Standing int

// The standings; what a later one says holds for a measure of which several do.
const (
	StandingAbsent Standing = iota // nothing
	StandingGone                   // nobody can tell: single measurements from that time are no longer kept
	StandingSame                   // the same value
	StandingOther                  // another value
)

// WantedValue is a measurement as it is to be: in the unit of the device's
// template. A nil value asks only whether there is one.
type WantedValue struct {
	MeasureTime
	Value any
}

// Undoing says what becomes of a payload when it is decoded anew.
type Undoing struct {
	Payload ID
	// Remove are measurements that go, Keep those that stay the payload's own.
	Remove, Keep []MeasureTime
	// Valid says that it could be decoded.
	Valid bool
	// Records are the readings that come instead, as records of the queue.
	Records []byte
}

// Undone is what became of payloads whose measurements were removed.
type Undone struct {
	// Twins are those that had them.
	Twins []ID
	// Notes are where the readings are noted that come instead, a note a payload.
	Notes []ID
}

// ReprocessRequest says which payloads of a device to decode anew.
type ReprocessRequest struct {
	// Device is the reference.
	Device string
	// From and To bound when payloads were received; To is outside.
	From, To *time.Time
	// First is how many, the oldest first; After is the cursor where the last call
	// ended.
	First int
	After string
	// Rehearse changes nothing; Token is that of a rehearsal.
	Rehearse bool
	Token    string
}

// MaxReprocessed is how many payloads one call decodes anew.
const MaxReprocessed = 1000

// Reprocessed is what decoding anew did, or would do.
type Reprocessed struct {
	// Payloads counts those that were decoded, Undecodable those that could not be.
	Payloads, Undecodable int
	// Replaced, Added, Removed, Unchanged and Conflicts count measurements;
	// NoLongerKept those from a time of which single measurements are gone.
	Replaced, Added, Removed, Unchanged, Conflicts, NoLongerKept int
	// Failures are some of the payloads that could not be decoded.
	Failures []ReprocessFailure
	// Token is set by a rehearsal; After is empty if that was all.
	Token, After string
	// Twins are those whose newest values may be others by now.
	Twins []ID
}

// TokenText is the token, nil where nothing was rehearsed.
func (r Reprocessed) TokenText() *string { return someText(r.Token) }

// EndCursor is where to go on, nil if that was all.
func (r Reprocessed) EndCursor() *string { return someText(r.After) }

// ReprocessFailure is a payload that could not be decoded.
type ReprocessFailure struct {
	Payload *Payload
	Message string
}
