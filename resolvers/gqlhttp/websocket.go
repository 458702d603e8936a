package gqlhttp

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"

	"github.com/holon-registry/holon/registry"
)

// subprotocol is the only one that is served. The older graphql-ws is abandoned
// by its authors.
const subprotocol = "graphql-transport-ws"

// messageBeforeInit bounds what a socket without a key may send at once.
const messageBeforeInit = 16 << 10

// sockets is the WebSocket transport and the list of what is open.
type sockets struct {
	config    Config
	presenter presenter

	mu      sync.Mutex
	open    map[*socket]struct{}
	waiting int // accepted, not yet open
	closing bool
	ended   sync.WaitGroup
}

var _ graphql.Transport = (*sockets)(nil)

func newSockets(config Config, presenter presenter) *sockets {
	return &sockets{config: config, presenter: presenter, open: map[*socket]struct{}{}}
}

// Supports takes requests that ask for a WebSocket.
func (t *sockets) Supports(r *http.Request) bool { return isUpgrade(r) }

func isUpgrade(r *http.Request) bool {
	return slices.Contains(tokens(r.Header, "Upgrade"), "websocket")
}

// tokens returns the comma-separated values of a header in lower case.
func tokens(header http.Header, name string) (list []string) {
	for part := range strings.SplitSeq(strings.Join(header.Values(name), ","), ",") {
		list = append(list, strings.ToLower(strings.TrimSpace(part)))
	}
	return list
}

// Do accepts a socket and serves it until it is closed.
func (t *sockets) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	w.Header().Set("Content-Type", typeJSON)
	if !slices.Contains(tokens(r.Header, "Sec-WebSocket-Protocol"), subprotocol) {
		refuse(w, http.StatusBadRequest, invalid("the WebSocket subprotocol is %s", subprotocol))
		return
	}
	if !t.reserve() {
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, registry.LimitExceeded("no more sockets are taken now"))
		return
	}
	w.Header().Del("Content-Type")
	// the library compares the origin with the host and the patterns, and answers 403 itself
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:   []string{subprotocol},
		OriginPatterns: t.config.AllowedOrigins,
	})
	if err != nil {
		t.config.Logger.Debug().Err(err).Msg("websocket refused")
		t.release(nil)
		return
	}
	conn.SetReadLimit(messageBeforeInit)
	s := &socket{
		config: t.config, presenter: t.presenter, exec: exec, conn: conn, header: r.Header,
		active: map[string]*operation{},
	}
	closing := t.enter(s)
	defer t.release(s)
	// the server's base context, if it has one, ends sockets as Shutdown does
	stop := context.AfterFunc(r.Context(), s.goAway)
	defer stop()
	if closing {
		s.goAway()
	}
	s.serve(r.Context())
}

// reserve counts a socket that is about to be accepted.
func (t *sockets) reserve() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing || len(t.open)+t.waiting >= t.config.Limits.Sockets {
		return false
	}
	t.waiting++
	t.ended.Add(1)
	return true
}

// enter lists a socket, and tells whether Shutdown came in between.
func (t *sockets) enter(s *socket) (closing bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting--
	t.open[s] = struct{}{}
	return t.closing
}

// release forgets a socket, or one that was reserved and not accepted.
func (t *sockets) release(s *socket) {
	t.mu.Lock()
	if s == nil {
		t.waiting--
	}
	delete(t.open, s)
	t.mu.Unlock()
	t.ended.Done()
}

// shutdown closes all sockets and waits for them, as long as ctx allows.
func (t *sockets) shutdown(ctx context.Context) error {
	t.mu.Lock()
	t.closing = true
	for s := range t.open {
		go s.goAway()
	}
	t.mu.Unlock()
	done := make(chan struct{})
	go func() {
		t.ended.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ping keeps a socket known to be alive. The library's ping frames are answered
// by every client, browsers included, if it still reads.
func (s *socket) ping(ctx context.Context) {
	ticker := time.NewTicker(s.config.Limits.PingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		waiting, cancel := context.WithTimeout(ctx, s.config.Limits.WriteTimeout)
		err := s.conn.Ping(waiting)
		cancel()
		if err != nil {
			_ = s.conn.CloseNow()
			return
		}
	}
}
