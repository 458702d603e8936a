package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// streamWindow is how many messages of a WebSocket are not acknowledged yet, at
// most.
const streamWindow = 32

// addWebSocket adds the pipeline from the messages of streams on, which are as
// large as requests over HTTP. Each connection is a session of its own, as that
// of a sender is that wants to go on after it was cut off.
func (r *runner) addWebSocket(burst int) {
	sources := r.sources(r.Connections, burst)
	r.cells = append(r.cells, &cell{part: WebSocket, burst: burst, run: func(ctx context.Context) (sample, error) {
		messages := make([][][]byte, len(sources))
		streams := make([]*websocket.Conn, len(sources))
		for i, s := range sources {
			for left := r.Readings / r.Connections; left > 0; left -= perRequest {
				messages[i] = append(messages[i], streamed(len(messages[i])+1, payload(s.take(min(left, perRequest)))))
			}
		}
		for i := range streams {
			var err error
			if streams[i], err = openStream(ctx, r.Address, r.Secret); err != nil {
				return sample{}, err
			}
			defer func() { _ = streams[i].CloseNow() }() // everything was answered
		}
		return r.kept(ctx, func() (sample, error) {
			return r.working(ctx, func(ctx context.Context) (sample, error) {
				return r.race(ctx, len(sources), func(ctx context.Context, i int, lap func(time.Time)) error {
					return streamAll(ctx, streams[i], messages[i], lap)
				})
			})
		})
	}})
}

// streamed is the message of a number.
func streamed(seq int, readings []byte) []byte {
	out := strconv.AppendInt([]byte(`{"seq":`), int64(seq), 10)
	out = append(out, `,"readings":`...)
	return append(append(out, readings...), '}')
}

// streamTold is what a server says of what it was sent.
type streamTold struct {
	Resume *int
	Ack    int
	Error  json.RawMessage
}

// openStream connects and waits for the greeting of a new session.
func openStream(ctx context.Context, address, secret string) (*websocket.Conn, error) {
	conn, answer, err := websocket.Dial(ctx, "ws://"+address+"/v1/stream?session=bench-"+uuid.NewString(), &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + secret}},
	})
	if answer != nil && answer.Body != nil {
		err = errors.Join(err, answer.Body.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("open a stream: %w", err)
	}
	told, err := readStream(ctx, conn)
	if err == nil && (told.Resume == nil || *told.Resume != 0) {
		err = errors.New("a new session is greeted otherwise")
	}
	if err != nil {
		return nil, errors.Join(err, conn.CloseNow())
	}
	return conn, nil
}

func readStream(ctx context.Context, conn *websocket.Conn) (told streamTold, err error) {
	_, text, err := conn.Read(ctx)
	if err != nil {
		return told, fmt.Errorf("read from a stream: %w", err)
	}
	return told, json.Unmarshal(text, &told)
}

// streamAll sends messages that are numbered from 1, some of them under way at a
// time, until all are acknowledged.
func streamAll(ctx context.Context, conn *websocket.Conn, messages [][]byte, lap func(began time.Time)) error {
	// When those that are under way were sent: there is no room for more.
	underWay := make(chan time.Time, streamWindow)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for _, message := range messages {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case underWay <- time.Now():
			}
			if err := conn.Write(ctx, websocket.MessageText, message); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go(func() error {
		for acknowledged := 0; acknowledged < len(messages); {
			told, err := readStream(ctx, conn)
			if err != nil {
				return err
			}
			if told.Error != nil {
				return fmt.Errorf("a message was refused: %s", told.Error)
			}
			if told.Ack > acknowledged+len(underWay) {
				return fmt.Errorf("number %d was acknowledged and not sent", told.Ack)
			}
			for ; acknowledged < told.Ack; acknowledged++ {
				lap(<-underWay)
			}
		}
		return nil
	})
	return group.Wait()
}
