package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// A stream entry holds many readings, each a record of this form; a varint is
// that of encoding/binary, a text is its length as a varint and its bytes:
//
//	flags         1 byte, see below
//	account       id
//	device        id
//	reference     text
//	source        text
//	measuredAt    signed varint, epoch milliseconds    if flagMeasured
//	messageID     text                                 if flagMessage
//	values        count as a varint; name as text, type byte, value each
//	refusal       reason, measure, message, raw: texts if flagRefused
//	template      text, and the attributes as text             if flagSaid
//	payload       id, flags as a byte, and if flagContent is among them content
//	              type, template, source, receivedAt (signed varint, epoch
//	              milliseconds) and content: texts                 if flagPayload
//
// A value is nothing (true, false), 8 bytes (number), a text, 16 or 24 bytes
// (latitude, longitude, altitude), a count of fields with name, type byte and
// value each (composite), or a type byte, a value and its unit as a text
// (quantity).
//
// An id is 1 and 16 bytes if it is a UUID in lower case, else 0 and a text. A
// reading without a time of its own gets it in the script that queues it; the
// times of such readings are beside the records, in their order.
//
// encoding/json takes about nine times as long and three times the room: see
// BenchmarkRecord.
const (
	flagMeasured = 1 << iota
	flagMessage
	flagRefused
	flagPayload
	// flagAsset says that the device is an asset.
	flagAsset
	flagSaid
	flagAgain
)

// The flags of a payload.
const (
	flagContent = 1 << iota
	flagKept
	flagValid
)

const (
	typeNumber = 'n'
	typeTrue   = 't'
	typeFalse  = 'f'
	typeText   = 's'

	typePlace     = 'p'
	typeHighPlace = 'P'
	typeComposite = 'c'
	typeQuantity  = 'q'
)

// appendRecord adds the record of a reading to b. Values that are not decoded
// ones are a defect of the caller.
func appendRecord(b []byte, r *registry.AcceptedReading) ([]byte, error) {
	var flags byte
	if !r.MeasuredAt.IsZero() {
		flags |= flagMeasured
	}
	if r.MessageID != "" {
		flags |= flagMessage
	}
	if r.Refused != nil {
		flags |= flagRefused
	}
	if r.Payload != nil {
		flags |= flagPayload
	}
	if r.Asset {
		flags |= flagAsset
	}
	if r.Template != "" || len(r.Attributes) > 0 {
		flags |= flagSaid
	}
	if r.Again {
		flags |= flagAgain
	}
	b = append(b, flags)
	b = appendID(b, r.Account)
	b = appendID(b, r.DeviceID)
	b = appendText(b, r.Reference)
	b = appendText(b, r.Source)
	if flags&flagMeasured != 0 {
		b = binary.AppendVarint(b, r.MeasuredAt.UnixMilli())
	}
	if flags&flagMessage != 0 {
		b = appendText(b, r.MessageID)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Values)))
	for name, value := range r.Values {
		b = appendText(b, name)
		if f, ok := value.(float64); ok {
			b = appendNumber(append(b, typeNumber), f)
			continue
		}
		var err error
		if b, err = appendValue(b, value); err != nil {
			return nil, fmt.Errorf("measure %s of device %s: %w", name, r.Reference, err)
		}
	}
	if r.Refused != nil {
		b = appendText(b, string(r.Refused.Reason))
		b = appendText(b, r.Refused.Measure)
		b = appendText(b, r.Refused.Message)
		b = appendText(b, string(r.Raw))
	}
	if flags&flagSaid != 0 {
		b = appendText(appendText(b, r.Template), string(r.Attributes))
	}
	if r.Payload != nil {
		b = appendPayload(b, r.Payload)
	}
	return b, nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendID(b []byte, id registry.ID) []byte {
	if raw, ok := packUUID(string(id)); ok {
		return append(append(b, 1), raw[:]...)
	}
	return appendText(append(b, 0), string(id))
}

// decoder reads records. It keeps the texts that come again and again, so that
// a batch of readings does not hold a copy of each name a reading.
type decoder struct {
	names map[string]string
	b     []byte
}

// maxNames bounds what a decoder keeps; at that point it begins anew.
const maxNames = 50_000

var errShort = errors.New("a record of the queue is cut off")

// records decodes every record of an entry. Readings without a time of their
// own take it from times, in order.
func (d *decoder) records(blob []byte, count int, times []int64, receivedAt time.Time) ([]registry.AcceptedReading, error) {
	if d.names == nil || len(d.names) > maxNames {
		d.names = make(map[string]string, 256)
	}
	d.b = blob
	readings := make([]registry.AcceptedReading, 0, min(count, len(blob)/5))
	for len(d.b) > 0 {
		r, err := d.record()
		if err != nil {
			return nil, err
		}
		if r.MeasuredAt.IsZero() {
			if len(times) == 0 {
				return nil, errors.New("an entry of the queue has too few times")
			}
			r.MeasuredAt, times, r.Timeless = time.UnixMilli(times[0]).UTC(), times[1:], true
		}
		r.ReceivedAt = receivedAt
		readings = append(readings, r)
	}
	return readings, nil
}

