package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"

	"github.com/holon-registry/holon/examples/internal/api"
)

// batchSize is how many readings go into one HTTP request.
const batchSize = 500

// sendHTTP sends the readings in their order, a line of JSON each. A full queue
// is waited for.
func sendHTTP(ctx context.Context, client *api.Client, readings []reading) error {
	for batch := range slices.Chunk(readings, batchSize) {
		var lines bytes.Buffer
		encoder := json.NewEncoder(&lines)
		for _, r := range batch {
			if err := encoder.Encode(r.message(true)); err != nil {
				return err
			}
		}
		answer, status, err := client.Post(ctx, "/v1/readings", "application/x-ndjson", lines.Bytes())
		if err != nil {
			return err
		}
		var receipt struct{ Accepted int }
		if status != http.StatusAccepted || json.Unmarshal(answer, &receipt) != nil || receipt.Accepted != len(batch) {
			return fmt.Errorf("%d readings were answered with %d: %s", len(batch), status, bytes.TrimSpace(answer))
		}
	}
	return nil
}

// sendMQTT publishes each reading with QoS 1, many at a time. MQTT_URL says
// where, and HOLON_ACCOUNT whose topics.
func sendMQTT(ctx context.Context, key string, readings []reading, inFlight int) error {
	server, err := url.Parse(os.Getenv("MQTT_URL"))
	account := os.Getenv("HOLON_ACCOUNT")
	if err != nil || server.Host == "" || account == "" {
		return errors.New("MQTT_URL and HOLON_ACCOUNT say where to publish: set both")
	}
	var refused atomic.Value // why the connection does not come about
	connection, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls: []*url.URL{server}, KeepAlive: 20,
		OnConnectError:  func(err error) { refused.Store(err.Error()) },
		ConnectUsername: account, ConnectPassword: []byte(key),
		ClientConfig: paho.ClientConfig{ClientID: fmt.Sprintf("room-climate-%d", os.Getpid()), PacketTimeout: time.Minute},
	})
	if err != nil {
		return err
	}
	defer connection.Disconnect(context.WithoutCancel(ctx)) //nolint:errcheck // everything is acknowledged
	connecting, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := connection.AwaitConnection(connecting); err != nil {
		return fmt.Errorf("connecting to %s: %w (%v)", server.Redacted(), err, refused.Load())
	}
	first, again := firstTimes(readings)
	for _, part := range [][]reading{first, again} {
		if err := publishAll(ctx, connection, account, part, inFlight); err != nil {
			return err
		}
	}
	return nil
}

// firstTimes takes apart the readings that say something about a time for the
// first time, and those that say it again. With many in flight it would be
// chance which one is stored, so the latter have to wait for all of the former.
func firstTimes(readings []reading) (first, again []reading) {
	type key struct {
		device string
		at     int64
	}
	seen := map[key]bool{}
	for _, r := range readings {
		k := key{r.Device(), r.At}
		if seen[k] {
			again = append(again, r)
			continue
		}
		seen[k] = true
		first = append(first, r)
	}
	return first, again
}

// publishAll returns once everything is acknowledged, or one was refused for good.
func publishAll(ctx context.Context, connection *autopaho.ConnectionManager, account string, readings []reading, inFlight int) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	waiting := make(chan reading)
	var senders sync.WaitGroup
	for range inFlight {
		senders.Go(func() {
			for r := range waiting {
				if err := publish(ctx, connection, account, r); err != nil {
					stop(err)
				}
			}
		})
	}
	for _, r := range readings {
		if ctx.Err() != nil {
			break
		}
		waiting <- r
	}
	close(waiting)
	senders.Wait()
	return context.Cause(ctx)
}

// quotaExceeded is the reason code of a queue that is full for the moment.
const quotaExceeded = 0x97

// publish waits for the acknowledgement. A full queue and a broken connection
// are tried again: a reading that arrives twice is stored once.
func publish(ctx context.Context, connection *autopaho.ConnectionManager, account string, r reading) error {
	payload, err := json.Marshal(r.message(false))
	if err != nil {
		return err
	}
	message := &paho.Publish{QoS: 1, Topic: "holon/" + account + "/readings/" + r.Device(), Payload: payload}
	for attempt := 0; ; attempt++ {
		answer, err := connection.Publish(ctx, message)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case answer != nil && answer.ReasonCode >= 0x80 && answer.ReasonCode != quotaExceeded:
			return fmt.Errorf("%s was refused with 0x%x: %s", message.Topic, answer.ReasonCode, reasonOf(answer))
		case err == nil:
			return nil
		case attempt == 20:
			return fmt.Errorf("%s: %w", message.Topic, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(api.Backoff(attempt, "")):
		}
		if err := connection.AwaitConnection(ctx); err != nil {
			return fmt.Errorf("waiting for the connection: %w", err)
		}
	}
}

func reasonOf(answer *paho.PublishResponse) string {
	if answer.Properties == nil || answer.Properties.ReasonString == "" {
		return "no reason given"
	}
	return answer.Properties.ReasonString
}
