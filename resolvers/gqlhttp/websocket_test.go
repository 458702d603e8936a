package gqlhttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/resolvers/gqlhttp"
	"github.com/holon-registry/holon/resolvers/gqlhttp/internal/testschema"
)

// client speaks graphql-transport-ws word by word.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

const initGood = `{"type": "connection_init", "payload": {"authorization": "Bearer ` + goodKey + `"}}`

// dial opens a socket that has sent nothing yet.
func (s server) dial(t *testing.T, header http.Header) client {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), s.url, &websocket.DialOptions{
		Subprotocols: []string{"graphql-transport-ws"}, HTTPHeader: header,
	})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(8 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return client{t, conn}
}

// connect opens a socket whose key was accepted.
func (s server) connect(t *testing.T) client {
	t.Helper()
	c := s.dial(t, nil)
	c.send(initGood)
	c.expect(`{"type": "connection_ack"}`)
	return c
}

func (c client) send(messages ...string) {
	c.t.Helper()
	for _, m := range messages {
		if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(m)); err != nil {
			c.t.Fatalf("send %s: %v", m, err)
		}
	}
}

type wire struct {
	ID, Type string
	Payload  any
}

func (c client) read() (wire, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	_, raw, err := c.conn.Read(ctx)
	if err != nil {
		return wire{}, err
	}
	var w wire
	if err := json.Unmarshal(raw, &w); err != nil {
		c.t.Fatalf("%s is no message: %v", raw, err)
	}
	if p, ok := w.Payload.(map[string]any); ok {
		delete(p, "extensions") // the cost has a test of its own
	}
	return w, nil
}

