package transfer_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/transfer"
)

func (w world) restorer() *graph.Restorer { return w.NewRestorer(w.scope, graph.RestoreOptions{}) }

// kept keeps readings, as often as it has room.
type kept struct {
	readings []registry.Reading
	full     int
}

func (k *kept) Record(_ context.Context, readings []registry.Reading) error {
	if k.full > 0 {
		k.full--
		return registry.LimitExceeded("no room")
	}
	for _, r := range readings {
		if r.Device == "unknown" {
			return registry.InvalidField("device", "unknown", "there is no such device")
		}
	}
	k.readings = append(k.readings, readings...)
	return nil
}

// measured writes measurements of two devices and returns when they begin.
func (w world) measured() time.Time {
	w.Helper()
	from := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	var readings []registry.Reading
	for i := range 2500 {
		at := from.Add(time.Duration(i) * time.Second)
		readings = append(readings,
			registry.Reading{Device: "probe 2", MeasuredAt: at, Values: map[string]any{"t": float64(i) / 4, "open": i%2 == 0}},
			registry.Reading{Device: "open\\one", MeasuredAt: at, Values: map[string]any{"x": fmt.Sprintf("text %d \"", i)}})
	}
	at, now := from.Add(100*time.Millisecond), time.Now().UTC().Truncate(time.Millisecond)
	readings = append(readings,
		// One moment, measured by the device for the asset and read from the asset itself.
		registry.Reading{Device: "probe 2", MeasuredAt: now, Values: map[string]any{"t": 5.0}},
		registry.Reading{Asset: "Store/1", MeasuredAt: now, Values: map[string]any{"inside": 3.0}},
		registry.Reading{Device: "probe 2", MeasuredAt: at, Values: map[string]any{"t": registry.Quantity{Value: 77.0, Unit: "[degF]"}}},
		registry.Reading{Asset: "Store/1", MeasuredAt: from.Add(-24 * time.Hour), Values: map[string]any{"inside": registry.Quantity{Value: 20.1, Unit: "[degF]"}}},
		registry.Reading{Asset: "Store/1", MeasuredAt: at, Values: map[string]any{"note": "swept"}},
		registry.Reading{Asset: "store 2", MeasuredAt: at, Values: map[string]any{"z": 1.0}},
		registry.Reading{Asset: "store 2", MeasuredAt: at.Add(time.Second), Values: map[string]any{"z": "of another type"}},
	)
	w.append(readings)
	return from
}

// append writes readings as a worker does.
func (w world) append(readings []registry.Reading) {
	w.Helper()
	known := map[registry.Ref]registry.ID{}
	partitions, err := w.Partitions(w.Context())
	w.ok(err)
	byPartition := map[int][]registry.AcceptedReading{}
	for _, r := range readings {
		of := ref(registry.KindDevice, r.Device)
		if r.Asset != "" {
			of = ref(registry.KindAsset, r.Asset)
		}
		if known[of] == "" {
			known[of] = w.idOf(of)
		}
		number := registry.PartitionOf(known[of], partitions)
		byPartition[number] = append(byPartition[number], registry.AcceptedReading{
			Account: w.scope.Account, DeviceID: known[of], Reference: of.Key, Asset: r.Asset != "", MeasuredAt: r.MeasuredAt, ReceivedAt: time.Now().UTC(),
			Source: registry.SourceRestored, Values: r.Values,
		})
	}
	for number, accepted := range byPartition {
		for attempt := 1; ; attempt++ {
			p, err := w.OpenPartition(w.Context(), number, w.scope.AccountName+fmt.Sprint(attempt))
			w.ok(err)
			result, err := p.Append(w.Context(), []graph.Entry{{ID: fmt.Sprintf("%d-0", time.Now().UnixMilli()), Readings: accepted}})
			if err == nil && result.DeadLetters == 0 {
				break
			}
			if attempt == 5 { // other tests take partitions over too
				w.Fatalf("append: %+v, %v", result, err)
			}
		}
	}
}

func TestMeasurementsRoundTrip(t *testing.T) {
	w := newWorld(t)
	w.fill()
	from := w.measured()
	export := func(w world, interval transfer.Interval) string {
		var b bytes.Buffer
		e := &transfer.Exporter{Source: w.Store, Scope: w.scope, Plain: true, Dir: t.TempDir(), Measurements: &interval}
		if _, err := e.Export(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	first := export(w, transfer.Interval{})
	for _, part := range []string{`{"unit":"[degF]","value":77}`, `"asset":"Store/1","measure":"inside","at":[`, `"values":[{"unit":"[degF]","value":20.1},3]}`} {
		if !strings.Contains(first, part) {
			t.Errorf("the file has no %s", part)
		}
	}
	other := w.another()
	queue := &kept{full: 3}
	sum, err := (&transfer.Importer{Target: other.restorer(), Recorder: queue}).Import(t.Context(), transfer.Lines(bytes.NewReader([]byte(first)), 0, 0), transfer.Sum{})
	if err != nil || sum.Refused > 0 || sum.Readings != 7507 {
		t.Fatalf("%+v, %v", sum, err)
	}
	other.append(queue.readings)
	same(t, "measurements", export(other, transfer.Interval{}), first)

	to := from.Add(10 * time.Second)
	queue = &kept{}
	part := export(w, transfer.Interval{From: &from, To: &to})
	if sum, err = (&transfer.Importer{Target: other.restorer(), Recorder: queue}).Import(t.Context(), transfer.Lines(bytes.NewReader([]byte(part)), 0, 0), transfer.Sum{}); err != nil || sum.Readings != 34 {
		t.Errorf("ten seconds: %+v, %v", sum, err)
	}
}

func TestMeasurementsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	text := file(
		`{"record":"measurements","device":"d","measure":"m","at":[1700000000000],"values":[1,2]}`,
		`{"record":"measurements","device":"unknown","measure":"m","at":[1700000000000],"values":[1]}`,
		`{"record":"measurements","device":"d","measure":"m","at":[1700000000000],"values":["x"]}`,
		`{"record":"measurements","measure":"m","at":[1700000000000],"values":[1]}`,
		`{"record":"measurements","device":"d","asset":"a","measure":"m","at":[1700000000000],"values":[1]}`,
	)
	queue := &kept{}
	sum, err := (&transfer.Importer{Target: w.restorer(), Recorder: queue}).Import(t.Context(), transfer.Lines(bytes.NewReader([]byte(text)), 0, 0), transfer.Sum{})
	if err != nil || sum.Refused != 4 || len(queue.readings) != 1 {
		t.Errorf("%+v, %d readings, %v", sum, len(queue.readings), err)
	}
}
