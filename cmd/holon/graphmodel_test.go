package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
)

const graphModel = "../../docs/graph-model.md"

var question = regexp.MustCompile("(?s)```cypher\n(.*?)```\n\n```json\n(.*?)```")

// TestGraphModel runs every query of docs/graph-model.md on the demonstration
// fleet with two days of readings, and compares the answer with the one that
// stands there. With UPDATE=1 it writes the answers instead.
func TestGraphModel(t *testing.T) {
	t.Parallel()
	client, account := newAccount(t)
	d := loadDemo(t, client, account)
	sendTwoDays(t, d)

	driver, err := neo4j.NewDriverWithContext(os.Getenv("NEO4J_URI"), neo4j.BasicAuth(os.Getenv("NEO4J_USERNAME"), os.Getenv("NEO4J_PASSWORD"), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close(t.Context())
	viewer := ask[struct {
		Viewer struct{ Account struct{ ID string } }
	}](t, client, `{ viewer { account { id } } }`, nil)

	text, err := os.ReadFile(graphModel)
	if err != nil {
		t.Fatal(err)
	}
	found := question.FindAllStringSubmatch(string(text), -1)
	if len(found) < 10 {
		t.Fatalf("the page has %d queries, want 10", len(found))
	}
	updated := string(text)
	for _, pair := range found {
		result, err := neo4j.ExecuteQuery(t.Context(), driver, pair[1], map[string]any{"account": viewer.Viewer.Account.ID}, neo4j.EagerResultTransformer, neo4j.ExecuteQueryWithReadersRouting())
		if err != nil {
			t.Errorf("%v\n%s", err, pair[1])
			continue
		}
		lines := make([]string, len(result.Records))
		for i, record := range result.Records {
			lines[i] = "  " + inOrder(t, record)
		}
		answer := "[\n" + strings.Join(lines, ",\n") + "\n]\n"
		updated = strings.Replace(updated, pair[0], "```cypher\n"+pair[1]+"```\n\n```json\n"+answer+"```", 1)
		var want, got any
		if err := json.Unmarshal([]byte(pair[2]), &want); err != nil {
			t.Errorf("the answer is no JSON: %v\n%s", err, pair[2])
			continue
		}
		if err := json.Unmarshal([]byte(answer), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" && os.Getenv("UPDATE") == "" {
			t.Errorf("%s\n(-page +answer)\n%s", pair[1], diff)
		}
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(graphModel, []byte(updated), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// inOrder writes a record as JSON with its columns in their order.
func inOrder(t *testing.T, record *neo4j.Record) string {
	t.Helper()
	fields := make([]string, len(record.Keys))
	for i, key := range record.Keys {
		value, err := json.Marshal(record.Values[i])
		if err != nil {
			t.Fatal(err)
		}
		fields[i] = `"` + key + `": ` + string(value)
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// sendTwoDays sends a reading of each sensor every half hour of two days, and
// one that cannot be used, and waits until all are stored.
func sendTwoDays(t *testing.T, d *demo) {
	t.Helper()
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var all []demoReading
	for at := start; at.Before(start.Add(48 * time.Hour)); at = at.Add(30 * time.Minute) {
		all = append(all, demoReadingsAt(at)...)
	}
	conflict := all[0]
	conflict.Values = map[string]any{"temperature": 99.0}
	if err := d.sendHTTP(t.Context(), append(all, conflict)); err != nil {
		t.Fatal(err)
	}
	if err := d.waitStored(t.Context(), all[len(all)-len(demoDevices):]); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		found := ask[struct{ DeadLetters struct{ TotalCount int } }](t, d.api, `{ deadLetters { totalCount } }`, nil)
		if found.DeadLetters.TotalCount == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d dead letters, want 1", found.DeadLetters.TotalCount)
		}
	}
}