// expect reads exactly these messages.
func (c client) expect(messages ...string) {
	c.t.Helper()
	for _, m := range messages {
		var want wire
		if err := json.Unmarshal([]byte(m), &want); err != nil {
			c.t.Fatalf("%s: %v", m, err)
		}
		got, err := c.read()
		if err != nil {
			c.t.Fatalf("instead of %s: %v", m, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			c.t.Fatal(diff)
		}
	}
}

// expectClose reads until the socket is closed, and allows no message before.
func (c client) expectClose(code websocket.StatusCode) {
	c.t.Helper()
	m, err := c.read()
	if err == nil {
		c.t.Fatalf("%v instead of close %d", m, code)
	}
	if got := websocket.CloseStatus(err); got != code {
		c.t.Errorf("close %d, want %d: %v", got, code, err)
	}
}

func subscribe(id, query string) string {
	raw, _ := json.Marshal(map[string]any{"id": id, "type": "subscribe", "payload": map[string]string{"query": query}})
	return string(raw)
}

func counted(id string, n string) string {
	return `{"id": "` + id + `", "type": "next", "payload": {"data": {"count": {"number": ` + n + `}}}}`
}

func TestCloseCodes(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gqlhttp.Config) {
		c.Limits.InitTimeout = 500 * time.Millisecond
		c.Limits.BodyBytes = 20_000
	})
	never := subscribe("1", `subscription {count(to: 0, then: "never") {number}}`)
	tests := map[string]struct {
		send []string
		code websocket.StatusCode
	}{
		"no init":                         {nil, 4408},
		"ping is no init":                 {[]string{`{"type": "pong"}`}, 4408},
		"no JSON":                         {[]string{`hello`}, 4400},
		"no JSON after init":              {[]string{initGood, `{`}, 4400},
		"no object":                       {[]string{`[]`}, 4400},
		"no type":                         {[]string{`{}`}, 4400},
		"unknown type":                    {[]string{initGood, `{"type": "start"}`}, 4400},
		"message of a server":             {[]string{initGood, `{"type": "next", "id": "1"}`}, 4400},
		"payload of init no object":       {[]string{`{"type": "connection_init", "payload": "x"}`}, 4400},
		"payload of ping no object":       {[]string{`{"type": "ping", "payload": [1]}`}, 4400},
		"subscribe without id":            {[]string{initGood, `{"type": "subscribe", "payload": {"query": "{a}"}}`}, 4400},
		"subscribe with an empty id":      {[]string{initGood, subscribe("", "{a}")}, 4400},
		"subscribe with a number as id":   {[]string{initGood, `{"type": "subscribe", "id": 1, "payload": {"query": "{a}"}}`}, 4400},
		"subscribe without payload":       {[]string{initGood, `{"type": "subscribe", "id": "1"}`}, 4400},
		"subscribe without query":         {[]string{initGood, `{"type": "subscribe", "id": "1", "payload": {}}`}, 4400},
		"subscribe with variables a list": {[]string{initGood, `{"type": "subscribe", "id": "1", "payload": {"query": "{a}", "variables": []}}`}, 4400},
		"complete without id":             {[]string{initGood, `{"type": "complete"}`}, 4400},
		"subscribe before init":           {[]string{never}, 4401},
		"no key":                          {[]string{`{"type": "connection_init"}`}, 4403},
		"wrong key":                       {[]string{`{"type": "connection_init", "payload": {"Authorization": "Bearer hk_wrong"}}`}, 4403},
		"key that is forbidden":           {[]string{`{"type": "connection_init", "payload": {"Authorization": "Bearer hk_forbidden"}}`}, 4403},
		"keys cannot be read":             {[]string{`{"type": "connection_init", "payload": {"Authorization": "Bearer hk_down"}}`}, websocket.StatusTryAgainLater},
		"keys fail":                       {[]string{`{"type": "connection_init", "payload": {"Authorization": "Bearer hk_broken"}}`}, websocket.StatusInternalError},
		"same id twice":                   {[]string{initGood, never, never}, 4409},
		"long id twice":                   {[]string{initGood, strings.Replace(never, `"1"`, `"`+strings.Repeat("é", 200)+`"`, 1), strings.Replace(never, `"1"`, `"`+strings.Repeat("é", 200)+`"`, 1)}, 4409},
		"init twice":                      {[]string{initGood, initGood}, 4429},
		"too large":                       {[]string{initGood, subscribe("1", strings.Repeat(" ", 21_000))}, websocket.StatusMessageTooBig},
		"too large before init":           {[]string{subscribe("1", strings.Repeat(" ", 17_000))}, websocket.StatusMessageTooBig},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.dial(t, nil)
			c.send(test.send...)
			if len(test.send) > 1 && test.send[0] == initGood {
				c.expect(`{"type": "connection_ack"}`)
			}
			c.expectClose(test.code)
		})
	}
	t.Run("binary", func(t *testing.T) {
		t.Parallel()
		c := s.dial(t, nil)
		if err := c.conn.Write(t.Context(), websocket.MessageBinary, []byte(initGood)); err != nil {
			t.Fatal(err)
		}
		c.expectClose(4400)
	})
}

func TestKeyOfTheUpgrade(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.dial(t, http.Header{"Authorization": {"Bearer " + goodKey}})
	c.send(`{"type": "connection_init"}`)
	c.expect(`{"type": "connection_ack"}`)

	c = s.dial(t, http.Header{"Authorization": {"Bearer " + goodKey}})
	c.send(`{"type": "connection_init", "payload": {"AUTHORIZATION": "Bearer hk_wrong"}}`)
	c.expectClose(4403)
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gqlhttp.Config) { c.AllowedOrigins = []string{"https://app.example.org"} })
	for name, test := range map[string]struct {
		protocols []string
		origin    string
		status    int
	}{
		"no subprotocol":  {nil, "", 400},
		"the older one":   {[]string{"graphql-ws"}, "", 400},
		"foreign origin":  {[]string{"graphql-transport-ws"}, "https://evil.org", 403},
		"no origin":       {[]string{"graphql-transport-ws"}, "null", 403},
		"allowed origin":  {[]string{"graphql-transport-ws"}, "https://app.example.org", 101},
		"own host":        {[]string{"graphql-ws", "graphql-transport-ws"}, s.url, 101},
		"other transport": {[]string{"graphql-transport-ws"}, "http://app.example.org", 403},
	} {
		header := http.Header{}
		if test.origin != "" {
			header.Set("Origin", test.origin)
		}
		conn, resp, err := websocket.Dial(t.Context(), s.url, &websocket.DialOptions{Subprotocols: test.protocols, HTTPHeader: header})
		if resp == nil || resp.StatusCode != test.status {
			t.Fatalf("%s: %v %v", name, resp, err)
		}
		if err == nil {
			if conn.Subprotocol() != "graphql-transport-ws" {
				t.Errorf("%s: subprotocol %q", name, conn.Subprotocol())
			}
			_ = conn.Close(websocket.StatusNormalClosure, "")
		}
	}
}

