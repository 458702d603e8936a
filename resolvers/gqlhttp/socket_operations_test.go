package gqlhttp_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holon-registry/holon/resolvers/gqlhttp"
	"github.com/holon-registry/holon/resolvers/gqlhttp/internal/testschema"
)

func TestOperationsOnASocket(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gqlhttp.Config) { c.Limits.Timeout = 200 * time.Millisecond })
	errorOf := func(code, message string) string {
		return `{"id": "1", "type": "error", "payload": [{"message": "` + message + `", "extensions": {"code": "` + code + `"}}]}`
	}
	const done = `{"id": "1", "type": "complete"}`
	tests := map[string]struct {
		query string
		want  []string
	}{
		"query":          {`{echo(text: "hi")}`, []string{`{"id": "1", "type": "next", "payload": {"data": {"echo": "hi"}}}`, done}},
		"mutation":       {`mutation {bump}`, []string{`{"id": "1", "type": "next", "payload": {"data": {"bump": 1}}}`, done}},
		"subscription":   {`subscription {count(to: 2) {number}}`, []string{counted("1", "1"), counted("1", "2"), done}},
		"nothing to say": {`subscription {count(to: 0) {number}}`, []string{done}},
		"field error": {`{fail(how: "notFound")}`, []string{`{"id": "1", "type": "next", "payload": {
			"errors": [{"message": "thing \"x\" does not exist", "path": ["fail"], "locations": [{"line": 1, "column": 2}], "extensions": {"code": "NOT_FOUND"}}],
			"data": {"fail": null}}}`, done}},
		"timeout": {`{hang}`, []string{`{"id": "1", "type": "next", "payload": {
			"errors": [{"message": "the operation took longer than 200ms", "path": ["hang"], "locations": [{"line": 1, "column": 2}], "extensions": {"code": "LIMIT_EXCEEDED"}}],
			"data": {"hang": null}}}`, done}},
		"limit":         {deep(7), []string{errorOf("LIMIT_EXCEEDED", "fields nest at most 20 deep, not 22")}},
		"ends in error": {`subscription {count(to: 1, then: "error") {number}}`, []string{counted("1", "1"), errorOf("CURSOR_EXPIRED", "the cursor is too old")}},
		"refused": {`subscription {refused {number}}`, []string{`{"id": "1", "type": "error", "payload": [
			{"message": "this key may not subscribe", "path": ["refused"], "locations": [{"line": 1, "column": 15}], "extensions": {"code": "FORBIDDEN"}}]}`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := s.connect(t)
			c.send(subscribe("1", test.query))
			c.expect(test.want...)
			// nothing follows, and the id is free again
			c.send(`{"type": "ping", "payload": {"n": 1}}`, subscribe("1", "{__typename}"))
			c.expect(`{"type": "pong", "payload": {"n": 1}}`, `{"id": "1", "type": "next", "payload": {"data": {"__typename": "Query"}}}`, done)
		})
	}
}

func TestPanicInASubscription(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.connect(t)
	c.send(subscribe("1", `subscription {count(to: 1, then: "panic") {number}}`))
	c.expect(counted("1", "1"))
	m, err := c.read()
	if err != nil || m.Type != "error" {
		t.Fatalf("%v %v", m, err)
	}
	raw, _ := json.Marshal(m)
	if !strings.Contains(string(raw), `"INTERNAL"`) || strings.Contains(string(raw), testschema.Secret) {
		t.Errorf("%s", raw)
	}
	if log := s.log.String(); !strings.Contains(log, testschema.Secret) || !strings.Contains(log, "resolver.go") {
		t.Errorf("log: %s", log)
	}
	c.send(`{"type": "ping"}`)
	c.expect(`{"type": "pong"}`)
}

func TestLoadersAndCostAreOfOneEvent(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.connect(t)
	c.send(subscribe("1", `subscription {count(to: 3) {thing {loads things(first: 1) {edges {node {name}}}}}}`))
	for range 3 {
		_, raw, err := c.conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`"loads":1`, `"graphRoundTrips":1,"cacheRoundTrips":0`} {
			if !strings.Contains(string(raw), want) {
				t.Errorf("no %s in %s", want, raw)
			}
		}
	}
}

func TestCompleteEndsASubscription(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	s := start(t, func(c *gqlhttp.Config) {
		c.Limits.SocketOperations = 2
		c.Observe = func(name, kind string, _ time.Duration, code string) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, name+" "+kind+" "+code)
		}
	})
	c := s.connect(t)
	never := func(name string) string { return `subscription ` + name + ` {count(to: 1, then: "never") {number}}` }
	c.send(subscribe("1", never("A")))
	c.expect(counted("1", "1"))
	c.send(subscribe("2", never("B")))
	c.expect(counted("2", "1"))
	c.send(subscribe("3", never("C")))
	c.expect(`{"id": "3", "type": "error", "payload": [{"message": "a socket runs at most 2 operations at a time", "extensions": {"code": "LIMIT_EXCEEDED"}}]}`)

	c.send(`{"id": "1", "type": "complete"}`, `{"id": "unknown", "type": "complete"}`)
	eventually(t, "the goroutine ends", func() bool { return s.resolver.Ended.Load() == 1 })
	c.send(subscribe("1", never("D"))) // the id and the place are free
	c.expect(counted("1", "1"))

	_ = c.conn.CloseNow()
	eventually(t, "the others end with the socket", func() bool { return s.resolver.Ended.Load() == 3 })
	eventually(t, "all are observed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) == 3
	})
	mu.Lock()
	defer mu.Unlock()
	for _, line := range seen {
		if !strings.HasSuffix(line, " subscription OK") {
			t.Errorf("observed %q", line)
		}
	}
}
