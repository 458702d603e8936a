package ingest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// serveStreams serves WebSockets with a queue.
func serveStreams(t *testing.T, q *Queue, d *devices, auth Authenticator, change func(*StreamConfig)) (*Streams, string) {
	t.Helper()
	c := StreamConfig{pause: func(error) time.Duration { return 20 * time.Millisecond }}
	if change != nil {
		change(&c)
	}
	h := NewStreams(newReceiver(t, q, d, nil), auth, c)
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return h, server.URL
}

// streamer is a client.
type streamer struct {
	t    *testing.T
	conn *websocket.Conn
}

func dialStream(t *testing.T, url, key string) *streamer {
	t.Helper()
	options := &websocket.DialOptions{HTTPHeader: http.Header{}}
	if key != "" {
		options.HTTPHeader.Set("Authorization", "Bearer "+key)
	}
	conn, _, err := websocket.Dial(t.Context(), url, options)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { conn.CloseNow() })
	return &streamer{t, conn}
}

// join connects and is greeted.
func join(t *testing.T, url, key string, resume int64) *streamer {
	t.Helper()
	c := dialStream(t, url, key)
	if m := c.next(); m.Resume == nil || *m.Resume != resume {
		t.Fatalf("greeted with %+v, want resume %d", m, resume)
	}
	return c
}

func (c *streamer) send(text string) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *streamer) read() (m streamOut, err error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	_, data, err := c.conn.Read(ctx)
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(data, &m)
}

func (c *streamer) next() streamOut {
	c.t.Helper()
	m, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// acked waits for an acknowledgement, and says how often the client was told to
// wait before.
func (c *streamer) acked(seq int64) (busy int) {
	c.t.Helper()
	for {
		switch m := c.next(); {
		case m.Ack == seq:
			return busy
		case m.Busy > 0:
			busy++
		case m.Ack == 0 || m.Ack > seq:
			c.t.Fatalf("got %+v, want the acknowledgement of %d", m, seq)
		}
	}
}

// closedWith waits until the connection is closed.
func (c *streamer) closedWith(code websocket.StatusCode) {
	c.t.Helper()
	for {
		if _, err := c.read(); err != nil {
			if got := websocket.CloseStatus(err); got != code {
				c.t.Errorf("closed with %d, want %d: %v", got, code, err)
			}
			return
		}
	}
}

// sensorReading is a message with one reading without a time.
func sensorReading(seq int, temperature any) string {
	return fmt.Sprintf(`{"seq":%d,"readings":[{"device":"sensor-1","values":{"temperature":%v}}]}`, seq, temperature)
}

// measurementsIn are the readings of a queue by time: two readings of one time are one
// measurement.
func measurementsIn(t *testing.T, q *Queue) map[time.Time]any {
	t.Helper()
	byTime := map[time.Time]any{}
	for p := range q.Partitions() {
		for _, e := range drain(t, q, p) {
			for _, r := range e.Readings {
				byTime[r.MeasuredAt] = r.Values["temperature"]
			}
		}
	}
	return byTime
}

func TestStreamAnswers(t *testing.T) {
	q, bound := openQueue(t, nil), newPrincipal()
	bound.Key.DeviceIDs = []registry.ID{idOf(bound.Account, "sensor-1")}
	_, url := serveStreams(t, q, new(devices), secrets{"hk_a": newPrincipal(), "hk_bound": bound}, func(c *StreamConfig) { c.MaxReadings = 2 })
	content := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"t": 215, "at": %d}`, time.Now().Unix()))
	const one = `{"device":"sensor-1","values":{"temperature":1}}`
	clients := map[string]*streamer{"": join(t, url, "hk_a", 0), "hk_bound": join(t, url, "hk_bound", 0)}
	for i, c := range []struct {
		name, key, body string
		code, says      string // of an error; none if empty
		queued          int
	}{
		{"one", "", `"readings":` + one, "", "", 1},
		{"two", "", `"readings":[` + one + `,` + one + `]`, "", "", 2},
		{"none", "", `"readings":[]`, "", "", 0},
		{"too many", "", `"readings":[` + one + `,` + one + `,` + one + `]`, "INVALID", "at most 2", 0},
		{"wrong type", "", `"readings":[` + one + `,{"device":"sensor-1","values":{"temperature":"hot"}}]`, "INVALID", `{"index":1,"path":"values.temperature","rule":"type"`, 0},
		{"unknown", "", `"readings":{"device":"ghost","values":{"temperature":1}}`, "INVALID", `"path":"device","rule":"unknown"`, 0},
		{"another's", "hk_bound", `"readings":{"device":"sensor-2","values":{"temperature":1}}`, "INVALID", `"rule":"unknown"`, 0},
		{"its own", "hk_bound", `"readings":` + one, "", "", 1},
		{"not JSON", "", `"readings":[` + one + `,]`, "INVALID", "not JSON at byte", 0},
		{"about nothing", "", `"reading":` + one, "INVALID", `no field \"reading\"`, 0},
		{"about two things", "", `"readings":` + one + `,"raw":{}`, "INVALID", "one thing", 0},
		{"payload", "", `"raw":{"device":"sensor-1","content":"` + content + `"}`, "", "", 1},
		{"payload as text", "", `"raw":{"template":"sensor","contentType":"application/json","text":"{\"id\":\"sensor-2\",\"t\":215,\"at\":` + fmt.Sprint(time.Now().Unix()) + `}"}`, "", "", 1},
		{"no payload", "", `"raw":{"content":"` + content + `"}`, "INVALID", "names its device", 0},
		{"nobody's payload", "", `"raw":{"device":"ghost","content":"` + content + `"}`, "NOT_FOUND", "ghost", 0},
		{"undecodable", "", `"raw":{"device":"sensor-1","text":"x"}`, "UNDECODABLE", `"deadLetter":true`, 1},
		{"an answer to nothing", "", `"reply":{"device":"sensor-1","id":"x","status":"ok"}`, "FORBIDDEN", "nothing", 0},
		{"after all that", "", `"readings":` + one, "", "", 1},
	} {
		before, client, seq := backlog(t, q), clients[c.key], int64(i+1)
		client.send(fmt.Sprintf(`{"seq":%d,%s}`, seq, c.body))
		m := client.next()
		if c.code != "" {
			text, _ := json.Marshal(m)
			if m.Error == nil || m.Error.Seq != seq || m.Error.Code != c.code || !strings.Contains(string(text), c.says) {
				t.Errorf("%s: %s, want %s with %s", c.name, text, c.code, c.says)
			}
			m = client.next()
		}
		if m.Ack != seq {
			t.Errorf("%s: %+v, want the acknowledgement of %d", c.name, m, seq)
		}
		if n := backlog(t, q) - before; n != c.queued {
			t.Errorf("%s: %d readings are queued, want %d", c.name, n, c.queued)
		}
	}
}

