package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// secrets is an authenticator.
type secrets map[string]*registry.Principal

func (s secrets) Authenticate(_ context.Context, secret string) (*registry.Principal, error) {
	if secret == "down" {
		return nil, registry.Unavailable("graph database", nil)
	}
	if p, ok := s[secret]; ok {
		return p, nil
	}
	return nil, registry.Unauthenticated()
}

func TestHTTP(t *testing.T) {
	q := openQueue(t, nil)
	full := openQueue(t, func(c *QueueConfig) { c.MaxReadings = 1 })
	door := testkit.NewDoor(t)
	down := openQueue(t, func(c *QueueConfig) { c.URL = door.URL })
	door.Shut()
	auth := secrets{"hk_a": newPrincipal()}
	const good = `{"device":"sensor-1","values":{"temperature":1}}`
	const bad = `{"device":"sensor-1","values":{"temperature":"x"}}`
	for name, c := range map[string]struct {
		queue                          *Queue
		method, query, key, kind, body string
		encoding                       string
		status                         int
		want                           string // part of the body
	}{
		"one":             {body: good, status: 202, want: `{"accepted":1}`},
		"array":           {body: "[" + good + "," + good + "]", status: 202, want: `{"accepted":2}`},
		"empty array":     {body: "[]", status: 202, want: `{"accepted":0}`},
		"lines":           {kind: "application/x-ndjson", body: good + "\n" + good + "\n", status: 202, want: `{"accepted":2}`},
		"charset":         {kind: "application/json; charset=utf-8", body: good, status: 202},
		"malformed":       {body: "{", status: 400, want: `"errors":[{"index":0,"path":"","rule":"syntax"`},
		"invalid":         {body: "[" + good + "," + bad + "]", status: 400, want: `"errors":[{"index":1,"path":"values.temperature","rule":"type","message":"measure temperature takes a NUMBER, not a STRING"}]`},
		"partial":         {query: "?partial=true", body: "[" + bad + "," + good + "]", status: 202, want: `{"accepted":1,"errors":[{"index":0,"path":"values.temperature"`},
		"partial lines":   {query: "?partial=true", kind: "application/x-ndjson", body: "{\n" + good, status: 202, want: `{"accepted":1,"errors":[{"index":0,"path":"","rule":"syntax","message":"line 1: not JSON`},
		"not partial":     {query: "?partial=maybe", body: good, status: 400},
		"seconds":         {body: `{"device":"sensor-1","measuredAt":1700000000,"values":{"temperature":1}}`, status: 400, want: "a number counts milliseconds since 1970"},
		"no key":          {key: "-", body: good, status: 401, want: `"code":"UNAUTHENTICATED"`},
		"wrong key":       {key: "hk_b", body: good, status: 401},
		"graph down":      {key: "down", body: good, status: 503, want: `"code":"UNAVAILABLE"`},
		"too large":       {body: strings.Repeat(" ", 70_000) + good, status: 413},
		"too many":        {body: "[" + strings.Repeat(good+",", 100) + good + "]", status: 413},
		"wrong type":      {kind: "text/plain", body: good, status: 415},
		"no type":         {kind: "-", body: good, status: 415},
		"compressed":      {encoding: "br", body: good, status: 415},
		"GET":             {method: "GET", status: 405},
		"full":            {queue: full, body: "[" + good + "," + good + "]", status: 429, want: `"code":"LIMIT_EXCEEDED"`},
		"queue down":      {queue: down, body: good, status: 503, want: `"code":"UNAVAILABLE"`},
		"chunked too big": {body: "chunked:" + strings.Repeat(" ", 70_000), status: 413},
	} {
		t.Run(name, func(t *testing.T) {
			queue := q
			if c.queue != nil {
				queue = c.queue
			}
			h := NewHTTPHandler(newReceiver(t, queue, new(devices), nil), auth, HTTPConfig{MaxBody: 64 << 10, MaxReadings: 100})
			method := c.method
			if method == "" {
				method = http.MethodPost
			}
			var body io.Reader = strings.NewReader(c.body)
			if rest, ok := strings.CutPrefix(c.body, "chunked:"); ok {
				body = io.MultiReader(strings.NewReader(rest))
			}
			r := httptest.NewRequest(method, "/v1/readings"+c.query, body)
			if c.key != "-" {
				key := c.key
				if key == "" {
					key = "hk_a"
				}
				r.Header.Set("Authorization", "Bearer "+key)
			}
			if c.kind != "-" {
				kind := c.kind
				if kind == "" {
					kind = "application/json"
				}
				r.Header.Set("Content-Type", kind)
			}
			r.Header.Set("Content-Encoding", c.encoding)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("got %d %s, want %d with %s", w.Code, w.Body, c.status, c.want)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Errorf("not JSON: %s", w.Body)
			}
			if after, err := strconv.Atoi(w.Header().Get("Retry-After")); (c.status == 429) != (err == nil && after >= 1 && after <= 3) {
				t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
			}
			if (c.status == 401) != (w.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("WWW-Authenticate %q", w.Header().Get("WWW-Authenticate"))
			}
		})
	}
	checkBooks(t, q, 8, 8)
}

func TestHTTPTellsEveryFault(t *testing.T) {
	h := NewHTTPHandler(newReceiver(t, openQueue(t, nil), new(devices), nil), secrets{"hk_a": newPrincipal()}, HTTPConfig{})
	r := httptest.NewRequest(http.MethodPost, "/v1/readings", strings.NewReader(`[{"device":"ghost","values":{"temperature":1}},
		{"device":"sensor-1","values":{"temperature":true,"pressure":1,"open":1}},{"device":"sensor-1","value":{"temperature":1}}]`))
	r.Header.Set("Authorization", "Bearer hk_a")
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var answer httpAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 400 || answer.Accepted != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	var got []string
	for _, f := range answer.Errors {
		got = append(got, fmt.Sprintf("%d %s %s", f.Index, f.Path, f.Rule))
	}
	want := []string{"0 device unknown", "1 values.open type", "1 values.pressure undeclared", "1 values.temperature type", "2 value undeclared"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func BenchmarkHTTP(b *testing.B) {
	q := openQueue(b, func(c *QueueConfig) { c.Partitions = 8; c.MaxReadings = 1 << 30; c.MaxBytes = 1 << 40 })
	server := httptest.NewServer(NewHTTPHandler(newReceiver(b, q, new(devices), nil), secrets{"hk_a": newPrincipal()}, HTTPConfig{}))
	defer server.Close()
	var list []string
	for i := range 100 {
		list = append(list, fmt.Sprintf(`{"device":"sensor-%d","measuredAt":%d,"values":{"temperature":%.2f,"humidity":%.1f}}`, i, noon.UnixMilli()-1e10+int64(i), 20+float64(i)/7, 40+float64(i)/9))
	}
	body := "[" + strings.Join(list, ",") + "]"
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wait sync.WaitGroup
			for range clients {
				wait.Go(func() {
					for left.Add(-1) >= 0 {
						r, _ := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
						r.Header.Set("Authorization", "Bearer hk_a")
						r.Header.Set("Content-Type", "application/json")
						answer, err := client.Do(r)
						if err != nil || answer.StatusCode != http.StatusAccepted {
							b.Errorf("%v %v", answer, err)
							return
						}
						io.Copy(io.Discard, answer.Body)
						answer.Body.Close()
					}
				})
			}
			wait.Wait()
			b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "readings/s")
		})
	}
}
