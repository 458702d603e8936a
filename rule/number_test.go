package rule_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

func TestNumbers(t *testing.T) {
	t.Parallel()
	measures := map[string]any{
		"level": 2.5, "power": 40.0, "on": true, "mode": "auto", "zero": 0.0,
		"place": registry.Location{Latitude: 48.5, Longitude: 9}, "motor": registry.Composite{"speed": 1500.0, "on": false},
	}
	attributes := registry.Attributes{"area": 4.0, "count": int64(3), "size": map[string]any{"height": 2.0}, "colour": "red"}
	for text, want := range map[string]float64{
		"measures.level * attributes.area":                           10,
		"measures.level * attributes.size.height - 1":                4,
		"-measures.level + 2 ** 3 % 5":                               0.5,
		"measures.on ? measures.power : 0":                           40,
		"measures.motor.on or measures.level > 3 ? 1 : 2":            2,
		"not measures.motor.on and measures.level <= 2.5 ? 1 : 2":    1,
		"measures.motor.speed / 60":                                  25,
		"round(measures.place.latitude) + floor(2.7) + ceil(2.1)":    54,
		"abs(min(measures.level, -3, 2)) + max(1, attributes.count)": 6,
		"sqrt(pow(3, 2) + 16) + log(exp(1))":                         6,
		"true ? measures.level : 1":                                  2.5,
	} {
		n, err := rule.ParseNumber(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, ok := n.Evaluate(func(name string) any { return measures[name] }, attributes)
		if !ok || math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %v, %v; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"measures.ghost + 1", "attributes.ghost + 1", "attributes.colour * 2", "measures.mode * 2", "measures.on * 2", "measures.level ? 1 : 2",
		"1 / measures.zero", "measures.zero / measures.zero", "log(measures.zero)", "sqrt(-measures.level)", "exp(measures.power ** 3)",
		"measures.on ? measures.level : measures.ghost",
	} {
		n, err := rule.ParseNumber(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, ok := n.Evaluate(func(name string) any { return measures[name] }, attributes); ok {
			t.Errorf("%s is %v, and should not be", text, got)
		}
	}
}

func TestWrongNumbers(t *testing.T) {
	t.Parallel()
	for text, place := range map[string]string{
		"": "", "1 +": "1:3", "'a'": "1:1", "measures.level > 3": "1:16", "state": "1:1", "sin(1)": "1:1", "abs(1, 2)": "1:1", "pow(1)": "1:1",
		"measures": "1:1", "1 ? 2 : 3": "1:1", "not 1": "1:1", "measures.a + (measures.a ? 1 : 2)": "1:24", "[1]": "1:1", "groups": "1:1",
		"count(groups)": "1:1", "let x = 1; x": "1:5", "measures.a[0]": "1:11", strings.Repeat("1+", 300) + "1": "1:200",
		strings.Repeat("(", 2000) + "1" + strings.Repeat(")", 2000): "",
	} {
		_, err := rule.ParseNumber(text)
		if registry.CodeOf(err) != registry.CodeInvalid || !strings.Contains(err.Error(), "computed") || !strings.Contains(err.Error(), place) {
			t.Errorf("%.50q: %v, want INVALID of computed at %s", text, err, place)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	for _, seed := range []string{"measures.a * 2", "a ? b : c", "abs(-1) ** 2", "attributes.x.y / 3", "min(1,2,measures.b)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := rule.ParseNumber(text)
		if err != nil {
			if registry.CodeOf(err) != registry.CodeInvalid {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		value, ok := n.Evaluate(func(string) any { return 2.0 }, nil)
		if ok && (math.IsNaN(value) || math.IsInf(value, 0)) {
			t.Fatalf("%q is %v", text, value)
		}
	})
}

func tank() *registry.Template {
	return &registry.Template{
		Name: "tank", Properties: map[string]any{"area": map[string]any{"type": "number"}, "name": map[string]any{"type": "string"}},
		Measures: []registry.MeasureDeclaration{
			{Name: "level", ValueType: registry.ValueNumber, Unit: "m"}, {Name: "valve", ValueType: registry.ValueBoolean}, {Name: "note", ValueType: registry.ValueString},
			{Name: "volume", ValueType: registry.ValueNumber, Unit: "m3", Maximum: new(100.0), Computed: "measures.level * attributes.area"},
			{Name: "outflow", ValueType: registry.ValueNumber, Computed: "measures.valve ? sqrt(measures.volume) : 0"},
		},
	}
}

func TestComputeLive(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	live := []registry.LiveValue{{Measure: "level", Value: 4.0, MeasuredAt: at}, {Measure: "valve", Value: true, MeasuredAt: at.Add(time.Minute)}}
	got := rule.ComputeLive(tank(), registry.Attributes{"area": 36.0}, live)
	want := []registry.LiveValue{
		{Measure: "volume", Value: 144.0, MeasuredAt: at, Unit: "m3", Suspect: registry.SuspectAboveMaximum, Computed: true},
		{Measure: "outflow", Value: 12.0, MeasuredAt: at.Add(time.Minute), Computed: true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got := rule.ComputeLive(tank(), nil, live); len(got) != 0 {
		t.Errorf("without an attribute: %+v", got)
	}
	if got := rule.Inputs(tank(), "outflow"); !slices.Equal(got, []string{"valve", "level"}) {
		t.Errorf("inputs = %v", got)
	}
}

func TestCheckComputed(t *testing.T) {
	t.Parallel()
	if wrong := rule.CheckComputed(tank()); len(wrong) > 0 {
		t.Fatalf("%+v", wrong)
	}
	for text, want := range map[string]string{
		"measures.ghost + 1": "undeclared", "attributes.ghost * measures.level": "undeclared", "measures.note * 1": "type", "measures.valve + 1": "type",
		"attributes.name * measures.level": "type", "measures.outflow": "circle", "measures.volume + measures.level": "circle", "2 +": "syntax",
		"attributes.area * 2": "required", "measures.level.x": "undeclared",
	} {
		tmpl := tank()
		tmpl.Measures[3].Computed = text
		wrong := rule.CheckComputed(tmpl)
		if !slices.ContainsFunc(wrong, func(v registry.Violation) bool {
			return v.Path == "measures[3].computed" && v.Rule == want && v.Message != ""
		}) {
			t.Errorf("%s: %+v, want %s", text, wrong, want)
		}
	}
}

// TestNumbersAgainstGo computes random sums of products as Go does.
func TestNumbersAgainstGo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := rapid.Float64Range(-1e6, 1e6).Draw(t, "a"), rapid.Float64Range(-1e6, 1e6).Draw(t, "b"), rapid.IntRange(0, 1000).Draw(t, "c")
		n, err := rule.ParseNumber(fmt.Sprintf("(measures.a - measures.b) * %d + max(measures.a, measures.b) / 4", c))
		if err != nil {
			t.Fatal(err)
		}
		got, ok := n.Evaluate(func(name string) any { return map[string]any{"a": a, "b": b}[name] }, nil)
		if want := (a-b)*float64(c) + max(a, b)/4; !ok || math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
			t.Fatalf("%v, %v, want %v", got, ok, want)
		}
	})
}
