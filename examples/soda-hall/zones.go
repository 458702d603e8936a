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

// verifyZones asks, for each floor, for the temperature sensors of its zones,
// with counts by the air handler that feeds the box that a sensor is a point of:
// four relations away from the floor, in both directions. The answers are held
// against what the source says.
func verifyZones(ctx context.Context, client *api.Client, p *plan, out io.Writer) error {
	for _, floor := range p.groups {
		if floor.class != floorClass {
			continue
		}
		sensors, handlers := zonesOf(p, floor)
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
		err := client.Query(ctx, `query($where: String!) { search(kinds: [DEVICE], where: $where, first: 200) {
			totalCount nodes { ... on Device { reference } }
			handlers: facets(field: "relations.point_of.inverse.feeds.reference", first: 100) { value count }
		} }`, map[string]any{"where": where}, &data)
		if err != nil {
			return fmt.Errorf("sensors of %s: %w", floor.key, err)
		}
		found, counts := map[string]bool{}, map[string]int{}
		for _, sensor := range data.Search.Nodes {
			found[sensor.Reference] = true
		}
		for _, handler := range data.Search.Handlers {
			counts[handler.Value] = handler.Count
		}
		if !maps.Equal(found, sensors) || !maps.Equal(counts, handlers) || data.Search.TotalCount != len(sensors) {
			return fmt.Errorf("%s has %d sensors by %v, not %d by %v", floor.key, data.Search.TotalCount, counts, len(sensors), handlers)
		}
		var parts []string
		for _, handler := range slices.Sorted(maps.Keys(handlers)) {
			parts = append(parts, fmt.Sprintf("%s %d", handler, handlers[handler]))
		}
		fmt.Fprintf(out, "  %s: %d temperature sensors of zones (%s)\n", floor.key, len(sensors), strings.Join(parts, ", "))
	}
	return nil
}

// zonesOf is what the source says of a floor: the temperature sensors of boxes
// that feed zones with rooms on it, and how many of these each air handler
// feeds.
func zonesOf(p *plan, floor *thing) (sensors map[string]bool, handlers map[string]int) {
	zones, boxes := map[*thing]bool{}, map[*thing]bool{}
	for _, f := range p.facts {
		if f.name == belongsTo && strings.HasPrefix(f.from.key, floor.key+"/") {
			zones[f.to] = true
		}
	}
	for _, f := range p.facts {
		if f.name == feeds && zones[f.to] {
			boxes[f.from] = true
		}
	}
	sensors, handlers = map[string]bool{}, map[string]int{}
	for _, f := range p.facts {
		if f.name != pointOf || f.from.class != zoneSensor || !boxes[f.to] {
			continue
		}
		sensors[f.from.key] = true
		for _, source := range p.facts {
			if source.name == feeds && source.to == f.to {
				handlers[source.from.key]++
			}
		}
	}
	return sensors, handlers
}
