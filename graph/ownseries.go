package graph

import (
	"context"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

// ownSeries finds the series that the readings of twins themselves went into:
// all of a device, and of an asset those that it shares with no device. Each
// type of a measure has its own.
var ownSeries = named("series.own", `
	UNWIND $ids AS id
	MATCH (t:Entity {id: id})
	WHERE t.account = $account
	MATCH (t)-[:HAS_SERIES]->(s:Series)
	WHERE (t:Device OR s.manual) AND s.lastAt IS NOT NULL
	WITH id, s.measure AS measure, max(s.lastAt) AS lastAt ORDER BY id, measure
	RETURN collect({twin: id, measure: measure, lastAt: lastAt}) AS series`)

// OwnSeries returns which measures devices and assets have readings of their own
// of, and until when: one slot an id, in order. What devices measured for an
// asset is not the asset's own.
func (s *Store) OwnSeries(ctx context.Context, scope registry.Scope, twins []registry.ID) ([][]registry.OwnSeries, error) {
	found, _, err := one(ctx, s.reading(scope), ownSeries, params{"ids": texts(twins)}, func(f fields) map[registry.ID][]registry.OwnSeries {
		out := map[registry.ID][]registry.OwnSeries{}
		for _, row := range f.maps("series") {
			twin := row.id("twin")
			out[twin] = append(out[twin], registry.OwnSeries{Measure: row.text("measure"), LastAt: time.UnixMilli(required[int64](row, "lastAt")).UTC()})
		}
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("own series: %w", err)
	}
	return slots(twins, found), nil
}

// OwnSamples is Samples of what a twin measured itself, as it was sent: a number
// that came in another unit than the template's is a Quantity in that unit.
func (s *Store) OwnSamples(ctx context.Context, scope registry.Scope, twin registry.ID, measure string, from, to time.Time, limit int) (*registry.Samples, error) {
	read, err := s.readMeasurements(ctx, scope, measurementRequest{
		twin: twin, measure: measure, low: ceilMillis(from), high: ceilMillis(to), limit: limit + 1, marks: true, own: true,
	})
	if err != nil {
		return nil, fmt.Errorf("own samples: %w", err)
	}
	declared, err := s.declaredUnit(ctx, scope, read.template, measure)
	if err != nil {
		return nil, fmt.Errorf("own samples: %w", err)
	}
	for i, at := range read.at {
		if sent := read.marks[at].Unit; sent != nil {
			read.value[i] = asSent(read.value[i], declared, *sent)
		}
	}
	return read.samples(limit), nil
}

// asSent makes of a number in the template's unit the quantity that was sent,
// unless the way there and back would change it.
func asSent(value any, declared, sent string) any {
	if number, ok := value.(float64); ok && declared != "" && sent != declared {
		quantity := converted(number, declared, sent)
		if converted(quantity, sent, declared) == value {
			return registry.Quantity{Value: quantity, Unit: sent}
		}
	}
	return value
}
