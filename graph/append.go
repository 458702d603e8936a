package graph

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/registry"
)

// Entry is what one entry of a partition's stream held.
type Entry struct {
	// ID is the entry's id in the stream: "milliseconds-sequence".
	ID       string
	Readings []registry.AcceptedReading
}

// maxReplans is how often a batch is planned anew because links or devices
// changed under it.
const maxReplans = 20

// item is a reading on its way into the graph.
type item struct {
	at      position
	reading *registry.AcceptedReading
	device  *knownDevice
	// counted says that the ledger has the reading already.
	counted bool
	// fresh says that at least one of its values is new, or that it has none.
	fresh bool
	// refusals say which of its values cannot be used.
	refusals []registry.Refusal
}

// Append stores a batch of readings and says what became of each, in one
// transaction. The ids of the entries rise from call to call. A batch that runs
// again, or in part, leaves the graph and the
// ledger as they are and gives the same updates. A batch that the database
// refuses for what is in it is halved until the one reading at fault is a dead
// letter. It returns ErrFenced if the partition has another owner, and
// UNAVAILABLE if the database does not answer: whether the batch was stored is
// then unknown, and calling again is right.
func (p *Partition) Append(ctx context.Context, entries []Entry) (registry.AppendResult, error) {
	var result registry.AppendResult
	n := 0
	for i := range entries {
		n += len(entries[i].Readings)
	}
	items := make([]item, 0, n)
	for i := range entries {
		id, err := parseEntryID(entries[i].ID)
		if err != nil {
			return result, err
		}
		for j := range entries[i].Readings {
			items = append(items, item{at: position{id, int64(j)}, reading: &entries[i].Readings[j]})
		}
	}
	if len(items) == 0 {
		return result, nil
	}
	updates := newUpdates()
	if err := p.findAlarming(ctx); err != nil {
		return result, fmt.Errorf("append to partition %d: %w", p.number, err)
	}
	err := p.appendItems(ctx, items, &result, updates)
	if err != nil {
		p.stale = true
		return registry.AppendResult{}, fmt.Errorf("append to partition %d: %w", p.number, err)
	}
	p.devices.trim()
	result.Updates = updates.list
	return result, nil
}

// appendItems stores items, halving them for as long as they are too much.
func (p *Partition) appendItems(ctx context.Context, items []item, result *registry.AppendResult, updates *updates) error {
	err := p.appendOnce(ctx, items, result, updates)
	if err == nil || !isIndigestible(err) || ctx.Err() != nil {
		return err
	}
	p.stale = true
	if len(items) == 1 {
		if !isContent(err) {
			return err
		}
		p.store.log.Error().Err(err).Str("device", items[0].reading.Reference).Msg("the graph database refuses a reading")
		items[0].reading.Refused = &registry.Refusal{Reason: registry.ReasonMalformed, Message: "the graph database cannot hold this reading"}
		if err := p.appendOnce(ctx, items, result, updates); err != nil {
			// Not the reading is at fault, then: it must not be lost.
			return registry.Unavailable("graph database", err)
		}
		return nil
	}
	half := len(items) / 2
	if err := p.appendItems(ctx, items[:half], result, updates); err != nil {
		return err
	}
	return p.appendItems(ctx, items[half:], result, updates)
}

// appendOnce stores items in one transaction. It plans again when links or
// devices changed meanwhile, or when a series is there that was not known.
func (p *Partition) appendOnce(ctx context.Context, items []item, result *registry.AppendResult, updates *updates) error {
	for attempt := 1; ; attempt++ {
		err := p.tryAppend(ctx, items, result, updates)
		if !errors.Is(err, errMoved) && !errors.Is(err, errConstraint) {
			return err
		}
		p.stale = true
		if attempt == maxReplans {
			return registry.Unavailable("graph database", err)
		}
		if !waitAround(ctx, time.Duration(attempt)*5*time.Millisecond) {
			return registry.Unavailable("graph database", ctx.Err())
		}
	}
}

func (p *Partition) tryAppend(ctx context.Context, items []item, result *registry.AppendResult, updates *updates) error {
	if p.stale {
		if err := p.refresh(ctx); err != nil {
			return err
		}
	}
	if err := p.load(ctx, items); err != nil {
		return err
	}
	b := p.plan(items)
	if err := b.findLate(ctx); err != nil {
		b.abandon()
		return err
	}
	b.settleOutcome()
	if err := b.write(ctx); err != nil {
		b.abandon()
		return err
	}
	b.remember()
	b.count(result)
	updates.add(b)
	b.abandon()
	return nil
}

// isContent says that the database refused what a batch says, as opposed to
// when or how it was said: a value that it cannot compute with or hold.
func isContent(err error) bool {
	refusal, ok := refusalIn(err)
	if !ok || neo4j.IsRetryable(refusal) {
		return false
	}
	switch refusal.Code {
	case "Neo.ClientError.Statement.TypeError", "Neo.ClientError.Statement.ArgumentError", "Neo.ClientError.Statement.ArithmeticError",
		"Neo.ClientError.Statement.ParameterMissing", "Neo.ClientError.Request.Invalid", "Neo.ClientError.Request.InvalidFormat",
		"Neo.DatabaseError.Statement.ExecutionFailed", "Neo.DatabaseError.General.UnknownError":
		return true
	}
	return false
}

// isIndigestible says that a smaller batch may succeed where this one failed.
func isIndigestible(err error) bool {
	if isContent(err) {
		return true
	}
	refusal, ok := refusalIn(err)
	if !ok {
		return false
	}
	switch refusal.Code {
	case codeTimedOut, codeTimedOutToo, "Neo.TransientError.General.MemoryPoolOutOfMemoryError", "Neo.ClientError.General.TransactionOutOfMemoryError":
		return true
	}
	return false
}

// waitAround waits for a time, give or take half of it; false if the context
// ended.
func waitAround(ctx context.Context, about time.Duration) bool {
	timer := time.NewTimer(about/2 + rand.N(about))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
