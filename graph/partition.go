package graph

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// ErrFenced says that somebody else has taken the partition over: its epoch was
// raised. What the old owner was about to write was not written, and nothing
// that it writes ever will be.
var ErrFenced = errors.New("graph: the partition has another owner")

// errMoved says that the batch was planned on what is no longer so.
var errMoved = errors.New("graph: the partition's links or devices have changed")

// maxSeries bounds how many series a partition remembers.
const maxSeries = 50_000

var (
	partitionOpen = named("partition.open", `
		MATCH (p:Partition {number: $number})
		SET p.epoch = p.epoch + 1
		RETURN p.epoch AS epoch, p.topology AS topology,
			p.generation AS generation, p.lastEntry AS entry, p.lastIndex AS index`)

	partitionState = named("partition.state", `
		MATCH (p:Partition {number: $number})
		RETURN p.epoch AS epoch, p.topology AS topology,
			p.generation AS generation, p.lastEntry AS entry, p.lastIndex AS index`)

	// The first SET takes the partition's lock, so that what is compared after
	// it stays true until the transaction ends.
	partitionFence = named("partition.fence", `
		MATCH (p:Partition {number: $number})
		SET p.touched = $now
		WITH p, p.epoch = $epoch AND p.topology = $topology AS holds
		FOREACH (_ IN CASE WHEN holds THEN [1] ELSE [] END |
			SET p.generation = $generation, p.lastEntry = $entry, p.lastIndex = $index,
				p.stored = p.stored + $stored, p.repeats = p.repeats + $repeats,
				p.deadLetters = p.deadLetters + $deadLetters, p.measurements = p.measurements + $measurements)
		RETURN p.epoch AS epoch, p.topology AS topology`)

	partitionLedger = named("partition.ledger", `
		MATCH (p:Partition) WHERE p.number >= 0
		RETURN sum(p.stored) AS stored, sum(p.repeats) AS repeats,
			sum(p.deadLetters) AS deadLetters, sum(p.measurements) AS measurements`)
)

// position says up to where a stream has been counted: an entry, and the index
// of the last reading in it.
type position struct {
	entry entryID
	index int64
}

func (p position) compare(other position) int {
	return cmp.Or(p.entry.compare(other.entry), cmp.Compare(p.index, other.index))
}

// entryID is the id of an entry of a Redis stream.
type entryID struct{ millis, seq uint64 }

func (e entryID) compare(other entryID) int {
	return cmp.Or(cmp.Compare(e.millis, other.millis), cmp.Compare(e.seq, other.seq))
}

func (e entryID) String() string {
	return strconv.FormatUint(e.millis, 10) + "-" + strconv.FormatUint(e.seq, 10)
}

func parseEntryID(text string) (entryID, error) {
	before, after, ok := strings.Cut(text, "-")
	millis, err := strconv.ParseUint(before, 10, 64)
	seq, err2 := strconv.ParseUint(after, 10, 64)
	if !ok || err != nil || err2 != nil {
		return entryID{}, fmt.Errorf("graph: %q is not the id of a stream's entry", text)
	}
	return entryID{millis, seq}, nil
}

// Partition writes the readings of the devices of one partition of the queue.
// It remembers the devices, their links and the buckets that it writes to, and
// forgets them whenever they may have changed. One goroutine uses it at a time.
type Partition struct {
	store  *Store
	number int
	// generation tells one queue from another after the queue's store was lost.
	generation      string
	epoch, topology int64
	// counted is how far the ledger goes.
	counted position
	devices *deviceCache
	// stale is set when what is remembered may no longer be so.
	stale bool
	// alarming are the accounts that had alarms when that was found out.
	alarming   map[registry.ID]bool
	alarmingAt time.Time
	// mustFail makes a write fail; set by tests only.
	mustFail func([]item) error
}

// OpenPartition takes a partition over: it raises the epoch, so that whoever
// owned it before can write no more. Generation is the identity of the queue's
// stream: the entries of another one are numbered from the start. It belongs to
// no account, since a partition has devices of all.
func (s *Store) OpenPartition(ctx context.Context, number int, generation string) (*Partition, error) {
	p := &Partition{store: s, number: number, generation: generation, devices: newDeviceCache(maxSeries)}
	state, found, err := one(ctx, s.writing(registry.Scope{}), partitionOpen, params{"number": number}, stateOf)
	if err != nil {
		return nil, fmt.Errorf("open partition %d: %w", number, err)
	}
	if !found {
		return nil, registry.FailedPrecondition("the graph database has no partition %d: run holon migrate", number)
	}
	p.epoch = state.epoch
	return p, p.take(state)
}

type partitionNode struct {
	epoch, topology int64
	generation      *string
	entry           *string
	index           *int64
}

func stateOf(f fields) partitionNode {
	return partitionNode{
		epoch: required[int64](f, "epoch"), topology: required[int64](f, "topology"),
		generation: f.optionalText("generation"), entry: f.optionalText("entry"), index: nullable[int64](f, "index"),
	}
}

// take forgets what is remembered and believes the database.
func (p *Partition) take(state partitionNode) error {
	p.devices.clear()
	p.topology = state.topology
	p.counted = position{index: math.MinInt64}
	p.stale = false
	if state.generation == nil || *state.generation != p.generation || state.entry == nil || state.index == nil {
		return nil
	}
	entry, err := parseEntryID(*state.entry)
	if err != nil {
		return err
	}
	p.counted = position{entry, *state.index}
	return nil
}

// refresh reads the partition again after something has gone wrong or changed.
func (p *Partition) refresh(ctx context.Context) error {
	// In write mode, so that a cluster answers from where it was written.
	state, found, err := one(ctx, p.store.writing(registry.Scope{}), partitionState, params{"number": p.number}, stateOf)
	if err != nil {
		return fmt.Errorf("read partition %d: %w", p.number, err)
	}
	if !found || state.epoch != p.epoch {
		return ErrFenced
	}
	return p.take(state)
}

// Ledger says what has become of all readings that were ever acknowledged and
// written: each is counted once, as exactly one of stored, repeat and dead
// letter.
type Ledger struct{ Stored, Repeats, DeadLetters, Measurements int }

// Ledger adds the partitions up, over all accounts.
func (s *Store) Ledger(ctx context.Context) (Ledger, error) {
	sum, _, err := one(ctx, s.reading(registry.Scope{}), partitionLedger, nil, func(f fields) Ledger {
		return Ledger{Stored: f.integer("stored"), Repeats: f.integer("repeats"), DeadLetters: f.integer("deadLetters"), Measurements: f.integer("measurements")}
	})
	if err != nil {
		return Ledger{}, fmt.Errorf("read ledger: %w", err)
	}
	return sum, nil
}
