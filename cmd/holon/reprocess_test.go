package main

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// deviceSamples are the values of a measure of a device, in order of time.
func deviceSamples(t *testing.T, c apiClient, reference, measure string) []any {
	t.Helper()
	return ask[struct {
		Device struct{ Samples struct{ Value []any } }
	}](t, c, `query ($reference: String!, $measure: String!) { device(reference: $reference) { samples(measure: $measure, from: "2020-01-01T00:00:00Z", to: "2100-01-01T00:00:00Z") { value } } }`,
		map[string]any{"reference": reference, "measure": measure}).Device.Samples.Value
}

// TestReprocess mends a template and decodes anew what its device sent: what came
// from elsewhere stays as it is, and an asset sees what its device has.
func TestReprocess(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	options := func(measure string, scale float64) map[string]any {
		return map[string]any{"time": map[string]any{"path": "at", "format": "unix"}, "measures": map[string]any{measure: map[string]any{"path": "t", "scale": scale}}}
	}
	ask[any](t, client, `mutation ($options: JSONObject) { createTemplate(input: {kind: DEVICE, name: "probe", publish: true,
		measures: [{name: "temperature", type: "number"}, {name: "pressure", type: "number"}], decoder: {name: "json", options: $options}}) { template { id } } }`, map[string]any{"options": options("temperature", 1)})
	ask[any](t, client, `mutation { createDevice(input: {reference: "p1", template: "probe"}) { device { id } } createAsset(input: {reference: "room"}) { asset { id } }
		linkDevice(input: {device: "p1", asset: "room", measures: [{device: "temperature", asset: "temperature"}], since: "2026-01-01T00:00:00Z"}) { link { id } } }`, nil)
	at := time.Now().Add(-time.Hour).Unix()
	for i := range 3 {
		if status, answer := sendRaw(t, client, "/v1/raw/p1?ack=stored", "text/json", fmt.Sprintf(`{"t": %d, "at": %d}`, 210+i, at+int64(i))); status != 200 {
			t.Fatalf("%d %v", status, answer)
		}
	}
	// Not from a payload: another time, and what a payload says again.
	elsewhere := time.Unix(at+10, 0).UTC().Format(time.RFC3339)
	ask[any](t, client, `mutation ($at: DateTime!) { recordReadings(input: {readings: [{device: "p1", measuredAt: $at, values: {temperature: 99}}]}) { accepted } }`, map[string]any{"at": elsewhere})
	waitFor(t, "the reading", func() bool { return liveOf(t, client, "p1", "temperature") == 99.0 })
	if status, _ := sendRaw(t, client, "/v1/raw/p1?ack=stored", "text/json", fmt.Sprintf(`{"t": 99, "at": %d}`, at+10)); status != 200 {
		t.Fatal(status)
	}
	type listed struct {
		Device struct {
			Payloads struct {
				TotalCount int
				Nodes      []struct {
					Size                               int
					Content, Text, Source, ContentType string
					Valid                              bool
				}
			}
		}
	}
	const list = `{ device(reference: "p1") { payloads(first: 2) { totalCount nodes { size content text source contentType valid receivedAt } } } }`
	payloads := ask[listed](t, client, list, nil).Device.Payloads
	if payloads.TotalCount != 4 || len(payloads.Nodes) != 2 || !payloads.Nodes[0].Valid || payloads.Nodes[0].Source != "http" || payloads.Nodes[0].ContentType != "text/json" ||
		payloads.Nodes[0].Text != `{"t": 99, "at": `+strconv.FormatInt(at+10, 10)+`}` || payloads.Nodes[0].Size != len(payloads.Nodes[0].Text) {
		t.Errorf("payloads: %+v", payloads)
	}
	type counts struct{ Payloads, Undecodable, Replaced, Added, Removed, Unchanged, Conflicts int }
	type done struct {
		Reprocess struct {
			counts
			Token, EndCursor *string
			Failures         []struct{ Message string }
		}
	}
	const fields = `{ payloads undecodable replaced added removed unchanged conflicts token endCursor failures { message payload { text } } } }`
	publish := func(options map[string]any) {
		ask[any](t, client, `mutation ($options: JSONObject) { updateTemplate(input: {kind: DEVICE, name: "probe", decoder: {name: "json", options: $options}}) { template { version } }
			publishTemplate(input: {kind: DEVICE, name: "probe"}) { template { version } } migrateObjects(input: {kind: DEVICE, template: "probe", all: true}) { migrated } }`, map[string]any{"options": options})
	}
	same := ask[done](t, client, `mutation { reprocess(input: {device: "P1"}) `+fields, nil).Reprocess
	if diff := cmp.Diff(counts{Payloads: 4, Unchanged: 4}, same.counts); diff != "" || same.EndCursor != nil || same.Token != nil {
		t.Errorf("nothing to do: %s", diff)
	}

	publish(options("temperature", 0.1))
	want := counts{Payloads: 4, Replaced: 3, Conflicts: 1}
	rehearsed := ask[done](t, client, `mutation { reprocess(input: {device: "p1", rehearse: true}) `+fields, nil).Reprocess
	if diff := cmp.Diff(want, rehearsed.counts); diff != "" || rehearsed.Token == nil {
		t.Errorf("rehearsed: %s", diff)
	}
	if diff := cmp.Diff([]any{210.0, 211.0, 212.0, 99.0}, deviceSamples(t, client, "p1", "temperature")); diff != "" {
		t.Errorf("a rehearsal changed: %s", diff)
	}
	token := map[string]any{"token": *rehearsed.Token}
	got := ask[done](t, client, `mutation ($token: String) { reprocess(input: {device: "p1", token: $token}) `+fields, token).Reprocess
	if diff := cmp.Diff(want, got.counts); diff != "" {
		t.Errorf("done: %s", diff)
	}
	if diff := cmp.Diff([]any{21.0, 21.1, 21.2, 99.0}, deviceSamples(t, client, "p1", "temperature")); diff != "" {
		t.Errorf("replaced: %s", diff)
	}
	refused(t, client, "CONFLICT", `mutation ($token: String) { reprocess(input: {device: "p1", token: $token}) `+fields, token)
	refused(t, client, "INVALID", `mutation ($token: String) { reprocess(input: {device: "p1", first: 7, token: $token}) `+fields, token)
	refused(t, client, "INVALID", `mutation { reprocess(input: {device: "p1", token: "x"}) `+fields, nil)

	// Another measure: what was given goes, piece by piece.
	publish(options("pressure", 1))
	var after any
	var sum counts
	for range 2 {
		part := ask[done](t, client, `mutation ($after: String) { reprocess(input: {device: "p1", first: 2, after: $after}) `+fields, map[string]any{"after": after}).Reprocess
		sum.Payloads, sum.Added, sum.Removed = sum.Payloads+part.Payloads, sum.Added+part.Added, sum.Removed+part.Removed
		if part.EndCursor == nil {
			t.Fatal("no cursor")
		}
		after = *part.EndCursor
	}
	if diff := cmp.Diff(counts{Payloads: 4, Added: 4, Removed: 3}, sum); diff != "" {
		t.Errorf("in pieces: %s", diff)
	}
	if diff := cmp.Diff([]any{99.0}, deviceSamples(t, client, "p1", "temperature")); diff != "" {
		t.Errorf("left: %s", diff)
	}
	if live := liveOf(t, client, "p1", "pressure"); live != 99.0 {
		t.Errorf("live at once: %v", live)
	}

	// What cannot be decoded any more stays.
	publish(map[string]any{"measures": map[string]any{"pressure": "missing"}})
	failed := ask[done](t, client, `mutation { reprocess(input: {device: "p1"}) `+fields, nil).Reprocess
	if diff := cmp.Diff(counts{Payloads: 4, Undecodable: 4}, failed.counts); diff != "" || len(failed.Failures) != 4 || failed.Failures[0].Message != "none of the mapped values is there: missing" {
		t.Errorf("undecodable: %s %+v", diff, failed.Failures)
	}
	if got := deviceSamples(t, client, "p1", "pressure"); len(got) != 4 {
		t.Errorf("pressure %v", got)
	}

	refused(t, client, "INVALID", `mutation { prunePayloads(input: {}) { pruned } }`, nil)
	for operation, want := range map[string]int{
		`mutation { prunePayloads(input: {valid: true}) { pruned } }`: 0, `mutation { prunePayloads(input: {before: "2026-01-01T00:00:00Z"}) { pruned } }`: 0,
		`mutation { prunePayloads(input: {template: "Probe", valid: false, rehearse: true}) { pruned } }`: 4,
	} {
		if got := ask[struct{ PrunePayloads struct{ Pruned int } }](t, client, operation, nil).PrunePayloads.Pruned; got != want {
			t.Errorf("%s: %d, want %d", operation, got, want)
		}
	}
	ask[any](t, client, `mutation { prunePayloads(input: {all: true}) { pruned } }`, nil)
	if left := ask[listed](t, client, list, nil).Device.Payloads.TotalCount; left != 0 || len(deviceSamples(t, client, "p1", "pressure")) != 4 {
		t.Errorf("%d payloads are left", left)
	}
}

