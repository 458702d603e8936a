package chaos

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
)

const (
	// The account is found by its name, since this is not Holon's own code. Most is
	// asked of each twin by itself: all at once may be more than the database has
	// memory for.
	allTwins = `
		MATCH (a:Account {name: $account})
		MATCH (t:Device|Asset {account: a.id})
		RETURN DISTINCT t.reference AS twin`

	// A series reaches its measurements through its buckets.
	storedMeasurements = `
		MATCH (a:Account {name: $account})
		MATCH (t:Device|Asset {account: a.id, reference: $reference})-[:HAS_SERIES]->(s:Series)-[:HAS_BUCKET]->(:Bucket)-[:HAS_MEASUREMENT]->(m:Measurement)
		RETURN t.reference AS twin, s.measure AS measure, collect(m.at) AS at, collect(m.value) AS value`

	wrongBuckets = `
		MATCH (a:Account {name: $account})
		MATCH (d:Device {account: a.id, reference: $reference})-[:HAS_SERIES]->(s:Series)-[:HAS_BUCKET]->(b:Bucket)
		OPTIONAL MATCH (b)-[:HAS_MEASUREMENT]->(m:Measurement)
		WITH d, s, b, count(m) AS n, min(m.at) AS first, collect(m.value) AS values
		WITH d, s, b, n, first, CASE s.type WHEN 'NUMBER' THEN values ELSE [] END AS numbers
		WITH d, s, b, n, first, reduce(sum = 0.0, x IN numbers | sum + x) AS sum, size(numbers) > 0 AS rolled,
			reduce(low = head(numbers), x IN numbers | CASE WHEN x < low THEN x ELSE low END) AS low,
			reduce(high = head(numbers), x IN numbers | CASE WHEN x > high THEN x ELSE high END) AS high
		WHERE b.count <> n OR b.first <> first OR rolled AND (b.sum <> sum OR b.min <> low OR b.max <> high)
		RETURN d.reference + ' ' + s.measure + ': the bucket says ' + b.count + ' values from ' + b.first + ' on, and has '
			+ n + ' from ' + first + ' on' AS wrong`

	wrongSeries = `
		MATCH (a:Account {name: $account})
		MATCH (d:Device {account: a.id, reference: $reference})-[:HAS_SERIES]->(s:Series)-[:HAS_BUCKET]->(:Bucket)-[:HAS_MEASUREMENT]->(m:Measurement)
		WITH d, s, max(m.at) AS newest
		WHERE s.lastAt <> newest
		RETURN d.reference + ' ' + s.measure + ': the series ends at ' + s.lastAt + ', its measurements at ' + newest AS wrong`

	strayMeasurements = `
		MATCH (m:Measurement)
		WHERE COUNT { ()-[:HAS_MEASUREMENT]->(m) } <> 1
		RETURN 'measurement at ' + m.at + ' is in ' + COUNT { ()-[:HAS_MEASUREMENT]->(m) } + ' buckets' AS wrong`

	partitionCounters = `
		MATCH (p:Partition) WHERE p.number >= 0
		RETURN sum(p.stored) AS stored, sum(p.repeats) AS repeats, sum(p.deadLetters) AS deadLetters, sum(p.measurements) AS measurements`
)

// askEach runs a query for each twin of the account.
func (s *system) askEach(query string) (all []*neo4j.Record) {
	s.t.Helper()
	for _, r := range s.ask(allTwins, "") {
		all = append(all, s.ask(query, column[string](s.t, r, "twin"))...)
	}
	return all
}

// ask runs a query on the graph directly. The reference is that of the twin that
// it is about, if it is about one.
func (s *system) ask(query, reference string) []*neo4j.Record {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	result, err := neo4j.ExecuteQuery(ctx, stage.graph, query, map[string]any{"account": s.account, "reference": reference},
		neo4j.EagerResultTransformer, neo4j.ExecuteQueryWithReadersRouting())
	if err != nil {
		s.t.Fatalf("neo4j: %v", err)
	}
	return result.Records
}

func column[T any](t *testing.T, r *neo4j.Record, name string) T {
	t.Helper()
	raw, ok := r.Get(name)
	typed, fits := raw.(T)
	if !ok || !fits {
		t.Fatalf("column %s is a %T", name, raw)
	}
	return typed
}

// measurements reads what the graph holds, by twin and measure.
func (s *system) measurements() map[string]map[string]found {
	s.t.Helper()
	all := map[string]map[string]found{}
	for _, r := range s.askEach(storedMeasurements) {
		twin, measure := column[string](s.t, r, "twin"), column[string](s.t, r, "measure")
		f := found{value: column[[]any](s.t, r, "value")}
		for _, at := range column[[]any](s.t, r, "at") {
			f.at = append(f.at, at.(int64))
		}
		if all[twin] == nil {
			all[twin] = map[string]found{}
		}
		if _, doubled := all[twin][measure]; doubled {
			s.t.Errorf("%s has two series of %s", twin, measure)
		}
		all[twin][measure] = f
	}
	return all
}

// counters are what the partitions and the queue have counted so far.
type counters struct{ stored, repeats, deadLetters, measurements, accepted int64 }

