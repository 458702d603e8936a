package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// TestStreamWaitsForTheQueue: nothing is acknowledged that the queue does not
// have, and what is sent while it is away is acknowledged when it is back.
func TestStreamWaitsForTheQueue(t *testing.T) {
	door := testkit.NewDoor(t)
	q := openQueue(t, func(c *QueueConfig) { c.URL, c.Timeout = door.URL, time.Second })
	_, url := serveStreams(t, q, new(devices), secrets{"hk_a": newPrincipal()}, nil)
	client := join(t, url+"?session=s", "hk_a", 0)
	client.send(sensorReading(1, 1))
	client.acked(1)
	door.Shut()
	for seq := 2; seq <= 40; seq++ {
		client.send(sensorReading(seq, seq))
	}
	for range 3 {
		if m := client.next(); m.Busy == 0 {
			t.Fatalf("the queue is away: %+v", m)
		}
	}
	door.Open()
	client.acked(40)
	if got := measurementsIn(t, q); len(got) != 40 {
		t.Errorf("%d readings became %d measurements", 40, len(got))
	}
	join(t, url+"?session=s", "hk_a", 40)
}

// TestStreamWaitsForTheGraph: a device that must be looked up is waited for; what
// nobody understands ends the connection, and is not acknowledged.
func TestStreamWaitsForTheGraph(t *testing.T) {
	d := new(devices)
	_, url := serveStreams(t, openQueue(t, nil), d, secrets{"hk_a": newPrincipal()}, nil)
	client := join(t, url+"?session=s", "hk_a", 0)
	d.fail(registry.Unavailable("graph database", nil))
	client.send(sensorReading(1, 1))
	if m := client.next(); m.Busy == 0 {
		t.Errorf("the graph is away: %+v", m)
	}
	d.fail(nil)
	client.acked(1)
	d.fail(errors.New("something else"))
	client.send(`{"seq":2,"readings":{"device":"sensor-2","values":{"temperature":1}}}`)
	client.closedWith(websocket.StatusInternalError)
	d.fail(nil)
	join(t, url+"?session=s", "hk_a", 1)
}

// TestStreamWhenTheQueueIsFull: what has room is taken in its order, the rest
// waits, and nothing more is read than may be under way.
func TestStreamWhenTheQueueIsFull(t *testing.T) {
	q := openQueue(t, func(c *QueueConfig) { c.MaxReadings, c.Partitions = 3, 1 })
	_, url := serveStreams(t, q, new(devices), secrets{"hk_a": newPrincipal()}, func(c *StreamConfig) { c.Inflight = 2 })
	client := join(t, url, "hk_a", 0)
	const n = 20
	for seq := 1; seq <= n; seq++ {
		client.send(sensorReading(seq, seq))
	}
	client.acked(3)
	var values []any
	for busy := 0; len(values) < n; {
		for {
			if m := client.next(); m.Busy > 0 {
				if busy++; busy > 2 || len(values) > 0 {
					break
				}
			} else if m.Ack == n {
				break
			}
		}
		entries := drain(t, q, 0)
		for _, e := range entries {
			for _, r := range e.Readings {
				values = append(values, r.Values["temperature"])
			}
		}
		if err := q.Done(t.Context(), 0, entries); err != nil {
			t.Fatal(err)
		}
	}
	for i, v := range values {
		if v != float64(i+1) {
			t.Fatalf("the order is %v", values)
		}
	}
	if got := len(values); got != n {
		t.Errorf("%d readings came, want %d", got, n)
	}
}

// TestStreamResumes goes on after a cut, and queues nothing twice.
func TestStreamResumes(t *testing.T) {
	q, who := openQueue(t, nil), newPrincipal()
	_, url := serveStreams(t, q, new(devices), secrets{"hk_a": who, "hk_b": newPrincipal()}, nil)
	session := url + "?session=line%201"
	client := join(t, session, "hk_a", 0)
	client.send(sensorReading(1, 1))
	client.send(sensorReading(7, 7)) // numbers may be left out
	client.acked(7)
	client.conn.CloseNow()

	client = join(t, session, "hk_a", 7)
	client.send(sensorReading(7, 7))
	client.acked(7)
	client.send(sensorReading(1, 2))
	if m := client.next(); m.Error == nil || m.Error.Seq != 1 || m.Error.Code != "CONFLICT" {
		t.Errorf("another message with a seq that was used: %+v", m)
	}
	client.acked(7)
	client.send(sensorReading(8, `"hot"`))
	if m := client.next(); m.Error == nil || m.Error.Seq != 8 {
		t.Errorf("a wrong reading: %+v", m)
	}
	client.acked(8)
	if n := backlog(t, q); n != 2 {
		t.Errorf("%d readings are queued, want 2", n)
	}

	// Another connection takes the session over, and learns what was refused.
	second := dialStream(t, session, "hk_a")
	if m := second.next(); m.Resume == nil || *m.Resume != 8 || len(m.Refused) != 1 || m.Refused[0] != 8 {
		t.Errorf("greeted with %+v", m)
	}
	client.closedWith(4409)
	second.send(sensorReading(8, 8))
	second.acked(8)
	second.send(sensorReading(9, 9))
	second.acked(9)
	second.conn.Close(websocket.StatusNormalClosure, "")
	if n := len(measurementsIn(t, q)); n != 4 {
		t.Errorf("%d measurements, want 4", n)
	}

	// The process dies after the queue has a message and before that is remembered.
	field := digest(string(who.Account), "", "stream", "line 1")
	value, err := q.client.HGet(t.Context(), q.answerKeys()[0], field).Result()
	if words := strings.Fields(value); err != nil || len(words) != 6 {
		t.Fatalf("remembered: %q, %v", value, err)
	}
	if err := q.client.HSet(t.Context(), q.answerKeys()[0], field, strings.Join(strings.Fields(value)[:2], " ")).Err(); err != nil {
		t.Fatal(err)
	}
	third := join(t, session, "hk_a", 0)
	third.send(sensorReading(8, 8))
	third.send(sensorReading(9, 9))
	third.acked(9)
	if n := len(measurementsIn(t, q)); n != 4 {
		t.Errorf("sent twice it became %d measurements, want 4", n)
	}
	third.conn.Close(websocket.StatusNormalClosure, "")

	// It is forgotten sooner than the ids of its readings: the first one is new.
	if n, err := q.client.HDel(t.Context(), q.answerKeys()[0], field).Result(); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	fourth := join(t, session, "hk_a", 0)
	fourth.send(sensorReading(1, 1))
	fourth.acked(1)
	if n := len(measurementsIn(t, q)); n != 5 {
		t.Errorf("a session that begins anew: %d measurements, want 5", n)
	}
	join(t, session, "hk_b", 0)
	join(t, url+"?session=another", "hk_a", 0)
}

