package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// longMeasure is the measure with very many measurements, one every ten
// seconds, of a device that sends nothing else.
const longMeasure = "temperature"

// The same in GraphQL and in Cypher that knows the series and where to look.
const (
	liveQuery = `query($key: String!) {
	device(reference: $key) { live(measures: ["temperature"]) { measuredAt value } }
}`
	latestQuery = `query($key: String!) {
	device(reference: $key) { measurements(measure: "temperature", last: 1) { nodes { at value } } }
}`
	lastQuery = `query($key: String!) {
	device(reference: $key) { measurements(measure: "temperature", last: 100) { nodes { at value } } }
}`
	dayQuery = `query($key: String!, $from: DateTime!, $to: DateTime!) {
	device(reference: $key) { samples(measure: "temperature", from: $from, to: $to, limit: 100000) { at value } }
}`
	monthQuery = `query($key: String!, $from: DateTime!, $to: DateTime!) {
	device(reference: $key) { aggregate(measure: "temperature", from: $from, to: $to, every: "PT1H", function: MEAN) { from value } }
}`
)

const (
	day   = 24 * time.Hour
	month = 30 * day
)

// addLong fills a series and adds what is asked of one.
func (r *runner) addLong(ctx context.Context) error {
	end, err := r.makeLong(ctx)
	if err != nil {
		return fmt.Errorf("fill a long series: %w", err)
	}
	begin := end.Add(-time.Duration(r.Measurements) * readingEvery)
	key := r.long().reference
	live, latest, last := &question{name: "the newest value, live"}, &question{name: "the latest measurement"}, &question{name: "the last 100 measurements"}
	for _, q := range []struct {
		*question
		query string
	}{{live, liveQuery}, {latest, latestQuery}, {last, lastQuery}} {
		r.asking(q.question, q.query, map[string]any{"key": key}, map[string]any{})
	}
	samples, means := &question{name: "a day of samples"}, &question{name: "thirty days of hourly means"}
	for range 50 {
		for _, q := range []struct {
			*question
			query  string
			length time.Duration
		}{{samples, dayQuery, day}, {means, monthQuery, month}} {
			from := begin
			if room := end.Sub(begin) - q.length; room > 0 {
				from = begin.Add(time.Duration(r.fleet.random.Int64N(int64(room)))).Truncate(time.Hour)
			}
			r.asking(q.question, q.query, map[string]any{"key": key, "from": from, "to": from.Add(q.length)}, map[string]any{})
		}
	}
	return r.addReads(ctx, func(context.Context) ([]*question, error) {
		return []*question{live, latest, last, samples, means}, nil
	}, 1)
}

// long is the device with the long series: the last one, which sends nothing
// else as long as there are more than send readings.
func (r *runner) long() *device { return r.fleet.devices[len(r.fleet.devices)-1] }

// makeLong fills the series until an hour ago, seals what can be sealed, and
// returns where it ends.
func (r *runner) makeLong(ctx context.Context) (time.Time, error) {
	d := r.long()
	end := time.Now().Add(-time.Hour).UTC().Truncate(readingEvery)
	at := end.Add(-time.Duration(r.Measurements) * readingEvery)
	partition, err := r.Graph.OpenPartition(ctx, 0, "benchmark "+uuid.NewString())
	if err != nil {
		return end, err
	}
	began, made := time.Now(), 0
	for made < r.Measurements {
		readings := make([]registry.AcceptedReading, min(10*chunk, r.Measurements-made))
		for i := range readings {
			readings[i] = registry.AcceptedReading{
				Account: r.Scope.Account, DeviceID: d.id, Reference: d.reference, Source: "http", MeasuredAt: at, ReceivedAt: at,
				Values: map[string]any{longMeasure: float64(r.fleet.random.IntN(10_000)) / 100},
			}
			at = at.Add(readingEvery)
		}
		if _, err := partition.Append(ctx, []graph.Entry{r.entry(readings)}); err != nil {
			return end, err
		}
		made += len(readings)
		r.Step(r.done, r.steps(), fmt.Sprintf("filling a series: %d of %d measurements", made, r.Measurements))
	}
	r.noteFilled("measurements of one series", made, began)
	return end, r.sealAll(ctx)
}

// sealAll seals all buckets that have ended, which otherwise waits for an hour
// in case that something comes late.
func (r *runner) sealAll(ctx context.Context) (err error) {
	if _, err := r.rows(ctx, `MATCH (b:Unsealed) WHERE b.to < $now SET b.sealAt = b.to`, map[string]any{"now": time.Now().UnixMilli()}); err != nil {
		return err
	}
	before, err := r.due(ctx)
	if err != nil || before == 0 {
		return err
	}
	sealing, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- r.Graph.SealBuckets(sealing) }()
	defer func() { stop(); err = errors.Join(err, <-ended) }()
	for {
		left, err := r.due(ctx)
		if err != nil {
			return err
		}
		if left == 0 {
			r.noteFilled("sealed buckets", before, began)
			return nil
		}
		r.Step(r.done, r.steps(), fmt.Sprintf("sealing: %d of %d buckets", before-left, before))
		select {
		case early := <-ended:
			ended <- nil
			return early
		case <-time.After(time.Second / 2):
		}
	}
}

// due counts the buckets that can be sealed.
func (r *runner) due(ctx context.Context) (int, error) {
	found, err := r.rows(ctx, `MATCH (b:Unsealed) WHERE b.sealAt < $now RETURN count(b)`, map[string]any{"now": time.Now().UnixMilli()})
	if err != nil {
		return 0, err
	}
	n, _ := found[0].(int64)
	return int(n), nil
}
