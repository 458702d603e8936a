package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/holon-registry/holon/examples/internal/api"
)

// The names of the templates.
const (
	groupTemplate  = "room_climate_place"
	deviceTemplate = "room_climate_node"
	assetTemplate  = "room_climate_location"
)

// linkedSince lies before all data: it is the earliest time that Holon takes,
// so that files can be loaded in any order.
const linkedSince = "2000-01-01T00:00:00.000Z"

// thing is an object that is looked for, and made if it is not there.
type thing struct {
	name string
	// look is a query whose field is called found; null means that it is not there.
	look      string
	variables map[string]any
	make      string
	input     map[string]any
	// check says what is wrong with what was found; nil if anything is fine.
	check func(found json.RawMessage) error
}

// tally counts what a run made and what it found.
type tally struct{ made, there int }

// makeModel makes the templates, and a group, an asset, devices and links for
// each location in the readings. What is there already stays as it is.
func makeModel(ctx context.Context, client *api.Client, readings []reading) (tally, error) {
	nodes := map[string]map[int]bool{}
	for _, r := range readings {
		if nodes[r.Location] == nil {
			nodes[r.Location] = map[int]bool{}
		}
		nodes[r.Location][r.Node] = true
	}
	things := append(measureTypes(), templates()...)
	things = append(things, group("/", "location"))
	for _, location := range slices.Sorted(maps.Keys(nodes)) {
		things = append(things, group("/location", location), twin("asset", assetReference(location), location))
		for _, node := range slices.Sorted(maps.Keys(nodes[location])) {
			device := fmt.Sprintf("%s-%d", location, node)
			things = append(things, twin("device", device, location), link(device, location, node))
		}
	}
	var t tally
	for _, one := range things {
		made, err := one.ensure(ctx, client)
		if err != nil {
			return t, fmt.Errorf("%s: %w", one.name, err)
		}
		if made {
			t.made++
		} else {
			t.there++
		}
	}
	return t, nil
}

// ensure makes the thing unless it is there, and says whether it did.
func (t thing) ensure(ctx context.Context, client *api.Client) (bool, error) {
	var data struct{ Found json.RawMessage }
	if err := client.Query(ctx, t.look, t.variables, &data); err != nil {
		return false, err
	}
	if len(data.Found) == 0 || string(data.Found) == "null" {
		return true, client.Query(ctx, t.make, map[string]any{"input": t.input}, nil)
	}
	if t.check == nil {
		return false, nil
	}
	err := t.check(data.Found)
	if errors.Is(err, errNotYet) {
		return true, client.Query(ctx, t.make, map[string]any{"input": t.input}, nil)
	}
	return false, err
}

// errNotYet is what a check says when something was found, and still has to
// be made.
var errNotYet = errors.New("not yet made")

func measureTypes() []thing {
	var things []thing
	for _, m := range measures {
		if m.Unit == "" {
			continue // a built-in type
		}
		things = append(things, thing{
			name:      "measure type " + m.Type,
			look:      `query($name: String!) { found: measureType(name: $name) { name } }`,
			variables: map[string]any{"name": m.Type},
			make:      `mutation($input: CreateMeasureTypeInput!) { createMeasureType(input: $input) { measureType { id } } }`,
			input:     map[string]any{"name": m.Type, "valueType": "NUMBER", "unit": m.Unit},
		})
	}
	return things
}

func templates() []thing {
	var ofNode, ofLocation []map[string]any
	for _, m := range measures {
		ofNode = append(ofNode, map[string]any{"name": m.Name, "type": m.Type})
	}
	for node := 1; node <= nodesPerLocation; node++ {
		for _, m := range measures {
			ofLocation = append(ofLocation, map[string]any{"name": assetMeasure(node, m), "type": m.Type})
		}
	}
	locatedAt := []map[string]any{{"name": "located_at", "kind": "GROUP"}}
	var things []thing
	for _, input := range []map[string]any{
		{"kind": "GROUP", "name": groupTemplate, "description": "A place with sensor nodes"},
		{"kind": "DEVICE", "name": deviceTemplate, "description": "A room-climate sensor node", "measures": ofNode, "relations": locatedAt},
		{"kind": "ASSET", "name": assetTemplate, "description": "What the nodes of one place measure together", "measures": ofLocation, "relations": locatedAt},
	} {
		input["publish"] = true
		things = append(things, thing{
			name:      "template " + input["name"].(string),
			look:      `query($kind: Kind!, $name: String!) { found: template(kind: $kind, name: $name) { id } }`,
			variables: map[string]any{"kind": input["kind"], "name": input["name"]},
			make:      `mutation($input: CreateTemplateInput!) { createTemplate(input: $input) { template { id } } }`,
			input:     input,
		})
	}
	return things
}

func group(parent, name string) thing {
	path := parent + "/" + name
	if parent == "/" {
		path = "/" + name
	}
	return thing{
		name:      "group " + path,
		look:      `query($path: String!) { found: group(path: $path) { id } }`,
		variables: map[string]any{"path": path},
		make:      `mutation($input: CreateGroupInput!) { createGroup(input: $input) { group { id } } }`,
		input:     map[string]any{"parent": parent, "name": name, "template": groupTemplate},
	}
}

// twin is a device or an asset at a location.
func twin(kind, reference, location string) thing {
	title, template := "Device", deviceTemplate
	if kind == "asset" {
		title, template = "Asset", assetTemplate
	}
	return thing{
		name:      kind + " " + reference,
		look:      `query($reference: String!) { found: ` + kind + `(reference: $reference) { template { name } } }`,
		variables: map[string]any{"reference": reference},
		make:      `mutation($input: Create` + title + `Input!) { create` + title + `(input: $input) { ` + kind + ` { id } } }`,
		input: map[string]any{"reference": reference, "template": template,
			"relations": []map[string]any{{"name": "located_at", "groups": []string{"/location/" + location}}}},
		check: func(found json.RawMessage) error {
			var there struct{ Template struct{ Name string } }
			if err := json.Unmarshal(found, &there); err != nil {
				return err
			}
			if there.Template.Name != template {
				return fmt.Errorf("is there with the template %s, not %s", there.Template.Name, template)
			}
			return nil
		},
	}
}

// link maps each measure of a node to one of its location's asset.
func link(device, location string, node int) thing {
	var mapping []map[string]any
	for _, m := range measures {
		mapping = append(mapping, map[string]any{"device": m.Name, "asset": assetMeasure(node, m)})
	}
	asset := assetReference(location)
	return thing{
		name:      "link " + device + " to " + asset,
		look:      `query($reference: String!) { found: device(reference: $reference) { links(open: true) { asset { reference } measures { device asset } } } }`,
		variables: map[string]any{"reference": device},
		make:      `mutation($input: LinkDeviceInput!) { linkDevice(input: $input) { link { id } } }`,
		input:     map[string]any{"device": device, "asset": asset, "measures": mapping, "since": linkedSince},
		check: func(found json.RawMessage) error {
			var there struct {
				Links []struct {
					Asset    struct{ Reference string }
					Measures []struct{ Device, Asset string }
				}
			}
			if err := json.Unmarshal(found, &there); err != nil {
				return err
			}
			for _, l := range there.Links {
				if l.Asset.Reference == asset && len(l.Measures) == len(measures) {
					return nil
				}
			}
			return errNotYet
		},
	}
}

func assetReference(location string) string { return "location-" + location }

// assetMeasure is the name that a node's measure has on the asset: node1_temperature.
func assetMeasure(node int, m measure) string { return "node" + strconv.Itoa(node) + "_" + m.Name }
