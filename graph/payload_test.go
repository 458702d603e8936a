package graph_test

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// payload is what readings of a test were decoded from.
func payload(content string, at time.Time) *registry.Payload {
	return &registry.Payload{ID: registry.ID(uuid.Must(uuid.NewV7()).String()), Content: []byte(content), ContentType: "x/y", Source: "test", ReceivedAt: at, Kept: true, Valid: true}
}

// query runs a statement of the test's own, for the account.
func (f *field) query(text string, p map[string]any) []map[string]any {
	f.Helper()
	p["account"] = string(f.scope.Account)
	result, err := neo4j.ExecuteQuery(f.Context(), f.driver(), text, p, neo4j.EagerResultTransformer)
	if err != nil {
		f.Fatal(err)
	}
	out := make([]map[string]any, len(result.Records))
	for i, record := range result.Records {
		out[i] = record.AsMap()
	}
	return out
}

// gave are the measurements that a payload gave a device, and the times that it
// was given.
func (f *field) gave(device registry.ID, p *registry.Payload) (measures []any, at []any, given []any) {
	f.Helper()
	records := f.query(`MATCH (n:Decoding {key: $key})-[:DECODED_FROM]->(p:Payload) WHERE n.account = $account AND p.account = $account
		RETURN n.measures AS measures, n.at AS at, n.given AS given`, map[string]any{"key": string(p.ID) + "/" + string(device)})
	if len(records) != 1 {
		f.Fatalf("%d decodings of payload %s", len(records), p.ID)
	}
	return records[0]["measures"].([]any), records[0]["at"].([]any), records[0]["given"].([]any)
}

// TestPayloadsAreKept writes readings of a payload, again and in another entry:
// what they gave is noted once, and what was there already is not theirs.
func TestPayloadsAreKept(t *testing.T) {
	f := newField(t)
	d := f.device("probe", "")
	start := morning()
	f.send(f.reading(d, start, map[string]any{"a": 1.0}))
	p := payload("\x00\xff", start)
	first := f.reading(d, start, map[string]any{"a": 1.0, "b": 2.0})
	first.Payload = p
	second := f.reading(d, start.Add(time.Second), map[string]any{"a": 3.0})
	second.Payload, second.Timeless = &registry.Payload{ID: p.ID}, true
	entry := f.entryOf(first, second)
	f.expect(f.write(entry), 2, 0, 0, 2)
	f.writeAgain(entry)
	f.partitions = map[int]*graph.Partition{}
	f.expect(f.send(entry.Readings...), 0, 2, 0, 0)
	measures, at, given := f.gave(d.ID, p)
	if diff := gocmp.Diff([]any{"b", "a"}, measures); diff != "" && len(measures) != 2 {
		t.Errorf("measures: -want +got\n%s", diff)
	}
	if len(at) != 2 || len(given) != 1 || given[0] != start.Add(time.Second).UnixMilli() {
		t.Errorf("at %v, given %v", at, given)
	}
	kept := f.query(`MATCH (p:Payload {id: $id}) WHERE p.account = $account RETURN p.content AS content, p.valid AS valid, p.size AS size, p.templateFold AS template`, map[string]any{"id": string(p.ID)})
	if len(kept) != 1 || string(kept[0]["content"].([]byte)) != "\x00\xff" || kept[0]["valid"] != true || kept[0]["size"] != int64(2) || kept[0]["template"] != "open" {
		t.Errorf("kept: %+v", kept)
	}
}

// TestUndecodablePayloads are dead letters with all that was sent, and payloads
// that are not valid.
func TestUndecodablePayloads(t *testing.T) {
	f := newField(t)
	d := f.device("probe", "")
	start := morning()
	p := payload("\x00\xff", start)
	p.Valid, p.Template = false, "open"
	r := f.reading(d, time.Time{}, nil)
	r.ReceivedAt, r.Payload, r.Refused = start, p, &registry.Refusal{Reason: registry.ReasonUndecodable, Message: "byte 0: 255"}
	text := r
	text.Payload = payload(`{"t": "warm"}`, start)
	text.Payload.Kept = false
	f.expect(f.send(r, text), 0, 0, 2, 0)
	letters, err := f.store.ListDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{}, registry.PageRequest{Size: 10})
	if err != nil || len(letters.Items) != 2 {
		t.Fatalf("letters: %+v, %v", letters, err)
	}
	brief, err := f.store.ListDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{Brief: true}, registry.PageRequest{Size: 10})
	if err != nil || len(brief.Items) != 2 || brief.Items[0].Payload == nil || brief.Items[0].Payload.Content != nil || brief.Items[1].Raw != "" {
		t.Errorf("brief letters: %+v, %v", brief, err)
	}
	raws := map[string]bool{}
	for _, l := range letters.Items {
		raws[l.Raw] = true
		if l.Truncated || l.Reason != registry.ReasonUndecodable || l.DeviceID != d.ID || l.Payload == nil || !l.Payload.ReceivedAt.Equal(start) {
			t.Errorf("letter %+v, %+v", l, l.Payload)
		}
	}
	if !raws[""] || !raws[`{"t": "warm"}`] {
		t.Errorf("raw texts: %v", raws)
	}
	found := f.query(`MATCH (n:Decoding)-[:DECODED_FROM]->(p:Payload) WHERE n.account = $account AND n.device = $id RETURN p.id AS id, p.valid AS valid`, map[string]any{"id": string(d.ID)})
	if len(found) != 1 || found[0]["id"] != string(p.ID) || found[0]["valid"] != false {
		t.Errorf("kept: %+v", found)
	}
}

// TestPrunePayloads goes through an account's payloads once, whatever the filter.
func TestPrunePayloads(t *testing.T) {
	f := newField(t)
	f.query(`UNWIND range(1, 450) AS i
		CREATE (p:Payload:Entity {id: randomUUID(), account: $account, receivedAt: datetime('2026-01-01T00:00:00Z') + duration({seconds: i / 100}), valid: i % 3 <> 0, templateFold: 'x', content: 'c'})`, map[string]any{})
	yes, no := true, false
	for _, c := range []struct {
		valid *bool
		want  int
	}{{&yes, 300}, {&yes, 0}, {&no, 150}} {
		if n, err := f.store.PrunePayloads(t.Context(), f.scope, registry.PayloadFilter{Valid: c.valid}, false); err != nil || n != c.want {
			t.Errorf("%d were removed, %v, want %d", n, err, c.want)
		}
	}
}

// TestSweepPayloads removes the old ones with what is said of them; what they
// gave stays.
func TestSweepPayloads(t *testing.T) {
	f := newField(t)
	d := f.device("probe", "")
	long, start := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), morning()
	for i, when := range []time.Time{long, start} {
		r := f.reading(d, start.Add(time.Duration(i)*time.Second), map[string]any{"a": 1.0})
		r.Payload = payload("x", when)
		f.send(r)
	}
	// No other test has payloads of 2001.
	if n, err := f.store.SweepPayloads(t.Context(), long.Add(time.Hour)); err != nil || n < 1 {
		t.Errorf("%d payloads were swept, %v", n, err)
	}
	left := f.query(`MATCH (n:Decoding) WHERE n.account = $account AND n.device = $id OPTIONAL MATCH (n)-[:DECODED_FROM]->(p) RETURN p.id AS id`, map[string]any{"id": string(d.ID)})
	if len(left) != 1 || left[0]["id"] == nil || len(f.samples(d.ID, "a")) != 2 {
		t.Errorf("left: %+v", left)
	}
}
