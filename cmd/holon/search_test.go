package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

var ruleRow = regexp.MustCompile("(?m)^\\| `([^`]*)` \\|")

// TestSearchExamples runs every query and every rule of the documentation on the
// demonstration fleet. Queries must have the answers that stand there; rules must
// be true of the same objects in the database and here.
func TestSearchExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/search.md")
	if err != nil {
		t.Fatal(err)
	}
	client, account := newAccount(t)
	loadDemo(t, client, account)
	found := example.FindAllStringSubmatch(string(text), -1)
	if queries := strings.Count(string(text), "```graphql"); len(found) != queries || queries < 3 {
		t.Errorf("%d of %d queries have an answer", len(found), queries)
	}
	for _, pair := range found {
		var want any
		if err := json.Unmarshal([]byte(pair[2]), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, ask[any](t, client, pair[1], nil)); diff != "" {
			t.Errorf("%s\n(-documentation +answer)\n%s", pair[1], diff)
		}
	}
	rules := ruleRow.FindAllStringSubmatch(string(text), -1)
	if len(rules) < 15 {
		t.Fatalf("the documentation has %d rules", len(rules))
	}
	for _, row := range rules {
		if _, err := rule.Parse(row[1]); err != nil {
			t.Errorf("%s: %v", row[1], err)
			continue
		}
		got := ask[struct{ Search struct{ TotalCount int } }](t, client, `query($where: String!) { search(where: $where, first: 1) { totalCount } }`, map[string]any{"where": row[1]})
		if strings.Contains(row[1], "climate-") && got.Search.TotalCount == 0 {
			t.Errorf("%s finds nothing", row[1])
		}
	}
}

// TestSearchPages goes through a search by cursors, and holds lists with a rule
// to the search.
func TestSearchPages(t *testing.T) {
	t.Parallel()
	client, account := newAccount(t)
	loadDemo(t, client, account)
	type connection struct {
		Nodes    []struct{ Reference, Path string }
		PageInfo struct {
			HasNextPage bool
			EndCursor   string
		}
	}
	var all, paged []string
	for _, n := range ask[struct{ Search connection }](t, client, `{ search(orderBy: [{field: "kind", direction: DESC}, {field: "createdAt"}], first: 1000) { nodes { ... on Group { path } ... on Device { reference } ... on Asset { reference } } } }`, nil).Search.Nodes {
		all = append(all, n.Reference+n.Path)
	}
	after := any(nil)
	for {
		page := ask[struct{ Search connection }](t, client, `query($after: String) { search(orderBy: [{field: "kind", direction: DESC}, {field: "createdAt"}], first: 7, after: $after) {
			nodes { ... on Group { path } ... on Device { reference } ... on Asset { reference } } pageInfo { hasNextPage endCursor } } }`, map[string]any{"after": after}).Search
		for _, n := range page.Nodes {
			paged = append(paged, n.Reference+n.Path)
		}
		if !page.PageInfo.HasNextPage {
			break
		}
		after = page.PageInfo.EndCursor
	}
	if diff := cmp.Diff(all, paged); diff != "" || len(all) < 15 {
		t.Errorf("%d objects (-at once +by pages)\n%s", len(all), diff)
	}
	lists := ask[map[string]struct{ TotalCount int }](t, client, `{
		d: devices(where: "template == 'climate_sensor'") { totalCount }  a: assets(where: "attributes.floor != nil", under: "/location") { totalCount }
		g: groups(where: "depth == 1", orderBy: [{field: "name"}]) { totalCount }  ds: search(where: "kind == 'device' and template == 'climate_sensor'") { totalCount } }`, nil)
	if lists["d"].TotalCount == 0 || lists["d"] != lists["ds"] || lists["g"].TotalCount < 2 || lists["a"].TotalCount == 0 {
		t.Errorf("lists: %+v", lists)
	}
	members := ask[struct{ Group struct{ Members connection } }](t, client, `{ group(path: "/location/china") { members(deep: true, where: "reference contains 'beijing'", orderBy: [{field: "reference", direction: DESC}]) { nodes { ... on Device { reference } ... on Asset { reference } } } } }`, nil)
	if n := len(members.Group.Members.Nodes); n == 0 || !strings.HasPrefix(members.Group.Members.Nodes[0].Reference, "room-") {
		t.Errorf("members: %+v", members)
	}
	err := client.query(t.Context(), `{ devices(where: "state = 1") { totalCount } }`, nil, nil)
	if err == nil || !strings.HasPrefix(err.Error(), string(registry.CodeInvalid)) || !strings.Contains(err.Error(), "1:7") {
		t.Errorf("error = %v", err)
	}
}

