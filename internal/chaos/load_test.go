package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// The usual load: about 160 readings a second over HTTP, 100 over MQTT and 80
// over WebSockets, two measures each. A machine that runs other tests as well
// must keep up.
const (
	httpSenders   = 2
	httpBatch     = 4
	mqttSenders   = 5
	streamers     = 2
	streamBatch   = 2
	streamWindow  = 20 // messages
	streamCut     = 60 // messages, about
	senderPause   = 50 * time.Millisecond
	retryPause    = 100 * time.Millisecond
	attemptLimit  = 6 * time.Second
	settlingLimit = time.Minute
)

// load sends readings over HTTP, MQTT and WebSockets, and each again, unchanged,
// until it is acknowledged.
type load struct {
	s      *system
	ledger *ledger
	group  errgroup.Group
	// quit ends the making of new readings; the context ends the sending too.
	quit   chan struct{}
	cancel context.CancelFunc

	streams     []*streamer
	turn        atomic.Int64 // of those that serve
	again, full atomic.Int64 // attempts that failed, and those of them that were refused as too much
	mu          sync.Mutex
	wrong       []string
}

// startLoad begins to send.
func startLoad(s *system, l *ledger) *load {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d := &load{s: s, ledger: l, quit: make(chan struct{}), cancel: cancel}
	s.t.Cleanup(cancel)
	for i := range streamers {
		turn := i
		w := d.newStreamer(uuid.NewString(), streamBatch, streamWindow, senderPause, func(batch int) []reading {
			turn++
			return d.make(i, turn, batch)
		})
		w.cutAfter = streamCut
		d.streams = append(d.streams, w)
		d.group.Go(func() error { return w.run(ctx) })
	}
	for i := range httpSenders {
		d.group.Go(func() error { return d.keepSending(ctx, i, httpBatch, d.overHTTP) })
	}
	connection := dialMQTT(ctx, s)
	for i := range mqttSenders {
		d.group.Go(func() error {
			return d.keepSending(ctx, i, 1, func(ctx context.Context, some []reading) (time.Duration, error) {
				return d.overMQTT(ctx, connection, some[0])
			})
		})
	}
	return d
}

// settle stops making readings, waits until all are acknowledged, and reports
// what went wrong on the way.
func (d *load) settle() {
	t := d.s.t
	t.Helper()
	close(d.quit)
	stop := time.AfterFunc(settlingLimit, d.cancel)
	defer stop.Stop()
	err := d.group.Wait()
	d.cancel()
	if err != nil {
		made, acked := d.ledger.counts()
		t.Errorf("%d of %d readings were not acknowledged within %s: %v", made-acked, made, settlingLimit, err)
	}
	for _, w := range d.wrong {
		t.Error(w)
	}
	sent, resent := 0, 0
	for _, w := range d.streams {
		sent, resent = sent+w.sent, resent+w.resent
	}
	t.Logf("WebSockets: %d messages, %d of them sent again after a disconnect", sent, resent)
	if len(d.streams) > 0 && sent == 0 {
		t.Error("nothing was sent over WebSockets")
	}
}

func (d *load) complain(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.wrong) < mostWrongs {
		d.wrong = append(d.wrong, fmt.Sprintf(format, args...))
	}
}

// keepSending makes readings and sends them until it is told to quit.
func (d *load) keepSending(ctx context.Context, sender, batch int, send func(context.Context, []reading) (time.Duration, error)) error {
	for turn := sender; ; turn++ {
		select {
		case <-d.quit:
			return nil
		case <-time.After(senderPause):
		}
		some := d.make(sender, turn, batch)
		for {
			wait, err := attempt(ctx, some, send)
			if err == nil {
				break
			}
			d.again.Add(1)
			select {
			case <-ctx.Done():
				return err
			case <-time.After(max(wait, retryPause)):
			}
		}
		d.ledger.acknowledge(some...)
	}
}

// make makes the readings of a sender's turn, of devices that change.
func (d *load) make(sender, turn, batch int) []reading {
	some := make([]reading, batch)
	for i := range some {
		some[i] = d.ledger.write(d.s.devices[(turn*batch+i*(sender+1))%len(d.s.devices)])
	}
	return some
}

func attempt(ctx context.Context, some []reading, send func(context.Context, []reading) (time.Duration, error)) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	return send(ctx, some)
}

