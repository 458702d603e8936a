package download

import (
	"net/http"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// query is what is asked for.
type query struct {
	twin     registry.Ref
	measures []string
	from, to time.Time
	ndjson   bool
}

// endOfTime is later than any measurement.
var endOfTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func parse(r *http.Request) (query, error) {
	values := r.URL.Query()
	for name := range values {
		if !slices.Contains([]string{"device", "asset", "measure", "from", "to", "format"}, name) {
			return query{}, registry.InvalidField(name, "unknown", "there is no parameter %q: device, asset, measure, from, to and format are known", name)
		}
	}
	q := query{measures: values["measure"], from: time.UnixMilli(0), to: endOfTime}
	device, asset := values.Get("device"), values.Get("asset")
	switch {
	case (device == "") == (asset == ""):
		return query{}, registry.InvalidField("device", "required", "say either `device` or `asset`")
	case device != "":
		q.twin = registry.Ref{Kind: registry.KindDevice, Key: device}
	default:
		q.twin = registry.Ref{Kind: registry.KindAsset, Key: asset}
	}
	for name, into := range map[string]*time.Time{"from": &q.from, "to": &q.to} {
		text := values.Get(name)
		if text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return query{}, registry.InvalidField(name, "format", "%q is not a time such as 2026-03-01T00:00:00Z", text)
		}
		*into = t
	}
	var err error
	q.ndjson, err = asLines(r)
	return q, err
}

// choose returns the series that are asked for. What could be measured and never
// was is left out; NOT_FOUND for what could not, INVALID for what is computed.
func (q *query) choose(stored []*registry.Series, t *registry.Template) ([]*registry.Series, error) {
	var out []*registry.Series
	for _, name := range q.measures {
		i := slices.IndexFunc(stored, func(s *registry.Series) bool { return s.Measure == name })
		declared := t.Declared(name)
		switch {
		case i >= 0:
			out = append(out, stored[i])
		case declared == nil && t.Open: // any measure may come yet
		case declared == nil:
			return nil, registry.UnknownMeasure(name, t, stored)
		case declared.Computed != "":
			return nil, registry.InvalidField("measure", "computed", "measure %s is computed: ask `samples` of the GraphQL API for it", name)
		}
	}
	return out, nil
}
