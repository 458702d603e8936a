package graph

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

// maxRaw bounds what a dead letter keeps of the reading, in bytes.
const maxRaw = 256 << 10

var (
	appendDeadLetters = named("append.deadLetters", `
		UNWIND $rows AS r
		MERGE (n:Entity {id: r[0]})
		ON CREATE SET n:DeadLetter, n += r[1]`)
)

// deadLetterOf reads the properties of a DeadLetter node.
func deadLetterOf(f fields) *registry.DeadLetter {
	truncated, _ := f.optional("truncated").(bool)
	asset, _ := f.optional("asset").(string)
	assetReference, _ := f.optional("assetReference").(string)
	raw, _ := f.optional("raw").(string)
	return &registry.DeadLetter{
		AssetReference: assetReference, AssetID: registry.ID(asset),
		ID: f.id("id"), DeviceReference: f.text("reference"), DeviceID: registry.ID(f.text("device")),
		Reason: registry.DeadLetterReason(f.text("reason")), Message: f.text("message"), Source: f.text("source"),
		ReceivedAt: f.time("receivedAt"), Raw: raw, Truncated: truncated, Payload: letterPayloadOf(f),
	}
}

// letterPayloadOf reads the payload of a dead letter, nil where it is a reading.
func letterPayloadOf(f fields) *registry.Payload {
	id := f.optionalText("payload")
	if id == nil {
		return nil
	}
	var content []byte
	if kept := nullable[[]byte](f, "content"); kept != nil {
		content = *kept
	}
	return &registry.Payload{
		ID: registry.ID(*id), Content: content, ContentType: f.text("contentType"), Template: f.text("template"),
		Source: f.text("source"), ReceivedAt: f.time("payloadAt"),
	}
}

// writeDeadLetters keeps what cannot be used, one letter a reading. The id
// follows from where the reading was in the queue, so that a batch that runs
// again makes none twice.
func (b *batch) writeDeadLetters(ctx context.Context, tx *transaction) error {
	var rows []any
	for i := range b.items {
		if it := &b.items[i]; len(it.refusals) > 0 {
			rows = append(rows, b.partition.deadLetter(it))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return nothing(ctx, tx, appendDeadLetters, params{"rows": rows})
}

func (p *Partition) deadLetter(it *item) []any {
	r := it.reading
	slices.SortFunc(it.refusals, func(x, y registry.Refusal) int { return strings.Compare(x.Measure, y.Measure) })
	messages := make([]string, len(it.refusals))
	for i, refusal := range it.refusals {
		messages[i] = refusal.Message
	}
	device := ""
	if it.device != nil {
		device = string(it.device.id)
	}
	id := p.deadLetterID(it)
	raw, whole := rawText(r, it.device != nil)
	if r.Payload != nil && r.Refused != nil {
		raw, whole = payloadText(r.Payload)
	}
	properties := map[string]any{
		"account": string(r.Account), "keyFold": id, "reference": plainText(r.Reference), "device": device,
		"reason": string(it.refusals[0].Reason), "message": plainText(strings.Join(messages, "; ")), "source": r.Source,
		"receivedAt": r.ReceivedAt.UTC(), "raw": raw,
	}
	if r.Asset {
		properties["reference"], properties["device"] = "", ""
		properties["assetReference"], properties["asset"] = plainText(r.Reference), device
	}
	if !whole {
		properties["truncated"] = true
	}
	if p := r.Payload; p != nil && r.Refused != nil {
		properties["payload"], properties["content"], properties["contentType"] = string(p.ID), p.Content[:min(len(p.Content), maxRaw)], p.ContentType
		properties["template"], properties["payloadAt"] = p.Template, p.ReceivedAt
	}
	return []any{id, properties}
}

// deadLetterID is a UUIDv7 whose random part is a hash of the reading's place
// in the queue.
func (p *Partition) deadLetterID(it *item) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s/%d", p.generation, p.number, it.at.entry, it.at.index))
	var id uuid.UUID
	copy(id[:], sum[:])
	millis := uint64(max(it.reading.ReceivedAt.UnixMilli(), 0))
	for i := range 6 {
		id[i] = byte(millis >> (8 * (5 - i)))
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

// rawText is a reading as text: as it was received, or as JSON. Whole says that
// nothing of it is missing or changed, so that it can be replayed. What the reading
// says of its device was set before it was queued: a device that is there keeps
// what it said since, one that is not is to be made with it.
func rawText(r *registry.AcceptedReading, there bool) (text string, whole bool) {
	if len(r.Raw) > 0 {
		text = plainText(string(r.Raw))
		return text, text == string(r.Raw)
	}
	source := "device"
	if r.Asset {
		source = "asset"
	}
	said := map[string]any{source: r.Reference, "measuredAt": r.MeasuredAt.UTC(), "messageId": r.MessageID}
	if len(r.Values) > 0 {
		said["values"] = r.Values
	}
	if r.Template != "" {
		said["template"] = r.Template
	}
	if len(r.Attributes) > 0 && (!there || len(r.Values) == 0) {
		said["attributes"] = json.RawMessage(r.Attributes)
	}
	encoded, err := json.Marshal(said)
	if err != nil {
		// JSON knows no infinities.
		return plainText(fmt.Sprint(r.Values)), false
	}
	text = plainText(string(encoded))
	return text, text == string(encoded)
}

// payloadText is a payload as text, empty if it is none. Whole says that all of it
// is kept.
func payloadText(p *registry.Payload) (text string, whole bool) {
	whole = len(p.Content) <= maxRaw
	if !whole || !utf8.Valid(p.Content) || bytes.IndexByte(p.Content, 0) >= 0 {
		return "", whole
	}
	return string(p.Content), true
}

// plainText makes a bounded text of whatever came in.
func plainText(text string) string {
	if len(text) > maxRaw {
		text = text[:maxRaw]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
