package graph_test

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

func gaveAt(measure string, at ...time.Time) []registry.MeasureTime {
	out := make([]registry.MeasureTime, len(at))
	for i, t := range at {
		out[i] = registry.MeasureTime{Measure: measure, At: t.UnixMilli()}
	}
	return out
}

// undo removes what a payload gave, and checks that buckets still add up.
func (f *field) undo(d *registry.Device, p *registry.Payload, remove, keep []registry.MeasureTime) {
	f.Helper()
	undone, err := f.store.Undo(f.Context(), f.scope, d.ID, []registry.Undoing{{Payload: p.ID, Remove: remove, Keep: keep, Valid: true}})
	if err != nil || len(undone.Twins) == 0 || undone.Twins[0] != d.ID {
		f.Fatalf("undo: %v, %v", undone, err)
	}
	f.addUp(d.ID)
}

// addUp compares what buckets say with what is in them.
func (f *field) addUp(device registry.ID) {
	f.Helper()
	for _, row := range f.query(`
		MATCH (d:Entity {id: $id})-[:HAS_SERIES]->(s)-[:HAS_BUCKET]->(b) WHERE d.account = $account
		CALL (b) { MATCH (b)-[:HAS_MEASUREMENT]->(m) RETURN count(m) AS n, sum(m.value) AS sum, min(m.value) AS low, max(m.value) AS high, min(m.at) AS first, max(m.at) AS last }
		WITH s, b, n, sum, low, high, first, last, EXISTS { (s)-[:HAS_NEWEST]->(b) } AS newest
		RETURN b.count = n AND b.first = first AND b.min = low AND b.max = high AND abs(b.sum - sum) < 0.001
			AND (NOT newest OR s.lastAt = last) AND (newest OR b.last = last) AS right, properties(b) AS bucket, n, last, newest`, map[string]any{"id": string(device)}) {
		if row["right"] != true {
			f.Errorf("a bucket does not add up: %+v", row)
		}
	}
}

// TestUndo removes measurements of payloads: from the middle of a bucket, the
// newest one, all of the newest bucket, and everything. The asset that shares the
// buckets loses them too.
func TestUndo(t *testing.T) {
	t.Parallel()
	f := newField(t)
	d, a := f.device("probe", ""), f.asset("room", "")
	start := morning()
	since := start.Add(-time.Hour)
	if _, err := f.store.LinkDevice(t.Context(), f.scope, registry.NewLink{Device: byID(d), Asset: byID(a), Since: &since, Measures: []registry.MeasureMapping{{Device: "a", Asset: "a"}}}); err != nil {
		t.Fatal(err)
	}
	p := payload("x", start)
	times := []time.Time{start, start.Add(time.Second), start.Add(2 * time.Second), start.Add(48 * time.Hour)}
	for i, when := range times {
		r := f.reading(d, when, map[string]any{"a": float64(10 + i)})
		r.ReceivedAt, r.Payload = start.Add(50*time.Hour), p
		f.expect(f.send(r), 1, 0, 0, 1)
	}
	f.addUp(d.ID)
	all := gaveAt("a", times...)
	f.undo(d, p, all[1:2], []registry.MeasureTime{all[0], all[2], all[3]})
	f.expectSamples(d.ID, "a", at(times[0], 10.0), at(times[2], 12.0), at(times[3], 13.0))
	if _, given, _ := f.gave(d.ID, p); len(given) != 3 {
		t.Errorf("the payload gave %v", given)
	}
	f.undo(d, p, all[1:2], []registry.MeasureTime{all[0], all[2], all[3]}) // again
	f.undo(d, p, all[3:], []registry.MeasureTime{all[0], all[2]})
	f.expectSamples(d.ID, "a", at(times[0], 10.0), at(times[2], 12.0))
	f.expectSamples(a.ID, "a", at(times[0], 10.0), at(times[2], 12.0))
	live, err := f.store.LiveOf(t.Context(), f.scope, []registry.ID{d.ID, a.ID})
	if err != nil || len(live[0]) != 1 || len(live[1]) != 1 || live[0][0].Value != 12.0 || live[1][0].Value != 12.0 {
		t.Errorf("live %+v, %v", live, err)
	}
	// A worker that knew the series goes on, with an older value and a newer one.
	r := f.reading(d, times[1], map[string]any{"a": 11.5})
	newer := f.reading(d, times[3], map[string]any{"a": 14.0})
	r.ReceivedAt, newer.ReceivedAt = start.Add(50*time.Hour), start.Add(50*time.Hour)
	f.expect(f.send(r, newer), 2, 0, 0, 2)
	f.addUp(d.ID)
	f.expectSamples(a.ID, "a", at(times[0], 10.0), at(times[1], 11.5), at(times[2], 12.0), at(times[3], 14.0))

	f.undo(d, p, all, nil)
	f.expectSamples(d.ID, "a")
	series, err := f.store.SeriesOf(t.Context(), f.scope, []registry.ID{d.ID})
	if err != nil || len(series[0]) != 1 || series[0][0].Last != nil {
		t.Errorf("series %+v, %v", series, err)
	}
	f.expect(f.send(newer), 1, 0, 0, 1)
	f.expectSamples(a.ID, "a", at(times[3], 14.0))
	f.addUp(d.ID)
}

