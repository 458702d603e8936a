package rule_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

func sample() rule.Thing {
	hall := rule.Thing{Template: "Hall", Of: &registry.Group{
		Object: registry.Object{ID: "g1", Version: 1}, Name: "Hall 10", Path: "/site/Hall 10", Depth: 2, Attributes: registry.Attributes{"floor": int64(3)},
	}}
	feeder := rule.Thing{Template: "panel", Of: &registry.Asset{Object: registry.Object{ID: "a1", Version: 2}, Reference: "PANEL-7", State: registry.StateRetired}}
	return rule.Thing{
		Template: "Meter",
		Of: &registry.Device{
			Object:    registry.Object{ID: "D1", Version: 4, CreatedAt: time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)},
			Reference: "Meter-1", State: registry.StateActive, Description: new("ground floor"),
			Attributes: registry.Attributes{
				"colour": "Black", "size": int64(7), "ratio": 0.5, "on": true, "tags": []any{"x", "y"}, "mixed": []any{"x", int64(1)},
				"address": map[string]any{"city": "Graz", "zip": int64(8010)}, "empty": map[string]any{},
			},
		},
		Neighbours: rule.Neighbours{
			Groups:  []rule.Object{hall},
			Related: map[string][]rule.Object{"OUT located_at": {hall}, "IN feeds": {feeder, feeder}},
			Edges:   map[rule.Edge][]rule.Object{rule.EdgeComponentOf: {rule.Thing{Of: &registry.Device{Reference: "Rack"}, Neighbours: rule.Neighbours{Groups: []rule.Object{hall}}}}},
		},
	}
}

func TestMatch(t *testing.T) {
	for text, want := range map[string]bool{
		`reference == 'METER-1'`: true, `reference == 'meter-2'`: false, `template == 'METER'`: true, `id == 'd1'`: true,
		`state == 'active' and kind == 'device'`: true, `state in ['RETIRED', 'unprovisioned']`: false, `state != 'Active'`: false,
		`path == nil and name == nil and depth == nil`: true, `depth > 0`: false, `not (depth > 0)`: true,
		`version >= 4 and version < 5`: true, `createdAt == '2026-03-29T01:00:00Z'`: true, `createdAt < '2026-03-29'`: false, `updatedAt > '2026-01-01'`: false,
		`attributes.colour == 'Black'`: true, `attributes.colour == 'black'`: false, `attributes["colour"] startsWith 'Bl'`: true,
		`attributes.size == 7.0 and attributes.size in [1, 7]`: true, `attributes.size > 'a'`: false, `attributes.size == '7'`: false,
		`5 < attributes.size`: true, `5 < attributes.size <= 7`: true, `attributes.on`: true, `attributes.colour`: false, `!attributes.off`: true,
		`attributes.address.city == 'Graz'`: true, `attributes.address == nil`: true, `attributes.empty == nil`: false, `attributes.empty == attributes.empty`: false,
		`attributes.nothing == nil`: true, `attributes.nothing != 'x'`: true, `attributes.nothing < 1`: false, `attributes.a == attributes.b`: true,
		`'x' in attributes.tags`: true, `'z' not in attributes.tags`: true, `'x' in attributes.mixed`: false, `attributes.mixed == nil`: false, `'x' in attributes.colour`: false,
		`attributes.colour matches '^B.*k$'`: true, `reference matches '^METER-[0-9]$'`: true, `description contains 'floor'`: true, `description endsWith 'floor'`: true,
		`'/site/hall 10' in groups`: true, `any(groups, # startsWith '/SITE/')`: true, `all(groups, .attributes.floor == 3)`: true, `count(groups) == 1`: true,
		`any(relations.located_at, .attributes.floor >= 3 and .name == 'Hall 10')`: true, `any(relations.LOCATED_AT, .depth == 1)`: false,
		`count(inverse.feeds) == 2`: true, `count(inverse.feeds, .state == 'retired') > 2`: false, `3 > count(inverse.feeds)`: true, `none(inverse.feeds, .state == 'active')`: true,
		`all(relations.missing, false)`: true, `any(relations.missing, true)`: false, `any(relations.located_at, .depth > 1 and version == 4)`: true,
		`any(componentOf, .reference == 'RACK' and any(.groups, .depth == 2))`: true, `count(components) == 0`: true, `none(parent, true)`: true, `any(relations.componentof, true)`: false,
		`true`: true, `not true or false`: false, `component`: false, `connected == nil`: true, `attributes.size == -7`: false, `attributes.size > -1.5`: true,
	} {
		r, err := rule.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := r.Match(sample()); got != want {
			t.Errorf("%s is %v", text, got)
		}
	}
}

