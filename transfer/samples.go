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

// measurements writes what the devices of the file have measured.
func (e *Exporter) measurements(ctx context.Context, at time.Time, out *lineWriter) error {
	lines := 0
	for after := ""; ; {
		records, next, err := e.Source.Records(ctx, e.Scope, registry.RecordDevice, after)
		if err != nil {
			return err
		}
		var ids []registry.ID
		var devices []*registry.ThingRecord
		for _, record := range records {
			device := record.(*registry.ThingRecord)
			if !device.CreatedAt.After(at) { // others are not in the file
				devices, ids = append(devices, device), append(ids, device.ID)
			}
		}
		series, err := e.Source.SeriesOf(ctx, e.Scope, ids)
		if err != nil {
			return err
		}
		for i, device := range devices {
			for _, of := range series[i] {
				if of.Last == nil {
					continue
				}
				if err := e.series(ctx, device, of, out, &lines); err != nil {
					return err
				}
			}
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// series writes what one measure of a device was.
func (e *Exporter) series(ctx context.Context, device *registry.ThingRecord, of *registry.Series, out *lineWriter, lines *int) error {
	from, to := time.UnixMilli(0), of.Last.At.Add(time.Millisecond)
	if e.Measurements.From != nil {
		from = *e.Measurements.From
	}
	if e.Measurements.To != nil && e.Measurements.To.Before(to) {
		to = *e.Measurements.To
	}
	for from.Before(to) {
		samples, err := e.Source.Samples(ctx, e.Scope, device.ID, of.Measure, from, to, samplesAtOnce, "")
		if err != nil {
			return err
		}
		for start := 0; start < len(samples.At); start += samplesALine {
			piece := &registry.MeasurementsRecord{Device: device.Reference, Measure: of.Measure}
			stop := min(start+samplesALine, len(samples.At))
			for _, at := range samples.At[start:stop] {
				piece.At = append(piece.At, at.UnixMilli())
			}
			piece.Values = samples.Value[start:stop]
			if err := out.record(piece); err != nil {
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
