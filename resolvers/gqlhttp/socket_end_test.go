package gqlhttp_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/holon-registry/holon/resolvers/gqlhttp"
)

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
