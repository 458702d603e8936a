package main

import (
	"encoding/json"
	"fmt"
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
