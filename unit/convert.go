package unit

import (
	"fmt"
	"maps"
	"math"
	"math/big"
)

// Conversion turns numbers in one unit into numbers in another.
type Conversion struct {
	// A number becomes (number * multiply + add) / divide: with whole numbers,
	// where there are such, the result is as exact as it can be.
	multiply, add, divide float64
}

// Same is the conversion that changes nothing.
var Same = Conversion{multiply: 1, divide: 1}

// Compatible says whether numbers in one unit can be turned into the other.
func Compatible(from, to *Unit) bool { return maps.Equal(from.powers, to.powers) }

// Between is the conversion from one unit to another, an error if they do not
// measure the same.
func Between(from, to *Unit) (Conversion, error) {
	if !Compatible(from, to) {
		return Conversion{}, fmt.Errorf("%s cannot be turned into %s: they do not measure the same", from.code, to.code)
	}
	// A number x of a unit is (x + offset) * factor of the base units.
	scale := new(big.Rat).Quo(from.factor, to.factor)
	add := new(big.Rat)
	if from.offset != nil {
		add.Mul(from.offset, scale)
	}
	if to.offset != nil {
		add.Sub(add, to.offset)
	}
	if exact, ok := whole(scale, add); ok {
		return exact, nil
	}
	c := Conversion{divide: 1}
	c.multiply, _ = scale.Float64()
	c.add, _ = add.Float64()
	return c, nil
}

// Convert is Between for codes; an empty code, and the same one, change
// nothing.
func Convert(from, to string) (Conversion, error) {
	if from == to || from == "" || to == "" {
		return Same, nil
	}
	source, err := Parse(from)
	if err != nil {
		return Conversion{}, err
	}
	target, err := Parse(to)
	if err != nil {
		return Conversion{}, err
	}
	return Between(source, target)
}

// whole writes a conversion with whole numbers, if they fit into a float64.
func whole(scale, add *big.Rat) (Conversion, bool) {
	common := new(big.Int).GCD(nil, nil, scale.Denom(), add.Denom())
	divide := new(big.Int).Div(new(big.Int).Mul(scale.Denom(), add.Denom()), common)
	multiplied := new(big.Rat).Mul(scale, new(big.Rat).SetInt(divide))
	added := new(big.Rat).Mul(add, new(big.Rat).SetInt(divide))
	var c Conversion
	for _, part := range []struct {
		of   *big.Int
		into *float64
	}{{multiplied.Num(), &c.multiply}, {added.Num(), &c.add}, {divide, &c.divide}} {
		if part.of.BitLen() > 53 {
			return Conversion{}, false
		}
		*part.into = float64(part.of.Int64())
	}
	return c, true
}

// IsSame says whether the conversion changes nothing.
func (c Conversion) IsSame() bool { return c == Same }

// Apply converts a number. Of the result, as many digits are kept as the
// arithmetic is good for: 20.1 Cel are 293.25 K, and not 293.25000000000006.
func (c Conversion) Apply(number float64) float64 { return c.of(number, c.add) }

// Sum converts the sum of so many numbers.
func (c Conversion) Sum(sum float64, count int64) float64 { return c.of(sum, c.add*float64(count)) }

// Area converts the integral of numbers over a time.
func (c Conversion) Area(area, over float64) float64 { return c.of(area, c.add*over) }

// Difference converts a difference between two numbers.
func (c Conversion) Difference(difference float64) float64 { return c.of(difference, 0) }

// of converts a number, with what is to be added for the zeros that differ.
func (c Conversion) of(number, add float64) float64 {
	if c == Same {
		return number
	}
	product := number * c.multiply
	return rounded((product+add)/c.divide, max(math.Abs(product), math.Abs(add))/c.divide)
}

// digits are the decimal digits that a float64 always holds.
const digits = 15

// exactTens is the largest power of ten that a float64 holds exactly.
const exactTens = 22

// rounded is a number without the noise of an addition, whose larger part decides
// which of its digits mean anything.
func rounded(number, larger float64) float64 {
	largest := max(math.Abs(number), larger)
	places := digits - 1 - int(math.Floor(math.Log10(largest)))
	switch {
	case largest == 0 || math.IsInf(largest, 0) || math.IsNaN(largest) || places > exactTens || places < -exactTens:
		return number
	case places >= 0:
		return math.Round(number*math.Pow10(places)) / math.Pow10(places)
	}
	return math.Round(number/math.Pow10(-places)) * math.Pow10(-places)
}
