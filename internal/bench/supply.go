package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

const (
	// keptDevices is how many devices a supply has.
	keptDevices = 100
	// keptBurst is how many readings of a device come together.
	keptBurst = 10
	// freshReadings is how many readings of each device are kept for longer.
	freshReadings = 20
	keptFor       = day
	keptAge       = 30 * day
)

// supply is what retention has to do once: measurements of devices whose template
// keeps them for a day, and that are a month old; and some that are to stay.
type supply struct {
	template registry.ID
	old      *fleet
	// due is how many measurements are to go, fresh how many are to stay.
	due, fresh int
	// filled are the counts before anything went.
	filled held
	// means are the hourly means of a device before anything went.
	means []*registry.AggregatePoint
}

// held is what the graph has of a supply.
type held struct {
	// old and fresh are single measurements, told apart by their times.
	old, fresh int64
	// counted and summed are what the roll-ups of buckets say.
	counted int64
	summed  float64
	// inSlots is how many values the quarters of an hour of those buckets stand
	// for whose measurements are gone; left is how many the others have.
	inSlots, left int64
}

// supplyHeld counts, supplyLeft only adds up what buckets say of themselves.
const (
	supplyHeld = `
	MATCH (t:Entity {id: $template})<-[:INSTANCE_OF]-(:Device)-[:HAS_SERIES]->(:Series)-[:HAS_BUCKET]->(b:Bucket)
	CALL (b) {
		OPTIONAL MATCH (b)-[:HAS_MEASUREMENT]->(m)
		RETURN count(CASE WHEN m.at < $due THEN 1 END) AS old, count(CASE WHEN m.at >= $due THEN 1 END) AS fresh
	}
	RETURN [sum(old), sum(fresh), sum(b.count), sum(b.sum),
		sum(CASE WHEN b.rawUntil IS NULL THEN 0 ELSE reduce(n = 0, x IN b.slotCounts | n + x) END),
		sum(CASE WHEN b.rawUntil IS NULL THEN b.count ELSE 0 END)] AS held`

	supplyLeft = `
	MATCH (t:Entity {id: $template})<-[:INSTANCE_OF]-(:Device)-[:HAS_SERIES]->(:Series)-[:HAS_BUCKET]->(b:Bucket)
	WHERE b.rawUntil IS NULL
	RETURN sum(b.count) AS left`

	// supplyWaits keeps a template from being looked at before its turn, which
	// supplyTurn is.
	supplyWaits = `MATCH (t:Entity {id: $template}) SET t.keepDue = $until RETURN t.id`
	supplyTurn  = `MATCH (t:Entity {id: $template}) REMOVE t.keepDue RETURN t.id`
)

// makeSupply makes devices with measurements that are due when they have been
// sealed.
func (r *runner) makeSupply(ctx context.Context, number int) (*supply, error) {
	name := fmt.Sprintf("kept-%d", number)
	declared := make([]registry.MeasureDeclaration, r.Values)
	for i := range declared {
		declared[i] = registry.MeasureDeclaration{Name: measures[i].Name, Type: "number", Keep: registry.Keep{RawSeconds: keptFor.Seconds()}}
	}
	template, err := r.Graph.CreateTemplate(ctx, r.Scope, registry.NewTemplate{Kind: registry.KindDevice, Name: name, Publish: true, Measures: declared})
	if err != nil {
		return nil, err
	}
	twins := make([]registry.NewTwin, keptDevices)
	for i := range twins {
		twins[i] = registry.NewTwin{Reference: fmt.Sprintf("%s-%03d", name, i), Template: name}
	}
	made, err := r.Graph.CreateTwins(ctx, r.Scope, registry.KindDevice, twins, true)
	if err != nil {
		return nil, err
	}
	s := &supply{template: template.ID, old: &fleet{values: r.Values, random: r.fleet.random, start: time.Now().Add(-keptAge).UTC().Truncate(day)}}
	fresh := &fleet{values: r.Values, random: r.fleet.random, start: time.Now().Add(-time.Hour).UTC().Truncate(readingEvery)}
	for _, result := range made.Results {
		d := result.Object.(*registry.Device)
		s.old.devices = append(s.old.devices, &device{id: d.ID, reference: d.Reference})
		fresh.devices = append(fresh.devices, &device{id: d.ID, reference: d.Reference})
	}
	n := r.Kept / r.Values
	s.due, s.fresh = n*r.Values, freshReadings*keptDevices*r.Values
	for _, part := range []struct {
		of *fleet
		n  int
	}{{s.old, n}, {fresh, freshReadings * keptDevices}} {
		if err := r.appendAll(ctx, &source{fleet: part.of, devices: part.of.devices, burst: keptBurst}, part.n); err != nil {
			return nil, err
		}
	}
	_, err = r.rows(ctx, supplyWaits, map[string]any{"template": string(s.template), "until": time.Now().Add(month).UnixMilli()})
	return s, err
}

// appendAll writes readings as a worker does.
func (r *runner) appendAll(ctx context.Context, s *source, n int) error {
	partition, err := r.Graph.OpenPartition(ctx, 0, "benchmark "+uuid.NewString())
	if err != nil {
		return err
	}
	for left := n; left > 0; left -= 10 * chunk {
		if _, err := partition.Append(ctx, []graph.Entry{r.entry(r.acceptedAll(s.take(min(left, 10*chunk))))}); err != nil {
			return err
		}
	}
	return nil
}

// look remembers what there is of a supply that is sealed.
func (r *runner) look(ctx context.Context, s *supply) (err error) {
	if s.filled, err = r.held(ctx, s); err != nil {
		return err
	}
	want := held{old: int64(s.due), fresh: int64(s.fresh), counted: int64(s.due + s.fresh), summed: s.filled.summed, left: int64(s.due + s.fresh)}
	if s.filled != want {
		return fmt.Errorf("the graph has %+v, not %+v", s.filled, want)
	}
	s.means, err = r.means(ctx, s)
	return err
}

// means are the hourly means of the first device.
func (r *runner) means(ctx context.Context, s *supply) ([]*registry.AggregatePoint, error) {
	d := s.old.devices[0]
	return r.Graph.Aggregate(ctx, r.Scope, d.id, registry.Aggregation{
		Measure: measures[0].Name, From: s.old.start, To: s.old.at(d.sent).Truncate(time.Hour).Add(time.Hour), Every: time.Hour, Function: registry.AggregateMean,
	})
}

// held counts what the graph has of a supply.
func (r *runner) held(ctx context.Context, s *supply) (h held, err error) {
	rows, err := r.rows(ctx, supplyHeld, map[string]any{"template": string(s.template), "due": time.Now().Add(-keptAge / 2).UnixMilli()})
	if err != nil {
		return h, err
	}
	row, _ := rows[0].([]any)
	if len(row) != 6 {
		return h, fmt.Errorf("the graph has %v", rows[0])
	}
	for i, to := range []*int64{0: &h.old, 1: &h.fresh, 2: &h.counted, 4: &h.inSlots, 5: &h.left} {
		if to != nil {
			*to, _ = row[i].(int64)
		}
	}
	h.summed, _ = row[3].(float64)
	return h, nil
}

// left is how many measurements of a supply have not gone.
func (r *runner) left(ctx context.Context, s *supply) (int, error) {
	rows, err := r.rows(ctx, supplyLeft, map[string]any{"template": string(s.template)})
	if err != nil {
		return 0, err
	}
	n, _ := rows[0].(int64)
	return int(n), nil
}
