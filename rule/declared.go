package rule

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// CheckAlarms tells which measures and attributes the rules of a template's alarms
// name that its twins cannot have: a rule with a slip would never be true. What
// is no rule at all is not told.
func CheckAlarms(t *registry.Template) []registry.Violation {
	var wrong []registry.Violation
	check := func(path, text string) {
		rule, err := Parse(text)
		if err != nil {
			return
		}
		for _, f := range rule.own {
			if kind, problem := f.undeclared(t); problem != "" {
				line, column := place(text, f.position)
				wrong = append(wrong, registry.Violation{Path: path, Rule: kind, Message: fmt.Sprintf("%d:%d: %s", line, column, problem)})
			}
		}
	}
	for i, alarm := range t.Alarms {
		check(fmt.Sprintf("alarms[%d].when", i), alarm.When)
		check(fmt.Sprintf("alarms[%d].clear", i), alarm.Clear)
	}
	return wrong
}

// undeclared says why a template's twins cannot have what a field names, and what
// they can have.
func (f field) undeclared(t *registry.Template) (rule, message string) {
	switch {
	case f.attribute != "":
		message = undeclaredAttribute(t, f.attribute)
	case f.measure != "":
		message = undeclaredMeasure(t, f.measure)
	}
	if message != "" {
		rule = "undeclared"
	}
	return rule, message
}

// undeclaredMeasure says why there is no measure, or no part of one, of a name.
func undeclaredMeasure(t *registry.Template, path string) string {
	name, part, parts := strings.Cut(path, ".")
	m := t.Declared(name)
	switch {
	case m == nil:
		var names []string
		for i := range t.Measures {
			names = append(names, t.Measures[i].Name)
		}
		return fmt.Sprintf("template %s declares no measure %s: there are %s", t.Name, name, listed(names))
	case !parts || typeOfMeasure(t, path) != "":
		return ""
	case m.ValueType == registry.ValueComposite:
		var names []string
		for _, of := range m.Fields {
			names = append(names, of.Name)
		}
		return fmt.Sprintf("measure %s has no field %s: there are %s", name, part, listed(names))
	}
	return fmt.Sprintf("measure %s has no part %s", name, part)
}

// typeOfMeasure is the type of a measure, or of a part of one; empty if there is
// none.
func typeOfMeasure(t *registry.Template, path string) registry.ValueType {
	name, part, parts := strings.Cut(path, ".")
	m := t.Declared(name)
	switch {
	case m == nil:
		return ""
	case !parts:
		return m.ValueType
	case m.ValueType == registry.ValueLocation && slices.Contains([]string{"latitude", "longitude", "altitude"}, part):
		return registry.ValueNumber
	}
	for _, of := range m.Fields {
		if of.Name == part {
			return of.Type
		}
	}
	return ""
}

// undeclaredAttribute says why there is no attribute of a name: objects may have
// parts that their schemas do not tell, unless these say otherwise.
func undeclaredAttribute(t *registry.Template, path string) string {
	names := strings.Split(path, ".")
	if _, declared := t.Properties[names[0]]; !declared {
		return fmt.Sprintf("template %s declares no attribute %s: there are %s", t.Name, names[0], listed(slices.Collect(maps.Keys(t.Properties))))
	}
	properties := t.Properties
	for i, name := range names {
		schema, _ := properties[name].(map[string]any)
		properties, _ = schema["properties"].(map[string]any)
		closed := schema["additionalProperties"] == false && schema["patternProperties"] == nil
		if i+1 == len(names) || !closed {
			return ""
		}
		if _, declared := properties[names[i+1]]; !declared {
			return fmt.Sprintf("attribute %s has no part %s: there are %s", strings.Join(names[:i+1], "."), names[i+1], listed(slices.Collect(maps.Keys(properties))))
		}
	}
	return ""
}

// listed is names in order, or that there are none.
func listed(names []string) string {
	slices.Sort(names)
	return cmp.Or(strings.Join(names, ", "), "none")
}
