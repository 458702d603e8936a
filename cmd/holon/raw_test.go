package main

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sendRaw sends a payload and returns the status and the answer.
func sendRaw(t *testing.T, c apiClient, target, contentType, body string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	request.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

const makeProbe = `mutation ($options: JSONObject) {
	createTemplate(input: {kind: DEVICE, name: "probe", publish: true, measures: [{name: "temperature", type: "number", unit: "Cel"}, {name: "door", type: "boolean"}],
		decoder: {name: "json", options: $options}}) { template { decoder { name options } } }
}`

// liveOf is the newest value of a measure of a device, nil before the first.
func liveOf(t *testing.T, c apiClient, reference, measure string) any {
	t.Helper()
	live := ask[struct {
		Device struct {
			Live []struct {
				Measure string
				Value   any
			}
		}
	}](t, c, `query ($reference: String!) { device(reference: $reference) { live { measure value } } }`, map[string]any{"reference": reference}).Device.Live
	for _, v := range live {
		if v.Measure == measure {
			return v.Value
		}
	}
	return nil
}

// TestDecoderExamples runs the examples of docs/decoders.md in order, and takes
// the options that stand there by themselves.
func TestDecoderExamples(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	runPage(t, client, "decoders", 5)
	text, err := os.ReadFile("../../docs/decoders.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("```json\n(\\{\"name\".*)\n```").FindAllSubmatch(text, -1)
	if len(found) != 1 {
		t.Fatalf("the page has %d decoders, want 1", len(found))
	}
	var decoder any
	if err := json.Unmarshal(found[0][1], &decoder); err != nil {
		t.Fatal(err)
	}
	ask[any](t, client, `mutation ($decoder: TemplateDecoderInput) { createTemplate(input: {kind: DEVICE, name: "pack", publish: true, decoder: $decoder,
		measures: [{name: "temperature", type: "number"}, {name: "place", type: "location"}]}) { template { version } } }`, map[string]any{"decoder": decoder})
}

// TestRawPayloads decodes by a template, keeps what cannot be decoded, and tries
// it again when the template was mended.
func TestRawPayloads(t *testing.T) {
	t.Parallel()
	client, account := newAccount(t)
	options := map[string]any{"device": "id", "time": map[string]any{"path": "at", "format": "unix"}, "measures": map[string]any{"temperature": map[string]any{"path": "t", "scale": 0.1}}}
	refused(t, client, "INVALID", `mutation { createTemplate(input: {kind: DEVICE, name: "x", decoder: {name: "xml"}}) { template { id } } }`, nil)
	refused(t, client, "INVALID", `mutation { createTemplate(input: {kind: ASSET, name: "x", decoder: {name: "json"}}) { template { id } } }`, nil)
	refused(t, client, "INVALID", `mutation { createTemplate(input: {kind: DEVICE, name: "x", decoder: {name: "json", options: {measures: {pressure: "p"}}}}) { template { id } } }`, nil)
	ask[any](t, client, makeProbe, map[string]any{"options": options})
	ask[any](t, client, `mutation { a: createDevice(input: {reference: "p1", template: "probe"}) { device { id } } b: createDevice(input: {reference: "p2", template: "probe"}) { device { id } } }`, nil)

	at := time.Now().Add(-time.Hour).Unix()
	now := strconv.FormatInt(at, 10)
	if status, answer := sendRaw(t, client, "/v1/raw/p1?ack=stored", "application/json", `{"t": 215, "at": `+now+`}`); status != 200 || answer["accepted"] != 1.0 {
		t.Errorf("for a device: %d %v", status, answer)
	}
	if status, answer := sendRaw(t, client, "/v1/raw?template=probe&ack=stored", "application/json", `[{"id": "p1", "t": 216, "at": `+now+`1}, {"id": "p2", "t": 1}]`); status != 200 || answer["deadLetter"] != true {
		t.Errorf("for a template, wrong times: %d %v", status, answer)
	}
	if status, answer := sendRaw(t, client, "/v1/raw?template=probe&ack=stored", "application/json", `[{"id": "p2", "t": 200, "at": `+now+`}]`); status != 200 || answer["accepted"] != 1.0 {
		t.Errorf("for a template: %d %v", status, answer)
	}
	waitFor(t, "live values", func() bool {
		return liveOf(t, client, "p1", "temperature") == 21.5 && liveOf(t, client, "p2", "temperature") == 20.0
	})
	if status, _ := sendRaw(t, client, "/v1/raw/nobody", "text/plain", "x"); status != 404 {
		t.Errorf("for nobody: %d", status)
	}

	// Over MQTT, in a form that the decoder does not know yet.
	publish(t, client, "holon/"+account+"/raw/p1", `{"door": "open", "at": `+now+`}`)
	type letters struct {
		DeadLetters struct {
			Nodes []struct {
				Reason, Message, Raw string
				Truncated            bool
				Device               struct{ Reference string }
				Payload              struct {
					Size    int
					Content string
					Text    *string
				}
			}
		}
	}
	var found letters
	waitFor(t, "a dead letter", func() bool {
		found = ask[letters](t, client, `{ deadLetters(source: "mqtt") { nodes { reason message raw truncated device { reference } payload { size content text contentType template valid } } } }`, nil)
		return len(found.DeadLetters.Nodes) == 1
	})
	if l := found.DeadLetters.Nodes[0]; l.Reason != "UNDECODABLE" || l.Truncated || l.Device.Reference != "p1" || l.Payload.Text == nil || *l.Payload.Text != l.Raw || l.Payload.Size != len(l.Raw) {
		t.Errorf("the dead letter is %+v", l)
	}
	options["measures"].(map[string]any)["door"] = map[string]any{"path": "door", "values": map[string]any{"open": true, "shut": false}}
	ask[any](t, client, `mutation ($options: JSONObject) { updateTemplate(input: {kind: DEVICE, name: "probe", decoder: {name: "json", options: $options}}) { template { version } }
		publishTemplate(input: {kind: DEVICE, name: "probe"}) { template { version } } migrateObjects(input: {kind: DEVICE, template: "probe", all: true}) { migrated } }`, map[string]any{"options": options})
	replayed := ask[struct{ ReplayDeadLetters struct{ Accepted int } }](t, client, `mutation { replayDeadLetters(input: {source: "mqtt"}) { accepted } }`, nil)
	if replayed.ReplayDeadLetters.Accepted != 1 {
		t.Errorf("replayed %+v", replayed)
	}
	waitFor(t, "what the payload says", func() bool { return liveOf(t, client, "p1", "door") == true })
}
