package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

// closure says with which code and reason a connection is closed: those that the
// subscriptions of GraphQL use, where there is such a one.
type closure struct {
	code   websocket.StatusCode
	reason string
}

var (
	closeGoingAway = closure{websocket.StatusGoingAway, "Going away"}
	closeGone      = closure{websocket.StatusNormalClosure, ""}
	closeNoKey     = closure{4401, "Unauthorized"}
	closeForbidden = closure{4403, "Forbidden"}
	closeLate      = closure{4408, "Connection initialisation timeout"}
	closeTaken     = closure{4409, "Another connection has taken the session over"}
	closeBinary    = closure{websocket.StatusUnsupportedData, "Messages are text"}
	closeTooBig    = closure{websocket.StatusMessageTooBig, "Message too big"}
	closeTryAgain  = closure{websocket.StatusTryAgainLater, "Try again later"}
)

// closeInvalid is for a message that cannot be answered by its seq.
func closeInvalid(what string) *closure { return &closure{4400, shorten(what, 120)} }

// streamSession is one connection. One goroutine reads, one takes what was read,
// in order, and answers.
type streamSession struct {
	hub    *Streams
	conn   *websocket.Conn
	secret string
	// owner is whose key it was when the client came.
	owner *registry.Principal
	// unknown says that this is counted as a connection that has no owner yet.
	unknown bool
	// field is under which the session is known, empty if it cannot be resumed, and
	// memory what is known of it.
	field  string
	memory *streamMemory
	// acked is up to where the client was told that all is answered.
	acked int64
	// messages wait to be taken; pending are their bytes, and freed has a value when
	// there may be room for more.
	messages chan streamIn
	pending  atomic.Int64
	freed    chan struct{}
	// stalled says that nothing is read just now, heard when something was.
	stalled atomic.Bool
	heard   atomic.Int64

	// ended is closed when the connection is to end, taken when nothing more is taken.
	ended, taken chan struct{}
	ending       sync.Once
	why          closure
	work         sync.WaitGroup
	// down sends the client what there is for its devices.
	down      *downlink
	following sync.Once
}

func (s *streamSession) begin(conn *websocket.Conn) {
	s.conn = conn
	s.ended, s.taken, s.freed = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	s.down = s.hub.downlinks.open(s.hub.c.Downlink, s, s.principal, s.ended, s.hub.c.Logger)
	conn.SetReadLimit(messageBeforeKey)
}

// end ends the connection: what was read is taken first. The first reason wins.
func (s *streamSession) end(c closure) {
	s.ending.Do(func() {
		s.why = c
		close(s.ended)
	})
}

// closed implements downLine.
func (s *streamSession) closed() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// serve serves the connection until it is closed, and returns when all that
// belongs to it has ended.
func (s *streamSession) serve(name string) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		<-s.ended
		<-s.taken
		s.hangUp()
	}()
	if c := s.welcome(name); c != nil {
		s.end(*c)
		close(s.taken)
	} else {
		s.work.Go(s.run)
		s.work.Go(s.ping)
		if device := deviceSession(s.owner); device != nil && s.hub.c.Presence != nil {
			s.work.Go(func() { tellPresence(s.hub.c.Presence, *device, s.ended, s.hub.c.Logger) })
		}
		s.read()
	}
	<-closed
	s.work.Wait()
	s.down.close()
	s.hub.room.Release(s.pending.Swap(0)) // of what was read and not taken any more
}

// hangUp tells why the connection ends, if the client is still there.
func (s *streamSession) hangUp() { _ = s.conn.Close(s.why.code, s.why.reason) }

// welcome finds out who connects, takes up the session, and says from where on.
func (s *streamSession) welcome(name string) *closure {
	if s.owner == nil {
		if c := s.introduce(); c != nil {
			return c
		}
		s.hub.introduced(s)
	}
	s.conn.SetReadLimit(s.hub.c.MaxMessage)
	s.memory = &streamMemory{queue: s.hub.receiver.queue, most: s.hub.c.Inflight, prefix: digest(uuid.NewString())[:32]}
	if name != "" {
		field := digest(string(s.owner.Account), string(s.owner.Key.ID), "stream", name)
		s.memory.field = field
		if before := s.hub.take(s, field); before != nil {
			before.end(closeTaken)
			select { // so that what it had under way is known
			case <-before.taken:
			case <-time.After(s.hub.c.InitTimeout):
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), s.hub.c.InitTimeout)
		defer cancel()
		if err := s.memory.load(ctx); err != nil {
			s.hub.c.Logger.Warn().Err(err).Msg("a session of a WebSocket could not be looked up")
			return &closeTryAgain
		}
	}
	s.acked = s.memory.last
	if !s.send(streamOut{Resume: &s.acked, Refused: s.memory.allRefused()}) {
		return &closeGone
	}
	return nil
}

// introduce waits for the key.
func (s *streamSession) introduce() *closure {
	read := make(chan struct{})
	s.work.Go(func() {
		select {
		case <-read:
			return
		case <-s.ended:
		case <-time.After(s.hub.c.InitTimeout):
			s.end(closeLate)
		}
		s.hangUp() // which ends the reading
	})
	defer close(read)
	kind, data, err := s.conn.Read(context.Background())
	if err != nil {
		return &closeGone
	}
	if kind != websocket.MessageText {
		return &closeBinary
	}
	m, err := parseStream(data)
	if err != nil {
		return closeInvalid(err.Error())
	}
	var value string
	if m.what != "authorization" || json.Unmarshal(m.body, &value) != nil {
		return &closeNoKey
	}
	secret, ok := strings.CutPrefix(value, "Bearer ")
	if !ok {
		return &closeNoKey
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.hub.c.InitTimeout)
	defer cancel()
	s.secret = secret
	if s.owner, err = s.principal(ctx); err != nil {
		return s.keyRefused(err)
	}
	return nil
}

