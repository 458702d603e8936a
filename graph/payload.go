package graph

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// Payloads are kept for some time, so that they can be decoded anew.

const (
	payloadTurn, payloadLease = 10 * time.Minute, 30 * time.Minute
	// payloadsAtOnce bounds what one transaction removes: payloads of up to 256 KiB.
	payloadsAtOnce = 200
)

const (
	decodingsOf = `MATCH (n:Decoding) WHERE n.account = $account AND n.device = $device AND n.keyFold >= $idFrom AND n.keyFold < $idTo`
	// theirPayload is the payload of a decoding, with or without its content.
	theirPayload   = `{gave: n{.measures, .at, .given}, payload: head([(n)-[:DECODED_FROM]->(p) | p{.*}])}`
	withoutContent = `{gave: n{.measures, .at, .given}, payload: head([(n)-[:DECODED_FROM]->(p) | p{.id, .size, .contentType, .template, .source, .receivedAt, .valid}])}`

	prunedPayloads = `MATCH (p:Payload) WHERE p.account = $account AND p.receivedAt >= $after AND p.receivedAt < $before
		AND ($template IS NULL OR p.templateFold = $template) AND ($valid IS NULL OR p.valid = $valid)`

	// removePayloads takes what is said of payloads with them.
	removePayloads = `
	OPTIONAL MATCH (p)<-[:DECODED_FROM]-(n:Decoding)
	WITH p, p.receivedAt AS at, collect(n) AS decodings
	FOREACH (n IN decodings | DETACH DELETE n)
	DETACH DELETE p
	RETURN count(p) AS n, max(at) AS last`
)

var (
	payloadSweep = named("payload.sweep", `
	MATCH (p:Payload) WHERE p.receivedAt < $before
	WITH p LIMIT $most`+removePayloads)

	// In the order of the index: the next turn goes on where this one ended.
	payloadPrune = named("payload.prune", prunedPayloads+`
	WITH p ORDER BY p.account, p.receivedAt LIMIT $most`+removePayloads)
	payloadPruneCount = named("payload.pruneCount", prunedPayloads+` RETURN count(p) AS n`)

	payloadList = listing{name: "payload.list", key: "n.keyFold", prefix: "n.account, n.device, ", item: withoutContent, match: decodingsOf}.registered()
	payloadFull = listing{name: "payload.listFull", key: "n.keyFold", prefix: "n.account, n.device, ", item: theirPayload, match: decodingsOf}.registered()

	payloadContents = named("payload.contents", `
		UNWIND $ids AS id
		MATCH (p:Entity {id: id}) WHERE p:Payload AND p.account = $account
		RETURN id, p.content AS content`)

	payloadCount = named("payload.count", decodingsOf+countFound)
)

// KeepPayloads keeps the payloads of some time only, as long as the context
// lives. Any number of processes may run it.
func (s *Store) KeepPayloads(ctx context.Context, period time.Duration) error {
	return s.inTurns(ctx, "payloads", payloadTurn, payloadLease, func(ctx context.Context) (more bool, err error) {
		n, err := s.SweepPayloads(ctx, s.now().Add(-period))
		return n == payloadsAtOnce, err
	})
}

// SweepPayloads removes some of the payloads that were received before a time,
// of all accounts, and says how many. The measurements that they gave stay.
func (s *Store) SweepPayloads(ctx context.Context, before time.Time) (int, error) {
	n, _, err := one(ctx, s.writing(registry.Scope{}), payloadSweep, params{"before": before, "most": payloadsAtOnce}, counted)
	if err != nil {
		return 0, fmt.Errorf("sweep payloads: %w", err)
	}
	return n, nil
}

// PrunePayloads removes an account's payloads that fit a filter, in many
// transactions, and says how many; a rehearsal only counts. What is removed stays
// so if it is interrupted.
func (s *Store) PrunePayloads(ctx context.Context, scope registry.Scope, f registry.PayloadFilter, rehearse bool) (int, error) {
	p := params{"after": time.UnixMilli(0).UTC(), "before": s.now().Add(24 * time.Hour), "template": nil, "valid": nil, "most": payloadsAtOnce}
	if f.To != nil {
		p["before"] = *f.To
	}
	if f.Template != nil {
		p["template"] = Fold(*f.Template)
	}
	if f.Valid != nil {
		p["valid"] = *f.Valid
	}
	if rehearse {
		n, _, err := one(ctx, s.reading(scope), payloadPruneCount, p, counted)
		if err != nil {
			return 0, fmt.Errorf("count payloads: %w", err)
		}
		return n, nil
	}
	for pruned := 0; ; {
		n, _, err := one(ctx, s.writing(scope), payloadPrune, p, func(f fields) int {
			if last := f.optionalTime("last"); last != nil {
				p["after"] = *last
			}
			return f.integer("n")
		})
		if err != nil {
			return pruned, fmt.Errorf("prune payloads, after %d: %w", pruned, err)
		}
		if pruned += n; n < payloadsAtOnce {
			return pruned, nil
		}
	}
}

