package bench

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/ingest"
)

func testSource(burst int, references ...string) *source {
	s := &source{fleet: &fleet{values: 2, random: rand.New(rand.NewPCG(1, 1)), start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}, burst: burst}
	for _, reference := range references {
		s.devices = append(s.devices, &device{reference: reference})
	}
	return s
}

func TestSourceTakesTurns(t *testing.T) {
	for name, test := range map[string]struct {
		burst, n int
		want     string
	}{
		"one at a time":      {1, 5, "a0 b0 a1 b1 a2"},
		"two at a time":      {2, 6, "a0 a1 b0 b1 a2 a3"},
		"an unfinished turn": {3, 4, "a0 a1 a2 b0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSource(test.burst, "a", "b")
			var got []string
			for _, one := range s.take(test.n) {
				got = append(got, fmt.Sprintf("%s%d", one.device.reference, int(one.at.Sub(s.fleet.start)/readingEvery)))
			}
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPayloadIsWhatSourcesTake(t *testing.T) {
	readings := testSource(2, "a", "b").take(5)
	got := ingest.ParseJSON(payload(readings), "")
	if len(got.Faults) > 0 {
		t.Fatalf("faults: %v", got.Faults)
	}
	for i, one := range readings {
		values := map[string]any{measures[0].Name: one.values[0], measures[1].Name: one.values[1]}
		r := got.Readings[i]
		if r.Device != one.device.reference || !r.MeasuredAt.Equal(one.at) || !cmp.Equal(r.Values, values) {
			t.Errorf("reading %d became %+v", i, r)
		}
	}
}

func TestRawGroups(t *testing.T) {
	s := testSource(2, "a", "b")
	readings := s.take(3)
	groups := rawGroups(readings, map[*device][]any{s.devices[0]: {"a0", "a1"}, s.devices[1]: {"b0", "b1"}})
	var got []string
	for _, group := range groups {
		g := group.([]any)
		got = append(got, fmt.Sprint(g[0], " ", len(g[2].([]any)), " ", g[1].(int64)-s.fleet.start.UnixMilli()))
	}
	if diff := cmp.Diff([]string{"a0 2 10000", "a1 2 10000", "b0 1 0", "b1 1 0"}, got); diff != "" {
		t.Error(diff)
	}
	if n := valuesIn(groups); n != 6 {
		t.Errorf("%d values", n)
	}
}

func TestFigures(t *testing.T) {
	if diff := cmp.Diff(Spread{1, 2.5, 9}, spreadOf([]float64{9, 1, 3, 2})); diff != "" {
		t.Error(diff)
	}
	var times []time.Duration
	for i := range 200 {
		times = append(times, time.Duration(200-i)*time.Millisecond)
	}
	if diff := cmp.Diff(&Latency{100, 198}, latencyOf(times)); diff != "" {
		t.Error(diff)
	}
	if latencyOf(nil) != nil {
		t.Error("a latency of no requests")
	}
	// Round by round: the ratio of the medians would be 0.5.
	if diff := cmp.Diff(&Spread{0.5, 0.5, 2}, part([]float64{10, 200, 50}, []float64{20, 100, 100})); diff != "" {
		t.Error(diff)
	}
	if part([]float64{1}, nil) != nil {
		t.Error("a part of nothing")
	}
	for x, want := range map[float64]string{7: "7", 999.6: "1,000", 1234567: "1,234,567"} {
		if got := thousands(x); got != want {
			t.Errorf("%v became %s", x, got)
		}
	}
}

func TestConnection(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "%s %s %s", r.URL.Path, r.Header.Get("Authorization"), body)
		if string(body) == "in pieces" {
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "!")
		}
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	c, err := dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for body, want := range map[string]string{"whole": "/x Bearer s whole", "in pieces": "/x Bearer s in pieces!"} {
		status, answer, err := c.do(post(address, "/x", "s", []byte(body)))
		if err != nil || status != http.StatusAccepted || string(answer) != want {
			t.Errorf("%s: %d %q %v", body, status, answer, err)
		}
	}
}
