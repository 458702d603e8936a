package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// keepingReceiver keeps payloads.
func keepingReceiver(t *testing.T, q *Queue, now *time.Time) *Receiver {
	t.Helper()
	r := newReceiver(t, q, new(devices), clockAt(now))
	r.KeepPayloads()
	return r
}

// queuedReadings are all that is in a queue.
func queuedReadings(t *testing.T, q *Queue) []registry.AcceptedReading {
	t.Helper()
	var out []registry.AcceptedReading
	for p := range q.Partitions() {
		for _, e := range drain(t, q, p) {
			out = append(out, e.Readings...)
		}
	}
	return out
}

func TestRawHTTP(t *testing.T) {
	who, bound := newPrincipal(), newPrincipal()
	bound.Key.DeviceIDs = []registry.ID{idOf(bound.Account, "sensor-1")}
	auth := secrets{"hk_a": who, "hk_bound": bound}
	full := openQueue(t, func(c *QueueConfig) { c.MaxReadings = 1 })
	const at = `"at": 1780315200` // 2026-06-01T12:00:00Z
	for name, c := range map[string]struct {
		full                 bool
		method, target, body string
		key                  string
		status               int
		want                 string // the body, or part of it
		queued               int
		refused              registry.DeadLetterReason
	}{
		"for a device":       {target: "/v1/raw/sensor-1", body: `{"t": 215, ` + at + `}`, status: 202, want: `{"accepted":1}`, queued: 1},
		"for a template":     {target: "/v1/raw?template=Sensor", body: `[{"id": "sensor-1", "t": 1, ` + at + `}, {"id": "sensor-2", "t": 2, ` + at + `}]`, status: 202, want: `{"accepted":2}`, queued: 2},
		"undecodable":        {target: "/v1/raw/sensor-1", body: `{"t": "warm", ` + at + `}`, status: 202, want: `{"accepted":0,"deadLetter":true,"code":"UNDECODABLE","message":"[0]: t: \"warm\" is not a number"`, queued: 1, refused: registry.ReasonUndecodable},
		"no decoder":         {target: "/v1/raw/open-1", body: `{"t": 1}`, status: 202, want: `"template open has no decoder"`, queued: 1, refused: registry.ReasonUndecodable},
		"no such device":     {target: "/v1/raw/nobody", body: `{"t": 1}`, status: 404, want: `"code":"NOT_FOUND"`},
		"no such template":   {target: "/v1/raw?template=x", body: `{"t": 1}`, status: 404},
		"an unknown device":  {target: "/v1/raw?template=sensor", body: `{"id": "nobody", "t": 1, ` + at + `}`, status: 202, want: `"code":"UNKNOWN_DEVICE"`, queued: 1, refused: registry.ReasonUnknownDevice},
		"in the future":      {target: "/v1/raw/sensor-1", body: `{"t": 1, "at": 2780315200}`, status: 202, want: `"code":"TIME_OUT_OF_BOUNDS"`, queued: 1, refused: registry.ReasonTimeOutOfBounds},
		"nowhere":            {target: "/v1/raw/", body: `{"t": 1}`, status: 400},
		"both ways":          {target: "/v1/raw/sensor-1?template=sensor", body: `{"t": 1}`, status: 400},
		"too large":          {target: "/v1/raw/sensor-1", body: strings.Repeat(" ", maxPayload+1), status: 413},
		"GET":                {method: "GET", target: "/v1/raw/sensor-1", status: 405},
		"no key":             {key: "-", target: "/v1/raw/sensor-1", body: `{"t": 1}`, status: 401},
		"a bound key":        {key: "hk_bound", target: "/v1/raw/sensor-1", body: `{"t": 215, ` + at + `}`, status: 202, want: `{"accepted":1}`, queued: 1},
		"another's device":   {key: "hk_bound", target: "/v1/raw/sensor-2", body: `{"t": 215, ` + at + `}`, status: 404},
		"one of several":     {key: "hk_bound", target: "/v1/raw?template=sensor", body: `[{"id": "sensor-1", "t": 1, ` + at + `}, {"id": "sensor-2", "t": 2, ` + at + `}]`, status: 404},
		"one after a fault":  {key: "hk_bound", target: "/v1/raw?template=sensor", body: `[{"id": "sensor-1", "t": 1, "at": 2780315200}, {"id": "sensor-2", "t": 2, ` + at + `}]`, status: 404, want: "sensor-2"},
		"of whom is unknown": {key: "hk_bound", target: "/v1/raw?template=sensor", body: `{"id": "sensor-2", "t": "warm", ` + at + `}`, status: 404, want: "bound to devices"},
		"a bound one's own":  {key: "hk_bound", target: "/v1/raw/sensor-1", body: `{"t": 1, "at": 2780315200}`, status: 202, want: `"code":"TIME_OUT_OF_BOUNDS"`, queued: 1, refused: registry.ReasonTimeOutOfBounds},
		"nothing in it":      {target: "/v1/raw/sensor-1", body: `[]`, status: 202, want: "holds no reading", queued: 1, refused: registry.ReasonUndecodable},
		"a full queue":       {full: true, target: "/v1/raw?template=sensor", body: `[{"id": "sensor-1", "t": 1, ` + at + `}, {"id": "sensor-1", "t": 2, "at": 1780315000}]`, status: 429},
		"a full queue still": {full: true, target: "/v1/raw/sensor-1", body: `[{"t": 1, ` + at + `}, {"t": 2, "at": 1780315000}]`, status: 429, want: `"code":"LIMIT_EXCEEDED"`},
	} {
		t.Run(name, func(t *testing.T) {
			q, now := full, noon
			if !c.full {
				q = openQueue(t, nil)
			}
			h := NewRawHandler(keepingReceiver(t, q, &now), auth, HTTPConfig{})
			method, key := c.method, c.key
			if method == "" {
				method = http.MethodPost
			}
			if key == "" {
				key = "hk_a"
			}
			request := httptest.NewRequest(method, c.target, strings.NewReader(c.body))
			request.Header.Set("Authorization", "Bearer "+key)
			request.Header.Set("Content-Type", "application/vnd.sensor")
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, request)
			if answer.Code != c.status || !strings.Contains(answer.Body.String(), c.want) {
				t.Errorf("got %d %s, want %d %s", answer.Code, answer.Body, c.status, c.want)
			}
			if c.full {
				return
			}
			queued := queuedReadings(t, q)
			if len(queued) != c.queued {
				t.Fatalf("%d readings are queued, want %d: %+v", len(queued), c.queued, queued)
			}
			contents := 0
			for _, r := range queued {
				if r.Payload == nil {
					t.Fatalf("a reading without its payload: %+v", r)
				}
				if r.Payload.Content != nil {
					contents++
					if p := r.Payload; string(p.Content) != c.body || p.ContentType != "application/vnd.sensor" || p.Source != "http" || !p.ReceivedAt.Equal(noon) || p.Valid != (c.refused == "") {
						t.Errorf("payload %+v", p)
					}
				}
				if (r.Refused != nil) != (c.refused != "") || r.Refused != nil && r.Refused.Reason != c.refused {
					t.Errorf("refused: %+v, want %s", r.Refused, c.refused)
				}
			}
			if contents != min(c.queued, 1) {
				t.Errorf("%d readings carry the content", contents)
			}
		})
	}
}

