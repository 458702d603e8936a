package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// A device can be a component of another, and an asset a part of another. Both
// have the memberships of what they belong to (see memberships). A component
// cannot be without its device and never moves; a part can.

var (
	assetDepths = named("asset.depths", `
		UNWIND $ids AS id
		MATCH (a:Entity {id: id})
		WHERE a.account = $account AND a:Asset
		CALL (a) {
			MATCH path = (a)-[:PART_OF*0..33]->(:Asset)
			RETURN max(length(path)) AS depth
		}
		RETURN collect({id: a.id, depth: depth}) AS assets`)

	// What an asset is a part of, what the new whole is within, and how deep the
	// parts of the asset go.
	assetWhole = named("asset.whole", `
		MATCH (n:Entity {id: $id})
		WHERE n.account = $account AND n:Asset
		OPTIONAL MATCH (w:Entity {id: $whole})
		WHERE w.account = $account AND w:Asset
		RETURN [(n)-[:PART_OF]->(now:Asset) | `+thing("now")+`][0] AS now,
			COLLECT { MATCH (w)-[:PART_OF*0..33]->(a:Asset) RETURN a.id } AS above,
			COLLECT { MATCH path = (n)<-[:PART_OF*0..33]-(:Asset) RETURN length(path) ORDER BY length(path) DESC LIMIT 1 } AS below`)

	assetMove = named("asset.movePart", `
		MATCH (n:Entity {id: $id})
		WHERE n.account = $account AND n:Asset
		CALL (n) {
			MATCH (n)-[r:PART_OF]->(w)
			CREATE (n)-[was:WAS_PART_OF]->(w)
			SET was = properties(r), was.until = $at
			DELETE r
		}
		CALL (n) {
			UNWIND $wholes AS whole
			MATCH (w:Entity {id: whole})
			WHERE w.account = $account AND w:Asset
			CREATE (n)-[:PART_OF {since: $at}]->(w)
		}
		RETURN count(n) AS n`)

	twinWholes = named("twin.wholes", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account
		MATCH (n)-[:COMPONENT_OF|PART_OF]->(w:Device|Asset)
		RETURN collect({id: id, thing: `+thing("w")+`}) AS wholes`)

	twinParts = named("twin.parts", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account
		CALL (n) {
			MATCH (n)<-[:COMPONENT_OF|PART_OF]-(p:Device|Asset)
			WITH p ORDER BY p.keyFold LIMIT $limit
			RETURN collect(`+thing("p")+`) AS parts
		}
		RETURN collect({id: id, parts: parts}) AS wholes`)
)

// wholeType is the relationship from a part to its whole.
func wholeType(kind registry.Kind) string {
	if kind == registry.KindDevice {
		return "COMPONENT_OF"
	}
	return "PART_OF"
}

// wholeDifference tells what a twin was and is a component or a part of.
func wholeDifference(before, after registry.Related) registry.Difference {
	end := func(of registry.Related) any {
		if of == nil {
			return nil
		}
		return map[string]any{"kind": string(kindOf(of)), "key": keyOf(of), "id": string(of.NodeID())}
	}
	d := registry.Difference{Path: "partOf", Before: end(before), After: end(after)}
	if _, ok := after.(*registry.Device); ok {
		d.Path = "componentOf"
	}
	return d
}

// newComponent says how a component is made.
func newComponent(device registry.Ref, c registry.NewComponent) newThing {
	c.Reference = device.Key + "/" + c.Name
	n := newTwin(registry.KindDevice, c.NewTwin)
	n.asked, n.whole, n.name = []any{device, c}, &device, c.Name
	if violation := registry.CheckGroupName("name", c.Name); violation != nil {
		n.wrong = append(n.wrong, *violation)
	}
	return n
}

// within returns what speaks against a device as a component of another.
func (n *newThing) within(whole *target, template *registry.Template) []registry.Violation {
	device, ok := whole.thing.(*registry.Device)
	switch {
	case !ok:
		return []registry.Violation{{Path: "device", Rule: "kind", Message: "only devices have components"}}
	case device.ComponentDepth+1 > registry.MaxComponentDepth:
		return []registry.Violation{{Path: "device", Rule: "depth", Message: fmt.Sprintf("a component is within at most %d devices", registry.MaxComponentDepth)}}
	case !whole.template.Component(template.Name):
		return []registry.Violation{noComponent("template", whole.template.Name, template.Name)}
	}
	return nil
}

// noComponent is the violation of a component that its device's template does
// not allow.
func noComponent(path, device, component string) registry.Violation {
	return registry.Violation{Path: path, Rule: "components", Message: fmt.Sprintf("template %s allows no components of template %s", device, component)}
}

