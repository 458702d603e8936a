package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/google/go-cmp/cmp"
)

// streamDevice is a device that is connected over a WebSocket.
type streamDevice struct {
	t    *testing.T
	conn *websocket.Conn
	seq  int64
	told chan streamTold
	// resumed is how far the session had come.
	resumed int64
}

type streamTold struct {
	Resume  *int64
	Ack     int64
	Error   *struct{ Code, Message string }
	Command *struct {
		Device, ID, Name string
		Parameters       map[string]any
	}
	Desired *struct {
		Device  string
		Version int
		Values  map[string]any
	}
	Subscribed *struct{ Commands, Desired []string }
}

// stream connects and reads all that it is told.
func stream(t *testing.T, c apiClient, session string) *streamDevice {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(c.url, "http", "ws", 1)+"/v1/stream?session="+session,
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + c.key}}})
	if err != nil {
		t.Fatal(err)
	}
	d := &streamDevice{t: t, conn: conn, told: make(chan streamTold, 1000)}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(d.told)
		for {
			var m streamTold
			if wsjson.Read(ctx, conn, &m) != nil {
				return
			}
			d.told <- m
		}
	}()
	t.Cleanup(func() {
		stop()
		conn.CloseNow()
		<-done
	})
	m := d.next()
	if m.Resume == nil {
		t.Fatalf("greeted with %+v", m)
	}
	d.resumed = *m.Resume
	return d
}

func (d *streamDevice) next() streamTold {
	d.t.Helper()
	select {
	case m, ok := <-d.told:
		if !ok {
			d.t.Fatal("the connection is closed")
		}
		return m
	case <-time.After(30 * time.Second):
		d.t.Fatal("it was told nothing")
	}
	panic("not reached")
}

func (d *streamDevice) write(m map[string]any) {
	d.t.Helper()
	if err := wsjson.Write(d.t.Context(), d.conn, m); err != nil {
		d.t.Fatal(err)
	}
}

// send sends what is to be acknowledged, and returns its error, or none.
func (d *streamDevice) send(what string, content any) (code string) {
	d.t.Helper()
	d.seq++
	d.write(map[string]any{"seq": d.seq, what: content})
	for {
		switch m := d.next(); {
		case m.Error != nil:
			code = m.Error.Code
		case m.Ack == d.seq:
			return code
		case m.Ack != 0:
			d.t.Fatalf("%d is acknowledged, not %d", m.Ack, d.seq)
		}
	}
}

func (d *streamDevice) subscribe(topics map[string][]string) (code string) {
	d.t.Helper()
	d.write(map[string]any{"subscribe": topics})
	m := d.next()
	if m.Error != nil {
		return m.Error.Code
	}
	if m.Subscribed == nil {
		d.t.Fatalf("got %+v", m)
	}
	return ""
}