// principal is whose connection it is. It is asked each time, and cached: a key
// that was deleted ends there.
func (s *streamSession) principal(ctx context.Context) (*registry.Principal, error) {
	return s.hub.auth.Authenticate(ctx, s.secret)
}

// keyRefused chooses how to end for a key that was not accepted: 4403 is final
// for clients, 1013 asks them to try again.
func (s *streamSession) keyRefused(err error) *closure {
	switch registry.CodeOf(err) {
	case registry.CodeUnauthenticated, registry.CodeForbidden:
		return &closeForbidden
	}
	s.hub.c.Logger.Warn().Err(err).Msg("the key of a WebSocket's client could not be looked up")
	return &closeTryAgain
}

// read reads until the connection is closed, or what was read is no message.
func (s *streamSession) read() {
	for {
		kind, data, err := s.listen()
		switch {
		case errors.Is(err, websocket.ErrMessageTooBig):
			s.end(closeTooBig)
			return
		case err != nil:
			s.end(closeGone)
			return
		case kind != websocket.MessageText:
			s.end(closeBinary)
			return
		}
		m, err := parseStream(data)
		if err != nil {
			s.end(*closeInvalid(err.Error()))
			return
		}
		m.at = time.Now()
		switch m.what {
		case "authorization":
			s.end(*closeInvalid("The key is the first message, and there is one already"))
			return
		case "subscribe", "unsubscribe":
			s.subscribe(m)
		default:
			if !s.put(m) {
				return
			}
		}
	}
}

// listen reads a message.
func (s *streamSession) listen() (websocket.MessageType, []byte, error) {
	// Not bound to a context, which would break the connection without a close code.
	kind, from, err := s.conn.Reader(context.Background())
	s.heard.Store(time.Now().UnixNano())
	if err != nil {
		return 0, nil, err
	}
	data, err := io.ReadAll(&heardReader{from, &s.heard})
	return kind, data, err
}

// heardReader notes whenever some of a message has come. On a slow line a large
// one takes minutes, and no pong comes in the middle of it.
type heardReader struct {
	from  io.Reader
	heard *atomic.Int64
}

// Read implements io.Reader. The library returns when all that it was asked for is
// there, so it is asked for little.
func (r *heardReader) Read(into []byte) (int, error) {
	n, err := r.from.Read(into[:min(len(into), 4<<10)])
	r.heard.Store(time.Now().UnixNano())
	return n, err
}

// put hands a message over, when there is room: until then nothing more is read,
// which slows the client down.
func (s *streamSession) put(m streamIn) bool {
	s.stalled.Store(true)
	defer s.stalled.Store(false)
	for n := s.pending.Load(); n > 0 && n+m.size > 2*s.hub.c.MaxMessage; n = s.pending.Load() {
		select {
		case <-s.freed:
		case <-s.ended:
			return false
		}
	}
	if !s.findRoom(m.size) {
		return false
	}
	s.pending.Add(m.size)
	select {
	case s.messages <- m:
		return true
	case <-s.ended:
		return false
	}
}

// findRoom waits until there is room for a message among those of all clients.
func (s *streamSession) findRoom(size int64) bool {
	if s.hub.room.TryAcquire(size) {
		return true
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	return s.hub.room.Acquire(ctx, size) == nil
}

// send sends a message. A client that does not read it in time is cut off.
func (s *streamSession) send(m streamOut) bool {
	text, err := json.Marshal(m)
	if err != nil { // nothing in it is anything but texts, numbers, and what came as JSON
		s.hub.c.Logger.Error().Err(err).Msg("a message for a WebSocket cannot be encoded")
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.hub.c.WriteTimeout)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, text); err != nil {
		if ctx.Err() != nil {
			s.hub.c.Logger.Warn().Str("account", s.owner.AccountName).Msg("a WebSocket was cut off: its client does not read what it is told")
		}
		s.end(closeGone)
		return false
	}
	return true
}

// ping keeps a connection known to be alive, and ends that of a key that was
// deleted. Every client answers pings as long as it reads; while nothing is read
// here, its answers are not seen.
func (s *streamSession) ping() {
	ticker := time.NewTicker(s.hub.c.PingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.ended:
			return
		case <-ticker.C:
		}
		if s.keyDeleted() {
			s.end(closeForbidden)
			return
		}
		if s.stalled.Load() {
			continue
		}
		began := time.Now().UnixNano()
		if !s.answers(s.hub.c.WriteTimeout) && !s.stalled.Load() && s.heard.Load() < began && !s.closed() {
			s.hub.c.Logger.Info().Str("account", s.owner.AccountName).Msg("a WebSocket was cut off: its client does not answer")
			_ = s.conn.CloseNow() // nobody is there to be told
			s.end(closeGone)
			return
		}
	}
}

func (s *streamSession) keyDeleted() bool {
	ctx, cancel := context.WithTimeout(context.Background(), s.hub.c.WriteTimeout)
	defer cancel()
	_, err := s.principal(ctx)
	return registry.CodeOf(err) == registry.CodeUnauthenticated
}

// answers says whether the client's end answers a ping, and so has all that was
// sent before it.
func (s *streamSession) answers(within time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return s.conn.Ping(ctx) == nil
}
