package main

import (
	"context"
	"io"
	"time"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/ingest"
	"github.com/holon-registry/holon/registry"
)

// importRecorder hands the measurements of a file to the same queue as all
// readings, which is opened when the first ones come.
type importRecorder struct {
	settings redisSettings
	log      zerolog.Logger
	graph    *graph.Store
	scope    registry.Scope
	queue    *ingest.Queue
	receiver *ingest.Receiver
}

// Record implements transfer.Recorder.
func (r *importRecorder) Record(ctx context.Context, readings []registry.Reading) error {
	if r.receiver == nil {
		if err := r.open(ctx); err != nil {
			return err
		}
	}
	by := registry.Principal{Scope: r.scope}
	_, err := r.receiver.Receive(ctx, &by, registry.SourceRestored, readings)
	return err
}

// take hands over what a file holds; a rehearsal only says what is wrong with it.
func (r *importRecorder) take(ctx context.Context, f ingest.File, in io.Reader) error {
	if r.receiver == nil {
		if err := r.open(ctx); err != nil {
			return err
		}
	}
	f.Principal, f.Source = &registry.Principal{Scope: r.scope}, "import"
	return r.receiver.TakeFile(ctx, f, in)
}

func (r *importRecorder) open(ctx context.Context) error {
	partitions, err := r.graph.Partitions(ctx)
	if err != nil {
		return err
	}
	s := r.settings
	if r.queue, err = ingest.Open(ctx, ingest.QueueConfig{
		URL: s.queueURL(), Partitions: partitions, MaxReadings: s.MaxReadings, AllowVolatile: s.AllowVolatile, Logger: r.log,
	}); err != nil {
		return err
	}
	r.receiver, err = ingest.NewReceiver(r.queue, ingest.NewDirectory(directorySource{r.graph}, time.Now), time.Now, nil)
	return err
}

func (r *importRecorder) close() {
	if r.queue != nil {
		if err := r.queue.Close(); err != nil {
			r.log.Warn().Err(err).Msg("closing the queue")
		}
	}
}
