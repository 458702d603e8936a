package gqlhttp_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/resolvers/gqlhttp"
	"github.com/holon-registry/holon/resolvers/gqlhttp/internal/testschema"
)

func TestPresenter(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gqlhttp.Config) { c.Limits.Timeout = 200 * time.Millisecond })
	tests := map[string]struct {
		query, message string
		extensions     map[string]any // without the id
		logged         bool           // the cause is in the log
	}{
		"an error of a driver": {`{fail(how: "driver")}`, "", map[string]any{"code": "INTERNAL"}, true},
		"a panic":              {`{fail(how: "panic")}`, "", map[string]any{"code": "INTERNAL"}, true},
		"a defect":             {`{fail(how: "internal")}`, "", map[string]any{"code": "INTERNAL"}, true},
		"wrapped":              {`{fail(how: "notFound")}`, `thing "x" does not exist`, map[string]any{"code": "NOT_FOUND"}, false},
		"violations": {`{fail(how: "invalid")}`, "attributes.colour: is required", map[string]any{
			"code": "INVALID", "field": "attributes.colour",
			"violations": []any{map[string]any{"path": "attributes.colour", "rule": "required", "message": "is required"}},
		}, false},
		"a store that is down":             {`{fail(how: "unavailable")}`, "the graph is unavailable, try again", map[string]any{"code": "UNAVAILABLE"}, true},
		"a store's deadline":               {`{fail(how: "deadline")}`, "the operation took longer than it may", map[string]any{"code": "LIMIT_EXCEEDED"}, false},
		"the timeout":                      {`{hang}`, "the operation took longer than 200ms", map[string]any{"code": "LIMIT_EXCEEDED"}, false},
		"the timeout, as a store tells it": {`{fail(how: "timeout")}`, "the operation took longer than 200ms", map[string]any{"code": "LIMIT_EXCEEDED"}, false},
		"a scalar that refuses": {`{even(number: 3)}`, "even.number: 3 is not even", map[string]any{
			"code": "INVALID", "field": "even.number",
			"violations": []any{map[string]any{"path": "even.number", "rule": "type", "message": "3 is not even"}},
		}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := len(s.log.String())
			a := s.ask(t, test.query)
			log := s.log.String()[before:]
			if len(a.Errors) != 1 || a.status != http.StatusOK {
				t.Fatalf("%d %s", a.status, a.raw)
			}
			e := a.Errors[0]
			if test.extensions["code"] == "INTERNAL" {
				id := fmt.Sprint(e.Extensions["id"])
				if len(id) != 36 || !strings.Contains(log, id) {
					t.Errorf("id %q is not in the log: %s", id, log)
				}
				delete(e.Extensions, "id")
				test.message = "something went wrong in the server; the log knows more under the id"
			}
			if diff := cmp.Diff(test.extensions, e.Extensions); diff != "" || e.Message != test.message {
				t.Errorf("message %q, extensions %s", e.Message, diff)
			}
			if len(e.Path) != 1 {
				t.Errorf("path %v", e.Path)
			}
			if strings.Contains(a.raw, testschema.Secret) {
				t.Errorf("the cause reached the caller: %s", a.raw)
			}
			if strings.Contains(log, testschema.Secret) != test.logged {
				t.Errorf("log: %s", log)
			}
			if name == "a panic" && !strings.Contains(log, "testschema/resolver.go") {
				t.Errorf("no stack in the log: %s", log)
			}
		})
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for query, want := range map[string]map[string]any{
		"{things(first: 3) {edges {node {name}}}}":  {"complexity": 10.0, "graphRoundTrips": 1.0, "cacheRoundTrips": 1.0},
		"{things(first: 30) {edges {node {name}}}}": {"complexity": 91.0, "graphRoundTrips": 1.0, "cacheRoundTrips": 1.0},
		"{nope}": {"complexity": 0.0, "graphRoundTrips": 0.0, "cacheRoundTrips": 1.0}, // the key was checked
	} {
		if diff := cmp.Diff(want, s.ask(t, query).Extensions["cost"]); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestLoadersAreOfOneRequest(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for range 2 {
		a := s.ask(t, "{things(first: 2) {edges {node {loads}}}}")
		if !strings.Contains(a.raw, `"loads":1`) || !strings.Contains(a.raw, `"loads":2`) {
			t.Errorf("the loader is not the one of this request: %s", a.raw)
		}
	}
}

func TestPersistedQueries(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	const query, hash = "{__typename}", "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"
	extensions := `"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "` + hash + `"}}`
	unknown := s.do(t, "POST", "", nil, "{"+extensions+"}")
	if diff := cmp.Diff([]string{"PERSISTED_QUERY_NOT_FOUND"}, unknown.codes()); diff != "" {
		t.Fatalf("%s\n%s", diff, unknown.raw)
	}
	// who has no key cannot fill the cache
	s.do(t, "POST", "", http.Header{"Authorization": nil}, `{"query": "`+query+`", `+extensions+"}")
	if a := s.do(t, "POST", "", nil, "{"+extensions+"}"); a.Data != nil {
		t.Errorf("kept without a key: %s", a.raw)
	}
	s.do(t, "POST", "", nil, `{"query": "`+query+`", `+extensions+"}")
	if a := s.do(t, "POST", "", nil, "{"+extensions+"}"); a.Data["__typename"] != "Query" {
		t.Errorf("not kept: %s", a.raw)
	}
}
