package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// demoReport is what the demonstration found, and what of it is not as it must
// be.
type demoReport struct {
	devices []demoTwin
	why     demoExplanation
	// sent counts values; stored counts measurement nodes that match one.
	sent, stored, onAssets int
	wrong                  []string
}

type demoTwin struct {
	Reference        string
	PolicyReferences []string
	Live             []struct {
		Measure    string
		Value      any
		MeasuredAt time.Time
	}
}

type demoExplanation struct {
	Inherited bool
	Groups    []struct {
		Group    struct{ Path string }
		Reached  bool
		Relation *string
		Via      []struct{ Path string }
	}
}

type demoSamples struct {
	At    []time.Time
	Value []any
}

// waitStored waits until the newest reading of each sensor is live.
func (d *demo) waitStored(ctx context.Context, newest []demoReading) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		devices, err := d.twins(ctx)
		if err != nil {
			return err
		}
		if slices.IndexFunc(newest, func(r demoReading) bool { return !isLive(devices, r) }) < 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("the readings were accepted, but are not stored after 30 s: is the ingest worker running?")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func isLive(devices []demoTwin, r demoReading) bool {
	for _, device := range devices {
		if device.Reference != r.Device {
			continue
		}
		for _, live := range device.Live {
			if live.Value == r.Values[live.Measure] && live.MeasuredAt.Equal(r.MeasuredAt) {
				return true
			}
		}
	}
	return false
}

func (d *demo) twins(ctx context.Context) ([]demoTwin, error) {
	var found struct{ Devices struct{ Nodes []demoTwin } }
	err := d.api.query(ctx, `query DemoDevices {
		devices(template: "climate_sensor", first: 100) {
			nodes { reference policyReferences live { measure value measuredAt } }
		}
	}`, nil, &found)
	return found.Devices.Nodes, err
}

// report asks for everything that was done and compares it with what was sent.
func (d *demo) report(ctx context.Context, sent, newest []demoReading) (*demoReport, error) {
	r := &demoReport{}
	var err error
	if r.devices, err = d.twins(ctx); err != nil {
		return nil, err
	}
	r.checkTwins(newest)
	var found struct {
		Device struct{ PolicyExplanation demoExplanation }
	}
	err = d.api.query(ctx, `query DemoExplanation {
		device(reference: "climate-denver-2") {
			policyExplanation(policy: "keep-in-china") { inherited groups { group { path } reached relation via { path } } }
		}
	}`, nil, &found)
	if err != nil {
		return nil, err
	}
	r.why = found.Device.PolicyExplanation
	if r.why.Inherited || len(r.why.Groups) != 2 {
		r.wrong = append(r.wrong, "the explanation of keep-in-china for climate-denver-2")
	}
	for _, device := range demoDevices {
		if err := d.countStored(ctx, r, device, sent); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *demoReport) checkTwins(newest []demoReading) {
	for i, device := range demoDevices {
		at := slices.IndexFunc(r.devices, func(t demoTwin) bool { return t.Reference == device.reference })
		if at < 0 {
			r.wrong = append(r.wrong, device.reference+" is missing")
			continue
		}
		if got := r.devices[at].PolicyReferences; !slices.Equal(got, device.policies) {
			r.wrong = append(r.wrong, fmt.Sprintf("%s inherits %v, not %v", device.reference, got, device.policies))
		}
		for _, live := range r.devices[at].Live {
			if live.Value != newest[i].Values[live.Measure] || !live.MeasuredAt.Equal(newest[i].MeasuredAt) {
				r.wrong = append(r.wrong, fmt.Sprintf("%s has %s %v live, not %v", device.reference, live.Measure, live.Value, newest[i].Values[live.Measure]))
			}
		}
	}
}

// countStored reads a device's series, and those of its room, and looks for
// every value that was sent: each must be there exactly once.
func (d *demo) countStored(ctx context.Context, r *demoReport, device demoDevice, sent []demoReading) error {
	for _, measure := range []string{"temperature", "humidity", "occupied"} {
		var found struct{ Device, Asset struct{ Samples demoSamples } }
		onAsset := map[string]string{"temperature": "roomTemperature", "humidity": "roomHumidity"}[measure]
		err := d.api.query(ctx, `query DemoSamples($device: String!, $asset: String!, $measure: String!, $assetMeasure: String!, $from: DateTime!, $to: DateTime!, $mapped: Boolean!) {
			device(reference: $device) { samples(measure: $measure, from: $from, to: $to, limit: 100000) { at value } }
			asset(reference: $asset) @include(if: $mapped) { samples(measure: $assetMeasure, from: $from, to: $to, limit: 100000) { at value } }
		}`, map[string]any{
			"device": device.reference, "measure": measure, "asset": device.room, "assetMeasure": onAsset, "mapped": onAsset != "",
			"from": sent[0].MeasuredAt, "to": sent[len(sent)-1].MeasuredAt.Add(time.Second),
		}, &found)
		if err != nil {
			return err
		}
		for _, reading := range sent {
			if reading.Device != device.reference {
				continue
			}
			r.sent++
			r.stored += d.expectOnce(r, found.Device.Samples, device.reference, measure, reading)
			if onAsset != "" {
				r.onAssets += d.expectOnce(r, found.Asset.Samples, device.room, measure, reading)
			}
		}
	}
	return nil
}

func (d *demo) expectOnce(r *demoReport, samples demoSamples, twin, measure string, sent demoReading) int {
	times := 0
	for i, at := range samples.At {
		if at.Equal(sent.MeasuredAt) && samples.Value[i] == sent.Values[measure] {
			times++
		}
	}
	if times != 1 {
		r.wrong = append(r.wrong, fmt.Sprintf("%s of %s at %s is stored %d times", measure, twin, sent.MeasuredAt.Format(time.RFC3339), times))
	}
	return times
}

// print writes the report for people.
func (r *demoReport) print(w io.Writer) {
	fmt.Fprintln(w, "\nPolicies that each device inherits, most specific first, and its newest values:")
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, device := range r.devices {
		var live []string
		for _, l := range device.Live {
			live = append(live, fmt.Sprintf("%s %v", l.Measure, l.Value))
		}
		slices.Sort(live)
		fmt.Fprintf(table, "  %s\t%s\t%s\n", device.Reference, strings.Join(device.PolicyReferences, ", "), strings.Join(live, ", "))
	}
	table.Flush()
	fmt.Fprintln(w, "\nWhy climate-denver-2 does not inherit keep-in-china:")
	for _, g := range r.why.Groups {
		if g.Reached {
			var via []string
			for _, step := range g.Via {
				via = append(via, step.Path)
			}
			fmt.Fprintf(w, "  %-22s reached by %s: %s\n", g.Group.Path, *g.Relation, strings.Join(via, " → "))
		} else {
			fmt.Fprintf(w, "  %-22s not reached\n", g.Group.Path)
		}
	}
	fmt.Fprintf(w, "\nMeasurements: %d values sent, the history twice; %d measurement nodes in the graph, %d of them also found through the rooms.\n", r.sent, r.stored, r.onAssets)
}
