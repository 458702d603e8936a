package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// sender is a small program that sends readings. It keeps to the contract unless
// it is told what not to do.
type sender struct {
	url, key string
	// givesUpAt503, forgetsOnCut and hurries are what it does wrong; changesKeys
	// gives what it sends again another Idempotency-Key.
	givesUpAt503, forgetsOnCut, hurries, changesKeys bool
	// wait is how long it waits at first, 150 ms by default.
	wait time.Duration
}

// send sends lines in their order, a few at a time.
func (s sender) send(ctx context.Context, lines []string) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	for from := 0; from < len(lines); from += 5 {
		body := strings.Join(lines[from:min(from+5, len(lines))], "\n")
		wait := cmp.Or(s.wait, 150*time.Millisecond)
		for attempt := 0; ; attempt++ {
			key := "batch-" + strconv.Itoa(from)
			if s.changesKeys {
				key += "-" + strconv.Itoa(attempt)
			}
			status, after, err := s.post(ctx, client, "", body, key)
			if ctx.Err() != nil || err == nil && status < 300 || s.forgetsOnCut && err != nil || s.givesUpAt503 && status == 503 {
				break
			}
			pause := max(wait, after)
			if s.hurries {
				pause = 0
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			wait = min(2*wait, 2*time.Second)
		}
	}
}

func (s sender) post(ctx context.Context, client *http.Client, query, body, key string) (status int, after time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/readings"+query, strings.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	request.Header.Set("Authorization", "Bearer "+s.key)
	request.Header.Set("Content-Type", "application/x-ndjson")
	request.Header.Set("Idempotency-Key", key)
	response, err := client.Do(request)
	if err != nil {
		return 0, 0, err
	}
	response.Body.Close()
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return response.StatusCode, time.Duration(seconds) * time.Second, nil
}

// stored waits until all is stored that Holon has of devices a and b.
func (s sender) stored(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		status, _, err := s.post(ctx, http.DefaultClient, "?ack=stored", `{"device": "a", "values": {"end": 1}}`+"\n"+`{"device": "b", "values": {"end": 1}}`, "end-"+strconv.Itoa(i))
		if err == nil && status == http.StatusOK {
			return
		}
	}
}

const makeConform = `mutation { createTemplate(input: {kind: DEVICE, name: "t", publish: true, measures: [{name: "v", type: "number"}, {name: "on", type: "boolean"}, {name: "end", type: "number"}]}) { template { id } }
	a: createDevice(input: {reference: "a", template: "t"}) { device { id } } b: createDevice(input: {reference: "b", template: "t"}) { device { id } } }`

// expectedFile writes what is expected.
func expectedFile(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "expected.ndjson")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestConformLate waits for a program that sends again late what is there already,
// under another key, and does not begin where it could not tell what came.
func TestConformLate(t *testing.T) {
	t.Parallel()
	client, _ := newAccount(t)
	ask[any](t, client, makeConform, nil)
	ctx, stop := context.WithCancel(t.Context())
	sent := make(chan struct{})
	lines := []string{`{"device": "a", "values": {"v": 1}}`}
	var out bytes.Buffer
	err := (&conformCmd{
		// The first request of this seed is cut off after it was passed on, the second
		// meets no fault.
		Expect: expectedFile(t, lines...), URL: holon.url, Key: client.key, Listen: "127.0.0.1:0", Within: 5 * time.Minute, Quiet: 3 * time.Second, Seed: 1, out: &out,
		ready: func(url string) {
			go func() {
				defer close(sent)
				sender{url: url, key: client.key, changesKeys: true, wait: 2 * time.Second}.send(ctx, lines)
			}()
		},
	}).Run(ctx, zerolog.Nop())
	stop()
	<-sent
	for _, row := range []string{"  cut off after it was passed on +1", "  not expected +1 +WRONG"} {
		if !errors.Is(err, errConduct) || !regexp.MustCompile(`(?m)^`+row).Match(out.Bytes()) {
			t.Errorf("%v, no row %q\n%s", err, row, &out)
		}
	}

	const reading = `{"device": "b", "measuredAt": "2026-01-01T00:00:00Z", "values": {"v": 1}}`
	if status, answer := sendRaw(t, client, "/v1/readings?ack=stored", "application/json", reading); status != http.StatusOK {
		t.Fatalf("%d %v", status, answer)
	}
	err = (&conformCmd{Expect: expectedFile(t, reading), URL: holon.url, Key: client.key, Listen: "127.0.0.1:0", Within: time.Millisecond, out: &out}).Run(t.Context(), zerolog.Nop())
	if err == nil || !strings.Contains(err.Error(), "v of b at 2026-01-01T00:00:00Z, which is expected, is stored already: take another device, or other times") {
		t.Errorf("what is there already: %v", err)
	}
}

