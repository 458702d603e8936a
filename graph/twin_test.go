package graph_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

func TestDeviceLife(t *testing.T) {
	w := newWorld(t)
	other := newOther(w)
	attributes := map[string]any{
		"text": "x", "whole": 3, "fraction": json.Number("0.5"), "flag": true, "nothing": nil,
		"texts": []any{"a", "b"}, "numbers": []any{1, 2.5}, "wholes": []any{json.Number("1"), 2},
		"mixed": []any{"a", 1, nil, map[string]any{"b": false}}, "empty": []any{}, "bare": map[string]any{},
		"address": map[string]any{"city": "Graz", "geo": map[string]any{"lat": 47.07, "tags": []any{"x"}}, "odd": map[string]any{"a.b": 1}},
	}
	want := map[string]any{
		"text": "x", "whole": int64(3), "fraction": 0.5, "flag": true,
		"texts": []any{"a", "b"}, "numbers": []any{1.0, 2.5}, "wholes": []any{int64(1), int64(2)},
		"mixed": []any{"a", int64(1), nil, map[string]any{"b": false}}, "empty": []any{}, "bare": map[string]any{},
		"address": map[string]any{"city": "Graz", "geo": map[string]any{"lat": 47.07, "tags": []any{"x"}}, "odd": map[string]any{"a.b": int64(1)}},
	}
	created, err := w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "urn:Dev/1", Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	var with *graph.TwinWith
	w.trips(1, "device by reference", func(ctx context.Context) (err error) {
		with, err = w.DeviceByReference(ctx, w.scope, "URN:dev/1", graph.Include{})
		return err
	})
	read := with.Twin.(*registry.Device)
	if diff := cmp.Diff(want, read.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if read.ID != created.ID || read.State != registry.StateActive || read.Version != 1 || !read.CreatedAt.Equal(created.CreatedAt) || time.Since(read.CreatedAt) > time.Minute || !with.Template.Open {
		t.Errorf("read = %+v with template %+v", read, with.Template)
	}

	_, err = w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "URN:DEV/1"})
	refused(t, err, registry.CodeConflict, "URN:DEV/1")
	if _, err := w.CreateAsset(t.Context(), w.scope, registry.NewTwin{Reference: "urn:Dev/1"}); err != nil {
		t.Errorf("an asset may have a device's reference: %v", err)
	}
	if _, err := other.CreateDevice(t.Context(), other.scope, registry.NewTwin{Reference: "urn:Dev/1"}); err != nil {
		t.Errorf("another account may have the same reference: %v", err)
	}

	state, version := registry.StateRetired, 1
	updated, err := w.UpdateDevice(t.Context(), w.scope, device("urn:dev/1"), registry.TwinPatch{
		State: &state, Description: registry.Some("old"), IfVersion: &version,
		Attributes: map[string]any{"text": nil, "mixed": nil, "address": map[string]any{"city": nil, "geo": map[string]any{"lat": 1}}, "fresh": "f"},
	})
	if err != nil || updated.State != state || updated.Version != 2 {
		t.Fatalf("updated = %+v, %v", updated, err)
	}
	delete(want, "text")
	delete(want, "mixed")
	want["address"] = map[string]any{"geo": map[string]any{"lat": int64(1), "tags": []any{"x"}}, "odd": map[string]any{"a.b": int64(1)}}
	want["fresh"] = "f"
	devices, err := w.DevicesByID(t.Context(), w.scope, []registry.ID{created.ID})
	if err != nil || *devices[0].Description != "old" {
		t.Errorf("by id = %+v, %v", devices, err)
	}
	if diff := cmp.Diff(want, devices[0].Attributes); diff != "" {
		t.Errorf("attributes after the patch (-want +got):\n%s", diff)
	}
	_, err = w.UpdateDevice(t.Context(), w.scope, device("urn:dev/1"), registry.TwinPatch{IfVersion: &version})
	refused(t, err, registry.CodeConflict, "version 2, not 1")
	cleared, err := w.UpdateDevice(t.Context(), w.scope, byID(created), registry.TwinPatch{Description: registry.Optional[string]{Set: true}})
	if err != nil || cleared.Description != nil || cleared.Version != 3 {
		t.Errorf("cleared = %+v, %v", cleared, err)
	}
	_, err = w.UpdateDevice(t.Context(), w.scope, device("ghost"), registry.TwinPatch{})
	refused(t, err, registry.CodeNotFound, "ghost")
	_, err = w.UpdateAsset(t.Context(), w.scope, registry.Ref{ID: created.ID}, registry.TwinPatch{})
	refused(t, err, registry.CodeNotFound, string(created.ID))

	_, err = other.DeleteDevice(t.Context(), other.scope, byID(created))
	refused(t, err, registry.CodeNotFound, string(created.ID))
	deleted, err := w.DeleteDevice(t.Context(), w.scope, device("URN:DEV/1"))
	if err != nil || deleted.ID != created.ID || deleted.Version != 3 {
		t.Errorf("deleted = %+v, %v", deleted, err)
	}
	_, err = w.DeviceByReference(t.Context(), w.scope, "urn:dev/1", graph.Include{Groups: true, Policies: true})
	refused(t, err, registry.CodeNotFound, "urn:dev/1")
	_, err = w.AssetByReference(t.Context(), w.scope, "ghost", graph.Include{Groups: true})
	refused(t, err, registry.CodeNotFound, "ghost")
}