// TestReprocessAsset sees the newest value of an asset at once.
func TestReprocessAsset(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	ask[any](t, client, makeProbe, map[string]any{"options": map[string]any{"measures": map[string]any{"temperature": "t"}}})
	ask[any](t, client, `mutation { createDevice(input: {reference: "p1", template: "probe"}) { device { id } } createAsset(input: {reference: "room"}) { asset { id } }
		linkDevice(input: {device: "p1", asset: "room", measures: [{device: "temperature", asset: "temperature"}]}) { link { id } } }`, nil)
	live := func() any {
		found := ask[struct {
			Asset struct{ Live []struct{ Value any } }
		}](t, client, `{ asset(reference: "room") { live { value } } }`, nil).Asset.Live
		if len(found) == 0 {
			return nil
		}
		return found[0].Value
	}
	// Without times of their own.
	for _, body := range []string{`{"t": 210}`, `[{"t": 220}, {"t": 230}]`} {
		if status, answer := sendRaw(t, client, "/v1/raw/p1?ack=stored", "text/json", body); status != 200 {
			t.Fatalf("%d %v", status, answer)
		}
	}
	waitFor(t, "the newest value", func() bool { return live() == 230.0 })
	ask[any](t, client, `mutation ($options: JSONObject) { updateTemplate(input: {kind: DEVICE, name: "probe", decoder: {name: "json", options: $options}}) { template { version } }
		publishTemplate(input: {kind: DEVICE, name: "probe"}) { template { version } } migrateObjects(input: {kind: DEVICE, template: "probe", all: true}) { migrated } }`,
		map[string]any{"options": map[string]any{"measures": map[string]any{"temperature": map[string]any{"path": "t", "scale": 0.1}}}})
	got := ask[struct {
		Reprocess struct{ Replaced, Added, Removed int }
	}](t, client, `mutation { reprocess(input: {device: "p1"}) { replaced added removed } }`, nil).Reprocess
	if got.Replaced != 3 || got.Added != 0 || got.Removed != 0 {
		t.Errorf("got %+v", got)
	}
	if now := live(); now != 23.0 {
		t.Errorf("live at once: %v", now)
	}
}
