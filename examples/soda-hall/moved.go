package main

import (
	"context"
	"fmt"
	"io"

	"github.com/holon-registry/holon/examples/internal/api"
)

// verifyMoved has another air handler feed a box, asks about its floor now and
// as of before, and puts it back.
func verifyMoved(ctx context.Context, client *api.Client, p *plan, out io.Writer) error {
	floor, old, other := aMove(p)
	if floor == nil {
		return nil // a building with one air handler
	}
	var before struct {
		Changes struct{ Nodes []struct{ At string } }
	}
	if err := client.Query(ctx, `{ changes(first: 1) { nodes { at } } }`, nil, &before); err != nil {
		return err
	}
	if err := feedBy(ctx, client, old.to, old.from, other); err != nil {
		return fmt.Errorf("move %s: %w", old.to.key, err)
	}
	moved := *p
	moved.facts = nil
	for _, f := range p.facts {
		if f == old {
			f = &fact{from: other, name: feeds, to: old.to}
		}
		moved.facts = append(moved.facts, f)
	}
	then := before.Changes.Nodes[0].At
	now := verifyFloor(ctx, client, &moved, floor, nil)
	was := verifyFloor(ctx, client, p, floor, &then)
	if err := feedBy(ctx, client, old.to, other, old.from); err != nil {
		return fmt.Errorf("move %s back: %w", old.to.key, err)
	}
	if now != nil {
		return fmt.Errorf("after %s was moved: %w", old.to.key, now)
	}
	if was != nil {
		return fmt.Errorf("as of before %s was moved: %w", old.to.key, was)
	}
	fmt.Fprintf(out, "With %s fed by %s, %s has %s; as of before that, %s\n", old.to.key, other.key, floor.key, zonesOf(&moved, floor), zonesOf(p, floor))
	return nil
}

// aMove finds a box with sensors on some floor, what feeds it, and another air
// handler that does not; nil if there is none.
func aMove(p *plan) (floor *thing, old *fact, other *thing) {
	for _, place := range p.groups {
		if place.class != floorClass {
			continue
		}
		counted := zonesOf(p, place).handlers
		for _, f := range p.facts {
			if f.name != feeds || counted[f.from.key] == 0 || !hasSensor(p, place, f.to) {
				continue
			}
			for _, g := range p.facts {
				if g.name == feeds && g.from != f.from && g.from.class == f.from.class && g.to.kind == asset && !isFedBy(p, f.to, g.from) {
					return place, f, g.from
				}
			}
		}
	}
	return nil, nil, nil
}

// hasSensor says whether a sensor of a floor's zones is a point of a box.
func hasSensor(p *plan, floor, box *thing) bool {
	sensors := zonesOf(p, floor).sensors
	for _, f := range p.facts {
		if f.name == pointOf && f.to == box && sensors[f.from.key] {
			return true
		}
	}
	return false
}

func isFedBy(p *plan, box, handler *thing) bool {
	for _, f := range p.facts {
		if f.name == feeds && f.to == box && f.from == handler {
			return true
		}
	}
	return false
}

// feedBy has another air handler feed a box, in one step.
func feedBy(ctx context.Context, client *api.Client, box, from, to *thing) error {
	return client.Query(ctx, `mutation($box: String!, $from: String!, $to: String!) {
		updateAsset(input: {reference: $box, relations: {
			remove: [{name: "feeds", direction: IN, assets: [$from]}], add: [{name: "feeds", direction: IN, assets: [$to]}]
		}}) { asset { id } }
	}`, map[string]any{"box": box.key, "from": from.key, "to": to.key}, nil)
}
