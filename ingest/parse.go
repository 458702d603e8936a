package ingest

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/holon-registry/holon/registry"
)

// ParseJSON reads one reading, or an array of readings, from a JSON document:
//
//	{"device": "sensor-1", "measuredAt": "2026-01-02T03:04:05.678Z",
//	 "messageId": "17", "values": {"temperature": 21.5, "open": true},
//	 "template": "sensor", "attributes": {"firmware": "1.2"}}
//
// Instead of "device", "asset" names an asset that somebody has read by hand. A
// value is a number, a boolean, a text or an object: see registry.DecodeValue.
// measuredAt is RFC 3339 or whole epoch milliseconds; it, messageId, template and
// attributes may be absent or null. Unknown and repeated fields are faults, so that a slip of the
// pen is not taken for an optional field left out. If device is not empty the
// readings are of that device, and must not name one themselves.
//
// What is wrong with one reading is a fault of that reading; a document that is
// not JSON is one fault, and no reading.
func ParseJSON(document []byte, device string) Submission {
	p := newParser(document, device)
	defer p.free()
	p.space()
	if p.next() == '[' {
		p.list()
	} else {
		p.reading()
	}
	if p.err == nil && p.space() < len(p.data) {
		p.syntax("nothing may follow the document")
	}
	if p.err != nil {
		return Submission{Faults: []Fault{malformed(0, p.err.Error())}}
	}
	return p.out
}

// ParseLines reads one reading a line (NDJSON). A line that is not JSON is a
// fault of that line only; empty lines do not count.
func ParseLines(document []byte) Submission {
	p := newParser(nil, "")
	defer p.free()
	number := 0
	for line := range bytes.Lines(document) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		index, faults := len(p.out.Readings), len(p.out.Faults)
		p.data, p.pos, p.err = line, 0, nil
		p.reading()
		if p.err == nil && p.space() < len(p.data) {
			p.syntax("nothing may follow the reading on its line")
		}
		if p.err != nil {
			p.out.Readings = append(p.out.Readings[:index], registry.Reading{})
			p.out.Faults = append(p.out.Faults[:faults], malformed(index, fmt.Sprintf("line %d: %s", number, p.err)))
		}
	}
	return p.out
}

func malformed(index int, message string) Fault {
	return Fault{index, registry.ReasonMalformed, registry.Violation{Rule: "syntax", Message: message}}
}

// parser turns JSON into readings. It is written by hand because this is the
// hot path: encoding/json takes several times as long, and cannot tell
// repeated fields, nor go on after the fault of one reading. A fuzz test holds
// the two together.
type parser struct {
	data   []byte
	pos    int
	err    error // the first syntax error; nothing is read after it
	device string
	out    Submission
	names  map[string]string // device references and measures that were met
	spare  []byte            // for texts with escapes
}

var parsers = sync.Pool{New: func() any { return &parser{names: make(map[string]string, 64)} }}

func newParser(data []byte, device string) *parser {
	p := parsers.Get().(*parser)
	p.data, p.pos, p.err, p.device, p.out = data, 0, nil, device, Submission{}
	return p
}

func (p *parser) free() {
	if len(p.names) > 4096 {
		clear(p.names)
	}
	p.data, p.out = nil, Submission{}
	parsers.Put(p)
}

// fault notes what is wrong with the reading that is being read.
func (p *parser) fault(reason registry.DeadLetterReason, path, rule, message string) {
	p.out.Faults = append(p.out.Faults, Fault{len(p.out.Readings), reason, registry.Violation{Path: path, Rule: rule, Message: message}})
}

