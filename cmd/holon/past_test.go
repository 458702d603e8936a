package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestAsOf makes things, notes what they are, changes everything, and asks as of
// the moment before: the answer is the one that was given then.
func TestAsOf(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	ask[any](t, client, `mutation {
		site: createGroup(input: {name: "site"}) { group { id } }
		ten: createGroup(input: {parent: "/site", name: "10", attributes: {floors: 3}}) { group { id } }
		other: createGroup(input: {name: "other"}) { group { id } }
		room: createAsset(input: {reference: "room", relations: [{name: "in", groups: ["/site/10"]}]}) { asset { id } }
		d: createDevice(input: {reference: "d", description: "first", attributes: {colour: "red"}, relations: [{name: "located_at", groups: ["/site/10"]}, {name: "near", assets: ["room"]}]}) { device { id } }
		e: createDevice(input: {reference: "e"}) { device { id } }
		p: createPolicy(input: {reference: "p", type: "t", document: {a: 1}, appliesTo: ["/site/10"]}) { policy { id } }
		q: createPolicy(input: {reference: "q", type: "u", document: {}, appliesTo: ["/site"]}) { policy { id } }
	}`, nil)
	question := func(asOf string) string {
		arg := func(more string) string {
			switch {
			case asOf == "" && more == "":
				return ""
			case asOf == "":
				return "(" + more + ")"
			case more == "":
				return `(asOf: "` + asOf + `")`
			}
			return "(" + more + `, asOf: "` + asOf + `")`
		}
		return `{ device` + arg(`reference: "D"`) + ` { id reference description version updatedAt attributes template { name version }
				groups { path parent { path children { nodes { path attributes } totalCount } } ancestors { path } }
				relations { name direction other { ... on Asset { reference groups { path } } ... on Group { path members { nodes { ... on Device { reference } ... on Asset { reference } } totalCount } } } }
				policies { reference type document appliesTo { path depth } } policyReferences(type: "u") links { id }
				policyExplanation(policy: "p") { inherited groups { reached relation group { path } via { path } } } }
			devices` + arg(`under: "/site"`) + ` { nodes { reference policyReferences } totalCount }
			all: devices` + arg("") + ` { edges { cursor } totalCount pageInfo { hasNextPage } }
			one: devices` + arg("last: 1, state: ACTIVE") + ` { nodes { reference } pageInfo { hasPreviousPage } }
			assets` + arg("") + ` { nodes { reference state } totalCount }
			group` + arg(`path: "/site/10"`) + ` { id path attributes policyReferences children { totalCount } }
			groups` + arg("") + ` { nodes { path depth name } totalCount }
			ruled: devices` + arg(`where: "attributes.colour == 'red' and template == 'open'", under: "/site"`) + ` { nodes { reference } totalCount }
			asset` + arg(`reference: "room"`) + ` { reference relations { name direction } }
			policy` + arg(`reference: "p"`) + ` { document appliesTo { path } }
			policies` + arg(`type: "T"`) + ` { nodes { reference } totalCount }
			inheritedPolicies` + arg(`groups: ["/site/10"]`) + ` { reference } }`
	}
	want := ask[any](t, client, question(""), nil)
	moment := time.Now().UTC()
	time.Sleep(5 * time.Millisecond)
	between := moment.Add(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
	ask[any](t, client, `mutation {
		move: moveGroup(input: {path: "/site/10", parent: "/other", name: "ten"}) { moved }
		g: updateGroup(input: {path: "/other/ten", attributes: {floors: 4}}) { group { id } }
		d: updateDevice(input: {reference: "d", description: "second", attributes: {colour: null}}) { device { id } }
		r: unrelate(input: {from: {device: "d"}, relation: "located_at", to: {group: "/other/ten"}}) { from { ... on Device { id } } }
		p: updatePolicy(input: {reference: "p", type: "v", document: {b: 2}, appliesTo: ["/"]}) { policy { id } }
		q: deletePolicy(input: {reference: "q"}) { deletedId }
		room: deleteAsset(input: {reference: "room"}) { deletedId }
		del: deleteDevice(input: {reference: "d"}) { deletedId }
		ten: deleteGroup(input: {path: "/other/ten"}) { deletedId }
		again: createDevice(input: {reference: "d"}) { device { id } }
	}`, nil)
	if diff := cmp.Diff(want, ask[any](t, client, question(between), nil)); diff != "" {
		t.Errorf("as of %s (-then +now):\n%s", between, diff)
	}
	nothing := ask[struct {
		Device *struct{ ID string }
		Groups struct{ TotalCount int }
	}](t, client, `{ device(reference: "d", asOf: "2001-01-01T00:00:00.000Z") { id } groups(asOf: "2001-01-01T00:00:00.000Z") { totalCount } }`, nil)
	if nothing.Device != nil || nothing.Groups.TotalCount != 0 {
		t.Errorf("before the beginning there was %+v", nothing)
	}
	refused(t, client, "INVALID", fmt.Sprintf(`{ device(reference: "d", asOf: %q) { id } }`, moment.Add(time.Hour).Format(time.RFC3339)), nil)
	refused(t, client, "INVALID", fmt.Sprintf(`{ device(reference: "d", asOf: %q) { live { value } } }`, between), nil)
	refused(t, client, "INVALID", fmt.Sprintf(`{ devices(asOf: %q) { nodes { samples(measure: "t", from: "2001-01-01T00:00:00Z", to: "2002-01-01T00:00:00Z") { at } } } }`, between), nil)
}

// TestAsOfRoundTrips asks a page of ten and a page of a hundred as of a moment.
func TestAsOfRoundTrips(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	var devices []any
	for i := range 100 {
		devices = append(devices, map[string]any{"reference": fmt.Sprint("d", i), "relations": []any{map[string]any{"name": "located_at", "groups": []string{"/"}}}})
	}
	ask[any](t, client, `mutation($d: [CreateDeviceInput!]!) { createDevices(input: {devices: $d}) { succeeded } }`, map[string]any{"d": devices})
	time.Sleep(5 * time.Millisecond)
	trips := func(first int) int {
		return costOf(t, client, fmt.Sprintf(`{ devices(first: %d, asOf: %q) { nodes { reference template { name } groups { path ancestors { path } } relations { name other { ... on Group { path } } } policies { reference } changes(first: 1) { nodes { action after } } } } }`,
			first, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"))).GraphRoundTrips
	}
	if few, many := trips(10), trips(100); few != many || many > 15 {
		t.Errorf("%d round trips for ten, %d for a hundred", few, many)
	}
}
