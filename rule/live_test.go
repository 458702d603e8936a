package rule_test

import (
	"strings"
	"testing"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// TestMeasures matches rules with the newest values of a twin.
func TestMeasures(t *testing.T) {
	t.Parallel()
	yes := true
	thing := rule.Thing{
		Of:        &registry.Device{Reference: "d1", State: registry.StateActive, Attributes: registry.Attributes{"limit": 20.5}},
		Live:      map[string]any{"temperature": 21.5, "mode": "heat", "open": false, "position": map[string]any{"latitude": 48.1}},
		Connected: &yes,
	}
	for text, want := range map[string]bool{
		"measures.temperature > 21":                        true,
		"measures.temperature > attributes.limit":          true,
		"21.5 == measures.temperature":                     true,
		"measures.humidity > 1":                            false,
		"not (measures.humidity > 1)":                      true,
		"measures.humidity == nil":                         true,
		"measures.mode in ['heat', 'cool'] and connected":  true,
		"measures.open":                                    false,
		"measures.open == false":                           true,
		"measures.position.latitude < 49":                  true,
		"measures.mode > 3":                                false,
		"measures.temperature > 30 or state == 'active'":   true,
		"not connected and measures.temperature < 1000000": false,
	} {
		parsed, err := rule.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := parsed.Match(thing); got != want {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
		// What needs no newest value is at least as wide.
		if wide := parsed.Unmeasured(); want && !wide.Match(rule.Thing{Of: thing.Of}) {
			t.Errorf("%s without newest values does not hold", text)
		}
	}
}

// TestUnmeasured leaves newest values out of rules.
func TestUnmeasured(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"measures.t > 1 and state == 'active'":             "true AND n.state = $w0",
		"not (measures.t > 1 or state == 'active')":        "true AND NOT coalesce(n.state = $w0, false)",
		"measures.t > 1 or state == 'active'":              "(true OR n.state = $w0)",
		"none(groups, .depth > measures.t) and connected":  "true AND true",
		"not any(groups, .depth > 2) and not measures.off": "NOT EXISTS { MATCH (n)-[me1:!WAS_RELATED]->(e1:Group) WHERE me1.inherits IS NULL AND e1.depth > $w0 } AND true",
	} {
		parsed, err := rule.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		compiled, err := parsed.Unmeasured().Compile(registry.KindDevice, "w")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := rule.Text(compiled.Conjuncts); got != want {
			t.Errorf("%s becomes\n     %s\nwant %s", text, got, want)
		}
	}
}

// TestMeasuresInSearches refuses newest values where the database is asked.
func TestMeasuresInSearches(t *testing.T) {
	t.Parallel()
	parsed, err := rule.Parse("state == 'active' and measures.temperature > 3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parsed.Compile(registry.KindDevice, "w"); registry.CodeOf(err) != registry.CodeInvalid || !strings.Contains(err.Error(), "1:32") {
		t.Errorf("got %v, want INVALID at 1:32", err)
	}
	live, err := parsed.CompileLive(registry.KindDevice, "w")
	if err != nil || rule.Text(live.Conjuncts) != "n.state = $w0 AND $live[n.id].`temperature` > $w1" {
		t.Errorf("got %v, %v", live, err)
	}
	for _, wrong := range []string{"measures > 3", "any(relations.feeds, .measures.t > 3)", "measures.a-b > 1"} {
		if _, err := rule.Parse(wrong); registry.CodeOf(err) != registry.CodeInvalid {
			t.Errorf("%s: got %v, want INVALID", wrong, err)
		}
	}
}
