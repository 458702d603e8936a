package ingest

import (
	"encoding/binary"
	"time"

	"github.com/holon-registry/holon/registry"
)

// appendPayload adds what a reading was decoded from. A payload without content
// is one whose content another reading carries.
func appendPayload(b []byte, p *registry.Payload) []byte {
	var flags byte
	if p.Content != nil {
		flags |= flagContent
	}
	if p.Kept {
		flags |= flagKept
	}
	if p.Valid {
		flags |= flagValid
	}
	b = append(appendID(b, p.ID), flags)
	if p.Content == nil {
		return b
	}
	b = appendText(b, p.ContentType)
	b = appendText(b, p.Template)
	b = appendText(b, p.Source)
	b = binary.AppendVarint(b, p.ReceivedAt.UnixMilli())
	return appendText(b, string(p.Content))
}

// payload reads what a reading was decoded from.
func (d *decoder) payload() (*registry.Payload, error) {
	var p registry.Payload
	var err error
	if p.ID, err = d.passingID(); err != nil {
		return nil, err
	}
	flags, err := d.byte()
	if err != nil {
		return nil, err
	}
	p.Kept, p.Valid = flags&flagKept != 0, flags&flagValid != 0
	if flags&flagContent == 0 {
		return &p, nil
	}
	for _, into := range []*string{&p.ContentType, &p.Template, &p.Source} {
		if *into, err = d.name(); err != nil {
			return nil, err
		}
	}
	ms, n := binary.Varint(d.b)
	if n <= 0 {
		return nil, errShort
	}
	d.b, p.ReceivedAt = d.b[n:], time.UnixMilli(ms).UTC()
	raw, err := d.bytes()
	p.Content = append([]byte{}, raw...)
	return &p, err
}
