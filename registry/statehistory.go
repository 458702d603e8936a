package registry

import (
	"io"
	"time"
)

// StateCause is why a twin's state became another.
type StateCause string

// The causes, in the order in which entries of one moment stand.
const (
	StateMeasurement StateCause = "MEASUREMENT"
	StateAttributes  StateCause = "ATTRIBUTES"
	StateLinked      StateCause = "LINKED"
	StateUnlinked    StateCause = "UNLINKED"
	StateOther       StateCause = "STATE"
)

// StateCauses are all of them, in order.
var StateCauses = []StateCause{StateMeasurement, StateAttributes, StateLinked, StateUnlinked, StateOther}

// MarshalGQL writes the cause as a GraphQL enum value.
func (c StateCause) MarshalGQL(w io.Writer) { marshalEnum(w, string(c)) }

// UnmarshalGQL reads the cause from a GraphQL enum value.
func (c *StateCause) UnmarshalGQL(v any) error { return unmarshalEnum(v, c, StateCauses...) }

// PastState is all that a device or an asset was at a moment.
type PastState struct {
	At         time.Time
	Reference  string
	TemplateID ID
	State      State
	Attributes Attributes
	// Measures are the newest values until the moment, by name.
	Measures []LiveValue
}

// StateEntry is a moment at which a twin became another, and what it was then.
type StateEntry struct {
	PastState
	// TwinID is whose entry it is.
	TwinID ID
	Cause  StateCause
	// Names are what changed: measures, attributes, or other properties.
	Names []string
	// Change is the journal's; nil for a measurement.
	Change *Change
	// LinkID is that of the link that began or ended.
	LinkID ID
}

// StateFilter narrows a state history.
type StateFilter struct {
	// From is included, To is not.
	From, To *time.Time
	// Causes are nil for all.
	Causes []StateCause
}
