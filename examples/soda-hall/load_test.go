package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stateOf is a Holon that has all of a plan.
func stateOf(p *plan) *state {
	s := &state{templates: map[name]bool{}, objects: map[name]string{}, edges: map[edge]bool{}}
	for _, t := range p.templates() {
		s.templates[name{t.kind, fold(t.class)}] = true
	}
	for _, all := range [][]*thing{p.groups, p.assets, p.devices} {
		for _, t := range all {
			s.objects[t.name()] = t.class
		}
	}
	for _, f := range p.facts {
		s.edges[f.edge()] = true
	}
	return s
}

func TestMissing(t *testing.T) {
	p := planOf(t, someEntities, someRelations)
	w, err := stateOf(&plan{}).missing(p)
	if err != nil || len(w.templates) != 8 || len(w.groups) != 5 || len(w.assets) != 2 || len(w.devices) != 2 || len(w.facts) != 5 {
		t.Errorf("of an empty Holon is missing %+v, %v", w, err)
	}
	w, err = stateOf(p).missing(p)
	if err != nil || w.size() != 0 {
		t.Errorf("of a full Holon is missing %+v, %v", w, err)
	}
	half := stateOf(p)
	delete(half.objects, name{device, "t1"})
	delete(half.edges, p.facts[3].edge())
	delete(half.edges, p.facts[1].edge())
	w, err = half.missing(p)
	if err != nil || w.size() != 3 || w.devices[0].id != "t1" || w.facts[0].String() != "ahu feeds vav" {
		t.Errorf("of half a Holon is missing %+v, %v", w, err)
	}
	half.objects[name{asset, "vav"}], half.objects[name{asset, "ahu"}] = "boiler", "Boiler"
	if _, err = half.missing(p); err == nil || !strings.Contains(err.Error(), "the asset vav is there with the template boiler, not VAV") ||
		!strings.Contains(err.Error(), "the asset ahu is there with the template Boiler, not AHU") {
		t.Errorf("somebody else's assets: %v", err)
	}
}

func TestByLevel(t *testing.T) {
	p := planOf(t, someEntities, someRelations)
	var got [][]string
	for _, level := range byLevel(p.groups) {
		got = append(got, keys(level))
	}
	if diff := cmp.Diff([][]string{{"/hvac"}, {"/hvac/z1"}, {"/b"}, {"/b/f1"}, {"/b/f1/r1"}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestInputTakesTheRelationsThatCanBeMade(t *testing.T) {
	p := planOf(t, someEntities, someRelations+`{"from": "ahu", "type": "feeds", "to": "z1"}`+"\n"+`{"from": "ahu", "type": "hasLocation", "to": "f1"}`)
	l := &loader{present: map[name]bool{{group, "/hvac/z1"}: true, {group, "/b/f1"}: true}, open: map[*thing][]*fact{}}
	for _, f := range p.facts {
		l.open[f.from] = append(l.open[f.from], f)
	}
	got := l.input(p.assets[0])
	want := map[string]any{"reference": "ahu", "template": "AHU", "relations": []map[string]any{
		{"name": "feeds", "groups": []string{"/hvac/z1"}}, {"name": "located_at", "groups": []string{"/b/f1"}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the asset (-want +got):\n%s", diff)
	}
	if left := l.open[p.assets[0]]; len(left) != 1 || left[0].to.id != "vav" {
		t.Errorf("left for later: %v", left)
	}
	room := p.groups[len(p.groups)-1]
	want = map[string]any{"parent": "/b/f1", "name": "r1", "template": "Room", "relations": []map[string]any{{"name": "belongs_to", "groups": []string{"/hvac/z1"}}}}
	if diff := cmp.Diff(want, l.input(room)); diff != "" {
		t.Errorf("the room (-want +got):\n%s", diff)
	}
}

func TestEachStopsAtTheFirstError(t *testing.T) {
	var done atomic.Int32
	broken := errors.New("broken")
	err := each(t.Context(), make([]int, 1000), func(context.Context, int) error {
		if done.Add(1) == 10 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || done.Load() > 10+writers {
		t.Errorf("%v after %d", err, done.Load())
	}
	done.Store(0)
	if err := each(t.Context(), make([]int, 1000), func(context.Context, int) error { done.Add(1); return nil }); err != nil || done.Load() != 1000 {
		t.Errorf("%v after %d", err, done.Load())
	}
}

func TestRulesAreValidInHolon(t *testing.T) {
	for class, want := range map[string]string{"Fault_Status": "boolean", "Smoke_Detected_Alarm": "boolean", "Command": "number", "Air_Flow_Sensor": "number"} {
		if got := valueType(class); got != want {
			t.Errorf("the values of %s are %s, not %s", class, got, want)
		}
	}
	for source, m := range meanings {
		found := false
		for _, all := range rules {
			for _, r := range all {
				found = found || r.name == m.name
			}
		}
		if !found || m.name == "part_of" {
			t.Errorf("%s becomes %s, which no template allows", source, m.name)
		}
	}
}
