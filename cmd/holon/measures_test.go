package main

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
)

var pageExample = regexp.MustCompile("(?s)```(graphql|ndjson|cypher|bash)\n(.*?)```(?:\n\n```json\n(.*?)```)?")

// curlExample posts a body in quotes to a path.
var curlExample = regexp.MustCompile(`(?s)^curl .*-d '([^']*)' \$HOLON_URL(\S+)\s*$`)

// TestMeasureExamples runs the examples of docs/measures.md in order: templates
// by GraphQL, readings over HTTP and through a worker, and questions in GraphQL
// and Cypher. Then it follows a computed measure.
func TestMeasureExamples(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	runPage(t, c, "measures", 7)
	followComputed(t, c)
	refusedMeasures(t, c)
}

// runPage runs the examples of a page in docs, which are so many, in order.
func runPage(t *testing.T, c apiClient, page string, examples int) {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page + ".md")
	if err != nil {
		t.Fatal(err)
	}
	found := pageExample.FindAllStringSubmatch(string(text), -1)
	if len(found) != examples {
		t.Fatalf("the page has %d examples, want %d", len(found), examples)
	}
	for _, one := range found {
		if one[1] == "bash" {
			sent := curlExample.FindStringSubmatch(one[2])
			if sent == nil {
				t.Fatalf("this is not run: %s", one[2])
			}
			if _, err := c.post(t.Context(), sent[2], "application/json", []byte(sent[1])); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if one[1] == "ndjson" {
			if _, err := c.post(t.Context(), "/v1/readings", "application/x-ndjson", []byte(one[2])); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var want any
		if err := json.Unmarshal([]byte(one[3]), &want); err != nil {
			t.Fatal(err)
		}
		// The worker takes what it needs to store the readings.
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			var got any
			if one[1] == "graphql" {
				got = ask[any](t, c, one[2], nil)
			} else {
				got = askGraph(t, c, one[2])
			}
			diff := cmp.Diff(want, got)
			if diff == "" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s\n(-documentation +answer)\n%s", one[2], diff)
			}
		}
	}
}