// TestRawCut leaves a payload to be sent again when its request ends while it is
// decoded: that says nothing of the payload.
func TestRawCut(t *testing.T) {
	now := noon
	r := newReceiver(t, nil, new(devices), clockAt(&now))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := rawMessage{reference: "sensor-1", content: []byte(`{"t": 1, "at": 1780315200}`), contentType: "text/\xff", receivedAt: noon}
	if got, err := r.checkRaw(ctx, newPrincipal(), "http", []rawMessage{m}, false); !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v, %v", got, err)
	}
	if p := m.payload("http"); p.ContentType != "text/\uFFFD" {
		t.Errorf("content type %q", p.ContentType)
	}
}

// TestReprocessFolds finds the readings of a device as the graph finds devices:
// whatever the case, and however Unicode composes a name.
func TestReprocessFolds(t *testing.T) {
	now, who := noon, newPrincipal()
	given := noon.Add(-time.Hour)
	p := &reprocessing{receiver: newReceiver(t, nil, new(devices), clockAt(&now)), principal: who,
		device: &knownDevice{KnownDevice: KnownDevice{Reference: "sensor-k\u00fchler"}}}
	one := &registry.KeptPayload{Payload: registry.Payload{Template: "sensor", ReceivedAt: noon,
		Content: []byte("[{\"id\": \"Sensor-Ku\u0308hler\", \"t\": 1, \"at\": 1780315200}, {\"id\": \"sensor-2\", \"t\": 1, \"at\": 1780315200}]")}}
	if got, message, err := p.decode(t.Context(), one); err != nil || message != "" || len(got) != 1 {
		t.Errorf("got %+v, %q, %v", got, message, err)
	}
	readings := []registry.Reading{{Device: "Sensor-Ku\u0308hler"}}
	giveTimes(readings, map[string][]time.Time{"sensor-k\u00fchler": {given}}, noon)
	if !readings[0].MeasuredAt.Equal(given) {
		t.Errorf("measured at %s", readings[0].MeasuredAt)
	}
}

