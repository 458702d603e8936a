package gqlhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/holon-registry/holon/registry"
)

// message is one message of graphql-transport-ws.
type message struct {
	ID      *string         `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// closure says with which code and reason a socket is closed.
type closure struct {
	code   websocket.StatusCode
	reason string
}

// The closures of graphql-transport-ws.
var (
	closeUnacknowledged = closure{4401, "Unauthorized"}
	closeForbidden      = closure{4403, "Forbidden"}
	closeInitTimeout    = closure{4408, "Connection initialisation timeout"}
	closeInitTwice      = closure{4429, "Too many initialisation requests"}
)

func closeInvalid(what string) *closure { return &closure{4400, what} }

// socket is one connection of graphql-transport-ws: its protocol's state. One
// goroutine reads, each operation has one that writes.
type socket struct {
	config    Config
	presenter presenter
	exec      graphql.GraphExecutor
	conn      *websocket.Conn
	header    http.Header

	// of the reading goroutine
	initialised bool
	initTimer   *time.Timer
	caller      context.Context // nil until the key was accepted

	operations sync.WaitGroup
	// mu makes one of finding that an operation is alive and writing for it: an id
	// that is free again must not receive what an earlier operation had to say.
	mu     sync.Mutex
	active map[string]*operation
}

type operation struct {
	id     string
	cancel context.CancelFunc
}

// serve reads until the socket is closed, and returns when all its operations
// have ended.
func (s *socket) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer s.operations.Wait()
	defer cancel()
	s.initTimer = time.AfterFunc(s.config.Limits.InitTimeout, func() { s.close(closeInitTimeout) })
	defer s.initTimer.Stop()
	go s.ping(ctx)
	for {
		// not bound to ctx, which would break the connection without a close code
		kind, raw, err := s.conn.Read(context.Background())
		if errors.Is(err, websocket.ErrMessageTooBig) {
			// reads on, so that the close frame is not lost in a reset
			cancel()
			s.close(closure{websocket.StatusMessageTooBig, "Message too big"})
			return
		}
		if err != nil {
			_ = s.conn.CloseNow()
			return
		}
		if c := s.receive(ctx, kind, raw); c != nil {
			cancel()
			s.close(*c)
			return
		}
	}
}

// close ends the connection. The first code wins.
func (s *socket) close(c closure) { _ = s.conn.Close(c.code, c.reason) }

func (s *socket) goAway() { s.close(closure{websocket.StatusGoingAway, "Going away"}) }

// receive acts on one message, and returns how to close the socket if it must be.
func (s *socket) receive(ctx context.Context, kind websocket.MessageType, raw []byte) *closure {
	var m message
	if kind != websocket.MessageText || json.Unmarshal(raw, &m) != nil {
		return closeInvalid("Invalid message")
	}
	switch m.Type {
	case "connection_init":
		return s.init(ctx, m)
	case "ping":
		if !isObject(m.Payload, true) {
			return closeInvalid("Invalid payload of ping")
		}
		s.write(message{Type: "pong", Payload: m.Payload})
	case "pong":
		if !isObject(m.Payload, true) {
			return closeInvalid("Invalid payload of pong")
		}
	case "subscribe":
		return s.subscribe(m)
	case "complete":
		if m.ID == nil {
			return closeInvalid("Missing id of complete")
		}
		s.complete(*m.ID)
	default:
		return closeInvalid("Invalid message type")
	}
	return nil
}

// init checks the key: that of the payload, or else that of the HTTP request,
// for clients that can set its headers.
func (s *socket) init(ctx context.Context, m message) *closure {
	var payload map[string]any
	if !isObject(m.Payload, true) || m.Payload != nil && json.Unmarshal(m.Payload, &payload) != nil {
		return closeInvalid("Invalid payload of connection_init")
	}
	if s.initialised {
		return &closeInitTwice
	}
	s.initialised = true
	s.initTimer.Stop()
	authorization := s.header.Get("Authorization")
	for name, value := range payload {
		if text, ok := value.(string); ok && strings.EqualFold(name, "Authorization") {
			authorization = text
		}
	}
	// a timer, not a deadline: the context outlives the check
	ctx, cancel := context.WithCancel(ctx)
	slow := time.AfterFunc(s.config.Limits.InitTimeout, cancel)
	caller, err := s.config.Authenticate(ctx, bearer(authorization))
	if err == nil && !slow.Stop() {
		err = context.Canceled
	}
	if err != nil {
		return s.refused(ctx, err)
	}
	s.caller = caller
	s.conn.SetReadLimit(s.config.Limits.BodyBytes)
	s.write(message{Type: "connection_ack"})
	return nil
}

// refused chooses the close code for a key that was not accepted: 4403 is final
// for clients, 1013 asks them to try again.
func (s *socket) refused(ctx context.Context, err error) *closure {
	shown := s.presenter.present(ctx, err)
	switch shown.Extensions["code"] {
	case string(registry.CodeUnauthenticated), string(registry.CodeForbidden):
		return &closeForbidden
	case string(registry.CodeInternal):
		return &closure{websocket.StatusInternalError, fmt.Sprintf("Internal error %v", shown.Extensions["id"])}
	}
	return &closure{websocket.StatusTryAgainLater, "Try again later"}
}

// subscribe starts an operation. Parsing and validation are done here, by the
// reading goroutine, so that one socket keeps at most one core busy with them.
func (s *socket) subscribe(m message) *closure {
	switch {
	case m.ID == nil || *m.ID == "":
		return closeInvalid("Missing id of subscribe")
	case !isObject(m.Payload, false):
		return closeInvalid("Invalid payload of subscribe")
	case s.caller == nil:
		return &closeUnacknowledged
	}
	start := graphql.Now()
	params, problem := decodeParams(m.Payload)
	if problem != nil {
		return closeInvalid("Invalid payload of subscribe")
	}
	params.Headers = s.header
	params.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}

	caller, _ := withRequestID(s.caller, "")
	ctx, cancel := context.WithCancel(graphql.StartOperationTrace(caller))
	op := &operation{id: *m.ID, cancel: cancel}
	s.mu.Lock()
	_, taken := s.active[op.id]
	full := len(s.active) >= s.config.Limits.SocketOperations
	if !taken {
		s.active[op.id] = op
	}
	s.mu.Unlock()
	if taken {
		cancel()
		return &closure{4409, fmt.Sprintf("Subscriber for %s already exists", clip(op.id))}
	}
	if full {
		cancel()
		s.fail(op, s.presenter.present(ctx, registry.LimitExceeded(
			"a socket runs at most %d operations at a time", s.config.Limits.SocketOperations)))
		return nil
	}
	opCtx, errs := s.exec.CreateOperationContext(ctx, params)
	if errs != nil {
		cancel()
		s.fail(op, s.exec.DispatchError(graphql.WithOperationContext(ctx, opCtx), errs).Errors...)
		return nil
	}
	s.operations.Go(func() {
		defer cancel()
		s.run(ctx, op, opCtx)
	})
	return nil
}

// run executes an operation and sends what it yields.
func (s *socket) run(ctx context.Context, op *operation, opCtx *graphql.OperationContext) {
	ctx = graphql.WithOperationContext(ctx, opCtx)
	defer func() {
		if v := recover(); v != nil {
			s.fail(op, s.presenter.present(ctx, recovered(v)))
		}
	}()
	responses, ctx := s.exec.DispatchOperation(ctx, opCtx)
	if opCtx.Operation.Operation != ast.Subscription {
		s.send(op, message{Type: "next", Payload: encode(s.presenter.orCause(ctx, responses(ctx)))})
		s.send(op, message{Type: "complete"})
		return
	}
	if stream := streamOf(ctx); stream != nil {
		defer stream.work.Wait() // what it uses may be closed after Shutdown
		defer op.cancel()
	}
	for {
		response := responses(ctx)
		switch {
		case response == nil:
			if ctx.Err() != nil { // the client gave it up, or the socket ends: that was no completion
				return
			}
			if err := streamOf(ctx).failure(); err != nil {
				s.fail(op, s.presenter.present(ctx, err))
				return
			}
			s.send(op, message{Type: "complete"})
			return
		case response.Data == nil: // the resolver refused to start it
			s.fail(op, response.Errors...)
			return
		}
		s.send(op, message{Type: "next", Payload: encode(response)})
	}
}

// complete ends an operation that the client wants no more.
func (s *socket) complete(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op := s.active[id]; op != nil {
		op.cancel()
		delete(s.active, id)
	}
}

// fail ends an operation with errors; nothing may follow them, no complete
// either.
func (s *socket) fail(op *operation, errs ...*gqlerror.Error) {
	s.send(op, message{Type: "error", Payload: marshal(errs)})
}

// send writes a message of an operation, unless the operation has ended.
func (s *socket) send(op *operation, m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active[op.id] != op {
		return
	}
	if m.Type != "next" {
		delete(s.active, op.id)
	}
	m.ID = &op.id
	s.writeLocked(m)
}

func (s *socket) write(m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeLocked(m)
}

// writeLocked cuts a client off that does not take a message in time, so that
// its operations end instead of holding what they hold.
func (s *socket) writeLocked(m message) {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.Limits.WriteTimeout)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, marshal(m)); err != nil {
		_ = s.conn.CloseNow()
	}
}

// isObject tells whether a payload is a JSON object, or is absent where it may be.
func isObject(raw json.RawMessage, orAbsent bool) bool {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return orAbsent
	}
	return raw[0] == '{'
}

// clip shortens an id for a close reason, which has at most 123 bytes.
func clip(id string) string {
	const most = 60
	if len(id) <= most {
		return id
	}
	return strings.ToValidUTF8(id[:most], "") + "…"
}
