package main

import (
	"encoding/json"
	"fmt"
	"testing"
)

type cost struct{ Complexity, GraphRoundTrips, CacheRoundTrips int }

// costOf runs a query and returns what it took: the least of some tries, since
// now and then one looks its key up again, or fills live state.
func costOf(t *testing.T, c apiClient, query string) cost {
	t.Helper()
	least := costOnce(t, c, query)
	for range 3 {
		again := costOnce(t, c, query)
		least.GraphRoundTrips = min(least.GraphRoundTrips, again.GraphRoundTrips)
		least.CacheRoundTrips = min(least.CacheRoundTrips, again.CacheRoundTrips)
	}
	return least
}

func costOnce(t *testing.T, c apiClient, query string) cost {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.post(t.Context(), "/graphql", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	var response struct {
		Errors     []struct{ Message string }
		Extensions struct{ Cost cost }
	}
	if err := json.Unmarshal(answer, &response); err != nil {
		t.Fatal(err)
	}
	if len(response.Errors) > 0 {
		t.Fatalf("%s\n%s", response.Errors[0].Message, query)
	}
	return response.Extensions.Cost
}

// TestRoundTrips holds the number of round trips to the depth of a request: it
// does not grow with the size of a page.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	made := map[string]bool{"/": true}
	const groups, devices = 10, 60
	for g := range groups {
		makePath(t, client, fmt.Sprintf("/site/%d/floor", g), made)
		ask[any](t, client, `mutation($r: String!, $g: [String!]!) { createPolicy(input: {reference: $r, type: "t", document: {}, appliesTo: $g}) { policy { id } } }`,
			map[string]any{"r": fmt.Sprintf("policy-%d", g), "g": []string{fmt.Sprintf("/site/%d", g)}})
	}
	for i := range devices {
		path := fmt.Sprintf("/site/%d/floor", i%groups)
		ask[any](t, client, `mutation($r: String!, $g: [String!]!) { createDevice(input: {reference: $r, relations: [{name: "located_at", groups: $g}]}) { device { id } } }`,
			map[string]any{"r": fmt.Sprintf("device-%03d", i), "g": []string{path}})
	}
	for name, test := range map[string]struct {
		query string
		// most is the largest number of round trips that is allowed, 0 for any.
		most int
		// varies says that several fields use one loader at the same time: whether
		// they share a round trip is then chance, also for a single object.
		varies bool
	}{
		"page of devices with everything": {query: `{ devices(first: %d) { edges { node {
			reference template { name } groups { path parent { path } ancestors { path } policies { reference } }
			policies { reference appliesTo { path } } policyReferences live { measure value } relations { name other { ... on Group { path } } } links { id } series { id } } } } }`, most: 14, varies: true},
		"page of devices with template, groups, policies, live state": {query: `{ devices(first: %d) { nodes { reference template { name } groups { path } policies { reference } live { value } } } }`, most: 5},
		"page of groups":  {query: `{ groups(under: "/site", first: %d) { nodes { path template { name } children(first: 5) { nodes { path policies { reference } } } } } }`},
		"members":         {query: `{ group(path: "/site") { members(deep: true, first: %d) { nodes { reference groups { path } policyReferences } } } }`},
		"nodes, backward": {query: `{ devices(last: %d) { nodes { groups { path } } } }`},
	} {
		t.Run(name, func(t *testing.T) {
			few, many := costOf(t, client, fmt.Sprintf(test.query, 5)), costOf(t, client, fmt.Sprintf(test.query, devices))
			if !test.varies && few.GraphRoundTrips != many.GraphRoundTrips || few.CacheRoundTrips != many.CacheRoundTrips {
				t.Errorf("5 objects took %+v, %d took %+v", few, devices, many)
			}
			if test.most > 0 && many.GraphRoundTrips > test.most {
				t.Errorf("took %d round trips to the graph, want at most %d", many.GraphRoundTrips, test.most)
			}
		})
	}
	for query, want := range map[string]int{
		`{ device(reference: "device-001") { reference template { name } groups { path } } }`:                             1,
		`{ device(reference: "device-001") { policies { reference } groups { path } } }`:                                  1,
		`{ group(path: "/site") { path children(first: 10) { nodes { path children(first: 10) { nodes { path } } } } } }`: 1,
	} {
		if got := costOf(t, client, query); got.GraphRoundTrips != want {
			t.Errorf("%s took %d round trips to the graph, want %d", query, got.GraphRoundTrips, want)
		}
	}
}