// TestRawPacked takes what /v1/readings takes as well: gzip and a key that makes
// sending again safe.
func TestRawPacked(t *testing.T) {
	q, now, who := openQueue(t, nil), noon, newPrincipal()
	h := NewRawHandler(keepingReceiver(t, q, &now), secrets{"hk_a": who}, HTTPConfig{})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(`{"t": 215, "at": 1780315200}`))
	z.Close()
	for _, device := range []string{"sensor-1", "sensor-1", "sensor-2"} {
		request := httptest.NewRequest(http.MethodPost, "/v1/raw/"+device, bytes.NewReader(packed.Bytes()))
		request.Header.Set("Authorization", "Bearer hk_a")
		request.Header.Set("Content-Encoding", "gzip")
		request.Header.Set("Idempotency-Key", "17")
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, request)
		want := http.StatusAccepted
		if device == "sensor-2" {
			want = http.StatusUnprocessableEntity
		}
		if answer.Code != want {
			t.Errorf("%s: got %d %s", device, answer.Code, answer.Body)
		}
	}
	queued := queuedReadings(t, q)
	if len(queued) != 1 || queued[0].Values["temperature"] != 21.5 || !queued[0].MeasuredAt.Equal(noon) {
		t.Errorf("queued %+v", queued)
	}
}

