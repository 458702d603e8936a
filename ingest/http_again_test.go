package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func zipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// post sends a body with headers and returns the answer.
func post(t *testing.T, h http.Handler, query, body string, headers map[string]string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/v1/readings"+query, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer hk_a")
	r.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestHTTPTakesGzip(t *testing.T) {
	q := openQueue(t, nil)
	h := NewHTTPHandler(newReceiver(t, q, new(devices), nil), secrets{"hk_a": newPrincipal()}, HTTPConfig{MaxBody: 64 << 10})
	const good = `{"device":"sensor-1","values":{"temperature":1}}`
	packed := map[string]string{"Content-Encoding": "gzip"}
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"packed":     {zipped(t, good), 202},
		"not packed": {good, 400},
		"cut off":    {zipped(t, good)[:20], 400},
		"a bomb":     {zipped(t, strings.Repeat(" ", 10<<20)+good), 413},
	} {
		if got, answer := post(t, h, "", c.body, packed); got != c.want {
			t.Errorf("%s: %d %s, want %d", name, got, answer, c.want)
		}
	}
	checkBooks(t, q, 1, 1)
}

func TestIdempotencyKey(t *testing.T) {
	q, who := openQueue(t, nil), newPrincipal()
	h := NewHTTPHandler(newReceiver(t, q, new(devices), nil), secrets{"hk_a": who, "hk_b": newPrincipal()}, HTTPConfig{})
	const one, other = `{"device":"sensor-1","values":{"temperature":1}}`, `{"device":"sensor-1","values":{"temperature":2}}`
	key := map[string]string{"Idempotency-Key": "k 1"}
	for _, step := range []struct {
		name, query, body string
		headers           map[string]string
		status            int
		want              string
		queued            int
	}{
		{"first", "", one, key, 202, `{"accepted":1}`, 1},
		{"again", "", one, key, 202, `{"accepted":1}`, 1},
		{"again, packed", "", zipped(t, one), map[string]string{"Idempotency-Key": "k 1", "Content-Encoding": "gzip"}, 202, `{"accepted":1}`, 1},
		{"another body", "", other, key, 422, `"code":"INVALID"`, 1},
		{"asked otherwise", "?partial=true", one, key, 422, `"code":"INVALID"`, 1},
		{"another account", "", one, map[string]string{"Idempotency-Key": "k 1", "Authorization": "Bearer hk_b"}, 202, `{"accepted":1}`, 2},
		{"another key", "", one, map[string]string{"Idempotency-Key": "k 2"}, 202, `{"accepted":1}`, 3},
		{"refused", "", `{"device":"ghost","values":{"temperature":1}}`, map[string]string{"Idempotency-Key": "k 3"}, 400, `"INVALID"`, 3},
		{"mended", "", one, map[string]string{"Idempotency-Key": "k 3"}, 202, `{"accepted":1}`, 4},
		{"part", "?partial=true", "[" + one + `,{"device":"ghost","values":{"temperature":1}}]`, map[string]string{"Idempotency-Key": "k 4"}, 202, `{"accepted":1,"errors":[{"index":1`, 5},
		{"part again", "?partial=true", "[" + one + `,{"device":"ghost","values":{"temperature":1}}]`, map[string]string{"Idempotency-Key": "k 4"}, 202, `{"accepted":1,"errors":[{"index":1`, 5},
		{"too long", "", one, map[string]string{"Idempotency-Key": strings.Repeat("x", 256)}, 400, "255", 5},
		{"not ASCII", "", one, map[string]string{"Idempotency-Key": "ä"}, 400, "ASCII", 5},
	} {
		status, answer := post(t, h, step.query, step.body, step.headers)
		if status != step.status || !strings.Contains(answer, step.want) {
			t.Errorf("%s: %d %s, want %d with %s", step.name, status, answer, step.status, step.want)
		}
		if n := backlog(t, q); n != step.queued {
			t.Errorf("%s: %d readings are queued, want %d", step.name, n, step.queued)
		}
	}
}

