package main

import (
	"fmt"
	"testing"
	"time"
)

// TestSeenOnce takes what is decoded anew, or replayed, for no sign that its device
// is there now.
func TestSeenOnce(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	options := func(scale int, pressure string) map[string]any {
		return map[string]any{"decoder": map[string]any{"name": "json", "options": map[string]any{"time": map[string]any{"path": "at", "format": "unix"},
			"measures": map[string]any{"temperature": map[string]any{"path": "t", "scale": scale}, "pressure": pressure}}}}
	}
	ask[any](t, c, `mutation ($decoder: TemplateDecoderInput) {
		createTemplate(input: {kind: DEVICE, name: "probe", publish: true, silence: "PT2S",
			measures: [{name: "temperature", type: "number"}, {name: "pressure", type: "number"}], decoder: $decoder}) { template { id } }
		createDevice(input: {reference: "p1", template: "probe"}) { device { id } }
	}`, options(1, "p"))
	at := time.Now().Add(-time.Hour).Unix()
	for i, payload := range []string{`{"t": 21, "at": %d}`, `{"q": 5, "at": %d}`} { // nothing maps the second one yet
		if status, answer := sendRaw(t, c, "/v1/raw/p1?ack=stored", "application/json", fmt.Sprintf(payload, at+int64(i))); status >= 300 {
			t.Fatalf("%d %v", status, answer)
		}
	}
	type presence struct {
		LastSeenAt string
		Connected  bool
	}
	seen := func() presence {
		t.Helper()
		return ask[struct{ Device struct{ Presence presence } }](t, c, `{ device(reference: "p1") { presence { lastSeenAt connected } } }`, nil).Device.Presence
	}
	waitFor(t, "silence", func() bool { return !seen().Connected })
	before := seen()
	ask[any](t, c, `mutation ($decoder: TemplateDecoderInput) {
		updateTemplate(input: {kind: DEVICE, name: "probe", decoder: $decoder}) { template { id } }
		publishTemplate(input: {kind: DEVICE, name: "probe"}) { template { id } }
		migrateObjects(input: {kind: DEVICE, template: "probe", all: true}) { migrated }
	}`, options(10, "q"))
	type done struct {
		Reprocess         struct{ Replaced int }
		ReplayDeadLetters struct{ Accepted int }
	}
	if got := ask[done](t, c, `mutation { reprocess(input: {device: "p1"}) { replaced } replayDeadLetters(input: {device: "p1"}) { accepted } }`, nil); got.Reprocess.Replaced != 1 || got.ReplayDeadLetters.Accepted != 1 {
		t.Fatalf("done anew: %+v", got)
	}
	waitFor(t, "the letter's reading", func() bool { return liveOf(t, c, "p1", "pressure") == 5.0 })
	if now := seen(); now != before {
		t.Errorf("it was seen at %+v, and without a sign of it at %+v", before, now)
	}
}
