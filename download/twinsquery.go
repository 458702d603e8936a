package download

import (
	"net/http"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// twinsQuery is which twins are asked for, and what of them.
type twinsQuery struct {
	search registry.Search
	// template narrows the columns too.
	template string
	// attributes and measures are nil for all.
	attributes, measures []string
	ndjson               bool
}

func parseTwins(r *http.Request, kind registry.Kind) (twinsQuery, error) {
	values := r.URL.Query()
	for name, list := range values {
		switch {
		case !slices.Contains([]string{"under", "template", "state", "where", "orderBy", "attribute", "measure", "format"}, name):
			return twinsQuery{}, registry.InvalidField(name, "unknown", "there is no parameter %q: under, template, state, where, orderBy, attribute, measure and format are known", name)
		case len(list) > 1 && name != "orderBy" && name != "attribute" && name != "measure":
			return twinsQuery{}, registry.InvalidField(name, "unique", "the parameter %q stands there twice", name)
		}
	}
	q := twinsQuery{
		search: registry.Search{
			Kinds: []registry.Kind{kind}, Under: values.Get("under"), Where: values.Get("where"), State: registry.State(values.Get("state")),
		},
		template: values.Get("template"), attributes: values["attribute"], measures: values["measure"],
	}
	if q.template != "" {
		q.search.Templates = []string{q.template}
	}
	var state registry.State
	if q.search.State != "" && state.UnmarshalGQL(string(q.search.State)) != nil {
		return q, registry.InvalidField("state", "enum", "%q is no state", q.search.State)
	}
	for _, field := range values["orderBy"] {
		by := registry.OrderBy{Field: field, Direction: registry.SortAscending}
		if name, descending := strings.CutPrefix(field, "-"); descending {
			by = registry.OrderBy{Field: name, Direction: registry.SortDescending}
		}
		q.search.OrderBy = append(q.search.OrderBy, by)
	}
	var err error
	q.ndjson, err = asLines(r)
	return q, err
}

// asLines says whether the answer is to be JSON lines rather than CSV.
func asLines(r *http.Request) (bool, error) {
	switch format := r.URL.Query().Get("format"); format {
	case "csv":
		return false, nil
	case "ndjson":
		return true, nil
	case "":
		return strings.Contains(r.Header.Get("Accept"), "application/x-ndjson"), nil
	default:
		return false, registry.InvalidField("format", "unknown", "%q is neither csv nor ndjson", format)
	}
}