func (c counters) minus(o counters) counters {
	return counters{c.stored - o.stored, c.repeats - o.repeats, c.deadLetters - o.deadLetters, c.measurements - o.measurements, c.accepted - o.accepted}
}

func (s *system) counters() counters {
	s.t.Helper()
	accepted := int64(s.awaitEmpty().accepted)
	records := s.ask(partitionCounters, "")
	if len(records) != 1 {
		s.t.Fatalf("%d rows of counters", len(records))
	}
	r := records[0]
	return counters{
		column[int64](s.t, r, "stored"), column[int64](s.t, r, "repeats"),
		column[int64](s.t, r, "deadLetters"), column[int64](s.t, r, "measurements"), accepted,
	}
}

// audit waits until nothing is under way and holds the ledger against the
// graph, the live state and the counters.
func (s *system) audit(l *ledger) verdict {
	s.t.Helper()
	began := time.Now()
	s.awaitEmpty()
	drained := time.Since(began)

	graph := s.measurements()
	devices, nodes := map[string]map[string]found{}, 0
	for twin, measures := range graph {
		if strings.HasPrefix(twin, "device-") {
			devices[twin] = measures
			for _, f := range measures {
				nodes += len(f.at)
			}
		}
	}
	v := l.compare(devices)
	s.compareAssets(&v, graph)
	s.compareLive(&v, graph)
	wrong := append(s.askEach(wrongBuckets), s.askEach(wrongSeries)...)
	for _, r := range append(wrong, s.ask(strayMeasurements, "")...) {
		v.say("%s", column[string](s.t, r, "wrong"))
	}
	c := s.compareCounters(&v, int64(nodes))
	for _, w := range v.wrong {
		s.t.Error(w)
	}
	made, _ := l.counts()
	s.t.Logf("ledger: %d readings made, %d acknowledged, %d stored (%d of them never acknowledged) as %d measurement nodes; %d values lost, %d doubled",
		made, v.acknowledged, v.stored, v.unasked, nodes, v.lost, v.doubled)
	s.t.Logf("queue: %d accepted = %d stored + %d repeats + %d dead letters; empty %.1f s after the last acknowledgement",
		c.accepted, c.stored, c.repeats, c.deadLetters, drained.Seconds())
	return v
}

// compareAssets checks that each linked asset has what its device has.
func (s *system) compareAssets(v *verdict, graph map[string]map[string]found) {
	byTime := func(f found) map[int64]any {
		all := map[int64]any{}
		for i, at := range f.at {
			all[at] = f.value[i]
		}
		return all
	}
	for device, asset := range s.linked {
		for measure, name := range map[string]string{"value": "assetValue", "note": "assetNote"} {
			ofDevice, ofAsset := graph[device][measure], graph[asset][name]
			if len(ofDevice.at) != len(ofAsset.at) || !cmp.Equal(byTime(ofDevice), byTime(ofAsset)) {
				v.say("%s %s has %d measurements, and %s %s, which it is linked to, %d; or others", device, measure, len(ofDevice.at), asset, name, len(ofAsset.at))
			}
		}
	}
}

type liveTwin struct {
	Reference string
	Live      []struct {
		Measure    string
		Value      any
		MeasuredAt time.Time
	}
}

// compareLive checks that the live state is the newest measurement of each series.
func (s *system) compareLive(v *verdict, graph map[string]map[string]found) {
	s.t.Helper()
	var answer struct{ Devices, Assets struct{ Nodes []liveTwin } }
	s.query(`{
		devices(first: 100) { nodes { reference live { measure value measuredAt } } }
		assets(first: 100) { nodes { reference live { measure value measuredAt } } }
	}`, nil, &answer)
	checked := 0
	for _, twin := range append(answer.Devices.Nodes, answer.Assets.Nodes...) {
		live := map[string]string{}
		for _, l := range twin.Live {
			live[l.Measure] = fmt.Sprint(l.MeasuredAt.UnixMilli(), " ", l.Value)
		}
		newest := map[string]string{}
		for measure, f := range graph[twin.Reference] {
			i := 0
			for j := range f.at {
				if f.at[j] > f.at[i] {
					i = j
				}
			}
			newest[measure] = fmt.Sprint(f.at[i], " ", f.value[i])
			checked++
		}
		if !cmp.Equal(live, newest) {
			v.say("%s: the live state is not the newest measurement of each series (-measured +live):\n%s", twin.Reference, cmp.Diff(newest, live))
		}
	}
	if checked < 2*fleetSize {
		v.say("the live state of %d series only could be checked", checked)
	}
}

// compareCounters checks that every reading that the queue took was counted
// once, as stored, repeat or dead letter. A call that its sender gave up may
// still be on its way, so what does not fit is looked at again for a while.
func (s *system) compareCounters(v *verdict, nodes int64) counters {
	s.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		c := s.counters().minus(s.before)
		fits := c.stored+c.repeats+c.deadLetters == c.accepted && c.deadLetters == 0 &&
			c.stored == int64(v.stored) && c.measurements == nodes
		if fits {
			return c
		}
		if time.Now().After(deadline) {
			v.say("the counters do not fit: %+v, while %d readings are stored as %d measurement nodes", c, v.stored, nodes)
			return c
		}
	}
}
