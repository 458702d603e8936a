package download

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

// Authenticator finds who sends a secret: UNAUTHENTICATED if nobody has it.
type Authenticator interface {
	Authenticate(ctx context.Context, secret string) (*registry.Principal, error)
}

// Measurements is where they are read.
type Measurements interface {
	// TwinOf finds a device or an asset: NOT_FOUND if there is none.
	TwinOf(ctx context.Context, scope registry.Scope, ref registry.Ref) (id registry.ID, reference string, err error)
	// SeriesOf returns the series of twins: one slot an id, in order.
	SeriesOf(ctx context.Context, scope registry.Scope, twins []registry.ID) ([][]*registry.Series, error)
	// TemplatesOf returns the templates of twins: one slot an id, in order.
	TemplatesOf(ctx context.Context, scope registry.Scope, twins []registry.ID) ([]*registry.Template, error)
	// Samples returns up to limit measurements, oldest first, and where to go on.
	Samples(ctx context.Context, scope registry.Scope, twin registry.ID, measure string, from, to time.Time, limit int, unit string) (*registry.Samples, error)
}

// pageSize is how many measurements are read at once.
const pageSize = 10_000

// patience is how long a client may take for a page.
const patience = time.Minute

type handler struct {
	measurements Measurements
	auth         Authenticator
	log          zerolog.Logger
}

// NewHandler serves GET /v1/measurements with the measurements of a device or
// an asset:
//
//	device or asset   its reference
//	measure           which measure, may be repeated; all of them if absent
//	from, to          from when on (included), until when (not), RFC 3339
//	format            csv or ndjson; absent, the Accept header decides, else csv
//
// They come by measure, oldest first. Errors before the first line are JSON
// with code and message; one after it breaks the connection off, so that what
// arrived is never taken for everything.
func NewHandler(measurements Measurements, auth Authenticator, log zerolog.Logger) http.Handler {
	return &handler{measurements, auth, log}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun, err := h.serve(w, r)
	h.end(w, r, begun, err)
}

// end tells what went wrong, if anything did: in the answer, or by breaking it
// off.
func (h *handler) end(w http.ResponseWriter, r *http.Request, begun bool, err error) {
	switch {
	case err == nil:
	case begun:
		if r.Context().Err() == nil {
			h.log.Error().Err(err).Msg("a download was broken off")
		}
		panic(http.ErrAbortHandler)
	default:
		h.refuse(w, err)
	}
}

// principal is who asks; a key that only sends may not.
func (h *handler) principal(r *http.Request) (*registry.Principal, error) {
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil, registry.Unauthenticated()
	}
	principal, err := h.auth.Authenticate(r.Context(), secret)
	if err != nil {
		return nil, err
	}
	if principal.Bound() {
		return nil, registry.Forbidden("a key that is bound to devices only sends their readings")
	}
	return principal, nil
}

// serve writes the answer, and says whether it had begun to when it failed.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) (begun bool, err error) {
	principal, err := h.principal(r)
	if err != nil {
		return false, err
	}
	q, err := parse(r)
	if err != nil {
		return false, err
	}
	id, reference, err := h.measurements.TwinOf(r.Context(), principal.Scope, q.twin)
	if err != nil {
		return false, err
	}
	series, err := h.series(r.Context(), principal.Scope, id, &q)
	if err != nil {
		return false, err
	}
	out := q.writer(w, reference)
	control := http.NewResponseController(w)
	for _, s := range series {
		unit := ""
		if s.Unit != nil {
			unit = *s.Unit
		}
		for from, more := q.from, true; more; {
			page, err := h.measurements.Samples(r.Context(), principal.Scope, id, s.Measure, from, q.to, pageSize, unit)
			if err != nil {
				return begun, err
			}
			begun = true
			_ = control.SetWriteDeadline(time.Now().Add(patience)) // a server without deadlines needs none
			if err := out.page(s, page); err != nil {
				return begun, err
			}
			if more = page.NextFrom != nil; more {
				from = *page.NextFrom
			}
		}
	}
	return true, out.end()
}

// series are those of a twin that are asked for.
func (h *handler) series(ctx context.Context, scope registry.Scope, twin registry.ID, q *query) ([]*registry.Series, error) {
	stored, err := h.measurements.SeriesOf(ctx, scope, []registry.ID{twin})
	if err != nil {
		return nil, err
	}
	if len(q.measures) == 0 {
		return stored[0], nil
	}
	templates, err := h.measurements.TemplatesOf(ctx, scope, []registry.ID{twin})
	if err != nil {
		return nil, err
	}
	if templates[0] == nil {
		return nil, registry.NotFound(strings.ToLower(string(q.twin.Kind)), q.twin.Key) // deleted this very moment
	}
	return q.choose(stored[0], templates[0])
}

// refuse answers with an error.
func (h *handler) refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	answer := struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Field   string `json:"field,omitempty"`
	}{Code: "INTERNAL", Message: "an unexpected error, see the log"}
	var known *registry.Error
	if errors.As(err, &known) {
		answer.Code, answer.Message, answer.Field = string(known.Code), known.Message, known.Field
		switch known.Code {
		case registry.CodeInvalid:
			status = http.StatusBadRequest
		case registry.CodeUnauthenticated:
			status = http.StatusUnauthorized
		case registry.CodeForbidden:
			status = http.StatusForbidden
		case registry.CodeNotFound:
			status = http.StatusNotFound
		case registry.CodeUnavailable:
			status = http.StatusServiceUnavailable
		}
	}
	if status >= http.StatusInternalServerError {
		h.log.Error().Err(err).Msg("a download failed")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone
}
