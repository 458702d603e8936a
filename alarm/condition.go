package alarm

import (
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// memory is what is known of a twin's alarms between two readings.
type memory struct {
	// Last is the time of the newest reading that was looked at, in milliseconds:
	// what is older is late, and says nothing about now.
	Last int64 `json:"last,omitempty"`
	// Values are the values that the rules were decided with last.
	Values map[string]any      `json:"values,omitempty"`
	Rules  map[string]*counter `json:"rules,omitempty"`
}

// counter is what is known of one rule.
type counter struct {
	// Since is when the condition came to hold, 0 while it does not.
	Since int64 `json:"since,omitempty"`
	// Raised says that an alarm is active.
	Raised bool `json:"raised,omitempty"`
	// Times are those of readings that fulfilled the condition, for COUNT.
	Times []int64 `json:"times,omitempty"`
}

// condition is a rule of a template, ready to be matched.
type condition struct {
	registry.AlarmRule
	when, clear *rule.Rule
}

// conditions are the rules of a template that can be matched: they were checked
// when the template was written.
func conditions(t *registry.Template) []condition {
	var out []condition
	for _, declared := range t.Alarms {
		c := condition{AlarmRule: declared}
		var err error
		if c.when, err = rule.Parse(declared.When); err != nil {
			continue
		}
		if declared.Clear != "" {
			if c.clear, err = rule.Parse(declared.Clear); err != nil {
				continue
			}
		}
		out = append(out, c)
	}
	return out
}

// asksConnected says whether one of the conditions asks if the twin is connected.
func asksConnected(all []condition) bool {
	return slices.ContainsFunc(all, func(c condition) bool {
		return c.when.NeedsConnected() || c.clear != nil && c.clear.NeedsConnected()
	})
}

// step holds a condition against a twin at a moment and says what becomes of its
// alarm. Reading says that the moment is that of a reading, rather than of a
// timer.
func (c condition) step(n *counter, twin registry.ID, thing rule.Thing, at int64, reading bool) *registry.AlarmStep {
	holds := c.when.Match(thing)
	becomes := holds && n.Since == 0
	switch {
	case becomes:
		n.Since = at
	case !holds:
		n.Since = 0
	}
	if holds {
		if !c.raises(n, at, becomes, reading) {
			return nil
		}
		n.Raised = true
		return &registry.AlarmStep{TwinID: twin, Rule: c.AlarmRule, Since: time.UnixMilli(n.Since).UTC(), At: time.UnixMilli(at).UTC()}
	}
	if !n.Raised || c.clear != nil && !c.clear.Match(thing) {
		return nil
	}
	n.Raised, n.Times = false, nil
	return clears(twin, c.AlarmRule, at)
}

func clears(twin registry.ID, of registry.AlarmRule, at int64) *registry.AlarmStep {
	moment := time.UnixMilli(at).UTC()
	return &registry.AlarmStep{TwinID: twin, Rule: of, Clear: true, Since: moment, At: moment}
}

// raises says whether a condition that holds raises an alarm now.
func (c condition) raises(n *counter, at int64, becomes, reading bool) bool {
	switch c.Trigger {
	case registry.TriggerEveryTime:
		return becomes || reading
	case registry.TriggerPersists:
		return !n.Raised && at-n.Since >= c.For().Milliseconds()
	case registry.TriggerCount:
		if reading && !slices.Contains(n.Times, at) {
			n.Times = append(n.Times, at)
		}
		n.Times = slices.DeleteFunc(n.Times, func(t int64) bool { return t <= at-c.Within().Milliseconds() })
		if more := len(n.Times) - c.Count; more > 0 {
			n.Times = n.Times[more:]
		}
		return !n.Raised && len(n.Times) >= c.Count
	}
	return becomes
}

// due is when a condition that holds has to be looked at again without a reading,
// 0 for never.
func (c condition) due(n *counter) int64 {
	if c.Trigger != registry.TriggerPersists || n.Since == 0 || n.Raised {
		return 0
	}
	return n.Since + c.For().Milliseconds()
}
