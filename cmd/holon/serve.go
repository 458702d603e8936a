package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/holon-registry/holon/download"
	"github.com/holon-registry/holon/ingest"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers"
	"github.com/holon-registry/holon/resolvers/graphiql"
	"github.com/holon-registry/holon/twin"
)

type serveCmd struct {
	graphSettings
	redisSettings
	metricsSettings
	serverSettings
	payloadSettings
	Addr string `help:"Where to listen." default:"127.0.0.1:8080" env:"HOLON_ADDR"`
}

// serverSettings say how the API is served.
type serverSettings struct {
	AllowedOrigins []string `help:"Origins of pages, besides this host's own, that may open a WebSocket." env:"HOLON_ALLOWED_ORIGINS" placeholder:"ORIGIN"`
	Introspection  bool     `help:"Let holders of a key ask for the schema." default:"true" negatable:"" env:"HOLON_INTROSPECTION"`
	HistoryDays    int      `help:"For how many days history is kept: changes, and how things were; 0 for ever. The same for all processes." default:"0" env:"HOLON_HISTORY_DAYS"`
	InsecureNoAuth string   `help:"Let everybody in, as this account, without a key. For loopback only." placeholder:"ACCOUNT" env:"HOLON_INSECURE_NO_AUTH"`
}

// payloadSettings say for how long what is decoded is kept.
type payloadSettings struct {
	PayloadDays int `help:"For how many days payloads that were decoded are kept, to be decoded anew; 0 keeps none. The same for all processes." default:"7" env:"HOLON_PAYLOAD_DAYS"`
}

func (p payloadSettings) check() error {
	if p.PayloadDays < 0 || p.PayloadDays > 36_500 {
		return errors.New("--payload-days is a number of days, or 0 to keep none")
	}
	return nil
}

func (p payloadSettings) period() time.Duration { return time.Duration(p.PayloadDays) * 24 * time.Hour }

// keepPayloads lets the process keep what it decodes.
func (s *stores) keepPayloads(p payloadSettings) {
	if p.PayloadDays > 0 {
		s.receiver.KeepPayloads()
	}
}

// Run serves the API until the context ends.
func (c *serveCmd) Run(ctx context.Context, log zerolog.Logger) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.HistoryDays < 0 {
		return errors.New("--history-days is a number of days, or 0 for ever")
	}
	if c.InsecureNoAuth != "" {
		if err := onlyLoopback(c.Addr); err != nil {
			return err
		}
	}
	s, err := openStores(ctx, log, c.graphSettings, c.redisSettings)
	if err != nil {
		return err
	}
	defer s.close()
	s.keepPayloads(c.payloadSettings)
	l, err := listen(ctx, c.Addr)
	if err != nil {
		return err
	}
	metrics, err := listenMetrics(ctx, c.MetricsAddr)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.serveAPI(ctx, l, c.serverSettings) })
	group.Go(func() error { return s.graph.KeepPayloads(ctx, c.period()) })
	group.Go(func() error { return s.graph.KeepRequeueing(ctx, s.requeue) })
	group.Go(func() error { return s.serveMetrics(ctx, metrics) })
	return group.Wait()
}

// authenticator is what finds out who sends a request.
type authenticator interface {
	Authenticate(ctx context.Context, secret string) (*registry.Principal, error)
}

// everybody is the authenticator of --insecure-no-auth.
type everybody struct{ principal *registry.Principal }

// Authenticate lets everybody in.
func (e everybody) Authenticate(context.Context, string) (*registry.Principal, error) {
	return e.principal, nil
}

func (s *stores) authenticator(ctx context.Context, settings serverSettings) (authenticator, error) {
	if settings.InsecureNoAuth == "" {
		return s.keys, nil
	}
	account, _, err := s.graph.EnsureAccount(ctx, settings.InsecureNoAuth)
	if err != nil {
		return nil, err
	}
	s.log.Warn().Str("account", account.Name).Msg("everybody is let in without a key")
	return everybody{&registry.Principal{
		Scope: registry.Scope{Account: account.ID, AccountName: account.Name},
		Key:   registry.APIKey{Name: "nobody's: --insecure-no-auth", AccountID: account.ID, CreatedAt: account.CreatedAt},
	}}, nil
}

// serveAPI serves GraphQL, GraphiQL, readings and health on a listener.
func (s *stores) serveAPI(ctx context.Context, l net.Listener, settings serverSettings) error {
	auth, err := s.authenticator(ctx, settings)
	if err != nil {
		return err
	}
	api, err := resolvers.NewServer(resolvers.ServerConfig{
		Graph: s.graph, Twin: s.twin, Readings: recorder{s.receiver, s.graph}, Authenticate: auth.Authenticate,
		AllowedOrigins: settings.AllowedOrigins, Introspection: settings.Introspection,
		Logger: s.log, Metrics: s.metrics,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/graphql", api)
	mux.Handle("/graphiql", graphiql.Handler("/graphql"))
	mux.Handle("/graphiql/", graphiql.Handler("/graphql"))
	mux.Handle("/v1/readings", ingest.NewHTTPHandler(s.receiver, auth, ingest.HTTPConfig{Logger: s.log}))
	raw := ingest.NewRawHandler(s.receiver, auth, ingest.HTTPConfig{Logger: s.log})
	mux.Handle("/v1/raw", raw)
	mux.Handle("/v1/raw/", raw)
	streams := ingest.NewStreams(s.receiver, auth, ingest.StreamConfig{
		AllowedOrigins: settings.AllowedOrigins, Downlink: s.graph, Presence: s.twin, Logger: s.log,
	})
	mux.Handle("GET /v1/stream", streams)
	mux.Handle("GET /v1/measurements", download.NewHandler(s.graph, auth, s.log))
	twins := twinSource{s.graph, twin.NewLive(s.twin, s.graph, s.log)}
	mux.Handle("GET /v1/devices", download.NewTwinsHandler(registry.KindDevice, twins, auth, s.log))
	mux.Handle("GET /v1/assets", download.NewTwinsHandler(registry.KindAsset, twins, auth, s.log))
	mux.Handle("GET /favicon.ico", http.NotFoundHandler())
	mux.Handle("GET /{$}", http.RedirectHandler("/graphiql", http.StatusFound))
	s.handleHealth(mux)
	s.log.Info().Str("url", "http://"+l.Addr().String()).Msg("serving GraphQL, GraphiQL and readings")

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.graph.MakeIndexes(ctx) })
	group.Go(func() error { return s.graph.FillWords(ctx) })
	if settings.HistoryDays > 0 {
		group.Go(func() error { return s.graph.KeepHistory(ctx, time.Duration(settings.HistoryDays)*24*time.Hour) })
	}
	group.Go(func() error {
		s.twin.KnownChanged(ctx, s.directory.Changed)
		return nil
	})
	group.Go(func() error {
		s.twin.Announced(ctx, s.graph.Wake)
		return nil
	})
	group.Go(func() error {
		s.twin.Downlinks(ctx, streams.Wake)
		return nil
	})
	for _, shutdown := range []func(context.Context) error{api.Shutdown, streams.Shutdown} {
		group.Go(func() error { // sockets are not known to the HTTP server
			<-ctx.Done()
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			return shutdown(grace)
		})
	}
	group.Go(func() error {
		return serveHTTP(ctx, l, &http.Server{
			Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
			WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		})
	})
	return group.Wait()
}