// overHTTP posts readings, one a line. It returns how long to wait if it fails.
func (d *load) overHTTP(ctx context.Context, some []reading) (time.Duration, error) {
	text, err := linesOf(some)
	if err != nil {
		return 0, err
	}
	return d.post(ctx, text, len(some))
}

// linesOf are readings, one a line.
func linesOf(some []reading) ([]byte, error) {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, r := range some {
		if err := encoder.Encode(r.body(true)); err != nil {
			return nil, err
		}
	}
	return lines.Bytes(), nil
}

// errRefused is an answer that says that the queue is full.
var errRefused = errors.New("refused as too much")

// post posts n readings as lines.
func (d *load) post(ctx context.Context, text []byte, n int) (time.Duration, error) {
	url := d.s.urls[int(d.turn.Add(1))%len(d.s.urls)]
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/readings", bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	request.Header.Set("Authorization", "Bearer "+d.s.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err // in doubt: it may have been taken
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	answer := fmt.Errorf("%s: %s", response.Status, bytes.TrimSpace(body))
	switch response.StatusCode {
	case http.StatusAccepted:
		var said struct{ Accepted int }
		if err := json.Unmarshal(body, &said); err != nil || said.Accepted != n {
			d.complain("HTTP: %d readings were sent, and the answer is %s", n, body)
		}
		return 0, nil
	case http.StatusTooManyRequests:
		d.full.Add(1)
		seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
		if err != nil || seconds < 1 {
			d.complain("HTTP: 429 with Retry-After %q: it must say seconds", response.Header.Get("Retry-After"))
		}
		return time.Duration(seconds) * time.Second, fmt.Errorf("%w: %w", errRefused, answer)
	case http.StatusServiceUnavailable:
		return 0, answer
	}
	d.complain("HTTP: %v: only 202, 429 and 503 may come", answer)
	return time.Second, answer
}

// dialMQTT connects to Holon's own listener, and again whenever that ends.
func dialMQTT(ctx context.Context, s *system) *autopaho.ConnectionManager {
	s.t.Helper()
	server, err := url.Parse(s.mqtt)
	if err != nil {
		s.t.Fatal(err)
	}
	connection, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls: []*url.URL{server}, KeepAlive: 10, ConnectTimeout: 3 * time.Second,
		ReconnectBackoff: autopaho.NewConstantBackoff(retryPause),
		ConnectUsername:  s.account, ConnectPassword: []byte(s.key),
		ClientConfig: paho.ClientConfig{ClientID: s.account},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return connection
}

const quotaExceeded = 0x97

// overMQTT publishes a reading with QoS 1: it is taken when PUBACK says so.
func (d *load) overMQTT(ctx context.Context, connection *autopaho.ConnectionManager, r reading) (time.Duration, error) {
	payload, err := json.Marshal(r.body(false))
	if err != nil {
		return 0, err
	}
	return d.publish(ctx, connection, &paho.Publish{QoS: 1, Topic: "holon/" + d.s.account + "/readings/" + r.device, Payload: payload})
}

func (d *load) publish(ctx context.Context, connection *autopaho.ConnectionManager, message *paho.Publish) (time.Duration, error) {
	answer, err := connection.Publish(ctx, message)
	if answer == nil || answer.ReasonCode < 0x80 {
		return 0, err
	}
	if answer.ReasonCode == quotaExceeded {
		d.full.Add(1)
		return time.Second, fmt.Errorf("%w: PUBACK 0x%x", errRefused, answer.ReasonCode)
	}
	d.complain("MQTT: PUBACK 0x%x: only success and 0x97 may come", answer.ReasonCode)
	return time.Second, fmt.Errorf("PUBACK 0x%x", answer.ReasonCode)
}

func TestQueueMetricsAreRead(t *testing.T) {
	text := "# TYPE holon_queue_readings gauge\nholon_queue_readings{partition=\"0\"} 3\nholon_queue_readings{partition=\"1\"} 1e+03\nholon_queue_accepted_total{partition=\"0\"} 7\nholon_queue_up 1\n"
	q, err := queueOf(bytes.NewBufferString(text))
	if want := (queue{waiting: 1003, accepted: 7}); err != nil || q != want {
		t.Errorf("%+v, %v; want %+v", q, err, want)
	}
	for _, text := range []string{"", "holon_queue_up 1\n", "holon_queue_readings{partition=\"0\"} 0\nholon_queue_up 0\n"} {
		if _, err := queueOf(bytes.NewBufferString(text)); err == nil {
			t.Errorf("%q passes for an answer", text)
		}
	}
}
