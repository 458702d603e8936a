package graph_test

import (
	"math"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// TestComputedAgainstNaive computes a measure from two others, of which one
// comes often and one seldom, in every way of reading, and holds the answers
// against a walk through all that was sent.
func TestComputedAgainstNaive(t *testing.T) {
	t.Parallel()
	f := newField(t)
	if _, err := f.store.CreateTemplate(t.Context(), f.scope, registry.NewTemplate{
		Kind: registry.KindDevice, Name: "tank", Publish: true, Properties: map[string]any{"area": map[string]any{"type": "number"}},
		Measures: []registry.MeasureDeclaration{
			{Name: "level", Type: "number", Unit: "m"}, {Name: "open", Type: "boolean"},
			{Name: "volume", Type: "number", Unit: "m3", Computed: "measures.level * attributes.area"},
			{Name: "outflow", Type: "number", Unit: "L", Maximum: new(50.0), Computed: "measures.open ? measures.volume * 2 : 0"},
		},
	}); err != nil {
		t.Fatal(err)
	}
	d, err := f.store.CreateDevice(t.Context(), f.scope, registry.NewTwin{Reference: "tank", Template: "tank", Attributes: registry.Attributes{"area": 2.5}})
	if err != nil {
		t.Fatal(err)
	}
	template, err := f.store.Template(t.Context(), f.scope, registry.KindDevice, "tank", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	start := morning()
	var readings []registry.AcceptedReading
	var want []sample
	var level, open any
	for i := range 120 {
		at, values := start.Add(time.Duration(i)*10*time.Minute), map[string]any{}
		if i%3 != 1 {
			level = float64(i % 17)
			values["level"] = level
		}
		if i%25 == 7 {
			open = i%2 == 0
			values["open"] = open
		}
		if len(values) == 0 {
			continue
		}
		readings = append(readings, f.reading(d, at, values))
		if level == nil || open == nil {
			continue
		}
		outflow := 0.0
		if open.(bool) {
			outflow = level.(float64) * 2.5 * 2
		}
		want = append(want, sample{at.UnixMilli(), outflow})
	}
	f.expect(f.send(readings[40:]...), len(readings)-40, 0, 0, total(readings[40:]))
	f.expect(f.send(readings[:40]...), 40, 0, 0, total(readings[:40])) // late: nothing was stored that could be stale
	c := graph.Computed{Twin: d.ID, Template: template, Measure: "outflow", Attributes: d.Attributes}
	rapid.Check(t, func(t *rapid.T) {
		from := start.Add(time.Duration(rapid.IntRange(-10, 1300).Draw(t, "from")) * time.Minute)
		to := from.Add(time.Duration(rapid.IntRange(1, 1300).Draw(t, "length")) * time.Minute)
		in := between(want, from, to)
		size := rapid.IntRange(1, 40).Draw(t, "size")
		var got []sample
		switch rapid.SampledFrom([]string{"samples", "forward", "backward", "aggregate"}).Draw(t, "way") {
		case "samples":
			for next := &from; next != nil; {
				part, err := f.store.ComputedSamples(f.Context(), f.scope, c, *next, to, size, "mL")
				if err != nil {
					t.Fatal(err)
				}
				for i := range part.At {
					got = append(got, sample{part.At[i].UnixMilli(), part.Value[i].(float64) / 1000})
				}
				next = part.NextFrom
			}
		case "forward":
			page, err := f.store.ComputedMeasurements(f.Context(), f.scope, c, &from, &to, registry.PageRequest{Size: size}, "")
			if err != nil {
				t.Fatal(err)
			}
			got, in = samplesOf(page), in[:min(size, len(in))]
		case "backward":
			page, err := f.store.ComputedMeasurements(f.Context(), f.scope, c, &from, &to, registry.PageRequest{Size: size, Backward: true}, "")
			if err != nil {
				t.Fatal(err)
			}
			got, in = samplesOf(page), in[max(0, len(in)-size):]
		case "aggregate":
			points, err := f.store.AggregateComputed(f.Context(), f.scope, c, registry.Aggregation{Measure: "outflow", From: from, To: to, Every: 10000 * time.Hour, Function: registry.AggregateSum})
			if err != nil {
				t.Fatal(err)
			}
			sum, n := 0.0, 0
			for _, p := range points {
				sum, n = sum+p.Value.(float64), n+p.Count
			}
			expected := 0.0
			for _, s := range in {
				expected += s.Value.(float64)
			}
			if n != len(in) || math.Abs(sum-expected) > 1e-6 {
				t.Fatalf("sum of %d = %v, want %v of %d", n, sum, expected, len(in))
			}
			return
		}
		if len(got)+len(in) > 0 && !slices.Equal(got, in) {
			t.Fatalf("-want +got\n%s", gocmp.Diff(in, got))
		}
	})
	if _, err := f.store.ComputedSamples(t.Context(), f.scope, c, start, start.Add(time.Hour), 10_001, ""); registry.CodeOf(err) != registry.CodeLimitExceeded {
		t.Errorf("too many samples: %v", err)
	}
	f.expect(f.send(f.reading(d, start.Add(48*time.Hour), map[string]any{"outflow": 1.0})), 0, 0, 1, 0)
}

func samplesOf(page registry.Page[registry.Measurement]) []sample {
	var out []sample
	for _, m := range page.Items {
		out = append(out, sample{m.At.UnixMilli(), m.Value})
	}
	return out
}
