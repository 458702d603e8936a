package graph

import (
	"cmp"
	"fmt"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/unit"
)

// fitted is a mapping whose two ends agree.
type fitted struct {
	registry.MeasureMapping
	// valueType is empty where neither template declares one and nothing has
	// been measured yet: any type will do.
	valueType registry.ValueType
	unit      string
	// only is the type that the asset's template declares; empty for any.
	only registry.ValueType
}

// fit checks a mapping against both templates.
func (ends *linkEnds) fit(mapping []registry.MeasureMapping) ([]fitted, error) {
	var out []fitted
	var wrong []registry.Violation
	fromSeen, toSeen := map[string]bool{}, map[string]bool{}
	for i, m := range mapping {
		path := fmt.Sprintf("measures[%d]", i)
		one, violation := ends.fitOne(path, m)
		switch {
		case violation != nil:
			wrong = append(wrong, *violation)
		case fromSeen[m.Device]:
			wrong = append(wrong, registry.Violation{Path: path + ".device", Rule: "duplicate", Message: "measure " + m.Device + " is mapped twice"})
		case toSeen[m.Asset]:
			wrong = append(wrong, registry.Violation{Path: path + ".asset", Rule: "duplicate", Message: "measure " + m.Asset + " would have two sources"})
		}
		fromSeen[m.Device], toSeen[m.Asset] = true, true
		out = append(out, one)
	}
	if len(wrong) > 0 {
		return nil, registry.Invalid(wrong...)
	}
	return out, nil
}

func (ends *linkEnds) fitOne(path string, m registry.MeasureMapping) (fitted, *registry.Violation) {
	from, ok := ends.fromDevice(m.Device)
	if !ok {
		return fitted{}, &registry.Violation{Path: path + ".device", Rule: "undeclared", Message: fmt.Sprintf("template %s of the device declares no measure %q", ends.device.Name, m.Device)}
	}
	to, ok := declaredBy(ends.asset, m.Asset)
	if !ok {
		return fitted{}, &registry.Violation{Path: path + ".asset", Rule: "undeclared", Message: fmt.Sprintf("template %s of the asset declares no measure %q", ends.asset.Name, m.Asset)}
	}
	if wrong := cmp.Or(misfit(&from, &to), ends.oneUnit(&from, &to)); wrong != nil {
		wrong.Path = path
		return fitted{}, wrong
	}
	out := fitted{MeasureMapping: m, valueType: to.ValueType, unit: to.Unit, only: to.ValueType}
	if out.valueType == "" {
		out.valueType = from.ValueType
	}
	if out.unit == "" {
		out.unit = from.Unit
	}
	return out, nil
}

// misfit says why values of one measure cannot be values of the other, nil if
// they can.
func misfit(from, to *registry.MeasureDeclaration) *registry.Violation {
	if from.Computed != "" {
		return &registry.Violation{Rule: "computed", Message: fmt.Sprintf("measure %s of the device is computed: link what it is computed from, and declare it for the asset", from.Name)}
	}
	if to.Computed != "" {
		return &registry.Violation{Rule: "computed", Message: fmt.Sprintf("measure %s of the asset is computed: it has no source", to.Name)}
	}
	if from.ValueType == "" || to.ValueType == "" {
		return nil
	}
	if from.ValueType != to.ValueType {
		return &registry.Violation{Rule: "type", Message: fmt.Sprintf("measure %s is %s, %s takes %s", from.Name, registry.WithArticle(string(from.ValueType)), to.Name, registry.WithArticle(string(to.ValueType)))}
	}
	if problem := from.Fits(to); problem != "" {
		return &registry.Violation{Rule: "type", Message: problem}
	}
	if _, err := unit.Convert(from.Unit, to.Unit); err != nil {
		return &registry.Violation{Rule: "unit", Message: fmt.Sprintf("measure %s is in %s, %s takes %s: %s", from.Name, from.Unit, to.Name, to.Unit, err)}
	}
	return nil
}

// oneUnit says why one of two measures alone cannot have a unit, nil if both
// have one or neither has. Numbers of a device whose template declares nothing
// are taken as those are that somebody sends by hand, in the unit of the asset.
// Links that are restored were made already, and stay as they were.
func (ends *linkEnds) oneUnit(from, to *registry.MeasureDeclaration) *registry.Violation {
	declared := from.Type != "" && to.ValueType != ""
	if ends.restored || !declared || (from.Unit == "") == (to.Unit == "") {
		return nil
	}
	return &registry.Violation{Rule: "unit", Message: fmt.Sprintf("measure %s has %s, %s has %s: declare a unit for both or for neither", from.Name, unitOrNone(from.Unit), to.Name, unitOrNone(to.Unit))}
}

func unitOrNone(code string) string {
	if code == "" {
		return "no unit"
	}
	return "unit " + code
}

// fromDevice says of which type and unit a measure of the device is. A device
// of the open template has what it has measured last, and may have anything.
func (ends *linkEnds) fromDevice(name string) (registry.MeasureDeclaration, bool) {
	m, ok := declaredBy(ends.device, name)
	if !ok || !ends.device.Open {
		return m, ok
	}
	var last time.Time
	for _, s := range ends.series {
		if s.measure == name && !s.lastAt.Before(last) {
			last = s.lastAt
			m.ValueType, m.Unit = s.valueType, s.unit
		}
	}
	return m, true
}

// declaredBy finds a measure of a template; an open template has every measure
// whose name is one, of no type yet.
func declaredBy(t *registry.Template, name string) (registry.MeasureDeclaration, bool) {
	if m, ok := t.Measure(name); ok {
		return m, true
	}
	return registry.MeasureDeclaration{Name: name}, t.Open && t.CheckValue(name, 0.0) == nil
}

// lastAt is when the device last measured something.
func (ends *linkEnds) lastAt(measure string) time.Time {
	var last time.Time
	for _, s := range ends.series {
		if s.measure == measure {
			last = later(last, s.lastAt)
		}
	}
	return last
}

func clashing(held []registry.MeasureMapping, wanted []fitted) (string, bool) {
	for _, h := range held {
		for _, w := range wanted {
			if h.Asset == w.Asset {
				return h.Asset, true
			}
		}
	}
	return "", false
}
