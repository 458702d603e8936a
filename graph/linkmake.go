package graph

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// LinkDevice is MakeLink for those who want to know the link alone.
func (s *Store) LinkDevice(ctx context.Context, scope registry.Scope, n registry.NewLink) (*registry.Link, error) {
	linked, err := s.MakeLink(ctx, scope, n)
	if err != nil {
		return nil, err
	}
	return linked.Link, nil
}

// MakeLink says that an asset has measures of a device from now on, or from
// Since: what the device has measured since then becomes the asset's, the newest
// day at once, the rest soon. Without a mapping, the measures whose names and
// types agree and which have no other source are linked. Two that are linked already get one link of all the
// measures; asked for an earlier beginning, another link precedes the one that
// holds. INVALID if the measures do not fit, FAILED_PRECONDITION if a measure
// of the asset has another source at that time, or the device another asset and
// may have one only, CONFLICT if it would not do what its rehearsal said.
func (s *Store) MakeLink(ctx context.Context, scope registry.Scope, n registry.NewLink) (*registry.Linked, error) {
	var out *registry.Linked
	var err error
	moving := false
	if n.Rehearse {
		out, err = s.rehearseLink(ctx, scope, n)
	} else {
		err = change(ctx, s, scope, "link", func(ctx context.Context, tx *transaction) error {
			out, moving = nil, false
			p, err := s.lockLink(ctx, tx, scope, n)
			if err != nil {
				return err
			}
			out = &registry.Linked{Skipped: p.skipped}
			moving, err = s.makeLink(ctx, tx, p, out)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("link device: %w", err)
	}
	if moving && !s.moveLater {
		s.moveSoon(ctx, scope, out.Link.ID, out.Link.DeviceID)
	}
	return out, nil
}

// lockLink works out what a new link comes to while nothing that decides about
// it can change: neither the asset's links nor what the devices have measured.
func (s *Store) lockLink(ctx context.Context, tx *transaction, scope registry.Scope, n registry.NewLink) (*linkPlan, error) {
	var held []registry.ID
	for {
		device, asset, ends, err := s.lockEnds(ctx, tx, scope, n.Device, n.Asset)
		if err != nil {
			return nil, err
		}
		p, err := planLink(ctx, tx, ends, device, asset, n, tx.at)
		if err != nil {
			return nil, staleLink(tx.scope, n, err)
		}
		others := slices.DeleteFunc(p.otherDevices(), func(id registry.ID) bool { return slices.Contains(held, id) })
		if len(others) == 0 {
			return p, p.keepTo(ctx, tx, n)
		}
		// What these have measured was read before they were held.
		if err := s.raiseTopology(ctx, tx, others...); err != nil {
			return nil, err
		}
		held = append(held, others...)
	}
}

// makeLink does what was worked out; moving says that there is more to move.
func (s *Store) makeLink(ctx context.Context, tx *transaction, p *linkPlan, out *registry.Linked) (moving bool, err error) {
	if len(p.added) == 0 {
		out.Link = &p.mine.link
		out.Link.AssetID = p.asset
		return false, nil
	}
	if out.Moved, err = p.count(ctx, tx, everything); err != nil {
		return false, err
	}
	if out.Ended, err = p.takeOver(ctx, tx); err != nil {
		return false, err
	}
	var move *linkMove
	if p.behind {
		move = p.moving(s, tx)
	}
	if out.Link, err = p.ends.create(ctx, tx, p.device, p.asset, p.measures, p.since, move); err != nil {
		return false, err
	}
	out.Link.DeviceReference = p.ends.deviceReference
	if p.until != nil {
		if err := endLink(ctx, tx, p.asset, out.Link, *p.until); err != nil {
			return false, err
		}
	}
	told := *out.Link
	if p.mine != nil {
		told.Measures = mappings(p.added)
	}
	tx.recordLink("linked", &told, p.ends)
	if move == nil {
		return false, nil
	}
	move.link = string(out.Link.ID)
	out.Link.Moving, err = move.step(ctx)
	return out.Link.Moving, err
}

// takeOver ends links, and goes on with what they keep. A link without taken
// measures goes on in the new one: that is no end to tell.
func (p *linkPlan) takeOver(ctx context.Context, tx *transaction) ([]*registry.Link, error) {
	var ended []*registry.Link
	for _, o := range p.over {
		if len(o.taken) == 0 {
			if err := endLink(ctx, tx, p.asset, &o.link, o.until); err != nil {
				return nil, err
			}
			continue
		}
		if _, err := p.ends.narrow(ctx, tx, p.asset, o); err != nil {
			return nil, err
		}
		ended = append(ended, &o.link)
	}
	return ended, nil
}

// narrow ends a link, records what it loses, and goes on with what it keeps.
func (ends *linkEnds) narrow(ctx context.Context, tx *transaction, asset registry.ID, o *takeover) (remaining *registry.Link, err error) {
	if err := endLink(ctx, tx, asset, &o.link, o.until); err != nil {
		return nil, err
	}
	told := o.link
	told.Measures = o.taken
	tx.recordLinkOf("unlinked", &told, o.reference, o.deviceVersion, *ends)
	if len(o.kept) == 0 {
		return nil, nil
	}
	var kept []fitted
	for i, m := range o.link.Measures {
		if slices.Contains(o.kept, m) {
			kept = append(kept, fitted{MeasureMapping: m, unit: o.units[i], only: registry.ValueType(o.types[i])})
		}
	}
	if remaining, err = ends.create(ctx, tx, o.link.DeviceID, asset, kept, o.until, nil); err == nil {
		remaining.DeviceReference = o.reference
	}
	return remaining, err
}

func endLink(ctx context.Context, tx *transaction, asset registry.ID, link *registry.Link, at time.Time) error {
	link.AssetID, link.Until = asset, &at
	_, ended, err := one(ctx, tx, linkEndNow, params{
		"device": string(link.DeviceID), "asset": string(asset), "id": string(link.ID), "until": at.UnixMilli(),
	}, counted)
	if err == nil && !ended {
		err = registry.NotFound("link", string(link.ID))
	}
	return err
}

// create makes the relationship, and the asset's series whose types are known.
func (ends *linkEnds) create(ctx context.Context, tx *transaction, device, asset registry.ID, measures []fitted, since time.Time, move *linkMove) (*registry.Link, error) {
	link := &registry.Link{ID: newID(), DeviceID: device, AssetID: asset, AssetReference: ends.assetReference, Since: since, Measures: mappings(measures)}
	p := params{"device": string(device), "asset": string(asset), "id": string(link.ID), "since": since.UnixMilli(), "movingFrom": nil}
	if move != nil {
		p["movingFrom"] = move.frontier
	}
	var from, to, units, types []string
	series := []any{}
	for _, m := range measures {
		from, to, units, types = append(from, m.Device), append(to, m.Asset), append(units, m.unit), append(types, string(m.only))
		if m.valueType != "" {
			series = append(series, map[string]any{
				"id": string(newID()), "account": string(tx.scope.Account), "key": seriesKey(asset, m.Asset, m.valueType),
				"measure": m.Asset, "type": string(m.valueType), "unit": unitOrNil(m.unit),
			})
		}
	}
	p["deviceMeasures"], p["assetMeasures"], p["units"], p["types"], p["series"] = from, to, units, types, series
	return link, nothing(ctx, tx, linkCreate, p)
}

func mappings(measures []fitted) []registry.MeasureMapping {
	out := make([]registry.MeasureMapping, len(measures))
	for i, m := range measures {
		out[i] = m.MeasureMapping
	}
	return out
}

// UnlinkDevice is EndLink for a whole link.
func (s *Store) UnlinkDevice(ctx context.Context, scope registry.Scope, deviceRef, assetRef registry.Ref) (*registry.Link, error) {
	ended, err := s.EndLink(ctx, scope, registry.EndLink{Device: deviceRef, Asset: assetRef})
	if err != nil {
		return nil, err
	}
	return ended.Link, nil
}

// EndLink ends the link between a device and an asset, or some measures of it,
// after all that the device has measured. What was measured stays with the
// asset. FAILED_PRECONDITION if the two are not linked, INVALID if a measure is
// not mapped.
func (s *Store) EndLink(ctx context.Context, scope registry.Scope, n registry.EndLink) (*registry.Unlinked, error) {
	var out *registry.Unlinked
	err := change(ctx, s, scope, "unlink", func(ctx context.Context, tx *transaction) error {
		device, asset, ends, err := s.lockEnds(ctx, tx, scope, n.Device, n.Asset)
		if err != nil {
			return err
		}
		open := ends.openOf(device)
		if open == nil {
			return registry.FailedPrecondition("device %s is not linked to asset %s", ends.deviceReference, ends.assetReference)
		}
		o := &takeover{linkNode: *open}
		for _, m := range open.link.Measures {
			if n.Measures == nil || slices.Contains(n.Measures, m.Asset) {
				o.taken = append(o.taken, m)
			} else {
				o.kept = append(o.kept, m)
			}
		}
		for i, name := range n.Measures {
			if !slices.ContainsFunc(o.taken, func(m registry.MeasureMapping) bool { return m.Asset == name }) {
				return registry.InvalidField(fmt.Sprintf("measures[%d]", i), "unmapped", "link %s maps nothing to measure %s", open.link.ID, name)
			}
		}
		if len(o.taken) == 0 {
			return registry.InvalidField("measures", "required", "name at least one measure of the asset, or leave measures out to end the whole link")
		}
		o.until = later(tx.at, later(open.link.Since, open.last).Add(time.Millisecond))
		out = &registry.Unlinked{}
		out.Remaining, err = ends.narrow(ctx, tx, asset, o)
		out.Link = &o.link
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("unlink device: %w", err)
	}
	return out, nil
}
