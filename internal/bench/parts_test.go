package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/holon-registry/holon/ingest"
)

// streamServer greets, reads what it is sent, and answers as it is told to.
func streamServer(t *testing.T, answer func(ctx context.Context, conn *websocket.Conn, next func() int) error) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		next := func() int {
			_, text, err := conn.Read(r.Context())
			var message struct {
				Seq      int
				Readings []any
			}
			if err == nil {
				err = json.Unmarshal(text, &message)
			}
			if err != nil || len(message.Readings) != 1 {
				t.Errorf("%s: %v", text, err)
			}
			return message.Seq
		}
		if err := say(r.Context(), conn, `{"resume": 0}`); err != nil {
			t.Error(err)
			return
		}
		if err := answer(r.Context(), conn, next); err != nil {
			t.Error(err)
		}
		_, _, _ = conn.Read(r.Context()) // until the client goes
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func say(ctx context.Context, conn *websocket.Conn, text string) error {
	return conn.Write(ctx, websocket.MessageText, []byte(text))
}

// streamSome sends n messages and returns how many were acknowledged.
func streamSome(t *testing.T, address string, n int) (int, error) {
	t.Helper()
	conn, err := openStream(t.Context(), address, "s")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	messages := make([][]byte, n)
	for i := range messages {
		messages[i] = streamed(i+1, payload(testSource(1, "a").take(1)))
	}
	laps := 0
	err = streamAll(t.Context(), conn, messages, func(time.Time) { laps++ })
	return laps, err
}

func TestStreamIsAcknowledgedByNumber(t *testing.T) {
	const n = 3*streamWindow + 5
	address := streamServer(t, func(ctx context.Context, conn *websocket.Conn, next func() int) error {
		if err := say(ctx, conn, `{"busy": 1}`); err != nil {
			return err
		}
		for i := 1; i <= n; i++ {
			if seq := next(); seq != i {
				return fmt.Errorf("number %d came as %d", i, seq)
			}
			// So many are sent before the first one is acknowledged.
			if i%streamWindow == 0 || i == n {
				if err := say(ctx, conn, fmt.Sprintf(`{"ack": %d}`, i)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if laps, err := streamSome(t, address, n); err != nil || laps != n {
		t.Errorf("%d of %d messages were acknowledged: %v", laps, n, err)
	}
}

func TestStreamFailsWhenRefused(t *testing.T) {
	for name, told := range map[string]string{"no device": `{"error": {"seq": 1, "message": "no device"}}`, "not sent": `{"ack": 1000}`} {
		address := streamServer(t, func(ctx context.Context, conn *websocket.Conn, next func() int) error {
			next()
			return say(ctx, conn, told)
		})
		if laps, err := streamSome(t, address, 1); err == nil || !strings.Contains(err.Error(), name) || laps != 0 {
			t.Errorf("%s: %d messages were acknowledged: %v", name, laps, err)
		}
	}
}

func TestLinesAreReadings(t *testing.T) {
	readings := testSource(2, "a", "b").take(5)
	text := lines(readings)
	if n := strings.Count(string(text), "\n"); n != len(readings) {
		t.Fatalf("%d lines", n)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		got := ingest.ParseJSON([]byte(line), "")
		if len(got.Faults) > 0 || len(got.Readings) != 1 || got.Readings[0].Device != readings[i].device.reference || !got.Readings[0].MeasuredAt.Equal(readings[i].at) {
			t.Errorf("line %d became %+v", i, got)
		}
	}
}

func TestCopiesOfDevices(t *testing.T) {
	to := &groupsCopy{account: "other", groups: map[string]string{"/x": "ex", "/y": "ey", "/z": "ez"}}
	since := map[string]any{"since": int64(1)}
	made := []any{
		map[string]any{"id": "d", "account": "a", "reference": "R"}, map[string]any{},
		[]any{[]any{"OPERATED_BY", since, "/z"}, []any{"LOCATED_AT", since, "/x"}, []any{"SUPPLIED_BY", since, "/y"}},
		map[string]any{"object": "d", "account": "a", "position": int64(7)},
	}
	row, err := to.copied(made)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := row[0].(map[string]any)["id"].(string)
	if id == "" || id == "d" {
		t.Errorf("the copy has the id %q", id)
	}
	want := []any{
		map[string]any{"id": id, "account": "other", "reference": "R"}, map[string]any{}, []any{"ex", "ey", "ez"}, []any{since, since, since},
		map[string]any{"object": id, "account": "other", "position": int64(7)},
	}
	if diff := cmp.Diff(want, row); diff != "" {
		t.Error(diff)
	}
	made[2] = made[2].([]any)[:2]
	if _, err := to.copied(made); err == nil {
		t.Error("a device with two relations was copied")
	}
}

func TestReportOfParts(t *testing.T) {
	second := func(n int) flow { return flow{n, time.Second} }
	took := func(s int) sample {
		return sample{took: time.Duration(s) * time.Second, requests: []time.Duration{time.Duration(s) * time.Second}}
	}
	kept := (&retention{
		writing: form{wrote: []flow{second(100), second(200)}}, keeping: form{gone: []flow{second(1000), second(500)}},
		beside: form{wrote: []flow{second(80), second(100)}, gone: []flow{second(500), second(500)}},
	}).report()
	both := kept[2]
	if diff := cmp.Diff([]*Spread{{0.5, 0.65, 0.8}, {0.5, 0.75, 1}}, []*Spread{both.OfAlone, both.GoneOfAlone}, cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Error(diff)
	}
	r := &runner{Config: Config{Made: 6, Groups: 100}}
	r.making = making{ours: []sample{took(6), took(3)}, raw: map[int][]sample{1: {took(3), took(3)}, 2: {took(2), took(1)}}}
	r.moving = moving{ours: []sample{took(2)}, raw: []sample{took(1)}}
	report := &Report{Retention: kept, Sizes: Sizes{Kept: 1234, Made: r.Made}}
	r.reportStructure(report)
	var text strings.Builder
	if err := report.printParts(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1,234 measurements", "65 % (50–80)", "75 % (50–100)", "sub-tree of 50 groups: p50 2000 ms", "Holon's speed of raw: 50 % (50–50)", "75 % (50–100)", "33 % (33–33)"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing:\n%s", want, &text)
		}
	}
}