func TestStreamConnects(t *testing.T) {
	door := testkit.NewDoor(t)
	q, down := openQueue(t, nil), openQueue(t, func(c *QueueConfig) { c.URL, c.Timeout = door.URL, time.Second })
	door.Shut()
	auth := &revocable{secrets: secrets{"hk_a": newPrincipal()}}
	h, url := serveStreams(t, q, new(devices), auth, func(c *StreamConfig) { c.MaxClients, c.MaxMessage, c.PingEvery = 1, 1<<20, 50*time.Millisecond })
	_, downURL := serveStreams(t, down, new(devices), auth, nil)
	_, lateURL := serveStreams(t, q, new(devices), auth, func(c *StreamConfig) { c.InitTimeout = 50 * time.Millisecond })
	alone := func() {
		eventually(t, "nobody is connected", 30*time.Second, func() bool { return len(h.open.Open()) == 0 })
	}
	for name, c := range map[string]struct {
		url, key string
		first    string
		code     websocket.StatusCode
	}{
		"no key":          {url, "", sensorReading(1, 1), 4401},
		"a wrong key":     {url, "", `{"authorization":"Bearer hk_x"}`, 4403},
		"no bearer":       {url, "", `{"authorization":"hk_a"}`, 4401},
		"keys are away":   {url, "", `{"authorization":"Bearer down"}`, 1013},
		"late":            {lateURL, "", "", 4408},
		"two keys":        {url, "hk_a", `{"authorization":"Bearer hk_a"}`, 4400},
		"not JSON":        {url, "hk_a", `21.5`, 4400},
		"no seq":          {url, "hk_a", `{"readings":[]}`, 4400},
		"seq 0":           {url, "hk_a", `{"seq":0,"readings":[]}`, 4400},
		"seq is no seq":   {url, "hk_a", `{"seq":9007199254740992,"readings":[]}`, 4400},
		"seq of nothing":  {url, "hk_a", `{"seq":1,"subscribe":{}}`, 4400},
		"large":           {url, "hk_a", `{"seq":1,"readings":[` + strings.Repeat(" ", 1<<20) + `]}`, 1009},
		"large, no key":   {url, "", `{"authorization":"` + strings.Repeat(" ", 17<<10) + `"}`, 1009},
		"queue away":      {downURL + "?session=x", "hk_a", "", 1013},
		"binary":          {url, "hk_a", "binary", 1003},
		"a key as binary": {url, "", "binary", 1003},
	} {
		t.Run(name, func(t *testing.T) {
			alone()
			client := dialStream(t, c.url, c.key)
			if c.first == "binary" {
				client.conn.Write(t.Context(), websocket.MessageBinary, []byte{1})
			} else if c.first != "" {
				client.conn.Write(t.Context(), websocket.MessageText, []byte(c.first)) // may be closed before its end
			}
			client.closedWith(c.code)
		})
	}
	for name, c := range map[string]struct {
		url, key, origin string
		status           int
	}{
		"a wrong key":   {url, "hk_x", "", 401},
		"keys are away": {url, "down", "", 503},
		"session":       {url + "?session=%C3%A4", "hk_a", "", 400},
		"another page":  {url, "hk_a", "https://elsewhere.example", 403},
		"one too many":  {url, "hk_a", "", 503},
	} {
		t.Run(name, func(t *testing.T) {
			alone()
			if c.status == 503 {
				join(t, url, "hk_a", 0)
			}
			header := http.Header{"Authorization": {"Bearer " + c.key}}
			if c.origin != "" {
				header.Set("Origin", c.origin)
			}
			_, response, err := websocket.Dial(t.Context(), c.url, &websocket.DialOptions{HTTPHeader: header})
			if err == nil || response == nil || response.StatusCode != c.status {
				t.Errorf("%v %v, want %d", response, err, c.status)
			}
		})
	}
	if response, err := http.Get(url); err != nil || response.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("no WebSocket: %v %v", response, err)
	}
	alone()
	browser := dialStream(t, url, "")
	browser.send(`{"authorization":"Bearer hk_a"}`)
	if m := browser.next(); m.Resume == nil || *m.Resume != 0 {
		t.Errorf("the key as the first message: %+v", m)
	}
	browser.send(sensorReading(1, 1))
	browser.acked(1)
	auth.revoked.Store(true)
	browser.closedWith(4403) // although it sends nothing
}

