package api

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// answers is a server that gives one answer after the other, the last for good.
func answers(t *testing.T, all ...http.HandlerFunc) (*Client, *int) {
	t.Helper()
	var asked int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("the key is missing: %q", r.Header.Get("Authorization"))
		}
		answer := all[min(asked, len(all)-1)]
		asked++
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return &Client{URL: server.URL, Key: "secret", Patience: 10 * time.Second}, &asked
}

func status(code int, retryAfter, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

func TestPostComesBackWhenRefusedForTheMoment(t *testing.T) {
	client, asked := answers(t, status(429, "0", "full"), status(503, "", "down"), status(202, "", `{"accepted":1}`))
	answer, code, err := client.Post(t.Context(), "/v1/readings", "application/json", []byte(`{}`))
	if err != nil || code != 202 || string(answer) != `{"accepted":1}` {
		t.Errorf("got %d %q, %v", code, answer, err)
	}
	if *asked != 3 {
		t.Errorf("asked %d times, want 3", *asked)
	}
}

func TestPostGivesUp(t *testing.T) {
	client, asked := answers(t, status(429, "60", "full"))
	client.Patience = time.Second
	_, code, err := client.Post(t.Context(), "/v1/readings", "application/json", nil)
	if err != nil || code != 429 || *asked != 1 {
		t.Errorf("got %d after %d attempts, %v: want 429 after one, since a minute is asked for", code, *asked, err)
	}
}

func TestQuery(t *testing.T) {
	for name, test := range map[string]struct {
		answer     http.HandlerFunc
		code, text string
	}{
		"data":          {answer: status(200, "", `{"data":{"viewer":{"account":{"name":"demo"}}}}`)},
		"graphql error": {status(200, "", `{"data":null,"errors":[{"message":"taken","path":["m0"],"extensions":{"code":"CONFLICT"}}]}`), "CONFLICT", "taken (at [m0])"},
		"no graphql":    {status(502, "", "bad gateway\n"), "502", "bad gateway"},
		"json, no data": {status(401, "", `{"error":"who?"}`), "401", `{"error":"who?"}`},
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := answers(t, test.answer)
			var data struct {
				Viewer struct{ Account struct{ Name string } }
			}
			err := client.Query(t.Context(), `{ viewer { account { name } } }`, nil, &data)
			var refused *Error
			switch {
			case test.code == "" && (err != nil || data.Viewer.Account.Name != "demo"):
				t.Errorf("got %+v, %v", data, err)
			case test.code != "" && (!errors.As(err, &refused) || refused.Code != test.code || refused.Message != test.text):
				t.Errorf("got %v, want %s: %s", err, test.code, test.text)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	for _, test := range []struct {
		attempt    int
		retryAfter string
		least      time.Duration
	}{
		{0, "", 100 * time.Millisecond}, {3, "", 800 * time.Millisecond}, {60, "", 5 * time.Second}, {0, "2", 2 * time.Second}, {1, "soon", 200 * time.Millisecond},
	} {
		got := Backoff(test.attempt, test.retryAfter)
		if got < test.least || got > test.least+test.least/10+1 {
			t.Errorf("attempt %d, Retry-After %q: %s, want %s and up to a tenth more", test.attempt, test.retryAfter, got, test.least)
		}
	}
}

func TestFromEnvironment(t *testing.T) {
	t.Setenv("HOLON_URL", "http://127.0.0.1:8080/")
	t.Setenv("HOLON_KEY", "")
	if _, err := FromEnvironment(); err == nil {
		t.Error("a client without a key")
	}
	t.Setenv("HOLON_KEY", "secret")
	if c, err := FromEnvironment(); err != nil || c.URL != "http://127.0.0.1:8080" {
		t.Errorf("got %+v, %v", c, err)
	}
}
