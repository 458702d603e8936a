package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// pageStart is where a page begins: the ranks and values of an item, its kind and
// its key.
type pageStart struct {
	backward bool
	given    bool
	ranks    []int64
	values   []any
	kind     int64
	key      string
}

// orderSum is a checksum of what a search is ordered by: a cursor is good for the
// same order only. How well words fit is told differently of the past.
func orderSum(search registry.Search, past bool) string {
	of := []any{}
	for _, by := range search.OrderBy {
		of = append(of, by.Field, by.Direction == registry.SortDescending)
	}
	if len(of) == 0 && search.Text != "" {
		of = append(of, search.Text, past)
	}
	text, _ := json.Marshal(of)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:5])
}

// cursor writes what a cursor holds.
func (p *searchPlan) cursor(ranks []int64, values []any, kind int64, key string) string {
	parts := make([]any, 0, 2*len(ranks)+3)
	parts = append(parts, p.sum)
	for i := range ranks {
		if at, ok := values[i].(time.Time); ok {
			values[i] = at.UTC().Format(time.RFC3339Nano)
		}
		parts = append(parts, ranks[i], values[i])
	}
	text, err := json.Marshal(append(parts, kind, key))
	if err != nil {
		return ""
	}
	return registry.SearchKey + string(text)
}

// position reads a cursor of this search.
func (p *searchPlan) position(page registry.PageRequest) (pageStart, error) {
	out := pageStart{backward: page.Backward, given: page.Key != ""}
	if !out.given {
		return out, nil
	}
	wrong := registry.InvalidField(page.CursorField(), "format", "the cursor is not one of this search: use one that this query returned")
	text, ofSearch := strings.CutPrefix(page.Key, registry.SearchKey)
	if !ofSearch {
		return out, page.OtherOrder()
	}
	var parts []any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&parts); err != nil || len(parts) == 0 {
		return out, wrong
	}
	if parts[0] != p.sum {
		return out, page.OtherOrder()
	}
	if parts = parts[1:]; len(parts) != 2*len(p.order)+2 {
		return out, wrong
	}
	for i, order := range p.order {
		rank, ok := wholeOf(parts[2*i])
		value := parts[2*i+1]
		if number, isNumber := value.(json.Number); isNumber {
			value, _ = wholeOf(number)
			if strings.ContainsAny(string(number), ".eE") {
				value, _ = number.Float64()
			}
		}
		if order.isTime && rank != rankNone {
			text, _ := value.(string)
			at, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				return out, wrong
			}
			value = at
		}
		if !ok || (value == nil) != (rank == rankNone) {
			return out, wrong
		}
		out.ranks, out.values = append(out.ranks, rank), append(out.values, value)
	}
	var ok1, ok2 bool
	out.kind, ok1 = wholeOf(parts[len(parts)-2])
	out.key, ok2 = parts[len(parts)-1].(string)
	if !ok1 || !ok2 || !slices.ContainsFunc(p.parts, func(part searchPart) bool { return kindRank(part.kind) == out.kind }) {
		return out, wrong
	}
	return out, nil
}

func wholeOf(value any) (int64, bool) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	whole, err := number.Int64()
	return whole, err == nil
}