// TestConform holds programs to the contract that keep to it, and others that do
// not.
func TestConform(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sender   sender
		timeless bool
		// want are rows of the table that begin so and are not 0; none for a pass.
		want []string
	}{
		"good":                  {},
		"good, without times":   {timeless: true},
		"gives up at 503":       {sender: sender{givesUpAt503: true}, want: []string{"  lost"}},
		"forgets what was cut":  {sender: sender{forgetsOnCut: true}, want: []string{"  lost"}},
		"does not wait":         {sender: sender{hurries: true}, want: []string{"  too soon"}},
		"sends again as if new": {sender: sender{changesKeys: true}, timeless: true, want: []string{"  not expected", "  with another one"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, _ := newAccount(t)
			ask[any](t, client, makeConform, nil)
			var lines []string
			for i := range 60 {
				at := ""
				if !c.timeless {
					at = fmt.Sprintf(`"measuredAt": "2026-01-01T00:%02d:00Z", `, i)
				}
				lines = append(lines, fmt.Sprintf(`{"device": "%c", %s"values": {"v": %d, "on": %t}}`, 'a'+i%2, at, i, i%3 == 0))
			}
			ctx, stop := context.WithCancel(t.Context())
			sent, over := make(chan struct{}), make(chan struct{})
			var out bytes.Buffer
			command := conformCmd{
				Expect: expectedFile(t, lines...), URL: holon.url, Key: client.key, Listen: "127.0.0.1:0", Within: 5 * time.Minute, Quiet: 2 * time.Second, Seed: 7, Slow: 50 * time.Millisecond, out: &out,
				ready: func(url string) {
					c.sender.url, c.sender.key = url, client.key
					// What is no request with readings passes as it is.
					if code := stream(t, apiClient{url: url, key: client.key}, "conform").send("readings", map[string]any{"device": "ghost", "values": map[string]any{"v": 1}}); code != "INVALID" {
						t.Errorf("a stream through the proxy: %q", code)
					}
					go func() {
						defer close(sent)
						c.sender.send(ctx, lines)
						if len(c.want) > 0 && c.want[0] == "  lost" { // it never comes
							sender{url: client.url, key: client.key}.stored(ctx)
							close(over)
						}
					}()
				},
			}
			command.over = over
			err := command.Run(ctx, zerolog.Nop())
			stop()
			<-sent
			if len(c.want) == 0 && err != nil || len(c.want) > 0 && !errors.Is(err, errConduct) {
				t.Errorf("%v\n%s", err, &out)
			}
			for _, row := range c.want {
				if !regexp.MustCompile(`(?m)^` + row + ` +[1-9][0-9]* +WRONG`).Match(out.Bytes()) {
					t.Errorf("no row %q\n%s", row, &out)
				}
			}
			if len(c.want) == 0 {
				for _, row := range []string{"sent again", "  with its Idempotency-Key", "  503", "  cut off before it was passed on", "  cut off after it was passed on", "  slow answer", "  429 with Retry-After"} {
					if !regexp.MustCompile(`(?m)^` + row + ` +[1-9]`).Match(out.Bytes()) {
						t.Errorf("no row %q\n%s", row, &out)
					}
				}
			}
		})
	}
	// What cannot be expected.
	for name, text := range map[string]string{"nothing": "\n", "no device": `{"values": {"v": 1}}`, "twice": strings.Repeat(`{"device": "a", "measuredAt": 1767225600000, "values": {"v": 1}}`+"\n", 2), "no time": `{"device": "a", "measuredAt": true, "values": {"v": 1}}`} {
		if err := (&conformCmd{Expect: expectedFile(t, text), URL: holon.url}).Run(t.Context(), zerolog.Nop()); err == nil || errors.Is(err, errConduct) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
