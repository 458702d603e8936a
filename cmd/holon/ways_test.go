package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/paho"
	"github.com/google/go-cmp/cmp"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/ingest/ftp"
)

// climate is a file as sensor nodes in a room write it: entry, time in ms,
// seconds, node, and eight measures. A few lines stand twice, some are late.
type climate struct {
	lines    []string
	readings []map[string]any
}

var climateMeasures = []string{"temperature", "humidity", "light1", "light2", "occupants", "activity", "door", "window"}

func newClimate() climate {
	var c climate
	const start = 1_767_225_600_000 // the year 2026
	for i := range 240 {
		node, at := i%4+1, start+int64(i)*3_210
		if i%50 == 49 {
			at -= 90_000
		}
		values := []float64{20 + math.Round(500*math.Sin(float64(i)/40))/100, 40 + float64(i%7)/8, 180.5 + float64(i), 490.25, float64(i % 3), float64(i % 5), float64(i / 20 % 2), float64(i / 33 % 2)}
		line := fmt.Sprintf("%d, %d, %d, %d", i+1, at, (at-start)/1000, node)
		reading := map[string]any{}
		for j, measure := range climateMeasures {
			line += ", " + fmt.Sprint(values[j])
			reading[measure] = values[j]
			if j >= 6 {
				reading[measure] = values[j] != 0
			}
		}
		for range 1 + i%80/79 { // a repeat now and then
			c.lines = append(c.lines, line)
			c.readings = append(c.readings, map[string]any{"device": fmt.Sprint(node), "measuredAt": at, "values": reading})
		}
	}
	return c
}

func (c climate) csv() string { return strings.Join(c.lines, "\n") + "\n" }

