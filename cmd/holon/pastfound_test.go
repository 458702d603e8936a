package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pastQuestions are asked before everything changes, and afterwards as of then.
// AT is where the moment goes.
var pastQuestions = map[string]string{
	"components":      `{ device(reference: "f" AT) { components { reference componentName componentOf { reference template { name } } } policyReferences } }`,
	"parts":           `{ asset(reference: "desk" AT) { partOf { reference parts { reference } } policyReferences } }`,
	"related":         `{ device(reference: "d" AT) { related { nodes { ... on Asset { reference } ... on Group { path } } totalCount edges { cursor name direction inherits } } } }`,
	"related by rule": `{ device(reference: "d" AT) { related(where: "kind == 'asset' and any(relations.in, .path == '/site/10') and reference matches '^ro'", first: 1) { totalCount edges { name } pageInfo { hasNextPage } } } }`,
	"last related":    `{ device(reference: "d" AT) { related(last: 1) { edges { name } pageInfo { hasPreviousPage } } relations(template: "OPEN") { name direction } } }`,
	"related of a group": `{ group(path: "/site/10" AT) { related(direction: IN, kind: DEVICE, template: "open", state: ACTIVE) { totalCount nodes { ... on Device { reference } } }
		relations(name: "located_at", template: "open") { name direction } } }`,
	"members": `{ group(path: "/site" AT) { members(deep: true, where: "not component", orderBy: [{field: "reference", direction: DESC}]) { nodes { ... on Device { reference } ... on Asset { reference } } totalCount }
		deep: members(deep: true) { totalCount } } }`,
	"rule":        `{ devices(where: "any(relations.located_at, any(.inverse.located_at, .reference == 'f')) or any(relations.near, .reference startsWith 'RO')" AT) { nodes { reference } totalCount } }`,
	"pattern":     `{ devices(where: "reference matches '^(e|f/)'" AT) { nodes { reference } totalCount } }`,
	"order":       `{ devices(orderBy: [{field: "attributes.size", direction: DESC}, {field: "createdAt"}], first: 3 AT) { edges { cursor node { reference } } pageInfo { hasNextPage hasPreviousPage } totalCount } }`,
	"backward":    `{ search(last: 2 AT) { nodes { __typename } pageInfo { hasNextPage hasPreviousPage } totalCount } }`,
	"mixed order": `{ search(orderBy: [{field: "name"}], last: 3, kinds: [GROUP, DEVICE] AT) { nodes { ... on Group { path } ... on Device { reference } } pageInfo { hasPreviousPage } } }`,
	"under":       `{ search(under: "/site", includeSelf: true, includeLinked: true, where: "updatedAt > '2001-01-01'" AT) { totalCount edges { cursor } nodes { ... on Group { path } ... on Device { reference } ... on Asset { reference } } } }`,
	"words":       `{ search(text: "stage pu" AT) { totalCount nodes { ... on Device { reference } } } }`,
	"facets": `{ search(under: "/site" AT) { totalCount kinds: facets(field: "kind") { value count } templates: facets(field: "template") { value count }
		sizes: facets(field: "attributes.size", ranges: [{to: 5}, {from: 5}]) { from to count } } }`,
	"facets of relations": `{ search(kinds: [DEVICE] AT) { places: facets(field: "groups.path") { value count } near: facets(field: "relations.near.inverse.part_in.reference", first: 1) { value count } in: facets(field: "relations.near.relations.in.path", first: 1) { value count } } }`,
	"profile":             `{ profile(kind: DEVICE, template: "pump", name: "STD" AT) { name attributes relations { name groups } version template { name version } } }`,
	"profiles":            `{ profiles(kind: DEVICE AT) { nodes { name attributes } totalCount } }`,
}

