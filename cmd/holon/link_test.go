package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const linkOne = `mutation($input: LinkDeviceInput!) { linkDevice(input: $input) { token moved { measurements buckets } ended { id until } link { id moving since measures { device asset } } } }`

type linkedOne struct {
	LinkDevice struct {
		Token *string
		Moved struct{ Measurements, Buckets int }
		Ended []struct{ ID, Until string }
		Link  *struct {
			ID, Since string
			Moving    bool
			Measures  []struct{ Device, Asset string }
		}
	}
}

type samplesOf struct {
	Asset struct {
		Samples struct {
			At    []string
			Value []any
		}
	}
}

// TestLinkExamples runs the examples of docs/links.md, and what they leave out.
func TestLinkExamples(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	runPage(t, c, "links", 9)
	// Where two devices measured for the asset, the newer value of both is its state.
	then := ask[map[string]any](t, c, `{ asset(reference: "room-1") {
		a: stateAt(time: "2026-01-02T08:52:00Z") { measures { value } } b: stateAt(time: "2026-01-02T09:05:00Z") { measures { value } }
	} }`, nil)
	measured := func(value float64) any {
		return map[string]any{"measures": []any{map[string]any{"value": value}}}
	}
	if diff := cmp.Diff(map[string]any{"asset": map[string]any{"a": measured(5.5), "b": measured(4)}}, then); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	refusedLinks(t, c)
}

// refusedLinks tries what cannot be, and looks that nothing was left of it.
func refusedLinks(t *testing.T, c apiClient) {
	t.Helper()
	ask[any](t, c, `mutation {
		a: createAsset(input: {reference: "room-2", template: "cold-room"}) { asset { id } }
		b: createAsset(input: {reference: "room-3", template: "cold-room"}) { asset { id } }
		t: createTemplate(input: {kind: ASSET, name: "wall", publish: true, measures: [{name: "temperature", type: "number", unit: "m"}]}) { template { manyAssets } }
		w: createAsset(input: {reference: "wall-1", template: "wall"}) { asset { id } }
	}`, nil)
	for name, one := range map[string]struct{ code, input, says string }{
		"another asset":              {"FAILED_PRECONDITION", `device: "logger-2", asset: "room-2", measures: [{device: "temperature", asset: "inside"}]`, "one asset at a time"},
		"another source":             {"FAILED_PRECONDITION", `device: "logger-1", asset: "room-1", measures: [{device: "temperature", asset: "inside"}]`, "replace it"},
		"a slot twice":               {"INVALID", `device: "logger-1", asset: "room-2", measures: [{device: "temperature", asset: "inside"}, {device: "battery", asset: "inside"}]`, ""},
		"a measure twice":            {"INVALID", `device: "logger-1", asset: "room-2", measures: [{device: "temperature", asset: "inside"}, {device: "temperature", asset: "door"}]`, ""},
		"one of two cannot be":       {"INVALID", `device: "logger-1", asset: "room-2", measures: [{device: "temperature", asset: "inside"}, {device: "battery", asset: "door"}]`, ""},
		"nothing agrees":             {"INVALID", `device: "logger-1", asset: "room-2"`, "agrees in name and type"},
		"no unit agrees":             {"INVALID", `device: "logger-1", asset: "wall-1"`, "is in Cel"},
		"a token of something else":  {"INVALID", `device: "logger-1", asset: "room-2", measures: [{device: "temperature", asset: "inside"}], token: "x"`, "rehearsal of this"},
		"a device that does not run": {"NOT_FOUND", `device: "nobody", asset: "room-2"`, ""},
	} {
		err := c.query(t.Context(), `mutation { linkDevice(input: {`+one.input+`}) { link { id } } }`, nil, nil)
		if err == nil || !strings.HasPrefix(err.Error(), one.code+":") || !strings.Contains(err.Error(), one.says) {
			t.Errorf("%s: got %v, want %s", name, err, one.code)
		}
	}
	refused(t, c, "INVALID", `mutation { createTemplate(input: {kind: ASSET, name: "x", manyAssets: false}) { template { id } } }`, nil)
	refused(t, c, "FAILED_PRECONDITION", `mutation { replaceDevice(input: {asset: "room-2", from: "logger-2", to: "logger-1"}) { link { id } } }`, nil)
	refused(t, c, "INVALID", `mutation { replaceDevice(input: {asset: "room-1", from: "logger-2", to: "logger-2"}) { link { id } } }`, nil)
	left := ask[map[string]any](t, c, `{ a: asset(reference: "room-2") { links { id } } b: asset(reference: "wall-1") { links { id } } }`, nil)
	if diff := cmp.Diff(map[string]any{"a": map[string]any{"links": []any{}}, "b": map[string]any{"links": []any{}}}, left); diff != "" {
		t.Errorf("refused links left (-want +got):\n%s", diff)
	}
	// By another version of its template, the device may feed more.
	ask[any](t, c, `mutation {
		u: updateTemplate(input: {kind: DEVICE, name: "logger", manyAssets: true}) { template { id } }
		p: publishTemplate(input: {kind: DEVICE, name: "logger"}) { template { manyAssets } }
		m: migrateObjects(input: {kind: DEVICE, template: "logger", all: true}) { migrated }
		l: linkDevice(input: {device: "logger-2", asset: "room-2", measures: [{device: "temperature", asset: "inside"}]}) { link { id } }
	}`, nil)
}

