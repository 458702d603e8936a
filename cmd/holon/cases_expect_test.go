package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// expectation is what must come of an operation. Without a code it must
// succeed.
type expectation struct {
	Code       string   `json:"code"`       // it is refused with this code
	Says       string   `json:"says"`       // the message has this text
	Violations []string `json:"violations"` // the paths of exactly these violations

	Body     map[string]any `json:"body"`     // these fields are equal
	Contains any            `json:"contains"` // a part of the result, at any depth
	Absent   []string       `json:"absent"`   // dotted paths that are missing or empty; what they lead through is there

	Keys        []any             `json:"keys"`        // the keys of exactly these rows
	KeysInOrder []any             `json:"keysInOrder"` // and in this order
	Rows        []any             `json:"rows"`        // parts of exactly these rows, in this order
	Each        map[string]any    `json:"each"`        // a part of each row
	N           *int              `json:"n"`           // how many rows
	Total       *int              `json:"total"`       // how many in the whole list
	Failed      map[string]string `json:"failed"`      // items that failed, by key, with their codes
	Count       map[string]int    `json:"count"`       // the length of the lists at dotted paths

	Events   []any `json:"events"`   // parts of exactly the changes since the steps began, oldest first
	Messages []any `json:"messages"` // parts of exactly the MQTT messages since the steps began, oldest first
}

// stepWords are the words of a step that are no operation.
var stepWords = append(jsonNames(reflect.TypeFor[expectation]()), jsonNames(reflect.TypeFor[caseStep]())...)

