package graph

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// facetQuery counts the values of one field, among nodes found.
type facetQuery struct {
	column  string
	request registry.FacetRequest
	field   rule.Expression
}

// facetFor checks a request.
func facetFor(request registry.FacetRequest, i int) (facetQuery, error) {
	out := facetQuery{column: fmt.Sprintf("facet%d", i), request: request}
	var err error
	if out.field, err = rule.FieldExpression(request.Field, "field", registry.MaxFacetSteps); err != nil {
		return out, err
	}
	if request.First < 0 || request.First > registry.MaxFacetValues {
		return out, registry.InvalidField("first", "range", "0 to %d values are counted", registry.MaxFacetValues)
	}
	if len(request.Ranges) > registry.MaxFacetRanges {
		return out, registry.InvalidField("ranges", "maxItems", "there are at most %d ranges", registry.MaxFacetRanges)
	}
	return out, nil
}

func facetsFor(requests []registry.FacetRequest) ([]facetQuery, error) {
	out := make([]facetQuery, len(requests))
	for i, request := range requests {
		var err error
		if out[i], err = facetFor(request, i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// summaryOf reads the number of nodes and the columns of facets.
func summaryOf(f fields, facets []facetQuery) registry.Summary {
	out := registry.Summary{Total: f.integer("n"), Facets: make([][]registry.Facet, len(facets))}
	for i := range facets {
		out.Facets[i] = facets[i].decode(f)
	}
	return out
}

// facetText counts all nodes, and the values of each facet among them.
func (p *searchPlan) facetText(facets []facetQuery, values params) string {
	return p.amongFound(facets, values, nil, nil)
}

// allText counts, too, and takes a page: the nodes are found once.
func (p *searchPlan) allText(at pageStart, facets []facetQuery, values params) string {
	return p.amongFound(facets, values, []string{p.pageAmongFound(at, values)}, []string{"items"})
}

// amongFound finds the nodes, and goes on with parts, which return columns, and
// with facets.
func (p *searchPlan) amongFound(facets []facetQuery, values params, parts, columns []string) string {
	parts = append([]string{"CALL () {\n" + p.nodes() + "\n}\nWITH collect(n) AS found"}, parts...)
	columns = append(columns, "size(found) AS n")
	for _, facet := range facets {
		parts = append(parts, facet.text(values))
		columns = append(columns, facet.column)
	}
	return strings.Join(parts, "\n") + "\nRETURN " + strings.Join(columns, ", ")
}

// text is a subquery that returns the facet's column. A list counts by its
// items, an object once for each value that it has.
func (f facetQuery) text(values params) string {
	way := f.field.Match
	if way != "" {
		way += " "
	}
	from := "CALL (found) { UNWIND found AS n " + way
	value := f.field.Text
	if f.field.Attribute != "" {
		if way == "" {
			from += "WITH n WHERE true"
		}
		from += " AND NOT '" + f.field.Attribute + "' IN coalesce(" + f.field.Node + ".encoded, []) "
	}
	if len(f.request.Ranges) > 0 {
		ranges := make([]any, len(f.request.Ranges))
		for i, r := range f.request.Ranges {
			ranges[i] = map[string]any{"i": i, "from": number(r.From), "to": number(r.To)}
		}
		values[f.column] = ranges
		return from + " WITH n, " + value + " AS value WHERE value IS :: INTEGER NOT NULL OR value IS :: FLOAT NOT NULL" +
			" UNWIND $" + f.column + " AS r WITH n, r, value WHERE (r.from IS NULL OR value >= r.from) AND (r.to IS NULL OR value < r.to)" +
			" WITH r.i AS i, count(DISTINCT n) AS count RETURN collect([i, count]) AS " + f.column + " }"
	}
	values[f.column] = f.request.First
	shown := ""
	switch {
	case way == "" && f.field.Name != rule.FieldTemplate && f.field.Shown == value:
		// Each value is looked at once, not each node.
		return from + " WITH " + value + " AS value, count(*) AS many WHERE value IS NOT NULL" +
			" UNWIND CASE WHEN value IS :: LIST<ANY> THEN value ELSE [value] END AS item WITH DISTINCT value, item, many" +
			" WITH item AS value, sum(many) AS count ORDER BY count DESC, value LIMIT $" + f.column + " RETURN collect([value, count]) AS " + f.column + " }"
	case f.field.Name == rule.FieldTemplate:
		shown = ", head(collect(owner)) AS one"
		from += " WITH n, " + f.field.Node + " AS owner, " + value + " AS value WHERE value IS NOT NULL"
	case f.field.Shown != value:
		shown = ", head(collect(shown)) AS one"
		from += " WITH n, " + value + " AS value, " + f.field.Shown + " AS shown WHERE value IS NOT NULL"
	default:
		from += " WITH n, " + value + " AS value WHERE value IS NOT NULL UNWIND CASE WHEN value IS :: LIST<ANY> THEN value ELSE [value] END AS item WITH n, item AS value"
	}
	result := "value"
	switch {
	case f.field.Name == rule.FieldTemplate:
		result = "coalesce([(one)-[:INSTANCE_OF]->(t:Template) | t.name][0], value)"
	case shown != "":
		result = "one"
	}
	return from + " WITH value, count(DISTINCT n) AS count" + shown + " ORDER BY count DESC, value LIMIT $" + f.column + " RETURN collect([" + result + ", count]) AS " + f.column + " }"
}

func number(f *float64) any {
	if f == nil {
		return nil
	}
	return *f
}

// decode reads the facet's column.
func (f facetQuery) decode(row fields) []registry.Facet {
	out := make([]registry.Facet, 0, len(f.request.Ranges))
	for _, r := range f.request.Ranges {
		out = append(out, registry.Facet{From: r.From, To: r.To})
	}
	for i, item := range row.list(f.column) {
		pair, ok := item.([]any)
		if !ok || len(pair) != 2 {
			row.failed("%s[%d] is no count", f.column, i)
			return nil
		}
		count, _ := pair[1].(int64)
		if len(f.request.Ranges) > 0 {
			at, ok := pair[0].(int64)
			if !ok || int(at) >= len(out) {
				row.failed("%s[%d] is no range", f.column, i)
				return nil
			}
			out[at].Count = int(count)
			continue
		}
		value := pair[0]
		if at, isTime := value.(time.Time); isTime {
			value = moment(at)
		}
		out = append(out, registry.Facet{Value: value, Count: int(count)})
	}
	return slices.Clip(out)
}
