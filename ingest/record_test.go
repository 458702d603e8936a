package ingest

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func sampleReadings() []registry.AcceptedReading {
	account, device := registry.ID(uuid.NewString()), registry.ID(uuid.NewString())
	return []registry.AcceptedReading{
		{Account: account, DeviceID: device, Reference: "sensor-1", MeasuredAt: at(1_700_000_000_123), Source: "http",
			Values: map[string]any{"temperature": 21.5, "open": true, "shut": false, "status": "größer 😀"}},
		{Account: account, DeviceID: device, Reference: "sensor-1", Source: "mqtt", MessageID: "m-1", Values: map[string]any{"n": math.Copysign(0, -1)}},
		{Account: account, DeviceID: device, Reference: "sensor-1", MeasuredAt: at(1_700_000_000_124), Source: "http", Values: map[string]any{
			"place": registry.Location{Latitude: -33.9, Longitude: 180}, "peak": registry.Location{Latitude: 46.5, Longitude: 7.9, Altitude: new(4158.2)},
			"motor": registry.Composite{"speed": 1450.5, "on": true, "mode": "auto"}, "heat": registry.Quantity{Value: 70.0, Unit: "[degF]"},
		}},
		{Account: account, DeviceID: device, Asset: true, Reference: "room-1", MeasuredAt: at(1_700_000_000_125), Source: "graphql", Values: map[string]any{"temperature": 1.0}},
		{Account: account, DeviceID: device, Reference: "sensor-1", MeasuredAt: at(9), Source: "http", Values: map[string]any{"n": 1.0}, Template: "beacon", Attributes: []byte(`{"serial":1}`)},
		{Account: account, DeviceID: device, Reference: "sensor-1", MeasuredAt: at(10), Source: "http", Template: "beacon", Again: true},
		{Account: "not-a-uuid", DeviceID: "", Reference: "", Source: "", MeasuredAt: at(0).Add(-time.Hour)},
		{Account: account, Reference: "ghost", Source: "mqtt", Raw: []byte("{\x00\xff"),
			Refused: &registry.Refusal{Reason: registry.ReasonMalformed, Measure: "m", Message: "broken"}},
		{Account: account, DeviceID: device, Reference: "sensor-1", MeasuredAt: at(7), Source: "http", Values: map[string]any{"n": 1.0}, Payload: &registry.Payload{
			ID: "01990000-0000-7000-8000-000000000001", Content: []byte{0, 0xff}, ContentType: "x/y", Template: "t", Source: "http", ReceivedAt: at(6), Kept: true, Valid: true}},
		{Account: account, DeviceID: device, Reference: "sensor-1", MeasuredAt: at(8), Source: "http", Values: map[string]any{"n": 1.0}, Payload: &registry.Payload{ID: "01990000-0000-7000-8000-000000000001"}},
		{Account: "018F0C5C-0000-7000-8000-000000000000", DeviceID: device, MeasuredAt: at(1)},
	}
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	readings, received := sampleReadings(), at(1_700_000_001_000)
	var blob []byte
	var times []int64
	want := make([]registry.AcceptedReading, len(readings))
	for i := range readings {
		var err error
		if blob, err = appendRecord(blob, &readings[i]); err != nil {
			t.Fatal(err)
		}
		want[i] = readings[i]
		want[i].ReceivedAt = received
		if want[i].MeasuredAt.IsZero() {
			times = append(times, int64(1000+i))
			want[i].MeasuredAt, want[i].Timeless = at(int64(1000+i)), true
		}
	}
	var d decoder
	for range 2 { // the second time with names that are known
		got, err := d.records(blob, len(readings), times, received)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got\n%s", diff)
		}
	}
	if _, err := d.records(blob, len(readings), times[1:], received); err == nil {
		t.Error("too few times were accepted")
	}
	for cut := 1; cut < len(blob); cut++ {
		if got, err := d.records(blob[:cut], len(readings), times, received); err == nil && len(got) == len(readings) {
			t.Fatalf("%d of %d bytes gave all readings", cut, len(blob))
		}
	}
}

func TestRecordRefusesOtherTypes(t *testing.T) {
	r := registry.AcceptedReading{Values: map[string]any{"a": 1}}
	if _, err := appendRecord(nil, &r); err == nil {
		t.Error("an int was accepted")
	}
}

func FuzzRecords(f *testing.F) {
	readings := sampleReadings()
	var blob []byte
	for i := range readings {
		blob, _ = appendRecord(nil, &readings[i])
		f.Add(blob)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, blob []byte) {
		times := make([]int64, 0, len(blob))
		for i := range blob {
			times = append(times, int64(i))
		}
		var d decoder
		got, err := d.records(blob, 1, times, at(5))
		if err != nil {
			return
		}
		var again []byte
		for i := range got {
			if again, err = appendRecord(again, &got[i]); err != nil {
				t.Fatal(err)
			}
		}
		back, err := d.records(again, len(got), nil, at(5))
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i].Timeless = false // by now it has a time
		}
		if diff := cmp.Diff(got, back, nanEqual); diff != "" {
			t.Fatalf("-first +second\n%s", diff)
		}
	})
}

var nanEqual = cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })

func manyReadings(n, devices int) []registry.AcceptedReading {
	account := registry.ID(uuid.NewString())
	ids := make([]registry.ID, devices)
	for i := range ids {
		ids[i] = registry.ID(uuid.NewString())
	}
	readings := make([]registry.AcceptedReading, n)
	for i := range readings {
		readings[i] = registry.AcceptedReading{
			Account: account, DeviceID: ids[i%devices], Reference: fmt.Sprintf("device-%d", i%devices), Source: "http",
			MeasuredAt: at(1_700_000_000_000 + int64(i)), Values: map[string]any{"temperature": 20 + float64(i)/10, "humidity": 40.25},
		}
	}
	return readings
}

func BenchmarkRecord(b *testing.B) {
	readings := manyReadings(1000, 100)
	var blob []byte
	for i := range readings {
		blob, _ = appendRecord(blob, &readings[i])
	}
	text, _ := json.Marshal(readings)
	b.Run("encode/binary", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out := make([]byte, 0, len(blob))
			for i := range readings {
				out, _ = appendRecord(out, &readings[i])
			}
		}
		b.ReportMetric(float64(len(blob))/1000, "B/reading")
	})
	b.Run("encode/json", func(b *testing.B) {
		for b.Loop() {
			_, _ = json.Marshal(readings)
		}
		b.ReportMetric(float64(len(text))/1000, "B/reading")
	})
	b.Run("decode/binary", func(b *testing.B) {
		b.ReportAllocs()
		var d decoder
		for b.Loop() {
			_, _ = d.records(blob, len(readings), nil, at(0))
		}
	})
	b.Run("decode/json", func(b *testing.B) {
		for b.Loop() {
			var out []registry.AcceptedReading
			_ = json.Unmarshal(text, &out)
		}
	})
}
