package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// The bounds of computed measures.
const (
	maxInputs  = 16 // stored measures that one is computed from
	maxCompute = 16 // computed measures that one goes through
)

// CheckComputed tells what is wrong with the measures of a template that are
// computed: expressions, inputs that are not declared or of another type, and
// measures that are computed from themselves.
func CheckComputed(t *registry.Template) []registry.Violation {
	var wrong []registry.Violation
	for i := range t.Measures {
		m := &t.Measures[i]
		if m.Computed == "" {
			continue
		}
		path := fmt.Sprintf("measures[%d].computed", i)
		number, err := ParseNumber(m.Computed)
		if e, ok := errors.AsType[*registry.Error](err); ok {
			for _, v := range e.Violations {
				wrong = append(wrong, registry.Violation{Path: path, Rule: v.Rule, Message: v.Message})
			}
		}
		if err != nil {
			continue
		}
		before := len(wrong)
		for _, in := range number.inputs {
			if rule, problem := in.problem(t); problem != "" {
				line, column := place(number.text, in.position)
				wrong = append(wrong, registry.Violation{Path: path, Rule: rule, Message: fmt.Sprintf("%d:%d: %s", line, column, problem)})
			}
		}
		if len(wrong) > before {
			continue
		}
		switch inputs, circle := inputsOf(t, m.Name, nil); {
		case circle:
			wrong = append(wrong, registry.Violation{Path: path, Rule: "circle", Message: m.Name + " is computed from itself"})
		case len(inputs) > maxInputs:
			wrong = append(wrong, registry.Violation{Path: path, Rule: "maxItems", Message: fmt.Sprintf("a measure is computed from at most %d others", maxInputs)})
		case len(number.Measures()) == 0:
			wrong = append(wrong, registry.Violation{Path: path, Rule: "required", Message: "names no measure: what does not change is an attribute"})
		}
	}
	return wrong
}

// problem says why an input cannot be had of a template's twins.
func (in input) problem(t *registry.Template) (rule, message string) {
	want, wants := registry.ValueNumber, "a number"
	if in.boolean {
		want, wants = registry.ValueBoolean, "true or false"
	}
	if rule, message = in.undeclared(t); message != "" {
		return rule, message
	}
	if in.attribute != "" {
		name, _, part := strings.Cut(in.attribute, ".")
		object, _ := t.Properties[name].(map[string]any)
		of, _ := object["type"].(string)
		isNumber := of == "number" || of == "integer"
		if of != "" && !part && (in.boolean && of != "boolean" || !in.boolean && !isNumber) {
			return "type", fmt.Sprintf("attribute %s is %s, and %s is expected here", name, registry.WithArticle(of), wants)
		}
		return "", ""
	}
	if of := typeOfMeasure(t, in.measure); of != want {
		return "type", fmt.Sprintf("measure %s is %s, and %s is expected here", in.measure, registry.WithArticle(string(of)), wants)
	}
	return "", ""
}

// inputsOf are the stored measures that a computed one comes from, through
// other computed ones.
func inputsOf(t *registry.Template, measure string, through []string) (inputs []string, circle bool) {
	m := t.Declared(measure)
	if m == nil || m.Computed == "" {
		return []string{measure}, false
	}
	if slices.Contains(through, measure) || len(through) >= maxCompute {
		return nil, true
	}
	number, err := ParseNumber(m.Computed)
	if err != nil {
		return nil, false
	}
	for _, name := range number.Measures() {
		more, circle := inputsOf(t, name, append(slices.Clone(through), measure))
		if circle {
			return nil, true
		}
		for _, one := range more {
			if !slices.Contains(inputs, one) {
				inputs = append(inputs, one)
			}
		}
	}
	return inputs, false
}

// Inputs are the stored measures that a computed measure of a template comes
// from.
func Inputs(t *registry.Template, measure string) []string {
	inputs, _ := inputsOf(t, measure, nil)
	return inputs
}

// Compute is a computed measure of a template's twin, from its attributes and
// from what it has measured, in the units that the template declares. There is
// none if an input has none.
func Compute(t *registry.Template, measure string, attributes registry.Attributes, stored func(name string) any) (float64, bool) {
	return compute(t, measure, attributes, stored, maxCompute)
}

func compute(t *registry.Template, measure string, attributes registry.Attributes, stored func(name string) any, deep int) (float64, bool) {
	m := t.Declared(measure)
	if m == nil || m.Computed == "" || deep == 0 {
		return 0, false
	}
	number, err := ParseNumber(m.Computed)
	if err != nil {
		return 0, false
	}
	return number.Evaluate(func(name string) any {
		if of := t.Declared(name); of == nil || of.Computed == "" {
			return stored(name)
		}
		if value, ok := compute(t, name, attributes, stored, deep-1); ok {
			return value
		}
		return nil
	}, attributes)
}

// HasComputed says whether a template has computed measures.
func HasComputed(t *registry.Template) bool {
	return t != nil && slices.ContainsFunc(t.Measures, func(m registry.MeasureDeclaration) bool { return m.Computed != "" })
}

// ComputeLive are the computed measures of a template's twin as of its newest
// values, which are in the units that the template declares. Each was measured
// when the newest of its inputs was.
func ComputeLive(t *registry.Template, attributes registry.Attributes, live []registry.LiveValue) []registry.LiveValue {
	if !HasComputed(t) {
		return nil
	}
	newest := make(map[string]registry.LiveValue, len(live))
	for _, v := range live {
		newest[v.Measure] = v
	}
	var out []registry.LiveValue
	for i := range t.Measures {
		m := &t.Measures[i]
		if m.Computed == "" {
			continue
		}
		value, ok := Compute(t, m.Name, attributes, func(name string) any { return newest[name].Value })
		if !ok {
			continue
		}
		var at time.Time
		for _, name := range Inputs(t, m.Name) {
			if v := newest[name]; v.MeasuredAt.After(at) {
				at = v.MeasuredAt
			}
		}
		out = append(out, registry.LiveValue{Measure: m.Name, Value: value, MeasuredAt: at, Unit: m.Unit, Suspect: m.Suspect(value), Computed: true})
	}
	return out
}
