package ingest

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// Requeue queues readings that were noted when what they replace was undone, and
// returns when they are in the queue, with what waits until they are stored. Doing
// it twice stores nothing twice.
func (r *Receiver) Requeue(ctx context.Context, records []byte) (stored func(context.Context) error, err error) {
	decode := decoder{}
	readings, err := decode.records(records, len(records)/32, nil, r.now())
	if err != nil {
		return nil, fmt.Errorf("readings to queue again: %w", err)
	}
	if err := r.queue.Add(ctx, readings); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return r.queue.settle(ctx, readings) }, nil
}

// settle waits until readings that are in the queue are stored.
func (q *Queue) settle(ctx context.Context, readings []registry.AcceptedReading) error {
	stored, err := q.Settled(ctx, q.partitionsOf(readings))
	if err == nil && !stored {
		err = registry.Unavailable("queue", ctx.Err())
	}
	return err
}