func TestRawMQTT(t *testing.T) {
	q, who, bound := openQueue(t, nil), newPrincipal(), newPrincipal()
	bound.Key.DeviceIDs = []registry.ID{idOf(bound.Account, "sensor-1")}
	address := listen(t, q, new(devices), secrets{"hk_a": who, "hk_bound": bound})
	client, _ := connectThree(t, address, "c3", "hk_a")
	for i, payload := range []string{`{"t": 215, "at": 1780315200}`, "\x00\xff", `{"t": 1, "at": 1780315201}`} {
		device := "sensor-1"
		if i == 2 {
			device = "nobody"
		}
		client.publish(uint16(i+1), 1, "holon/"+who.AccountName+"/raw/"+device, payload)
		if !client.acked(uint16(i + 1)) {
			t.Fatalf("message %d is not acknowledged", i)
		}
	}
	other, _ := connectThree(t, address, "cb", "hk_bound")
	other.publish(1, 1, "holon/"+bound.AccountName+"/raw/sensor-2", `{"t": 1}`)
	if other.acked(1) {
		t.Error("a bound key sent a payload of another device")
	}
	got := map[string]string{}
	for _, r := range queuedReadings(t, q) {
		reason, content := "", ""
		if r.Refused != nil {
			reason, content = string(r.Refused.Reason), string(r.Payload.Content)
		}
		got[r.Reference+" "+reason] = content
	}
	want := map[string]string{"sensor-1 ": "", "sensor-1 UNDECODABLE": "\x00\xff", "nobody UNKNOWN_DEVICE": `{"t": 1, "at": 1780315201}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestRawMQTTTemplate sends payloads that name their devices.
func TestRawMQTTTemplate(t *testing.T) {
	q, who, bound := openQueue(t, nil), newPrincipal(), newPrincipal()
	bound.Key.DeviceIDs = []registry.ID{idOf(bound.Account, "sensor-1")}
	address := listen(t, q, new(devices), secrets{"hk_a": who, "hk_bound": bound})
	client, _ := connectThree(t, address, "c3", "hk_a")
	const both = `[{"id": "sensor-1", "t": 1, "at": 1780315200}, {"id": "sensor-2", "t": 2, "at": 1780315200}]`
	for i, m := range [][2]string{{"Sensor", both}, {"sensor", "\x00"}, {"nothing", both}} {
		client.publish(uint16(i+1), 1, "holon/"+who.AccountName+"/templates/"+m[0], m[1])
		if !client.acked(uint16(i + 1)) {
			t.Fatalf("message %d is not acknowledged", i)
		}
	}
	other, _ := connectThree(t, address, "cb", "hk_bound")
	other.publish(1, 1, "holon/"+bound.AccountName+"/templates/sensor", both)
	if other.acked(1) {
		t.Error("a bound key sent a payload of another device")
	}
	var got []string
	for _, r := range queuedReadings(t, q) {
		if r.Refused != nil {
			got = append(got, r.Payload.Template+" "+string(r.Refused.Reason))
		} else {
			got = append(got, r.Reference)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"nothing UNKNOWN_DEVICE", "sensor UNDECODABLE", "sensor-1", "sensor-2"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestRawReplay decodes dead letters anew.
func TestRawReplay(t *testing.T) {
	q, now, who := openQueue(t, nil), noon, newPrincipal()
	r := keepingReceiver(t, q, &now)
	box := new(letterBox)
	hour := noon.Add(-time.Hour)
	put := func(device, template, content string) {
		box.put(device, "", hour)
		box.letters[len(box.letters)-1].Payload = &registry.Payload{ID: registry.ID("p-" + device + template), Content: []byte(content), Template: template, ReceivedAt: hour}
	}
	put("sensor-1", "", `{"t": 215, "at": 1780311600}`)
	put("sensor-2", "", `{"t": "warm"}`)
	box.put("sensor-3", `{"values": {"temperature": 3}}`, hour)
	put("", "sensor", `{"id": "sensor-4", "t": 40, "at": 1780311600}`)
	put("nobody", "", `{"t": 1}`)
	got, err := r.Replay(t.Context(), who, box, registry.ReplayRequest{First: 10})
	if err != nil {
		t.Fatal(err)
	}
	if got.Accepted != 3 || got.Refused != 2 || got.Readings != 3 {
		t.Errorf("got %+v", got)
	}
	reasons := map[string]registry.DeadLetterReason{}
	for _, l := range box.letters {
		reasons[l.DeviceReference] = l.Reason
	}
	if diff := cmp.Diff(map[string]registry.DeadLetterReason{"sensor-2": registry.ReasonUndecodable, "nobody": registry.ReasonUnknownDevice}, reasons); diff != "" {
		t.Errorf("left: -want +got\n%s", diff)
	}
	values := map[string]any{}
	for _, one := range queuedReadings(t, q) {
		values[one.Reference] = one.Values["temperature"]
		if p := one.Payload; one.Reference == "sensor-1" && (p == nil || p.ID != "p-sensor-1" || one.Source != "mqtt" || p.Source != "mqtt") {
			t.Errorf("the payload of %+v is %+v", one, p)
		}
	}
	if diff := cmp.Diff(map[string]any{"sensor-1": 21.5, "sensor-3": 3.0, "sensor-4": 4.0}, values); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