// payloadParams says which decodings are meant.
func payloadParams(device registry.ID, from, to *time.Time) params {
	p := params{"device": string(device), "idFrom": "", "idTo": "~"}
	if from != nil {
		p["idFrom"] = firstIDAt(*from)
	}
	if to != nil {
		p["idTo"] = firstIDAt(*to)
	}
	return p
}

// ListPayloads returns what a device sent, newest first, without contents. The key
// of a cursor is a payload's id.
func (s *Store) ListPayloads(ctx context.Context, scope registry.Scope, device registry.ID, from, to *time.Time, page registry.PageRequest) (registry.Page[*registry.Payload], error) {
	// The list runs against the order of the keys.
	against := page
	against.Backward = !page.Backward
	found, err := readPage(ctx, s.reading(scope), payloadList, against, payloadParams(device, from, to), func(f fields) *registry.Payload {
		return &keptPayloadOf(f).Payload
	})
	if err != nil {
		return found, fmt.Errorf("list payloads: %w", err)
	}
	slices.Reverse(found.Items)
	found.HasNext, found.HasPrevious = found.HasPrevious, found.HasNext
	return found, nil
}

// CountPayloads counts what ListPayloads lists.
func (s *Store) CountPayloads(ctx context.Context, scope registry.Scope, device registry.ID, from, to *time.Time) (int, error) {
	n, _, err := one(ctx, s.reading(scope), payloadCount, payloadParams(device, from, to), counted)
	if err != nil {
		return 0, fmt.Errorf("count payloads: %w", err)
	}
	return n, nil
}

// KeptPayloads returns what a device sent and what it gave, oldest first, after
// the one with an id.
func (s *Store) KeptPayloads(ctx context.Context, scope registry.Scope, device registry.ID, f registry.PayloadFilter, after string, limit int) ([]*registry.KeptPayload, error) {
	found, err := readPage(ctx, s.reading(scope), payloadFull, registry.PageRequest{Size: limit, Key: after}, payloadParams(device, f.From, f.To), keptPayloadOf)
	if err != nil {
		return nil, fmt.Errorf("kept payloads: %w", err)
	}
	return found.Items, nil
}

// keptPayloadOf reads a payload with what it gave. The part with its content may
// still be on its way.
func keptPayloadOf(f fields) *registry.KeptPayload {
	gave, p := f.nested("gave"), f.nested("payload")
	out := &registry.KeptPayload{Payload: registry.Payload{ID: p.id("id"), ReceivedAt: p.time("receivedAt"), Valid: p.boolean("valid"), Kept: true}}
	for name, into := range map[string]*string{"contentType": &out.ContentType, "template": &out.Template, "source": &out.Source} {
		if text := p.optionalText(name); text != nil {
			*into = *text
		}
	}
	if content := nullable[[]byte](p, "content"); content != nil {
		out.Content = *content
	}
	if size := nullable[int64](p, "size"); size != nil {
		out.Bytes = int(*size)
	}
	measures, at := gave.texts("measures"), gave.list("at")
	if len(measures) != len(at) {
		f.failed("a payload gave %d measures at %d times", len(measures), len(at))
		return out
	}
	for i, measure := range measures {
		ms, _ := at[i].(int64)
		out.Gave = append(out.Gave, registry.MeasureTime{Measure: measure, At: ms})
	}
	for _, given := range gave.list("given") {
		ms, _ := given.(int64)
		out.Given = append(out.Given, time.UnixMilli(ms).UTC())
	}
	return out
}

// PayloadContents returns what was sent, one slot an id, nil where nothing is kept.
func (s *Store) PayloadContents(ctx context.Context, scope registry.Scope, ids []registry.ID) ([][]byte, error) {
	known := make(map[registry.ID][]byte, len(ids))
	_, err := all(ctx, s.reading(scope), payloadContents, params{"ids": texts(ids)}, func(f fields) struct{} {
		if content := nullable[[]byte](f, "content"); content != nil {
			known[f.id("id")] = *content
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("contents of payloads: %w", err)
	}
	return slots(ids, known), nil
}

// PayloadKey is the key of a payload in its list, for cursors.
func PayloadKey(p *registry.Payload) string { return string(p.ID) }
