package registry

import (
	"io"
	"time"
)

// DeadLetterReason says why a reading cannot be used.
type DeadLetterReason string

// The reasons.
const (
	ReasonMalformed         DeadLetterReason = "MALFORMED"          // the payload cannot be read
	ReasonUndecodable       DeadLetterReason = "UNDECODABLE"        // the template's decoder cannot read the payload
	ReasonUnknownAsset      DeadLetterReason = "UNKNOWN_ASSET"      // no such asset, or it was deleted meanwhile
	ReasonFedByDevice       DeadLetterReason = "FED_BY_DEVICE"      // a device feeds the asset's measure at that time
	ReasonUnknownDevice     DeadLetterReason = "UNKNOWN_DEVICE"     // no such device, or it was deleted meanwhile
	ReasonUndeclaredMeasure DeadLetterReason = "UNDECLARED_MEASURE" // the template has no such measure
	ReasonWrongType         DeadLetterReason = "WRONG_TYPE"         // the value is not of the measure's type
	ReasonTimeOutOfBounds   DeadLetterReason = "TIME_OUT_OF_BOUNDS" // measuredAt is in the future or before 2000
	ReasonConflictingValue  DeadLetterReason = "CONFLICTING_VALUE"  // another value is stored for that time
	ReasonNoLongerKept      DeadLetterReason = "NO_LONGER_KEPT"     // what was measured then is no longer kept one by one
)

// DeadLetterReasons are all of them.
var DeadLetterReasons = []DeadLetterReason{
	ReasonMalformed, ReasonUndecodable, ReasonUnknownDevice, ReasonUndeclaredMeasure, ReasonWrongType, ReasonTimeOutOfBounds, ReasonConflictingValue,
	ReasonUnknownAsset, ReasonFedByDevice, ReasonNoLongerKept,
}

// MarshalGQL writes the reason as a GraphQL enum value.
func (r DeadLetterReason) MarshalGQL(w io.Writer) { marshalEnum(w, string(r)) }

// UnmarshalGQL reads the reason from a GraphQL enum value.
func (r *DeadLetterReason) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, r, DeadLetterReasons...)
}

// DeadLetter is a reading that was acknowledged and turned out to be unusable.
type DeadLetter struct {
	ID ID
	// DeviceReference is as it was received; DeviceID is empty if no such
	// device is known. A reading of an asset itself has these two instead.
	DeviceReference, AssetReference string
	DeviceID, AssetID               ID
	Reason                          DeadLetterReason
	Message                         string
	Source                          string
	ReceivedAt                      time.Time
	// Raw is the reading as text: as received, or as JSON; empty for a payload
	// that is no text.
	Raw string
	// Truncated says that Raw is not all that was received, or not byte by byte:
	// it cannot be replayed.
	Truncated bool
	// Payload is what was sent in a format of its sender's own; nil for readings.
	Payload *Payload
}

// IsNode marks a dead letter as a GraphQL Node.
func (*DeadLetter) IsNode() {}

// NodeID is the dead letter's id.
func (d *DeadLetter) NodeID() ID { return d.ID }

// DeadLetterFilter says which dead letters are meant: those of a list of ids,
// or all that fit the rest.
type DeadLetterFilter struct {
	IDs    []ID
	Reason *DeadLetterReason
	// Device and Asset are the reference as it was received.
	Device, Asset *string
	Source        *string
	// From and To bound when they were received; To is outside.
	From, To *time.Time
	// Brief leaves out what was received, which is large.
	Brief bool
}

// MaxReplayed is how many dead letters one call replays, and how many ids a
// filter may name.
const MaxReplayed = 1000

// Check refuses a filter that changes everything without saying so, and one
// that says two things.
func (f DeadLetterFilter) Check(all bool) error {
	narrow := f.Reason != nil || f.Device != nil || f.Asset != nil || f.Source != nil || f.From != nil || f.To != nil
	switch {
	case len(f.IDs) > MaxReplayed:
		return InvalidField("ids", "length", "name at most %d dead letters", MaxReplayed)
	case len(f.IDs) > 0 && (narrow || all):
		return InvalidField("ids", "exclusive", "name dead letters by their ids, or say which are meant, not both")
	case len(f.IDs) == 0 && !narrow && !all:
		return InvalidField("all", "required", "say which dead letters are meant, or that all are")
	}
	return nil
}

// DeadLetterCount is how many dead letters have a reason.
type DeadLetterCount struct {
	Reason          DeadLetterReason
	Count           int
	FirstAt, LastAt time.Time
}

// ReplayRequest says which dead letters to try again.
type ReplayRequest struct {
	Filter DeadLetterFilter
	// First is how many, the oldest first; After is the cursor where the last
	// call ended.
	First int
	After string
	// Rehearse changes nothing.
	Rehearse bool
}

// Replayed is what became of dead letters that were tried again.
type Replayed struct {
	// Accepted and Refused count dead letters, Readings the readings in those
	// that were accepted.
	Accepted, Refused, Readings int
	// StillRefused are some of those that stay, with the reason of now.
	StillRefused []*DeadLetter
	// After is the cursor for the next call; empty if that was all.
	After string
}
