package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/holon-registry/holon/registry"
)

// Format and Version stand in the first line of every file. The version rises
// when a reader of the one before would misunderstand a file.
const (
	Format  = "holon"
	Version = 1
)

// The first and the last line of a file.
const (
	recordHeader registry.RecordKind = "header"
	recordEnd    registry.RecordKind = "end"
)

// Header is the first line of a file.
type Header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Account string `json:"account,omitempty"`
	// Position is that of the last change that is in the file, At its moment:
	// the file shows the account as it was right after it.
	Position int64      `json:"position,omitempty"`
	At       *time.Time `json:"at,omitempty"`
	// Records counts the lines that follow, without those of measurements, by
	// kind.
	Records map[registry.RecordKind]int `json:"records,omitempty"`
	// Measurements says whether there are any, and from when (included) to when
	// (not included).
	Measurements *Interval `json:"measurements,omitempty"`
}

// Interval is a time from (included) to (not included); nil is open.
type Interval struct {
	From *time.Time `json:"from,omitempty"`
	To   *time.Time `json:"to,omitempty"`
}

// end is the last line of a file: without it, the file is cut off.
type end struct {
	// Lines counts all lines of the file, the first and the last included.
	Lines int `json:"lines"`
}

// RecordKind is header.
func (*Header) RecordKind() registry.RecordKind { return recordHeader }

// RecordKey is the account.
func (h *Header) RecordKey() string { return h.Account }

// RecordID is empty.
func (*Header) RecordID() registry.ID { return "" }

// RecordKind is end.
func (*end) RecordKind() registry.RecordKind { return recordEnd }

// RecordKey is empty.
func (*end) RecordKey() string { return "" }

// RecordID is empty.
func (*end) RecordID() registry.ID { return "" }

// encode is a record's line, without the line's end.
func encode(r registry.Record) ([]byte, error) {
	switch of := r.(type) {
	case *registry.ThingRecord:
		copied := *of
		copied.Attributes, _ = exact(of.Attributes).(map[string]any)
		r = &copied
	case *registry.ProfileRecord:
		copied := *of
		copied.Attributes, _ = exact(of.Attributes).(map[string]any)
		r = &copied
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"record":%q,`, r.RecordKind())
	at := b.Len()
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", r.RecordKind(), r.RecordKey(), err)
	}
	line := bytes.TrimRight(b.Bytes(), "\n")
	return append(line[:at], line[at+1:]...), nil // the record's own opening brace
}

// exact writes fractions that happen to be whole as fractions: 2.0, not 2, which
// would come back as a whole number.
func exact(value any) any {
	switch v := value.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return json.Number(strconv.FormatFloat(v, 'f', 1, 64))
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			out[name] = exact(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = exact(inner)
		}
		return out
	}
	return value
}

// decode reads a line. What is wrong with it is INVALID.
func decode(line []byte) (registry.Record, error) {
	var kind struct {
		Record registry.RecordKind `json:"record"`
	}
	if err := json.Unmarshal(line, &kind); err != nil {
		return nil, malformed(err)
	}
	switch kind.Record {
	case recordHeader:
		return decodeInto(line, new(Header), false)
	case recordEnd:
		return decodeInto(line, new(end), false)
	case registry.RecordMeasureType:
		return decodeInto(line, new(registry.MeasureTypeRecord), true)
	case registry.RecordTemplate:
		return decodeInto(line, new(registry.TemplateRecord), true)
	case registry.RecordGroup:
		return decodeInto(line, &registry.ThingRecord{Kind: registry.KindGroup}, true)
	case registry.RecordAsset:
		return decodeInto(line, &registry.ThingRecord{Kind: registry.KindAsset}, true)
	case registry.RecordDevice:
		return decodeInto(line, &registry.ThingRecord{Kind: registry.KindDevice}, true)
	case registry.RecordRelation:
		return decodeInto(line, new(registry.RelationRecord), true)
	case registry.RecordPart:
		return decodeInto(line, new(registry.PartRecord), true)
	case registry.RecordLink:
		return decodeInto(line, new(registry.LinkRecord), true)
	case registry.RecordDesired:
		return decodeInto(line, new(registry.DesiredRecord), true)
	case registry.RecordPolicy:
		return decodeInto(line, new(registry.PolicyRecord), true)
	case registry.RecordProfile:
		return decodeInto(line, new(registry.ProfileRecord), true)
	case registry.RecordAlarm:
		return decodeInto(line, new(registry.AlarmRecord), true)
	case registry.RecordCommand:
		return decodeInto(line, new(registry.CommandRecord), true)
	case registry.RecordMeasurements:
		return decodeInto(line, new(registry.MeasurementsRecord), true)
	}
	return nil, registry.InvalidField("record", "enum", "%q is no kind of record", kind.Record)
}

// decodeInto reads a line's fields. A field that the record does not have is an
// error where strict: it would be lost without a word.
func decodeInto[T registry.Record](line []byte, into T, strict bool) (registry.Record, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return nil, malformed(err)
	}
	delete(fields, "record")
	rest, err := json.Marshal(fields)
	if err != nil {
		return nil, malformed(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(rest))
	decoder.UseNumber()
	if strict {
		decoder.DisallowUnknownFields()
	}
	if err := decoder.Decode(into); err != nil {
		return nil, malformed(err)
	}
	return into, nil
}

// malformed makes an error of the JSON decoder one of the registry.
func malformed(err error) error {
	text := err.Error()
	field := ""
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field = wrong.Field
		text = fmt.Sprintf("is a %s where another type is due", wrong.Value)
	} else if errors.Is(err, io.ErrUnexpectedEOF) {
		text = "the line is cut off"
	}
	if field == "" {
		field = "line"
	}
	return registry.InvalidField(field, "format", "%s", text)
}
