package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/holon-registry/holon/internal/devstack"
)

type devCmd struct {
	Data        string `help:"Where data lives." default:".holon" env:"HOLON_DATA" type:"path"`
	Reset       bool   `help:"Start anew: remove the data first."`
	EnvFile     string `help:"Write the addresses and the key to this file when all is ready." placeholder:"FILE" type:"path"`
	Addr        string `help:"Where to serve the API; port 0 is a free one." default:"127.0.0.1:0"`
	MQTTAddr    string `name:"mqtt-addr" help:"Where to listen for MQTT; port 0 is a free one." default:"127.0.0.1:0"`
	Neo4jPort   int    `name:"neo4j-port" help:"Neo4j's port; 0 is a free one." default:"0"`
	RedisPort   int    `help:"Redis's port; 0 is a free one." default:"0"`
	Heap        int    `help:"Neo4j's heap in MB." default:"512"`
	PageCache   int    `help:"Neo4j's page cache in MB." default:"256"`
	Metrics     string `name:"metrics-addr" help:"Where Prometheus finds the metrics; port 0 is a free one." default:"127.0.0.1:0"`
	Demo        bool   `help:"Load a demonstration fleet and drive readings."`
	Once        bool   `help:"With --demo: check everything that was shown, and end."`
	HistoryDays int    `help:"For how many days history is kept; 0 for ever." default:"0" env:"HOLON_HISTORY_DAYS"`
	eventSettings
	payloadSettings
}

// Run starts the stores, migrates, and serves everything until the context
// ends; with --demo --once until the demonstration was checked.
func (c *devCmd) Run(ctx context.Context, log zerolog.Logger) error {
	if err := c.check(); err != nil {
		return err
	}
	began := time.Now()
	if log.GetLevel() == zerolog.InfoLevel {
		log = log.Level(zerolog.ErrorLevel) // this terminal is for what people look at
	}
	stack, err := devstack.Start(ctx, devstack.Options{
		Dir: c.Data, Reset: c.Reset, Neo4jPort: c.Neo4jPort, RedisPort: c.RedisPort,
		HeapMB: c.Heap, PageCacheMB: c.PageCache, Log: os.Stderr,
	})
	if err != nil {
		return err
	}
	defer stack.Close()

	g := graphSettings{URI: stack.URI, Username: stack.Username, Password: stack.Password, Timeout: 15 * time.Second}
	s, secret, err := c.open(ctx, log, g, redisSettings{URL: stack.RedisURL})
	if err != nil {
		return err
	}
	defer s.close()
	s.keepPayloads(c.payloadSettings)
	api, err := listen(ctx, c.Addr)
	if err != nil {
		return err
	}
	mqtt, err := s.listenMQTT(c.MQTTAddr, c.eventSettings)
	if err != nil {
		return err
	}

	metrics, err := listen(ctx, c.Metrics)
	if err != nil {
		return err
	}

	running, stop := context.WithCancel(ctx)
	defer stop()
	group, running := errgroup.WithContext(running)
	group.Go(func() error {
		return s.serveAPI(running, api, serverSettings{Introspection: true, HistoryDays: c.HistoryDays})
	})
	group.Go(func() error { return s.graph.KeepPayloads(running, c.period()) })
	group.Go(func() error { return s.graph.KeepRequeueing(running, s.requeue) })
	group.Go(func() error { return s.runWorker(running) })
	group.Go(func() error { return s.graph.SealBuckets(running) })
	group.Go(func() error { return s.graph.MoveLinks(running) })
	group.Go(func() error { return s.graph.KeepMeasurements(running) })
	group.Go(func() error { return s.runGateway(running, mqtt, brokerSettings{}, c.eventSettings) })
	group.Go(func() error { return s.serveMetrics(running, metrics) })

	at := devAddresses{url: "http://" + api.Addr().String(), mqtt: "mqtt://" + mqtt.Address(), metrics: "http://" + metrics.Addr().String() + "/metrics", key: secret}
	if err := c.writeEnv(stack, at); err != nil {
		return err
	}
	group.Go(func() error {
		if c.Demo {
			if err := c.runDemo(running, log, at); err != nil {
				return err
			}
			if c.Once {
				stop()
				return nil
			}
		}
		at.print(time.Since(began), c.Data)
		return nil
	})
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// open migrates, makes the account and a key if there is none, and connects.
func (c *devCmd) open(ctx context.Context, log zerolog.Logger, g graphSettings, r redisSettings) (*stores, string, error) {
	if err := (&migrateCmd{graphSettings: g, Partitions: defaultPartitions}).Run(ctx, log); err != nil {
		return nil, "", err
	}
	s, err := openStores(ctx, log, g, r)
	if err != nil {
		return nil, "", err
	}
	secret, err := c.key(ctx, s)
	if err != nil {
		s.close()
		return nil, "", err
	}
	return s, secret, nil
}

// key returns the key of the demonstration account. It is kept beside the data,
// for its owner only, so that it stays the same over restarts.
func (c *devCmd) key(ctx context.Context, s *stores) (string, error) {
	path := filepath.Join(c.Data, "key")
	if kept, err := os.ReadFile(path); err == nil {
		secret := strings.TrimSpace(string(kept))
		if _, err := s.keys.Authenticate(ctx, secret); err == nil {
			return secret, nil
		}
	}
	secret, _, err := createKey(ctx, s.graph, demoAccount, "holon dev", nil)
	if err != nil {
		return "", err
	}
	return secret, os.WriteFile(path, []byte(secret+"\n"), 0o600)
}

// devAddresses are what a user needs to know.
type devAddresses struct{ url, mqtt, metrics, key string }

func (a devAddresses) print(took time.Duration, data string) {
	fmt.Printf(`
Ready after %.1f s. Data lives in %s and survives a restart.

  GraphiQL   %s/graphiql
  GraphQL    %s/graphql
  Readings   %s/v1/readings and %s, topic holon/%s/readings/{reference}
  Key        %s

Ctrl-C ends everything.
`, took.Seconds(), data, a.url, a.url, a.url, a.mqtt, demoAccount, a.key)
}

// writeEnv writes the file whole or not at all: a script may be waiting for it.
func (c *devCmd) writeEnv(stack *devstack.Stack, a devAddresses) error {
	if c.EnvFile == "" {
		return nil
	}
	lines := append(stack.Env(), "HOLON_URL="+a.url, "HOLON_KEY="+a.key, "HOLON_ACCOUNT="+demoAccount, "MQTT_URL="+a.mqtt, "HOLON_METRICS_URL="+a.metrics)
	part := c.EnvFile + ".part"
	if err := os.WriteFile(part, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(part, c.EnvFile)
}

// runDemo shows the demonstration and then goes on driving readings.
func (c *devCmd) runDemo(ctx context.Context, log zerolog.Logger, at devAddresses) error {
	d := &demo{api: apiClient{url: at.url, key: at.key}, account: demoAccount, mqtt: at.mqtt, out: os.Stdout, log: log, now: time.Now}
	report, err := d.run(ctx)
	if err != nil {
		return fmt.Errorf("the demonstration failed: %w", err)
	}
	report.print(os.Stdout)
	if len(report.wrong) > 0 {
		return fmt.Errorf("the demonstration found %d things that are not as they must be:\n  %s", len(report.wrong), strings.Join(report.wrong, "\n  "))
	}
	fmt.Println("\nEverything shown was checked against what was sent.")
	if !c.Once {
		go d.drive(ctx)
	}
	return nil
}
