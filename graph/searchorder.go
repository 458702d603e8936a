package graph

import (
	"fmt"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// searchOrder is a field that a search is ordered by. Values of several types
// are put in order by type first (numbers, texts, true and false), and what has
// no value comes last, whichever way the values go; so a cursor that holds types
// and values finds its place again.
type searchOrder struct {
	// value is null where there is nothing to order by; rank tells types apart.
	value, rank string
	descending  bool
	isTime      bool
}

// The ranks of types.
const (
	rankNumber = iota
	rankText
	rankBoolean
	rankNone
)

// orderFor turns a field into what to order by.
func orderFor(i int, by registry.OrderBy) (searchOrder, error) {
	path := fmt.Sprintf("orderBy[%d].field", i)
	expression, err := rule.FieldExpression(by.Field, path, 0)
	if err != nil {
		return searchOrder{}, err
	}
	out := searchOrder{value: expression.Text, descending: by.Direction == registry.SortDescending, isTime: expression.Time}
	if expression.Attribute == "" {
		out.rank = fmt.Sprintf("CASE WHEN %s IS NULL THEN %d ELSE 0 END", out.value, rankNone)
		return out, nil
	}
	plain := fmt.Sprintf("NOT '%s' IN coalesce(n.encoded, []) AND %s", expression.Attribute, out.value)
	out.rank = fmt.Sprintf("CASE WHEN %[1]s IS NULL THEN %[2]d WHEN %[1]s IS :: INTEGER | FLOAT THEN %[3]d WHEN %[4]s IS :: STRING THEN %[5]d WHEN %[1]s IS :: BOOLEAN THEN %[6]d ELSE %[2]d END",
		out.value, rankNone, rankNumber, plain, rankText, rankBoolean)
	out.value = fmt.Sprintf("CASE WHEN %s IS :: INTEGER | FLOAT | STRING | BOOLEAN THEN %s END", plain, out.value)
	return out, nil
}

// orderColumns are the names of the columns with ranks and values.
func (p *searchPlan) orderColumns() (columns, names []string) {
	for i, order := range p.order {
		rank, value := fmt.Sprintf("rank%d", i), fmt.Sprintf("value%d", i)
		columns = append(columns, order.rank+" AS "+rank, order.value+" AS "+value)
		names = append(names, rank, value)
	}
	return columns, names
}

// orderText is what goes after ORDER BY.
func (p *searchPlan) orderText(backward bool, last ...string) string {
	var by []string
	direction := func(descending bool) string {
		if descending != backward {
			return " DESC"
		}
		return ""
	}
	for i, order := range p.order {
		by = append(by, fmt.Sprintf("rank%d", i)+direction(false), fmt.Sprintf("value%d", i)+direction(order.descending))
	}
	for _, name := range last {
		by = append(by, name+direction(false))
	}
	return strings.Join(by, ", ")
}

// beyond is the condition that a node of a kind lies after a position, or before
// it going backward; empty if there is none. For no kind, the column kind tells.
func (p *searchPlan) beyond(at pageStart, kind registry.Kind, values params) string {
	if !at.given {
		return ""
	}
	greater := ">"
	if at.backward {
		greater = "<"
	}
	values["atKey"] = at.key
	condition := "false"
	switch rank := kindRank(kind); {
	case kind == "":
		values["atKind"] = at.kind
		condition = "(kind " + greater + " $atKind OR (kind = $atKind AND n.keyFold " + greater + " $atKey))"
	case rank == at.kind:
		condition = "n.keyFold " + greater + " $atKey"
	case (rank > at.kind) != at.backward:
		condition = "true"
	}
	return p.further(at, condition, values)
}

// further is the condition that something lies after a position by what it is
// ordered by, or has the same place there and meets the condition same.
func (p *searchPlan) further(at pageStart, same string, values params) string {
	greater, less := ">", "<"
	if at.backward {
		greater, less = less, greater
	}
	condition := same
	for i, order := range slices.Backward(p.order) {
		rank, value := fmt.Sprintf("rank%d", i), fmt.Sprintf("value%d", i)
		atRank, atValue := fmt.Sprintf("atRank%d", i), fmt.Sprintf("atValue%d", i)
		values[atRank], values[atValue] = at.ranks[i], at.values[i]
		further := greater
		if order.descending {
			further = less
		}
		same := condition
		if at.ranks[i] != rankNone {
			same = fmt.Sprintf("(%s %s $%s OR (%s = $%s AND %s))", value, further, atValue, value, atValue, condition)
		}
		condition = fmt.Sprintf("(%s %s $%s OR (%s = $%s AND %s))", rank, greater, atRank, rank, atRank, same)
	}
	return condition
}

// pageText is the statement for a page. Every kind gives a page of its own, in
// order, and these are put together.
func (p *searchPlan) pageText(at pageStart, values params) string {
	columns, names := p.orderColumns()
	var parts []string
	for _, part := range p.parts {
		with := "WITH n"
		if part.distinct {
			with = "WITH DISTINCT n"
		}
		if p.scored {
			with += ", score"
		}
		beyond := p.beyond(at, part.kind, values)
		switch beyond {
		case "false":
			continue
		case "true":
			beyond = ""
		}
		match := part.match
		if len(p.order) == 0 && beyond != "" {
			// The condition on the key is for the index.
			match, beyond = match+" AND "+beyond, ""
		}
		last := []string{"n.keyFold"}
		if part.indexed && len(p.order) == 0 {
			last = []string{"n.account", "n.keyFold"}
			if part.prefix != "" {
				last = []string{"n.account", part.prefix, "n.keyFold"}
			}
		}
		text := match + "\n" + with
		if len(columns) > 0 {
			text += "\nWITH n, " + strings.Join(columns, ", ")
			if beyond != "" {
				text += "\nWHERE " + beyond + "\nWITH n, " + strings.Join(names, ", ")
			}
		}
		text += " ORDER BY " + p.orderText(at.backward, last...) + " LIMIT $limit"
		parts = append(parts, text+"\nRETURN "+strings.Join(append([]string{"n"}, names...), ", ")+fmt.Sprintf(", %d AS kind", kindRank(part.kind)))
	}
	carried := strings.Join(append([]string{"n", "kind"}, names...), ", ")
	return "CALL () {\n" + strings.Join(parts, "\nUNION ALL\n") + "\n}\nWITH " + carried +
		" ORDER BY " + p.orderText(at.backward, "kind", "n.keyFold") + " LIMIT $limit\n" + itemsText(names)
}

func itemsText(names []string) string {
	return "RETURN collect({thing: " + thing("n") + ", kind: kind, key: n.keyFold, order: [" + strings.Join(names, ", ") + "]}) AS items"
}

// pageAmongFound takes the page of the nodes in the list found.
func (p *searchPlan) pageAmongFound(at pageStart, values params) string {
	columns, names := p.orderColumns()
	kind := fmt.Sprintf("CASE WHEN n:Group THEN %d WHEN n:Device THEN %d ELSE %d END AS kind", kindRank(registry.KindGroup), kindRank(registry.KindDevice), kindRank(registry.KindAsset))
	if len(p.parts) == 1 {
		kind = fmt.Sprintf("%d AS kind", kindRank(p.parts[0].kind))
	}
	carried := strings.Join(append([]string{"n", "kind"}, names...), ", ")
	text := "CALL (found) {\nUNWIND found AS n\nWITH " + strings.Join(append([]string{"n", kind}, columns...), ", ")
	if beyond := p.beyond(at, "", values); beyond != "" {
		text += "\nWHERE " + beyond + "\nWITH " + carried
	}
	return text + " ORDER BY " + p.orderText(at.backward, "kind", "n.keyFold") + " LIMIT $limit\n" + itemsText(names) + "\n}"
}

// items reads a page.
func (p *searchPlan) items(f fields) []registry.Found {
	maps := f.maps("items")
	out := make([]registry.Found, len(maps))
	for i, item := range maps {
		out[i] = p.found(item)
	}
	return out
}

// found reads an item of a page.
func (p *searchPlan) found(f fields) registry.Found {
	item := f.nested("thing")
	out := registry.Found{Thing: thingOf(item)}
	order := f.list("order")
	if len(order) != 2*len(p.order) {
		f.failed("%sorder has %d values", f.path, len(order))
		return out
	}
	ranks, values := make([]int64, len(p.order)), make([]any, len(p.order))
	for i := range p.order {
		ranks[i], _ = order[2*i].(int64)
		if ranks[i] != rankNone {
			values[i] = order[2*i+1]
		}
	}
	if p.scored && len(values) > 0 {
		if score, ok := values[0].(float64); ok {
			out.Score = &score
		}
	}
	out.Key = p.cursor(ranks, values, int64(f.integer("kind")), f.text("key"))
	return out
}