// TestStreamRemembersWhatIsAnswered and not what is on its way, and not without
// end.
func TestStreamRemembersWhatIsAnswered(t *testing.T) {
	q := openQueue(t, nil)
	memory := func() *streamMemory {
		m := &streamMemory{queue: q, field: digest("f"), most: 10}
		if err := m.load(t.Context()); err != nil {
			t.Fatal(err)
		}
		return m
	}
	m, old := memory(), memory() // old is of another process
	for seq := int64(1); seq <= 55; seq++ {
		if repeat, err := m.meet(seq, fmt.Sprint(seq)); repeat || err != nil {
			t.Fatal(seq, repeat, err)
		}
	}
	m.answered(42, true)
	if err := m.save(t.Context(), 45); err != nil {
		t.Fatal(err)
	}
	old.note(44, "44")
	if err := old.save(t.Context(), 44); err != nil {
		t.Fatal(err)
	}
	again := memory()
	if again.prefix != m.prefix || again.last != 45 || len(again.met) != 10 || again.met[0].seq != 36 || len(again.allRefused()) != 1 {
		t.Errorf("remembered: %+v", again)
	}
	for seq, want := range map[int64]string{45: "repeat", 36: "repeat", 35: "CONFLICT", 42: "new", 46: "new"} {
		repeat, err := again.meet(seq, fmt.Sprint(seq))
		got := "new"
		if repeat {
			got = "repeat"
		} else if err != nil {
			got = string(registry.CodeOf(err))
		}
		if got != want {
			t.Errorf("%d is %s, want %s", seq, got, want)
		}
	}

	// 46 is answered before 42, which was refused and has come again.
	if repeat, err := again.meet(42, "42"); !repeat || err != nil {
		t.Errorf("42 comes while it is on its way: %t %v", repeat, err)
	}
	for _, answered := range []bool{false, true} {
		if answered {
			again.answered(42, false)
		}
		if err := again.save(t.Context(), 46); err != nil {
			t.Fatal(err)
		}
		next := memory()
		if repeat, err := next.meet(42, "42"); repeat != answered || err != nil || next.last != 46 {
			t.Errorf("42 comes again, answered before: %t; known: %t %v", answered, repeat, err)
		}
	}
	before := &streamMemory{queue: q, field: digest("f"), part: "forgotten", most: 10}
	before.note(99, "99")
	if err := before.save(t.Context(), 99); err != nil || memory().last != 46 {
		t.Errorf("a session that was begun anew has become what it was before: %v", err)
	}
}

// TestStreamGoesAway: what was read is acknowledged before the connection ends.
func TestStreamGoesAway(t *testing.T) {
	q := openQueue(t, nil)
	h, url := serveStreams(t, q, new(devices), secrets{"hk_a": newPrincipal()}, nil)
	client, silent := join(t, url, "hk_a", 0), dialStream(t, url, "")
	client.send(sensorReading(1, 1))
	client.acked(1)
	ended := make(chan error)
	go func() { ended <- h.Shutdown(context.WithoutCancel(t.Context())) }()
	client.closedWith(websocket.StatusGoingAway)
	silent.closedWith(websocket.StatusGoingAway)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, response, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer hk_a"}}}); err == nil || response == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after the end: %v %v", response, err)
	}
}

// TestStreamCutsOff clients that do not read, and those that are not there.
func TestStreamCutsOff(t *testing.T) {
	q := openQueue(t, nil)
	h, url := serveStreams(t, q, new(devices), secrets{"hk_a": newPrincipal()}, func(c *StreamConfig) { c.WriteTimeout, c.PingEvery = time.Second, time.Hour })
	nobody := func() bool { return len(h.open.Open()) == 0 }
	client := join(t, url, "hk_a", 0)
	bad := `{"device":"` + strings.Repeat("ghost", 100) + `","values":{"temperature":1}},`
	bad = strings.Repeat(bad, 100)
	var err error
	for seq := 1; err == nil && seq < 10_000; seq++ {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		err = client.conn.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"seq":%d,"readings":[%s]}`, seq, bad[:len(bad)-1]))
		cancel()
	}
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a client that reads nothing was not cut off: %v", err)
	}
	eventually(t, "the connection has ended", 30*time.Second, nobody)

	h, url = serveStreams(t, q, new(devices), secrets{"hk_a": newPrincipal()}, func(c *StreamConfig) { c.WriteTimeout, c.PingEvery = 500*time.Millisecond, 100*time.Millisecond })
	dialStream(t, url, "hk_a") // and reads nothing, so that pings are not answered
	eventually(t, "the connection has ended", 30*time.Second, nobody)
}
