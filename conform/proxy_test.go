package conform_test

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holon-registry/holon/conform"
)

// caller takes an answer, and sees when the connection is cut off.
type caller struct {
	*httptest.ResponseRecorder
	cut func()
}

// Hijack implements http.Hijacker.
func (c caller) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c.cut()
	ours, theirs := net.Pipe()
	return ours, nil, theirs.Close()
}

func newProxy(t *testing.T, took func()) *conform.Proxy {
	t.Helper()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		took()
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(target.Close)
	at, err := url.Parse(target.URL)
	if err != nil {
		t.Fatal(err)
	}
	return conform.NewProxy(conform.Config{Target: at, Seed: 1, Delay: time.Millisecond})
}

func readings(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, "/v1/readings", strings.NewReader(body))
}

// TestCut notes that a connection was cut off before its end can be seen: programs
// may send again at once.
func TestCut(t *testing.T) {
	t.Parallel()
	proxy := newProxy(t, func() {})
	cuts := 0
	for i := range 8 { // a round, with every fault
		before := proxy.Conduct().Abandoned
		proxy.ServeHTTP(caller{httptest.NewRecorder(), func() {
			cuts++
			if got := proxy.Conduct().Abandoned; got != before+1 {
				t.Errorf("request %d: %d are to be sent again, want %d", i, got, before+1)
			}
		}}, readings(strconv.Itoa(i)))
	}
	if cuts != 2 {
		t.Errorf("%d were cut off", cuts)
	}
}

// TestTooLarge refuses what Holon would refuse.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	proxy := newProxy(t, func() { t.Error("it was passed on") })
	answer := httptest.NewRecorder()
	proxy.ServeHTTP(answer, readings(strings.Repeat(" ", 8<<20+1)))
	if answer.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", answer.Code)
	}
}
