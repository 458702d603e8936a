package main

import (
	"context"
	"strings"
	"time"
)

// loadFleet makes the templates, groups, policies, devices and assets of the
// demonstration. What is there from an earlier start stays.
func (d *demo) loadFleet(ctx context.Context) error {
	var found struct{ Policy *struct{ ID string } }
	if err := d.api.query(ctx, `{ policy(reference: "inspect-yearly") { id } }`, nil, &found); err != nil {
		return err
	}
	if found.Policy != nil { // it is made last
		return nil
	}
	for _, step := range []func(context.Context) error{d.makeTemplates, d.makeGroups, d.makeTwins, d.makePolicies} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// once runs a mutation whose object may be there already, from a start that was
// cut off.
func (d *demo) once(ctx context.Context, mutation string, variables map[string]any) error {
	err := d.api.query(ctx, mutation, variables, nil)
	if err != nil && strings.HasPrefix(err.Error(), "CONFLICT") {
		return nil
	}
	return err
}

func (d *demo) makeTemplates(ctx context.Context) error {
	for _, t := range []map[string]any{
		{"name": "temperature", "valueType": "NUMBER", "unit": "Cel"},
		{"name": "relative_humidity", "valueType": "NUMBER", "unit": "%"},
	} {
		if err := d.once(ctx, `mutation($input: CreateMeasureTypeInput!) { createMeasureType(input: $input) { measureType { id } } }`, map[string]any{"input": t}); err != nil {
			return err
		}
	}
	for _, t := range []map[string]any{
		{"kind": "GROUP", "name": "site", "publish": true, "description": "A place, from a continent to a floor",
			"properties": map[string]any{"timeZone": map[string]any{"type": "string"}}},
		{"kind": "GROUP", "name": "supplier", "publish": true, "description": "Somebody who supplies devices"},
		{"kind": "DEVICE", "name": "climate_sensor", "publish": true, "description": "Measures the climate of a room",
			"properties": map[string]any{
				"firmware": map[string]any{"type": "string", "pattern": `^[0-9]+\.[0-9]+$`},
				"batteryV": map[string]any{"type": "number", "minimum": 0, "maximum": 12},
			},
			"required": []string{"firmware"},
			"relations": []map[string]any{
				{"name": "located_at", "kind": "GROUP", "templates": []string{"site"}},
				{"name": "supplied_by", "kind": "GROUP", "templates": []string{"supplier"}},
			},
			"measures": []map[string]any{
				{"name": "temperature", "type": "temperature"},
				{"name": "humidity", "type": "relative_humidity"},
				{"name": "occupied", "type": "boolean"},
			}},
		{"kind": "ASSET", "name": "room", "publish": true, "description": "A room that people work in",
			"properties": map[string]any{"floor": map[string]any{"type": "integer"}},
			"relations":  []map[string]any{{"name": "located_at", "kind": "GROUP", "templates": []string{"site"}}},
			"measures": []map[string]any{
				{"name": "roomTemperature", "type": "temperature"},
				{"name": "roomHumidity", "type": "relative_humidity"},
			}},
	} {
		if err := d.once(ctx, `mutation($input: CreateTemplateInput!) { createTemplate(input: $input) { template { id } } }`, map[string]any{"input": t}); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) makeGroups(ctx context.Context) error {
	for _, group := range []struct{ parent, name, template string }{
		{"/", "location", "site"},
		{"/location", "usa", "site"}, {"/location/usa", "colorado", "site"}, {"/location/usa/colorado", "denver", "site"},
		{"/location", "china", "site"}, {"/location/china", "northern", "site"}, {"/location/china/northern", "beijing", "site"},
		{"/", "supplier", "supplier"}, {"/supplier", "supplier1", "supplier"}, {"/supplier", "supplier2", "supplier"},
	} {
		input := map[string]any{"parent": group.parent, "name": group.name, "template": group.template}
		if err := d.once(ctx, `mutation($input: CreateGroupInput!) { createGroup(input: $input) { group { id } } }`, map[string]any{"input": input}); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) makeTwins(ctx context.Context) error {
	since := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, device := range demoDevices {
		var relations []map[string]any
		for _, name := range []string{"located_at", "supplied_by"} {
			relations = append(relations, map[string]any{"name": name, "groups": device.groups[name]})
		}
		err := d.once(ctx, `mutation($input: CreateDeviceInput!) { createDevice(input: $input) { device { id } } }`, map[string]any{"input": map[string]any{
			"reference": device.reference, "template": "climate_sensor", "relations": relations,
			"attributes": map[string]any{"firmware": "1.4", "batteryV": 3.6},
		}})
		if err != nil {
			return err
		}
		err = d.once(ctx, `mutation($input: CreateAssetInput!) { createAsset(input: $input) { asset { id } } }`, map[string]any{"input": map[string]any{
			"reference": device.room, "template": "room", "relations": relations[:1], "attributes": map[string]any{"floor": i + 1},
		}})
		if err != nil {
			return err
		}
		err = d.api.query(ctx, `mutation($input: LinkDeviceInput!) { linkDevice(input: $input) { link { id } } }`, map[string]any{"input": map[string]any{
			"device": device.reference, "asset": device.room, "since": since,
			"measures": []map[string]any{
				{"device": "temperature", "asset": "roomTemperature"}, {"device": "humidity", "asset": "roomHumidity"},
			},
		}}, nil)
		if err != nil && !strings.HasPrefix(err.Error(), "FAILED_PRECONDITION") { // linked by a start that was cut off
			return err
		}
	}
	return nil
}

func (d *demo) makePolicies(ctx context.Context) error {
	for _, policy := range []map[string]any{
		{"reference": "keep-in-china", "type": "retention", "document": map[string]any{"region": "cn-north", "days": 180},
			"appliesTo": []string{"/location/china", "/supplier/supplier2"}},
		{"reference": "keep-one-year", "type": "retention", "document": map[string]any{"days": 365},
			"appliesTo": []string{"/location", "/supplier"}},
		{"reference": "inspect-yearly", "type": "maintenance", "document": map[string]any{"months": 12},
			"appliesTo": []string{"/location"}},
	} {
		if err := d.once(ctx, `mutation($input: CreatePolicyInput!) { createPolicy(input: $input) { policy { id } } }`, map[string]any{"input": policy}); err != nil {
			return err
		}
	}
	return nil
}
