package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/rs/zerolog"
)

// demo loads a small fleet through the API, drives readings over HTTP and
// MQTT, and tells what came of it. It is a client like any other.
type demo struct {
	api     apiClient
	account string
	mqtt    string
	out     io.Writer
	log     zerolog.Logger
	now     func() time.Time
}

// demoDevice is a sensor of the demonstration, and what is expected of it.
type demoDevice struct {
	reference string
	groups    map[string][]string // by relation
	room      string
	policies  []string // most specific first
	phase     float64
}

// The four devices sit in two hierarchies; each policy applies where all of
// its groups do.
var demoDevices = []demoDevice{
	{"climate-denver-1", demoPlace("usa/colorado/denver", "supplier1"), "room-denver-1", []string{"keep-one-year", "inspect-yearly"}, 0},
	{"climate-denver-2", demoPlace("usa/colorado/denver", "supplier2"), "room-denver-2", []string{"keep-one-year", "inspect-yearly"}, 1},
	{"climate-beijing-1", demoPlace("china/northern/beijing", "supplier1"), "room-beijing-1", []string{"keep-one-year", "inspect-yearly"}, 2},
	{"climate-beijing-2", demoPlace("china/northern/beijing", "supplier2"), "room-beijing-2", []string{"keep-in-china", "keep-one-year", "inspect-yearly"}, 3},
}

func demoPlace(location, supplier string) map[string][]string {
	return map[string][]string{"located_at": {"/location/" + location}, "supplied_by": {"/supplier/" + supplier}}
}

const (
	demoAccount = "demo"
	demoHistory = 2 * time.Hour
	demoStep    = time.Minute
)

// run does it all once. It returns an error if anything is not as it must be.
func (d *demo) run(ctx context.Context) (*demoReport, error) {
	fmt.Fprintln(d.out, "Loading a fleet of four sensors in two hierarchies, over GraphQL …")
	if err := d.loadFleet(ctx); err != nil {
		return nil, fmt.Errorf("loading the fleet: %w", err)
	}
	end := d.now().UTC().Truncate(time.Second)
	history := demoReadings(end)
	fmt.Fprintf(d.out, "Sending two hours of readings over HTTP (%d readings), twice …\n", len(history))
	for range 2 { // the second time is a repeat, and must leave nothing
		if err := d.sendHTTP(ctx, history); err != nil {
			return nil, fmt.Errorf("sending readings over HTTP: %w", err)
		}
	}
	fmt.Fprintln(d.out, "Sending the newest reading of each sensor over MQTT …")
	newest := demoReadingsAt(end)
	if err := d.sendMQTT(ctx, newest); err != nil {
		return nil, fmt.Errorf("sending readings over MQTT: %w", err)
	}
	if err := d.waitStored(ctx, newest); err != nil {
		return nil, err
	}
	return d.report(ctx, append(history, newest...), newest)
}

// drive goes on sending a reading of each sensor every two seconds.
func (d *demo) drive(ctx context.Context) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := d.sendMQTT(ctx, demoReadingsAt(d.now().UTC().Truncate(time.Millisecond))); err != nil && ctx.Err() == nil {
				d.log.Warn().Err(err).Msg("a demonstration reading was not taken")
			}
		}
	}
}

// demoReading is the wire form of a reading.
type demoReading struct {
	Device     string         `json:"device,omitempty"`
	MeasuredAt time.Time      `json:"measuredAt"`
	Values     map[string]any `json:"values"`
}

// demoReadings is the history before a moment: one reading a minute.
func demoReadings(end time.Time) []demoReading {
	var all []demoReading
	for at := end.Add(-demoHistory); at.Before(end); at = at.Add(demoStep) {
		all = append(all, demoReadingsAt(at)...)
	}
	return all
}

// demoReadingsAt makes one reading of each sensor: a day's curve, so that the
// same moment always gives the same values.
func demoReadingsAt(at time.Time) []demoReading {
	all := make([]demoReading, len(demoDevices))
	for i, device := range demoDevices {
		turn := 2*math.Pi*float64(at.Unix())/86400 + device.phase
		all[i] = demoReading{Device: device.reference, MeasuredAt: at, Values: map[string]any{
			"temperature": math.Round((21+4*math.Sin(turn))*100) / 100,
			"humidity":    math.Round((45+10*math.Cos(turn))*100) / 100,
			"occupied":    math.Sin(8*turn) > 0,
		}}
	}
	return all
}