// FuzzParseStream holds the parser of messages against encoding/json.
func FuzzParseStream(f *testing.F) {
	for _, seed := range []string{
		sensorReading(1, 21.5), `{"readings":[],"seq":9007199254740991}`, `{"seq":1,"readings":[1,{}],"more":null}`, `{"seq":-1}`, `{"seq":1e2,"readings":[]}`,
		`{"seq":2,"raw":{"device":"d","content":"AA=="}}`, `{"seq":3,"reply":{"device":"d","id":"c","status":"ok","result":[{"a":1}]}}`, `{"seq":1,"seq":2,"raw":{}}`,
		`{"subscribe":{"commands":["d"],"desired":[]}}`, `{"unsubscribe":{}}`, `{"authorization":"Bearer hk_a"}`, ` [ ] `, `{"seq":4,"readings":{"device":"d","values":{"t":1}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := parseStream(in)
		switch {
		case err != nil:
			return
		case m.wrong != "" && m.seq == 0:
			t.Fatalf("%q: what is wrong cannot be told: %+v", in, m)
		case isKept(m.what) != (m.seq > 0) && m.wrong == "":
			t.Fatalf("%q: %+v", in, m)
		case m.wrong != "":
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(in, &want); err != nil {
			t.Fatalf("encoding/json cannot read %q: %v", in, err)
		}
		if seq := string(want["seq"]); m.seq > 0 && seq != fmt.Sprint(m.seq) || m.body != nil && string(m.body) != string(want[m.what]) {
			t.Fatalf("%q: %+v", in, m)
		}
	})
}
