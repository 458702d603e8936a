package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// someEntities is a small building without a fault.
const someEntities = `{"id": "b", "types": ["Building"], "kind": "location"}
{"id": "f1", "types": ["Floor"], "kind": "location"}
{"id": "r1", "types": ["Room"], "kind": "location"}
{"id": "z1", "types": ["HVAC_Zone"], "kind": "location"}
{"id": "ahu", "types": ["AHU"], "kind": "equipment"}
{"id": "vav", "types": ["VAV"], "kind": "equipment"}
{"id": "t1", "types": ["Zone_Air_Temperature_Sensor"], "kind": "point"}
{"id": "s1", "types": ["Fault_Status"], "kind": "point"}
`

const someRelations = `{"from": "f1", "type": "isPartOf", "to": "b"}
{"from": "f1", "type": "hasPart", "to": "r1"}
{"from": "z1", "type": "hasPart", "to": "r1"}
{"from": "ahu", "type": "feeds", "to": "vav"}
{"from": "z1", "type": "isFedBy", "to": "vav"}
{"from": "vav", "type": "hasPoint", "to": "t1"}
{"from": "s1", "type": "hasLocation", "to": "f1"}
`

func planOf(t *testing.T, entities, relations string) *plan {
	t.Helper()
	e, faults, err := readLines[entity](entitiesFile, strings.NewReader(entities))
	if err != nil {
		t.Fatal(err)
	}
	r, more, err := readLines[relation](relationsFile, strings.NewReader(relations))
	if err != nil {
		t.Fatal(err)
	}
	return makePlan(e, r, append(faults, more...))
}

func keys(all []*thing) []string {
	var keys []string
	for _, t := range all {
		keys = append(keys, t.key)
	}
	return keys
}

func facts(p *plan) []string {
	var all []string
	for _, f := range p.facts {
		all = append(all, f.String())
	}
	return all
}