// CreateComponent makes a component of a device, which is named by its reference
// or its id.
func (s *Store) CreateComponent(ctx context.Context, scope registry.Scope, device registry.Ref, c registry.NewComponent) (*registry.Device, error) {
	device.Kind = registry.KindDevice
	if device.ID != "" {
		// The component's reference begins with the device's.
		devices, err := s.DevicesByID(ctx, scope, []registry.ID{device.ID})
		if err != nil {
			return nil, err
		}
		if devices[0] == nil {
			return nil, missing(device)
		}
		device = registry.Ref{Kind: registry.KindDevice, Key: devices[0].Reference}
	}
	return created[*registry.Device](s.create(ctx, scope, newComponent(device, c)))
}

// partDepths reads how deep the assets lie that things are to be parts of.
func (s *Store) partDepths(ctx context.Context, tx *transaction, things []newThing, got *prepared) error {
	var ids distinct
	for i := range things {
		if things[i].kind != registry.KindAsset || things[i].whole == nil {
			continue
		}
		if whole, ok := got.target(*things[i].whole); ok {
			ids.add(string(whole.thing.NodeID()))
		}
	}
	if len(ids.list) == 0 {
		return nil
	}
	_, _, err := one(ctx, tx, assetDepths, params{"ids": ids.all()}, func(f fields) struct{} {
		for _, asset := range f.maps("assets") {
			got.depths[asset.id("id")] = asset.integer("depth")
		}
		return struct{}{}
	})
	return err
}

// partOf makes an asset a part of another, or of none, and says what that
// changed: nil if nothing.
func (s *Store) partOf(ctx context.Context, tx *transaction, asset registry.Related, whole *target) (*registry.Difference, error) {
	type answer struct {
		now   registry.Related
		above []registry.ID
		below int
	}
	id, wholes := asset.NodeID(), []string{}
	if whole != nil {
		wholes = append(wholes, string(whole.thing.NodeID()))
	}
	var wholeID any
	if whole != nil {
		wholeID = wholes[0]
	}
	got, ok, err := one(ctx, tx, assetWhole, params{"id": string(id), "whole": wholeID}, func(f fields) answer {
		a := answer{above: f.ids("above")}
		if now, ok := f.optionalMap("now"); ok {
			a.now = thingOf(now)
		}
		if below, ok := f.list("below")[0].(int64); ok {
			a.below = int(below)
		}
		return a
	})
	if err != nil || !ok {
		return nil, err
	}
	var after registry.Related
	if whole != nil {
		after = whole.thing
	}
	if got.now == nil && after == nil || got.now != nil && after != nil && got.now.NodeID() == after.NodeID() {
		return nil, nil
	}
	for _, above := range got.above {
		if above == id {
			return nil, registry.FailedPrecondition("asset %q would be a part of itself", keyOf(asset))
		}
	}
	if len(got.above)+got.below > registry.MaxPartDepth {
		return nil, registry.LimitExceeded("an asset is a part of at most %d others, one within the other", registry.MaxPartDepth)
	}
	d := wholeDifference(got.now, after)
	return &d, wholly(ctx, tx, assetMove, params{"id": string(id), "wholes": wholes, "at": tx.at.UnixMilli()}, 1)
}

// WholesOf returns what each device is a component of, or each asset a part of;
// nil where there is nothing.
func (s *Store) WholesOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]registry.Node, error) {
	if scope.AsOf != nil {
		return s.pastWholes(ctx, scope, ids)
	}
	known := make(map[registry.ID]registry.Node, len(ids))
	_, err := all(ctx, s.reading(scope), twinWholes, params{"ids": texts(ids)}, func(f fields) struct{} {
		for _, item := range f.maps("wholes") {
			known[item.id("id")] = thingOf(item.nested("thing"))
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("wholes: %w", err)
	}
	return slots(ids, known), nil
}

// maxParts bounds the parts that are read of one twin.
const maxParts = 10_000

// PartsOf returns the components of each device, or the parts of each asset, by
// reference.
func (s *Store) PartsOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([][]registry.Node, error) {
	if scope.AsOf != nil {
		return s.pastOthers(ctx, scope, pastParts, ids)
	}
	known := make(map[registry.ID][]registry.Node, len(ids))
	_, err := all(ctx, s.reading(scope), twinParts, params{"ids": texts(ids), "limit": maxParts}, func(f fields) struct{} {
		for _, item := range f.maps("wholes") {
			for _, part := range item.maps("parts") {
				known[item.id("id")] = append(known[item.id("id")], thingOf(part))
			}
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("parts: %w", err)
	}
	return slots(ids, known), nil
}