func (d *decoder) record() (r registry.AcceptedReading, err error) {
	flags, err := d.byte()
	if err != nil {
		return r, err
	}
	r.Asset, r.Again = flags&flagAsset != 0, flags&flagAgain != 0
	if r.Account, err = d.id(); err != nil {
		return r, err
	}
	if r.DeviceID, err = d.id(); err != nil {
		return r, err
	}
	if r.Reference, err = d.name(); err != nil {
		return r, err
	}
	if r.Source, err = d.name(); err != nil {
		return r, err
	}
	if flags&flagMeasured != 0 {
		ms, n := binary.Varint(d.b)
		if n <= 0 {
			return r, errShort
		}
		d.b, r.MeasuredAt = d.b[n:], time.UnixMilli(ms).UTC()
	}
	if flags&flagMessage != 0 {
		if r.MessageID, err = d.text(); err != nil {
			return r, err
		}
	}
	if r.Values, err = d.values(); err != nil {
		return r, err
	}
	if flags&flagRefused != 0 {
		if err = d.refusal(&r); err != nil {
			return r, err
		}
	}
	if flags&flagSaid != 0 {
		if err = d.said(&r); err != nil {
			return r, err
		}
	}
	if flags&flagPayload != 0 {
		r.Payload, err = d.payload()
	}
	return r, err
}

func (d *decoder) values() (map[string]any, error) {
	n, err := d.length()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, nil
	}
	values := make(map[string]any, n)
	for range n {
		name, err := d.name()
		if err != nil {
			return nil, err
		}
		if values[name], err = d.value(); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (d *decoder) refusal(r *registry.AcceptedReading) error {
	var texts [4]string
	for i := range texts {
		text, err := d.text()
		if err != nil {
			return err
		}
		texts[i] = text
	}
	r.Refused = &registry.Refusal{Reason: registry.DeadLetterReason(texts[0]), Measure: texts[1], Message: texts[2]}
	r.Raw = []byte(texts[3])
	return nil
}

// said reads what a reading says of its device.
func (d *decoder) said(r *registry.AcceptedReading) (err error) {
	if r.Template, err = d.name(); err != nil {
		return err
	}
	raw, err := d.bytes()
	if len(raw) > 0 {
		r.Attributes = slices.Clone(raw)
	}
	return err
}

func (d *decoder) byte() (byte, error) {
	if len(d.b) == 0 {
		return 0, errShort
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c, nil
}

// length reads a count of things that each take a byte at least.
func (d *decoder) length() (int, error) {
	n, size := binary.Uvarint(d.b)
	if size <= 0 || n > uint64(len(d.b)-size) {
		return 0, errShort
	}
	d.b = d.b[size:]
	return int(n), nil
}

func (d *decoder) bytes() ([]byte, error) {
	n, err := d.length()
	if err != nil {
		return nil, err
	}
	raw := d.b[:n]
	d.b = d.b[n:]
	return raw, nil
}

func (d *decoder) text() (string, error) {
	raw, err := d.bytes()
	return string(raw), err
}

// name reads a text that is likely to come again.
func (d *decoder) name() (string, error) {
	raw, err := d.bytes()
	if err != nil {
		return "", err
	}
	return d.intern(raw), nil
}

func (d *decoder) intern(raw []byte) string {
	if s, ok := d.names[string(raw)]; ok {
		return s
	}
	s := string(raw)
	d.names[s] = s
	return s
}

func (d *decoder) id() (registry.ID, error) {
	var text [36]byte
	raw, err := d.rawID(&text)
	if err != nil {
		return "", err
	}
	return registry.ID(d.intern(raw)), nil
}

// passingID reads an id that is not likely to come again.
func (d *decoder) passingID() (registry.ID, error) {
	var text [36]byte
	raw, err := d.rawID(&text)
	return registry.ID(raw), err
}

// rawID reads an id as text, for which it may use what it is given.
func (d *decoder) rawID(text *[36]byte) ([]byte, error) {
	packed, err := d.byte()
	if err != nil {
		return nil, err
	}
	if packed == 0 {
		return d.bytes()
	}
	if len(d.b) < 16 {
		return nil, errShort
	}
	raw := d.b[:16]
	d.b = d.b[16:]
	unpackUUID(text, raw)
	return text[:], nil
}
