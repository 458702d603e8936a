package main

import (
	"context"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/holon-registry/holon/alarm"
	"github.com/holon-registry/holon/ingest"
	"github.com/holon-registry/holon/twin"
)

type ingestCmd struct {
	graphSettings
	redisSettings
	metricsSettings
}

// Run works on the queue until the context ends; a batch that was begun is
// finished first.
func (c *ingestCmd) Run(ctx context.Context, log zerolog.Logger) error {
	s, err := openStores(ctx, log, c.graphSettings, c.redisSettings)
	if err != nil {
		return err
	}
	defer s.close()
	metrics, err := listenMetrics(ctx, c.MetricsAddr)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.runWorker(ctx) })
	group.Go(func() error { return s.graph.SealBuckets(ctx) })
	group.Go(func() error { return s.graph.MoveLinks(ctx) })
	group.Go(func() error { return s.graph.KeepMeasurements(ctx) })
	group.Go(func() error { return s.serveMetrics(ctx, metrics) })
	return group.Wait()
}

func (s *stores) runWorker(ctx context.Context) error {
	live := twin.NewLive(s.twin, s.graph, s.log)
	alarms := alarm.NewEngine(s.graph, live, s.twin, time.Now, s.log)
	worker, err := ingest.NewWorker(s.queue, workerGraph{s.graph}, s.twin, ingest.WorkerConfig{Alarms: alarms, Logger: s.log, Metrics: s.metrics})
	if err != nil {
		return err
	}
	watcher := twin.NewWatcher(s.twin, s.graph, alarms.Look, s.log)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return worker.Run(ctx) })
	group.Go(func() error { return watcher.Run(ctx) })
	group.Go(func() error { return alarms.Run(ctx) })
	group.Go(func() error { return s.graph.ExpireCommands(ctx) })
	return group.Wait()
}
