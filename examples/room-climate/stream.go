package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/holon-registry/holon/examples/internal/api"
)

// unacknowledged is how many messages may wait for their acknowledgement.
const unacknowledged = 50

// streamed is a message of Holon's.
type streamed struct {
	Resume *int64
	Ack    int64
	Error  json.RawMessage
}

// errRefused is an answer that sending again does not mend.
var errRefused = errors.New("refused")

// sendStream sends the readings in their order over a WebSocket, numbered, and
// waits until all are acknowledged. A connection that breaks is taken up again
// where it was.
func sendStream(ctx context.Context, client *api.Client, readings []reading) error {
	batches := slices.Collect(slices.Chunk(readings, batchSize))
	session := fmt.Sprintf("room-climate-%d-%d", os.Getpid(), time.Now().UnixNano())
	for attempt, acked := 0, 0; ; attempt++ {
		before := acked
		err := stream(ctx, client, session, batches, &acked)
		if acked > before {
			attempt = 0
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, errRefused) || attempt == 20 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(api.Backoff(attempt, "")):
		}
	}
}

// stream sends over one connection; acked is how many batches are acknowledged.
func stream(ctx context.Context, client *api.Client, session string, batches [][]reading, acked *int) error {
	header := http.Header{"Authorization": {"Bearer " + client.Key}}
	address := strings.Replace(client.URL, "http", "ws", 1) + "/v1/stream?session=" + url.QueryEscape(session)
	connection, response, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPHeader: header})
	if response != nil && response.Body != nil {
		defer response.Body.Close()
	}
	if err != nil {
		return err
	}
	defer connection.CloseNow() //nolint:errcheck // everything is acknowledged, or sent again
	told, err := hear(ctx, connection)
	if err != nil {
		return err
	}
	if told.Resume == nil {
		return errors.New("no greeting")
	}
	*acked = int(*told.Resume)
	for sent := *acked; *acked < len(batches); {
		for sent < len(batches) && sent-*acked < unacknowledged {
			if err := say(ctx, connection, sent+1, batches[sent]); err != nil {
				return err
			}
			sent++
		}
		told, err := hear(ctx, connection)
		if err != nil {
			return err
		}
		if told.Error != nil {
			return fmt.Errorf("%w: %s", errRefused, told.Error)
		}
		*acked = max(*acked, int(told.Ack))
	}
	return connection.Close(websocket.StatusNormalClosure, "")
}

// say sends a batch with its number.
func say(ctx context.Context, connection *websocket.Conn, seq int, batch []reading) error {
	message := struct {
		Seq      int              `json:"seq"`
		Readings []map[string]any `json:"readings"`
	}{Seq: seq}
	for _, r := range batch {
		message.Readings = append(message.Readings, r.message(true))
	}
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	return connection.Write(ctx, websocket.MessageText, text)
}

// hear waits for a message. Holon asks now and then whether somebody is there, so
// a connection that is silent is dead.
func hear(ctx context.Context, connection *websocket.Conn) (told streamed, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	_, text, err := connection.Read(ctx)
	if err != nil {
		return told, err
	}
	return told, json.Unmarshal(text, &told)
}
