package alarm

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// subject is a twin that is decided on.
type subject struct {
	update   registry.TwinUpdate
	thing    rule.Thing
	template *registry.Template
	rules    []condition
	memory   memory
	raw      string
	// lost says that nothing was kept; newest is when the newest values were
	// measured.
	lost   bool
	newest map[string]time.Time
}

// run decides on every reading in the order of their times, or, without one, on
// how things are now.
func (s *subject) run(now int64) []registry.AlarmStep {
	var out []registry.AlarmStep
	decide := func(at int64, reading bool) {
		s.compute()
		for _, c := range s.rules {
			n := s.memory.Rules[c.Name]
			if n == nil {
				n = &counter{}
				s.memory.Rules[c.Name] = n
			}
			if step := c.step(n, s.update.TwinID, s.thing, at, reading); step != nil {
				out = append(out, *step)
			}
		}
	}
	steps, first := s.steps()
	for i := 0; i < len(steps); {
		at := steps[i].MeasuredAt.UnixMilli()
		for ; i < len(steps) && steps[i].MeasuredAt.UnixMilli() == at; i++ {
			if at > s.memory.Last || first[steps[i].Measure] {
				value := registry.PlainValue(steps[i].Value)
				s.thing.Live[steps[i].Measure], s.memory.Values[steps[i].Measure] = value, value
			}
		}
		if at > s.memory.Last {
			s.memory.Last = at
			decide(at, true)
		}
	}
	if len(s.update.Steps) == 0 {
		decide(now, false)
	}
	for name, n := range s.memory.Rules { // the template has another version now
		if !slices.ContainsFunc(s.rules, func(c condition) bool { return c.Name == name }) {
			if n.Raised {
				out = append(out, *clears(s.update.TwinID, registry.AlarmRule{Name: name}, now))
			}
			delete(s.memory.Rules, name)
		}
	}
	return out
}

// compute works out the computed measures of the twin from its newest values, so
// that rules can ask for them.
func (s *subject) compute() {
	for i := range s.template.Measures {
		name := s.template.Measures[i].Name
		if s.template.Measures[i].Computed == "" {
			continue
		}
		delete(s.thing.Live, name)
		value, ok := rule.Compute(s.template, name, s.thing.Attributes(), func(input string) any { return s.thing.Live[input] })
		if ok {
			s.thing.Live[name] = value
		}
	}
}

// steps are the readings to decide on, in the order of their times, and the
// measures that nothing was known of before. The newest values of the measures
// become what they were before the batch.
func (s *subject) steps() (steps []registry.LiveValue, first map[string]bool) {
	newest := map[string]time.Time{}
	for _, value := range s.update.Steps {
		if value.MeasuredAt.After(newest[value.Measure]) {
			newest[value.Measure] = value.MeasuredAt
		}
	}
	steps = slices.Clone(s.update.Steps)
	if s.lost { // nobody remembers what was decided on: what is late is not decided on now
		steps = slices.DeleteFunc(steps, func(v registry.LiveValue) bool { return s.newest[v.Measure].After(newest[v.Measure]) })
	}
	slices.SortStableFunc(steps, func(a, b registry.LiveValue) int { return a.MeasuredAt.Compare(b.MeasuredAt) })
	first = map[string]bool{}
	for _, value := range steps {
		if known, ok := s.memory.Values[value.Measure]; ok {
			s.thing.Live[value.Measure] = known
		} else {
			first[value.Measure] = true
		}
	}
	for measure := range first {
		delete(s.thing.Live, measure)
	}
	return steps, first
}

// remembered is what is kept until the next reading: nothing of a twin without
// alarms, those that it had being cleared.
func (s *subject) remembered() (registry.AlarmMemory, error) {
	if len(s.template.Alarms) == 0 {
		return registry.AlarmMemory{TwinID: s.update.TwinID, Gone: true}, nil
	}
	text, err := json.Marshal(s.memory)
	if err != nil {
		return registry.AlarmMemory{}, fmt.Errorf("what is known of alarms: %w", err)
	}
	return registry.AlarmMemory{TwinID: s.update.TwinID, Before: s.raw, After: string(text), Due: s.due()}, nil
}

// due is when the twin has to be looked at without a reading, 0 for never.
func (s *subject) due() int64 {
	next := int64(0)
	for _, c := range s.rules {
		if at := c.due(s.memory.Rules[c.Name]); at > 0 && (next == 0 || at < next) {
			next = at
		}
	}
	return next
}
