package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/holon-registry/holon/examples/internal/api"
)

const (
	zoneSensor = "Zone_Air_Temperature_Sensor"
	floorClass = "Floor"
)

// zones are the temperature sensors of a floor's zones, and how many of them
// each air handler feeds.
type zones struct {
	sensors  map[string]bool
	handlers map[string]int
}

func (z zones) String() string {
	var parts []string
	for _, handler := range slices.Sorted(maps.Keys(z.handlers)) {
		parts = append(parts, fmt.Sprintf("%s %d", handler, z.handlers[handler]))
	}
	return fmt.Sprintf("%d temperature sensors of zones (%s)", len(z.sensors), strings.Join(parts, ", "))
}

// verifyZones asks, for each floor, for the temperature sensors of its zones,
// with counts by the air handler that feeds the box that a sensor is a point of:
// four relations away from the floor, in both directions. The answers are held
// against what the source says.
func verifyZones(ctx context.Context, client *api.Client, p *plan, out io.Writer) error {
	for _, floor := range p.groups {
		if floor.class != floorClass {
			continue
		}
		if err := verifyFloor(ctx, client, p, floor, nil); err != nil {
			return err
		}
		fmt.Fprintf(out, "  %s: %s\n", floor.key, zonesOf(p, floor))
	}
	return verifyMoved(ctx, client, p, out)
}

// verifyFloor holds the answer about a floor, as of a moment or now, against a
// plan.
func verifyFloor(ctx context.Context, client *api.Client, p *plan, floor *thing, asOf *string) error {
	got, err := askZones(ctx, client, floor, asOf)
	if err != nil {
		return fmt.Errorf("sensors of %s: %w", floor.key, err)
	}
	if want := zonesOf(p, floor); !maps.Equal(got.sensors, want.sensors) || !maps.Equal(got.handlers, want.handlers) {
		return fmt.Errorf("%s has %s, not %s", floor.key, got, want)
	}
	return nil
}

func askZones(ctx context.Context, client *api.Client, floor *thing, asOf *string) (zones, error) {
	out := zones{map[string]bool{}, map[string]int{}}
	var data struct {
		Search struct {
			TotalCount int
			Nodes      []struct{ Reference string }
			Handlers   []struct {
				Value string
				Count int
			}
		}
	}
	where := fmt.Sprintf(`template == %q and any(relations.point_of, any(.relations.feeds, any(.inverse.belongs_to, .path startsWith %s)))`,
		zoneSensor, strconv.Quote(floor.key+"/"))
	err := client.Query(ctx, `query($where: String!, $asOf: DateTime) { search(kinds: [DEVICE], where: $where, first: 200, asOf: $asOf) {
		totalCount nodes { ... on Device { reference } }
		handlers: facets(field: "relations.point_of.inverse.feeds.reference", first: 100) { value count }
	} }`, map[string]any{"where": where, "asOf": asOf}, &data)
	for _, sensor := range data.Search.Nodes {
		out.sensors[sensor.Reference] = true
	}
	for _, handler := range data.Search.Handlers {
		out.handlers[handler.Value] = handler.Count
	}
	if err == nil && data.Search.TotalCount != len(out.sensors) {
		err = fmt.Errorf("%d are counted, but %d are listed", data.Search.TotalCount, len(out.sensors))
	}
	return out, err
}

// zonesOf is what the source says of a floor: the temperature sensors of boxes
// that feed zones with rooms on it, and how many of these each air handler
// feeds.
func zonesOf(p *plan, floor *thing) zones {
	places, boxes := map[*thing]bool{}, map[*thing]bool{}
	for _, f := range p.facts {
		if f.name == belongsTo && strings.HasPrefix(f.from.key, floor.key+"/") {
			places[f.to] = true
		}
	}
	for _, f := range p.facts {
		if f.name == feeds && places[f.to] {
			boxes[f.from] = true
		}
	}
	out := zones{map[string]bool{}, map[string]int{}}
	for _, f := range p.facts {
		if f.name != pointOf || f.from.class != zoneSensor || !boxes[f.to] {
			continue
		}
		out.sensors[f.from.key] = true
		for _, source := range p.facts {
			if source.name == feeds && source.to == f.to {
				out.handlers[source.from.key]++
			}
		}
	}
	return out
}
