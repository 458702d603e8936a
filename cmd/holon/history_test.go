package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// post sends an operation with a request id and returns that of the answer.
func withRequestID(t *testing.T, c apiClient, id, query string) string {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + c.key}, "X-Request-Id": {id}}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.Header.Get("X-Request-Id")
}

// TestHistoryOfADevice asks who did what with a device.
func TestHistoryOfADevice(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	if got := withRequestID(t, client, "order-66", `mutation { createDevice(input: {reference: "d", attributes: {colour: "red"}}) { device { id } } }`); got != "order-66" {
		t.Errorf("the answer's request id is %q", got)
	}
	made := withRequestID(t, client, strings.Repeat("x", 65), `mutation { updateDevice(input: {reference: "d", attributes: {colour: "blue", size: 3}}) { device { id } } }`)
	if len(made) != 36 {
		t.Errorf("instead of a long request id there is %q", made)
	}
	type change struct {
		ID, Cursor, At, Operation, Action, Kind, ObjectID, Key string
		Object                                                 *struct{ Reference string }
		Actor                                                  *struct{ ID, Name string }
		Request                                                *string
		Version                                                int
		Diff                                                   []struct {
			Path          string
			Before, After any
		}
		After map[string]any
	}
	const fields = `{ totalCount pageInfo { hasNextPage endCursor } nodes { id cursor at operation action kind objectId key object { ... on Device { reference } } actor { id name } request version diff { path before after } after } }`
	type connection struct {
		TotalCount *int
		PageInfo   struct {
			HasNextPage bool
			EndCursor   *string
		}
		Nodes []change
	}
	found := ask[struct {
		Device  struct{ Changes connection }
		Changes connection
	}](t, client, `{ device(reference: "d") { changes(first: 1) `+fields+` } changes(kinds: [DEVICE], key: "D", direction: ASC) `+fields+` }`, nil)
	newest := found.Device.Changes
	if *newest.TotalCount != 2 || !newest.PageInfo.HasNextPage || len(newest.Nodes) != 1 || newest.Nodes[0].Action != "updated" || *newest.Nodes[0].Request != made {
		t.Errorf("the newest change: %+v", newest)
	}
	update := newest.Nodes[0]
	if len(update.Diff) != 2 || update.Diff[0].Path != "attributes.colour" || update.Diff[0].Before != "red" || update.Diff[0].After != "blue" ||
		update.Diff[1].After != 3.0 || update.After["version"] != 2.0 || update.Version != 2 || update.Object.Reference != "d" {
		t.Errorf("the update: %+v", update)
	}
	if all := found.Changes; len(all.Nodes) != 2 || all.Nodes[0].Operation != "CREATE" || *all.Nodes[0].Request != "order-66" || all.Nodes[0].Actor.Name != t.Name() {
		t.Errorf("all changes: %+v", all)
	}
	refused(t, client, "INVALID", `{ changes(key: "d") { totalCount } }`, nil)
	refused(t, client, "NOT_FOUND", `{ changes(under: "/nowhere") { nodes { id } } }`, nil)
	empty := ask[struct{ Changes connection }](t, client, `{ changes(object: "no-such-id") `+fields+` }`, nil)
	if len(empty.Changes.Nodes) != 0 || *empty.Changes.TotalCount != 0 {
		t.Errorf("changes of nothing: %+v", empty)
	}
}

// TestObjectChanged follows a sub-tree, loses the connection, and goes on where
// it stopped.
func TestObjectChanged(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	ask[any](t, client, `mutation { createGroup(input: {name: "site"}) { group { id } } }`, nil)
	const query = `subscription($after: String) { objectChanged(under: "/site", kinds: [DEVICE], where: "reference != 'noise'", after: $after) { cursor action key diff { path } object { ... on Device { reference } } } }`
	next := func(s *socket) (action, key, cursor string) {
		t.Helper()
		m := s.read()
		var payload struct {
			Data struct {
				ObjectChanged struct{ Action, Key, Cursor string }
			}
			Errors []struct{ Message string }
		}
		if err := json.Unmarshal(m.Payload, &payload); err != nil || m.Type != "next" || len(payload.Errors) > 0 {
			t.Fatalf("got %s %s, want a change", m.Type, m.Payload)
		}
		c := payload.Data.ObjectChanged
		return c.Action, c.Key, c.Cursor
	}
	expect := func(s *socket, wantAction, wantKey string) string {
		t.Helper()
		action, key, cursor := next(s)
		if action != wantAction || key != wantKey {
			t.Errorf("%s %s, want %s %s", action, key, wantAction, wantKey)
		}
		return cursor
	}
	first := follow(t, client, query, nil)
	time.Sleep(200 * time.Millisecond) // it is following
	ask[any](t, client, `mutation {
		a: createDevice(input: {reference: "elsewhere"}) { device { id } }
		b: createDevice(input: {reference: "noise", relations: [{name: "located_at", groups: ["/site"]}]}) { device { id } }
		c: createDevice(input: {reference: "d", relations: [{name: "located_at", groups: ["/site"]}]}) { device { id } } }`, nil)
	cursor := expect(first, "created", "d")
	first.conn.CloseNow()
	ask[any](t, client, `mutation {
		a: updateDevice(input: {reference: "d", attributes: {n: 1}}) { device { id } }
		b: deleteDevice(input: {reference: "d"}) { deletedId } }`, nil)
	second := follow(t, client, query, map[string]any{"after": cursor})
	expect(second, "updated", "d")
	expect(second, "deleted", "d")
	stranger, _ := newAccount(t)
	for text, code := range map[string]string{
		`subscription { objectChanged(under: "/site") { key } }`:                    "NOT_FOUND",
		`subscription { objectChanged(after: "nonsense") { key } }`:                 "INVALID",
		`subscription { objectChanged(where: "relations.a == nil") { key } }`:       "INVALID",
		`subscription { objectChanged(where: "nothing of the kind here") { key } }`: "INVALID",
	} {
		m := follow(t, stranger, text, nil).read()
		var problems []struct{ Extensions struct{ Code string } }
		if err := json.Unmarshal(m.Payload, &problems); err != nil || m.Type != "error" || len(problems) == 0 || problems[0].Extensions.Code != code {
			t.Errorf("%s: got %s %s, want %s", text, m.Type, m.Payload, code)
		}
	}
}

// TestHistoryExamples runs every query of docs/history.md on the demonstration
// fleet and compares the answer with the one that stands there.
func TestHistoryExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/history.md")
	if err != nil {
		t.Fatal(err)
	}
	client, account := newAccount(t)
	loadDemo(t, client, account)
	found := example.FindAllStringSubmatch(string(text), -1)
	if len(found) < 2 {
		t.Fatalf("the page has %d examples, want 2", len(found))
	}
	for _, pair := range found {
		var want any
		if err := json.Unmarshal([]byte(pair[2]), &want); err != nil {
			t.Errorf("the answer is no JSON: %v\n%s", err, pair[2])
			continue
		}
		if diff := cmp.Diff(want, ask[any](t, client, pair[1], nil)); diff != "" {
			t.Errorf("%s\n(-page +answer)\n%s", pair[1], diff)
		}
	}
}
