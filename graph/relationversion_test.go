package graph_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/holon-registry/holon/registry"
)

// versions are the changes since a position, oldest first, each as "ACTION KEY
// VERSION", with the version that the object had after it by its snapshot.
func (w world) versions(since int) []string {
	w.Helper()
	page, err := w.ListChanges(w.Context(), w.scope, registry.ChangeFilter{Direction: registry.SortAscending}, registry.PageRequest{Size: 1000})
	if err != nil {
		w.Fatal(err)
	}
	after := must(w.ObjectAfter(w.Context(), w.scope, page.Items))
	out := []string{}
	for i, c := range page.Items[since:] {
		if is := after[since+i]["version"]; fmt.Sprint(is) != fmt.Sprint(c.Version) {
			w.Errorf("%s %s has version %d, and after it %v", c.Action, c.Key, c.Version, is)
		}
		out = append(out, fmt.Sprintf("%s %s %d", c.Action, c.Key, c.Version))
	}
	return out
}

// onlyTo replaces the groups that an object is related to.
func onlyTo(paths ...string) *registry.RelationPatch {
	return &registry.RelationPatch{Replace: []registry.RelationSet{{Direction: registry.DirectionOut, Kind: registry.KindGroup, Relations: locatedAt(paths...)}}}
}

func TestRelationsRaiseVersions(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.groups("/a", "/b", "/c")
	w.device("d", "/a")
	w.device("hub")
	must(w.CreateAsset(ctx, w.scope, registry.NewTwin{Reference: "m"}))
	inwards := func(name string, from ...registry.Ref) *registry.RelationPatch {
		return &registry.RelationPatch{Add: []registry.NewRelation{{Name: name, Direction: registry.DirectionIn, To: from}}}
	}
	update := func(key string, patch registry.TwinPatch) func() (registry.Related, error) {
		return func() (registry.Related, error) { return w.UpdateDevice(ctx, w.scope, device(key), patch) }
	}
	many := func(bulk *registry.Bulk, err error) (registry.Related, error) {
		if err != nil {
			return nil, err
		}
		if bulk.Failed > 0 {
			return nil, bulk.Results[0].Error
		}
		return bulk.Results[0].Object, nil
	}
	for _, step := range []struct {
		name    string
		do      func() (registry.Related, error)
		version int
		want    []string
	}{
		{"attributes and relations", update("d", registry.TwinPatch{IfVersion: new(1), Attributes: registry.Attributes{"x": 1}, Relations: onlyTo("/b")}), 2,
			[]string{"updated d 2", "unrelated d 2", "related d 2"}},
		{"relations alone", update("d", registry.TwinPatch{IfVersion: new(2), Relations: onlyTo("/a", "/c")}), 3, []string{"unrelated d 3", "related d 3", "related d 3"}},
		{"nothing", update("d", registry.TwinPatch{IfVersion: new(3), Attributes: registry.Attributes{"x": 1}, Relations: onlyTo("/c", "/a")}), 3, []string{}},
		{"from the other end", update("hub", registry.TwinPatch{Relations: inwards("knows", device("d"))}), 2, []string{"related d 3", "updated hub 2"}},
		{"from the other end again", update("hub", registry.TwinPatch{Relations: inwards("knows", device("d"))}), 2, []string{}},
		{"by relate", func() (registry.Related, error) {
			source, _, err := w.Relate(ctx, w.scope, device("d"), "likes", device("hub"))
			return source, err
		}, 3, []string{"related d 3"}},
		{"both ends at once", func() (registry.Related, error) {
			return many(w.UpdateTwins(ctx, w.scope, registry.KindDevice, []registry.TwinEdit{
				{Ref: device("hub"), Patch: registry.TwinPatch{IfVersion: new(2), Relations: inwards("fears", device("d"))}},
				{Ref: device("d"), Patch: registry.TwinPatch{IfVersion: new(3), Attributes: registry.Attributes{"x": 2}}},
			}, true))
		}, 3, []string{"updated d 4", "related d 4", "updated hub 3"}},
		{"upsert", func() (registry.Related, error) {
			return many(w.UpsertTwins(ctx, w.scope, registry.KindAsset, []registry.TwinEdit{
				{Ref: registry.Ref{Kind: registry.KindAsset, Key: "m"}, Patch: registry.TwinPatch{IfVersion: new(1), Relations: onlyTo("/a")}},
			}, false))
		}, 2, []string{"related m 2"}},
		{"a group", func() (registry.Related, error) {
			return w.UpdateGroup(ctx, w.scope, group("/a"), registry.TwinPatch{IfVersion: new(1), Relations: &registry.RelationPatch{Add: []registry.NewRelation{leadsTo("near", group("/b"), group("/c"))}}})
		}, 2, []string{"related /a 2", "related /a 2"}},
	} {
		before := len(w.journal())
		made, err := step.do()
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := w.versions(before); !slices.Equal(got, step.want) {
			t.Errorf("%s: changes = %q, want %q", step.name, got, step.want)
		}
		read := must(w.RecordsByID(ctx, w.scope, []registry.ID{made.NodeID()}))[0].(*registry.ThingRecord)
		if got := versionOf(made); got != step.version || read.Version != step.version {
			t.Errorf("%s: version %d is answered and %d is read, want %d", step.name, got, read.Version, step.version)
		}
	}
	_, err := w.UpdateDevice(ctx, w.scope, device("d"), registry.TwinPatch{IfVersion: new(3), Relations: onlyTo("/b")})
	refused(t, err, registry.CodeConflict, "version 4")
	w.checkReplay()
}

func versionOf(thing registry.Related) int {
	switch thing := thing.(type) {
	case *registry.Device:
		return thing.Version
	case *registry.Asset:
		return thing.Version
	}
	return thing.(*registry.Group).Version
}

func TestIfVersionProtectsRelations(t *testing.T) {
	w := newWorld(t)
	w.groups("/a", "/b", "/c", "/d")
	d := w.device("d")
	var clients sync.WaitGroup
	errs := make([]error, 4)
	for i, path := range []string{"/a", "/b", "/c", "/d"} {
		clients.Go(func() {
			_, errs[i] = w.UpdateDevice(t.Context(), w.scope, device("d"), registry.TwinPatch{IfVersion: new(1), Relations: onlyTo(path)})
		})
	}
	clients.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else {
			refused(t, err, registry.CodeConflict, "version 2")
		}
	}
	read := must(w.DevicesByID(t.Context(), w.scope, []registry.ID{d.ID}))[0]
	if done != 1 || read.Version != 2 {
		t.Errorf("%d of 4 updates succeeded, and the version is %d", done, read.Version)
	}
}
