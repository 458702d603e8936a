package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// streamer is one session of a WebSocket: it sends numbered messages, does not
// wait for each to be acknowledged, and after a disconnect goes on with what was
// not, by the same numbers.
type streamer struct {
	d       *load
	session string
	// batch is how many readings a message has, window how many messages may be on
	// their way, pause what lies between two of them.
	batch, window int
	pause         time.Duration
	// next makes the readings of a message.
	next func(batch int) []reading
	// cutAfter is after how many messages, about, the client breaks its connection
	// off; 0 for never.
	cutAfter int

	mu       sync.Mutex
	seq      int64
	underway []streamMessage
	// moved has a value when an acknowledgement came.
	moved chan struct{}
	// resent counts messages that were sent again, busy how often the queue was full.
	resent, busy, sent int
}

type streamMessage struct {
	seq      int64
	text     []byte
	readings []reading
}

// newStreamer makes a session; the load's context and quit end it.
func (d *load) newStreamer(session string, batch, window int, pause time.Duration, next func(int) []reading) *streamer {
	return &streamer{d: d, session: session, batch: batch, window: window, pause: pause, next: next, moved: make(chan struct{}, 1)}
}

// run sends until the load quits and all is acknowledged, over as many connections
// as it takes.
func (w *streamer) run(ctx context.Context) error {
	for {
		err := w.connection(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			return fmt.Errorf("session %s: %d messages are not acknowledged: %w", w.session, len(w.underway), err)
		}
		w.d.again.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(retryPause):
		}
	}
}

var errCut = errors.New("the client broke its connection off")

// connection connects and sends until the connection ends. It returns nil when the
// load has quit and nothing is under way.
func (w *streamer) connection(ctx context.Context) error {
	url := w.d.s.urls[int(w.d.turn.Add(1))%len(w.d.s.urls)]
	dialing, done := context.WithTimeout(ctx, attemptLimit)
	defer done()
	conn, answer, err := websocket.Dial(dialing, strings.Replace(url, "http", "ws", 1)+"/v1/stream?session="+w.session,
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + w.d.s.key}}})
	if err != nil {
		if answer != nil && answer.StatusCode != http.StatusServiceUnavailable && answer.StatusCode != http.StatusSwitchingProtocols {
			w.d.complain("WebSocket: %s: only 101 and 503 may come", answer.Status)
		}
		return err
	}
	defer conn.CloseNow()
	// Who does not wait for the greeting sends again what was taken, perhaps.
	if eager := rand.IntN(2) == 0; !eager {
		if err := w.greeted(dialing, conn); err != nil {
			return w.judged(err)
		}
	}
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() { stop(w.hear(reading, conn)) }()
	if err := w.sendAll(reading, conn); err != nil {
		if cause := context.Cause(reading); cause != nil && !errors.Is(err, errCut) {
			err = cause
		}
		return w.judged(err)
	}
	_ = conn.Close(websocket.StatusNormalClosure, "") // all is acknowledged, however it ends
	return nil
}

// judged complains of a connection that was closed for what must not happen.
func (w *streamer) judged(err error) error {
	switch code := websocket.CloseStatus(err); code {
	case -1, websocket.StatusGoingAway, websocket.StatusInternalError, websocket.StatusTryAgainLater, websocket.StatusAbnormalClosure, websocket.StatusNoStatusRcvd, 4409:
	default:
		w.d.complain("WebSocket: closed with %d (%v): only 1001, 1011, 1013 and 4409 may come", code, err)
	}
	return err
}

type streamTold struct {
	Resume  *int64
	Refused []int64
	Ack     int64
	Busy    int
	Error   json.RawMessage
}

// greeted waits until the server says up to where all is answered.
func (w *streamer) greeted(ctx context.Context, conn *websocket.Conn) error {
	told, err := hearOne(ctx, conn)
	if err != nil {
		return err
	}
	return w.resumed(told)
}

func (w *streamer) resumed(told streamTold) error {
	w.mu.Lock()
	last := w.seq
	w.mu.Unlock()
	if told.Resume == nil || *told.Resume > last || len(told.Refused) > 0 {
		w.d.complain("WebSocket: %+v is no greeting of a session that has sent %d messages, all of them right", told, last)
		return errors.New("no greeting")
	}
	w.acknowledged(*told.Resume)
	return nil
}

func hearOne(ctx context.Context, conn *websocket.Conn) (told streamTold, err error) {
	_, text, err := conn.Read(ctx)
	if err != nil {
		return told, err
	}
	return told, json.Unmarshal(text, &told)
}

// hear takes what the server says until the connection ends.
func (w *streamer) hear(ctx context.Context, conn *websocket.Conn) error {
	for {
		told, err := hearOne(ctx, conn)
		switch {
		case err != nil:
			return err
		case told.Resume != nil:
			if err := w.resumed(told); err != nil {
				return err
			}
		case told.Error != nil:
			w.d.complain("WebSocket: a message that is right was refused: %s", told.Error)
		case told.Busy > 0:
			w.d.full.Add(1)
			w.mu.Lock()
			w.busy++
			w.mu.Unlock()
		case told.Ack > 0:
			w.acknowledged(told.Ack)
		}
	}
}

// acknowledged notes that all messages up to a number were answered.
func (w *streamer) acknowledged(seq int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < len(w.underway) && w.underway[n].seq <= seq {
		w.d.ledger.acknowledge(w.underway[n].readings...)
		n++
	}
	w.underway = w.underway[n:]
	select {
	case w.moved <- struct{}{}:
	default:
	}
}

// sendAll sends what was not acknowledged again, and then new messages.
func (w *streamer) sendAll(ctx context.Context, conn *websocket.Conn) error {
	w.mu.Lock()
	again := append([]streamMessage(nil), w.underway...)
	w.resent += len(again)
	w.mu.Unlock()
	for _, m := range again {
		if err := conn.Write(ctx, websocket.MessageText, m.text); err != nil {
			return err
		}
	}
	cut := -1
	if w.cutAfter > 0 {
		cut = w.cutAfter/2 + rand.IntN(w.cutAfter)
	}
	for quit := false; ; {
		w.mu.Lock()
		underway := len(w.underway)
		w.mu.Unlock()
		if quit && underway == 0 {
			return nil
		}
		if quit || underway >= w.window {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-w.moved:
			case <-time.After(time.Second):
			}
			quit = quit || w.d.quitting()
			continue
		}
		select {
		case <-w.d.quit:
			quit = true
			continue
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(w.pause):
		}
		m, err := w.write()
		if err != nil {
			return err
		}
		if err := conn.Write(ctx, websocket.MessageText, m.text); err != nil {
			return err
		}
		if cut--; cut == 0 {
			return errCut // with what is under way unanswered
		}
	}
}

// write makes the next message.
func (w *streamer) write() (streamMessage, error) {
	readings := w.next(w.batch)
	bodies := make([]map[string]any, len(readings))
	for i, r := range readings {
		bodies[i] = r.body(true)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	text, err := json.Marshal(map[string]any{"seq": w.seq, "readings": bodies})
	m := streamMessage{w.seq, text, readings}
	w.underway = append(w.underway, m)
	w.sent++
	return m, err
}

// quitting says whether no more readings are to be made.
func (d *load) quitting() bool {
	select {
	case <-d.quit:
		return true
	default:
		return false
	}
}
