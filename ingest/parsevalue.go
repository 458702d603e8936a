package ingest

import (
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
	parts := 0
	raw, wrong := p.tree(0, &parts)
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

// tree reads any JSON value. It reads on past what is wrong with it.
func (p *parser) tree(depth int, parts *int) (value any, wrong string) {
	if *parts++; depth > maxValueDepth || *parts > maxValueParts {
		p.skip(depth)
		return nil, "an object has at most " + strconv.Itoa(maxValueParts) + " parts, and few levels"
	}
	switch c := p.next(); {
	case c == '{':
		return p.treeOfObject(depth, parts)
	case c == '[':
		return p.treeOfList(depth, parts)
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
		raw := p.number()
		if p.err != nil {
			return nil, ""
		}
		f, err := strconv.ParseFloat(string(raw), 64)
		if err != nil {
			return nil, "the number is too large for 64 bits"
		}
		return f, ""
	}
	p.syntax("a value is due")
	return nil, ""
}

func (p *parser) treeOfObject(depth int, parts *int) (value any, wrong string) {
	out := map[string]any{}
	p.object(func(key []byte) {
		name := string(key)
		_, twice := out[name]
		one, problem := p.tree(depth+1, parts)
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

func (p *parser) treeOfList(depth int, parts *int) (value any, wrong string) {
	out := []any{}
	p.items(func() {
		one, problem := p.tree(depth+1, parts)
		if wrong == "" {
			wrong = problem
		}
		out = append(out, one)
	})
	return out, wrong
}
