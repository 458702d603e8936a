package graph_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// rawAppend is the fastest plain Cypher that leaves the same behind, if its
// parameters are ready: measurements in known buckets, each only once, with
// roll-ups.
const rawAppend = `
	UNWIND $groups AS g
	MATCH (b) WHERE elementId(b) = g[0]
	WITH g, b, coalesce(b.hw, -1) AS hw
	SET b.hw = CASE WHEN g[1] > hw THEN g[1] ELSE hw END
	WITH g, b, hw UNWIND g[2] AS r
	WITH b, hw, r WHERE r[0] > hw OR NOT EXISTS { (b)-[:HAS_MEASUREMENT]->(x WHERE x.at = r[0]) }
	CREATE (b)-[:HAS_MEASUREMENT]->(m:Measurement {at: r[0], value: r[1]})
	WITH b, count(m) AS n, sum(m.value) AS s, min(m.value) AS lo, max(m.value) AS hi
	SET b.count = coalesce(b.count, 0) + n, b.sum = coalesce(b.sum, 0.0) + s,
		b.min = CASE WHEN b.min < lo THEN b.min ELSE lo END, b.max = CASE WHEN b.max > hi THEN b.max ELSE hi END`

const (
	benchDevices  = 1000
	benchReadings = 1000
	benchSessions = 2
)

// BenchmarkAppend compares Append with the raw statement, whose parameters are
// made beforehand, in turns: a thousand devices of two measures, a thousand
// readings a batch, two partitions at once. A burst is how many readings of a
// device come together. The figures are readings a second, of two values each.
func BenchmarkAppend(b *testing.B) {
	for _, burst := range []int{1, 10} {
		b.Run(fmt.Sprintf("burst=%d", burst), func(b *testing.B) { benchmarkAppend(b, burst) })
	}
}

func benchmarkAppend(b *testing.B, burst int) {
	f := newField(b)
	f.template(registry.KindDevice, "sensor", registry.MeasureDeclaration{Name: "temperature", Type: "number", Unit: "Cel"}, registry.MeasureDeclaration{Name: "humidity", Type: "number", Unit: "%"})
	var sessions [benchSessions]*benchSession
	for i := range sessions {
		sessions[i] = newBenchSession(b, f, i, burst)
	}
	both := func(work func(*benchSession)) time.Duration {
		began := time.Now()
		var group sync.WaitGroup
		for _, s := range sessions {
			group.Go(func() { work(s) })
		}
		group.Wait()
		return time.Since(began)
	}
	// The first batches make series and buckets, and warm the database up.
	for range 20 {
		both((*benchSession).prepare)
		both((*benchSession).raw)
		both((*benchSession).append)
	}
	var raw, ours time.Duration
	b.ResetTimer()
	for range b.N {
		both((*benchSession).prepare)
		raw += both((*benchSession).raw)
		ours += both((*benchSession).append)
	}
	n := float64(b.N * benchSessions * benchReadings)
	b.ReportMetric(n/raw.Seconds(), "raw-readings/s")
	b.ReportMetric(n/ours.Seconds(), "readings/s")
	b.ReportMetric(raw.Seconds()/ours.Seconds(), "of-raw")
	b.ReportMetric(0, "ns/op")
}

type benchSession struct {
	b         *testing.B
	f         *field
	partition *graph.Partition
	devices   []*registry.Device
	driver    neo4j.DriverWithContext
	buckets   []string
	burst     int
	next      int
	entry     int
	at        time.Time
	entries   []graph.Entry
	groups    []any
}

func newBenchSession(b *testing.B, f *field, number, burst int) *benchSession {
	s := &benchSession{b: b, f: f, burst: burst, at: morning()}
	var err error
	if s.partition, err = f.store.OpenPartition(b.Context(), number, uuid.NewString()); err != nil {
		b.Fatal(err)
	}
	for i := range benchDevices / benchSessions {
		s.devices = append(s.devices, f.device(fmt.Sprintf("d-%d-%d", number, i), "sensor"))
	}
	s.driver = f.driver()
	result, err := neo4j.ExecuteQuery(b.Context(), s.driver, `
		UNWIND range(1, $n) AS i
		CREATE (s:Series)-[:HAS_BUCKET]->(b:Bucket {from: 0})
		RETURN elementId(b)`, map[string]any{"n": 2 * len(s.devices)}, neo4j.EagerResultTransformer)
	if err != nil {
		b.Fatal(err)
	}
	for _, record := range result.Records {
		s.buckets = append(s.buckets, record.Values[0].(string))
	}
	return s
}

// prepare makes the next batch, for both.
func (s *benchSession) prepare() {
	s.entries, s.groups = nil, nil
	var readings []registry.AcceptedReading
	for len(readings) < benchReadings {
		device := s.next % len(s.devices)
		s.next++
		var temperatures, humidities []any
		var last int64
		for range s.burst {
			s.at = s.at.Add(time.Millisecond)
			x := float64(s.next%97) + 0.5
			r := s.f.reading(s.devices[device], s.at, map[string]any{"temperature": x, "humidity": 100 - x})
			readings = append(readings, r)
			last = s.at.UnixMilli()
			temperatures, humidities = append(temperatures, []any{last, x}), append(humidities, []any{last, 100 - x})
		}
		s.groups = append(s.groups, []any{s.buckets[2*device], last, temperatures}, []any{s.buckets[2*device+1], last, humidities})
	}
	for len(readings) > 0 {
		s.entry++
		s.entries = append(s.entries, graph.Entry{ID: fmt.Sprintf("%d-0", s.entry), Readings: readings[:100]})
		readings = readings[100:]
	}
}

func (s *benchSession) raw() {
	session := s.driver.NewSession(s.b.Context(), neo4j.SessionConfig{})
	defer session.Close(s.b.Context()) //nolint:errcheck // a benchmark's own connection
	result, err := session.Run(s.b.Context(), rawAppend, map[string]any{"groups": s.groups})
	if err == nil {
		_, err = result.Consume(s.b.Context())
	}
	if err != nil {
		s.b.Error(err)
	}
}

func (s *benchSession) append() {
	result, err := s.partition.Append(s.b.Context(), s.entries)
	if err != nil || result.Stored != benchReadings {
		s.b.Errorf("stored %d of %d: %v", result.Stored, benchReadings, err)
	}
}