func TestPlanOfGoodData(t *testing.T) {
	p := planOf(t, someEntities, someRelations)
	if len(p.faults) > 0 {
		t.Errorf("faults in good data: %v", p.faults)
	}
	for what, test := range map[string]struct{ got, want []string }{
		"groups":  {keys(p.groups), []string{"/b", "/hvac", "/b/f1", "/hvac/z1", "/b/f1/r1"}},
		"assets":  {keys(p.assets), []string{"ahu", "vav"}},
		"devices": {keys(p.devices), []string{"t1", "s1"}},
		"facts":   {facts(p), []string{"r1 belongs_to z1", "ahu feeds vav", "vav feeds z1", "t1 point_of vav", "s1 located_at f1"}},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		entities, relations string
		faults              []string // without what was done
		keys, facts         []string // what is there in the end, beyond the good data
	}{
		"not json": {entities: "{", relations: `{"from": "f1", "type": "feeds"}` + "\n",
			faults: []string{"entities.ndjson:9: unreadable: unexpected end of JSON input", "relations.ndjson:8: unreadable: it has no from, no type or no to"}},
		"untyped, and used": {
			entities:  `{"id": "f8", "types": [], "kind": "untyped"}`,
			relations: `{"from": "vav", "type": "hasLocation", "to": "f8"}` + "\n" + `{"from": "x", "type": "feeds", "to": "vav"}`,
			faults: []string{`entities.ndjson:9: untyped: "f8" has no class, so that nobody knows what it is`,
				`relations.ndjson:8: dangling: vav hasLocation f8: "f8" is used but never typed`,
				`relations.ndjson:9: dangling: x feeds vav: "x" is nowhere declared, or left out`}},
		"declared twice": {entities: `{"id": "vav", "types": ["AHU"], "kind": "equipment"}`,
			faults: []string{`entities.ndjson:9: declared twice: "vav" is already on line 6`}},
		"differs in case": {entities: `{"id": "VAV", "types": ["VAV"], "kind": "equipment"}`, relations: `{"from": "VAV", "type": "feeds", "to": "z1"}`,
			faults: []string{`entities.ndjson:9: case clash: "VAV" and "vav" (line 6) are the same to Holon, which compares without regard to case`},
			keys:   []string{"VAV~2"}, facts: []string{"VAV feeds z1"}},
		"a name that is a root's": {entities: `{"id": "HVAC", "types": ["Building"], "kind": "location"}`,
			faults: []string{`entities.ndjson:9: case clash: "HVAC" and "hvac" (line 0) are the same to Holon, which compares without regard to case`},
			keys:   []string{"/HVAC~2"}},
		"many classes": {entities: `{"id": "v2", "types": ["VAV", "AHU"], "kind": "equipment"}`,
			faults: []string{`entities.ndjson:9: many classes: "v2" is each of VAV, AHU`}, keys: []string{"v2"}},
		"bad names": {entities: `{"id": "a/b", "types": ["Building"], "kind": "location"}` + "\n" + `{"id": "c", "types": ["brick:VAV"], "kind": "equipment"}` + "\n" + `{"id": " d", "types": ["VAV"], "kind": "equipment"}`,
			faults: []string{`entities.ndjson:9: bad name: "a/b" cannot be a name in Holon`,
				`entities.ndjson:10: bad name: the class "brick:VAV" of "c" cannot be a template's name`,
				`entities.ndjson:11: bad name: " d" cannot be a name in Holon`}},
		"unknown kind":     {entities: `{"id": "p", "types": ["Person"], "kind": "person"}`, faults: []string{`entities.ndjson:9: unknown kind: "p" is of the kind "person", which is none of location, equipment and point`}},
		"unknown relation": {relations: `{"from": "ahu", "type": "likes", "to": "vav"}`, faults: []string{`relations.ndjson:8: unknown relation: ahu likes vav: the relation "likes" is unknown`}},
		"misfit":           {relations: `{"from": "t1", "type": "feeds", "to": "r1"}`, faults: []string{`relations.ndjson:8: misfit: t1 feeds r1: the one is a Zone_Air_Temperature_Sensor (device), the other a Room (group)`}},
		"twice, and from both ends": {relations: `{"from": "ahu", "type": "feeds", "to": "vav"}` + "\n" + `{"from": "b", "type": "hasPart", "to": "f1"}` + "\n" + `{"from": "t1", "type": "isPointOf", "to": "vav"}`,
			faults: []string{`relations.ndjson:8: stated twice: ahu feeds vav says the same as line 4`,
				`relations.ndjson:9: both ends: b hasPart f1 says the same as line 1`,
				`relations.ndjson:10: both ends: t1 isPointOf vav says the same as line 6`}},
		"cycles": {relations: `{"from": "b", "type": "isPartOf", "to": "r1"}` + "\n" + `{"from": "vav", "type": "feeds", "to": "ahu"}` + "\n" + `{"from": "f1", "type": "isPartOf", "to": "f1"}`,
			faults: []string{`relations.ndjson:8: cycle: b belongs_to r1 belongs_to f1 belongs_to b`,
				`relations.ndjson:9: cycle: vav feeds ahu feeds vav`,
				`relations.ndjson:10: cycle: f1 isPartOf itself`},
			facts: []string{"vav feeds ahu"}},
		"several parents": {entities: `{"id": "f2", "types": ["Floor"], "kind": "location"}`,
			relations: `{"from": "f2", "type": "isPartOf", "to": "b"}` + "\n" + `{"from": "f2", "type": "hasPart", "to": "r1"}`,
			faults:    []string{`relations.ndjson:9: several parents: "r1" is in "f1" already, and a place has one parent`},
			keys:      []string{"/b/f2"}, facts: []string{"r1 belongs_to f2"}},
		"several sources and owners": {
			relations: `{"from": "b", "type": "isLocationOf", "to": "s1"}` + "\n" + `{"from": "ahu", "type": "hasPoint", "to": "t1"}` + "\n" + `{"from": "ahu", "type": "feeds", "to": "z1"}`,
			faults: []string{`relations.ndjson:8: several parents: s1 located_at b, but line 7 says s1 located_at f1`,
				`relations.ndjson:9: several parents: t1 point_of ahu, but line 6 says t1 point_of vav`},
			facts: []string{"s1 located_at b", "t1 point_of ahu", "ahu feeds z1"}},
		"two feed one": {entities: `{"id": "a2", "types": ["AHU"], "kind": "equipment"}`, relations: `{"from": "a2", "type": "feeds", "to": "vav"}`,
			faults: []string{`relations.ndjson:8: several parents: a2 feeds vav, but line 4 says ahu feeds vav`},
			keys:   []string{"a2"}, facts: []string{"a2 feeds vav"}},
		"no parent": {entities: `{"id": "f2", "types": ["Floor"], "kind": "location"}` + "\n" + `{"id": "r2", "types": ["Room"], "kind": "location"}`,
			relations: `{"from": "f2", "type": "hasPart", "to": "r2"}`,
			faults:    []string{`entities.ndjson:9: no parent: the Floor "f2" is in no other place`},
			keys:      []string{"/unplaced", "/unplaced/f2", "/unplaced/f2/r2"}},
		"unconnected": {entities: `{"id": "t2", "types": ["Energy_Sensor"], "kind": "point"}`,
			faults: []string{`entities.ndjson:9: unconnected: of the point "t2" nothing is said`}, keys: []string{"t2"}},
	} {
		t.Run(name, func(t *testing.T) {
			good := planOf(t, someEntities, someRelations)
			p := planOf(t, someEntities+test.entities, someRelations+test.relations)
			var got []string
			for _, f := range p.faults {
				if f.done == "" {
					t.Errorf("%s: it does not say what was done", f)
				}
				got = append(got, strings.TrimSuffix(f.String(), ": "+f.done))
			}
			if diff := cmp.Diff(test.faults, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			all := func(p *plan) []string { return append(append(keys(p.groups), keys(p.assets)...), keys(p.devices)...) }
			if diff := cmp.Diff(test.keys, beyond(all(p), all(good))); diff != "" {
				t.Errorf("things (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.facts, beyond(facts(p), facts(good))); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

// beyond is what is in all and not in known; everything known must be in all.
func beyond(all, known []string) []string {
	there := map[string]bool{}
	for _, one := range all {
		there[one] = true
	}
	var extra []string
	for _, one := range known {
		if !there[one] {
			extra = append(extra, "missing: "+one)
		}
		delete(there, one)
	}
	for _, one := range all {
		if there[one] {
			extra = append(extra, one)
		}
	}
	return extra
}

func TestReportIsInOrder(t *testing.T) {
	var out strings.Builder
	report(&out, []fault{{"relations.ndjson", 2, cycle, "a", "b"}, {"entities.ndjson", 9, untyped, "c", "d"}, {"entities.ndjson", 1, untyped, "e", "f"}})
	want := "entities.ndjson:1: untyped: e: f\nentities.ndjson:9: untyped: c: d\nrelations.ndjson:2: cycle: a: b\n3 faults: 1 cycle, 2 untyped\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	report(&out, nil)
	if out.String() != "0 faults\n" {
		t.Errorf("got %q", out.String())
	}
}
