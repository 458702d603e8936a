package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// NamedReader is a file of another system.
type NamedReader struct {
	Name   string
	Reader io.Reader
}

// object is a JSON object of another system.
type object map[string]any

func (o object) text(name string) string {
	s, _ := o[name].(string)
	return s
}

func (o object) object(name string) object {
	inner, _ := o[name].(map[string]any)
	return inner
}

func (o object) list(name string) []any {
	switch v := o[name].(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

func (o object) optional(name string) *string {
	if s, ok := o[name].(string); ok && s != "" {
		return &s
	}
	return nil
}

// eachObject hands over the objects of a file, one at a time: those of its top
// level, of lists in it, and of the lists under the given names. Lists may be as
// long as they like.
func eachObject(r io.Reader, lists map[string]bool, yield func(object) error) error {
	decoder := json.NewDecoder(r)
	decoder.UseNumber()
	for {
		if err := eachValue(decoder, lists, yield); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func eachValue(decoder *json.Decoder, lists map[string]bool, yield func(object) error) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('['):
		for decoder.More() {
			if err := eachValue(decoder, lists, yield); err != nil {
				return cutOff(err)
			}
		}
		_, err := decoder.Token()
		return cutOff(err)
	case json.Delim('{'):
		return eachMember(decoder, lists, yield)
	}
	return registry.InvalidField("file", "format", "an object or a list of objects is due, not %v", token)
}

// eachMember reads an object, of which the lists that were asked for are handed
// over piece by piece and the rest as one, if there is any.
func eachMember(decoder *json.Decoder, lists map[string]bool, yield func(object) error) error {
	rest := object{}
	handed := false
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return cutOff(err)
		}
		name, _ := token.(string)
		var raw json.RawMessage
		if lists[name] && len(rest) == 0 {
			if err := eachValue(decoder, lists, yield); err != nil {
				return cutOff(err)
			}
			handed = true
			continue
		}
		if err := decoder.Decode(&raw); err != nil {
			return cutOff(err)
		}
		if lists[name] && bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[{")) {
			inner := json.NewDecoder(bytes.NewReader(raw))
			inner.UseNumber()
			if err := eachValue(inner, lists, yield); err != nil {
				return cutOff(err)
			}
			handed = true
			continue
		}
		value := json.NewDecoder(bytes.NewReader(raw))
		value.UseNumber()
		var v any
		if err := value.Decode(&v); err != nil {
			return cutOff(err)
		}
		rest[name] = v
	}
	if _, err := decoder.Token(); err != nil {
		return cutOff(err)
	}
	if handed {
		return nil // what stands around a list is about the list: counts and pages
	}
	return yield(rest)
}

// cutOff tells an end in the middle from the end.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// names makes names of another system into Holon's, always the same ones, and
// notes when that changes them.
type names struct{ notes *[]string }

func (n names) note(format string, args ...any) {
	*n.notes = append(*n.notes, fmt.Sprintf(format, args...))
}

// attribute makes the name of an attribute.
func (n names) attribute(kind registry.Kind, name string) string {
	out := word(name, true)
	if registry.BuiltInAttribute(kind, out) {
		out += "_"
	}
	if out != name {
		n.note("attribute %q is called %s", name, out)
	}
	return out
}

// measure makes the name of a measure.
func (n names) measure(name string) string {
	out := word(name, true)
	if out != name {
		n.note("measure %q is called %s", name, out)
	}
	return out
}

// template makes the name of a template.
func (n names) template(name string) string {
	out := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			return r
		}
		return '_'
	}, name)
	if out == "" || !letter(rune(out[0])) {
		out = "t" + out
	}
	if strings.EqualFold(out, registry.OpenTemplate) {
		out += "_"
	}
	if out = out[:min(len(out), 64)]; out != name {
		n.note("template %q is called %s", name, out)
	}
	return out
}

// relation makes the name of a relation: locatedAt becomes located_at.
func (n names) relation(name string) string {
	var b strings.Builder
	for i, r := range word(name, false) {
		if r >= 'A' && r <= 'Z' {
			if i > 0 && !strings.HasSuffix(b.String(), "_") {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	out := strings.TrimLeft(b.String(), "_")
	if out == "" || !letter(rune(out[0])) {
		out = "r" + out
	}
	if out = out[:min(len(out), 48)]; out != name {
		n.note("relation %q is called %s", name, out)
	}
	return out
}

// word keeps letters, digits and underscores.
func word(name string, underscore bool) string {
	out := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '_' || r >= '0' && r <= '9' || letter(r)) {
			return r
		}
		return '_'
	}, name)
	if out == "" || underscore && out[0] >= '0' && out[0] <= '9' {
		out = "_" + out
	}
	return out[:min(len(out), 64)]
}

func letter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
