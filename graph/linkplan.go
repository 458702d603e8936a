package graph

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// linkPlan is what a new link comes to: worked out by a rehearsal that holds up
// nobody, and by the link itself under its locks.
type linkPlan struct {
	ends          linkEnds
	device, asset registry.ID
	// mine is the open link of the two, which a new one replaces; nil if there is
	// none.
	mine *linkNode
	// measures are all of the new link, added those that mine does not have.
	measures, added []fitted
	// over are the links that measures are taken over from, mine among them.
	over  []*takeover
	since time.Time
	// behind says that the device has measured something since then.
	behind bool
}

// takeover is a link that a new one takes measures over from.
type takeover struct {
	linkNode
	// taken are the measures that it loses, the others it keeps. The open link of
	// the same two loses none: it goes on in the new one.
	taken, kept []registry.MeasureMapping
	// until is when it ends.
	until time.Time
}

// planLink works out what a new link comes to, or says why there can be none.
func planLink(ctx context.Context, r runner, ends linkEnds, device, asset registry.ID, n registry.NewLink, now time.Time) (*linkPlan, error) {
	p := &linkPlan{ends: ends, device: device, asset: asset}
	wanted, instead, err := ends.wanted(ctx, r, n, device)
	if err != nil {
		return nil, err
	}
	if p.added, err = ends.fit(wanted); err != nil {
		return nil, err
	}
	p.measures, p.mine = p.added, ends.openOf(device)
	if p.mine != nil {
		if p.added, p.measures, err = ends.merged(p.mine, p.added); err != nil || len(p.added) == 0 {
			return p, err
		}
	}
	p.over = ends.over(device, p.added, n.Replace, instead)
	if p.mine != nil {
		p.over = append(p.over, &takeover{linkNode: *p.mine})
	}
	if err := p.begin(n.Since, now); err != nil {
		return nil, err
	}
	for _, m := range p.measures {
		p.behind = p.behind || !ends.lastAt(m.Device).Before(p.since)
	}
	if p.mine != nil && p.behind {
		return nil, registry.FailedPrecondition("device %s is linked to asset %s already, by link %s: measures are added to it from now on", ends.deviceReference, ends.assetReference, p.mine.link.ID)
	}
	return p, nil
}

// openOf finds the open link of a device.
func (ends *linkEnds) openOf(device registry.ID) *linkNode {
	for i := range ends.links {
		if ends.links[i].link.DeviceID == device && ends.links[i].link.Until == nil {
			return &ends.links[i]
		}
	}
	return nil
}

// wanted is the mapping that is asked for: that of the device which is replaced
// if there is none, and the replaced device.
func (ends *linkEnds) wanted(ctx context.Context, r runner, n registry.NewLink, device registry.ID) ([]registry.MeasureMapping, registry.ID, error) {
	if n.Instead == nil {
		return n.Measures, "", nil
	}
	instead, err := findEnd(ctx, r, *n.Instead, registry.KindDevice)
	if err != nil {
		return nil, "", err
	}
	if instead == device {
		return nil, "", registry.InvalidField("to", "same", "a device cannot be replaced by itself")
	}
	old := ends.openOf(instead)
	if old == nil {
		return nil, "", registry.FailedPrecondition("device %s is not linked to asset %s", n.Instead.Key, ends.assetReference)
	}
	if len(n.Measures) == 0 {
		return old.link.Measures, instead, nil
	}
	return n.Measures, instead, nil
}

// merged are the measures that a new link adds to an open one of the same two,
// and all of them. A measure of the asset keeps its source within the link.
func (ends *linkEnds) merged(mine *linkNode, wanted []fitted) (added, all []fitted, err error) {
	for i, m := range wanted {
		if slices.Contains(mine.link.Measures, m.MeasureMapping) {
			continue
		}
		for _, held := range mine.link.Measures {
			if held.Asset == m.Asset || held.Device == m.Device {
				return nil, nil, registry.InvalidField(fmt.Sprintf("measures[%d]", i), "duplicate", "link %s maps %s to %s already: unlink that measure first", mine.link.ID, held.Device, held.Asset)
			}
		}
		added = append(added, m)
	}
	for i, m := range mine.link.Measures {
		all = append(all, fitted{MeasureMapping: m, unit: mine.units[i], only: registry.ValueType(mine.types[i])})
	}
	return added, append(all, added...), nil
}