// A rule knows all of a twin's own fields.
func TestMatchDetails(t *testing.T) {
	device := registry.Device{Reference: "hub/eye", ComponentName: new("eye"), Details: registry.Details{
		ExternalReference: new("urn:x:1"), ImageURL: new("https://images.test/1"), Connected: new(false)}}
	asset := registry.Asset{Reference: "room", Details: registry.Details{Connected: new(true)}}
	for text, want := range map[string][2]bool{
		`component`: {true, false}, `connected == false`: {true, false}, `connected`: {false, true}, `externalReference == 'urn:x:1'`: {true, false},
		`externalReference == nil`: {false, true}, `imageUrl startsWith 'https://'`: {true, false},
	} {
		r, err := rule.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{r.Match(rule.Thing{Of: &device}), r.Match(rule.Thing{Of: &asset})}; got != want {
			t.Errorf("%s is %v of the device and the asset, want %v", text, got, want)
		}
	}
}

// What is wrong is said with its place, and what to do about it.
func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		``:                                     "is empty",
		`state ==`:                             "1:8: unexpected",
		"state == 'active' and\n  colour == 1": "2:3: there is no field colour: attributes are written attributes.colour",
		`stat == 'x'`:                          "there is no field stat",
		`State == 'x'`:                         "that field state",
		`state`:                                "1:1: state is a name, not true or false",
		`version == 'x'`:                       "1:9: version is a number",
		`createdAt > 'yesterday'`:              "is a time",
		`attributes.a + 1 > 2`:                 "there is no arithmetic",
		`attributes.a ? true : false`:          "there is no if",
		`not state == 'active'`:                "write not (a == b)",
		`len(reference) > 3`:                   "a field or a constant",
		`filter(groups, true)`:                 "there is no function filter",
		`foo(1)`:                               "no such function",
		`count(groups)`:                        "is a number",
		`count(groups) > 'a'`:                  "whole number",
		`groups == 'a'`:                        "are objects",
		`any(groups)`:                          "at least 2 arguments",
		`any(state, true)`:                     "a collection is expected",
		`any(component_of, true)`:              "1:5: a collection is expected here: groups, parent, children, componentOf,",
		`any(parent.parent, true)`:             "a collection is expected",
		`parent == 'a'`:                        "ask any(parent, ...)",
		`parent.path == 'a'`:                   "ask any(parent, ...)",
		`any(components, # == 'a')`:            "name a field of it",
		`any(relations.Über, true)`:            "a relation's name is",
		`any(relations.located_at, # == 'a')`:  "name a field of it",
		`any(groups, #index == 1)`:             "there is no #index",
		`attributes.a in 'x'`:                  "a list in brackets",
		`attributes.a in [nil]`:                "compare with nil by ==",
		`attributes.a < nil`:                   "by == and != only",
		`attributes.a < true`:                  "greater or less",
		`attributes.a matches '('`:             "1:22: the regular expression is wrong",
		`attributes.a matches attributes.b`:    "a regular expression in quotes",
		`any(relations.r, .name matches 'x')`:  "1:24: matches cannot look at elements inside any",
		`version contains 'a'`:                 "is for texts",
		`'a' == 'a'`:                           "a field is expected",
		`attributes.state == 'x'`:              "is a field of its own",
		`attributes.account == 'x'`:            "cannot be the name",
		`reference == attributes.a`:            "cannot be compared",
		`attributes.a == 1; true`:              "a condition is expected",
		`let x = 1; x == 1`:                    "a condition is expected",
		`attributes == 1`:                      "name an attribute",
		`any(groups, any(.relations.r, any(.relations.r, any(.relations.r, any(.relations.r, true)))))`: "at most 4 deep",
		`attributes.a in [` + strings.Repeat("1,", 40) + `1]`:                                           "at most 32 items",
		`true` + strings.Repeat(" and true", 150):                                                       "more than 200 parts",
		`true` + strings.Repeat(" ", 4000):                                                              "at most 4000 characters",
		`attributes.a matches '` + strings.Repeat("a", 201) + `'`:                                       "at most 200 characters",
		strings.Repeat("(", 3000):                                                                       "unexpected",
	} {
		_, err := rule.Parse(text)
		e, ok := errors.AsType[*registry.Error](err)
		if !ok || e.Code != registry.CodeInvalid || len(e.Violations) != 1 || e.Violations[0].Path != "where" || !strings.Contains(e.Message, want) {
			t.Errorf("%.80s: %v, want %q", text, err, want)
		}
	}
}