func TestTwinRefusals(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		twin       registry.NewTwin
		path, rule string
	}{
		"no reference":      {registry.NewTwin{}, "reference", "format"},
		"control character": {registry.NewTwin{Reference: "a\nb"}, "reference", "invisible"},
		"state":             {registry.NewTwin{Reference: "x", State: "BROKEN"}, "state", "enum"},
		"attribute name":    {registry.NewTwin{Reference: "x", Attributes: map[string]any{"no-dash": 1}}, "attributes.no-dash", "name"},
		"built-in name":     {registry.NewTwin{Reference: "x", Attributes: map[string]any{"account": "y"}}, "attributes.account", "reserved"},
		"relation name":     {registry.NewTwin{Reference: "x", Relations: []registry.NewRelation{{Name: "Big"}}}, "relations.Big", "name"},
		"target":            {registry.NewTwin{Reference: "x", Relations: locatedAt("/ghost")}, "relations.located_at", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.CreateAsset(t.Context(), w.scope, c.twin)
			violates(t, err, c.path, c.rule)
		})
	}
	_, err := w.UpdateDevice(t.Context(), w.scope, device("x"), registry.TwinPatch{Attributes: map[string]any{"id": "y"}})
	violates(t, err, "attributes.id", "reserved")
	_, err = w.CreateAsset(t.Context(), w.scope, registry.NewTwin{Reference: "x", Template: "ghost"})
	refused(t, err, registry.CodeNotFound, "ghost")
}

func TestCreateDeviceTwiceAtOnce(t *testing.T) {
	w := newWorld(t)
	var group sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		group.Go(func() { _, errs[i] = w.CreateDevice(t.Context(), w.scope, registry.NewTwin{Reference: "one"}) })
	}
	group.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			refused(t, err, registry.CodeConflict, `"one"`)
		}
	}
	if n, err := w.CountDevices(t.Context(), w.scope, registry.Filter{}); won != 1 || n != 1 || err != nil {
		t.Errorf("%d won and %d devices exist, want 1; %v", won, n, err)
	}
}

func TestUpdatesAtOnceAreAllKept(t *testing.T) {
	w := newWorld(t)
	d := w.device("d")
	var group sync.WaitGroup
	names := []string{"a", "b", "c", "e", "f", "g"}
	for _, name := range names {
		group.Go(func() {
			if _, err := w.UpdateDevice(t.Context(), w.scope, byID(d), registry.TwinPatch{Attributes: map[string]any{name: name}}); err != nil {
				t.Errorf("update %s: %v", name, err)
			}
		})
	}
	group.Wait()
	devices, err := w.DevicesByID(t.Context(), w.scope, []registry.ID{d.ID})
	if err != nil || devices[0].Version != 1+len(names) || len(devices[0].Attributes) != len(names) {
		t.Errorf("device = %+v, %v, want version %d", devices[0], err, 1+len(names))
	}
}

