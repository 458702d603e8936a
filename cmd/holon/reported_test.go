package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestReportedNumbers keeps whole numbers that a device says of itself as they
// are, or refuses them: none is rounded.
func TestReportedNumbers(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	ask[any](t, c, `mutation {
		createTemplate(input: {kind: DEVICE, name: "tag", publish: true, provisioning: OPEN, reported: ["serial", "level"],
			properties: {serial: {type: "integer"}, level: {type: "number"}}}) { template { id } }
	}`, nil)
	serial := func() string {
		t.Helper()
		return string(ask[struct {
			Device struct{ Attributes map[string]json.RawMessage }
		}](t, c, `{ device(reference: "tag-1") { attributes } }`, nil).Device.Attributes["serial"])
	}
	for _, number := range []string{"9007199254740993", "9223372036854775807", "-9223372036854775808"} {
		if status, answer := sendRaw(t, c, "/v1/readings", "application/json", fmt.Sprintf(`{"device": "tag-1", "template": "tag", "attributes": {"serial": %s}}`, number)); status != http.StatusAccepted {
			t.Errorf("%s: %d %v", number, status, answer)
		}
		if got := serial(); got != number {
			t.Errorf("the serial number is %s, want %s", got, number)
		}
	}
	for number, name := range map[string]string{"9223372036854775808": "serial", "99999999999999999999": "serial", "9007199254740993000001": "level", "1e999": "level", "1.5": "serial"} {
		status, answer := sendRaw(t, c, "/v1/readings", "application/json", fmt.Sprintf(`{"device": "tag-1", "attributes": {%q: %s}}`, name, number))
		if status != http.StatusBadRequest || !strings.Contains(fmt.Sprint(answer), "path:attributes."+name) {
			t.Errorf("%s: %d %v", number, status, answer)
		}
	}
	if got := serial(); got != "-9223372036854775808" {
		t.Errorf("what was refused came to be: %s", got)
	}
}

// TestReportsAreForeseen refuses a payload for what it says of its device whatever
// tries it again: a replay, a rehearsal of one, and decoding it anew.
func TestReportsAreForeseen(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	decoder := func(scale int) map[string]any {
		return map[string]any{"decoder": map[string]any{"name": "json", "options": map[string]any{"time": map[string]any{"path": "at", "format": "unix"},
			"attributes": map[string]any{"firmware": "fw"}, "measures": map[string]any{"t": map[string]any{"path": "t", "scale": scale}}}}}
	}
	ask[any](t, c, `mutation ($decoder: TemplateDecoderInput) {
		createTemplate(input: {kind: DEVICE, name: "tag", publish: true, reported: ["firmware"], properties: {firmware: {type: "string", maxLength: 5}},
			measures: [{name: "t", type: "number"}], decoder: $decoder}) { template { id } }
		createDevice(input: {reference: "tag-1", template: "tag"}) { device { id } }
	}`, decoder(1))
	for i, firmware := range []string{"1.2", "too long"} {
		payload := fmt.Sprintf(`{"t": 1, "at": %d, "fw": %q}`, time.Now().Add(-time.Hour).Unix()+int64(i), firmware)
		if status, answer := sendRaw(t, c, "/v1/raw/tag-1?ack=stored", "application/json", payload); status >= 300 {
			t.Fatalf("%d %v", status, answer)
		}
	}
	type replayed struct {
		ReplayDeadLetters struct{ Accepted, Refused int }
	}
	for _, rehearse := range []bool{true, false} {
		got := ask[replayed](t, c, `mutation ($r: Boolean) { replayDeadLetters(input: {device: "tag-1", rehearse: $r}) { accepted refused } }`, map[string]any{"r": rehearse})
		if got.ReplayDeadLetters.Accepted != 0 || got.ReplayDeadLetters.Refused != 1 {
			t.Errorf("rehearse %v: %+v", rehearse, got)
		}
	}
	ask[any](t, c, `mutation ($decoder: TemplateDecoderInput) {
		updateTemplate(input: {kind: DEVICE, name: "tag", decoder: $decoder}) { template { id } }
		publishTemplate(input: {kind: DEVICE, name: "tag"}) { template { id } }
		migrateObjects(input: {kind: DEVICE, template: "tag", all: true}) { migrated }
	}`, decoder(10))
	type reprocessed struct {
		Reprocess struct{ Replaced, Added, Undecodable int }
	}
	got := ask[reprocessed](t, c, `mutation { reprocess(input: {device: "tag-1"}) { replaced added undecodable } }`, nil).Reprocess
	if got.Replaced != 1 || got.Added != 0 || got.Undecodable != 1 {
		t.Errorf("decoded anew: %+v", got)
	}
	if values := deviceSamples(t, c, "tag-1", "t"); len(values) != 1 || values[0] != 10.0 {
		t.Errorf("measured %v", values)
	}
}
