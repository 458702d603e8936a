package registry

import (
	"io"
	"time"
)

// Aggregation says how a measure is reduced to one value for each interval.
type Aggregation struct {
	Measure string
	// From is included, To is not.
	From, To time.Time
	// Every is the length of an interval; zero where Calendar says it.
	Every time.Duration
	// Calendar makes intervals of days, weeks, months or years.
	Calendar CalendarUnit
	// Zone is where the clock hangs that days begin by; nil counts intervals
	// from 1970 in UTC.
	Zone     *time.Location
	Function AggregateFunction
	// Percentile is the one that PERCENTILE asks for, from 0 to 100.
	Percentile float64
	// Fill gives intervals without a measurement too, without a value.
	Fill bool
	// Unit is the UCUM code of the unit to answer in; that of the twin's template
	// if it is empty.
	Unit string
}

// AggregateFunction is what an interval of a series is reduced to.
type AggregateFunction string

// The functions. All but COUNT, FIRST and LAST are for numbers only.
const (
	AggregateCount            AggregateFunction = "COUNT"
	AggregateMin              AggregateFunction = "MIN"
	AggregateMax              AggregateFunction = "MAX"
	AggregateSum              AggregateFunction = "SUM"
	AggregateMean             AggregateFunction = "MEAN"
	AggregateFirst            AggregateFunction = "FIRST"
	AggregateLast             AggregateFunction = "LAST"
	AggregatePercentile       AggregateFunction = "PERCENTILE"
	AggregateTimeWeightedMean AggregateFunction = "TIME_WEIGHTED_MEAN"
	AggregateIncrease         AggregateFunction = "INCREASE"
)

// Numeric says whether the function takes numbers only.
func (f AggregateFunction) Numeric() bool {
	return f != AggregateCount && f != AggregateFirst && f != AggregateLast
}

// LooksBack says that the value before an interval counts, too.
func (f AggregateFunction) LooksBack() bool {
	return f == AggregateTimeWeightedMean || f == AggregateIncrease
}

// MarshalGQL writes the function as a GraphQL enum value.
func (f AggregateFunction) MarshalGQL(w io.Writer) { marshalEnum(w, string(f)) }

// UnmarshalGQL reads the function from a GraphQL enum value.
func (f *AggregateFunction) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, f, AggregateCount, AggregateMin, AggregateMax, AggregateSum, AggregateMean, AggregateFirst, AggregateLast,
		AggregatePercentile, AggregateTimeWeightedMean, AggregateIncrease)
}

// CalendarUnit is an interval that people keep count by; weeks begin on Monday.
type CalendarUnit string

// The units.
const (
	CalendarDay   CalendarUnit = "DAY"
	CalendarWeek  CalendarUnit = "WEEK"
	CalendarMonth CalendarUnit = "MONTH"
	CalendarYear  CalendarUnit = "YEAR"
)

// MarshalGQL writes the unit as a GraphQL enum value.
func (u CalendarUnit) MarshalGQL(w io.Writer) { marshalEnum(w, string(u)) }

// UnmarshalGQL reads the unit from a GraphQL enum value.
func (u *CalendarUnit) UnmarshalGQL(v any) error {
	return unmarshalEnum(v, u, CalendarDay, CalendarWeek, CalendarMonth, CalendarYear)
}

// AggregatePoint is what one interval was reduced to.
type AggregatePoint struct {
	// From is included, To is not.
	From  time.Time
	To    time.Time
	Count int
	// Value is a float64 for all functions but FIRST and LAST, which give the
	// measure's own type; nil for an interval without a measurement.
	Value any
}

// GroupAggregate is what the twins of a sub-tree were reduced to together.
type GroupAggregate struct {
	Points []*AggregatePoint
	// Reporting twins have measured in the time that was asked for, stale ones
	// before or after it only, missing ones never, though they should.
	Reporting, Stale, Missing int
}