func (p *parser) list() {
	p.pos++
	if p.space(); p.next() == ']' {
		p.pos++
		return
	}
	// A reading takes 64 bytes or so: better than growing from nothing.
	p.out.Readings = make([]registry.Reading, 0, min(1+len(p.data)/64, 4096))
	for p.err == nil {
		p.space()
		p.reading()
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

// reading reads one reading and adds it, with its faults if it has any.
func (p *parser) reading() {
	var r registry.Reading
	r.Device = p.device
	var seen [7]bool
	if p.next() != '{' {
		p.fault(registry.ReasonMalformed, "", "type", "a reading is an object")
		p.skip(0)
	} else {
		p.object(func(key []byte) {
			switch string(key) {
			case "device":
				p.once(&seen[0], "device")
				p.readSource("device", &r.Device)
			case "asset":
				p.once(&seen[4], "asset")
				p.readSource("asset", &r.Asset)
			case "measuredAt":
				p.once(&seen[1], "measuredAt")
				p.readTime(&r)
			case "messageId":
				p.once(&seen[2], "messageId")
				p.readMessageID(&r)
			case "values":
				p.once(&seen[3], "values")
				p.readValues(&r)
			case "template":
				p.once(&seen[5], "template")
				p.readTemplate(&r)
			case "attributes":
				p.once(&seen[6], "attributes")
				p.readAttributes(&r)
			default:
				p.fault(registry.ReasonMalformed, string(key), "undeclared", "a reading has the fields device or asset, measuredAt, messageId, values, template and attributes")
				p.skip(0)
			}
		})
	}
	if p.err == nil {
		p.out.Readings = append(p.out.Readings, r)
	}
}

func (p *parser) once(seen *bool, path string) {
	if *seen {
		p.fault(registry.ReasonMalformed, path, "unique", "the field stands twice")
	}
	*seen = true
}

// readSource reads the reference of the device or the asset that a reading is of.
func (p *parser) readSource(field string, into *string) {
	if p.device != "" {
		p.fault(registry.ReasonMalformed, field, "undeclared", "the topic names the device, the reading must not")
		p.skip(0)
		return
	}
	if p.next() != '"' {
		p.fault(registry.ReasonMalformed, field, "type", "a reference is a text")
		p.skip(0)
		return
	}
	*into = p.name()
}

func (p *parser) readTemplate(r *registry.Reading) {
	switch p.next() {
	case '"':
		r.Template = p.name()
	case 'n':
		p.word("null")
	default:
		p.fault(registry.ReasonMalformed, "template", "type", "a template's name is a text")
		p.skip(0)
	}
}

// readAttributes reads what a device says of itself, which is rare enough to be
// made of maps.
func (p *parser) readAttributes(r *registry.Reading) {
	if p.next() == 'n' {
		p.word("null")
		return
	}
	t := tree{p: p, exact: true}
	value, wrong := t.read(0)
	object, is := value.(map[string]any)
	switch {
	case p.err != nil:
	case wrong != "":
		p.fault(registry.ReasonMalformed, "attributes", "type", wrong)
	case !is:
		p.fault(registry.ReasonMalformed, "attributes", "type", "attributes are an object: {\"firmware\": \"1.2\"}")
	default:
		r.Attributes = object
	}
}

func (p *parser) readMessageID(r *registry.Reading) {
	switch p.next() {
	case '"':
		r.MessageID = string(p.text())
	case 'n':
		p.word("null")
	default:
		p.fault(registry.ReasonMalformed, "messageId", "type", "a message id is a text")
		p.skip(0)
	}
}

func (p *parser) readTime(r *registry.Reading) {
	const want = "measuredAt is RFC 3339 (2026-01-02T03:04:05.678Z) or whole epoch milliseconds"
	switch c := p.next(); {
	case c == '"':
		at, err := time.Parse(time.RFC3339, string(p.text()))
		if p.err != nil {
			return
		}
		if err != nil {
			p.fault(registry.ReasonMalformed, "measuredAt", "format", want)
			return
		}
		r.MeasuredAt = at.UTC()
	case c == 'n':
		p.word("null")
	case c == '-' || c >= '0' && c <= '9':
		raw := p.number()
		if p.err != nil {
			return
		}
		ms, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil || ms > math.MaxInt64/1_000_000 || ms < math.MinInt64/1_000_000 {
			p.fault(registry.ReasonMalformed, "measuredAt", "format", want)
			return
		}
		r.MeasuredAt = time.UnixMilli(ms).UTC()
	default:
		p.fault(registry.ReasonMalformed, "measuredAt", "type", want)
		p.skip(0)
	}
}

func (p *parser) readValues(r *registry.Reading) {
	switch p.next() {
	case '{':
	case 'n':
		p.word("null")
		return
	default:
		p.fault(registry.ReasonMalformed, "values", "type", "values is an object: {\"temperature\": 21.5}")
		p.skip(0)
		return
	}
	r.Values = make(map[string]any, 2)
	p.object(func(key []byte) {
		measure := p.intern(key)
		if _, twice := r.Values[measure]; twice {
			p.fault(registry.ReasonMalformed, "values."+measure, "unique", "the measure stands twice")
		}
		if value, ok := p.value(measure); ok {
			r.Values[measure] = value
		}
	})
}

// value reads a number, a boolean, a text or an object.
func (p *parser) value(measure string) (any, bool) {
	switch c := p.next(); {
	case c == '"':
		text := string(p.text())
		return text, p.err == nil
	case c == 't':
		return true, p.word("true")
	case c == 'f':
		return false, p.word("false")
	case c == '-' || c >= '0' && c <= '9':
		raw := p.number()
		if p.err != nil {
			return nil, false
		}
		f, err := strconv.ParseFloat(string(raw), 64)
		if err != nil { // only a number that is too large: the grammar was checked
			p.fault(registry.ReasonWrongType, "values."+measure, "range", "the number is too large for 64 bits")
			return nil, false
		}
		return f, true
	case c == '{':
		return p.objectValue(measure)
	}
	p.fault(registry.ReasonWrongType, "values."+measure, "type", "a value is a number, a boolean, a text or an object")
	p.skip(0)
	return nil, false
}

// name reads a text that is likely to come again.
func (p *parser) name() string { return p.intern(p.text()) }

func (p *parser) intern(raw []byte) string {
	if s, ok := p.names[string(raw)]; ok {
		return s
	}
	s := string(raw)
	if len(s) <= 256 {
		p.names[s] = s
	}
	return s
}