func (c climate) ndjson(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	for _, reading := range c.readings {
		if err := json.NewEncoder(&out).Encode(reading); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// climateFleet makes four nodes, one of which feeds an asset.
func climateFleet(t *testing.T, c apiClient) {
	t.Helper()
	measures, mapped := []map[string]any{}, map[string]any{}
	for i, name := range climateMeasures {
		kind := "number"
		if i >= 6 {
			kind = "boolean"
		}
		measures = append(measures, map[string]any{"name": name, "type": kind})
		mapped[name] = name
	}
	ask[any](t, c, `mutation ($measures: [MeasureDeclarationInput!], $options: JSONObject) {
		createTemplate(input: {kind: DEVICE, name: "node", publish: true, measures: $measures, decoder: {name: "csv", options: $options}}) { template { id } } }`,
		map[string]any{"measures": measures, "options": map[string]any{
			"columns": append([]string{"entry", "ms", "s", "node"}, climateMeasures...), "device": "node", "time": map[string]any{"column": "ms", "format": "unixMilli"}, "measures": mapped,
		}})
	for node := range 4 {
		ask[any](t, c, `mutation ($reference: String!) { createDevice(input: {reference: $reference, template: "node"}) { device { id } } }`, map[string]any{"reference": fmt.Sprint(node + 1)})
	}
	ask[any](t, c, `mutation { createAsset(input: {reference: "room"}) { asset { id } }
		linkDevice(input: {device: "1", asset: "room", measures: [{device: "temperature", asset: "temperature"}, {device: "door", asset: "door"}], since: "2020-01-01T00:00:00Z"}) { link { id } } }`, nil)
}

// climateWays are all the ways by which a file can come.
var climateWays = map[string]func(t *testing.T, c apiClient, account string, file climate){
	"http": func(t *testing.T, c apiClient, _ string, file climate) {
		lines := strings.SplitAfter(file.ndjson(t), "\n")
		for from := 0; from < len(lines); from += 50 {
			if _, err := c.post(t.Context(), "/v1/readings", "application/x-ndjson", []byte(strings.Join(lines[from:min(from+50, len(lines))], ""))); err != nil && from < len(lines)-1 {
				t.Fatal(err)
			}
		}
	},
	"mqtt": func(t *testing.T, c apiClient, account string, file climate) {
		device := connect(t, account, c.key)
		defer device.leave()
		for from := 0; from < len(file.readings); from += 20 {
			payload, err := json.Marshal(file.readings[from:min(from+20, len(file.readings))])
			if err != nil {
				t.Fatal(err)
			}
			if answer, err := device.client.Publish(t.Context(), &paho.Publish{QoS: 1, Topic: "holon/" + account + "/readings", Payload: payload}); err != nil {
				t.Fatalf("%v: %v", answer, err)
			}
		}
	},
	"websocket": func(t *testing.T, c apiClient, _ string, file climate) {
		device := stream(t, c, "climate")
		for from := 0; from < len(file.readings); from += 20 {
			if code := device.send("readings", file.readings[from:min(from+20, len(file.readings))]); code != "" {
				t.Fatal(code)
			}
		}
	},
	"payloads": func(t *testing.T, c apiClient, _ string, file climate) {
		for from := 0; from < len(file.lines); from += 100 {
			status, answer := sendRaw(t, c, "/v1/raw?template=node", "text/csv", strings.Join(file.lines[from:min(from+100, len(file.lines))], "\n"))
			if status != http.StatusAccepted || answer["deadLetter"] != nil {
				t.Fatalf("%d %v", status, answer)
			}
		}
	},
	"ftp": func(t *testing.T, c apiClient, _ string, file climate) {
		address, _ := serveFiles(t, ftp.Config{})
		client := logIn(t, address, c.key)
		client.put("/templates/node/climate.csv", file.csv())
		client.await("/done/templates/node/climate.csv")
	},
	"import": func(t *testing.T, _ apiClient, account string, file climate) {
		importClimate(t, account, importReadingsCmd{Template: "node"}, file.csv())
	},
	"import, readings": func(t *testing.T, _ apiClient, account string, file climate) {
		importClimate(t, account, importReadingsCmd{Decoder: plainReadings}, file.ndjson(t))
	},
}

func importClimate(t *testing.T, account string, c importReadingsCmd, content string) {
	t.Helper()
	c.File, c.Quiet = filepath.Join(t.TempDir(), "climate"), true
	if err := os.WriteFile(c.File, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	c.accountSettings, c.redisSettings = testStores(account)
	if err := c.Run(t.Context(), zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
}

// TestWaysAreOne sends one file by every way there is: the graph is the same.
func TestWaysAreOne(t *testing.T) {
	t.Parallel()
	driver, err := neo4j.NewDriverWithContext(os.Getenv("NEO4J_URI"), neo4j.BasicAuth(os.Getenv("NEO4J_USERNAME"), os.Getenv("NEO4J_PASSWORD"), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close(t.Context())
	file := newClimate()
	want := 0
	seen := map[string]bool{}
	for _, reading := range file.readings {
		if key := fmt.Sprint(reading["device"], reading["measuredAt"]); !seen[key] {
			seen[key] = true
			want += len(climateMeasures)
		}
	}
	var first map[string][]string
	firstWay := "http"
	ways := []string{firstWay}
	for way := range climateWays {
		if way != firstWay {
			ways = append(ways, way)
		}
	}
	for _, way := range ways {
		client, account := newAccount(t)
		climateFleet(t, client)
		climateWays[way](t, client, account, file)
		var stored map[string][]string
		waitFor(t, way, func() bool {
			stored = storedGraph(t, driver, account)
			return len(stored["device"]) >= want && len(stored["asset"]) >= want/16 // they are read one after the other
		})
		if first == nil {
			first = stored
			if len(stored["device"]) != want || len(stored["asset"]) != want/16 {
				t.Errorf("%d measurements of devices, %d of the asset; want %d and %d", len(stored["device"]), len(stored["asset"]), want, want/16)
			}
		}
		if diff := cmp.Diff(first, stored); diff != "" {
			t.Errorf("%s is not as %s: %s", way, firstWay, diff[:min(len(diff), 2000)])
		}
		if letters := ask[fileLetters](t, client, askLetters, nil).DeadLetters.Nodes; len(letters) != 0 {
			t.Errorf("%s: dead letters %+v", way, letters)
		}
	}
}

// storedGraph are the measurements of an account as they stand in the graph, of
// devices and of assets.
func storedGraph(t *testing.T, driver neo4j.DriverWithContext, account string) map[string][]string {
	t.Helper()
	owner, err := holon.stores.graph.AccountByName(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for kind, label := range map[string]string{"device": "Device", "asset": "Asset"} {
		result, err := neo4j.ExecuteQuery(t.Context(), driver, `
			MATCH (twin:`+label+` {account: $account})-[:HAS_SERIES]->(s:Series)-[:HAS_BUCKET]->(b:Bucket)-[:HAS_MEASUREMENT]->(m:Measurement)
			WHERE $asset = false OR twin.reference = 'room'
			WITH twin, s, m ORDER BY twin.reference, s.measure, m.at
			RETURN collect(twin.reference + ' ' + s.measure + ' ' + toString(m.at) + ' ' + toString(m.value)) AS all`,
			map[string]any{"account": string(owner.ID), "asset": kind == "asset"}, neo4j.EagerResultTransformer)
		if err != nil {
			t.Fatal(err)
		}
		all, _, err := neo4j.GetRecordValue[[]any](result.Records[0], "all")
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range all {
			out[kind] = append(out[kind], one.(string))
		}
	}
	return out
}
