package gqlhttp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
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

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}
