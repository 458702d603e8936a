package ingest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// TestStreamHearsParts: a message that takes long shows that its sender is there
// before it is complete.
func TestStreamHearsParts(t *testing.T) {
	h, url := serveStreams(t, openQueue(t, nil), new(devices), secrets{"hk_a": newPrincipal()}, nil)
	client := join(t, url, "hk_a", 0)
	s := h.open.Open()[0]
	w, err := client.conn.Writer(t.Context(), websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		before := s.heard.Load()
		if _, err := w.Write([]byte(strings.Repeat(" ", 64<<10))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "part of a message is heard", 30*time.Second, func() bool { return s.heard.Load() > before })
	}
	if _, err := w.Write([]byte(sensorReading(1, 1))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	client.acked(1)
}

// TestStreamStrangers: clients that have not said who they are leave room for
// those that have.
func TestStreamStrangers(t *testing.T) {
	_, url := serveStreams(t, openQueue(t, nil), new(devices), secrets{"hk_a": newPrincipal()}, func(c *StreamConfig) {
		c.MaxClients, c.InitTimeout = 20, time.Hour
	})
	first := dialStream(t, url, "")
	second := dialStream(t, url, "")
	if _, response, err := websocket.Dial(t.Context(), url, nil); err == nil || response == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a third stranger: %v %v", response, err)
	}
	join(t, url, "hk_a", 0)
	first.send(`{"authorization":"Bearer hk_a"}`)
	if m := first.next(); m.Resume == nil {
		t.Errorf("greeted with %+v", m)
	}
	second.conn.CloseNow()
	for range 2 { // in the place of the one that is known, and of the one that went
		eventually(t, "there is room for a stranger", 30*time.Second, func() bool {
			conn, _, err := websocket.Dial(t.Context(), url, nil)
			if err == nil {
				t.Cleanup(func() { conn.CloseNow() })
			}
			return err == nil
		})
	}
}

// TestStreamFloodsNobody: while a message waits for a partition that is full, the
// others get their part of it once.
func TestStreamFloodsNobody(t *testing.T) {
	q, who := openQueue(t, func(c *QueueConfig) { c.MaxReadings, c.Partitions = 1000, 8 }), newPrincipal()
	_, url := serveStreams(t, q, new(devices), secrets{"hk_a": who}, nil)
	partition := func(i int) int { return registry.PartitionOf(idOf(who.Account, fmt.Sprintf("sensor-%d", i)), 8) }
	other := 2
	for partition(other) == partition(1) {
		other++
	}
	client := join(t, url, "hk_a", 0)
	reading := func(i int) string { return fmt.Sprintf(`{"device":"sensor-%d","values":{"temperature":1}},`, i) }
	client.send(`{"seq":1,"readings":[` + strings.TrimSuffix(strings.Repeat(reading(1), 1000), ",") + `]}`)
	client.acked(1)
	both := strings.TrimSuffix(reading(1)+reading(other), ",")
	client.send(`{"seq":2,"readings":[` + both + `]}`)
	client.send(`{"seq":3,"readings":[` + both + `]}`)
	for range 5 {
		if m := client.next(); m.Busy == 0 {
			t.Fatalf("a partition is full: %+v", m)
		}
	}
	waiting := func() int {
		n := 0
		for _, e := range drain(t, q, partition(other)) {
			n += len(e.Readings)
		}
		return n
	}
	if n := waiting(); n < 1 || n > 2 {
		t.Errorf("two messages became %d readings", n)
	}
	if err := q.Done(t.Context(), partition(1), drain(t, q, partition(1))); err != nil {
		t.Fatal(err)
	}
	client.acked(3)
	if n := waiting(); n != 2 {
		t.Errorf("two messages became %d readings in the end", n)
	}
	if n := len(drain(t, q, partition(1))); n == 0 {
		t.Error("what had to wait is not there")
	}
}

// TestStreamRoom: what all clients together may have under way is bounded, and
// nothing of it is lost by those that go.
func TestStreamRoom(t *testing.T) {
	door := testkit.NewDoor(t)
	q := openQueue(t, func(c *QueueConfig) { c.URL, c.Timeout = door.URL, time.Second })
	room := int64(3 * len(sensorReading(1, 1)))
	h, url := serveStreams(t, q, new(devices), secrets{"hk_a": newPrincipal()}, func(c *StreamConfig) { c.room, c.MaxMessage = room, room })
	gone, first, second := join(t, url, "hk_a", 0), join(t, url, "hk_a", 0), join(t, url, "hk_a", 0)
	door.Shut()
	for seq := 1; seq <= 9; seq++ {
		first.send(sensorReading(seq, seq))
		gone.send(sensorReading(seq, seq))
	}
	eventually(t, "there is no room", 30*time.Second, func() bool {
		if h.room.TryAcquire(1) {
			h.room.Release(1)
			return false
		}
		return true
	})
	second.send(sensorReading(1, 1))
	gone.conn.CloseNow()
	door.Open()
	first.acked(9)
	second.acked(1)
	eventually(t, "there is room for all", 30*time.Second, func() bool {
		if h.room.TryAcquire(room) {
			h.room.Release(room)
			return true
		}
		return false
	})
}

// told is a store of what devices are told that has nothing, and waits to be let
// go on.
type told struct {
	Downlink
	asked chan registry.ID
}

func (d *told) DesiredOf(ctx context.Context, _ registry.Scope, ids []registry.ID) ([]*registry.Desired, error) {
	d.asked <- ids[0]
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestStreamForgetsDownlinks: nothing is left of what a connection followed, nor
// looked up for it.
func TestStreamForgetsDownlinks(t *testing.T) {
	store := &told{asked: make(chan registry.ID, 100)}
	h, url := serveStreams(t, openQueue(t, nil), new(devices), secrets{"hk_a": newPrincipal()}, func(c *StreamConfig) { c.Downlink = store })
	client := join(t, url, "hk_a", 0)
	many := `"x"` + strings.Repeat(`,"x"`, 2*maxDownlinks)
	for _, what := range []string{"subscribe", "unsubscribe"} {
		client.send(fmt.Sprintf(`{"%s":{"commands":[%s]}}`, what, many))
		if m := client.next(); m.Error == nil || m.Error.Code != string(registry.CodeLimitExceeded) {
			t.Errorf("%s too many: %+v", what, m)
		}
	}
	client.send(`{"subscribe":{"desired":["sensor-1","sensor-2","sensor-3"]}}`)
	if m := client.next(); m.Subscribed == nil {
		t.Fatalf("%+v", m)
	}
	<-store.asked
	following := func() int { h.downlinks.mu.Lock(); defer h.downlinks.mu.Unlock(); return len(h.downlinks.byDevice) }
	if n := following(); n != 3 {
		t.Errorf("%d devices are followed, want 3", n)
	}
	client.conn.CloseNow()
	eventually(t, "nothing is followed", 30*time.Second, func() bool { return following() == 0 })
	if n := len(store.asked); n != 0 {
		t.Errorf("after the end %d more devices were looked up", n)
	}

	ended := make(chan struct{})
	down := h.downlinks.open(store, nil, nil, ended, h.c.Logger)
	if !down.expect("a") || following() != 1 {
		t.Error("a device cannot be followed")
	}
	close(ended)
	down.close() // although it never ran
	if down.expect("b") || following() != 0 {
		t.Error("a device is followed after the end")
	}
}
