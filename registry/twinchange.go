package registry

import (
	"io"
	"slices"
	"time"
)

// TwinChangeKind says what of a twin changed.
type TwinChangeKind string

// The kinds of changes of twins.
const (
	TwinValues   TwinChangeKind = "VALUES"   // it measured something
	TwinState    TwinChangeKind = "STATE"    // it was made, changed, moved, linked or deleted
	TwinPresence TwinChangeKind = "PRESENCE" // it connected, or fell silent
	TwinDesired  TwinChangeKind = "DESIRED"  // it is to become something else
	TwinCommand  TwinChangeKind = "COMMAND"  // a command was sent to it, or answered
	TwinAlarm    TwinChangeKind = "ALARM"    // an alarm was raised, cleared or acknowledged
)

// MarshalGQL writes the kind as a GraphQL enum value.
func (k TwinChangeKind) MarshalGQL(w io.Writer) { marshalEnum(w, string(k)) }

// UnmarshalGQL reads the kind from a GraphQL enum value.
func (k *TwinChangeKind) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, k, TwinValues, TwinState, TwinPresence, TwinDesired, TwinCommand, TwinAlarm)
}

// TwinMatch says how a twin is to what a subscription asks for.
type TwinMatch string

// How a twin is to what is asked for.
const (
	MatchEntered TwinMatch = "ENTERED"
	MatchLeft    TwinMatch = "LEFT"
	MatchStayed  TwinMatch = "STAYED"
)

// MarshalGQL writes the match as a GraphQL enum value.
func (m TwinMatch) MarshalGQL(w io.Writer) { marshalEnum(w, string(m)) }

// UnmarshalGQL reads the match from a GraphQL enum value.
func (m *TwinMatch) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, m, MatchEntered, MatchLeft, MatchStayed)
}

// TwinChange is what became of one twin since its last change was told.
type TwinChange struct {
	// Cursor is where to go on after this change.
	Cursor string
	At     time.Time
	TwinID ID
	Kinds  []TwinChangeKind
	// Match is nil where everything is asked for.
	Match *TwinMatch
	// Values are the newest of the measures that changed.
	Values []LiveValue
	// Twin is the twin as it was when the change was told, if it was read then.
	Twin Twin
}

// Add takes over what came later: kinds are gathered, newer values replace older
// ones.
func (c *TwinChange) Add(at time.Time, kind TwinChangeKind, values []LiveValue) {
	if at.After(c.At) {
		c.At = at
	}
	if !slices.Contains(c.Kinds, kind) {
		c.Kinds = append(c.Kinds, kind)
	}
	for _, value := range values {
		i := slices.IndexFunc(c.Values, func(known LiveValue) bool { return known.Measure == value.Measure })
		switch {
		case i < 0:
			c.Values = append(c.Values, value)
		case !value.MeasuredAt.Before(c.Values[i].MeasuredAt):
			c.Values[i] = value
		}
	}
}