// TestAsOfFound searches in what was.
func TestAsOfFound(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	ask[any](t, client, `mutation {
		site: createGroup(input: {name: "site"}) { group { id } }
		ten: createGroup(input: {parent: "/site", name: "10"}) { group { id } }
		other: createGroup(input: {name: "other"}) { group { id } }
		flow: createMeasureType(input: {name: "flow", valueType: NUMBER}) { measureType { id } }
		table: createTemplate(input: {kind: ASSET, name: "desk", publish: true, measures: [{name: "flow", type: "flow"}]}) { template { id } }
		pump: createTemplate(input: {kind: DEVICE, name: "pump", publish: true, components: ["pump"], measures: [{name: "flow", type: "flow"}],
			properties: {size: {type: "number"}}, relations: [{name: "located_at", kind: GROUP}]}) { template { id } }
		room: createAsset(input: {reference: "room", relations: [{name: "in", groups: ["/site/10"]}]}) { asset { id } }
		d: createDevice(input: {reference: "d", relations: [{name: "located_at", groups: ["/site/10"]}, {name: "near", assets: ["room"]}]}) { device { id } }
		e: createDevice(input: {reference: "e"}) { device { id } }
		f: createDevice(input: {reference: "f", template: "pump", attributes: {size: 2.5}, description: "Two stage pump", relations: [{name: "located_at", groups: ["/site"]}]}) { device { id } }
		c: createComponent(input: {device: "f", component: {name: "valve", template: "pump", attributes: {size: 7}}}) { component { id } }
		desk: createAsset(input: {reference: "desk", template: "desk", partOf: "room"}) { asset { id } }
		g: createDevice(input: {reference: "g", template: "pump", attributes: {size: 3}}) { device { id } }
		link: linkDevice(input: {device: "g", asset: "desk"}) { link { id } }
		std: createProfile(input: {kind: DEVICE, template: "pump", name: "std", attributes: {size: 1}, relations: [{name: "located_at", groups: ["/site"]}]}) { profile { id } }
		big: createProfile(input: {kind: DEVICE, template: "pump", name: "big", attributes: {size: 9}}) { profile { id } }
		p: createPolicy(input: {reference: "p", type: "t", document: {}, appliesTo: ["/site/10"]}) { policy { id } }
	}`, nil)
	question := func(text, at string) string {
		if at != "" {
			at = `, asOf: "` + at + `"`
		}
		return strings.ReplaceAll(text, " AT)", at+")")
	}
	want := map[string]any{}
	for name, text := range pastQuestions {
		if name == "words" {
			continue // the index of words follows later
		}
		want[name] = ask[any](t, client, question(text, ""), nil)
	}
	want["words"] = map[string]any{"search": map[string]any{"totalCount": 1.0, "nodes": []any{map[string]any{"reference": "f"}}}}
	then := time.Now().UTC().Add(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
	time.Sleep(5 * time.Millisecond)
	ask[any](t, client, `mutation {
		move: moveGroup(input: {path: "/site/10", parent: "/other", name: "ten"}) { moved }
		r: unrelate(input: {from: {device: "d"}, relation: "located_at", to: {group: "/other/ten"}}) { from { ... on Device { id } } }
		near: unrelate(input: {from: {device: "d"}, relation: "near", to: {asset: "room"}}) { from { ... on Device { id } } }
		std: updateProfile(input: {kind: DEVICE, template: "pump", name: "std", attributes: {size: 3}}) { profile { id } }
		big: deleteProfile(input: {kind: DEVICE, template: "pump", name: "big"}) { deletedId }
		valve: updateDevice(input: {reference: "f/valve", attributes: {size: 1}}) { device { id } }
		desk: updateAsset(input: {reference: "desk", partOf: null}) { asset { id } }
		un: unlinkDevice(input: {device: "g", asset: "desk"}) { link { id } }
		pump: updateTemplate(input: {kind: DEVICE, name: "pump", properties: {size: {type: "number"}, more: {type: "string"}}}) { template { id } }
		published: publishTemplate(input: {kind: DEVICE, name: "pump"}) { template { id } }
		f: deleteDevice(input: {reference: "f"}) { deletedId }
		room: deleteAsset(input: {reference: "room"}) { deletedId }
		e: updateDevice(input: {reference: "e", template: "pump", attributes: {size: 100}}) { device { id } }
	}`, nil)
	for name, text := range pastQuestions {
		if diff := cmp.Diff(want[name], ask[any](t, client, question(text, then), nil)); diff != "" {
			t.Errorf("%s as of %s (-then +now):\n%s", name, then, diff)
		}
		if now := ask[any](t, client, question(text, ""), nil); name != "words" && cmp.Equal(want[name], now) {
			t.Errorf("%s is the same now: %v", name, now)
		}
	}
}