// measured gives twins a series each that share buckets of measurements.
func (w world) measured(buckets, measurements int, twins ...registry.Related) {
	w.Helper()
	ids := []string{}
	for _, twin := range twins {
		ids = append(ids, string(twin.NodeID()))
	}
	_, err := w.Cypher(w.Context(), w.scope, `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		CREATE (n)-[:HAS_SERIES]->(s:Series {id: id + '-s', key: id + '-s', measure: 't'})
		WITH collect(s) AS series
		UNWIND range(1, $buckets) AS b
		CREATE (bucket:Bucket {from: b, to: b + 1, account: $account})
		FOREACH (s IN series | CREATE (s)-[:HAS_BUCKET]->(bucket))
		FOREACH (at IN range(1, $measurements) | CREATE (bucket)-[:HAS_MEASUREMENT]->(:Measurement {at: at, value: 1.0, account: $account}))`,
		map[string]any{"ids": ids, "buckets": buckets, "measurements": measurements})
	if err != nil {
		w.Fatal(err)
	}
}

// left counts what is in the account of a label.
func (w world) left(label string) int64 {
	w.Helper()
	rows, err := w.Cypher(w.Context(), w.scope, "MATCH (n:"+label+") WHERE n.account = $account RETURN count(n) AS n", nil)
	if err != nil {
		w.Fatal(err)
	}
	return rows[0]["n"].(int64)
}

func TestDeleteDeviceKeepsWhatAssetsShare(t *testing.T) {
	w := newWorld(t)
	lone, shared := w.device("lone"), w.device("shared")
	a := must(w.CreateAsset(t.Context(), w.scope, registry.NewTwin{Reference: "a"}))
	w.measured(3, 450, lone)
	w.measured(2, 10, shared, a)

	before := must(w.Cypher(t.Context(), w.scope, `MATCH (p:Partition) RETURN sum(p.topology) AS n`, nil))[0]["n"].(int64)
	if _, err := w.DeleteDevice(t.Context(), w.scope, byID(lone)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DeleteDevice(t.Context(), w.scope, byID(shared)); err != nil {
		t.Fatal(err)
	}
	after := must(w.Cypher(t.Context(), w.scope, `MATCH (p:Partition) RETURN sum(p.topology) AS n`, nil))[0]["n"].(int64)
	if after < before+2 {
		t.Errorf("the partitions' topology went from %d to %d, want 2 more", before, after)
	}
	if buckets, measurements, orphans := w.left("Bucket"), w.left("Measurement"), w.left("Orphaned"); buckets != 2 || measurements != 20 || orphans != 0 {
		t.Errorf("left: %d buckets, %d measurements, %d orphaned series; want 2, 20 and 0", buckets, measurements, orphans)
	}
	if _, err := w.DeleteAsset(t.Context(), w.scope, byID(a)); err != nil {
		t.Fatal(err)
	}
	if buckets, measurements := w.left("Bucket"), w.left("Measurement"); buckets != 0 || measurements != 0 {
		t.Errorf("left after the asset: %d buckets, %d measurements", buckets, measurements)
	}
}

func TestDeletionGoesOnWithWhatWasLeft(t *testing.T) {
	w := newWorld(t)
	d := w.device("d")
	w.measured(1, 5, d)
	// As if the process had ended between the two steps of a deletion.
	if _, err := w.Cypher(t.Context(), w.scope, `MATCH (n:Entity {id: $id})-[:HAS_SERIES]->(s) SET s:Orphaned, s.account = $account DETACH DELETE n`, map[string]any{"id": string(d.ID)}); err != nil {
		t.Fatal(err)
	}
	other := w.device("other")
	if _, err := w.DeleteDevice(t.Context(), w.scope, byID(other)); err != nil {
		t.Fatal(err)
	}
	if n := w.left("Measurement") + w.left("Bucket") + w.left("Orphaned"); n != 0 {
		t.Errorf("%d nodes are left", n)
	}
}

func TestDeletionOfMuchGoesOnInTheBackground(t *testing.T) {
	w := newWorld(t)
	d := w.device("d")
	w.measured(45, 800, d)
	if _, err := w.DeleteDevice(t.Context(), w.scope, byID(d)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); w.left("Orphaned") > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute %d measurements are left", w.left("Measurement"))
		}
	}
	if n := w.left("Measurement") + w.left("Bucket"); n != 0 {
		t.Errorf("%d nodes are left", n)
	}
}
