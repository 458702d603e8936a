package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// refusedWith is what an API says of what it refuses: the code and the violations'
// paths, and the first message of these.
type refusedWith struct {
	code, message string
	paths         []string
}

// refusal runs an operation with variables as they are written.
func refusal(t *testing.T, c apiClient, query, variables string) refusedWith {
	t.Helper()
	text, _ := json.Marshal(query) // a text
	if variables == "" {
		variables = "{}"
	}
	answer, err := c.post(t.Context(), "/graphql", "application/json", fmt.Appendf(nil, `{"query": %s, "variables": %s}`, text, variables))
	if err != nil {
		t.Fatal(err)
	}
	var response struct {
		Errors []struct {
			Message    string
			Extensions struct {
				Code       string
				Violations []struct{ Path, Message string }
			}
		}
	}
	if err := json.Unmarshal(answer, &response); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	var out refusedWith
	for _, e := range response.Errors {
		out.code, out.message = e.Extensions.Code, e.Message
		for _, v := range e.Extensions.Violations {
			out.paths = append(out.paths, v.Path)
			out.message += "; " + v.Message
		}
	}
	return out
}

func TestWholeNumbersAreNotRounded(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	const create = `mutation($in: CreateDeviceInput!) { createDevice(input: $in) { device { attributes } } }`
	got := refusal(t, c, create, `{"in": {"reference": "a", "attributes": {"n": 9223372036854775808, "list": [1, {"x": -9223372036854775809}]}}}`)
	if diff := cmp.Diff([]string{"attributes.list[1].x", "attributes.n"}, got.paths); diff != "" || got.code != "INVALID" || !strings.Contains(got.message, "9223372036854775808") {
		t.Errorf("%+v\n%s", got, diff)
	}
	got = refusal(t, c, `mutation { createDevice(input: {reference: "a", attributes: {n: 9223372036854775808}}) { device { id } } }`, "")
	if got.code != "GRAPHQL_VALIDATION_FAILED" {
		t.Errorf("in the text: %+v", got)
	}
	got = refusal(t, c, `mutation($in: CreateTemplateInput!) { createTemplate(input: $in) { template { id } } }`,
		`{"in": {"kind": "DEVICE", "name": "t", "properties": {"n": {"enum": [9007199254740993]}}}}`)
	if diff := cmp.Diff([]string{"properties.n.enum[0]"}, got.paths); diff != "" {
		t.Errorf("in a schema: %+v\n%s", got, diff)
	}
	// What others write without a point may be a fraction.
	if got := refusal(t, c, create, `{"in": {"reference": "a", "attributes": {"n": 100000000000000000000}}}`); got.code != "" {
		t.Errorf("%+v", got)
	}

	// Beside others, in lists and objects, they stay what they are.
	const attributes = `{"list":[9007199254740993,0.5],"mixed":[9007199254740993,"a"],"n":9223372036854775807,"o":{"deep":[-9223372036854775808,1.5]}}`
	if got := refusal(t, c, create, `{"in": {"reference": "b", "attributes": `+attributes+`}}`); got.code != "" {
		t.Errorf("%+v", got)
	}
	for _, question := range []string{`{ device(reference: "b") { attributes } }`, fmt.Sprintf(`{ device(reference: "b", asOf: %q) { attributes } }`, time.Now().UTC().Format(time.RFC3339Nano))} {
		if found := ask[struct {
			Device struct{ Attributes json.RawMessage }
		}](t, c, question, nil); string(found.Device.Attributes) != attributes {
			t.Errorf("%s: %s, want %s", question, found.Device.Attributes, attributes)
		}
	}
}

func TestNullsThatChangeNothing(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	if got := refusal(t, c, `mutation { createDevice(input: {reference: "a", description: "d", attributes: {x: 1, y: {z: 1}}}) { device { id } } createGroup(input: {name: "g"}) { group { id } } }`, ""); got.code != "" {
		t.Fatal(got)
	}
	const update = `mutation($in: UpdateDeviceInput!) { updateDevice(input: $in) { device { description attributes } } }`
	for name, q := range map[string]struct {
		query, variables string
		paths            []string
	}{
		"fields":           {update, `{"in": {"reference": "a", "template": null, "state": null, "ifVersion": null, "attributes": null}}`, []string{"input.attributes", "input.ifVersion", "input.state", "input.template"}},
		"parts":            {update, `{"in": {"reference": "a", "relations": {"add": null, "remove": [{"name": "x", "groups": null}]}}}`, []string{"input.relations.add", "input.relations.remove[0].groups"}},
		"in the text":      {`mutation { updateDevice(input: {reference: "a", profile: null}) { device { id } } }`, "", []string{"input.profile"}},
		"a variable":       {`mutation($v: String) { updateDevice(input: {reference: "a", template: $v}) { device { id } } }`, `{"v": null}`, []string{"input.template"}},
		"many":             {`mutation($in: UpdateDevicesInput!) { updateDevices(input: $in) { failed } }`, `{"in": {"devices": [{"reference": "a"}, {"reference": "b", "state": null}]}}`, []string{"input.devices[1].state"}},
		"a move":           {`mutation { moveGroup(input: {path: "/g", name: null}) { moved } }`, "", []string{"input.name"}},
		"absent":           {`mutation($v: String) { updateDevice(input: {reference: "a", template: $v}) { device { id } } }`, `{}`, nil},
		"what is not used": {update, `{"in": {"id": null, "reference": "a"}}`, nil},
		"what is cleared":  {update, `{"in": {"reference": "a", "description": null, "imageUrl": null, "attributes": {"x": null, "y": {"z": null}}}}`, nil},
	} {
		got := refusal(t, c, q.query, q.variables)
		slices.Sort(got.paths)
		if diff := cmp.Diff(q.paths, got.paths); diff != "" || (got.code == "INVALID") != (q.paths != nil) {
			t.Errorf("%s: %+v\n%s", name, got, diff)
		}
	}
}

func TestVariablesAreExplained(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	const create = `mutation($in: CreateTemplateInput!) { createTemplate(input: $in) { template { id } } }`
	for variables, says := range map[string]string{
		`{"in": {"kind": "DEVIC", "name": "t"}}`:                                                    `"DEVIC" is no Kind: there are GROUP, DEVICE, ASSET`,
		`{"in": {"kind": "DEVICE", "nam": "t"}}`:                                                    `CreateTemplateInput has no field "nam": there are alarms, annotations,`,
		`{"in": {"kind": "DEVICE", "name": "t", "relations": [{"naem": "at"}]}}`:                    `RelationRuleInput has no field "naem": there are direction, inherits, kind, name, templates`,
		`{"in": {"kind": "DEVICE", "name": "t", "relations": [{"name": "at", "direction": "UP"}]}}`: `"UP" is no Direction: there are OUT, IN`,
	} {
		if got := refusal(t, c, create, variables); got.code != "GRAPHQL_VALIDATION_FAILED" || !strings.Contains(got.message, says) {
			t.Errorf("%s: %+v, want %s", variables, got, says)
		}
	}
}
