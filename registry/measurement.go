package registry

import (
	"io"
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

// AggregateFunction is what an interval of a series is reduced to.
type AggregateFunction string

// The functions. MIN, MAX, SUM and MEAN are for numbers only.
const (
	AggregateCount AggregateFunction = "COUNT"
	AggregateMin   AggregateFunction = "MIN"
	AggregateMax   AggregateFunction = "MAX"
	AggregateSum   AggregateFunction = "SUM"
	AggregateMean  AggregateFunction = "MEAN"
	AggregateFirst AggregateFunction = "FIRST"
	AggregateLast  AggregateFunction = "LAST"
)

// MarshalGQL writes the function as a GraphQL enum value.
func (f AggregateFunction) MarshalGQL(w io.Writer) { marshalEnum(w, string(f)) }

// UnmarshalGQL reads the function from a GraphQL enum value.
func (f *AggregateFunction) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, f, AggregateCount, AggregateMin, AggregateMax, AggregateSum, AggregateMean, AggregateFirst, AggregateLast)
}

// AggregatePoint is what one interval was reduced to. Intervals without a
// measurement have none.
type AggregatePoint struct {
	// From is included, To is not.
	From  time.Time
	To    time.Time
	Count int
	// Value is a float64 for all functions but FIRST and LAST, which give the
	// measure's own type.
	Value any
}