// TestMatching changes and deletes what a search finds, with the token of a
// rehearsal; and counts ranges that variables name.
func TestMatching(t *testing.T) {
	t.Parallel()
	client, account := newAccount(t)
	loadDemo(t, client, account)
	type payload struct {
		Matched, Updated, Deleted int
		Token                     string
	}
	const update = `mutation($where: String!, $rehearse: Boolean!, $token: String) {
		updateMatching(input: {where: $where, patch: {attributes: {batteryV: 3.1}, description: "low"}, rehearse: $rehearse, token: $token}) { matched updated token } }`
	variables := map[string]any{"where": "kind == 'device' and reference contains 'denver'", "rehearse": true}
	rehearsed := ask[struct{ UpdateMatching payload }](t, client, update, variables).UpdateMatching
	variables["rehearse"], variables["token"] = false, rehearsed.Token
	done := ask[struct{ UpdateMatching payload }](t, client, update, variables).UpdateMatching
	if rehearsed.Matched != 2 || rehearsed.Updated != 0 || done.Matched != 2 || done.Updated != 2 {
		t.Errorf("rehearsed %+v, done %+v", rehearsed, done)
	}
	variables["where"] = "kind == 'device'"
	if err := client.query(t.Context(), update, variables, nil); err == nil || !strings.HasPrefix(err.Error(), string(registry.CodeInvalid)) {
		t.Errorf("a token of another search: %v", err)
	}
	type facet struct {
		Value    any
		From, To *float64
		Count    int
	}
	got := ask[struct {
		Search struct{ Low, One, Words []facet }
	}](t, client, `query($ranges: [FloatRangeInput!], $first: Int!) { search(kinds: [DEVICE]) {
		low: facets(field: "attributes.batteryV", ranges: $ranges) { from to count } one: facets(field: "attributes.batteryV", ranges: {from: 3.2}) { count } words: facets(field: "description", first: $first) { value count } } }`,
		map[string]any{"ranges": []any{map[string]any{"to": 3.2}, map[string]any{"from": 3.2, "to": 4}}, "first": 1}).Search
	if len(got.Low) != 2 || got.Low[0].Count != 2 || got.Low[1].Count != 2 || got.Low[0].From != nil || *got.Low[1].To != 4 || len(got.One) != 1 || got.One[0].Count != 2 || len(got.Words) != 1 || got.Words[0].Value != "low" {
		t.Errorf("facets: %+v", got)
	}
	deleted := ask[struct{ DeleteMatching payload }](t, client, `mutation { deleteMatching(input: {where: "description == 'low'"}) { matched deleted } }`, nil).DeleteMatching
	if left := ask[struct{ Devices struct{ TotalCount int } }](t, client, `{ devices { totalCount } }`, nil); deleted.Deleted != 2 || left.Devices.TotalCount != 2 {
		t.Errorf("deleted %+v, left %+v", deleted, left)
	}
	err := client.query(t.Context(), `mutation { deleteMatching(input: {kinds: [DEVICE]}) { deleted } }`, nil, nil)
	if err == nil || !strings.HasPrefix(err.Error(), string(registry.CodeInvalid)) {
		t.Errorf("without a criterion: %v", err)
	}
}
