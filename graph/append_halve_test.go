package graph_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

func TestAppendHalvesWhatTheDatabaseRefuses(t *testing.T) {
	start := morning()
	undisturbed(t, func(f *field, d *registry.Device) func() {
		var readings []registry.AcceptedReading
		for i := range 13 {
			r := f.reading(d, start.Add(time.Duration(i)*time.Second), map[string]any{"x": float64(i)})
			r.Reference = fmt.Sprint(i)
			readings = append(readings, r)
		}
		writes := 0
		f.partition(d.ID).FailWrites(func(references []string) error {
			writes++
			if slices.Contains(references, "3") || slices.Contains(references, "9") {
				return fmt.Errorf("graph: %w", &neo4j.Neo4jError{Code: "Neo.ClientError.Statement.TypeError", Msg: "no"})
			}
			return nil
		})
		result := f.write(f.entryOf(readings...))
		return func() {
			f.expect(result, 11, 0, 2, 11)
			if writes > 20 {
				t.Errorf("%d writes for 13 readings, two of them bad", writes)
			}
			if n := len(f.samples(d.ID, "x")); n != 11 {
				t.Errorf("%d measurements, want 11", n)
			}
			letters, err := f.store.ListDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{}, registry.PageRequest{Size: 10})
			if err != nil || len(letters.Items) != 2 || letters.Items[0].DeviceReference != "9" || letters.Items[0].Reason != registry.ReasonMalformed {
				t.Errorf("dead letters = %+v, %v", letters, err)
			}
		}
	})
}

func TestAppendAfterAnUnknownOutcome(t *testing.T) {
	start := morning()
	undisturbed(t, func(f *field, d *registry.Device) func() {
		f.send(f.reading(d, start, map[string]any{"x": 1.0}))
		down := true
		f.partition(d.ID).FailWrites(func([]string) error {
			if down {
				return registry.Unavailable("graph database", errors.New("connection lost"))
			}
			return nil
		})
		entry := f.entryOf(f.reading(d, start.Add(time.Second), map[string]any{"x": 2.0, "y": "new"}))
		_, err := f.partition(d.ID).Append(t.Context(), []graph.Entry{entry})
		down = false
		result := f.write(entry)
		return func() {
			if registry.CodeOf(err) != registry.CodeUnavailable {
				t.Errorf("append = %v, want UNAVAILABLE", err)
			}
			f.expect(result, 1, 0, 0, 2)
			f.expectSamples(d.ID, "x", at(start, 1.0), at(start.Add(time.Second), 2.0))
			f.expectSamples(d.ID, "y", at(start.Add(time.Second), "new"))
		}
	})
}

func TestAppendStrangeValues(t *testing.T) {
	f := newField(t)
	d := f.device("d", "")
	start := morning()
	f.expect(f.send(
		f.reading(d, start, map[string]any{"x": "\xff\xfe broken"}),
		f.reading(d, start.Add(time.Second), map[string]any{"x": ""}),
		f.reading(d, start.Add(2*time.Second), map[string]any{"n": 1e308}), f.reading(d, start.Add(3*time.Second), map[string]any{"n": 1.7e308}),
		f.reading(d, start.Add(4*time.Second), map[string]any{"n": math.Copysign(0, -1)}),
	), 4, 0, 1, 4)
	f.expect(f.send(f.reading(d, start.Add(2*time.Second), map[string]any{"n": 1e308})), 0, 1, 0, 0)
	if n := f.nodes(d.ID); n != 4 {
		t.Errorf("%d measurements, want 4", n)
	}
}