// MaxIntervals bounds the intervals of one aggregation.
const MaxIntervals = 10_000

// Edges are the moments at which the intervals of an aggregation begin, in
// order, and the one at which the last of them ends, in milliseconds since
// 1970. The first interval may begin before From and the last end after To.
// INVALID if the lengths make no sense, LIMIT_EXCEEDED beyond 10,000 intervals.
func (a *Aggregation) Edges() ([]int64, error) {
	zone := a.Zone
	if zone == nil {
		zone = time.UTC
	}
	const day = 24 * time.Hour
	switch {
	case (a.Calendar == "") == (a.Every == 0):
		return nil, InvalidField("every", "required", "say either `every` or `calendar`")
	case a.Calendar == "" && a.Every < time.Millisecond:
		return nil, InvalidField("every", "range", "an interval takes at least a millisecond")
	case !a.From.Before(a.To):
		return nil, nil
	case a.Calendar != "":
		return a.walk(a.Calendar.begin(a.From.In(zone)), a.Calendar.next)
	case a.Zone == nil:
		step := a.Every.Milliseconds()
		first := a.From.UnixMilli() - floorMod(a.From.UnixMilli(), step)
		if (a.To.UnixMilli()-first)/step >= MaxIntervals {
			return nil, tooManyIntervals()
		}
		edges := []int64{first}
		for edges[len(edges)-1] < a.To.UnixMilli() {
			edges = append(edges, edges[len(edges)-1]+step)
		}
		return edges, nil
	case a.Every%day == 0:
		days := int(a.Every / day)
		begin := CalendarDay.begin(a.From.In(zone))
		since := int(time.Date(begin.Year(), begin.Month(), begin.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400)
		begin = begin.AddDate(0, 0, -int(floorMod(int64(since), int64(days))))
		return a.walk(begin, func(t time.Time) time.Time { return t.AddDate(0, 0, days) })
	case day%a.Every == 0:
		// Counted from each midnight, so the last interval of a day on which the
		// clock is changed is longer or shorter.
		begin := CalendarDay.begin(a.From.In(zone))
		for !begin.Add(a.Every).After(a.From) {
			begin = begin.Add(a.Every)
		}
		return a.walk(begin, func(t time.Time) time.Time {
			if midnight := CalendarDay.next(CalendarDay.begin(t)); t.Add(a.Every).After(midnight) {
				return midnight
			}
			return t.Add(a.Every)
		})
	}
	return nil, InvalidField("every", "range", "by a time zone, intervals are whole days or a whole part of one")
}

func (a *Aggregation) walk(begin time.Time, next func(time.Time) time.Time) ([]int64, error) {
	edges := []int64{begin.UnixMilli()}
	for t := begin; t.Before(a.To); {
		t = next(t)
		if edges = append(edges, t.UnixMilli()); len(edges) > MaxIntervals+1 {
			return nil, tooManyIntervals()
		}
	}
	return edges, nil
}

func tooManyIntervals() error {
	return LimitExceeded("at most %d intervals can be asked for at once", MaxIntervals)
}

func floorMod(a, b int64) int64 { return ((a % b) + b) % b }

// begin is when the unit began that a moment lies in, by its zone.
func (u CalendarUnit) begin(t time.Time) time.Time {
	y, m, d := t.Date()
	switch u {
	case CalendarWeek:
		d -= (int(t.Weekday()) + 6) % 7
	case CalendarMonth:
		d = 1
	case CalendarYear:
		m, d = 1, 1
	}
	return time.Date(y, m, d, 0, 0, 0, 0, t.Location())
}

// next is when the unit after the one that begins at a moment begins.
func (u CalendarUnit) next(t time.Time) time.Time {
	y, m, d := t.Date()
	switch u {
	case CalendarWeek:
		d += 7
	case CalendarMonth:
		m++
	case CalendarYear:
		y++
	default:
		d++
	}
	return time.Date(y, m, d, 0, 0, 0, 0, t.Location())
}
