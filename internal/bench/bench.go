package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/ingest"
	"github.com/holon-registry/holon/registry"
)

// The parts of a run.
const (
	// Raw is plain Cypher with parameters that were made beforehand.
	Raw = "raw"
	// Append is what the worker calls to store a batch.
	Append = "append"
	// Queue is the pipeline from a full queue on.
	Queue = "queue"
	// HTTP is the pipeline from requests on.
	HTTP = "http"
	// MQTT is the pipeline from messages on.
	MQTT = "mqtt"
	// WebSocket is the pipeline from messages of streams on.
	WebSocket = "websocket"
	// FTP is the pipeline from files on.
	FTP = "ftp"
	// Visible is the time until GraphQL shows what was sent.
	Visible = "visible"
	// Reads are GraphQL requests beside plain Cypher.
	Reads = "reads"
	// Structure is what becomes of the hierarchy: policies, searches, moves, and
	// devices that are made.
	Structure = "structure"
	// Past is what was, after very many changes.
	Past = "past"
	// Long is one series with very many measurements.
	Long = "long"
	// Retention is what is no longer kept, beside what comes in.
	Retention = "retention"
)

// Config says what is measured, and on what.
type Config struct {
	// URI and so on are for a driver of the benchmark's own.
	URI, Username, Password, Database string
	Graph                             *graph.Store
	Queue                             *ingest.Queue
	// NewWorker makes a worker on these stores. None may run otherwise.
	NewWorker func() (*ingest.Worker, error)
	// Address, such as "127.0.0.1:8080", is where these stores are served; Secret
	// is a key of the scope's account, which is empty.
	Address, Secret string
	// MQTTAddress is where they listen for MQTT.
	MQTTAddress string
	// FTPAddress is where they listen for FTP, if that is measured.
	FTPAddress string
	Scope      registry.Scope

	Parts []string
	// Seed decides about values, groups and policies.
	Seed uint64
	// Groups, Devices and Policies are how large the graph is. The first
	// ReadingDevices of the devices send readings.
	Groups, Devices, Policies, ReadingDevices int
	// Readings is how many are written each time, Values how many values each has:
	// four at most.
	Readings, Values int
	// Changes are how many the journal has when the past is asked about.
	Changes int
	// Measurements are how many the long series has.
	Measurements int
	// Kept is how many measurements are to go, each time that retention is measured.
	Kept int
	// Made is how many devices are made in each round.
	Made int
	// Batch is how many readings a transaction of the raw form has.
	Batch int
	// Connections is how many the readings come by.
	Connections int
	// Rate is how many measurements a second come beside one that is waited for, and
	// beside retention.
	Rate int
	// Rounds is how often all is measured, after a round that does not count.
	Rounds int
	// Time is how long each way of reading is measured in each round.
	Time time.Duration
	// Processes are looked at for their memory, by name.
	Processes map[string]int
	// Step is told what is done next, and how much of all that is. It may be nil.
	Step func(done, all int, what string)
}

// runner is a run under way.
type runner struct {
	Config
	driver neo4j.DriverWithContext
	fleet  *fleet
	filled []Filled
	cells  []*cell
	seen   []*visible
	reads  []*readCell
	done   int
	// copies are those of the groups that plain Cypher writes to.
	copies    []*groupsCopy
	making    making
	moving    moving
	retention *retention
	// entries counts what partitions were given.
	entries int
}

func (r *runner) wants(part string) bool { return slices.Contains(r.Parts, part) }

