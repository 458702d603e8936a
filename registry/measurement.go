package registry

import (
	"time"
)

// Measurement is one value at one time.
type Measurement struct {
	At time.Time
	// Value is a float64, a bool or a string.
	Value any
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
}

// Samples are many measurements at once: two lists of the same length.
type Samples struct {
	At []time.Time
	// Value holds float64, bool or string values.
	Value []any
	// NextFrom is where to go on, nil at the end of the interval.
	NextFrom *time.Time
}

// LiveValue is the newest value of a measure.
type LiveValue struct {
	Measure    string
	Value      any
	MeasuredAt time.Time
}
