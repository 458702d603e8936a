package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/holon-registry/holon/ingest"
	"github.com/holon-registry/holon/ingest/ftp"
	"github.com/holon-registry/holon/internal/bench"
	"github.com/holon-registry/holon/internal/devstack"
	"github.com/holon-registry/holon/registry"
)

type benchCmd struct {
	Only         []string      `help:"Measure only these: raw, append, queue, http, websocket, ftp, mqtt, visible, reads, structure, long, past, retention. By default all but retention, which takes some minutes by itself." enum:"raw,append,queue,http,websocket,ftp,mqtt,visible,reads,structure,long,past,retention" default:"raw,append,queue,http,websocket,ftp,mqtt,visible,reads,structure,long,past"`
	Rounds       int           `help:"How often all is measured, after a round that does not count." default:"3"`
	Readings     int           `help:"How many readings are written each time." default:"40000"`
	Values       int           `help:"How many values a reading has: 4 at most." default:"2"`
	Batch        int           `help:"How many readings a transaction of the raw form has." default:"1000"`
	Time         time.Duration `help:"How long each way of reading is measured in each round." default:"1s"`
	Connections  int           `help:"How many connections readings come by." default:"8"`
	Rate         int           `help:"How many measurements a second come beside a reading that is waited for, and beside retention." default:"15000"`
	Groups       int           `help:"How many groups there are, in five hierarchies." default:"2000"`
	Devices      int           `help:"How many devices there are; the first thousand send readings." default:"10000"`
	Policies     int           `help:"How many policies there are." default:"200"`
	Changes      int           `help:"How many changes the journal has when the past is asked about." default:"50000"`
	Measurements int           `help:"How many measurements the long series has." default:"200000"`
	Kept         int           `help:"How many measurements are no longer kept, each time that retention is measured; four times a round." default:"200000"`
	Made         int           `help:"How many devices structure makes in each round, by Holon and twice by plain Cypher; 10000 at least in the one that does not count." default:"4000"`
	Seed         uint64        `help:"Decides about values, groups and policies." default:"1"`
	Heap         int           `help:"Neo4j's heap in MB, if it is started for this." default:"2048"`
	PageCache    int           `help:"Neo4j's page cache in MB, if it is started for this." default:"512"`
	JSON         string        `name:"json" help:"Write the report to this file, too." placeholder:"FILE" type:"path"`
	CPUProfile   string        `name:"cpu-profile" help:"Write a profile of this process to this file." placeholder:"FILE" type:"path"`
}

