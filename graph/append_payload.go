package graph

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

// What readings were decoded from is kept with them, in the same transaction:
// each payload is a node, and for each device that it has readings of there is a
// Decoding, which says what measurements it gave. A batch that runs again finds
// repeats only, and so adds nothing. Decodings name their device as commands do:
// as relationships of the device they would be in the way of its relations.
//
// Content comes with one reading of a payload; whichever partition is the first
// makes the node.
var appendPayloads = named("append.payloads", `
	UNWIND $rows AS r
	MERGE (p:Entity {id: r[0]})
	ON CREATE SET p:Payload, p.account = r[1], p.receivedAt = r[2], p.valid = true
	SET p += r[3]
	WITH p, r
	MERGE (n:Decoding {key: r[0] + '/' + r[4]})
	ON CREATE SET n.account = r[1], n.device = r[4], n.keyFold = r[0], n.measures = r[5], n.at = r[6], n.given = r[7]
	ON MATCH SET n.measures = n.measures + r[5], n.at = n.at + r[6], n.given = n.given + [x IN r[7] WHERE NOT x IN n.given]
	MERGE (n)-[:DECODED_FROM]->(p)`)

// sentPayload is what a batch has of one payload and one device.
type sentPayload struct {
	payload *registry.Payload
	device  *knownDevice
	// measures and at are the measurements that it gave: a name and a time each.
	measures []string
	at       []int64
	// given are the times that readings without one were given.
	given []int64
}

// payloadKey tells what is sent apart.
type payloadKey struct{ payload, device registry.ID }

// writePayloads keeps the payloads of a batch.
func (b *batch) writePayloads(ctx context.Context, tx *transaction) error {
	sent := b.payloads()
	if len(sent) == 0 {
		return nil
	}
	rows := make([]any, len(sent))
	for i, s := range sent {
		rows[i] = s.row()
	}
	return nothing(ctx, tx, appendPayloads, params{"rows": rows})
}

// payloads are those that are kept, once a device, in the order of the batch.
func (b *batch) payloads() []*sentPayload {
	var out []*sentPayload
	var of map[payloadKey]*sentPayload
	for i := range b.items {
		it := &b.items[i]
		p := it.reading.Payload
		if p == nil || it.device == nil || it.reading.Refused != nil && !p.Kept {
			continue
		}
		if of == nil {
			of = map[payloadKey]*sentPayload{}
		}
		key := payloadKey{p.ID, it.device.id}
		s := of[key]
		if s == nil {
			s = &sentPayload{payload: p, device: it.device}
			of[key], out = s, append(out, s)
		}
		if p.Content != nil {
			s.payload = p
		}
		if it.reading.Timeless {
			s.given = append(s.given, it.reading.MeasuredAt.UnixMilli())
		}
	}
	if len(out) == 0 {
		return nil
	}
	for _, m := range b.touched {
		for i := range m.batch {
			v := &m.batch[i]
			p := b.items[v.item].reading.Payload
			if p == nil || v.refused || v.repeat {
				continue
			}
			if s := of[payloadKey{p.ID, m.device.id}]; s != nil {
				s.measures, s.at = append(s.measures, m.name), append(s.at, v.at)
			}
		}
	}
	return out
}

func (s *sentPayload) row() []any {
	p, d := s.payload, s.device
	properties := map[string]any{}
	if p.Content != nil {
		name := p.Template
		if name == "" {
			name = d.template.Name
		}
		properties = map[string]any{
			"content": p.Content, "size": len(p.Content), "contentType": p.ContentType, "source": p.Source, "receivedAt": p.ReceivedAt,
			"template": p.Template, "templateFold": Fold(name), "valid": p.Valid,
		}
	}
	receivedAt := p.ReceivedAt
	if id, err := uuid.Parse(string(p.ID)); receivedAt.IsZero() && err == nil {
		seconds, nanos := id.Time().UnixTime()
		receivedAt = time.Unix(seconds, nanos).UTC()
	}
	return []any{string(p.ID), string(d.account), receivedAt, properties, string(d.id), listed(s.measures), listed(s.at), listed(s.given)}
}