func jsonNames(of reflect.Type) []string {
	var names []string
	for i := range of.NumField() {
		if name := of.Field(i).Tag.Get("json"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func (e *expectation) check(r *caseRun, step string, a answer) {
	t := r.report
	t.Helper()
	if e.Code != "" {
		if a.code != e.Code {
			t.Errorf("%s: got %q %s, want %s\n%s", step, a.code, a.message, e.Code, indented(a.result))
		}
	}
	if !strings.Contains(a.message, e.Says) {
		t.Errorf("%s: the message is %q, want %q in it", step, a.message, e.Says)
	}
	if e.Violations != nil {
		var paths []string
		for _, violation := range a.violations {
			paths = append(paths, violation.(map[string]any)["path"].(string))
		}
		slices.Sort(paths)
		if diff := cmp.Diff(slices.Sorted(slices.Values(e.Violations)), paths); diff != "" {
			t.Errorf("%s: violations (-want +got)\n%s", step, diff)
		}
	}
	body, _ := a.result.(map[string]any)
	for name, want := range e.Body {
		if diff := cmp.Diff(r.filledIn(want), body[name]); diff != "" {
			t.Errorf("%s: %s (-want +got)\n%s", step, name, diff)
		}
	}
	if e.Contains != nil {
		if lacks := part(r.filledIn(e.Contains), a.result, ""); lacks != "" {
			t.Errorf("%s: %s\n%s", step, lacks, indented(a.result))
		}
	}
	for _, path := range e.Absent {
		if problem := absent(a.result, path); problem != "" {
			t.Errorf("%s: %s\n%s", step, problem, indented(a.result))
		}
	}
	for path, want := range e.Count {
		value, _ := lookUp(a.result, path)
		if list, _ := value.([]any); len(list) != want {
			t.Errorf("%s: %s has %d items, want %d", step, path, len(list), want)
		}
	}
	e.checkRows(r, step, a.result)
}

func (e *expectation) checkRows(r *caseRun, step string, result any) {
	t := r.report
	t.Helper()
	rows := rowsOf(result)
	if e.Keys != nil || e.KeysInOrder != nil {
		got, want := keysOf(rows), r.filledIn(append(e.Keys, e.KeysInOrder...)).([]any)
		if e.Keys != nil {
			sortKeys(got)
			sortKeys(want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: keys (-want +got)\n%s", step, diff)
		}
	}
	if e.Rows != nil {
		checkEvents(t, step+", rows", r.filledIn(e.Rows).([]any), rows)
	}
	for _, row := range rows {
		if lacks := part(mapAny(e.Each), row, ""); e.Each != nil && lacks != "" {
			t.Errorf("%s: a row: %s\n%s", step, lacks, indented(row))
		}
	}
	if e.N != nil && len(rows) != *e.N {
		t.Errorf("%s: %d rows, want %d\n%s", step, len(rows), *e.N, indented(rows))
	}
	if e.Total != nil {
		if total, _ := lookUp(result, "totalCount"); total != float64(*e.Total) {
			t.Errorf("%s: totalCount %v, want %d", step, total, *e.Total)
		}
	}
	if e.Failed != nil {
		failed := map[string]string{}
		for _, row := range rows {
			if code, found := lookUp(row, "error.code"); found {
				failed[row.(map[string]any)["key"].(string)] = code.(string)
			}
		}
		if diff := cmp.Diff(e.Failed, failed); diff != "" {
			t.Errorf("%s: failed items (-want +got)\n%s\n%s", step, diff, indented(rows))
		}
	}
}

// checkEvents compares what happened, in order.
func checkEvents(t reporter, step string, want, got []any) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d, want %d\n%s", step, len(got), len(want), indented(got))
		return
	}
	for i := range want {
		if lacks := part(want[i], got[i], ""); lacks != "" {
			t.Errorf("%s: number %d: %s\n%s", step, i+1, lacks, indented(got[i]))
		}
	}
}

// rowsOf are the rows of a connection, of the answer to a bulk operation or of
// a plain list.
func rowsOf(result any) []any {
	if object, is := result.(map[string]any); is {
		for _, name := range []string{"nodes", "results"} {
			if rows, is := object[name].([]any); is {
				return rows
			}
		}
		return nil
	}
	rows, _ := result.([]any)
	return rows
}

// keysOf are the keys of rows, whatever they are called.
func keysOf(rows []any) []any {
	out := make([]any, len(rows))
	for i, row := range rows {
		out[i] = row
		if object, is := row.(map[string]any); is {
			for _, name := range []string{"path", "reference", "key", "other", "name", "value"} {
				if key, has := object[name]; has {
					out[i] = key
					break
				}
			}
		}
	}
	return out
}

func sortKeys(keys []any) {
	slices.SortFunc(keys, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

// part says where want is no part of got: maps may have more, lists may not.
func part(want, got any, at string) string {
	switch want := want.(type) {
	case map[string]any:
		object, is := got.(map[string]any)
		if !is {
			return fmt.Sprintf("%s is %v, want an object", at, got)
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if lacks := part(want[name], object[name], strings.TrimPrefix(at+"."+name, ".")); lacks != "" {
				return lacks
			}
		}
		return ""
	case []any:
		list, is := got.([]any)
		if !is || len(list) != len(want) {
			return fmt.Sprintf("%s is %v, want %v", at, got, want)
		}
		for i := range want {
			if lacks := part(want[i], list[i], fmt.Sprintf("%s.%d", at, i)); lacks != "" {
				return lacks
			}
		}
		return ""
	}
	if !cmp.Equal(want, got) {
		return fmt.Sprintf("%s is %v, want %v", at, got, want)
	}
	return ""
}

// lookUp follows a dotted path into a result; numbers lead into lists, negative
// ones from the end.
func lookUp(value any, path string) (any, bool) {
	for name := range strings.SplitSeq(path, ".") {
		switch at := value.(type) {
		case map[string]any:
			next, has := at[name]
			if !has {
				return nil, false
			}
			value = next
		case []any:
			var i int
			if _, err := fmt.Sscanf(name, "%d", &i); err != nil {
				return nil, false
			}
			if i < 0 {
				i += len(at)
			}
			if i < 0 || i >= len(at) {
				return nil, false
			}
			value = at[i]
		default:
			return nil, false
		}
	}
	return value, true
}

// absent says what is wrong where a path is to lead to nothing: there is
// something, or not even what it leads through.
func absent(result any, path string) string {
	if value, found := lookUp(result, path); found && !empty(value) {
		return fmt.Sprintf("%s is %v, want nothing", path, value)
	}
	within, through := result, "the result"
	if at := strings.LastIndexByte(path, '.'); at >= 0 {
		through = path[:at]
		within, _ = lookUp(result, through)
	}
	switch within.(type) {
	case map[string]any, []any:
		return ""
	}
	return fmt.Sprintf("%s cannot be absent: %s is %v", path, through, within)
}

func empty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case string:
		return value == ""
	case []any:
		return len(value) == 0
	case map[string]any:
		return len(value) == 0
	}
	return false
}

func mapAny(m map[string]any) any { return m }

func indented(value any) string {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}