// Run fills the account and measures. It fails if anything that was written or
// read is not as it must be.
func Run(ctx context.Context, c Config) (_ *Report, err error) {
	if c.Rounds < 1 || c.Readings < 1 || c.Batch < 1 || c.Connections < 1 || c.Rate < 1 || c.Devices < 100 || c.Groups < 100 || c.ReadingDevices < c.Connections {
		return nil, errors.New("a benchmark takes a round, a reading, a connection, a measurement a second, 100 devices and 100 groups at least")
	}
	if slices.Contains(c.Parts, Retention) && c.Kept < keptDevices*keptBurst*c.Values || slices.Contains(c.Parts, Structure) && c.Made < 1 {
		return nil, fmt.Errorf("retention takes %d measurements at least, structure a device", keptDevices*keptBurst*c.Values)
	}
	if c.Values < 1 || c.Values > len(measures) {
		return nil, fmt.Errorf("a reading has 1 to %d values", len(measures))
	}
	// Sessions and connections share the readings evenly.
	each := sessions * c.Connections
	c.Readings = (c.Readings + each - 1) / each * each
	c.Made = (c.Made + sessions*chunk - 1) / (sessions * chunk) * sessions * chunk
	r := &runner{Config: c}
	if r.Step == nil {
		r.Step = func(int, int, string) {}
	}
	auth := neo4j.NoAuth()
	if c.Password != "" {
		auth = neo4j.BasicAuth(c.Username, c.Password, "")
	}
	if r.driver, err = neo4j.NewDriverWithContext(c.URI, auth); err != nil {
		return nil, fmt.Errorf("address of the graph database: %w", err)
	}
	defer func() { err = errors.Join(err, r.driver.Close(context.WithoutCancel(ctx))) }()
	if err := r.alone(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	r.Step(0, r.steps(), "filling the graph")
	if r.fleet, err = makeFleet(ctx, r); err != nil {
		return nil, fmt.Errorf("fill the graph: %w", err)
	}
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	for round := range c.Rounds + 1 {
		if err := r.round(ctx, round); err != nil {
			return nil, err
		}
	}
	r.Step(r.steps(), r.steps(), "done")
	return r.report(began), nil
}

// round measures everything once, in turns.
func (r *runner) round(ctx context.Context, round int) error {
	counts := round > 0
	measure := func(title string, do func() error) error {
		r.step(round, title)
		if err := do(); err != nil {
			return fmt.Errorf("%s: %w", title, err)
		}
		return nil
	}
	for _, one := range r.cells {
		if err := measure(one.title(), func() error { return one.measure(ctx, counts) }); err != nil {
			return err
		}
	}
	if r.wants(Retention) {
		if err := measure(retentionTitle, func() error { return r.retention.measure(ctx, counts) }); err != nil {
			return err
		}
	}
	for _, one := range r.seen {
		if err := measure(one.title(), func() error { return r.measureVisible(ctx, one, counts) }); err != nil {
			return err
		}
	}
	for _, one := range r.reads {
		if err := measure(one.title(), func() error { return one.measure(ctx, r.Time, counts) }); err != nil {
			return err
		}
	}
	if !r.wants(Structure) {
		return nil
	}
	if err := measure(moveTitle, func() error { return r.measureMoves(ctx, counts) }); err != nil {
		return err
	}
	return measure(makeTitle, func() error { return r.measureMaking(ctx, round) })
}

// AccountPrefix begins the name of every account of a benchmark.
const AccountPrefix = "benchmark-"

// alone refuses a database that somebody uses: what is written here for the raw
// forms belongs to nobody, and is never deleted.
func (r *runner) alone(ctx context.Context) error {
	found, err := r.rows(ctx, `MATCH (a:Account) WHERE NOT a.name STARTS WITH $prefix RETURN count(a)`, map[string]any{"prefix": AccountPrefix})
	if err != nil {
		return fmt.Errorf("look for accounts: %w", err)
	}
	if n := found[0]; n != int64(0) {
		return registry.FailedPrecondition("the database has %v accounts: a benchmark needs one of its own", n)
	}
	return nil
}

func (r *runner) steps() int {
	each := len(r.cells) + len(r.seen) + len(r.reads)
	if r.wants(Structure) {
		each += 2
	}
	if r.wants(Retention) {
		each++
	}
	return 1 + (r.Rounds+1)*each
}

func (r *runner) step(round int, what string) {
	r.done++
	name := fmt.Sprintf("round %d of %d", round, r.Rounds)
	if round == 0 {
		name = "warming up"
	}
	r.Step(r.done, r.steps(), name+": "+what)
}

// prepare makes the cells, in the order in which they are measured.
func (r *runner) prepare(ctx context.Context) error {
	for _, burst := range []int{1, 10} {
		if r.wants(Raw) {
			if err := r.addRaw(ctx, burst, r.Batch); err != nil {
				return err
			}
		}
		if r.wants(Append) {
			if err := r.addAppend(ctx, burst); err != nil {
				return err
			}
		}
		if r.wants(Queue) {
			r.addQueue(burst)
		}
		if r.wants(HTTP) {
			r.addHTTP(burst)
		}
		if r.wants(WebSocket) {
			r.addWebSocket(burst)
		}
		if r.wants(FTP) {
			r.addFTP(burst)
		}
	}
	if r.wants(MQTT) {
		r.addMQTT()
	}
	if r.wants(Visible) {
		r.seen = []*visible{{}, {rate: r.Rate}}
	}
	if r.wants(Raw) {
		if err := r.addRaw(ctx, workerBurst, workerBurst*r.ReadingDevices/8); err != nil {
			return err
		}
	}
	if r.wants(Reads) {
		if err := r.addReads(ctx, r.questions, 1, 16); err != nil {
			return err
		}
	}
	if r.wants(Structure) {
		if err := r.addStructure(ctx); err != nil {
			return err
		}
	}
	if r.wants(Long) {
		if err := r.addLong(ctx); err != nil {
			return err
		}
	}
	if r.wants(Past) {
		if err := r.addPast(ctx); err != nil {
			return err
		}
	}
	if r.wants(Retention) {
		return r.addRetention(ctx)
	}
	return nil
}
