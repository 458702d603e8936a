package ingest

import (
	"encoding/json"
	"strconv"

	"github.com/holon-registry/holon/registry"
)

// The bounds of a value that is an object.
const (
	maxValueDepth = 4
	maxValueParts = 128 // fields and items in all
)

// objectValue reads a value that is an object. These are rare enough to be made
// of maps first.
func (p *parser) objectValue(measure string) (any, bool) {
	t := tree{p: p}
	raw, wrong := t.read(0)
	if p.err != nil {
		return nil, false
	}
	var value any
	if wrong == "" {
		value, wrong = registry.DecodeValue(raw)
	}
	if wrong != "" {
		p.fault(registry.ReasonWrongType, "values."+measure, "type", wrong)
		return nil, false
	}
	return value, true
}

// tree is one JSON value that is read into maps and lists.
type tree struct {
	p     *parser
	parts int
	// exact leaves numbers as they are written, as json.Number, so that none is
	// rounded; otherwise they are float64.
	exact bool
}

// read reads any JSON value. It reads on past what is wrong with it.
func (t *tree) read(depth int) (value any, wrong string) {
	p := t.p
	if t.parts++; depth > maxValueDepth || t.parts > maxValueParts {
		p.skip(depth)
		return nil, "an object has at most " + strconv.Itoa(maxValueParts) + " parts, and few levels"
	}
	switch c := p.next(); {
	case c == '{':
		return t.object(depth)
	case c == '[':
		return t.list(depth)
	case c == '"':
		return string(p.text()), ""
	case c == 't':
		p.word("true")
		return true, ""
	case c == 'f':
		p.word("false")
		return false, ""
	case c == 'n':
		p.word("null")
		return nil, ""
	case c == '-' || c >= '0' && c <= '9':
		return t.number()
	}
	p.syntax("a value is due")
	return nil, ""
}

func (t *tree) number() (value any, wrong string) {
	raw := t.p.number()
	switch {
	case t.p.err != nil:
		return nil, ""
	case t.exact:
		return json.Number(raw), ""
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return nil, "the number is too large for 64 bits"
	}
	return f, ""
}

func (t *tree) object(depth int) (value any, wrong string) {
	out := map[string]any{}
	t.p.object(func(key []byte) {
		name := string(key)
		_, twice := out[name]
		one, problem := t.read(depth + 1)
		switch {
		case wrong != "":
		case twice:
			wrong = "the field " + strconv.Quote(name) + " stands twice"
		default:
			wrong = problem
		}
		out[name] = one
	})
	return out, wrong
}

func (t *tree) list(depth int) (value any, wrong string) {
	out := []any{}
	t.p.items(func() {
		one, problem := t.read(depth + 1)
		if wrong == "" {
			wrong = problem
		}
		out = append(out, one)
	})
	return out, wrong
}
