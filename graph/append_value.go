package graph

import (
	"math"
	"strings"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/unit"
)

// suspicion is a registry.SuspectReason in one byte: every value of a batch has
// one.
type suspicion byte

const trusted suspicion = 0

var suspicions = [...]registry.SuspectReason{"", registry.SuspectBelowMinimum, registry.SuspectAboveMaximum, registry.SuspectRate}

func suspicionOf(reason registry.SuspectReason) suspicion {
	for i := range suspicions {
		if suspicions[i] == reason {
			return suspicion(i)
		}
	}
	return trusted
}

func (s suspicion) reason() registry.SuspectReason { return suspicions[s] }

// property is the reason as it is stored, nil for none.
func (s suspicion) property() any {
	if s == trusted {
		return nil
	}
	return string(s.reason())
}

// newMeasure begins to know a measure of the device.
func (d *knownDevice) newMeasure(name string) *knownMeasure {
	m := &knownMeasure{device: d, name: name, lastAt: math.MinInt64}
	m.declare()
	return m
}

// declare remembers what the device's template says of the measure.
func (m *knownMeasure) declare() {
	if m.device.template == nil {
		return
	}
	m.declared = m.device.template.Declared(m.name)
	m.limited = m.declared != nil && m.declared.Limited()
}

// unit is the unit that values of the measure are stored in from now on.
func (m *knownMeasure) unit() string {
	if m.declared == nil {
		return ""
	}
	return m.declared.Unit
}

// typeOf is the type of the series that an accepted value belongs to.
func (m *knownMeasure) typeOf(value any) registry.ValueType {
	if m.declared != nil {
		return m.declared.ValueType
	}
	t, _ := registry.TypeOf(value)
	return t
}

// accept is a value as it is stored, with the unit that it was sent in if that
// is another one.
func (m *knownMeasure) accept(value any) (accepted any, sent string, refusal *registry.Refusal) {
	if m.declared != nil {
		return m.declared.Accept(value)
	}
	return m.device.template.Accept(m.name, value)
}

// judge says what is to be said of a value by itself.
func (m *knownMeasure) judge(value any) suspicion {
	if number, ok := value.(float64); ok {
		return suspicionOf(m.declared.Suspect(number))
	}
	return trusted
}

// judgeChange says what is to be said of a value that follows another.
func (m *knownMeasure) judgeChange(before, value any, after int64) suspicion {
	from, ok1 := before.(float64)
	to, ok2 := value.(float64)
	if !ok1 || !ok2 {
		return trusted
	}
	return suspicionOf(m.declared.SuspectChange(from, to, after))
}

// converted is a number in another unit. What cannot be converted stays as it
// is: the units of one series are those of templates, which are checked.
func converted(value any, from, to string) any {
	number, ok := value.(float64)
	if !ok || from == to {
		return value
	}
	c, err := unit.Convert(from, to)
	if err != nil {
		return value
	}
	return c.Apply(number)
}

// nearly says whether two numbers are the same but for rounding.
func nearly(x, y any) bool {
	a, ok1 := x.(float64)
	b, ok2 := y.(float64)
	return ok1 && ok2 && math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b))
}

// detailed is a measurement's node that has more than a time and a value.
func detailed(at int64, value any, v *incoming) map[string]any {
	node := map[string]any{"at": at}
	if composite, ok := value.(registry.Composite); ok {
		for name, field := range composite {
			node[name] = field
		}
	} else {
		node["value"] = stored(value)
	}
	if v.sent != nil {
		node["unit"] = strings.Clone(*v.sent)
	}
	if v.suspect != trusted {
		node["suspect"] = string(v.suspect.reason())
	}
	return node
}
