package graph

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// implicit is the mapping of a link that none is given for: of the measures that
// both ends have under one name, those whose types and units agree and which have
// no other source. The others are told, each with the reason; where nothing is
// left, they are the refusal.
func (ends *linkEnds) implicit(n registry.NewLink, device registry.ID, now time.Time) (mapping []registry.MeasureMapping, skipped []registry.Violation, err error) {
	taken := false
	for _, name := range ends.common() {
		from, _ := ends.fromDevice(name)
		to, _ := declaredBy(ends.asset, name)
		m := registry.MeasureMapping{Device: name, Asset: name}
		wrong := cmp.Or(misfit(&from, &to), ends.oneUnit(&from, &to))
		if wrong == nil {
			wrong = ends.taken(m, n, device, now)
			taken = taken || wrong != nil
		}
		if wrong != nil {
			skipped = append(skipped, registry.Violation{Path: name, Rule: wrong.Rule, Message: wrong.Message})
			continue
		}
		mapping = append(mapping, m)
	}
	switch {
	case len(mapping) > 0:
		return mapping, skipped, nil
	case len(skipped) == 0:
		return nil, nil, registry.InvalidField("measures", "required", "no measure of device %s and asset %s agrees in name and type: say which is which", ends.deviceReference, ends.assetReference)
	}
	refusal := registry.Invalid(skipped...)
	if refusal.Field = "measures"; taken {
		refusal.Code = registry.CodeFailedPrecondition
	}
	return nil, nil, refusal
}

// common are the names that measures of both ends have.
func (ends *linkEnds) common() []string {
	var names []string
	for _, m := range ends.device.Measures {
		names = append(names, m.Name)
	}
	if ends.device.Open {
		for _, m := range ends.asset.Measures {
			names = append(names, m.Name)
		}
		for _, s := range ends.series {
			names = append(names, s.measure)
		}
	}
	var out []string
	for _, name := range names {
		_, from := ends.fromDevice(name)
		_, to := declaredBy(ends.asset, name)
		if from && to && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// taken says which link a mapping is in the way of, nil if there is none.
func (ends *linkEnds) taken(m registry.MeasureMapping, n registry.NewLink, device registry.ID, now time.Time) *registry.Violation {
	for i := range ends.links {
		l := &ends.links[i].link
		open, own := l.Until == nil, l.DeviceID == device
		for _, held := range l.Measures {
			switch {
			case open && own && held != m && (held.Asset == m.Asset || held.Device == m.Device):
				return &registry.Violation{Rule: "taken", Message: fmt.Sprintf("link %s maps %s to %s already", l.ID, held.Device, held.Asset)}
			case own || held.Asset != m.Asset:
			case open && !n.Replace:
				return &registry.Violation{Rule: "taken", Message: fmt.Sprintf("measure %s of asset %s has device %s as its source, by link %s: unlink it first, or replace it", m.Asset, ends.assetReference, ends.links[i].reference, l.ID)}
			case !open && n.Since != nil && n.Since.Before(*l.Until) && !beyond(l.Since, now):
				return &registry.Violation{Rule: "taken", Message: fmt.Sprintf("measure %s of asset %s had device %s as its source until %s, by link %s", m.Asset, ends.assetReference, ends.links[i].reference, moment(*l.Until), l.ID)}
			}
		}
	}
	return nil
}
