package decode

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// options reads an object of options and notes all that is wrong with it. What
// nobody asked for until end is unknown.
type options struct {
	path   string
	values map[string]any
	asked  map[string]bool
	into   *[]registry.Violation
}

func newOptions(path string, values map[string]any, into *[]registry.Violation) *options {
	return &options{path: path, values: values, asked: map[string]bool{}, into: into}
}

// refuse notes a violation of the option of a name, of the whole if it is empty.
func (o *options) refuse(name, rule, format string, args ...any) {
	path := o.path
	if name != "" {
		path += "." + name
	}
	*o.into = append(*o.into, registry.Violation{Path: path, Rule: rule, Message: fmt.Sprintf(format, args...)})
}

// end refuses the options that are unknown.
func (o *options) end() {
	for _, name := range slices.Sorted(maps.Keys(o.values)) {
		if !o.asked[name] {
			o.refuse(name, "undeclared", "the options are %s", strings.Join(slices.Sorted(maps.Keys(o.asked)), ", "))
		}
	}
}

// get returns an option, nil if it is not given.
func (o *options) get(name string) any {
	o.asked[name] = true
	return o.values[name]
}

// text returns a text that is not empty, or "" if it is not given.
func (o *options) text(name string) string {
	switch v := o.get(name).(type) {
	case nil:
	case string:
		if v == "" {
			o.refuse(name, "required", "is not empty")
		}
		return v
	default:
		o.refuse(name, "type", "is a text")
	}
	return ""
}

// texts returns a list of texts, or one text as such a list.
func (o *options) texts(name string) []string {
	switch v := o.get(name).(type) {
	case nil:
	case string:
		return []string{v}
	case []any:
		out := make([]string, 0, len(v))
		for i, one := range v {
			text, ok := one.(string)
			if !ok {
				o.refuse(fmt.Sprintf("%s[%d]", name, i), "type", "is a text")
			}
			out = append(out, text)
		}
		return out
	default:
		o.refuse(name, "type", "is a text, or a list of texts")
	}
	return nil
}

// one returns one of some texts, the first if it is not given.
func (o *options) one(name string, of ...string) string {
	text := o.text(name)
	switch {
	case text == "":
		return of[0]
	case !slices.Contains(of, text):
		o.refuse(name, "enum", "is one of %s", strings.Join(of, ", "))
	}
	return text
}

func (o *options) flag(name string) bool {
	switch v := o.get(name).(type) {
	case nil:
	case bool:
		return v
	default:
		o.refuse(name, "type", "is true or false")
	}
	return false
}

// number returns a number, nil if it is not given.
func (o *options) number(name string) *float64 {
	v := o.get(name)
	if v == nil {
		return nil
	}
	n, ok := plainNumber(v)
	if !ok || math.IsNaN(n) || math.IsInf(n, 0) {
		o.refuse(name, "type", "is a number")
		return nil
	}
	return &n
}

// integer returns a whole number within bounds, nil if it is not given.
func (o *options) integer(name string, from, to int) *int {
	n := o.number(name)
	if n == nil {
		return nil
	}
	i := int(*n)
	if float64(i) != *n || i < from || i > to {
		o.refuse(name, "range", "is a whole number from %d to %d", from, to)
		return nil
	}
	return &i
}

// object returns an object of options, nil if it is not given.
func (o *options) object(name string) *options {
	switch v := o.get(name).(type) {
	case nil:
	case map[string]any:
		return newOptions(o.path+"."+name, v, o.into)
	default:
		o.refuse(name, "type", "is an object")
	}
	return nil
}

// short returns an object of options; a text is short for an object with that
// text as one of its options.
func (o *options) short(name, as string) *options {
	if text, ok := o.values[name].(string); ok {
		o.asked[name] = true
		return newOptions(o.path+"."+name, map[string]any{as: text}, o.into)
	}
	return o.object(name)
}

// names are those of the options that were given, sorted.
func (o *options) names() []string { return slices.Sorted(maps.Keys(o.values)) }