// over are the links of other devices that measures are taken over from: with
// replace those that feed them, and that of a replaced device as a whole.
func (ends *linkEnds) over(device registry.ID, measures []fitted, replace bool, instead registry.ID) []*takeover {
	var out []*takeover
	for _, l := range ends.links {
		if l.link.Until != nil || l.link.DeviceID == device {
			continue
		}
		o := &takeover{linkNode: l}
		for _, m := range l.link.Measures {
			if l.link.DeviceID == instead || replace && slices.ContainsFunc(measures, func(f fitted) bool { return f.Asset == m.Asset }) {
				o.taken = append(o.taken, m)
			} else {
				o.kept = append(o.kept, m)
			}
		}
		if len(o.taken) > 0 {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(x, y *takeover) int { return strings.Compare(string(x.link.ID), string(y.link.ID)) })
	return out
}

// begin decides from when on the link holds: now, or as asked. Asked for now, it
// begins after all that the device has measured; asked for the past, what was
// measured since becomes the asset's. Links that it takes over from end then, or
// right after the last of what their devices have measured for the asset: that
// stays the asset's, and so does what the new device has measured meanwhile.
// Other links of the asset's measures must not hold at that time.
func (p *linkPlan) begin(asked *time.Time, now time.Time) error {
	since := now
	if asked != nil {
		since = asked.UTC().Truncate(time.Millisecond)
	} else {
		for _, m := range p.measures {
			since = later(since, p.ends.lastAt(m.Device).Add(time.Millisecond))
		}
	}
	// A moment before which the link cannot begin: it begins then, unless another
	// was asked for.
	notBefore := func(earliest time.Time, format string, args ...any) error {
		switch {
		case !since.Before(earliest):
		case asked != nil:
			return registry.FailedPrecondition(format, args...)
		default:
			since = earliest
		}
		return nil
	}
	ends := &p.ends
	for _, o := range p.over {
		earliest := o.link.Since.Add(time.Millisecond)
		if len(o.taken) == 0 {
			earliest = later(o.link.Since, o.last).Add(time.Millisecond)
		}
		if err := notBefore(earliest, "device %s measures for asset %s, by link %s: another link takes over after %s", o.reference, ends.assetReference, o.link.ID, earliest.Add(-time.Millisecond).Format(time.RFC3339Nano)); err != nil {
			return err
		}
	}
	for _, l := range ends.links {
		if slices.ContainsFunc(p.over, func(o *takeover) bool { return o.link.ID == l.link.ID }) {
			continue
		}
		taken, clash := clashing(l.link.Measures, p.measures)
		switch {
		case !clash:
		case l.link.Until == nil:
			return registry.FailedPrecondition("measure %s of asset %s has device %s as its source, by link %s: unlink it first, or replace it", taken, ends.assetReference, l.reference, l.link.ID)
		default:
			if err := notBefore(*l.link.Until, "measure %s of asset %s had device %s as its source until %s, by link %s: a link begins after that", taken, ends.assetReference, l.reference, l.link.Until.Format(time.RFC3339Nano), l.link.ID); err != nil {
				return err
			}
		}
	}
	for _, other := range ends.others {
		switch {
		case !ends.device.OneAsset:
		case other.until == nil:
			return ends.oneAsset(other)
		default:
			if err := notBefore(*other.until, "device %s measured for asset %s until %s, and its template %s lets it measure for one asset at a time", ends.deviceReference, other.reference, other.until.Format(time.RFC3339Nano), ends.device.Name); err != nil {
				return err
			}
		}
	}
	for _, o := range p.over {
		o.until = since
		if !o.last.IsZero() {
			o.until = later(since, o.last.Add(time.Millisecond))
		}
	}
	p.since = since
	return nil
}

// oneAsset refuses another asset for a device that may have one only.
func (ends *linkEnds) oneAsset(other otherLink) error {
	return registry.FailedPrecondition("device %s measures for asset %s, and its template %s lets it measure for one asset at a time: unlink it there first", ends.deviceReference, other.reference, ends.device.Name)
}

// otherDevices are those, besides the link's own, whose links end.
func (p *linkPlan) otherDevices() []registry.ID {
	var out []registry.ID
	for _, o := range p.over {
		if o.link.DeviceID != p.device {
			out = append(out, o.link.DeviceID)
		}
	}
	return out
}

// horizon is right after the newest of what the device has measured of the
// link's measures.
func (p *linkPlan) horizon() int64 {
	last := int64(0)
	for _, m := range p.measures {
		if at := p.ends.lastAt(m.Device); !at.IsZero() {
			last = max(last, at.UnixMilli()+1)
		}
	}
	return last
}

// count counts what the device has measured since the link begins, up to a
// moment.
func (p *linkPlan) count(ctx context.Context, r runner, to int64) (registry.Moved, error) {
	if !p.behind {
		return registry.Moved{}, nil
	}
	var wanted []any
	for _, m := range p.measures {
		wanted = append(wanted, []any{m.Device, string(m.only)})
	}
	out, _, err := one(ctx, r, moveCount, params{"device": string(p.device), "wanted": wanted, "from": p.since.UnixMilli(), "to": to}, func(f fields) registry.Moved {
		return registry.Moved{Measurements: f.integer("measurements"), Buckets: f.integer("buckets")}
	})
	return out, err
}

// digest stands for all that a link would do, when it does not begin now.
func (p *linkPlan) digest(moved registry.Moved) digest {
	h := sha256.New()
	fmt.Fprintln(h, p.device, p.asset, moved.Measurements, moved.Buckets)
	for _, m := range p.measures {
		fmt.Fprintf(h, "%q %q %q %s\n", m.Device, m.Asset, m.unit, m.valueType)
	}
	for _, o := range p.over {
		fmt.Fprintf(h, "%s %q\n", o.link.ID, o.taken)
	}
	return digest(h.Sum(nil)[:12])
}

// linking is what tokens are bound to.
func linking(n registry.NewLink) any {
	since := ""
	if n.Since != nil {
		since = moment(n.Since.Truncate(time.Millisecond))
	}
	return []any{"link", n.Device, n.Asset, n.Measures, since, n.Replace}
}

// rehearseLink says what a link would do. Its token stands for what the device
// has measured until now: what it goes on to measure is no reason to refuse.
func (s *Store) rehearseLink(ctx context.Context, scope registry.Scope, n registry.NewLink) (*registry.Linked, error) {
	r := s.reading(scope)
	device, asset, err := findEnds(ctx, r, n.Device, n.Asset)
	if err != nil {
		return nil, err
	}
	ends, err := s.readEnds(ctx, r, scope, linkGlance, device, asset)
	if err != nil {
		return nil, err
	}
	p, err := planLink(ctx, r, ends, device, asset, n, s.now())
	if err != nil {
		return nil, err
	}
	out := &registry.Linked{}
	horizon := p.horizon()
	if out.Moved, err = p.count(ctx, r, horizon); err != nil {
		return nil, err
	}
	for _, o := range p.over {
		if len(o.taken) > 0 {
			o.link.AssetID, o.link.Until = asset, &o.until
			out.Ended = append(out.Ended, &o.link)
		}
	}
	out.Token = token{horizon, binding(scope, linking(n)), p.digest(out.Moved)}.text()
	return out, nil
}

// keepTo refuses a link that would not do what its rehearsal said.
func (p *linkPlan) keepTo(ctx context.Context, tx *transaction, n registry.NewLink) error {
	if tx.scope.Token == "" {
		return nil
	}
	t, ok := parseToken(tx.scope.Token)
	if !ok || t.binding != binding(tx.scope, linking(n)) {
		return registry.InvalidField("token", "token", "is not that of a rehearsal of this change")
	}
	moved, err := p.count(ctx, tx, t.position)
	if err != nil {
		return err
	}
	if p.digest(moved) != t.digest {
		return registry.Conflict("token", "the change would not do any more what its rehearsal said: rehearse it again")
	}
	return nil
}

// everything is a horizon after all that can be measured.
const everything = int64(math.MaxInt64)