// TestStreamCommands tells a device over a WebSocket what to do and what to
// become, and takes its answers.
func TestStreamCommands(t *testing.T) {
	t.Parallel()
	c, account := newAccount(t)
	ask[any](t, c, `mutation {
		createTemplate(input: {kind: DEVICE, name: "valve", publish: true, silence: "PT15M", measures: [{name: "opening", type: "number"}],
			commands: [{name: "move", response: {type: "object", required: ["reached"]}}]}) { template { id } }
		createDevices(input: {devices: [{reference: "valve-1", template: "valve"}, {reference: "valve-2", template: "valve"}]}) { succeeded }
		setDesired(input: {device: "valve-1", values: {opening: 10}}) { desired { version } }
	}`, nil)
	first := sendCommand(t, c, `device: "valve-1", name: "move", parameters: {to: 40}`)
	own := clientOf(t, account, "valve-1")
	d := stream(t, own, "valve-1")
	if code := d.subscribe(map[string][]string{"commands": {"valve-1", "valve-2"}}); code != "NOT_FOUND" {
		t.Errorf("another's commands: %q", code)
	}
	if code := d.subscribe(map[string][]string{"orders": {"valve-1"}}); code != "INVALID" {
		t.Errorf("orders: %q", code)
	}
	if code := d.subscribe(map[string][]string{"commands": {"valve-1"}, "desired": {"valve-1"}}); code != "" {
		t.Fatalf("its own commands: %q", code)
	}
	if m := d.next().Desired; m == nil || m.Device != "valve-1" || m.Version != 1 || m.Values["opening"] != 10.0 {
		t.Errorf("it is to become %+v", m)
	}
	if m := d.next().Command; m == nil || m.Device != "valve-1" || m.ID != first || m.Name != "move" || m.Parameters["to"] != 40.0 {
		t.Errorf("got the command %+v, want %s", m, first)
	}
	awaitCommand(t, c, first, "SENT") // and delivered
	if p := presenceOf(t, c, "valve-1"); p.Connected == nil || !*p.Connected {
		t.Errorf("a device with a connection: %+v", p)
	}
	answer := map[string]any{"device": "valve-1", "id": first, "status": "ok", "result": map[string]any{"reached": 40}}
	for _, wrong := range []map[string]any{{"id": first, "status": "ok"}, {"device": "valve-1", "id": first, "status": "done"}} {
		if code := d.send("reply", wrong); code != "INVALID" {
			t.Errorf("the answer %v: %q", wrong, code)
		}
	}
	if code := d.send("reply", map[string]any{"device": "valve-2", "id": first, "status": "ok"}); code != "NOT_FOUND" {
		t.Errorf("the answer of another: %q", code)
	}
	if code := d.send("reply", answer); code != "" {
		t.Errorf("the answer: %q", code)
	}
	if got := awaitCommand(t, c, first, "ACKNOWLEDGED"); got.Result.(map[string]any)["reached"] != 40.0 {
		t.Errorf("acknowledged: %+v", got)
	}

	// With a connection of each kind a command is sent over one of them, once.
	mqtt := connect(t, account, own.key)
	if !mqtt.subscribe("commands/valve-1") {
		t.Fatal("the device may not listen over MQTT")
	}
	want := map[string]int{}
	for i := range 6 {
		want[sendCommand(t, c, fmt.Sprintf(`device: "valve-1", name: "move", parameters: {to: %d}`, i))] = 1
	}
	got := map[string]int{}
	for len(got) < len(want) {
		select {
		case m := <-d.told:
			got[m.Command.ID]++
		case p := <-mqtt.messages:
			var m struct{ ID string }
			if err := json.Unmarshal(p.Payload, &m); err != nil {
				t.Fatal(err)
			}
			got[m.ID]++
		case <-time.After(30 * time.Second):
			t.Fatalf("got the commands %v, want %v", got, want)
		}
	}
	for id := range want {
		awaitCommand(t, c, id, "SENT")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	// What is sent while it is away waits for it.
	mqtt.leave()
	d.write(map[string]any{"unsubscribe": map[string]any{"commands": []string{"valve-1"}}})
	d.next()
	away := sendCommand(t, c, `device: "valve-1", name: "move"`)
	ask[any](t, c, `mutation { setDesired(input: {device: "valve-1", values: {opening: 20}}) { desired { version } } }`, nil)
	if m := d.next(); m.Desired == nil || m.Desired.Version != 2 {
		t.Errorf("not subscribed to commands any more, it is told %+v", m)
	}
	d.conn.Close(websocket.StatusNormalClosure, "")
	again := stream(t, own, "valve-1")
	if code := again.subscribe(map[string][]string{"commands": {"valve-1"}}); code != "" {
		t.Fatalf("after it came back: %q", code)
	}
	if m := again.next().Command; m == nil || m.ID != away {
		t.Errorf("got the command %+v, want %s", m, away)
	}
}

// TestStreamStoresTheSame: what comes over a WebSocket becomes what it becomes
// over HTTP, also when the connection is cut and some of it is sent again.
func TestStreamStoresTheSame(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	ask[any](t, c, `mutation {
		createTemplate(input: {kind: DEVICE, name: "room", publish: true, measures: [{name: "temperature", type: "number"}, {name: "open", type: "boolean"}]}) { template { id } }
		createDevices(input: {devices: [{reference: "by-http", template: "room"}, {reference: "by-stream", template: "room"}]}) { succeeded }
	}`, nil)
	begin := time.Now().Add(-time.Hour).UnixMilli()
	readings := func(device string, from, to int) (out []map[string]any) {
		for i := from; i < to; i++ {
			out = append(out, map[string]any{"device": device, "measuredAt": begin + int64(i)*1000, "values": map[string]any{"temperature": float64(i%70) / 2, "open": i%3 == 0}})
		}
		return out
	}
	const n, each = 300, 10
	body, err := json.Marshal(readings("by-http", 0, n))
	if err != nil {
		t.Fatal(err)
	}
	if status, answer := sendRaw(t, c, "/v1/readings", "application/json", string(body)); status != http.StatusAccepted {
		t.Fatal(status, answer)
	}
	d := stream(t, c, "room")
	for i, cut := 0, false; i < n; i += each {
		if i >= n/2 && !cut { // some of it is sent again
			cut = true
			d.conn.CloseNow()
			d = stream(t, c, "room")
			d.seq = max(d.resumed-3, 0)
			i = int(d.seq) * each
		}
		d.seq++
		d.write(map[string]any{"seq": d.seq, "readings": readings("by-stream", i, i+each)})
	}
	for d.next().Ack != n/each {
	}
	type samples struct {
		At    []string
		Value []any
	}
	type both struct{ Temperature, Open samples }
	var got struct{ HTTP, Stream both }
	waitFor(t, "all readings", func() bool {
		got = ask[struct{ HTTP, Stream both }](t, c, `query($from: DateTime!, $to: DateTime!) {
			http: device(reference: "by-http") { ...values }
			stream: device(reference: "by-stream") { ...values }
		}
		fragment values on Device {
			temperature: samples(measure: "temperature", from: $from, to: $to, limit: 1000) { at value }
			open: samples(measure: "open", from: $from, to: $to, limit: 1000) { at value }
		}`, map[string]any{"from": time.UnixMilli(begin), "to": time.UnixMilli(begin + n*1000)})
		// Each of these is read by itself, one perhaps just before the values come.
		return min(len(got.HTTP.Temperature.At), len(got.HTTP.Open.At), len(got.Stream.Temperature.At), len(got.Stream.Open.At)) >= n
	})
	if diff := cmp.Diff(got.HTTP, got.Stream); diff != "" {
		t.Error(diff)
	}
	letters := ask[struct {
		DeadLetters struct{ Nodes []struct{ ID string } }
	}](t, c, `{ deadLetters { nodes { id } } }`, nil)
	if n := len(letters.DeadLetters.Nodes); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}
