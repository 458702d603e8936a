package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
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
