package gqlhttp

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"

	"github.com/holon-registry/holon/internal/conns"
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
	open      conns.Set[*socket]
}

var _ graphql.Transport = (*sockets)(nil)

func newSockets(config Config, presenter presenter) *sockets {
	return &sockets{config: config, presenter: presenter}
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
	place := t.open.Reserve(t.config.Limits.Sockets)
	if place == nil {
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, registry.LimitExceeded("no more sockets are taken now"))
		return
	}
	defer place.Leave()
	w.Header().Del("Content-Type")
	// the library compares the origin with the host and the patterns, and answers 403 itself
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:   []string{subprotocol},
		OriginPatterns: t.config.AllowedOrigins,
	})
	if err != nil {
		t.config.Logger.Debug().Err(err).Msg("websocket refused")
		return
	}
	conn.SetReadLimit(messageBeforeInit)
	s := &socket{
		config: t.config, presenter: t.presenter, exec: exec, conn: conn, header: r.Header,
		active: map[string]*operation{},
	}
	closing := place.Enter(s)
	// the server's base context, if it has one, ends sockets as Shutdown does
	stop := context.AfterFunc(r.Context(), s.goAway)
	defer stop()
	if closing {
		s.goAway()
	}
	s.serve(r.Context())
}

// shutdown closes all sockets and waits for them, as long as ctx allows.
func (t *sockets) shutdown(ctx context.Context) error {
	return t.open.Shutdown(ctx, (*socket).goAway)
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
