package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/graph"
)

// graphSettings say where the graph database is.
type graphSettings struct {
	URI      string        `name:"neo4j-uri" help:"Where Neo4j is: bolt:// or neo4j://." default:"bolt://127.0.0.1:7687" env:"NEO4J_URI" placeholder:"URI"`
	Username string        `name:"neo4j-username" help:"The user at Neo4j." default:"neo4j" env:"NEO4J_USERNAME"`
	Password string        `name:"neo4j-password" help:"The password at Neo4j; better given by the variable." env:"NEO4J_PASSWORD"`
	Database string        `name:"neo4j-database" help:"The database; Neo4j's own default if empty." env:"NEO4J_DATABASE"`
	Timeout  time.Duration `name:"neo4j-timeout" help:"How long a transaction may take." default:"15s" env:"HOLON_NEO4J_TIMEOUT"`
}

func (s graphSettings) open(ctx context.Context, log zerolog.Logger, metrics prometheus.Registerer) (*graph.Store, error) {
	return graph.Open(ctx, graph.Config{
		URI: s.URI, Username: s.Username, Password: s.Password, Database: s.Database,
		QueryTimeout: s.Timeout, Logger: log, Metrics: metrics, Clock: time.Now,
	})
}

// redisSettings say where live state, change feed and queue are.
type redisSettings struct {
	URL           string `name:"redis-url" help:"Where Redis is: redis://, rediss://, and with several addresses a Cluster." default:"redis://127.0.0.1:6379" env:"REDIS_URL" placeholder:"URL"`
	QueueURL      string `name:"redis-queue-url" help:"Where the queue is, if not on the same Redis." env:"REDIS_QUEUE_URL" placeholder:"URL"`
	MaxReadings   int    `name:"queue-max-readings" help:"How many readings may wait in each part of the queue before more are refused." default:"1000000" env:"HOLON_QUEUE_MAX_READINGS"`
	AllowVolatile bool   `name:"allow-volatile-queue" help:"Start even if Redis could lose accepted readings (no AOF, another appendfsync than always, or eviction)." env:"HOLON_ALLOW_VOLATILE_QUEUE"`
}

func (s redisSettings) queueURL() string {
	if s.QueueURL != "" {
		return s.QueueURL
	}
	return s.URL
}

// metricsSettings say where the metrics are served.
type metricsSettings struct {
	MetricsAddr string `name:"metrics-addr" help:"Where Prometheus finds the metrics; empty for nowhere." default:"127.0.0.1:9464" env:"HOLON_METRICS_ADDR" placeholder:"ADDR"`
}

// newMetrics makes a registry of metrics with those of the process itself.
func newMetrics() *prometheus.Registry {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return metrics
}

// onlyLoopback refuses an address that others can reach.
func onlyLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not an address: write host:port", addr)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--insecure-no-auth is for loopback only: listen on 127.0.0.1, not on %q", addr)
}