// Run measures on stores that it starts for this, or on those of the
// environment, which must have no account but those of earlier runs.
func (c *benchCmd) Run(ctx context.Context, log zerolog.Logger) (err error) {
	if log.GetLevel() == zerolog.InfoLevel {
		log = log.Level(zerolog.ErrorLevel) // this terminal is for what was measured
	}
	g, r, processes, end, err := c.stores(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	if err := (&migrateCmd{graphSettings: g, Partitions: defaultPartitions}).Run(ctx, log); err != nil {
		return err
	}
	s, err := openStores(ctx, log, g, r)
	if err != nil {
		return err
	}
	defer s.close()
	name := bench.AccountPrefix + time.Now().UTC().Format("20060102-150405")
	secret, _, err := createKey(ctx, s.graph, name, "holon bench", nil)
	if err != nil {
		return err
	}
	account, err := s.graph.AccountByName(ctx, name)
	if err != nil {
		return err
	}
	api, err := listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	listener, err := s.listenMQTT("127.0.0.1:0", eventSettings{})
	if err != nil {
		return err
	}
	files, remove, err := c.files(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	serving, stop := context.WithCancel(ctx)
	group, serving := errgroup.WithContext(serving)
	group.Go(func() error { return s.serveAPI(serving, api, serverSettings{Introspection: true}) })
	group.Go(func() error { return listener.Run(serving) })
	group.Go(func() error { return serveFTP(serving, files) })
	defer func() { stop(); err = errors.Join(err, group.Wait()) }() // before the stores are closed

	if c.CPUProfile != "" {
		profile, err := os.Create(c.CPUProfile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(profile); err != nil {
			return err
		}
		defer func() { pprof.StopCPUProfile(); err = errors.Join(err, profile.Close()) }()
	}
	report, err := bench.Run(serving, bench.Config{
		URI: g.URI, Username: g.Username, Password: g.Password, Database: g.Database, Graph: s.graph, Queue: s.queue,
		NewWorker: func() (*ingest.Worker, error) {
			return ingest.NewWorker(s.queue, workerGraph{s.graph}, s.twin, ingest.WorkerConfig{Logger: s.log})
		},
		Address: api.Addr().String(), MQTTAddress: listener.Address(), FTPAddress: address(files), Secret: secret, Scope: registry.Scope{Account: account.ID, AccountName: account.Name},
		Parts: c.Only, Seed: c.Seed, Groups: c.Groups, Devices: c.Devices, Policies: c.Policies, ReadingDevices: min(1000, c.Devices),
		Changes: c.Changes, Measurements: c.Measurements, Kept: c.Kept, Made: c.Made, Readings: c.Readings, Values: c.Values, Batch: c.Batch, Connections: c.Connections, Rate: c.Rate, Rounds: c.Rounds, Time: c.Time,
		Processes: processes, Step: stepper(),
	})
	if err != nil {
		return err
	}
	return c.print(report)
}

// files opens an FTP server with a directory of its own, if files are measured.
func (c *benchCmd) files(s *stores) (*ftp.Server, func() error, error) {
	if !slices.Contains(c.Only, bench.FTP) {
		return nil, func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "holon-bench-ftp-")
	if err != nil {
		return nil, nil, err
	}
	end := func() error { return os.RemoveAll(dir) }
	server, err := s.listenFTP(ftpSettings{FTPListen: "127.0.0.1:0", FTPDirectory: dir, FTPMaxFile: 256, FTPMaxWaiting: 16 << 10, FTPKeepDays: 1})
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return server, end, nil
}

// address is where a server listens, empty if there is none.
func address(server *ftp.Server) string {
	if server == nil {
		return ""
	}
	return server.Address()
}

// stores are those of the environment, or new ones in a temporary directory.
func (c *benchCmd) stores(ctx context.Context) (g graphSettings, r redisSettings, processes map[string]int, end func() error, err error) {
	g.Timeout, r.MaxReadings = 15*time.Second, 1_000_000
	processes = map[string]int{"holon": os.Getpid()}
	if g.URI, r.URL = os.Getenv("NEO4J_URI"), os.Getenv("REDIS_URL"); g.URI != "" && r.URL != "" {
		g.Username, g.Password, g.Database = os.Getenv("NEO4J_USERNAME"), os.Getenv("NEO4J_PASSWORD"), os.Getenv("NEO4J_DATABASE")
		return g, r, processes, func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "holon-bench-")
	if err != nil {
		return g, r, nil, nil, err
	}
	stack, err := devstack.Start(ctx, devstack.Options{Dir: dir, HeapMB: c.Heap, PageCacheMB: c.PageCache, Log: os.Stderr})
	if err != nil {
		return g, r, nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	g.URI, g.Username, g.Password, r.URL = stack.URI, stack.Username, stack.Password, stack.RedisURL
	processes["neo4j"], processes["redis"] = stack.Neo4j.Pid(), stack.Redis.Pid()
	return g, r, processes, func() error { return errors.Join(stack.Close(), os.RemoveAll(dir)) }, nil
}

func (c *benchCmd) print(report *bench.Report) error {
	if err := report.Print(os.Stdout); err != nil || c.JSON == "" {
		return err
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(c.JSON, append(text, '\n'), 0o644)
}

// stepper shows progress: a bar on a terminal, lines elsewhere.
func stepper() func(done, all int, what string) {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return func(done, all int, what string) { fmt.Fprintf(os.Stderr, "%3d %% %s\n", 100*done/all, what) }
	}
	var bar *progressbar.ProgressBar
	return func(done, all int, what string) {
		if bar == nil {
			bar = progressbar.NewOptions(all, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetWidth(20), progressbar.OptionClearOnFinish())
		}
		bar.Describe(fmt.Sprintf("%-45s", what))
		_ = bar.Set(done) // what cannot be shown is no reason to stop
	}
}
