package gqlhttp_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/holon-registry/holon/resolvers/gqlhttp"
)

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
