package graph_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/holon-registry/holon/registry"
)

// byHand is a reading of an asset itself.
func (f *field) byHand(a *registry.Asset, at time.Time, values map[string]any) registry.AcceptedReading {
	return registry.AcceptedReading{
		Account: f.scope.Account, DeviceID: a.ID, Asset: true, Reference: a.Reference, MeasuredAt: at, ReceivedAt: at.Add(time.Second), Source: "test", Values: values,
	}
}

// TestReadingsByHand mixes readings of an asset itself with those of the device
// that feeds it, whose partition is another one.
func TestReadingsByHand(t *testing.T) {
	t.Parallel()
	f := newField(t)
	f.template(registry.KindAsset, "room", registry.MeasureDeclaration{Name: "inside", Type: "number", Unit: "Cel"},
		registry.MeasureDeclaration{Name: "both", Type: "number", Manual: registry.ManualNewestWins}, registry.MeasureDeclaration{Name: "note", Type: "string", Manual: registry.ManualUnfed})
	room, d := f.asset("room", "room"), f.device("d", "")
	start := time.Now().UTC().Truncate(time.Millisecond).Add(-time.Hour)
	minute := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	live := func(measure string, want any) {
		t.Helper()
		got, err := f.store.LiveOf(t.Context(), f.scope, []registry.ID{room.ID})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range got[0] {
			if v.Measure == measure && v.Value == want {
				return
			}
		}
		t.Errorf("live = %+v, want %s %v", got[0], measure, want)
	}
	result := f.send(f.byHand(room, minute(0), map[string]any{"inside": 1.0, "note": "dry"}))
	f.expect(result, 1, 0, 0, 2)
	if len(result.Updates) != 1 || result.Updates[0].TwinID != room.ID || len(result.Updates[0].Values) != 2 || !result.Updates[0].Seen.IsZero() {
		t.Errorf("updates = %+v", result.Updates)
	}
	f.expect(f.send(f.byHand(room, minute(0), map[string]any{"inside": 1.0})), 0, 1, 0, 0)
	f.expect(f.send(f.byHand(room, minute(0), map[string]any{"inside": 2.0})), 0, 0, 1, 0)
	f.expect(f.send(f.byHand(room, minute(1), map[string]any{"nothing": 2.0})), 0, 0, 1, 0)
	// What it is, is told by the reading, not by whose id it has.
	wrong := f.byHand(room, minute(2), map[string]any{"inside": 2.0})
	wrong.Asset = false
	f.expect(f.send(wrong), 0, 0, 1, 0)
	wrong = f.reading(d, minute(2), map[string]any{"x": 2.0})
	wrong.Asset = true
	f.expect(f.send(wrong), 0, 0, 1, 0)

	f.mustLink("d", "room", minute(10), registry.MeasureMapping{Device: "x", Asset: "inside"}, registry.MeasureMapping{Device: "y", Asset: "both"})
	f.expect(f.send(f.reading(d, minute(11), map[string]any{"x": 11.0, "y": 11.0})), 1, 0, 0, 2)
	f.expect(f.send(f.byHand(room, minute(12), map[string]any{"inside": 12.0})), 0, 0, 1, 0)
	f.expect(f.send(f.byHand(room, minute(9), map[string]any{"inside": 9.0})), 1, 0, 0, 1)
	live("inside", 11.0)
	f.expectSamples(room.ID, "inside", at(minute(0), 1.0), at(minute(9), 9.0), at(minute(11), 11.0))
	// Of the other measure both are taken, and the newer one is the newest.
	f.expect(f.send(f.byHand(room, minute(10), map[string]any{"both": 10.0})), 1, 0, 0, 1)
	live("both", 11.0)
	f.expect(f.send(f.byHand(room, minute(13), map[string]any{"both": 13.0})), 1, 0, 0, 1)
	f.send(f.reading(d, minute(12), map[string]any{"y": 12.0}))
	live("both", 13.0)
	f.expectSamples(room.ID, "both", at(minute(10), 10.0), at(minute(11), 11.0), at(minute(12), 12.0), at(minute(13), 13.0))
	// A page does not part values of one moment, of which each source has one.
	f.expect(f.send(f.byHand(room, minute(11), map[string]any{"both": 11.5})), 1, 0, 0, 1)
	for size := 1; size <= 5; size++ {
		var paged, sampled []any
		for page := (registry.PageRequest{Size: size}); ; {
			got, err := f.store.Measurements(t.Context(), f.scope, room.ID, "both", nil, nil, page, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range got.Items {
				paged = append(paged, m.Value)
			}
			if !got.HasNext || len(paged) > 5 {
				break
			}
			page.Key = strconv.FormatInt(got.Items[len(got.Items)-1].At.UnixMilli(), 10)
		}
		for from := start; ; {
			got, err := f.store.Samples(t.Context(), f.scope, room.ID, "both", from, start.Add(24*time.Hour), size, "")
			if err != nil {
				t.Fatal(err)
			}
			sampled = append(sampled, got.Value...)
			if got.NextFrom == nil || len(sampled) > 5 {
				break
			}
			from = *got.NextFrom
		}
		if len(paged) != 5 || len(sampled) != 5 {
			t.Errorf("pages of %d give %v, samples %v", size, paged, sampled)
		}
	}
	// The end of the link is known at once.
	if _, err := f.unlink("d", "room"); err != nil {
		t.Fatal(err)
	}
	f.expect(f.send(f.byHand(room, time.Now().UTC().Add(time.Second).Truncate(time.Millisecond), map[string]any{"inside": 60.0})), 1, 0, 0, 1)
	live("inside", 60.0)
	if n := f.number(`MATCH (:Entity {id: $id})-[:HAS_SERIES]->(s:Series {measure: 'both'})-[:HAS_BUCKET]->(b) WHERE (s.manual IS NULL) <> (size(b.links) > 0) RETURN count(*)`, map[string]any{"id": string(room.ID)}); n > 0 {
		t.Errorf("%d buckets of one source are in the series of the other", n)
	}
	f.buckets(room.ID)
	f.buckets(d.ID)

	letters, err := f.store.ListDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{}, registry.PageRequest{Size: 10})
	if err != nil {
		t.Fatal(err)
	}
	got := map[registry.DeadLetterReason]int{}
	for _, l := range letters.Items {
		got[l.Reason]++
		if l.Reason == registry.ReasonFedByDevice && (l.AssetID != room.ID || l.AssetReference != "room" || l.DeviceReference != "" || l.DeviceID != "") {
			t.Errorf("dead letter = %+v", l)
		}
	}
	if len(letters.Items) != 5 || got[registry.ReasonFedByDevice] != 1 || got[registry.ReasonUnknownAsset] != 1 || got[registry.ReasonUnknownDevice] != 1 || got[registry.ReasonUndeclaredMeasure] != 1 || got[registry.ReasonConflictingValue] != 1 {
		t.Errorf("dead letters = %v", got)
	}
	reference := "room"
	of := registry.DeadLetterFilter{Asset: &reference, Brief: true}
	theirs, err := f.store.ListDeadLetters(t.Context(), f.scope, of, registry.PageRequest{Size: 10})
	n, err2 := f.store.CountDeadLetters(t.Context(), f.scope, of)
	if err != nil || err2 != nil || len(theirs.Items) != 3 || n != 3 {
		t.Errorf("%d dead letters of the asset, %d counted, %v, %v", len(theirs.Items), n, err, err2)
	}
	for _, l := range theirs.Items {
		if l.AssetReference != "room" || l.Raw != "" || l.Message == "" {
			t.Errorf("a brief dead letter of the asset: %+v", l)
		}
	}
	of.Device = &reference
	if n, err := f.store.CountDeadLetters(t.Context(), f.scope, of); err != nil || n != 0 {
		t.Errorf("%d dead letters are of a device and of an asset, %v", n, err)
	}
	tally, err := f.store.TallyDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{Asset: &reference})
	if err != nil || len(tally) != 3 {
		t.Errorf("tally %v, %v", tally, err)
	}
	if _, err := f.store.DeleteAsset(t.Context(), f.scope, registry.Ref{Kind: registry.KindAsset, Key: "room"}); err != nil {
		t.Fatal(err)
	}
	f.expect(f.send(f.byHand(room, minute(20), map[string]any{"note": "gone"})), 0, 0, 1, 0)

	_, err = f.store.CreateTemplate(t.Context(), f.scope, registry.NewTemplate{Kind: registry.KindDevice, Name: "no", Measures: []registry.MeasureDeclaration{{Name: "x", Type: "number", Manual: registry.ManualNewestWins}}})
	violates(t, err, "measures[0].manual", "kind")
}
