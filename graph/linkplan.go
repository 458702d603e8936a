package graph

import (
	"context"
	"crypto/sha256"
	"fmt"
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
	// skipped are those that a mapping which was not given leaves out, and why.
	skipped []registry.Violation
	// over are the links that measures are taken over from, mine among them.
	over  []*takeover
	since time.Time
	// until is when a link ends that only precedes one which holds already; nil for
	// others.
	until *time.Time
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
	if err := checkBeginning(n, now); err != nil {
		return nil, err
	}
	wanted, instead, err := ends.wanted(ctx, r, n, device)
	if err != nil {
		return nil, err
	}
	if len(wanted) == 0 {
		if wanted, p.skipped, err = ends.implicit(n, device, now); err != nil {
			return nil, err
		}
	}
	if p.added, err = ends.fit(wanted); err != nil {
		return nil, err
	}
	p.measures, p.mine = p.added, ends.openOf(device)
	if p.mine != nil {
		wanted := p.added
		if p.added, p.measures, err = ends.merged(p.mine, wanted); err != nil {
			return nil, err
		}
		if len(p.added) == 0 && n.Instead != nil {
			return nil, registry.InvalidField("measures", "duplicate", "device %s measures these for asset %s already, by link %s: unlink device %s instead", ends.deviceReference, ends.assetReference, p.mine.link.ID, n.Instead.Key)
		}
		if len(p.added) == 0 {
			return p, p.precede(wanted, n.Since, now)
		}
	}
	p.over = ends.over(device, p.added, n.Replace, instead)
	if p.mine != nil {
		p.over = append(p.over, &takeover{linkNode: *p.mine})
	}
	if err := p.begin(n.Since, now); err != nil {
		return nil, err
	}
	p.look()
	if p.mine != nil && p.behind {
		return nil, registry.FailedPrecondition("device %s is linked to asset %s already, by link %s: measures are added to it from now on", ends.deviceReference, ends.assetReference, p.mine.link.ID)
	}
	return p, nil
}

// checkBeginning refuses a link that would begin when no reading can be measured
// yet: it would not have those of now.
func checkBeginning(n registry.NewLink, now time.Time) error {
	if n.Since == nil || !beyond(*n.Since, now) {
		return nil
	}
	path := "since"
	if n.Instead != nil {
		path = "at"
	}
	return registry.InvalidField(path, "future", "%s lies more than 5 minutes in the future: a link begins in the past or now", n.Since.UTC().Format(time.RFC3339Nano))
}

// precede plans a link that ends when the one begins that holds already, if an
// earlier beginning is asked for: links never change what they say. Those that
// went before it without a gap count as one with it.
func (p *linkPlan) precede(wanted []fitted, asked *time.Time, now time.Time) error {
	first := p.mine
	for found := true; found; {
		found = false
		for i := range p.ends.links {
			l := &p.ends.links[i]
			if l.link.DeviceID == p.device && l.link.Until != nil && l.link.Until.Equal(first.link.Since) && l.link.Since.Before(first.link.Since) && mapsAll(l.link.Measures, wanted) {
				first, found = l, true
			}
		}
	}
	if asked == nil || !asked.Truncate(time.Millisecond).Before(first.link.Since) {
		return nil
	}
	if first.link.Moving {
		return registry.FailedPrecondition("what device %s has measured for asset %s is still being moved by link %s: an earlier beginning has to wait until that is done", p.ends.deviceReference, p.ends.assetReference, first.link.ID)
	}
	p.measures, p.added, p.until = wanted, wanted, &first.link.Since
	if err := p.begin(asked, now); err != nil {
		return err
	}
	p.look()
	return nil
}

func mapsAll(held []registry.MeasureMapping, wanted []fitted) bool {
	return !slices.ContainsFunc(wanted, func(m fitted) bool { return !slices.Contains(held, m.MeasureMapping) })
}

// look finds out whether the device has measured something since the link begins.
func (p *linkPlan) look() {
	for _, m := range p.measures {
		p.behind = p.behind || !p.ends.lastAt(m.Device).Before(p.since)
	}
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
// Other links of the asset's measures must not hold at that time. Not asked, it
// begins no later than readings can be measured.
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
		if p.until != nil && l.link.DeviceID == p.device && !l.link.Since.Before(*p.until) {
			continue
		}
		taken, clash := clashing(l.link.Measures, p.measures)
		switch {
		case !clash || l.link.Until != nil && beyond(l.link.Since, now):
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
		case !ends.device.OneAsset || other.until != nil && beyond(other.since, now):
		case other.until == nil:
			return ends.oneAsset(other)
		default:
			if err := notBefore(*other.until, "device %s measured for asset %s until %s, and its template %s lets it measure for one asset at a time", ends.deviceReference, other.reference, other.until.Format(time.RFC3339Nano), ends.device.Name); err != nil {
				return err
			}
		}
	}
	if asked == nil && beyond(since, now) {
		return registry.FailedPrecondition("the link of device %s to asset %s cannot begin before %s, after what was measured or is linked until then, and that lies in the future: say since when it holds, or unlink what begins in the future", ends.deviceReference, ends.assetReference, since.Format(time.RFC3339Nano))
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

// beyond says that a moment lies further in the future than readings may. A link
// that ended and had begun only then was never in force, and is in nobody's way.
func beyond(at, now time.Time) bool { return at.After(now.Add(registry.FutureTolerance)) }

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
	if p.until != nil {
		to = min(to, p.until.UnixMilli())
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
	if p.until != nil {
		fmt.Fprintln(h, p.until.UnixMilli())
	}
	for _, m := range p.measures {
		fmt.Fprintf(h, "%q %q %q %s\n", m.Device, m.Asset, m.unit, m.valueType)
	}
	for _, o := range p.over {
		fmt.Fprintf(h, "%s %q\n", o.link.ID, o.taken)
	}
	return digest(h.Sum(nil)[:12])
}