// askGraph runs a query in Cypher, and returns its rows as JSON has them.
func askGraph(t *testing.T, c apiClient, text string) any {
	t.Helper()
	driver, err := neo4j.NewDriverWithContext(os.Getenv("NEO4J_URI"), neo4j.BasicAuth(os.Getenv("NEO4J_USERNAME"), os.Getenv("NEO4J_PASSWORD"), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close(t.Context())
	viewer := ask[struct {
		Viewer struct{ Account struct{ ID string } }
	}](t, c, `{ viewer { account { id } } }`, nil)
	result, err := neo4j.ExecuteQuery(t.Context(), driver, text, map[string]any{"account": viewer.Viewer.Account.ID}, neo4j.EagerResultTransformer, neo4j.ExecuteQueryWithReadersRouting())
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	rows := []any{}
	for _, record := range result.Records {
		row := record.AsMap()
		for name, value := range row {
			if n, ok := value.(int64); ok {
				row[name] = float64(n)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// followComputed waits for a tank to be full, by what its volume is computed to
// be from a level in another unit.
func followComputed(t *testing.T, c apiClient) {
	t.Helper()
	s := follow(t, c, toldQuery, map[string]any{"where": "measures.volume > 11"})
	if _, err := c.post(t.Context(), "/v1/readings", "application/json", []byte(`{"device": "probe-1", "values": {"level": {"value": 3000, "unit": "mm"}}}`)); err != nil {
		t.Fatal(err)
	}
	change := s.expect("ENTERED", "tank-1")
	if len(change.Values) == 0 { // the newest value was seen before it was told
		change = s.expect("STAYED", "tank-1")
	}
	got := map[string]any{}
	for _, v := range change.Values {
		got[v.Measure] = v.Value
	}
	if diff := cmp.Diff(map[string]any{"level": 3.0, "volume": 12.0}, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// refusedMeasures tries what cannot be.
func refusedMeasures(t *testing.T, c apiClient) {
	t.Helper()
	for _, values := range []string{
		`{"mode": "explode"}`, `{"temperature": {"value": 1, "unit": "m"}}`, `{"temperature": {"value": 1, "unit": "quux"}}`, `{"mode": {"value": "off", "unit": "Cel"}}`,
		`{"place": {"latitude": 91, "longitude": 0}}`, `{"pump": {"speed": "fast"}}`, `{"pump": {"colour": "red"}}`, `{"level": {"value": 1, "measuredAt": 5}}`,
	} {
		if _, err := c.post(t.Context(), "/v1/readings", "application/json", []byte(`{"device": "probe-1", "values": `+values+`}`)); err == nil {
			t.Errorf("%s was taken", values)
		}
	}
	for _, wrong := range []string{
		`{ asset(reference: "tank-1") { live(measures: ["volume"], unit: "K") { value } } }`,
		`{ asset(reference: "tank-1") { live(unit: "quux") { value } } }`,
		`{ device(reference: "probe-1") { measurements(measure: "mode", unit: "K") { nodes { value } } } }`,
		`mutation { createTemplate(input: {kind: DEVICE, name: "bad1", measures: [{name: "a", type: "number", unit: "quux"}]}) { template { id } } }`,
		`mutation { createTemplate(input: {kind: DEVICE, name: "bad2", measures: [{name: "a", type: "number", computed: "measures.a + 1"}]}) { template { id } } }`,
		`mutation { createTemplate(input: {kind: DEVICE, name: "kept1", measures: [{name: "a", type: "number", keepHourly: "P1D"}]}) { template { id } } }`,
		`mutation { createTemplate(input: {kind: DEVICE, name: "kept2", measures: [{name: "a", type: "number", keepRaw: "P2D", keepDaily: "P1D"}]}) { template { id } } }`,
		`mutation { createTemplate(input: {kind: DEVICE, name: "kept3", measures: [{name: "a", type: "number", keepRaw: "PT1M"}]}) { template { id } } }`,
		`mutation { createTemplate(input: {kind: DEVICE, name: "bad3", measures: [{name: "a", type: "string", minimum: 1}]}) { template { id } } }`,
		`mutation { createMeasureType(input: {name: "bad4", valueType: COMPOSITE, fields: [{name: "value", type: NUMBER}]}) { measureType { id } } }`,
		`mutation { linkDevice(input: {device: "probe-1", asset: "tank-1", measures: [{device: "level", asset: "volume"}]}) { link { id } } }`,
	} {
		refused(t, c, "INVALID", wrong, nil)
	}
	refused(t, c, "LIMIT_EXCEEDED", `{ asset(reference: "tank-1") { samples(measure: "volume", from: "2026-03-01T00:00:00Z", to: "2026-03-02T00:00:00Z", limit: 20000) { at } } }`, nil)
}

// TestComputedAlarm raises and clears an alarm by what a computed measure comes
// to.
func TestComputedAlarm(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	ask[any](t, c, `mutation {
		createTemplate(input: {kind: DEVICE, name: "vat", publish: true, properties: {area: {type: "number"}},
			measures: [{name: "level", type: "number", unit: "m"}, {name: "volume", type: "number", unit: "m3", computed: "measures.level * attributes.area"}],
			alarms: [{name: "full", when: "measures.volume > 10", severity: MAJOR}]}) { template { id } }
		createDevice(input: {reference: "probe-1", template: "vat", attributes: {area: 4}}) { device { id } }
	}`, nil)
	time.Sleep(2500 * time.Millisecond) // accounts with alarms are found within two seconds
	began := time.Now().UTC()
	sendProbe(t, c, began, 0, "level", 1)
	sendProbe(t, c, began, 1, "level", 3)
	awaitAlarms(t, c, "full")
	sendProbe(t, c, began, 2, "level", 2)
	awaitAlarms(t, c, "-full")
}
