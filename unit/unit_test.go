package unit

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestConversions(t *testing.T) {
	for _, one := range []struct {
		from, to string
		value    float64
		want     float64
	}{
		{"Cel", "[degF]", 100, 212}, {"[degF]", "Cel", 70, 190.0 / 9}, {"Cel", "K", 20, 293.15}, {"K", "[degF]", 0, -459.67},
		{"mCel", "Cel", 21500, 21.5}, {"[degR]", "K", 9, 5}, {"%", "1", 42, 0.42}, {"[ppm]", "%", 10_000, 1}, {"10*3", "1", 2, 2000},
		{"mm", "m", 21.5, 0.0215}, {"[ft_i]", "m", 1, 0.3048}, {"[in_i]", "cm", 1, 2.54}, {"[mi_i]/h", "km/h", 1, 1.609344},
		{"km/h", "m/s", 72, 20}, {"bar", "Pa", 1, 1e5}, {"hPa", "mbar", 1013.25, 1013.25}, {"[psi]", "kPa", 1, 6.894757293168361},
		{"kW.h", "MJ", 1, 3.6}, {"W", "J/s", 5, 5}, {"V.A", "W", 5, 5}, {"Ohm", "V/A", 3, 3}, {"m3/h", "L/min", 6, 100}, {"l/s", "m3/h", 1, 3.6},
		{"g/m3", "mg/L", 2, 2}, {"ug/m3", "mg/m3", 1000, 1}, {"t", "kg", 1, 1000}, {"d", "h", 1, 24}, {"wk", "d", 1, 7}, {"/min", "Hz", 60, 1},
		{"deg", "rad", 180, math.Pi}, {"gon", "deg", 100, 90}, {"dB", "B", 10, 1}, {"MiBy", "KiBy", 1, 1024}, {"By/s", "bit/s", 1, 8},
		{"kg/(m.s2)", "Pa", 7, 7}, {"lm/m2", "lx", 7, 7}, {"m/s2", "[g]", 9.80665, 1}, {"mm[Hg]", "Pa", 1, 133.322}, {"[lb_av]", "kg", 1, 0.45359237},
		{"[gal_us]", "L", 1, 3.785411784}, {"°C", "degF", 0, 32}, {"kWh", "kJ", 1, 3600}, {"µg/m³", "g/m3", 1, 1e-6}, {"kΩ", "Ohm", 1, 1000}, {"rpm", "Hz", 60, 1},
		{"{people}/m2", "m-2", 3, 3}, {"[HP]", "W", 1, 745.6998715822702}, {"har", "m2", 1, 10_000}, {"mmol/L", "mol/m3", 1, 1},
	} {
		c, err := Convert(one.from, one.to)
		if err != nil {
			t.Errorf("%s to %s: %v", one.from, one.to, err)
			continue
		}
		if got := c.Apply(one.value); math.Abs(got-one.want) > 1e-12*math.Max(1, math.Abs(one.want)) {
			t.Errorf("%v %s is %v %s, want %v", one.value, one.from, got, one.to, one.want)
		}
	}
}

func TestIncompatible(t *testing.T) {
	for _, pair := range [][2]string{{"Cel", "%"}, {"m", "m2"}, {"dB", "1"}, {"dB[SPL]", "dB"}, {"bit", "%"}, {"rad", "1"}, {"W", "J"}} {
		if _, err := Convert(pair[0], pair[1]); err == nil {
			t.Errorf("%s was turned into %s", pair[0], pair[1])
		}
	}
}

func TestWrongCodes(t *testing.T) {
	for _, code := range []string{"", "quux", "m/", "m..s", "(m", "m)", "m{", "Cel/h", "Cel2", "W/(m2.Cel)", "m0", "m99", "k", "k%", "k[ft_i]", "0", "m s", "[quux]", "{a|b}", strings.Repeat("m.", 40) + "m", strings.Repeat("(", 20) + "m" + strings.Repeat(")", 20)} {
		if u, err := Parse(code); err == nil {
			t.Errorf("%q is taken for a unit: %+v", code, u)
		}
	}
}

