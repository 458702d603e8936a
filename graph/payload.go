package graph

import (
	"context"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

// Payloads are kept for some time, so that they can be decoded anew.

const (
	payloadTurn, payloadLease = 10 * time.Minute, 30 * time.Minute
	// payloadsAtOnce bounds what one transaction removes: payloads of up to 256 KiB.
	payloadsAtOnce = 200
)

var payloadSweep = named("payload.sweep", `
	MATCH (p:Payload) WHERE p.receivedAt < $before
	WITH p LIMIT $most
	OPTIONAL MATCH (p)<-[:DECODED_FROM]-(n:Decoding)
	WITH p, collect(n) AS decodings
	FOREACH (n IN decodings | DETACH DELETE n)
	DETACH DELETE p
	RETURN count(p) AS n`)

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