// TestIdempotencyKeyOfALostAnswer: the process dies after the queue has the
// readings and before the answer is remembered.
func TestIdempotencyKeyOfALostAnswer(t *testing.T) {
	q, who := openQueue(t, nil), newPrincipal()
	h := NewHTTPHandler(newReceiver(t, q, new(devices), nil), secrets{"hk_a": who}, HTTPConfig{})
	key := map[string]string{"Idempotency-Key": "k"}
	keys, field := q.answerKeys(), digest(string(who.Account), "", "k")
	now, err := q.client.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	ms := func(since time.Duration) string { return strconv.FormatInt(now.Add(since).UnixMilli(), 10) }
	working, died, later := ms(0), ms(-time.Hour), ms(time.Hour)
	const (
		body = `{"device":"sensor-1","values":{"temperature":1}}`
		bad  = `{"device":"ghost","values":{"temperature":1}}`
	)
	for _, step := range []struct {
		name, remembered, body string
		status, measurements   int
	}{
		{"while it is worked on", "p " + working + " part x", body, 409, 0},
		{"after it died", "p " + died + " part x", body, 202, 1},
		{"after it died again", "p " + died + " part x", body, 202, 1},
		{"after it died and the clock was put back", "p " + later + " part x", body, 202, 1},
		{"after it died and then was refused", "p " + died + " part x", bad, 400, 1},
		{"after it was refused", "", body, 202, 1},
		{"another request after one in doubt", "r part", `{"device":"sensor-1","values":{"temperature":2}}`, 202, 2},
		{"after it was forgotten", "forgotten", body, 202, 3},
		{"what is wrong is not remembered", "forgotten", bad, 400, 3},
	} {
		var err error
		switch step.remembered {
		case "":
		case "forgotten":
			err = q.client.Del(t.Context(), keys...).Err()
		default:
			err = q.client.HSet(t.Context(), keys[0], field, step.remembered).Err()
		}
		if err != nil {
			t.Fatal(err)
		}
		if status, answer := post(t, h, "", step.body, key); status != step.status {
			t.Errorf("%s: %d %s, want %d", step.name, status, answer, step.status)
		}
		if n := len(queuedTimes(t, q)); n != step.measurements {
			t.Errorf("%s: %d measurements are queued, want %d", step.name, n, step.measurements)
		}
	}
	if n, err := q.client.HLen(t.Context(), keys[0]).Result(); err != nil || n != 0 {
		t.Errorf("%d keys are remembered: %v", n, err)
	}
}

// queuedTimes are the times of what is queued, which identify measurements of
// one measure.
func queuedTimes(t *testing.T, q *Queue) map[string]bool {
	t.Helper()
	times := map[string]bool{}
	for p := range q.Partitions() {
		for _, e := range drain(t, q, p) {
			for _, r := range e.Readings {
				times[r.MeasuredAt.String()] = true
			}
		}
	}
	return times
}

func TestHTTPWaitsUntilStored(t *testing.T) {
	q := openQueue(t, nil)
	receiver, auth := newReceiver(t, q, new(devices), nil), secrets{"hk_a": newPrincipal()}
	const body = `[{"device":"sensor-1","values":{"temperature":1}},{"device":"sensor-2","values":{"temperature":1}}]`
	h := NewHTTPHandler(receiver, auth, HTTPConfig{Patience: time.Millisecond})
	if status, answer := post(t, h, "?ack=stored", body, nil); status != 202 || answer != `{"accepted":2,"stored":false}` {
		t.Errorf("without a worker: %d %s", status, answer)
	}
	if status, answer := post(t, h, "?ack=maybe", body, nil); status != 400 {
		t.Errorf("maybe: %d %s", status, answer)
	}
	// Somebody stores, and more comes all the while.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			for p := range q.Partitions() {
				entries, err := q.Read(ctx, p, "0", 10, 0)
				if err == nil {
					_ = q.Done(ctx, p, entries) // ends with the context
				}
			}
			time.Sleep(time.Millisecond)
		}
	}()
	h = NewHTTPHandler(receiver, auth, HTTPConfig{Patience: 30 * time.Second})
	for range 3 {
		if status, answer := post(t, h, "?ack=stored", body, nil); status != 200 || answer != `{"accepted":2,"stored":true}` {
			t.Errorf("with a worker: %d %s", status, answer)
		}
	}
	if status, answer := post(t, h, "?ack=stored", "[]", nil); status != 200 {
		t.Errorf("nothing to wait for: %d %s", status, answer)
	}
	stop()
	<-done
}
