package graph_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// A cursor is good for the order that gave it, whatever else is asked for.
func TestCursorsBelongToTheirOrder(t *testing.T) {
	w := newBuilding(t)
	order := func(direction registry.SortDirection, fields ...string) []registry.OrderBy {
		var out []registry.OrderBy
		for _, field := range fields {
			out = append(out, registry.OrderBy{Field: field, Direction: direction})
		}
		return out
	}
	if err := w.AwaitWords(t.Context()); err != nil {
		t.Fatal(err)
	}
	then := w.scope
	then.AsOf = new(time.Now().Add(time.Second)) // all that was made has a time before
	searches := map[string]registry.Search{
		"none": {}, "size": {OrderBy: order("", "attributes.size")}, "size down": {OrderBy: order(registry.SortDescending, "attributes.size")},
		"serial": {OrderBy: order("", "attributes.serial")}, "both": {OrderBy: order("", "attributes.size", "attributes.serial")},
		"the other way": {OrderBy: order("", "attributes.serial", "attributes.size")}, "words": {Text: "zähler"}, "other words": {Text: "meter"},
	}
	for _, scope := range []registry.Scope{w.scope, then} {
		for from, search := range searches {
			page := must(w.Search(t.Context(), scope, search, registry.PageRequest{Size: 2}))
			if len(page.Items) != 2 {
				t.Fatalf("%s finds %d", from, len(page.Items))
			}
			key := page.Items[1].Key
			for to, other := range searches {
				backward := from < to
				_, err := w.Search(t.Context(), scope, other, registry.PageRequest{Size: 2, Key: key, Backward: backward})
				switch {
				case from != to:
					violates(t, err, map[bool]string{false: "after", true: "before"}[backward], "order")
				case err != nil:
					t.Errorf("%s: %v", from, err)
				}
			}
		}
	}
	// The order stays the same where it is written in full, where the rule is
	// another, and in the past; how well words fit does not.
	first := must(w.Search(t.Context(), w.scope, searches["size"], registry.PageRequest{Size: 4}))
	next := registry.PageRequest{Size: 4, Key: first.Items[3].Key}
	same := registry.Search{OrderBy: order(registry.SortAscending, "attributes.size"), Where: "kind == 'device'"}
	keys := func(scope registry.Scope, search registry.Search) (out []string) {
		for _, item := range must(w.Search(t.Context(), scope, search, next)).Items {
			out = append(out, keyOf(item.Thing))
		}
		return out
	}
	want := keys(w.scope, searches["size"])
	for _, scope := range []registry.Scope{w.scope, then} {
		if diff := cmp.Diff(want, keys(scope, same)); diff != "" {
			t.Error(diff)
		}
	}
	words := must(w.Search(t.Context(), w.scope, searches["words"], registry.PageRequest{Size: 1})).Items[0].Key
	_, err := w.Search(t.Context(), then, searches["words"], registry.PageRequest{Size: 1, Key: words})
	violates(t, err, "after", "order")

	sum, rest, _ := strings.Cut(must(w.Search(t.Context(), w.scope, registry.Search{}, registry.PageRequest{Size: 1})).Items[0].Key, ",")
	for _, damaged := range []string{registry.SearchKey + "x", registry.SearchKey + "[]", sum + "]", sum + `,"x"]`, sum + `,9,"x"]`, sum + `,0,` + rest} {
		_, err := w.Search(t.Context(), w.scope, registry.Search{}, registry.PageRequest{Size: 1, Key: damaged})
		violates(t, err, "after", "format")
	}
	for _, foreign := range []string{"x", `[2,"x"]`, registry.SearchKey + `["x",2,"x"]`} {
		_, err := w.Search(t.Context(), w.scope, registry.Search{}, registry.PageRequest{Size: 1, Key: foreign})
		violates(t, err, "after", "order")
	}
	byTime := registry.Search{OrderBy: order("", "createdAt")}
	sum, _, _ = strings.Cut(must(w.Search(t.Context(), w.scope, byTime, registry.PageRequest{Size: 1})).Items[0].Key, ",")
	_, err = w.Search(t.Context(), w.scope, byTime, registry.PageRequest{Size: 1, Key: sum + `,0,"soon",2,"k"]`})
	violates(t, err, "after", "format")
	after := registry.Cursor(words)
	_, err = registry.NewPage(nil, &after, nil, nil)
	violates(t, err, "after", "order")
	_, err = registry.NewPage(nil, nil, nil, &after)
	violates(t, err, "before", "order")
}