func TestNumberOfSockets(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gqlhttp.Config) { c.Limits.Sockets = 2 })
	for range 3 { // what was refused is not counted
		if conn, _, err := websocket.Dial(t.Context(), s.url, nil); err == nil {
			t.Fatalf("subprotocol %q", conn.Subprotocol())
		}
	}
	first := s.connect(t)
	second := s.connect(t)
	_, resp, err := websocket.Dial(t.Context(), s.url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a third socket: %v", err)
	}
	_ = first.conn.Close(websocket.StatusNormalClosure, "")
	eventually(t, "a socket is free again", func() bool {
		conn, _, err := websocket.Dial(t.Context(), s.url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
		if err == nil {
			_ = conn.CloseNow()
		}
		return err == nil
	})
	second.send(`{"type": "ping"}`)
	second.expect(`{"type": "pong"}`)
}

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

// A client that reads nothing is cut off, and others are served meanwhile.
func TestStuckReader(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gqlhttp.Config) { c.Limits.WriteTimeout = 500 * time.Millisecond })
	stuck := s.connect(t)
	stuck.send(subscribe("1", `subscription {flood {text}}`))
	eventually(t, "the flood begins", func() bool { return s.resolver.Started.Load() == 1 })
	other := s.connect(t)
	other.send(subscribe("1", `subscription {count(to: 1) {number}}`))
	other.expect(counted("1", "1"), `{"id": "1", "type": "complete"}`)
	eventually(t, "the stuck client's subscription ends", func() bool { return s.resolver.Ended.Load() == 2 })
}

// A client whose machine has gone sends nothing, not even a close.
func TestSilentClient(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gqlhttp.Config) {
		c.Limits.PingInterval = 100 * time.Millisecond
		c.Limits.WriteTimeout = 200 * time.Millisecond
	})
	alive := s.connect(t)
	alive.send(subscribe("1", `subscription {count(to: 1, then: "never") {number}}`))
	alive.expect(counted("1", "1"))
	ended := make(chan error, 1)
	go func() {
		_, _, err := alive.conn.Read(t.Context()) // answers pings
		ended <- err
	}()

	gone := s.connect(t)
	gone.send(subscribe("1", `subscription {count(to: 1, then: "never") {number}}`))
	gone.expect(counted("1", "1")) // and reads no more
	eventually(t, "the silent one is cut off", func() bool { return s.resolver.Ended.Load() == 1 })
	select {
	case err := <-ended:
		t.Errorf("the one that answers pings was cut off: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	c := s.connect(t)
	c.send(subscribe("1", `subscription {count(to: 1, then: "never") {number}}`))
	c.expect(counted("1", "1"))
	idle := s.dial(t, nil)

	closed := make(chan error, 1)
	go func() { closed <- s.Shutdown(t.Context()) }()
	c.expectClose(websocket.StatusGoingAway)
	idle.expectClose(websocket.StatusGoingAway)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if s.resolver.Ended.Load() != 1 {
		t.Error("Shutdown did not wait for the subscription")
	}
	_, resp, err := websocket.Dial(t.Context(), s.url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a socket after Shutdown: %v", err)
	}
	if a := s.ask(t, "{__typename}"); a.status != 200 {
		t.Errorf("HTTP is not Shutdown's: %d", a.status)
	}
}

// The contexts of a server that is given up end sockets as Shutdown does.
func TestBaseContext(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	base, cancel := context.WithCancel(t.Context())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: s, ReadHeaderTimeout: time.Second, BaseContext: func(net.Listener) context.Context { return base }}
	go func() {
		if err := h.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	}()
	defer h.Close()
	s.url = "http://" + listener.Addr().String()
	c := s.connect(t)
	cancel()
	c.expectClose(websocket.StatusGoingAway)
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}
