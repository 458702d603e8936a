package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

// Authenticator finds who sends a secret: UNAUTHENTICATED if nobody has it.
type Authenticator interface {
	Authenticate(ctx context.Context, secret string) (*registry.Principal, error)
}

// HTTPConfig bounds what a request may hold.
type HTTPConfig struct {
	// MaxBody is in bytes, 4 MiB by default.
	MaxBody int64
	// MaxReadings is per request, 10,000 by default.
	MaxReadings int
	// Patience is how long ?ack=stored waits at most, 10 s by default.
	Patience time.Duration
	Logger   zerolog.Logger
}

const sourceHTTP = "http"

type httpHandler struct {
	receiver *Receiver
	auth     Authenticator
	c        HTTPConfig
	// raw says that bodies are payloads for decoders.
	raw bool
}

// NewHTTPHandler serves POST /v1/readings: one reading or an array of readings
// as application/json, or one a line as application/x-ndjson, see [ParseJSON].
//
// The body may be packed: Content-Encoding gzip. A request with an
// Idempotency-Key that was accepted is not queued again within a day: it gets
// the same answer. With ?ack=stored the answer waits, up to [HTTPConfig.Patience],
// until the readings have come to the graph: 200 with "stored": true, or else
// 202 with false.
//
// 202 {"accepted": n} means that the readings are queued. 400 has errors with
// index, path, rule and message, and nothing was queued, unless ?partial=true
// asks for the good readings to be queued regardless: then the answer is 202
// with the errors of the others. 429 says in Retry-After when to come again;
// after it and after 503 some readings may have been queued, and sending all
// again is safe.
func NewHTTPHandler(receiver *Receiver, auth Authenticator, c HTTPConfig) http.Handler {
	return newHTTPHandler(receiver, auth, c)
}

func newHTTPHandler(receiver *Receiver, auth Authenticator, c HTTPConfig) *httpHandler {
	if c.MaxBody == 0 {
		c.MaxBody = 4 << 20
	}
	if c.MaxReadings == 0 {
		c.MaxReadings = 10_000
	}
	if c.Patience == 0 {
		c.Patience = 10 * time.Second
	}
	return &httpHandler{receiver: receiver, auth: auth, c: c}
}

// httpAnswer is the body of every answer.
type httpAnswer struct {
	Accepted *int  `json:"accepted,omitempty"`
	Stored   *bool `json:"stored,omitempty"`
	// DeadLetter says that a payload is kept, but cannot be used as things are.
	DeadLetter bool        `json:"deadLetter,omitempty"`
	Code       string      `json:"code,omitempty"`
	Message    string      `json:"message,omitempty"`
	Errors     []httpFault `json:"errors,omitempty"`
}

type httpFault struct {
	Index   int    `json:"index"`
	Path    string `json:"path"`
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

// httpRefusal is an error with a status of its own.
type httpRefusal struct {
	status  int
	message string
}

// Error implements error.
func (r *httpRefusal) Error() string { return r.message }

// ServeHTTP implements http.Handler.
func (h *httpHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	answer, receipt, total, err := h.receive(w, r)
	label := answerOf(err)
	if answer != nil && answer.DeadLetter {
		label = answerDeadLetter
	}
	h.receiver.observe(sourceHTTP, label, start, receipt.Accepted, total-receipt.Accepted)
	if err != nil {
		h.refuse(w, r, err, receipt.Faults)
		return
	}
	status := http.StatusAccepted
	if answer.Stored != nil && *answer.Stored {
		status = http.StatusOK
	}
	write(w, status, *answer)
}

func (h *httpHandler) receive(w http.ResponseWriter, r *http.Request) (*httpAnswer, Receipt, int, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, Receipt{}, 0, &httpRefusal{http.StatusMethodNotAllowed, "readings are sent with POST"}
	}
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil, Receipt{}, 0, registry.Unauthenticated()
	}
	principal, err := h.auth.Authenticate(r.Context(), secret)
	if err != nil {
		return nil, Receipt{}, 0, err
	}
	if h.raw {
		return h.receiveRaw(w, r, principal)
	}
	partial, err := partialOf(r)
	if err != nil {
		return nil, Receipt{}, 0, err
	}
	await, err := awaitOf(r)
	if err != nil {
		return nil, Receipt{}, 0, err
	}
	kind, err := readingsKind(r)
	if err != nil {
		return nil, Receipt{}, 0, err
	}
	body, err := h.body(w, r)
	if err != nil {
		return nil, Receipt{}, 0, err
	}
	known, claimed, err := h.claim(r, principal, body)
	if err != nil || known != nil {
		return known, Receipt{}, 0, err
	}
	submission := parseBody(kind, body)
	submission.Partial = partial
	answer, receipt, err := h.submit(r, principal, claimed, submission, await)
	h.settled(r.Context(), claimed, answer, err)
	return answer, receipt, len(submission.Readings), err
}

