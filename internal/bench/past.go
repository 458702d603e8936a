package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
)

const (
	pastDeviceQuery = `query($key: String!, $then: DateTime!) {
	device(reference: $key, asOf: $then) { reference state attributes groups { path } policies { reference } }
}`
	pastPageQuery = `query($after: String, $then: DateTime!) {
	devices(first: 100, after: $after, asOf: $then) { nodes { reference state policies { reference } } }
}`
)

// addPast changes objects until the journal has as many changes as asked for,
// and adds questions about moments of that time.
func (r *runner) addPast(ctx context.Context) error {
	moments, err := r.makeHistory(ctx)
	if err != nil {
		return fmt.Errorf("make history: %w", err)
	}
	device := &question{name: "a device and its policies, as of a moment"}
	for i, d := range r.some() {
		r.asking(device, pastDeviceQuery, map[string]any{"key": d.reference, "then": moments[i%len(moments)]}, map[string]any{})
	}
	page := &question{name: "100 devices and their policies, as of a moment"}
	cursors, err := r.cursors(ctx, min(20, len(r.fleet.devices)/100))
	if err != nil {
		return err
	}
	for i, cursor := range cursors {
		variables := map[string]any{"then": moments[i%len(moments)]}
		if cursor != "" {
			variables["after"] = cursor
		}
		r.asking(page, pastPageQuery, variables, map[string]any{})
	}
	return r.addReads(ctx, func(context.Context) ([]*question, error) { return []*question{device, page}, nil }, 1)
}

// movedEvery is how many chunks of changed devices a group is moved after, and
// back; elsewhereEvery is of how many devices one is related to another group.
const (
	movedEvery     = 50
	elsewhereEvery = 20
)

// makeHistory changes devices in turn, now and then where they are, and moves
// groups that many are in. It returns moments all along.
func (r *runner) makeHistory(ctx context.Context) ([]time.Time, error) {
	var moments []time.Time
	left := r.Changes - r.Groups - r.Devices - r.Policies
	began, made := time.Now(), 0
	for turn := 0; made < left; turn++ {
		edits := make([]registry.TwinEdit, min(chunk, left-made, r.Devices))
		for i := range edits {
			d := r.fleet.devices[(made+i)%len(r.fleet.devices)]
			edits[i] = registry.TwinEdit{Ref: registry.Ref{Kind: registry.KindDevice, Key: d.reference}, Patch: r.edit((made+i)%elsewhereEvery == 0)}
		}
		if _, err := r.Graph.UpdateTwins(ctx, r.Scope, registry.KindDevice, edits, true); err != nil {
			return nil, err
		}
		made += len(edits)
		if turn%movedEvery == 0 {
			if err := r.swing(ctx); err != nil {
				return nil, err
			}
		}
		moments = append(moments, time.Now().UTC().Truncate(time.Millisecond))
		r.Step(r.done, r.steps(), fmt.Sprintf("making history: %d of %d changes", made, left))
	}
	if len(moments) == 0 {
		moments = append(moments, time.Now().UTC().Truncate(time.Millisecond))
	}
	r.noteFilled("changes of devices", made, began)
	return moments, r.Graph.RefreshStatistics(ctx)
}

// edit changes attributes of a device, and its place if it goes elsewhere.
func (r *runner) edit(elsewhere bool) registry.TwinPatch {
	random := r.fleet.random
	patch := registry.TwinPatch{Attributes: registry.Attributes{"firmware": fmt.Sprintf("F%03d", random.IntN(20)), "floor": random.IntN(30)}}
	if elsewhere {
		relations := make([]registry.NewRelation, len(memberships))
		for h, name := range memberships {
			groups := r.fleet.groups[h]
			path := groups[len(groups)/fan+random.IntN(len(groups)-len(groups)/fan)]
			relations[h] = registry.NewRelation{Name: name, To: []registry.Ref{{Kind: registry.KindGroup, Key: path}}}
		}
		patch.Relations = &registry.RelationPatch{Replace: []registry.RelationSet{{Direction: registry.DirectionOut, Kind: registry.KindGroup, Relations: relations}}}
	}
	return patch
}

// swing moves a group that devices are below to another parent and back again, so
// that paths are what they were.
func (r *runner) swing(ctx context.Context) error {
	groups := r.fleet.groups[0]
	home, from, to := groups[0], groups[1], groups[2]
	if err := r.moveGroup(ctx, from, to); err != nil {
		return err
	}
	return r.moveGroup(ctx, to+from[len(home):], home)
}

func (r *runner) moveGroup(ctx context.Context, path, parent string) error {
	_, err := r.Graph.MoveGroup(ctx, r.Scope, registry.Ref{Kind: registry.KindGroup, Key: path}, registry.GroupMove{Parent: &parent})
	return err
}
