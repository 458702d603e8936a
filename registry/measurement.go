package registry

import (
	"io"
	"time"
)

// Measurement is one value at one time.
type Measurement struct {
	At time.Time
	// Value is a decoded value: see ValueType.
	Value any
	// Unit is the UCUM code of the unit that the value was sent in, where that is
	// not the device's own.
	Unit *string
	// Suspect says why the value should not be believed, nil if it can be.
	Suspect *SuspectReason
	// Computed says that the value was worked out from others just now.
	Computed bool
}

// SuspectReason says why a value should not be believed.
type SuspectReason string

// The reasons.
const (
	SuspectBelowMinimum SuspectReason = "BELOW_MINIMUM"
	SuspectAboveMaximum SuspectReason = "ABOVE_MAXIMUM"
	SuspectRate         SuspectReason = "RATE"
)

// MarshalGQL writes the reason as a GraphQL enum value.
func (r SuspectReason) MarshalGQL(w io.Writer) { marshalEnum(w, string(r)) }

// UnmarshalGQL reads the reason from a GraphQL enum value.
func (r *SuspectReason) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, r, SuspectBelowMinimum, SuspectAboveMaximum, SuspectRate)
}

// Pointer is the reason, nil for none.
func (r SuspectReason) Pointer() *SuspectReason {
	if r == "" {
		return nil
	}
	return &r
}

// Series is everything that one measure of a twin was.
type Series struct {
	ID      ID
	TwinID  ID
	Measure string
	Type    ValueType
	// Unit is a UCUM code; nil where there is none.
	Unit *string
	// Generation grows by one when the measure's type changes.
	Generation int
	// Last is the newest measurement, nil before the first.
	Last *Measurement
	// Computed says that the measure is worked out from others: there is no such
	// series in the store.
	Computed bool
}

// OwnSeries is a measure that a twin has readings of its own of: a device all
// that it sent, an asset what was read from it by hand.
type OwnSeries struct {
	Measure string
	// LastAt is when the newest of them was measured.
	LastAt time.Time
}

// Samples are many measurements at once: two lists of the same length.
type Samples struct {
	At []time.Time
	// Value holds decoded values: see ValueType.
	Value []any
	// NextFrom is where to go on, nil at the end of the interval.
	NextFrom *time.Time
}

// LiveValue is the newest value of a measure.
type LiveValue struct {
	Measure    string
	Value      any
	MeasuredAt time.Time
	// Unit is the UCUM code of the value's unit; empty where there is none.
	Unit    string
	Suspect SuspectReason
	// Computed says that the value was worked out from others just now.
	Computed bool
}

// UnitCode is the unit, nil where there is none.
func (v LiveValue) UnitCode() *string {
	if v.Unit == "" {
		return nil
	}
	return &v.Unit
}

// SuspectReason is why the value should not be believed, nil if it can be.
func (v LiveValue) SuspectReason() *SuspectReason { return v.Suspect.Pointer() }