// TestLinkIntoThePast links weeks into the past, over GraphQL: by the token of a
// rehearsal, with late values before and after it.
func TestLinkIntoThePast(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	ask[any](t, c, `mutation { createDevice(input: {reference: "d"}) { device { id } } createAsset(input: {reference: "a"}) { asset { id } } }`, nil)
	start := time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
	send := func(at time.Time, n int, step time.Duration) {
		t.Helper()
		var lines strings.Builder
		for i := range n {
			lines.WriteString(`{"device": "d", "measuredAt": "` + at.Add(time.Duration(i)*step).Format(time.RFC3339) + `", "values": {"t": ` + string(rune('0'+i%10)) + `}}` + "\n")
		}
		if _, err := c.post(t.Context(), "/v1/readings?ack=stored", "application/x-ndjson", []byte(lines.String())); err != nil {
			t.Fatal(err)
		}
	}
	send(start, 500, time.Hour)
	input := map[string]any{"device": "d", "asset": "a", "since": start.Add(100 * time.Hour), "measures": []any{map[string]any{"device": "t", "asset": "t"}}}
	with := func(name string, value any) map[string]any {
		out := map[string]any{name: value}
		for k, v := range input {
			out[k] = v
		}
		return map[string]any{"input": out}
	}
	rehearse := func(want int) string {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			got := ask[linkedOne](t, c, linkOne, with("rehearse", true)).LinkDevice
			if got.Moved.Measurements == want && got.Link == nil && got.Token != nil {
				return *got.Token
			}
			if time.Now().After(deadline) {
				t.Fatalf("rehearsal = %+v, want %d", got, want)
			}
		}
	}
	token := rehearse(400)
	send(start.Add(200*time.Hour+time.Minute), 1, time.Hour)
	rehearse(401)
	refused(t, c, "CONFLICT", linkOne, with("token", token))
	token = rehearse(401)
	send(start.Add(600*time.Hour), 1, time.Hour)
	rehearse(402)
	made := ask[linkedOne](t, c, linkOne, with("token", token)).LinkDevice
	if made.Link == nil || made.Moved.Measurements != 402 || len(made.Ended) != 0 {
		t.Fatalf("made = %+v", made)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got := ask[samplesOf](t, c, `{ asset(reference: "a") { samples(measure: "t", from: "2025-01-01T00:00:00Z", to: "2026-01-01T00:00:00Z", limit: 1000) { at value } links { moving } } }`, nil).Asset.Samples
		if len(got.At) == 402 && got.At[0] == "2025-03-05T04:00:00.000Z" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the asset has %d measurements", len(got.At))
		}
	}
}