// TestUndoOtherTypes keeps what series of other types say of their newest value.
func TestUndoOtherTypes(t *testing.T) {
	f := newField(t)
	if _, err := f.store.CreateMeasureType(t.Context(), f.scope, registry.NewMeasureType{Name: "pump", ValueType: registry.ValueComposite, Fields: []registry.MeasureField{{Name: "speed", Type: registry.ValueNumber}}}); err != nil {
		t.Fatal(err)
	}
	f.template(registry.KindDevice, "pumping", registry.MeasureDeclaration{Name: "pump", Type: "pump"}, registry.MeasureDeclaration{Name: "place", Type: "location"}, registry.MeasureDeclaration{Name: "on", Type: "boolean"})
	d := f.device("pump-1", "pumping")
	start := morning()
	p := payload("x", start)
	for i := range 3 {
		r := f.reading(d, start.Add(time.Duration(i)*time.Second), map[string]any{
			"pump": registry.Composite{"speed": float64(i)}, "place": registry.Location{Latitude: float64(i), Longitude: 1}, "on": i > 0})
		r.Payload = p
		f.send(r)
	}
	last := start.Add(2 * time.Second)
	remove := append(append(gaveAt("pump", last), gaveAt("place", last)...), gaveAt("on", last)...)
	if _, err := f.store.Undo(t.Context(), f.scope, d.ID, []registry.Undoing{{Payload: p.ID, Remove: remove, Valid: true}}); err != nil {
		t.Fatal(err)
	}
	live, err := f.store.LiveOf(t.Context(), f.scope, []registry.ID{d.ID})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	for _, v := range live[0] {
		got[v.Measure] = v.Value
	}
	want := map[string]any{"pump": registry.Composite{"speed": 1.0}, "place": registry.Location{Latitude: 1, Longitude: 1}, "on": true}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("newest values: -want +got\n%s", diff)
	}
}

// TestStandings compares with what is stored, in the unit of the template.
func TestStandings(t *testing.T) {
	f := newField(t)
	template, err := f.store.CreateTemplate(t.Context(), f.scope, registry.NewTemplate{Kind: registry.KindDevice, Name: "probe", Publish: true, Measures: []registry.MeasureDeclaration{{Name: "t", Type: "number", Unit: "Cel"}}})
	if err != nil {
		t.Fatal(err)
	}
	d := f.device("probe-1", "probe")
	start := morning()
	f.send(f.reading(d, start, map[string]any{"t": registry.Quantity{Value: 68.0, Unit: "[degF]"}}))
	key := registry.MeasureTime{Measure: "t", At: start.UnixMilli()}
	got, err := f.store.Standings(t.Context(), f.scope, d.ID, template, []registry.WantedValue{
		{MeasureTime: key, Value: 20.0}, {MeasureTime: key, Value: 21.0}, {MeasureTime: key}, {MeasureTime: registry.MeasureTime{Measure: "t", At: 5}, Value: 20.0},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]registry.Standing{registry.StandingSame, registry.StandingOther, registry.StandingOther, registry.StandingAbsent}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
