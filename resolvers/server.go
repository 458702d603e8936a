package resolvers

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
	"github.com/holon-registry/holon/resolvers/gqlhttp"
	"github.com/holon-registry/holon/twin"
)

// ServerConfig is what the GraphQL server needs.
type ServerConfig struct {
	Graph    *graph.Store
	Twin     *twin.Store
	Readings Recorder
	// Authenticate finds out whose secret it is.
	Authenticate func(ctx context.Context, secret string) (*registry.Principal, error)
	// AllowedOrigins are the origins, besides the server's own, whose pages may
	// open a WebSocket.
	AllowedOrigins []string
	Introspection  bool
	Limits         gqlhttp.Limits
	Logger         zerolog.Logger
	// Metrics may be nil.
	Metrics prometheus.Registerer
}

// NewServer makes the GraphQL server over the schema of all nouns.
func NewServer(c ServerConfig) (*gqlhttp.Server, error) {
	r := &Resolver{Graph: c.Graph, Live: twin.NewLive(c.Twin, c.Graph, c.Logger), Feed: c.Twin, Readings: c.Readings, Log: c.Logger}
	observe, err := observer(c.Metrics)
	if err != nil {
		return nil, err
	}
	return gqlhttp.New(gqlhttp.Config{
		Schema: generated.NewExecutableSchema(generated.Config{Resolvers: r, Complexity: complexity()}),
		Authenticate: func(ctx context.Context, secret string) (context.Context, error) {
			principal, err := c.Authenticate(ctx, secret)
			if err != nil {
				return ctx, err
			}
			return WithPrincipal(ctx, *principal), nil
		},
		Authorize:       authorize,
		BeforeOperation: r.WithLoaders,
		BeforeField:     r.beforeField,
		Limits:          c.Limits,
		AllowedOrigins:  c.AllowedOrigins,
		Introspection:   c.Introspection,
		Logger:          c.Logger,
		Observe:         observe,
	}), nil
}

// authorize refuses what a bound key may not do: it only sends readings, and
// may ask who it is.
func authorize(ctx context.Context, rootField string) error {
	if !principalFrom(ctx).Bound() {
		return nil
	}
	switch rootField {
	case "recordReadings", "viewer", "__typename", "__schema", "__type":
		return nil
	}
	return registry.Forbidden("this key is bound to devices: it can only send their readings")
}

// observer measures operations by kind and by the code of their answer. The
// names that clients give are no label: there is no bound to them.
func observer(metrics prometheus.Registerer) (func(name, kind string, took time.Duration, code string), error) {
	if metrics == nil {
		return nil, nil
	}
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "holon_graphql_operation_seconds", Help: "How long GraphQL operations took, by kind and by the code of the answer.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
	}, []string{"kind", "code"})
	if err := metrics.Register(latency); err != nil {
		return nil, fmt.Errorf("the metrics of GraphQL: %w", err)
	}
	return func(_, kind string, took time.Duration, code string) {
		latency.WithLabelValues(kind, code).Observe(took.Seconds())
	}, nil
}
