package main

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBulkOverGraphQL makes, changes and deletes devices with components and
// relations, many in one request, and reads what they became.
func TestBulkOverGraphQL(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	ask[any](t, client, `mutation { createGroup(input: {name: "site"}) { group { id } } }`, nil)
	type bulk struct {
		Succeeded, Failed, Total int
		Results                  []struct {
			Index  int
			Key    string
			Object *struct {
				Version           int
				ExternalReference string
				Groups            []struct{ Path string }
				Components        []struct{ Reference, ComponentName string }
			}
			Error *struct {
				Code       string
				Violations []struct{ Path, Rule string }
			}
		}
	}
	const selection = `{ succeeded failed total results { index key object { ... on Device { version externalReference groups { path } components { reference componentName } } } error { code violations { path rule } } } }`
	made := ask[struct{ CreateDevices bulk }](t, client, `mutation ($devices: [CreateDeviceInput!]!) { createDevices(input: {devices: $devices}) `+selection+` }`, map[string]any{"devices": []any{
		map[string]any{"reference": "Rack", "externalReference": "urn:rack:1", "relations": []any{map[string]any{"name": "located_at", "groups": []any{"/site"}}}, "components": []any{map[string]any{"name": "fan"}, map[string]any{"name": "psu", "components": []any{map[string]any{"name": "fuse"}}}}},
		map[string]any{"reference": "lost", "relations": []any{map[string]any{"name": "located_at", "groups": []any{"/ghost"}, "devices": []any{"phantom"}}}},
		map[string]any{"reference": "fed", "relations": []any{map[string]any{"name": "feeds", "direction": "IN", "devices": []any{"rack"}}}},
	}}).CreateDevices
	if made.Succeeded != 2 || made.Failed != 1 || made.Total != 3 {
		t.Fatalf("made = %+v", made)
	}
	first, second := made.Results[0], made.Results[1]
	if first.Object == nil || first.Object.ExternalReference != "urn:rack:1" || len(first.Object.Groups) != 1 || len(first.Object.Components) != 2 || first.Object.Components[1].Reference != "Rack/psu" || first.Object.Components[1].ComponentName != "psu" {
		t.Errorf("first = %+v", first)
	}
	if second.Object != nil || second.Error == nil || second.Error.Code != "INVALID" || len(second.Error.Violations) != 2 {
		t.Errorf("second = %+v", second.Error)
	}
	updated := ask[struct{ UpdateDevices bulk }](t, client, `mutation { updateDevices(input: {devices: [
		{reference: "RACK", externalReference: null, connected: true, relations: {replace: [{kind: GROUP, relations: []}], add: [{name: "near", devices: ["fed"]}]}},
		{reference: "ghost", description: "x"}]}) { succeeded failed results { key error { code } } } }`, nil).UpdateDevices
	if updated.Succeeded != 1 || updated.Results[1].Key != "ghost" || updated.Results[1].Error.Code != "NOT_FOUND" {
		t.Errorf("updated = %+v", updated)
	}
	type end struct {
		Name, Direction string
		Node            struct{ Reference string }
	}
	read := ask[struct {
		Devices struct {
			Nodes []struct {
				Reference         string
				ExternalReference *string
				Connected         *bool
				ComponentOf       *struct{ Reference string }
				Related           struct {
					TotalCount int
					Edges      []end
				}
				Relations []struct{ Name string }
			}
		}
	}](t, client, `{ devices(references: ["rack/psu/FUSE", "Rack", "ghost"]) { nodes { reference externalReference connected componentOf { reference }
		related(kind: DEVICE, first: 1) { totalCount edges { name direction node { ... on Device { reference } } } } relations(direction: OUT, kind: DEVICE, template: "OPEN") { name } } } }`, nil).Devices.Nodes
	if len(read) != 2 || read[0].ComponentOf != nil || read[1].ComponentOf == nil || read[1].ComponentOf.Reference != "Rack/psu" {
		t.Fatalf("read = %+v", read)
	}
	if rack := read[0]; rack.ExternalReference != nil || rack.Connected == nil || !*rack.Connected || rack.Related.TotalCount != 2 || len(rack.Relations) != 2 {
		t.Errorf("rack = %+v", rack)
	}
	if diff := cmp.Diff([]end{{"feeds", "OUT", struct{ Reference string }{"fed"}}}, read[0].Related.Edges); diff != "" {
		t.Error(diff)
	}
	for i, want := range []bool{true, false} {
		changed := ask[struct{ Relate struct{ Changed bool } }](t, client, `mutation { relate(input: {from: {device: "fed"}, relation: "near", to: {group: "/site"}}) { changed } }`, nil).Relate.Changed
		if changed != want {
			t.Errorf("relate %d: changed = %v", i, changed)
		}
	}
	if n := ask[struct{ UnrelateAll struct{ Ended int } }](t, client, `mutation { unrelateAll(input: {from: {device: "rack"}, kind: DEVICE}) { ended } }`, nil).UnrelateAll.Ended; n != 2 {
		t.Errorf("%d relations ended, want 2", n)
	}
	if n := ask[struct {
		DeleteDevice struct{ DeletedComponents int }
	}](t, client, `mutation { deleteDevice(input: {reference: "rack"}) { deletedComponents } }`, nil).DeleteDevice.DeletedComponents; n != 3 {
		t.Errorf("%d components went, want 3", n)
	}
	deleted := ask[struct{ DeleteDevices bulk }](t, client, `mutation { deleteDevices(input: {references: ["fed", "rack"]}) `+selection+` }`, nil).DeleteDevices
	if deleted.Succeeded != 1 || deleted.Results[1].Error.Code != "NOT_FOUND" {
		t.Errorf("deleted = %+v", deleted)
	}
}

// TestPageOfWholesCostsWhatOneCosts: components, what they are of and relations
// take as many round trips for many devices as for one.
func TestPageOfWholesCostsWhatOneCosts(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	devices := make([]any, 20)
	for i := range devices {
		devices[i] = map[string]any{"reference": fmt.Sprint("d", i), "components": []any{map[string]any{"name": "c"}}}
	}
	ask[any](t, client, `mutation ($devices: [CreateDeviceInput!]!) { createDevices(input: {devices: $devices, atomic: true}) { total } }`, map[string]any{"devices": devices})
	trips := func(first int) int {
		t.Helper()
		return costOf(t, client, fmt.Sprintf(`{ devices(first: %d) { nodes { componentOf { reference } components { reference componentOf { id } } relations(kind: GROUP) { name } } } }`, first)).GraphRoundTrips
	}
	if one, many := trips(2), trips(40); many != one {
		t.Errorf("40 devices took %d round trips, 2 took %d", many, one)
	}
}
