package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// running is all of Holon in this process, on the stores of the environment:
// the same parts that the commands start.
type running struct {
	stores *stores
	url    string
	mqtt   string
}

var holon *running

// asProgram is set where this program is to be holon itself, not its tests.
const asProgram = "HOLON_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(func() int {
		ctx, stop := context.WithCancel(context.Background())
		ended, err := start(ctx)
		if err != nil {
			stop()
			fmt.Fprintln(os.Stderr, "the tests need stores: run make test, or set NEO4J_URI and REDIS_URL:", explain(err))
			return 1
		}
		code := m.Run()
		stop()
		if err := ended(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping:", err)
			return 1
		}
		return code
	}())
}

func start(ctx context.Context) (ended func() error, err error) {
	log := zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, NoColor: true}).Level(zerolog.ErrorLevel)
	g := graphSettings{
		URI: os.Getenv("NEO4J_URI"), Username: os.Getenv("NEO4J_USERNAME"), Password: os.Getenv("NEO4J_PASSWORD"),
		Timeout: time.Minute, // the first run of a statement plans it, on a busy machine for long
	}
	r := redisSettings{URL: os.Getenv("REDIS_URL"), MaxReadings: 1_000_000}
	if err := (&migrateCmd{graphSettings: g, Partitions: defaultPartitions}).Run(ctx, log); err != nil {
		return nil, err
	}
	s, err := openStores(ctx, log, g, r)
	if err != nil {
		return nil, err
	}
	s.keepPayloads(payloadSettings{PayloadDays: 7})
	api, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	mqtt, err := s.listenMQTT("127.0.0.1:0", eventSettings{Events: true})
	if err != nil {
		return nil, err
	}
	holon = &running{stores: s, url: "http://" + api.Addr().String(), mqtt: "mqtt://" + mqtt.Address()}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.serveAPI(ctx, api, serverSettings{Introspection: true}) })
	group.Go(func() error { return s.runWorker(ctx) })
	group.Go(func() error { return s.runGateway(ctx, mqtt, brokerSettings{}, eventSettings{Events: true}) })
	return func() error {
		defer s.close()
		return group.Wait()
	}, nil
}

var accounts atomic.Int64

// newAccount makes an account of the test's own and a client with a key to it.
func newAccount(t *testing.T) (client apiClient, account string) {
	t.Helper()
	account = fmt.Sprintf("t%d-%d-%d", os.Getpid(), time.Now().UnixMilli(), accounts.Add(1))
	return clientOf(t, account), account
}

// clientOf makes a client with a new key to an account; devices bind the key.
func clientOf(t *testing.T, account string, devices ...string) apiClient {
	t.Helper()
	secret, _, err := createKey(t.Context(), holon.stores.graph, account, t.Name(), devices)
	if err != nil {
		t.Fatal(err)
	}
	return apiClient{url: holon.url, key: secret}
}

// ask runs an operation that must succeed.
func ask[T any](t *testing.T, c apiClient, query string, variables map[string]any) T {
	t.Helper()
	var into T
	if err := c.query(t.Context(), query, variables, &into); err != nil {
		t.Fatalf("%v\n%s", err, query)
	}
	return into
}

// refused runs an operation that must fail with a code.
func refused(t *testing.T, c apiClient, code, query string, variables map[string]any) {
	t.Helper()
	err := c.query(t.Context(), query, variables, nil)
	if err == nil || !strings.HasPrefix(err.Error(), code+":") {
		t.Errorf("got %v, want %s\n%s", err, code, query)
	}
}

// loadDemo loads the demonstration fleet into an account and sends its
// readings once.
func loadDemo(t *testing.T, c apiClient, account string) *demo {
	t.Helper()
	d := &demo{api: c, account: account, mqtt: holon.mqtt, out: t.Output(), log: zerolog.Nop(), now: time.Now}
	if err := d.loadFleet(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}
