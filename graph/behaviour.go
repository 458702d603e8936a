package graph

import (
	"errors"
	"fmt"
	"strings"

	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// behaviourViolations is what is wrong with the schemas of a template's commands
// and with the rules of its alarms.
func behaviourViolations(n registry.NewTemplate) []registry.Violation {
	var out []registry.Violation
	for i, declared := range n.Commands {
		for name, schema := range map[string]map[string]any{"parameters": declared.Parameters, "response": declared.Response} {
			if schema != nil {
				out = append(out, jsonschema.CheckSchema(fmt.Sprintf("commands[%d].%s", i, name), schema)...)
			}
		}
	}
	for i, alarm := range n.Alarms {
		out = append(out, ruleViolations(fmt.Sprintf("alarms[%d].when", i), alarm.When)...)
		if alarm.Clear != "" {
			out = append(out, ruleViolations(fmt.Sprintf("alarms[%d].clear", i), alarm.Clear)...)
		}
	}
	return out
}

// ruleViolations is what is wrong with the rule of an alarm: it is decided on
// the twin alone, with every reading.
func ruleViolations(path, text string) []registry.Violation {
	if strings.TrimSpace(text) == "" {
		return []registry.Violation{{Path: path, Rule: "required", Message: "is empty: write a condition, such as measures.temperature > 30"}}
	}
	parsed, err := rule.Parse(text)
	if err == nil && !parsed.NeedsNeighbours() {
		return nil
	}
	if err == nil {
		return []registry.Violation{{Path: path, Rule: "unsupported", Message: "the rule of an alarm is about the twin itself, not about what is around it, such as its groups and relations"}}
	}
	refused, ok := errors.AsType[*registry.Error](err)
	if !ok || len(refused.Violations) == 0 {
		return []registry.Violation{{Path: path, Rule: "syntax", Message: err.Error()}}
	}
	out := make([]registry.Violation, len(refused.Violations))
	for i, v := range refused.Violations {
		out[i] = registry.Violation{Path: path, Rule: v.Rule, Message: v.Message}
	}
	return out
}
