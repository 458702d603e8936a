package graph_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// field is a store with the partitions that a test writes to, as a worker
// would.
type field struct {
	testing.TB
	store      *graph.Store
	scope      registry.Scope
	partitions map[int]*graph.Partition
	generation string
	n          int
	entry      int
	direct     neo4j.DriverWithContext
	// foreign is how often others had taken a partition over when it was opened
	// first, opened how often it was opened here.
	foreign, opened map[int]int
}

func newField(t testing.TB) *field {
	t.Helper()
	store, scope := testkit.Store(t)
	n, err := store.Partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &field{TB: t, store: store, scope: scope, partitions: map[int]*graph.Partition{}, generation: uuid.NewString(), n: n, entry: 1, foreign: map[int]int{}, opened: map[int]int{}}
}

func (f *field) device(reference, template string) *registry.Device {
	f.Helper()
	d, err := f.store.CreateDevice(f.Context(), f.scope, registry.NewTwin{Reference: reference, Template: template})
	if err != nil {
		f.Fatalf("create device: %v", err)
	}
	return d
}

func (f *field) asset(reference, template string) *registry.Asset {
	f.Helper()
	a, err := f.store.CreateAsset(f.Context(), f.scope, registry.NewTwin{Reference: reference, Template: template})
	if err != nil {
		f.Fatalf("create asset: %v", err)
	}
	return a
}

func (f *field) template(kind registry.Kind, name string, measures ...registry.MeasureDeclaration) {
	f.Helper()
	_, err := f.store.CreateTemplate(f.Context(), f.scope, registry.NewTemplate{Kind: kind, Name: name, Measures: measures, Publish: true})
	if err != nil {
		f.Fatalf("create template: %v", err)
	}
}

func (f *field) reading(d *registry.Device, at time.Time, values map[string]any) registry.AcceptedReading {
	return registry.AcceptedReading{
		Account: f.scope.Account, DeviceID: d.ID, Reference: d.Reference, MeasuredAt: at, ReceivedAt: at.Add(time.Second), Source: "test", Values: values,
	}
}

// partition opens the partition of a device.
func (f *field) partition(device registry.ID) *graph.Partition {
	f.Helper()
	number := registry.PartitionOf(device, f.n)
	if f.partitions[number] == nil {
		p, err := f.store.OpenPartition(f.Context(), number, f.generation)
		if err != nil {
			f.Fatalf("open partition: %v", err)
		}
		f.partitions[number] = p
		f.opened[number]++
		if _, known := f.foreign[number]; !known {
			f.foreign[number] = f.takenByOthers(device)
		}
	}
	return f.partitions[number]
}

// takenByOthers is how often others have taken over a device's partition.
func (f *field) takenByOthers(device registry.ID) int {
	f.Helper()
	return f.ofPartition(device, "epoch") - f.opened[registry.PartitionOf(device, f.n)]
}

// writeAgain appends an entry that was appended already: the ledger has counted
// it, unless somebody took the partition over for a queue of another generation.
func (f *field) writeAgain(entry graph.Entry) registry.AppendResult {
	f.Helper()
	result := f.write(entry)
	device := entry.Readings[0].DeviceID
	if f.takenByOthers(device) == f.foreign[registry.PartitionOf(device, f.n)] {
		f.expect(result, 0, 0, 0, 0)
	}
	return result
}

// undisturbed runs work on a device whose partition nobody else takes over
// meanwhile, as other tests and other processes do that use the same database. If
// somebody does, work runs again, in another account. What it returns is checked
// afterwards.
func undisturbed(t *testing.T, work func(f *field, d *registry.Device) (check func())) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		f := newField(t)
		d := f.device("d", "")
		f.send(f.reading(d, morning().Add(-time.Hour), map[string]any{"first": 1.0})) // takes the partition
		epoch := f.ofPartition(d.ID, "epoch")
		if check := work(f, d); f.ofPartition(d.ID, "epoch") == epoch || attempt == 20 {
			check()
			return
		}
	}
}

// ofPartition reads a property of a device's partition.
func (f *field) ofPartition(device registry.ID, name string) int {
	f.Helper()
	return f.number(`MATCH (p:Partition {number: $n}) RETURN p[$name]`, map[string]any{"n": registry.PartitionOf(device, f.n), "name": name})
}

// entries makes one entry of readings.
func (f *field) entryOf(readings ...registry.AcceptedReading) graph.Entry {
	f.entry++
	return graph.Entry{ID: fmt.Sprintf("%d-0", f.entry), Readings: readings}
}

// turns keep tests of this process from taking partitions over from each other,
// by number.
var turns sync.Map

// write appends an entry to the partition of its first device. Another process
// that tests on the same database may take the partition over at any time.
func (f *field) write(entries ...graph.Entry) registry.AppendResult {
	f.Helper()
	device := entries[0].Readings[0].DeviceID
	number := registry.PartitionOf(device, f.n)
	turn, _ := turns.LoadOrStore(number, &sync.Mutex{})
	turn.(*sync.Mutex).Lock()
	defer turn.(*sync.Mutex).Unlock()
	for attempt := range 50 {
		result, err := f.partition(device).Append(f.Context(), entries)
		if !errors.Is(err, graph.ErrFenced) {
			if err != nil {
				f.Fatalf("append: %v", err)
			}
			return result
		}
		delete(f.partitions, number)
		time.Sleep(time.Duration(attempt) * 10 * time.Millisecond)
	}
	f.Fatal("the partition is taken over again and again")
	return registry.AppendResult{}
}