// TestReadingsByHand hands in readings of assets over GraphQL, HTTP and MQTT.
func TestReadingsByHand(t *testing.T) {
	t.Parallel()
	c, account := newAccount(t)
	ask[any](t, c, `mutation {
		t: createTemplate(input: {kind: ASSET, name: "room", publish: true, measures: [{name: "inside", type: "number", unit: "Cel"}, {name: "note", type: "string"}, {name: "twice", type: "number", computed: "measures.inside * 2"}]}) { template { measures { manual } } }
		a: createAsset(input: {reference: "room-1", template: "room"}) { asset { id } }
		d: createDevice(input: {reference: "d"}) { device { id } }
		l: linkDevice(input: {device: "d", asset: "room-1", since: "2026-01-02T10:00:00Z", measures: [{device: "x", asset: "inside"}]}) { link { id } }
	}`, nil)
	// One wrong reading and none is taken; every wrong one is told.
	err := c.query(t.Context(), `mutation { recordReadings(input: {readings: [
		{asset: "room-1", measuredAt: "2026-01-02T08:00:00Z", values: {inside: 8}}
		{asset: "nowhere", values: {inside: 1}}
		{asset: "room-1", measuredAt: "2026-01-02T11:00:00Z", values: {inside: 1}}
		{asset: "room-1", values: {twice: 1, height: 1, note: 1}}
		{asset: "room-1", device: "d", values: {inside: 1}}
		{values: {inside: 1}}
	]}) { accepted } }`, nil, nil)
	for _, says := range []string{"INVALID", "[1].asset", "and 6 more"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %s", err, says)
		}
	}
	refused(t, clientOf(t, account, "d"), "INVALID", `mutation { recordReadings(input: {readings: [{asset: "room-1", values: {note: "x"}}]}) { accepted } }`, nil)
	if _, err := c.post(t.Context(), "/v1/readings", "application/x-ndjson", []byte(`{"asset": "room-1", "measuredAt": "2026-01-02T09:00:00Z", "values": {"inside": {"value": 9, "unit": "°C"}, "note": "cold"}}
{"device": "d", "measuredAt": "2026-01-02T10:30:00Z", "values": {"x": 10.5}}
`)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.post(t.Context(), "/v1/readings", "application/json", []byte(`{"asset": "room-1", "measuredAt": "2026-01-02T11:00:00Z", "values": {"inside": 1}}`)); err == nil || !strings.Contains(err.Error(), "fed") {
		t.Errorf("where a device feeds it: %v", err)
	}
	want := map[string]any{"asset": map[string]any{
		"live":         []any{map[string]any{"measure": "inside", "value": 10.5}, map[string]any{"measure": "note", "value": "cold"}, map[string]any{"measure": "twice", "value": 21.0}},
		"measurements": map[string]any{"nodes": []any{map[string]any{"value": 9.0}, map[string]any{"value": 10.5}}},
		"aggregate":    []any{map[string]any{"value": 2.0}},
	}}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got := ask[map[string]any](t, c, `{ asset(reference: "room-1") {
			live { measure value } measurements(measure: "inside") { nodes { value } }
			aggregate(measure: "inside", from: "2026-01-02T00:00:00Z", to: "2026-01-03T00:00:00Z", every: "P1D", function: COUNT) { value }
		} }`, nil)
		diff := cmp.Diff(want, got)
		if diff == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("-want +got:\n%s", diff)
		}
	}
	if letters := ask[map[string]any](t, c, `{ deadLetters { totalCount nodes { assetReference asset { reference } } } }`, nil); letters["deadLetters"].(map[string]any)["totalCount"] != 0.0 {
		t.Errorf("dead letters = %v", letters)
	}
}