// submit queues readings and, if asked to, waits until they are stored. There
// is no answer if there is an error.
func (h *httpHandler) submit(r *http.Request, principal *registry.Principal, claimed *claim, submission Submission, await bool) (*httpAnswer, Receipt, error) {
	if len(submission.Readings) > h.c.MaxReadings {
		return nil, Receipt{}, &httpRefusal{http.StatusRequestEntityTooLarge, "a request holds at most " + strconv.Itoa(h.c.MaxReadings) + " readings"}
	}
	if claimed != nil {
		claimed.name(submission.Readings)
	}
	receipt, err := h.receiver.submit(r.Context(), principal, sourceHTTP, submission)
	if err != nil {
		return nil, receipt, err
	}
	answer := &httpAnswer{Accepted: &receipt.Accepted, Errors: httpFaults(receipt.Faults)}
	if await {
		answer.Stored = h.await(r.Context(), receipt.partitions)
	}
	return answer, receipt, nil
}

// await waits until what is queued has come to the graph, and says whether it
// has. It is queued, so an error is no reason to say otherwise.
func (h *httpHandler) await(ctx context.Context, partitions []int) *bool {
	ctx, cancel := context.WithTimeout(ctx, h.c.Patience)
	defer cancel()
	stored, err := h.receiver.queue.Settled(ctx, partitions)
	if err != nil {
		h.c.Logger.Warn().Err(err).Msg("how far the queue has come is not known")
	}
	return &stored
}

func awaitOf(r *http.Request) (bool, error) {
	switch v := r.URL.Query().Get("ack"); v {
	case "", "queued":
		return false, nil
	case "stored":
		return true, nil
	default:
		return false, &httpRefusal{http.StatusBadRequest, "ack is queued or stored"}
	}
}

func partialOf(r *http.Request) (bool, error) {
	switch v := r.URL.Query().Get("partial"); v {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, &httpRefusal{http.StatusBadRequest, "partial is true or false"}
	}
}

func httpFaults(faults []Fault) []httpFault {
	var out []httpFault
	for _, f := range faults[:min(len(faults), maxFaults)] {
		out = append(out, httpFault{f.Index, f.Path, f.Rule, f.Message})
	}
	return out
}

// refuse writes the answer to an error.
func (h *httpHandler) refuse(w http.ResponseWriter, r *http.Request, err error, faults []Fault) {
	if refusal, ok := errors.AsType[*httpRefusal](err); ok {
		code := registry.CodeInvalid
		if refusal.status == http.StatusConflict {
			code = registry.CodeConflict
		}
		write(w, refusal.status, httpAnswer{Code: string(code), Message: refusal.message})
		return
	}
	answer := httpAnswer{Code: string(registry.CodeInternal), Errors: httpFaults(faults)}
	if e, ok := errors.AsType[*registry.Error](err); ok {
		answer.Code, answer.Message = string(e.Code), e.Message
	}
	status := http.StatusInternalServerError
	switch registry.Code(answer.Code) {
	case registry.CodeUnauthenticated:
		w.Header().Set("WWW-Authenticate", `Bearer realm="holon"`)
		status = http.StatusUnauthorized
	case registry.CodeForbidden:
		status = http.StatusForbidden
	case registry.CodeNotFound:
		status = http.StatusNotFound
	case registry.CodeInvalid:
		status = http.StatusBadRequest
	case registry.CodeLimitExceeded:
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(max(RetryAfter(err), time.Second).Seconds()))))
	case registry.CodeUnavailable:
		status = http.StatusServiceUnavailable
		h.c.Logger.Warn().Err(errors.Unwrap(err)).Msg("readings could not be received")
	default:
		if r.Context().Err() != nil {
			return // the sender is gone
		}
		id := uuid.NewString()
		answer.Code, answer.Message = string(registry.CodeInternal), "something went wrong, see the log for "+id
		h.c.Logger.Error().Err(err).Str("error_id", id).Msg("readings could not be received")
	}
	write(w, status, answer)
}

func write(w http.ResponseWriter, status int, answer httpAnswer) {
	body, _ := json.Marshal(answer) // texts and numbers only
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the sender may be gone
}