func (f *field) send(readings ...registry.AcceptedReading) registry.AppendResult {
	f.Helper()
	return f.write(f.entryOf(readings...))
}

func (f *field) expect(result registry.AppendResult, stored, repeats, deadLetters, measurements int) {
	f.Helper()
	got := [4]int{result.Stored, result.Repeats, result.DeadLetters, result.Measurements}
	if want := [4]int{stored, repeats, deadLetters, measurements}; got != want {
		f.Errorf("stored, repeats, dead letters, measurements = %v, want %v", got, want)
	}
}

// sample is a measurement without its zone.
type sample struct {
	At    int64
	Value any
}

// samples reads everything of a measure.
func (f *field) samples(twin registry.ID, measure string) []sample {
	f.Helper()
	got, err := f.store.Samples(f.Context(), f.scope, twin, measure, time.UnixMilli(0), time.Now().AddDate(100, 0, 0), graph.MaxSamples, "")
	if err != nil {
		f.Fatalf("samples: %v", err)
	}
	out := make([]sample, len(got.At))
	for i := range got.At {
		out[i] = sample{got.At[i].UnixMilli(), got.Value[i]}
	}
	return out
}

func (f *field) expectSamples(twin registry.ID, measure string, want ...sample) {
	f.Helper()
	got := f.samples(twin, measure)
	if want == nil {
		want = []sample{}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		f.Errorf("samples of %s (-want +got):\n%s", measure, diff)
	}
}

func at(t time.Time, value any) sample { return sample{t.UnixMilli(), value} }

// driver is a connection past the store.
func (f *field) driver() neo4j.DriverWithContext {
	f.Helper()
	if f.direct != nil {
		return f.direct
	}
	c := testkit.Config(f)
	auth := neo4j.NoAuth()
	if c.Password != "" {
		auth = neo4j.BasicAuth(c.Username, c.Password, "")
	}
	var err error
	if f.direct, err = neo4j.NewDriverWithContext(c.URI, auth); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { f.direct.Close(context.Background()) })
	return f.direct
}

// number runs a query that returns one number.
func (f *field) number(text string, p map[string]any) int {
	f.Helper()
	result, err := neo4j.ExecuteQuery(f.Context(), f.driver(), text, p, neo4j.EagerResultTransformer)
	if err != nil {
		f.Fatal(err)
	}
	return int(result.Records[0].Values[0].(int64))
}

func (f *field) nodes(twin registry.ID) int {
	f.Helper()
	return f.number(`MATCH (:Entity {id: $id})-[:HAS_SERIES]->()-[:HAS_BUCKET]->()-[:HAS_MEASUREMENT]->(m) RETURN count(m)`, map[string]any{"id": string(twin)})
}

// buckets counts the buckets of a twin, and checks each roll-up against what
// the bucket holds.
func (f *field) buckets(twin registry.ID) int {
	f.Helper()
	wrong := f.number(`
		MATCH (:Entity {id: $id})-[:HAS_SERIES]->(s)-[:HAS_BUCKET]->(b)
		WITH DISTINCT s, b
		MATCH (b)-[:HAS_MEASUREMENT]->(m)
		WITH s, b, count(m) AS n, min(m.at) AS first, max(m.at) AS last, collect(m) AS ms
		WITH s, b, n, first, last, [x IN ms WHERE x.at = first | x.value][0] AS firstValue, [x IN ms WHERE x.at = last | x.value][0] AS lastValue,
			reduce(t = 0.0, x IN ms | t + CASE WHEN x.value IS :: FLOAT THEN x.value ELSE 0.0 END) AS sum,
			size([x IN ms WHERE x.value = true]) AS trues, ms
		WHERE b.count <> n OR b.first <> first OR b.firstValue <> firstValue OR first < b.from OR last >= b.to
			OR b.last IS NOT NULL AND (b.last <> last OR b.lastValue <> lastValue)
			OR s.type = 'NUMBER' AND (abs(b.sum - sum) > 0.000001 OR any(x IN ms WHERE x.value < b.min OR x.value > b.max) OR NOT any(x IN ms WHERE x.value = b.min) OR NOT any(x IN ms WHERE x.value = b.max))
			OR s.type = 'BOOLEAN' AND b.trueCount <> trues
			OR b.last IS NULL AND s.lastAt IS NOT NULL AND (NOT EXISTS { (s)-[:HAS_NEWEST]->(b) } OR s.lastAt <> last OR s.lastValue <> lastValue)
		RETURN count(b)`, map[string]any{"id": string(twin)})
	if wrong > 0 {
		f.Errorf("%d buckets have a wrong roll-up", wrong)
	}
	return f.number(`MATCH (:Entity {id: $id})-[:HAS_SERIES]->()-[:HAS_BUCKET]->(b) RETURN count(DISTINCT b)`, map[string]any{"id": string(twin)})
}

// morning is eight o'clock two days ago.
func morning() time.Time {
	return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -2).Add(8 * time.Hour)
}