// Negations go down to the atoms; what can serve an index stays raw.
func TestCompile(t *testing.T) {
	for text, want := range map[string]string{
		`attributes.colour == 'Black'`:                           "n.`colour` = $w0",
		`not (attributes.colour == 'x' or state == 'active')`:    "NOT coalesce(n.`colour` = $w0, false) AND NOT coalesce(n.state = $w1, false)",
		`attributes.a != nil and path == nil`:                    "n.`a` IS NOT NULL AND true",
		`kind == 'device' and name == 'x'`:                       "'DEVICE' = $w0 AND false",
		`attributes.a contains 'x'`:                              "(NOT 'a' IN coalesce(n.encoded, []) AND n.`a` CONTAINS $w0)",
		`attributes.a == attributes.b`:                           "((NOT 'a' IN coalesce(n.encoded, []) AND NOT 'b' IN coalesce(n.encoded, []) AND n.`a` = n.`b`) OR (n.`a` IS NULL AND n.`b` IS NULL))",
		`all(relations.located_at, .depth > 1)`:                  "NOT EXISTS { MATCH (n)-[:LOCATED_AT]->(e1:Group|Device|Asset) WHERE true AND NOT coalesce(e1.depth > $w0, false) }",
		`any(componentOf, .name == 'x' or .version == 1)`:        "EXISTS { MATCH (n)-[:COMPONENT_OF]->(e1:Device) WHERE true AND (false OR e1.version = $w1) }",
		`any(parent, # == '/a')`:                                 "EXISTS { MATCH (n)-[:CHILD_OF]->(e1:Group) WHERE true AND false AND e1.keyFold = $w0 }",
		`any(inverse.parent, any(.children, .depth == 1))`:       "EXISTS { MATCH (n)<-[:PARENT]-(e1:Group|Device|Asset) WHERE true AND EXISTS { MATCH (e1)<-[:CHILD_OF]-(e2:Group) WHERE true AND e2.depth = $w0 } }",
		`any(relations.part_of, true)`:                           "EXISTS { MATCH (n)-[:part_of]->(e1:Group|Device|Asset) WHERE true }",
		`count(inverse.feeds) > 1`:                               "COUNT { MATCH (n)<-[:FEEDS]-(e1:Group|Device|Asset) WHERE true RETURN DISTINCT e1 } > $w0",
		`attributes.a == 'x' and attributes.b == 'x'`:            "n.`a` = $w0 AND n.`b` = $w0",
		`attributes.a matches '^ab.' and not (name matches 'x')`: "n.id IN $wm0 AND NOT coalesce(n.id IN $wm1, false)",
	} {
		r, err := rule.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		p, err := r.Compile(registry.KindDevice, "w")
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := rule.Text(p.Conjuncts); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func TestStarts(t *testing.T) {
	for text, want := range map[string][]rule.StartKind{
		`reference == 'a'`:                         {rule.StartEqual},
		`attributes.a in [1] and attributes.b > 2`: {rule.StartEqual, rule.StartRange},
		`attributes.a != 1 and not (version == 1)`: {rule.StartNone, rule.StartNone},
		`attributes.a == 1 or attributes.b == 2`:   {rule.StartNone},
		`'/x' in groups`:                           {rule.StartRelation},
		`any(relations.r, .path in ['/x', '/y'])`:  {rule.StartRelation},
		`any(inverse.r, .reference == 'x')`:        {rule.StartRelation},
		`any(relations.r, .attributes.a == 'x')`:   {rule.StartNone},
		`all(relations.r, .path == '/x')`:          {rule.StartNone},
		`any(components, .reference == 'x')`:       {rule.StartRelation},
		`any(components, .path == '/x')`:           {rule.StartNone},
		`reference matches 'x'`:                    {rule.StartIDs},
	} {
		r, err := rule.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		p, err := r.Compile(registry.KindDevice, "w")
		if err != nil {
			t.Fatal(err)
		}
		var got []rule.StartKind
		for _, c := range p.Conjuncts {
			got = append(got, c.Start.Kind)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s starts %v, want %v", text, got, want)
		}
	}
}

// A regular expression goes to the database as a prefix at most, and is never
// held against the JSON text that an attribute is kept as.
func TestMatchesStaysHere(t *testing.T) {
	r, err := rule.Parse(`reference matches '^Ab[0-9]' and not any(relations.r, attributes.a matches 'x')`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Compile(registry.KindDevice, "w")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rule.Text(p.Candidates), "n.keyFold STARTS WITH $w0 AND NOT EXISTS { MATCH (n)-[:R]->(e1:Group|Device|Asset) WHERE true AND false }"; got != want || p.Params["w0"] != "ab" {
		t.Errorf("candidates are %s, want %s, with %v", got, want, p.Params)
	}
	if len(p.Matchers) != 2 || !p.Matchers[0].Positive || p.Matchers[1].Positive || !p.Matchers[0].Match("ab1") || p.Matchers[1].Value != "CASE WHEN NOT 'a' IN coalesce(n.encoded, []) THEN n.`a` END" {
		t.Errorf("matchers are %+v", p.Matchers)
	}
}

// Whatever the text, parsing ends with a rule that can be run, or with INVALID.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`state == 'active' and any(relations.located_at, .attributes.floor >= 3)`, `count(groups, # startsWith '/a') > 1 or not (attributes.a.b in [1, 'x', true])`,
		`attributes?.a ?? 1`, `[1..3] | map(# * 2)`, `{"a": 1}`, `if a {1} else {2}`, `'\u00e9' in attributes["x"]`, "let a = 1;\n a", `1 < attributes.a < 2`, `#`, `.a`, `(((`, `a[1:2]`, `b"x"`, `0x1G`, `1e999`,
	} {
		f.Add(seed)
	}
	o := sample()
	f.Fuzz(func(t *testing.T, text string) {
		r, err := rule.Parse(text)
		if err != nil {
			if registry.CodeOf(err) != registry.CodeInvalid {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		r.Match(o)
		for _, kind := range append(registry.Kinds, "") {
			if _, err := r.Compile(kind, "w"); err != nil && registry.CodeOf(err) != registry.CodeInvalid {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
