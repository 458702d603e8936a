package transfer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/transfer"
)

// world is an account of its own in the store of the tests.
type world struct {
	*testing.T
	*graph.Store
	scope registry.Scope
}

func newWorld(t *testing.T) world {
	t.Helper()
	t.Parallel()
	store, scope := testkit.Store(t)
	return world{t, store, scope}
}

// another account in the same store.
func (w world) another() world { return world{w.T, w.Store, testkit.Account(w.T, w.Store)} }

func (w world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// export is the account's file.
func (w world) export(plain bool) string {
	w.Helper()
	var b bytes.Buffer
	e := &transfer.Exporter{Source: w.Store, Scope: w.scope, Plain: plain, Dir: w.TempDir()}
	if _, err := e.Export(w.Context(), &b); err != nil {
		w.Fatal(err)
	}
	return b.String()
}

// importing takes a file in and returns what became of each record.
func (w world) importing(file string, options graph.RestoreOptions) ([]transfer.Outcome, transfer.Sum) {
	w.Helper()
	outcomes, sum, err := w.tryImport(w.Context(), file, options)
	w.ok(err)
	return outcomes, sum
}

func (w world) tryImport(ctx context.Context, file string, options graph.RestoreOptions) (outcomes []transfer.Outcome, sum transfer.Sum, err error) {
	m := &transfer.Importer{
		Target: w.NewRestorer(w.scope, options), Rehearse: options.Rehearse,
		Report: func(o transfer.Outcome) { outcomes = append(outcomes, o) },
	}
	sum, err = m.Import(ctx, transfer.Lines(strings.NewReader(file), 0, 0), transfer.Sum{})
	return outcomes, sum, err
}

// position is that of the account's last change.
func (w world) position() int64 {
	w.Helper()
	position, _, err := w.Moment(w.Context(), w.scope)
	w.ok(err)
	return position
}

// same compares two files line by line.
func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, x := strings.Split(got, "\n"), strings.Split(want, "\n")
	shown := 0
	for i := range max(len(g), len(x)) {
		var one, other string
		if i < len(g) {
			one = g[i]
		}
		if i < len(x) {
			other = x[i]
		}
		if one != other && shown < 5 {
			shown++
			t.Errorf("%s, line %d:\n got %s\nwant %s", what, i+1, one, other)
		}
	}
}

// refusals are the outcomes that are refused, as "line: message".
func refusals(outcomes []transfer.Outcome) []string {
	var out []string
	for _, o := range outcomes {
		if o.Result == registry.RestoreRefused {
			out = append(out, fmt.Sprintf("%d: %s", o.Line, o.Message))
		}
	}
	return out
}

func ref(kind registry.Kind, key string) registry.Ref { return registry.Ref{Kind: kind, Key: key} }

// file makes a file of lines.
func file(lines ...string) string {
	all := append([]string{`{"record":"header","format":"holon","version":1}`}, lines...)
	all = append(all, fmt.Sprintf(`{"record":"end","lines":%d}`, len(all)+1))
	return strings.Join(all, "\n") + "\n"
}

