package transfer

import (
	"context"
	"time"

	"github.com/holon-registry/holon/registry"
)

// The sizes of reading and writing measurements.
const (
	samplesAtOnce = 20_000
	samplesALine  = 1000
)

// measurements writes the readings that the devices and the assets of the file
// have of their own.
func (e *Exporter) measurements(ctx context.Context, at time.Time, out *lineWriter) error {
	lines := 0
	for _, kind := range []registry.RecordKind{registry.RecordDevice, registry.RecordAsset} {
		for after := ""; ; {
			records, next, err := e.Source.Records(ctx, e.Scope, kind, after)
			if err != nil {
				return err
			}
			if err := e.measurementsOf(ctx, records, at, out, &lines); err != nil {
				return err
			}
			if after = next; next == "" {
				break
			}
		}
	}
	return nil
}

// measurementsOf writes the readings of a page of twins.
func (e *Exporter) measurementsOf(ctx context.Context, records []registry.Record, at time.Time, out *lineWriter, lines *int) error {
	var ids []registry.ID
	var twins []*registry.ThingRecord
	for _, record := range records {
		twin := record.(*registry.ThingRecord)
		if !twin.CreatedAt.After(at) { // others are not in the file
			twins, ids = append(twins, twin), append(ids, twin.ID)
		}
	}
	series, err := e.Source.OwnSeries(ctx, e.Scope, ids)
	if err != nil {
		return err
	}
	for i, twin := range twins {
		for _, of := range series[i] {
			if err := e.series(ctx, twin, of, out, lines); err != nil {
				return err
			}
		}
	}
	return nil
}

// series writes what one measure of a twin was.
func (e *Exporter) series(ctx context.Context, twin *registry.ThingRecord, of registry.OwnSeries, out *lineWriter, lines *int) error {
	from, to := time.UnixMilli(0), of.LastAt.Add(time.Millisecond)
	if e.Measurements.From != nil {
		from = *e.Measurements.From
	}
	if e.Measurements.To != nil && e.Measurements.To.Before(to) {
		to = *e.Measurements.To
	}
	for from.Before(to) {
		samples, err := e.Source.OwnSamples(ctx, e.Scope, twin.ID, of.Measure, from, to, samplesAtOnce)
		if err != nil {
			return err
		}
		for start := 0; start < len(samples.At); start += samplesALine {
			stop := min(start+samplesALine, len(samples.At))
			if err := out.record(piece(twin, of.Measure, samples, start, stop)); err != nil {
				return err
			}
			if *lines++; e.Progress != nil {
				e.Progress(registry.RecordMeasurements, *lines)
			}
		}
		if samples.NextFrom == nil {
			return nil
		}
		from = *samples.NextFrom
	}
	return nil
}

// piece is the record of some samples, from one to before another.
func piece(twin *registry.ThingRecord, measure string, samples *registry.Samples, from, to int) *registry.MeasurementsRecord {
	out := &registry.MeasurementsRecord{Device: twin.Reference, Measure: measure, Values: samples.Value[from:to]}
	if twin.Kind == registry.KindAsset {
		out.Device, out.Asset = "", twin.Reference
	}
	for _, at := range samples.At[from:to] {
		out.At = append(out.At, at.UnixMilli())
	}
	return out
}
