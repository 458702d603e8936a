package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// socket is a client of graphql-transport-ws with one subscription.
type socket struct {
	t    *testing.T
	conn *websocket.Conn
}

type socketMessage struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

type twinChanged struct {
	Cursor string
	Twin   *struct{ Reference string }
	Values []struct {
		Measure string
		Value   any
	}
}

// follow opens a socket and subscribes.
func follow(t *testing.T, c apiClient, query string, variables map[string]any) *socket {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), strings.Replace(c.url, "http", "ws", 1)+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	if response.Body != nil {
		response.Body.Close()
	}
	s := &socket{t, conn}
	t.Cleanup(func() { conn.CloseNow() })
	s.send(socketMessage{Type: "connection_init"}, map[string]string{"Authorization": "Bearer " + c.key})
	if m := s.read(); m.Type != "connection_ack" {
		t.Fatalf("got %s, want connection_ack", m.Type)
	}
	s.send(socketMessage{ID: "1", Type: "subscribe"}, map[string]any{"query": query, "variables": variables})
	return s
}

func (s *socket) send(m socketMessage, payload any) {
	s.t.Helper()
	raw, err := json.Marshal(payload)
	if err != nil {
		s.t.Fatal(err)
	}
	m.Payload = raw
	if err := wsjson.Write(s.t.Context(), s.conn, m); err != nil {
		s.t.Fatal(err)
	}
}

// read returns the next message that is no ping.
func (s *socket) read() socketMessage {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	for {
		var m socketMessage
		if err := wsjson.Read(ctx, s.conn, &m); err != nil {
			s.t.Fatal(err)
		}
		if m.Type != "ping" {
			return m
		}
	}
}

// next returns the next change.
func (s *socket) next() twinChanged {
	s.t.Helper()
	m := s.read()
	var payload struct {
		Data   struct{ TwinChanged twinChanged }
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(m.Payload, &payload); err != nil || m.Type != "next" || len(payload.Errors) > 0 {
		s.t.Fatalf("got %s %s, want a change (%v)", m.Type, m.Payload, err)
	}
	return payload.Data.TwinChanged
}

const followQuery = `subscription($ids: [ID!], $under: String, $after: String) {
	twinChanged(ids: $ids, under: $under, after: $after) { cursor twin { reference } values { measure value } }
}`

func sendTemperature(t *testing.T, c apiClient, device string, value float64) {
	t.Helper()
	ask[any](t, c, `mutation($d: String!, $v: JSONObject!) { recordReadings(input: {readings: [{device: $d, values: $v}]}) { accepted } }`,
		map[string]any{"d": device, "v": map[string]any{"temperature": value}})
}

// TestTwinChanged follows a sub-tree, loses the connection, and goes on where
// it stopped.
func TestTwinChanged(t *testing.T) {
	t.Parallel()
	client, account := newAccount(t)
	loadDemo(t, client, account)

	chinese := follow(t, client, followQuery, map[string]any{"under": "/location/china"})
	everything := follow(t, client, followQuery, nil)
	time.Sleep(200 * time.Millisecond) // both are following
	sendTemperature(t, client, "climate-denver-1", 11.5)
	sendTemperature(t, client, "climate-beijing-1", 12.5)

	seen := map[string]bool{}
	var cursor string
	for len(seen) < 4 { // two devices, and the rooms that they are linked to
		change := everything.next()
		seen[change.Twin.Reference] = true
		cursor = change.Cursor
	}
	for range 2 {
		if change := chinese.next(); !strings.Contains(change.Twin.Reference, "beijing") || change.Values[0].Value != 12.5 {
			t.Errorf("under /location/china: %+v", change)
		}
	}

	everything.conn.CloseNow()
	for _, value := range []float64{1, 2, 3} {
		sendTemperature(t, client, "climate-denver-2", value)
	}
	resumed := follow(t, client, followQuery, map[string]any{"after": cursor})
	last := map[string]any{}
	for last["climate-denver-2"] != 3.0 || last["room-denver-2"] != 3.0 {
		change := resumed.next()
		last[change.Twin.Reference] = change.Values[0].Value
	}
	if len(last) != 2 {
		t.Errorf("after the cursor came %v, want the changes of climate-denver-2 and its room only", last)
	}
}

// TestTwinChangedRefusals refuses what cannot be followed.
func TestTwinChangedRefusals(t *testing.T) {
	t.Parallel()
	owner, account := newAccount(t)
	loadDemo(t, owner, account)
	stranger, _ := newAccount(t)
	id := thingsOf(t, owner).Device
	for name, test := range map[string]struct {
		client    apiClient
		variables map[string]any
		code      string
	}{
		"nonsense for a cursor": {owner, map[string]any{"after": "nonsense"}, "INVALID"},
		"an unknown group":      {owner, map[string]any{"under": "/nowhere"}, "NOT_FOUND"},
		"somebody else's group": {stranger, map[string]any{"under": "/location"}, "NOT_FOUND"},
		"a bound key":           {clientOf(t, account, "climate-denver-1"), nil, "FORBIDDEN"},
	} {
		m := follow(t, test.client, followQuery, test.variables).read()
		var problems []struct{ Extensions struct{ Code string } }
		if err := json.Unmarshal(m.Payload, &problems); err != nil || m.Type != "error" || len(problems) == 0 || problems[0].Extensions.Code != test.code {
			t.Errorf("%s: got %s %s, want the error %s", name, m.Type, m.Payload, test.code)
		}
	}
	// Ids of somebody else are like ids of nothing: no change ever comes.
	quiet := follow(t, stranger, followQuery, map[string]any{"ids": []string{id}})
	time.Sleep(200 * time.Millisecond)
	sendTemperature(t, owner, "climate-denver-1", 7)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for {
		var m socketMessage
		if err := wsjson.Read(ctx, quiet.conn, &m); err != nil {
			break
		}
		if m.Type != "ping" {
			t.Fatalf("a stranger saw %s %s", m.Type, m.Payload)
		}
	}
}
