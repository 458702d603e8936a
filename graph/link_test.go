package graph_test

import (
	"slices"
	"testing"
	"time"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

func (f *field) link(device, asset string, since *time.Time, measures ...registry.MeasureMapping) (*registry.Link, error) {
	f.Helper()
	return f.store.LinkDevice(f.Context(), f.scope, registry.NewLink{
		Device: registry.Ref{Kind: registry.KindDevice, Key: device}, Asset: registry.Ref{Kind: registry.KindAsset, Key: asset},
		Since: since, Measures: measures,
	})
}

func (f *field) mustLink(device, asset string, since time.Time, measures ...registry.MeasureMapping) *registry.Link {
	f.Helper()
	l, err := f.link(device, asset, &since, measures...)
	if err != nil {
		f.Fatalf("link %s to %s: %v", device, asset, err)
	}
	return l
}

func (f *field) unlink(device, asset string) (*registry.Link, error) {
	f.Helper()
	return f.store.UnlinkDevice(f.Context(), f.scope, registry.Ref{Key: device}, registry.Ref{Key: asset})
}

var temperatureToInside = registry.MeasureMapping{Device: "temperature", Asset: "inside"}

func TestLinkedReadings(t *testing.T) {
	f := newField(t)
	f.template(registry.KindDevice, "sensor", registry.MeasureDeclaration{Name: "temperature", Type: "number", Unit: "Cel"}, registry.MeasureDeclaration{Name: "battery", Type: "number"})
	f.template(registry.KindAsset, "room", registry.MeasureDeclaration{Name: "inside", Type: "number", Unit: "Cel"})
	one, two := f.device("one", "sensor"), f.device("two", "sensor")
	room := f.asset("room", "room")
	// The first link began two hours ago; what was before is not the room's.
	start := time.Now().UTC().Truncate(time.Millisecond).Add(-2 * time.Hour)
	v := func(x float64) map[string]any { return map[string]any{"temperature": x, "battery": 50 + x} }
	f.expect(f.send(f.reading(one, start.Add(-20*time.Minute), v(1))), 1, 0, 0, 2)
	first := f.mustLink("one", "room", start, temperatureToInside)
	result := f.send(f.reading(one, start, v(2)), f.reading(one, start.Add(10*time.Minute), v(3)))
	f.expect(result, 2, 0, 0, 4)
	if n := len(result.Updates); n != 2 {
		t.Errorf("%d twins updated, want the device and the asset", n)
	}
	for _, u := range result.Updates {
		if u.TwinID == room.ID && (len(u.Values) != 1 || u.Values[0].Measure != "inside" || u.Values[0].Value != 3.0) {
			t.Errorf("update of the asset = %+v", u.Values)
		}
	}
	f.expectSamples(room.ID, "inside", at(start, 2.0), at(start.Add(10*time.Minute), 3.0))

	// The device is replaced: the old one goes on measuring for itself.
	ended, err := f.unlink("one", "room")
	if err != nil {
		t.Fatal(err)
	}
	if ended.ID != first.ID || ended.AssetID != room.ID || ended.Until == nil {
		t.Errorf("unlinked = %+v", ended)
	}
	if _, err := f.unlink("one", "room"); registry.CodeOf(err) != registry.CodeFailedPrecondition {
		t.Errorf("unlink again: %v", err)
	}
	until := *ended.Until
	second := f.mustLink("two", "room", until.Add(time.Minute), temperatureToInside)
	after := until.Add(2 * time.Minute)
	f.send(f.reading(two, until.Add(30*time.Second), v(6)), f.reading(two, after, v(4)))
	f.send(f.reading(one, after, v(5)))
	inRoom := []sample{at(start, 2.0), at(start.Add(10*time.Minute), 3.0), at(after, 4.0)}
	f.expectSamples(room.ID, "inside", inRoom...)
	// A remembered value of the first link's time comes late, and one from before
	// it, and one from after it; by an owner that remembers and by one that does not.
	f.send(f.reading(one, start.Add(5*time.Minute), v(7)), f.reading(one, start.Add(-5*time.Minute), v(8)), f.reading(one, until.Add(time.Minute), v(9)))
	f.partitions = map[int]*graph.Partition{}
	result = f.send(f.reading(one, start.Add(6*time.Minute), v(10)), f.reading(one, start.Add(5*time.Minute), v(7)))
	f.expect(result, 1, 1, 0, 2)
	f.expectSamples(room.ID, "inside", inRoom[0], at(start.Add(5*time.Minute), 7.0), at(start.Add(6*time.Minute), 10.0), inRoom[1], inRoom[2])
	f.buckets(one.ID)
	f.buckets(two.ID)
	f.buckets(room.ID)
	if n := len(f.samples(room.ID, "temperature")) + len(f.samples(room.ID, "battery")); n != 0 {
		t.Errorf("%d samples under the device's names", n)
	}

	live, err := f.store.LiveOf(t.Context(), f.scope, []registry.ID{room.ID, one.ID})
	if err != nil || len(live[0]) != 1 || live[0][0].Value != 4.0 || !live[0][0].MeasuredAt.Equal(after) || len(live[1]) != 2 {
		t.Errorf("live = %v, %v", live, err)
	}
	series, err := f.store.SeriesOf(t.Context(), f.scope, []registry.ID{room.ID})
	if err != nil || len(series[0]) != 1 || series[0][0].Unit == nil || *series[0][0].Unit != "Cel" || series[0][0].Generation != 1 {
		t.Errorf("series of the asset = %+v, %v", series, err)
	}
	links, err := f.store.LinksOf(t.Context(), f.scope, []registry.ID{room.ID, one.ID})
	if err != nil || len(links[0]) != 2 || links[0][0].ID != second.ID || links[0][1].ID != first.ID || len(links[1]) != 1 || links[1][0].AssetID != room.ID {
		t.Errorf("links = %v, %v", links, err)
	}

	// The asset's history outlives the device.
	if _, err := f.store.DeleteDevice(t.Context(), f.scope, registry.Ref{Kind: registry.KindDevice, Key: "two"}); err != nil {
		t.Fatal(err)
	}
	f.expectSamples(room.ID, "inside", inRoom[0], at(start.Add(5*time.Minute), 7.0), at(start.Add(6*time.Minute), 10.0), inRoom[1], inRoom[2])
	live, err = f.store.LiveOf(t.Context(), f.scope, []registry.ID{room.ID})
	if err != nil || len(live[0]) != 1 || live[0][0].Value != 4.0 {
		t.Errorf("live after the device's end = %v, %v", live, err)
	}
}

func TestLinkBetweenBatches(t *testing.T) {
	f := newField(t)
	d := f.device("d", "")
	a := f.asset("a", "")
	now := time.Now().UTC().Truncate(time.Millisecond)
	f.send(f.reading(d, now.Add(-time.Hour), map[string]any{"x": 1.0}))
	// The partition remembers the device without a link. The mapping follows from
	// what the device has measured.
	if _, err := f.link("d", "a", nil); err != nil {
		t.Fatal(err)
	}
	f.send(f.reading(d, now.Add(time.Minute), map[string]any{"x": 2.0}))
	f.expectSamples(a.ID, "x", at(now.Add(time.Minute), 2.0))
	ended, err := f.unlink("d", "a")
	if err != nil {
		t.Fatal(err)
	}
	if !ended.Until.After(now.Add(time.Minute)) {
		t.Errorf("the link ended at %s, before the device's last reading", ended.Until)
	}
	f.send(f.reading(d, now.Add(2*time.Minute), map[string]any{"x": "text"}))
	again, err := f.link("d", "a", nil, registry.MeasureMapping{Device: "x", Asset: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if !again.Since.After(now.Add(2 * time.Minute)) {
		t.Errorf("the link began at %s, before the device's last reading", again.Since)
	}
	f.send(f.reading(d, now.Add(3*time.Minute), map[string]any{"x": "more"}))
	f.expectSamples(a.ID, "x", at(now.Add(time.Minute), 2.0), at(now.Add(3*time.Minute), "more"))
	f.buckets(d.ID)
	f.buckets(a.ID)
}

func TestOneDeviceManyAssets(t *testing.T) {
	f := newField(t)
	d := f.device("d", "")
	a, b := f.asset("a", ""), f.asset("b", "")
	start := morning()
	m := registry.MeasureMapping{Device: "x", Asset: "left"}
	f.mustLink("d", "a", start, m)
	f.send(f.reading(d, start, map[string]any{"x": 1.0}))
	f.mustLink("d", "b", start.Add(time.Minute), registry.MeasureMapping{Device: "x", Asset: "right"}, registry.MeasureMapping{Device: "y", Asset: "y"})
	f.send(f.reading(d, start.Add(time.Minute), map[string]any{"x": 2.0, "y": true}), f.reading(d, start.Add(2*time.Minute), map[string]any{"x": 3.0}))
	f.expectSamples(a.ID, "left", at(start, 1.0), at(start.Add(time.Minute), 2.0), at(start.Add(2*time.Minute), 3.0))
	f.expectSamples(b.ID, "right", at(start.Add(time.Minute), 2.0), at(start.Add(2*time.Minute), 3.0))
	f.expectSamples(b.ID, "y", at(start.Add(time.Minute), true))
	if n := f.nodes(d.ID); n != 4 {
		t.Errorf("%d measurement nodes, want 4: assets share them", n)
	}
	f.buckets(a.ID)
	f.buckets(b.ID)
}

func TestLinkRefuses(t *testing.T) {
	f := newField(t)
	f.template(registry.KindDevice, "sensor", registry.MeasureDeclaration{Name: "temperature", Type: "number", Unit: "Cel"},
		registry.MeasureDeclaration{Name: "label", Type: "string"}, registry.MeasureDeclaration{Name: "count", Type: "number"})
	f.template(registry.KindAsset, "room", registry.MeasureDeclaration{Name: "inside", Type: "number", Unit: "Cel"},
		registry.MeasureDeclaration{Name: "fahrenheit", Type: "number", Unit: "[degF]"}, registry.MeasureDeclaration{Name: "humidity", Type: "number", Unit: "%"},
		registry.MeasureDeclaration{Name: "pieces", Type: "number"})
	f.template(registry.KindAsset, "wall")
	f.template(registry.KindAsset, "counter", registry.MeasureDeclaration{Name: "count", Type: "number", Unit: "%"}, registry.MeasureDeclaration{Name: "temperature", Type: "number"})
	d := f.device("d", "sensor")
	f.device("other", "sensor")
	f.asset("room", "room")
	f.asset("wall", "wall")
	f.asset("counter", "counter")
	start := morning()
	f.send(f.reading(d, start, map[string]any{"temperature": 1.0}))
	m := func(device, asset string) []registry.MeasureMapping {
		return []registry.MeasureMapping{{Device: device, Asset: asset}}
	}
	later := start.Add(time.Hour)
	for name, c := range map[string]struct {
		device, asset string
		since         *time.Time
		measures      []registry.MeasureMapping
		code          registry.Code
	}{
		"unknown device":             {"ghost", "room", nil, m("temperature", "inside"), registry.CodeNotFound},
		"unknown asset":              {"d", "ghost", nil, m("temperature", "inside"), registry.CodeNotFound},
		"undeclared by the device":   {"d", "room", nil, m("humidity", "inside"), registry.CodeInvalid},
		"undeclared by the asset":    {"d", "room", nil, m("temperature", "outside"), registry.CodeInvalid},
		"another type":               {"d", "room", nil, m("label", "inside"), registry.CodeInvalid},
		"another unit":               {"d", "room", nil, m("temperature", "humidity"), registry.CodeInvalid},
		"a unit of the asset alone":  {"d", "room", nil, m("count", "inside"), registry.CodeInvalid},
		"a unit of the device alone": {"d", "room", nil, m("temperature", "pieces"), registry.CodeInvalid},
		"units of one side alone":    {"d", "counter", nil, nil, registry.CodeInvalid},
		"nothing agrees":             {"d", "wall", nil, nil, registry.CodeInvalid},
		"two sources in one link":    {"d", "room", nil, append(m("temperature", "inside"), m("count", "inside")...), registry.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := f.link(c.device, c.asset, c.since, c.measures...); registry.CodeOf(err) != c.code {
				t.Errorf("link = %v, want %s", err, c.code)
			}
		})
	}
	f.mustLink("d", "room", later, m("temperature", "inside")...)
	if _, err := f.link("other", "room", nil, m("temperature", "inside")...); registry.CodeOf(err) != registry.CodeFailedPrecondition {
		t.Errorf("a second source: %v", err)
	}
	ended, err := f.unlink("d", "room")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.link("other", "room", &later, m("temperature", "inside")...); registry.CodeOf(err) != registry.CodeFailedPrecondition {
		t.Errorf("a link within a closed one: %v", err)
	}
	if _, err := f.link("other", "room", ended.Until, m("temperature", "inside")...); err != nil {
		t.Errorf("a link after a closed one: %v", err)
	}
}

// TestLinkUnits links a measure without a unit, and one whose unit nobody
// declares.
func TestLinkUnits(t *testing.T) {
	t.Parallel()
	f := newField(t)
	f.template(registry.KindDevice, "sensor", registry.MeasureDeclaration{Name: "count", Type: "number"}, registry.MeasureDeclaration{Name: "temperature", Type: "number", Unit: "Cel"})
	f.template(registry.KindAsset, "room", registry.MeasureDeclaration{Name: "count", Type: "number"}, registry.MeasureDeclaration{Name: "temperature", Type: "number"},
		registry.MeasureDeclaration{Name: "inside", Type: "number", Unit: "Cel"})
	f.device("d", "sensor")
	plain := f.device("plain", "")
	room := f.asset("room", "room")
	if l, err := f.link("d", "room", nil); err != nil || !slices.Equal(l.Measures, []registry.MeasureMapping{{Device: "count", Asset: "count"}}) {
		t.Errorf("what agrees = %+v, %v", l, err)
	}
	_, err := f.link("d", "room", nil, registry.MeasureMapping{Device: "temperature", Asset: "temperature"})
	violates(t, err, "measures[0]", "unit")
	start := morning()
	f.send(f.reading(plain, start, map[string]any{"t": 1.0}))
	f.mustLink("plain", "room", start, registry.MeasureMapping{Device: "t", Asset: "inside"})
	f.expectSamples(room.ID, "inside", at(start, 1.0))
}