// fill makes an account that has everything.
func (w world) fill() {
	w.Helper()
	ctx, scope := w.Context(), w.scope
	text := func(s string) *string { return &s }
	must2 := func(_ any, err error) { w.Helper(); w.ok(err) }
	must2(w.CreateMeasureType(ctx, scope, registry.NewMeasureType{Name: "temperature", ValueType: registry.ValueNumber, Unit: text("Cel"), Description: text("how warm it is"), Annotations: registry.Annotations{"icon": "thermometer"}}))
	must2(w.CreateMeasureType(ctx, scope, registry.NewMeasureType{Name: "door", ValueType: registry.ValueBoolean}))
	must2(w.CreateMeasureType(ctx, scope, registry.NewMeasureType{Name: "defrosting", ValueType: registry.ValueEnum, Values: []string{"off", "on"}}))
	must2(w.CreateMeasureType(ctx, scope, registry.NewMeasureType{Name: "compressor", ValueType: registry.ValueComposite, Fields: []registry.MeasureField{
		{Name: "speed", Type: registry.ValueNumber, Unit: "/min"}, {Name: "running", Type: registry.ValueBoolean},
	}}))
	must2(w.CreateTemplate(ctx, scope, registry.NewTemplate{
		Kind: registry.KindGroup, Name: "Room", Publish: true, Properties: map[string]any{"area": map[string]any{"type": "number", "minimum": 0.5}},
	}))
	must2(w.CreateTemplate(ctx, scope, registry.NewTemplate{
		Kind: registry.KindAsset, Name: "Cold-Store", Publish: true, Required: []string{"serial"},
		Properties: map[string]any{"serial": map[string]any{"type": "string", "pattern": "^[A-Z]+"}, "tags": map[string]any{"type": "array", "items": map[string]any{"type": "string"}}},
		Measures: []registry.MeasureDeclaration{
			{Name: "inside", Type: "temperature", Minimum: new(-40.0), Maximum: new(30.0), MaximumRate: new(0.5)}, {Name: "note", Type: "string", Manual: registry.ManualNewestWins},
			{Name: "defrosting", Type: "defrosting"}, {Name: "compressor", Type: "compressor"}, {Name: "place", Type: "location"},
			{Name: "above", Type: "number", Computed: "measures.inside + 40"},
		},
		Relations: []registry.RelationRule{{Name: "stands_in", Direction: registry.DirectionOut, Kind: registry.KindGroup, Templates: []string{"Room"}, Inherits: true}},
	}))
	must2(w.CreateTemplate(ctx, scope, registry.NewTemplate{Kind: registry.KindDevice, Name: "Battery", Publish: true}))
	must2(w.CreateTemplate(ctx, scope, registry.NewTemplate{
		Kind: registry.KindDevice, Name: "Probe", Publish: true, Components: []string{"Battery"}, Searched: nil,
		Properties:  map[string]any{"a": map[string]any{"annotations": map[string]any{"title": "A"}}},
		Annotations: registry.Annotations{"title": map[string]any{"de": "Fühler"}, "order": []any{1.0, "a", nil}},
		Behaviour: registry.Behaviour{
			Provisioning: registry.ProvisioningOpen, Reported: []string{"a"},
			Decoder:        &registry.TemplateDecoder{Name: "json", Options: map[string]any{"device": "id", "attributes": map[string]any{"a": "about.a"}, "measures": map[string]any{"t": "t"}}},
			SilenceSeconds: 90, OneAsset: true, Commands: []registry.CommandDeclaration{{Name: "reboot", Parameters: map[string]any{"type": "object"}, Response: map[string]any{"type": "object"}, ExpiresAfterSeconds: 60}},
			Alarms: []registry.AlarmRule{{Name: "hot", When: "attributes.a > 3", Trigger: registry.TriggerCount, Count: 2, WithinSeconds: 60, Severity: registry.SeverityMinor}},
		},
		Measures: []registry.MeasureDeclaration{{Name: "t", Type: "temperature", Annotations: registry.Annotations{"title": "T"}}, {Name: "open", Type: "door"}},
		Relations: []registry.RelationRule{
			{Name: "located_at", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: true},
			{Name: "tagged", Direction: registry.DirectionOut, Kind: registry.KindGroup, Inherits: false},
			{Name: "watches", Direction: registry.DirectionOut, Kind: registry.KindAsset, Inherits: true},
			{Name: "next_to", Direction: registry.DirectionOut, Kind: registry.KindDevice, Inherits: true},
		},
	}))
	for _, g := range []registry.NewGroup{
		{Name: "Köln", Description: text("Stadt \"am\" Rhein \u2028 <b> & \\ 日本 🏭"), Attributes: registry.Attributes{"n": 1, "half": 0.5, "whole": 2.0, "yes": true, "empty": "", "list": []any{1.5, 2.0}, "mixed": []any{"a", 1, nil}, "deep": map[string]any{"er": map[string]any{"x": 1}, "none": map[string]any{}}}},
		{Parent: "/Köln", Name: "Room 1", Template: "Room", Attributes: registry.Attributes{"area": 12.0}},
		{Parent: "/Köln", Name: "room 10", Template: "Room"},
		{Parent: "/Köln/Room 1", Name: "shelf \t? #1%"},
		{Name: "a-tag"},
		{Name: "other", Relations: []registry.NewRelation{{Name: "near", To: []registry.Ref{ref(registry.KindGroup, "/köln")}}}},
	} {
		g.Name = strings.ReplaceAll(g.Name, "\t", " ")
		must2(w.CreateGroup(ctx, scope, g))
	}
	groups := func(name string, keys ...string) registry.NewRelation {
		r := registry.NewRelation{Name: name}
		for _, key := range keys {
			r.To = append(r.To, ref(registry.KindGroup, key))
		}
		return r
	}
	must2(w.CreateAsset(ctx, scope, registry.NewTwin{Reference: "Store/1", Template: "Cold-Store", Attributes: registry.Attributes{"serial": "ABC", "tags": []any{"x", "y"}}, Relations: []registry.NewRelation{groups("stands_in", "/Köln/Room 1")}}))
	must2(w.CreateAsset(ctx, scope, registry.NewTwin{Reference: "store 2", Description: text("the second"), State: registry.StateRetired}))
	must2(w.CreateDevice(ctx, scope, registry.NewTwin{
		Reference: "Probe-ä", Template: "Probe", Attributes: registry.Attributes{"a": map[string]any{"b": []any{map[string]any{"c": 1.0}}}}, State: registry.StateUnprovisioned,
		Relations: []registry.NewRelation{groups("located_at", "/Köln/Room 1", "/Köln/room 10"), groups("tagged", "/a-tag"), {Name: "watches", To: []registry.Ref{ref(registry.KindAsset, "Store/1")}}},
	}))
	yes := true
	must2(w.CreateComponent(ctx, scope, ref(registry.KindDevice, "Probe-ä"), registry.NewComponent{Name: "Bat 1", NewTwin: registry.NewTwin{Template: "battery"}}))
	must2(w.CreateAsset(ctx, scope, registry.NewTwin{Reference: "a door", PartOf: text("Store/1"), Details: registry.Details{ExternalReference: text("urn:x:1"), ImageURL: text("https://x.example/i.png"), Connected: &yes}}))
	must2(w.CreateDevice(ctx, scope, registry.NewTwin{Reference: "detailed", Details: registry.Details{ExternalReference: text("arn:x"), ImageURL: text("https://x.example/d.png"), Connected: new(bool)}}))
	// A second version of the template: the first probe stays on the first.
	must2(w.UpdateTemplate(ctx, scope, registry.TemplateRef{Kind: registry.KindDevice, Name: "Probe"}, registry.TemplatePatch{
		Properties: map[string]any{"a": map[string]any{}, "b": map[string]any{"type": "integer", "maximum": 9007199254740991}}, Required: []string{"b"}, Searched: []string{"b"},
	}))
	second, err := w.Template(ctx, scope, registry.KindDevice, "Probe", intOf(2), nil)
	w.ok(err)
	_, _, err = w.PublishTemplate(ctx, scope, registry.TemplateRef{ID: second.ID}, "")
	w.ok(err)
	must2(w.UpdateTemplate(ctx, scope, registry.TemplateRef{Kind: registry.KindDevice, Name: "Probe"}, registry.TemplatePatch{Description: registry.Some("a draft")}))
	must2(w.CreateDevice(ctx, scope, registry.NewTwin{Reference: "probe 2", Template: "probe", Attributes: registry.Attributes{"b": 9007199254740991}, Description: text("second")}))
	must2(w.CreateDevice(ctx, scope, registry.NewTwin{Reference: "open\\one"}))
	if _, _, err := w.Relate(ctx, scope, ref(registry.KindDevice, "Probe-ä"), "next_to", ref(registry.KindDevice, "probe 2")); err != nil {
		w.Fatal(err)
	}
	must2(w.UpdateDevice(ctx, scope, ref(registry.KindDevice, "open\\one"), registry.TwinPatch{Attributes: registry.Attributes{"x": "y"}}))
	must2(w.CreatePolicy(ctx, scope, registry.NewPolicy{Reference: "P 1", Type: "access", Description: text("d"), Document: map[string]any{"rules": []any{map[string]any{"max": 1.5}}}, AppliesTo: []string{"/", "/Köln/room 10"}}))
	must2(w.CreatePolicy(ctx, scope, registry.NewPolicy{Reference: "p2", Type: "access", Document: map[string]any{}, AppliesTo: []string{"/other"}}))
	must2(w.CreateProfile(ctx, scope, registry.NewProfile{Kind: registry.KindDevice, Template: "probe", Name: "Standard", Description: text("as usual"), Attributes: registry.Attributes{"b": 2, "a": 2.0}, Relations: []registry.NewRelation{groups("located_at", "/Köln")}}))
	must2(w.CreateProfile(ctx, scope, registry.NewProfile{Kind: registry.KindGroup, Template: "room", Name: "empty"}))
	probe, asset := ref(registry.KindDevice, "Probe-ä"), ref(registry.KindAsset, "Store/1")
	setDesired := func(of registry.Ref, values map[string]any) {
		_, _, err := w.SetDesired(ctx, scope, registry.NewDesired{Ref: of, Values: values})
		w.ok(err)
	}
	setDesired(probe, map[string]any{"t": 4, "open": true})
	setDesired(probe, map[string]any{"t": 4.5})
	setDesired(asset, map[string]any{"place": map[string]any{"latitude": 50.9, "longitude": 7}, "compressor": map[string]any{"speed": 1200, "running": true}, "note": "2.0"})
	setDesired(ref(registry.KindDevice, "detailed"), map[string]any{"gone": 1})
	setDesired(ref(registry.KindDevice, "detailed"), map[string]any{"gone": nil}) // nothing is desired of it
	// Links: one that has ended, one that holds, one after the other.
	link := registry.NewLink{Device: ref(registry.KindDevice, "Probe-ä"), Asset: ref(registry.KindAsset, "Store/1"), Measures: []registry.MeasureMapping{{Device: "t", Asset: "inside"}}}
	must2(w.LinkDevice(ctx, scope, link))
	time.Sleep(3 * time.Millisecond)
	must2(w.UnlinkDevice(ctx, scope, link.Device, link.Asset))
	time.Sleep(3 * time.Millisecond)
	link.Device = ref(registry.KindDevice, "probe 2")
	must2(w.LinkDevice(ctx, scope, link))
	must2(w.LinkDevice(ctx, scope, registry.NewLink{Device: ref(registry.KindDevice, "open\\one"), Asset: ref(registry.KindAsset, "store 2"), Measures: []registry.MeasureMapping{{Device: "x", Asset: "y"}, {Device: "z", Asset: "w"}}}))
	w.fillMotion()
}

func intOf(n int) *int { return &n }

// withoutHeader is a file without its first line, which says where it is from.
func withoutHeader(text string) string {
	_, rest, _ := strings.Cut(text, "\n")
	return rest
}

// fieldsOf are the names of a line's fields.
func fieldsOf(line string) (kind string, names map[string]any, err error) {
	var all map[string]any
	if err := json.Unmarshal([]byte(line), &all); err != nil {
		return "", nil, err
	}
	kind, ok := all["record"].(string)
	if !ok {
		return "", nil, errors.New("no record")
	}
	names = maps.Clone(all)
	delete(names, "record")
	return kind, names, nil
}
