package ingest

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"

	"github.com/holon-registry/holon/internal/conns"
	"github.com/holon-registry/holon/registry"
)

// StreamConfig bounds what clients of [Streams] may send. Zero values take the
// defaults.
type StreamConfig struct {
	// MaxMessage is in bytes, 4 MiB by default, and MaxReadings 10,000: as a request
	// over HTTP.
	MaxMessage  int64
	MaxReadings int
	// Inflight is how many messages of one client are on their way to the queue at a
	// time, 100 by default, while as many wait, all of them at most twice MaxMessage
	// in bytes.
	Inflight int
	// MaxClients is 10,000 by default. A tenth of them may be such as have not said
	// yet who they are.
	MaxClients int
	// InitTimeout is how long a client may take to say who it is, PingEvery how often
	// it is asked whether it is still there, WriteTimeout how long it may take to
	// answer that, or to read what it is told: 10, 30 and 10 s by default.
	InitTimeout, PingEvery, WriteTimeout time.Duration
	// AllowedOrigins are those whose pages may connect, besides the server's own.
	AllowedOrigins []string
	// Downlink is what devices are told; nil lets nobody subscribe.
	Downlink Downlink
	// Presence is told of connections of devices; it may be nil.
	Presence Presence
	Logger   zerolog.Logger

	// pause is how long to wait after an error of the queue; tests wait less.
	pause func(error) time.Duration
	// room bounds the messages of all clients together that wait for the queue, in
	// bytes.
	room int64
}

func (c *StreamConfig) fill() {
	number := func(into *int, value int) {
		if *into == 0 {
			*into = value
		}
	}
	period := func(into *time.Duration, value time.Duration) {
		if *into == 0 {
			*into = value
		}
	}
	number(&c.MaxReadings, 10_000)
	number(&c.Inflight, 100)
	number(&c.MaxClients, 10_000)
	period(&c.InitTimeout, 10*time.Second)
	period(&c.PingEvery, 30*time.Second)
	period(&c.WriteTimeout, 10*time.Second)
	if c.MaxMessage == 0 {
		c.MaxMessage = 4 << 20
	}
	if c.room == 0 {
		c.room = 512 << 20
	}
	if c.pause == nil {
		c.pause = func(err error) time.Duration { return max(RetryAfter(err), time.Second) }
	}
}

const (
	sourceStream = "websocket"
	// messageBeforeKey bounds what a client may send before it has said who it is.
	messageBeforeKey = 16 << 10
)

// Streams serves GET /v1/stream: readings over WebSockets, and the way back. See
// docs/sources.md for the messages, and docs/adr/0031 for what they promise. It
// is an http.Handler.
type Streams struct {
	receiver *Receiver
	auth     Authenticator
	c        StreamConfig
	http     *httpHandler
	// downlinks are the connections that follow devices.
	downlinks downlinks
	// room is what the messages of all clients that wait may have, in bytes.
	room *semaphore.Weighted

	open conns.Set[*streamSession]

	mu      sync.Mutex
	byName  map[string]*streamSession // those that the client can resume
	unknown int                       // those of which nobody knows yet whose they are
}

// NewStreams makes a handler.
func NewStreams(receiver *Receiver, auth Authenticator, c StreamConfig) *Streams {
	c.fill()
	return &Streams{room: semaphore.NewWeighted(max(c.room, c.MaxMessage)),
		receiver: receiver, auth: auth, c: c, http: newHTTPHandler(receiver, auth, HTTPConfig{Logger: c.Logger}),
		byName: map[string]*streamSession{}}
}

// ServeHTTP implements http.Handler.
func (h *Streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		h.http.refuse(w, r, &httpRefusal{http.StatusUpgradeRequired, "this is a WebSocket"}, nil)
		return
	}
	name := r.URL.Query().Get("session")
	if !printable(name) {
		h.http.refuse(w, r, &httpRefusal{http.StatusBadRequest, "a session has at most 255 printable ASCII characters"}, nil)
		return
	}
	s := &streamSession{hub: h, messages: make(chan streamIn, h.c.Inflight)}
	// Browsers cannot set the header; then the key is the first message.
	secret, given := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if given {
		principal, err := h.auth.Authenticate(r.Context(), secret)
		if err != nil {
			h.http.refuse(w, r, err, nil)
			return
		}
		s.secret, s.owner = secret, principal
	}
	place := h.reserve(s)
	if place == nil {
		w.Header().Set("Retry-After", "5")
		write(w, http.StatusServiceUnavailable, httpAnswer{Code: string(registry.CodeLimitExceeded), Message: "no more connections are taken now"})
		return
	}
	defer place.Leave()
	defer h.release(s)
	// The library compares the origin with the host and the patterns, and answers
	// 403 itself.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: h.c.AllowedOrigins, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		h.c.Logger.Debug().Err(err).Msg("a WebSocket was refused")
		return
	}
	s.begin(conn)
	if place.Enter(s) {
		s.end(closeGoingAway)
	}
	s.serve(name)
}

// reserve takes a place for a connection that is about to be accepted, or returns
// nil. Those of which nobody knows whose they are have a bound of their own.
func (h *Streams) reserve(s *streamSession) *conns.Place[*streamSession] {
	h.mu.Lock()
	defer h.mu.Unlock()
	unknown := s.owner == nil
	if unknown && h.unknown >= max(h.c.MaxClients/10, 1) {
		return nil
	}
	place := h.open.Reserve(h.c.MaxClients)
	if place != nil && unknown {
		s.unknown = true
		h.unknown++
	}
	return place
}

// introduced notes that it is known whose a connection is.
func (h *Streams) introduced(s *streamSession) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forgetUnknown(s)
}

func (h *Streams) forgetUnknown(s *streamSession) {
	if s.unknown {
		s.unknown = false
		h.unknown--
	}
}

// take makes a connection the only one of its session here, and returns the one
// before it.
func (h *Streams) take(s *streamSession, field string) *streamSession {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.byName[field]
	h.byName[field], s.field = s, field
	return before
}

// release forgets what was noted of a connection that has ended.
func (h *Streams) release(s *streamSession) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forgetUnknown(s)
	if h.byName[s.field] == s {
		delete(h.byName, s.field)
	}
}

// Shutdown closes every connection with 1001 "going away", when what it had under
// way was answered, takes no new ones, and returns when all have ended or ctx has.
// http.Server.Shutdown does not know them, so both must be called.
func (h *Streams) Shutdown(ctx context.Context) error {
	return h.open.Shutdown(ctx, func(s *streamSession) { s.end(closeGoingAway) })
}

// Wake says that there is something for a device: a command, or what it is to
// become.
func (h *Streams) Wake(device registry.ID) { h.downlinks.tell(device) }

// printable says whether a name of the client's choice can be a key.
func printable(name string) bool {
	return len(name) <= maxIdempotencyKey && !strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c > '~' })
}

// kept are the kinds of messages that are kept and acknowledged.
var kept = []string{"readings", "raw", "reply"}

func isKept(what string) bool { return slices.Contains(kept, what) }