// TestTable reads every atom, so that a slip in the table is found here.
func TestTable(t *testing.T) {
	for code := range atoms {
		if _, err := parse(code); err != nil && code != "10^" {
			t.Error(err)
		}
	}
	for text, code := range aliases {
		if _, err := parse(code); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// anyUnit draws a unit that can be multiplied.
func anyUnit(t *rapid.T, label string) *Unit {
	codes := []string{"m", "mm", "[ft_i]", "s", "h", "g", "kg", "[lb_av]", "K", "A", "V", "kW", "kW.h", "Pa", "bar", "[psi]", "L", "m3", "deg", "lx", "%", "[ppm]", "m/s", "km/h", "dB", "By", "10*-3", "(m.kg)/s2"}
	u, err := Parse(rapid.SampledFrom(codes).Draw(t, label))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestThereAndBack converts a number and back, between a unit and multiples of
// it, and holds a/b*b and a*b/b to be a.
func TestThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyUnit(t, "a"), anyUnit(t, "b")
		x := rapid.Float64Range(-1e9, 1e9).Draw(t, "x")
		for _, code := range []string{"(" + a.code + ")/(" + b.code + ").(" + b.code + ")", "(" + a.code + ").(" + b.code + ")/(" + b.code + ")", "1000.(" + a.code + ")", "(" + a.code + "){note}"} {
			other, err := Parse(code)
			if err != nil {
				t.Fatal(err)
			}
			there, err := Between(a, other)
			if err != nil {
				t.Fatalf("%s: %v", code, err)
			}
			back, err := Between(other, a)
			if err != nil {
				t.Fatalf("%s: %v", code, err)
			}
			if strings.Contains(code, ")/(") && there.Apply(x) != x {
				t.Fatalf("%v %s is %v %s", x, a.code, there.Apply(x), code)
			}
			if got := back.Apply(there.Apply(x)); math.Abs(got-x) > 1e-12*math.Max(1, math.Abs(x)) {
				t.Fatalf("%v %s came back as %v through %s", x, a.code, got, code)
			}
		}
		if !Compatible(a, b) {
			if _, err := Between(a, b); err == nil {
				t.Fatalf("%s was turned into %s", a.code, b.code)
			}
		}
	})
}

// TestTemperatures converts temperatures and sums of them there and back.
func TestTemperatures(t *testing.T) {
	codes := []string{"Cel", "[degF]", "K", "mK", "[degR]", "kCel"}
	rapid.Check(t, func(t *rapid.T) {
		from, to := rapid.SampledFrom(codes).Draw(t, "from"), rapid.SampledFrom(codes).Draw(t, "to")
		list := rapid.SliceOfN(rapid.Float64Range(-500, 5000), 1, 20).Draw(t, "list")
		there, err := Convert(from, to)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Convert(to, from)
		if err != nil {
			t.Fatal(err)
		}
		var sum, converted, size float64
		for _, x := range list {
			sum += x
			converted += there.Apply(x)
			size += math.Abs(there.Apply(x)) + math.Abs(x)
			if got := back.Apply(there.Apply(x)); math.Abs(got-x) > 1e-9*math.Max(1, math.Abs(x)) {
				t.Fatalf("%v %s came back as %v through %s", x, from, got, to)
			}
		}
		if got := there.Sum(sum, int64(len(list))); math.Abs(got-converted) > 1e-9*math.Max(1, size) {
			t.Fatalf("the sum of %v %s is %v %s, and one by one %v", list, from, got, to, converted)
		}
	})
}

func FuzzParse(f *testing.F) {
	for code := range atoms {
		f.Add(code)
	}
	for _, code := range []string{"kg.m/s2", "10*3", "{a}", "((m))", "/min", "m-1"} {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parse(Alias(text))
		if err != nil {
			return
		}
		again, err := parse(u.Code())
		if err != nil || !Compatible(u, again) {
			t.Fatalf("%q is %s, which is not: %v", text, u.Code(), err)
		}
	})
}

// TestRounding converts decimals as sensors send them: the result is the decimal
// that it should be, without the noise of the arithmetic.
func TestRounding(t *testing.T) {
	for _, one := range []struct {
		from, to    string
		value, want float64
	}{
		{"Cel", "K", 20.1, 293.25}, {"K", "Cel", 273.16, 0.01}, {"Cel", "[degF]", 36.6, 97.88}, {"[degF]", "Cel", 33.8, 1},
		{"cm", "m", 110.1, 1.101}, {"mV", "V", 3.3, 0.0033}, {"kW.h", "W.h", 0.3, 300}, {"%", "1", 7, 0.07}, {"Cel", "Cel", 0.1 + 0.2, 0.1 + 0.2},
		{"m", "nm", 1e-9, 1}, {"m", "km", 0, 0}, {"Gm", "m", 1e300, math.Inf(1)}, {"m", "Gm", 1e-300, 1e-309},
	} {
		c, err := Convert(one.from, one.to)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Apply(one.value); got != one.want {
			t.Errorf("%v %s is %v %s, want %v", one.value, one.from, got, one.to, one.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		hundredths := rapid.Int64Range(-100_000_00, 100_000_00).Draw(t, "hundredths")
		for pair, want := range map[[2]string]float64{{"Cel", "K"}: float64(hundredths+27315) / 100, {"K", "Cel"}: float64(hundredths-27315) / 100, {"cm", "m"}: float64(hundredths) / 10_000} {
			c, err := Convert(pair[0], pair[1])
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Apply(float64(hundredths) / 100); got != want {
				t.Fatalf("%d hundredths of %s are %v %s, want %v", hundredths, pair[0], got, pair[1], want)
			}
		}
	})
}
