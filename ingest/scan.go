package ingest

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// maxNesting bounds the recursion through values that are skipped.
const maxNesting = 100

type syntaxError struct {
	offset  int
	message string
}

// Error implements error.
func (e *syntaxError) Error() string {
	return fmt.Sprintf("not JSON at byte %d: %s", e.offset, e.message)
}

// syntax notes the first syntax error and ends the scan.
func (p *parser) syntax(message string) {
	if p.err == nil {
		p.err = &syntaxError{p.pos, message}
		p.pos = len(p.data)
	}
}

// next is the byte at hand, 0 at the end.
func (p *parser) next() byte {
	if p.pos < len(p.data) {
		return p.data[p.pos]
	}
	return 0
}

// space skips white space and returns where it ended.
func (p *parser) space() int {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return p.pos
		}
	}
	return p.pos
}

// object reads an object; field is called at each value and must read it. The
// key is valid until then.
func (p *parser) object(field func(key []byte)) {
	p.pos++
	if p.space(); p.next() == '}' {
		p.pos++
		return
	}
	for p.err == nil {
		p.space()
		if p.next() != '"' {
			p.syntax("a field's name in quotes is due")
			return
		}
		key := p.text()
		if p.space(); p.next() != ':' {
			p.syntax("a colon is due")
			return
		}
		p.pos++
		p.space()
		field(key)
		p.space()
		switch p.next() {
		case ',':
			p.pos++
		case '}':
			p.pos++
			return
		default:
			p.syntax("a comma or } is due")
		}
	}
}

// skip passes over any value.
func (p *parser) skip(depth int) {
	if depth > maxNesting {
		p.syntax("the document is nested too deeply")
		return
	}
	switch c := p.next(); {
	case c == '"':
		p.text()
	case c == '{':
		p.object(func([]byte) { p.skip(depth + 1) })
	case c == '[':
		p.skipList(depth)
	case c == 't':
		p.word("true")
	case c == 'f':
		p.word("false")
	case c == 'n':
		p.word("null")
	case c == '-' || c >= '0' && c <= '9':
		p.number()
	default:
		p.syntax("a value is due")
	}
}

func (p *parser) skipList(depth int) {
	p.items(func() { p.skip(depth + 1) })
}

// items reads a list; item is called at each item and must read it.
func (p *parser) items(item func()) {
	p.pos++
	if p.space(); p.next() == ']' {
		p.pos++
		return
	}
	for p.err == nil {
		p.space()
		item()
		p.space()
		switch p.next() {
		case ',':
			p.pos++
		case ']':
			p.pos++
			return
		default:
			p.syntax("a comma or ] is due")
		}
	}
}

// word reads true, false or null.
func (p *parser) word(want string) bool {
	if end := p.pos + len(want); end <= len(p.data) && string(p.data[p.pos:end]) == want {
		p.pos = end
		return true
	}
	p.syntax("true, false or null is due")
	return false
}

// number reads a number by the grammar of JSON and returns its text.
func (p *parser) number() []byte {
	start := p.pos
	if p.next() == '-' {
		p.pos++
	}
	switch c := p.next(); {
	case c == '0':
		p.pos++
	case c >= '1' && c <= '9':
		p.digits()
	default:
		p.syntax("a digit is due")
		return nil
	}
	if p.next() == '.' {
		p.pos++
		if !p.digits() {
			return nil
		}
	}
	if c := p.next(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.next(); c == '+' || c == '-' {
			p.pos++
		}
		if !p.digits() {
			return nil
		}
	}
	return p.data[start:p.pos]
}

func (p *parser) digits() bool {
	start := p.pos
	for c := p.next(); c >= '0' && c <= '9'; c = p.next() {
		p.pos++
	}
	if p.pos == start {
		p.syntax("a digit is due")
		return false
	}
	return true
}

// text reads a text in quotes. The result is valid until the next text.
func (p *parser) text() []byte {
	p.pos++
	start := p.pos
	ascii := true
	for p.pos < len(p.data) {
		switch c := p.data[p.pos]; {
		case c == '"':
			raw := p.data[start:p.pos]
			if !ascii && !utf8.Valid(raw) {
				p.syntax("a text is not UTF-8")
				return nil
			}
			p.pos++
			return raw
		case c == '\\':
			return p.escaped(start)
		case c < ' ':
			p.syntax("a control character stands in a text")
			return nil
		case c >= utf8.RuneSelf:
			ascii = false
		}
		p.pos++
	}
	p.syntax("a text does not end")
	return nil
}

// escaped reads a text on from its first escape.
func (p *parser) escaped(start int) []byte {
	out := append(p.spare[:0], p.data[start:p.pos]...)
	for p.pos < len(p.data) {
		switch c := p.data[p.pos]; {
		case c == '"':
			p.pos++
			p.spare = out
			if !utf8.Valid(out) {
				p.syntax("a text is not UTF-8")
				return nil
			}
			return out
		case c < ' ':
			p.syntax("a control character stands in a text")
			return nil
		case c != '\\':
			out = append(out, c)
			p.pos++
		case p.pos+1 < len(p.data) && p.data[p.pos+1] == 'u':
			r, ok := p.unicode()
			if !ok {
				p.syntax("\\u takes four hexadecimal digits")
				return nil
			}
			out = utf8.AppendRune(out, r)
		default:
			p.pos++
			plain, ok := unescape(p.next())
			if !ok {
				p.syntax("there is no such escape")
				return nil
			}
			out = append(out, plain)
			p.pos++
		}
	}
	p.syntax("a text does not end")
	return nil
}

func unescape(c byte) (byte, bool) {
	switch c {
	case '"', '\\', '/':
		return c, true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	}
	return 0, false
}

// unicode reads \uXXXX, with the second half of a surrogate pair if there is
// one. Half a pair becomes the replacement character, as in encoding/json.
func (p *parser) unicode() (rune, bool) {
	r, ok := p.hex(p.pos + 2)
	if !ok {
		return 0, false
	}
	p.pos += 6
	if !utf16.IsSurrogate(r) {
		return r, true
	}
	if p.pos+1 < len(p.data) && p.data[p.pos] == '\\' && p.data[p.pos+1] == 'u' {
		if second, ok := p.hex(p.pos + 2); ok {
			if whole := utf16.DecodeRune(r, second); whole != utf8.RuneError {
				p.pos += 6
				return whole, true
			}
		}
	}
	return utf8.RuneError, true
}

func (p *parser) hex(at int) (rune, bool) {
	if at+4 > len(p.data) {
		return 0, false
	}
	var r rune
	for _, c := range p.data[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
