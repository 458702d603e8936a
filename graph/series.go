package graph

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// seriesOf reads every series of many twins. A device's series has its last
// value itself; an asset's has that of its newest bucket, which, while it is
// open, is the last value of the device's series that it belongs to. If that device was
// deleted, the bucket itself has to be looked into.
var seriesOf = named("series.of", `
	UNWIND $ids AS id
	MATCH (t:Entity {id: id})
	WHERE t.account = $account
	MATCH (t)-[:HAS_SERIES]->(s:Series)
	OPTIONAL MATCH (s)-[:HAS_NEWEST]->(b:Bucket)
	WITH id, s, b,
		CASE WHEN s.lastAt IS NULL AND b.last IS NULL
			THEN [(b)<-[:HAS_NEWEST]-(o:Series) WHERE o.lastAt IS NOT NULL | [o.lastAt, o.lastValue, o.lastSuspect]][0] END AS shared
	WITH id, s, b, CASE WHEN s.lastAt IS NULL AND b.last IS NULL AND b IS NOT NULL AND shared IS NULL
			THEN COLLECT { MATCH (b)-[:HAS_MEASUREMENT]->(m) RETURN [m.at, coalesce(m.value, properties(m)), m.suspect] ORDER BY m.at DESC LIMIT 1 }[0] ELSE shared END AS open
	RETURN collect({
		twin: id, id: s.id, measure: s.measure, type: s.type, unit: s.unit, generation: s.generation, stored: coalesce(b.unit, s.unit),
		lastAt: coalesce(s.lastAt, b.last, open[0]), lastValue: coalesce(s.lastValue, b.lastValue, open[1]),
		suspect: CASE WHEN s.lastAt IS NOT NULL THEN s.lastSuspect WHEN b.last IS NOT NULL THEN b.lastSuspect ELSE open[2] END}) AS series`)

// SeriesOf returns the series of devices and assets with their last values, by
// measure: one slot an id, in order. Where a measure had values of several
// types, it is the series that was written last.
func (s *Store) SeriesOf(ctx context.Context, scope registry.Scope, twins []registry.ID) ([][]*registry.Series, error) {
	all, _, err := one(ctx, s.reading(scope), seriesOf, params{"ids": texts(twins)}, func(f fields) []*registry.Series {
		rows := f.maps("series")
		out := make([]*registry.Series, len(rows))
		for i, row := range rows {
			out[i] = &registry.Series{
				ID: row.id("id"), TwinID: row.id("twin"), Measure: row.text("measure"), Type: registry.ValueType(row.text("type")),
				Unit: row.optionalText("unit"), Generation: row.integer("generation"),
			}
			if at := row.optionalMillis("lastAt"); at != nil {
				out[i].Last = lastOfSeries(row, *at, out[i])
			}
		}
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("series: %w", err)
	}
	return slots(twins, currentSeries(all)), nil
}

// lastOfSeries is the newest measurement, in the unit of the series.
func lastOfSeries(row fields, at time.Time, of *registry.Series) *registry.Measurement {
	value := valueOf(of.Type, row.value("lastValue"))
	if in := row.optionalText("stored"); in != nil && of.Unit != nil {
		value = converted(value, *in, *of.Unit)
	}
	m := &registry.Measurement{At: at, Value: value}
	if reason := row.optionalText("suspect"); reason != nil {
		m.Suspect = registry.SuspectReason(*reason).Pointer()
	}
	return m
}

// currentSeries picks the series of each measure that was written last.
func currentSeries(all []*registry.Series) map[registry.ID][]*registry.Series {
	slices.SortFunc(all, func(x, y *registry.Series) int {
		return cmp.Or(
			cmp.Compare(x.TwinID, y.TwinID), cmp.Compare(x.Measure, y.Measure),
			lastOf(y).Compare(lastOf(x)), cmp.Compare(y.Generation, x.Generation))
	})
	out := map[registry.ID][]*registry.Series{}
	for _, s := range all {
		of := out[s.TwinID]
		if n := len(of); n > 0 && of[n-1].Measure == s.Measure {
			continue
		}
		out[s.TwinID] = append(of, s)
	}
	return out
}

func lastOf(s *registry.Series) time.Time {
	if s.Last == nil {
		return time.Time{}
	}
	return s.Last.At
}

// LiveOf returns the newest value of each measure of devices and assets, as the
// graph has it: one slot an id, in order.
func (s *Store) LiveOf(ctx context.Context, scope registry.Scope, twins []registry.ID) ([][]registry.LiveValue, error) {
	series, err := s.SeriesOf(ctx, scope, twins)
	if err != nil {
		return nil, err
	}
	out := make([][]registry.LiveValue, len(series))
	for i, of := range series {
		for _, one := range of {
			if one.Last == nil {
				continue
			}
			v := registry.LiveValue{Measure: one.Measure, Value: one.Last.Value, MeasuredAt: one.Last.At}
			if one.Unit != nil {
				v.Unit = *one.Unit
			}
			if one.Last.Suspect != nil {
				v.Suspect = *one.Last.Suspect
			}
			out[i] = append(out[i], v)
		}
	}
	return out, nil
}
