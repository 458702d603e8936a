package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/access"
	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/ingest"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/twin"
)

// stores are the connections that the parts of one process share.
type stores struct {
	log     zerolog.Logger
	metrics *prometheus.Registry
	graph   *graph.Store
	twin    *twin.Store
	queue   *ingest.Queue
	keys    *access.Authenticator
	// receiver is what every source of readings hands them to.
	receiver *ingest.Receiver
	// directory is what the receiver knows of devices and assets.
	directory *ingest.Directory
}

// openStores connects to everything. What was opened is closed again if the
// rest cannot be.
func openStores(ctx context.Context, log zerolog.Logger, g graphSettings, r redisSettings) (_ *stores, err error) {
	s := &stores{log: log, metrics: newMetrics()}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.graph, err = g.open(ctx, log, s.metrics); err != nil {
		return nil, err
	}
	if err = s.graph.CheckMigrated(ctx); err != nil {
		return nil, err
	}
	partitions, err := s.graph.Partitions(ctx)
	if err != nil {
		return nil, err
	}
	if s.twin, err = twin.Open(twin.Config{URL: r.URL, Logger: log, Metrics: s.metrics}); err != nil {
		return nil, err
	}
	s.graph.OnChange(s.twin.Announce)
	s.graph.OnDownlink(s.twin.AnnounceDownlink)
	s.graph.OnExpected(s.twin.Expect)
	s.queue, err = ingest.Open(ctx, ingest.QueueConfig{
		URL: r.queueURL(), Partitions: partitions, MaxReadings: r.MaxReadings,
		AllowVolatile: r.AllowVolatile, Logger: log, Metrics: s.metrics,
	})
	if err != nil {
		return nil, err
	}
	s.keys = access.NewAuthenticator(s.graph, time.Now)
	s.directory = ingest.NewDirectory(directorySource{s.graph}, time.Now)
	s.graph.OnKnownChange(func(ids []registry.ID) {
		s.directory.Changed(ids)
		s.twin.AnnounceKnown(ids)
	})
	s.receiver, err = ingest.NewReceiver(s.queue, s.directory, time.Now, s.metrics)
	return s, err
}

func (s *stores) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var errs []error
	if s.queue != nil {
		errs = append(errs, s.queue.Close())
	}
	if s.twin != nil {
		errs = append(errs, s.twin.Close())
	}
	if s.graph != nil {
		errs = append(errs, s.graph.Close(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		s.log.Warn().Err(err).Msg("closing the stores")
	}
}

// ready pings every store and names those that do not answer.
func (s *stores) ready(ctx context.Context) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	pings := map[string]func(context.Context) error{"neo4j": s.graph.Ping, "redis": s.twin.Ping, "queue": s.queue.Ping}
	type answer struct {
		store string
		err   error
	}
	answers := make(chan answer, len(pings))
	for store, ping := range pings {
		go func() { answers <- answer{store, ping(ctx)} }()
	}
	state := make(map[string]string, len(pings))
	for range pings {
		a := <-answers
		state[a.store] = "up"
		if a.err != nil {
			s.log.Warn().Err(a.err).Str("store", a.store).Msg("a store does not answer")
			state[a.store] = "down"
		}
	}
	return state
}

// listen opens a listener; port 0 takes a free one.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	return l, nil
}

// serveHTTP serves until the context ends, then lets requests finish.
func serveHTTP(ctx context.Context, l net.Listener, server *http.Server) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return server.Shutdown(grace)
	}
}

// listenMetrics opens the listener for metrics; none if addr is empty.
func listenMetrics(ctx context.Context, addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	return listen(ctx, addr)
}

// serveMetrics serves metrics and health on a listener of their own, which
// needs no key and should not be reachable from outside.
func (s *stores) serveMetrics(ctx context.Context, l net.Listener) error {
	if l == nil {
		return nil
	}
	s.log.Info().Str("url", "http://"+l.Addr().String()+"/metrics").Msg("serving metrics")
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	s.handleHealth(mux)
	return serveHTTP(ctx, l, &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second})
}
