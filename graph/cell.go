package graph

import (
	"cmp"
	"math"
	"slices"

	"github.com/holon-registry/holon/unit"
)

// quarter is the length of the slots of a sealed bucket, in milliseconds. The
// offsets of all time zones are whole quarters of an hour, so the hours, days
// and months of any of them are made of whole slots.
const quarter = int64(15 * 60 * 1000)

// cell is what the measurements of a stretch of time are reduced to. Of values
// that are no numbers only n and the ends are known.
type cell struct {
	n              int64
	sum, low, high float64
	// firstAt and lastAt are the times of the first and the last value.
	firstAt, lastAt int64
	first, last     any
	// area is the integral of the values from firstAt to lastAt, each of which
	// holds until the next, in value times milliseconds.
	area float64
	// increase is what a counter counted from first to last: a smaller value
	// than the one before it means that it began again from nothing.
	increase float64
	// unit is that of the values, until they are converted.
	unit string
	// source is the series that the values belong to, where several are told apart.
	source string
	// slot is when the slot begins that the cell was read from, if it was: it
	// belongs to the interval of that time.
	slot *int64
}

// convert turns the values into another unit. An increase is one of amounts,
// whose zero is that of their unit.
func (c *cell) convert(by unit.Conversion) {
	if by.IsSame() {
		return
	}
	c.sum, c.low, c.high = by.Sum(c.sum, c.n), by.Apply(c.low), by.Apply(c.high)
	c.first, c.last = inUnit(by, c.first), inUnit(by, c.last)
	c.area = by.Area(c.area, float64(c.lastAt-c.firstAt))
	c.increase = by.Difference(c.increase)
}

func inUnit(by unit.Conversion, value any) any {
	if number, ok := value.(float64); ok {
		return by.Apply(number)
	}
	return value
}

// add takes a value that is not older than those that the cell has.
func (c *cell) add(at int64, value any) {
	number, isNumber := value.(float64)
	if c.n == 0 {
		c.firstAt, c.first = at, value
		c.low, c.high = math.Inf(1), math.Inf(-1)
	} else if before, ok := c.last.(float64); ok && isNumber {
		c.area += before * float64(at-c.lastAt)
		c.increase += countedUp(before, number)
	}
	if isNumber {
		c.sum += number
		c.low, c.high = min(c.low, number), max(c.high, number)
	}
	c.lastAt, c.last = at, value
	c.n++
}

// join takes a cell that does not begin earlier. Of values of one type it does
// not begin before this one ends.
func (c *cell) join(next cell) {
	if next.n == 0 {
		return
	}
	if c.n == 0 {
		*c = next
		return
	}
	before, ok1 := c.last.(float64)
	after, ok2 := next.first.(float64)
	if ok1 && ok2 {
		c.area += before*float64(next.firstAt-c.lastAt) + next.area
		c.increase += countedUp(before, after) + next.increase
	}
	c.n += next.n
	c.sum += next.sum
	c.low, c.high = min(c.low, next.low), max(c.high, next.high)
	if next.lastAt >= c.lastAt {
		c.lastAt, c.last = next.lastAt, next.last
	}
}

// countedUp is what a counter counted from one value to the next.
func countedUp(before, after float64) float64 {
	if after < before {
		return after
	}
	return after - before
}

// timed is a value at its time, in milliseconds since 1970.
type timed struct {
	at    int64
	value any
}

// cellsOf reduces values, which it sorts, to a cell for each stretch of a
// length, counted from 1970.
func cellsOf(values []timed, length int64) []cell {
	slices.SortFunc(values, func(x, y timed) int { return cmp.Compare(x.at, y.at) })
	var cells []cell
	for _, v := range values {
		if n := len(cells); n == 0 || floorDiv(cells[n-1].firstAt, length) != floorDiv(v.at, length) {
			cells = append(cells, cell{})
		}
		cells[len(cells)-1].add(v.at, v.value)
	}
	return cells
}

func floorDiv(a, b int64) int64 {
	if a < 0 {
		return -((-a + b - 1) / b)
	}
	return a / b
}
