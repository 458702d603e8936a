package download

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

// Twins is where devices and assets are read.
type Twins interface {
	// Columns are the attributes and measures that the templates of twins declare,
	// in order; of one template if it is named. Open says that twins may have
	// others.
	Columns(ctx context.Context, scope registry.Scope, kind registry.Kind, template string) (attributes, measures []string, open bool, err error)
	// Page returns up to size twins after a key: "" is the start. The key of the
	// last one is where to go on, "" if that was all.
	Page(ctx context.Context, scope registry.Scope, search registry.Search, after string, size int) (rows []Row, next string, err error)
}

// Row is a device or an asset with its newest values.
type Row struct {
	Reference       string
	Template        string
	TemplateVersion int
	State           registry.State
	Description     *string
	registry.Details
	CreatedAt, UpdatedAt time.Time
	Attributes           registry.Attributes
	Live                 []registry.LiveValue
}

// lastMeasuredAt is when the newest of the values was measured; zero for none.
func (r *Row) lastMeasuredAt() time.Time {
	var last time.Time
	for i := range r.Live {
		if at := r.Live[i].MeasuredAt; at.After(last) {
			last = at
		}
	}
	return last
}

// twinsPage is how many twins are read at once.
const twinsPage = 1000

type twinsHandler struct {
	handler
	twins Twins
	kind  registry.Kind
}

// NewTwinsHandler serves GET /v1/devices or GET /v1/assets with a list of these,
// with their attributes and newest values:
//
//	under, template, state, where   as those of the same names in GraphQL
//	orderBy                         a field, after a - for the largest first; may be repeated
//	attribute, measure              which are columns, may be repeated; in CSV all that are declared if absent
//	format                          csv or ndjson; absent, the Accept header decides, else csv
//
// Errors before the first line are JSON with code and message; one after it
// breaks the connection off, so that what arrived is never taken for everything.
// The list is read page by page: what is there all the while comes once.
func NewTwinsHandler(kind registry.Kind, twins Twins, auth Authenticator, log zerolog.Logger) http.Handler {
	return &twinsHandler{handler{auth: auth, log: log}, twins, kind}
}

// ServeHTTP implements http.Handler.
func (h *twinsHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun, err := h.serve(w, r)
	h.end(w, r, begun, err)
}

func (h *twinsHandler) serve(w http.ResponseWriter, r *http.Request) (begun bool, err error) {
	principal, err := h.principal(r)
	if err != nil {
		return false, err
	}
	q, err := parseTwins(r, h.kind)
	if err != nil {
		return false, err
	}
	// The first page comes before the first byte: it finds what is wrong.
	rows, next, err := h.twins.Page(r.Context(), principal.Scope, q.search, "", twinsPage)
	if err != nil {
		return false, err
	}
	out, err := h.writer(r.Context(), w, principal.Scope, q)
	if err != nil {
		return false, err
	}
	control := http.NewResponseController(w)
	for {
		_ = control.SetWriteDeadline(time.Now().Add(patience)) // a server without deadlines needs none
		for i := range rows {
			if err := out.row(&rows[i]); err != nil {
				return true, err
			}
		}
		if err := out.flush(); err != nil {
			return true, err
		}
		if next == "" {
			return true, nil
		}
		if rows, next, err = h.twins.Page(r.Context(), principal.Scope, q.search, next, twinsPage); err != nil {
			return true, err
		}
	}
}

// writer begins the answer in the format that is asked for.
func (h *twinsHandler) writer(ctx context.Context, w http.ResponseWriter, scope registry.Scope, q twinsQuery) (twinLines, error) {
	w.Header().Set("Cache-Control", "no-store")
	if q.ndjson {
		w.Header().Set("Content-Type", "application/x-ndjson")
		return &twinJSON{w: w, encoder: json.NewEncoder(w), query: q}, nil
	}
	attributes, measures, open := q.attributes, q.measures, false
	if attributes == nil || measures == nil {
		declared, measured, others, err := h.twins.Columns(ctx, scope, h.kind, q.template)
		if err != nil {
			return nil, fmt.Errorf("columns: %w", err)
		}
		open = others
		if attributes == nil {
			attributes = declared
		}
		if measures == nil {
			measures = measured
		}
	}
	name := "devices.csv"
	if h.kind == registry.KindAsset {
		name = "assets.csv"
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	return newTwinCSV(w, attributes, measures, open && q.attributes == nil, open && q.measures == nil)
}
