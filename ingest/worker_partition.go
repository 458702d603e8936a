package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

// errOtherStream means that the stream was lost and begun anew.
var errOtherStream = errors.New("the partition's stream is another one")

// maxEntries bounds how many entries are read at once, since the size of an
// entry is not known before.
const maxEntries = 128

// batch is what is stored in one transaction.
type batch struct {
	entries  []Entry
	readings int
	// waited says that it had to wait for the batch before it.
	waited bool
}

// serve opens a partition and stores what is in it, from the start of the
// stream, until something fails or the context ends. Progress says whether
// anything was stored.
func (w *Worker) serve(ctx context.Context, partition int) (progress bool, err error) {
	// Opening a partition shuts out whoever had it, so only its owner may: one
	// that waited for its stores may have lost it meanwhile.
	held, err := w.queue.renew(ctx, partition, w.id, w.c.LeaseTTL)
	if err != nil {
		return false, err
	}
	if !held {
		return false, fmt.Errorf("partition %d: the lease has expired: %w", partition, ErrFenced)
	}
	generation, err := w.queue.generation(ctx, partition)
	if err != nil {
		return false, err
	}
	p, err := w.graph.OpenPartition(ctx, partition, generation)
	if err != nil {
		return false, fmt.Errorf("open partition %d: %w", partition, err)
	}
	// The next batch is read and decoded while this one is being stored.
	reading, stop := context.WithCancel(ctx)
	batches, failed := make(chan batch), make(chan error, 1)
	go func() { failed <- w.readAhead(reading, partition, batches) }()
	defer func() {
		stop()
		if err := <-failed; err != nil && !errors.Is(err, context.Canceled) {
			w.log.Debug().Err(err).Int("partition", partition).Msg("reading ahead ended")
		}
	}()
	for {
		select {
		case b := <-batches:
			if b.entries[0].Generation != generation || b.entries[len(b.entries)-1].Generation != generation {
				return progress, errOtherStream
			}
			began := time.Now()
			if err := w.store(ctx, partition, p, b); err != nil {
				return progress, err
			}
			progress = true
			rest(ctx, w.restAfter(b, time.Since(began)))
		case err := <-failed:
			failed <- err
			return progress, err
		}
	}
}

