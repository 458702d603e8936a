package conform

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is a way to misbehave.
type Fault string

// The faults.
const (
	// Busy is 429 with Retry-After, Down is 503.
	Busy Fault = "429 with Retry-After"
	Down Fault = "503"
	// CutBefore ends the connection before the request is passed on, CutAfter
	// after that, so that the answer is lost.
	CutBefore Fault = "cut off before it was passed on"
	CutAfter  Fault = "cut off after it was passed on"
	// Slow passes the request on late.
	Slow Fault = "slow answer"
	none Fault = ""
)

// Faults are all of them.
var Faults = []Fault{Busy, Down, CutBefore, CutAfter, Slow}

// Config says how a proxy misbehaves. Zero values take the defaults.
type Config struct {
	// Target is where Holon is.
	Target *url.URL
	// Seed decides which requests are answered how: the same requests in the same
	// order get the same answers.
	Seed uint64
	// RetryAfter is what a 429 asks for, in whole seconds; 1 s by default. Delay is
	// that of a slow answer; 2 s by default.
	RetryAfter, Delay time.Duration
	// Clock is the system's by default.
	Clock func() time.Time
}

const (
	// maxBody bounds a request that is looked at. Holon takes no more.
	maxBody = 8 << 20
	// goodOnes is how many requests of a round are passed on as they are.
	goodOnes = 3
)

// Proxy passes requests on to Holon. Those that send readings it sometimes
// answers as a network or a busy service would.
type Proxy struct {
	c       Config
	through *httputil.ReverseProxy
	client  *http.Client

	mu   sync.Mutex
	rng  *rand.Rand
	deck []Fault
	log  log
	busy int
	last time.Time
}

// NewProxy makes a proxy.
func NewProxy(c Config) *Proxy {
	if c.RetryAfter == 0 {
		c.RetryAfter = time.Second
	}
	if c.Delay == 0 {
		c.Delay = 2 * time.Second
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	through := httputil.NewSingleHostReverseProxy(c.Target)
	through.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	return &Proxy{
		c: c, through: through, client: &http.Client{Timeout: time.Minute},
		rng: rand.New(rand.NewPCG(c.Seed, c.Seed)), //nolint:gosec // the same again for the same seed
		log: newLog(c.RetryAfter),
	}
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/readings" && r.URL.Path != "/v1/raw" && !strings.HasPrefix(r.URL.Path, "/v1/raw/") {
		p.through.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		answer(w, http.StatusRequestEntityTooLarge, "INVALID", "a request has at most "+strconv.Itoa(maxBody)+" bytes")
		return
	}
	if err != nil {
		cut(w) // the sender is gone
		return
	}
	one, fault := p.begin(r, body)
	end := sync.OnceFunc(func() { p.end(one, fault) })
	defer end()
	switch fault {
	case Busy:
		w.Header().Set("Retry-After", strconv.Itoa(int(p.c.RetryAfter.Seconds())))
		answer(w, http.StatusTooManyRequests, "LIMIT_EXCEEDED", injected)
	case Down:
		answer(w, http.StatusServiceUnavailable, "UNAVAILABLE", injected)
	case CutBefore:
		end() // before the program can send again
		cut(w)
	case CutAfter:
		if said, err := p.pass(context.WithoutCancel(r.Context()), r, body); err == nil {
			p.settle(one, said.status)
		}
		end()
		cut(w)
	default:
		if fault == Slow {
			select {
			case <-r.Context().Done():
			case <-time.After(p.c.Delay):
			}
		}
		p.relay(w, r, body, one)
	}
}

// relay passes a request on, and its answer back.
func (p *Proxy) relay(w http.ResponseWriter, r *http.Request, body []byte, one *request) {
	said, err := p.pass(r.Context(), r, body)
	if err != nil {
		p.settle(one, http.StatusBadGateway)
		answer(w, http.StatusBadGateway, "UNAVAILABLE", "Holon does not answer")
		return
	}
	p.settle(one, said.status)
	for name, values := range said.header {
		w.Header()[name] = values
	}
	w.WriteHeader(said.status)
	_, _ = w.Write(said.body) // the sender may be gone
}

// said is an answer of Holon.
type said struct {
	status int
	header http.Header
	body   []byte
}

func (p *Proxy) pass(ctx context.Context, r *http.Request, body []byte) (*said, error) {
	at := *p.c.Target
	at.Path, at.RawQuery = strings.TrimSuffix(at.Path, "/")+r.URL.Path, r.URL.RawQuery
	request, err := http.NewRequestWithContext(ctx, r.Method, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"Authorization", "Content-Type", "Content-Encoding", "Idempotency-Key", "X-Request-Id"} {
		if value := r.Header.Get(name); value != "" {
			request.Header.Set(name, value)
		}
	}
	response, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return nil, err
	}
	header := response.Header.Clone()
	header.Del("Content-Length")
	return &said{response.StatusCode, header, text}, nil
}

// injected is what the answers say that are not Holon's.
const injected = "this is a test of what you do now"

func answer(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"code": "`+code+`", "message": "`+message+`"}`+"\n") // the sender may be gone
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		panic(http.ErrAbortHandler) // ends the stream, which is all there is
	}
	if err == nil {
		_ = conn.Close() // what is to be seen is that it ends
	}
}

// begin decides about a request and notes it.
func (p *Proxy) begin(r *http.Request, body []byte) (*request, Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy++
	if len(p.deck) == 0 {
		// Whole rounds, so that every fault comes, and none for ever.
		p.deck = append(p.deck, Faults...)
		for range goodOnes {
			p.deck = append(p.deck, none)
		}
		p.rng.Shuffle(len(p.deck), func(i, j int) { p.deck[i], p.deck[j] = p.deck[j], p.deck[i] })
	}
	fault := p.deck[0]
	p.deck = p.deck[1:]
	return p.log.begin(r, body, fault, p.c.Clock()), fault
}

// settle notes what Holon said.
func (p *Proxy) settle(one *request, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if status < http.StatusMultipleChoices {
		one.passed = true
	}
	if status == http.StatusTooManyRequests || status >= http.StatusInternalServerError {
		one.refused = true
	}
}

// end notes that a request was answered, or not.
func (p *Proxy) end(one *request, fault Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	p.last = p.c.Clock()
	p.log.end(one, fault, p.last)
}

// Quiet says whether nothing has been sent for a while.
func (p *Proxy) Quiet(since time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy == 0 && !p.last.IsZero() && p.c.Clock().Sub(p.last) >= since
}

// Conduct is how the program under test has behaved so far.
func (p *Proxy) Conduct() Conduct {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.conduct()
}
