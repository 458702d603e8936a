package graph

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
)

// fields are the columns of a row, or the entries of a map in one, by name. A
// column that is missing or of another type makes the row's decoding fail;
// what the method then returns does not matter.
type fields struct {
	record *neo4j.Record
	object map[string]any
	// path leads to the map, for messages.
	path string
	fail *error
}

// decoded reads one row.
func decoded[T any](name string, record *neo4j.Record, of func(fields) T) (T, error) {
	var fail error
	out := of(fields{record: record, fail: &fail})
	if fail != nil {
		return out, fmt.Errorf("decode %s: %w", name, fail)
	}
	return out, nil
}

func (f fields) value(name string) any {
	var value any
	var ok bool
	if f.record != nil {
		value, ok = f.record.Get(name)
	} else {
		value, ok = f.object[name]
	}
	if !ok {
		f.failed("%s%s is missing", f.path, name)
	}
	return value
}

func (f fields) failed(format string, args ...any) {
	if *f.fail == nil {
		*f.fail = fmt.Errorf(format, args...)
	}
}

// optional is for properties, which are absent rather than null.
func (f fields) optional(name string) any {
	if f.record != nil {
		return f.value(name)
	}
	return f.object[name]
}

func required[T any](f fields, name string) T {
	value := f.value(name)
	out, ok := value.(T)
	if !ok {
		f.failed("%s%s is a %T, not a %T", f.path, name, value, out)
	}
	return out
}

func nullable[T any](f fields, name string) *T {
	value := f.optional(name)
	if value == nil {
		return nil
	}
	out, ok := value.(T)
	if !ok {
		f.failed("%s%s is a %T, not a %T", f.path, name, value, out)
	}
	return &out
}

func (f fields) id(name string) registry.ID    { return registry.ID(required[string](f, name)) }
func (f fields) text(name string) string       { return required[string](f, name) }
func (f fields) integer(name string) int       { return int(required[int64](f, name)) }
func (f fields) boolean(name string) bool      { return required[bool](f, name) }
func (f fields) list(name string) []any        { return required[[]any](f, name) }
func (f fields) optionalText(n string) *string { return nullable[string](f, n) }

// time is for native datetimes.
func (f fields) time(name string) time.Time { return required[time.Time](f, name).UTC() }

func (f fields) optionalTime(name string) *time.Time {
	at := nullable[time.Time](f, name)
	if at != nil {
		*at = at.UTC()
	}
	return at
}

// millis is for times kept as epoch milliseconds.
func (f fields) millis(name string) time.Time {
	return time.UnixMilli(required[int64](f, name)).UTC()
}

func (f fields) optionalMillis(name string) *time.Time {
	millis := nullable[int64](f, name)
	if millis == nil {
		return nil
	}
	at := time.UnixMilli(*millis).UTC()
	return &at
}

// nested is for a map, for instance the properties of a node.
func (f fields) nested(name string) fields {
	return fields{object: required[map[string]any](f, name), path: f.path + name + ".", fail: f.fail}
}

// optionalMap is false where the value is null.
func (f fields) optionalMap(name string) (fields, bool) {
	if f.optional(name) == nil {
		return fields{}, false
	}
	return f.nested(name), true
}

// maps is for a list of maps.
func (f fields) maps(name string) []fields {
	list := f.list(name)
	out := make([]fields, len(list))
	for i, item := range list {
		object, ok := item.(map[string]any)
		if !ok {
			f.failed("%s%s[%d] is a %T, not a map", f.path, name, i, item)
		}
		out[i] = fields{object: object, path: fmt.Sprintf("%s%s[%d].", f.path, name, i), fail: f.fail}
	}
	return out
}

// texts is for a list of texts; absent means none.
func (f fields) texts(name string) []string {
	value := f.optional(name)
	if value == nil {
		return nil
	}
	list, ok := value.([]any)
	if !ok {
		f.failed("%s%s is a %T, not a list", f.path, name, value)
	}
	out := make([]string, len(list))
	for i, item := range list {
		if out[i], ok = item.(string); !ok {
			f.failed("%s%s[%d] is a %T, not a text", f.path, name, i, item)
		}
	}
	return out
}

func (f fields) ids(name string) []registry.ID {
	texts := f.texts(name)
	out := make([]registry.ID, len(texts))
	for i, text := range texts {
		out[i] = registry.ID(text)
	}
	return out
}

// json reads a JSON text into a value; absent leaves it as it is.
func (f fields) json(name string, into any) {
	text := f.optionalText(name)
	if text == nil {
		return
	}
	if err := json.Unmarshal([]byte(*text), into); err != nil {
		f.failed("%s%s is not JSON: %v", f.path, name, err)
	}
}

// plain reads a JSON text into plain values: whole numbers stay whole.
func (f fields) plain(name string) any {
	text := f.optionalText(name)
	if text == nil {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(*text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		f.failed("%s%s is not JSON: %v", f.path, name, err)
		return nil
	}
	value, violation := jsonschema.Plain(name, value)
	if violation != nil {
		f.failed("%s%s: %s", f.path, name, violation.Message)
	}
	return value
}

// plainJSON is for the text of a JSON object; absent is nil.
func (f fields) plainJSON(name string) map[string]any {
	object, _ := f.plain(name).(map[string]any)
	return object
}

// plainList is for the text of a JSON list; absent is nil.
func (f fields) plainList(name string) []any {
	list, _ := f.plain(name).([]any)
	return list
}

// objectOf reads what every object has.
func objectOf(f fields) registry.Object {
	return registry.Object{ID: f.id("id"), Version: f.integer("version"), CreatedAt: f.time("createdAt"), UpdatedAt: f.time("updatedAt")}
}

// counted is for a query that returns one number under the name n.
func counted(f fields) int { return f.integer("n") }