// readAhead reads a partition from its start and hands on batches: at once when
// the writer is idle, else as much as comes together until it is, up to the
// size of a batch.
func (w *Worker) readAhead(ctx context.Context, partition int, out chan<- batch) error {
	var d decoder
	var b batch
	after, each := "0", 1.0 // each: readings an entry, of late
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		block := 500 * time.Millisecond
		if b.readings > 0 {
			block = 0
		}
		room := float64(w.c.BatchReadings - b.readings)
		raw, err := w.queue.read(ctx, partition, after, int(min(max(room/each, 1), maxEntries)), block)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		for _, one := range raw {
			after = one.id
			e, err := d.unpack(one)
			if err != nil {
				if err := w.queue.setAside(ctx, partition, one); err != nil {
					return err
				}
				w.log.Error().Err(err).Int("partition", partition).Str("entry", one.id).Msg("an entry of the queue cannot be read and was set aside")
				continue
			}
			each += (float64(max(len(e.Readings), 1)) - each) / 8
			if b.readings > 0 && e.Generation != b.entries[0].Generation {
				return errOtherStream
			}
			b.entries, b.readings = append(b.entries, e), b.readings+len(e.Readings)
		}
		if len(b.entries) == 0 {
			continue
		}
		switch {
		case b.readings >= w.c.BatchReadings:
			select {
			case out <- b:
				b = batch{}
			case <-ctx.Done():
				return ctx.Err()
			}
		case len(raw) > 0:
			select {
			case out <- b:
				b = batch{}
			default: // the writer is busy: see whether there is more
				b.waited = true
			}
		default:
			timer.Reset(5 * time.Millisecond)
			select {
			case out <- b:
				b = batch{}
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// A transaction costs nearly as much for a hundred readings as for ten, so
// while small batches follow on each other without a break, a partition rests
// in between for restFactor times as long as the last one took, and more comes
// together. Readings one at a time are never made to wait.
const (
	restFactor  = 2
	maxRest     = 100 * time.Millisecond
	restedLeast = 10
)

// restAfter is how long a partition rests after a batch that took so long.
func (w *Worker) restAfter(b batch, took time.Duration) time.Duration {
	if !b.waited || b.readings < restedLeast || b.readings >= w.c.BatchReadings/4 {
		return 0
	}
	return min(restFactor*took, maxRest)
}

// rest waits, or until the context ends.
func rest(ctx context.Context, wait time.Duration) {
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// store brings one batch from the queue to the graph, then to the live state,
// then out of the queue. If the worker dies in between, the next one does all
// of it again, which changes nothing. It begins each step until it succeeds or
// the context ends; what is under way then is finished.
func (w *Worker) store(ctx context.Context, partition int, p Partition, b batch) error {
	under := context.WithoutCancel(ctx)
	var result registry.AppendResult
	start := time.Now()
	err := w.insist(ctx, partition, "graph", func() (err error) {
		start = time.Now()
		result, err = p.Append(under, b.entries)
		w.metrics.append.WithLabelValues(answerOfAppend(err)).Observe(time.Since(start).Seconds())
		return err
	})
	if err != nil {
		return fmt.Errorf("store a batch of partition %d: %w", partition, err)
	}
	w.count(b, result)
	if len(result.Updates) > 0 {
		// Live state that misses a value would be wrong until the next one comes,
		// so the batch waits for it.
		if err := w.insist(ctx, partition, "live state", func() error { return w.live.Apply(under, result.Updates) }); err != nil {
			return fmt.Errorf("apply a batch of partition %d: %w", partition, err)
		}
	}
	if w.c.Alarms != nil {
		// An alarm that is not raised now never is. What fails for another reason
		// than that a store is away would fail again: readings do not wait for it.
		err := w.insist(ctx, partition, "alarms", func() error { return w.c.Alarms.Stored(under, result.Updates) })
		if registry.CodeOf(err) == registry.CodeUnavailable {
			return fmt.Errorf("alarms of a batch of partition %d: %w", partition, err)
		}
		if err != nil {
			w.log.Error().Err(err).Int("partition", partition).Msg("the alarms of a batch could not be decided on")
		}
	}
	err = w.insist(ctx, partition, "queue", func() error { return w.queue.Done(under, partition, b.entries) })
	if err != nil {
		return fmt.Errorf("finish a batch of partition %d: %w", partition, err)
	}
	w.log.Debug().Int("partition", partition).Int("readings", b.readings).Int("stored", result.Stored).Int("repeats", result.Repeats).
		Int("dead_letters", result.DeadLetters).Dur("took", time.Since(start)).Msg("stored a batch")
	return nil
}

// insist does a step again while its store is down.
func (w *Worker) insist(ctx context.Context, partition int, store string, step func() error) error {
	var wait backoff
	for {
		err := step()
		if err == nil || registry.CodeOf(err) != registry.CodeUnavailable {
			return err
		}
		w.log.Warn().Err(err).AnErr("cause", errors.Unwrap(err)).Str("store", store).Int("partition", partition).Msg("a batch waits for its store; nothing is lost")
		wait.sleep(ctx)
		if ctx.Err() != nil {
			return err
		}
	}
}

func answerOfAppend(err error) string {
	switch {
	case err == nil:
		return "stored"
	case errors.Is(err, ErrFenced):
		return "fenced"
	case registry.CodeOf(err) == registry.CodeUnavailable:
		return "unavailable"
	}
	return "failed"
}

// count adds a batch to the metrics.
func (w *Worker) count(b batch, r registry.AppendResult) {
	w.metrics.batch.Observe(float64(b.readings))
	w.metrics.outcomes.WithLabelValues("stored").Add(float64(r.Stored))
	w.metrics.outcomes.WithLabelValues("repeat").Add(float64(r.Repeats))
	w.metrics.outcomes.WithLabelValues("dead_letter").Add(float64(r.DeadLetters))
	if r.DeadLetters == 0 {
		return
	}
	for _, e := range b.entries {
		for i := range e.Readings {
			if refused := e.Readings[i].Refused; refused != nil {
				w.metrics.deadLetters.WithLabelValues(string(refused.Reason)).Inc()
			}
		}
	}
}
