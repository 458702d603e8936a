package graph_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// ended are the changes since a position, oldest first, each as "ACTION KIND KEY"
// with the relations that it says ended.
func (w world) ended(since int) []string {
	w.Helper()
	page, err := w.ListChanges(w.Context(), w.scope, registry.ChangeFilter{Direction: registry.SortAscending}, registry.PageRequest{Size: 1000})
	if err != nil {
		w.Fatal(err)
	}
	out := []string{}
	for _, c := range page.Items[since:] {
		text := fmt.Sprintf("%s %s %s", c.Action, c.Kind, c.Key)
		for _, d := range c.Differences {
			if end, ok := d.Before.(map[string]any); ok && d.After == nil && end["direction"] == "OUT" {
				text += fmt.Sprintf(", %s %v %v", d.Path, end["kind"], end["key"])
			}
		}
		out = append(out, text)
	}
	return out
}

func TestDeletionsTellOfRelations(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	asset := func(key string) registry.Ref { return registry.Ref{Kind: registry.KindAsset, Key: key} }
	w.groups("/a/b", "/c", "/d")
	for _, reference := range []string{"m1", "m2"} {
		must(w.CreateAsset(ctx, w.scope, registry.NewTwin{Reference: reference}))
	}
	for _, reference := range []string{"d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8"} {
		w.device(reference)
	}
	must(w.CreateComponent(ctx, w.scope, device("d3"), registry.NewComponent{Name: "part"}))
	for _, r := range []struct {
		from registry.Ref
		name string
		to   registry.Ref
	}{
		{device("d2"), "knows", device("d1")}, {device("d2"), "fears", device("d1")}, {device("d1"), "knows", device("d4")}, {device("d1"), "knows", device("d1")},
		{device("d4"), "knows", device("d3/part")}, {device("d3/part"), "feeds", asset("m1")},
		{device("d4"), "mounted_on", asset("m1")}, {asset("m2"), "beside", asset("m1")}, {group("/d"), "owns", asset("m1")},
		{device("d5"), "knows", device("d6")}, {device("d7"), "knows", device("d5")}, {device("d4"), "knows", device("d6")},
		{device("d7"), "knows", device("d8")}, {group("/d"), "owns", device("d8")},
		{group("/c"), "near", group("/a/b")}, {group("/a"), "near", group("/a/b")}, {group("/a/b"), "near", group("/c")}, {group("/a/b"), "near", device("d4")},
		{group("/d"), "near", group("/c")}, {group("/c"), "near", device("d4")},
	} {
		if _, _, err := w.Relate(ctx, w.scope, r.from, r.name, r.to); err != nil {
			t.Fatalf("%v: %v", r, err)
		}
	}
	for _, step := range []struct {
		name string
		do   func() error
		want []string
	}{
		{"a device", func() error { _, err := w.DeleteDevice(ctx, w.scope, device("d1")); return err }, []string{
			"unrelated DEVICE d2, relations.fears DEVICE d1, relations.knows DEVICE d1",
			"deleted DEVICE d1, relations.knows DEVICE d1, relations.knows DEVICE d4",
		}},
		{"a device with a component", func() error { _, err := w.DeleteDevice(ctx, w.scope, device("d3")); return err }, []string{
			"unrelated DEVICE d4, relations.knows DEVICE d3/part",
			"deleted DEVICE d3/part, relations.feeds ASSET m1", "deleted DEVICE d3",
		}},
		{"an asset", func() error { _, err := w.DeleteAsset(ctx, w.scope, asset("m1")); return err }, []string{
			"unrelated ASSET m2, relations.beside ASSET m1", "unrelated DEVICE d4, relations.mounted_on ASSET m1",
			"unrelated GROUP /d, relations.owns ASSET m1", "deleted ASSET m1",
		}},
		{"many devices", func() error {
			_, _, err := w.DeleteTwins(ctx, w.scope, registry.KindDevice, []registry.Ref{device("d6"), device("d5")}, false)
			return err
		}, []string{
			"unrelated DEVICE d4, relations.knows DEVICE d6", "unrelated DEVICE d7, relations.knows DEVICE d5",
			"deleted DEVICE d6", "deleted DEVICE d5, relations.knows DEVICE d6",
		}},
		{"groups", func() error {
			_, err := w.DeleteGroup(ctx, w.scope, group("/a"), registry.GroupDeletion{Cascade: true})
			return err
		}, []string{
			"unrelated GROUP /c, relations.near GROUP /a/b",
			"deleted GROUP /a/b, relations.near GROUP /c, relations.near DEVICE d4", "deleted GROUP /a, relations.near GROUP /a/b",
		}},
		{"what a search finds", func() error {
			_, err := w.DeleteMatching(ctx, w.scope, registry.Search{Where: "reference == 'd8' or path == '/c'"})
			return err
		}, []string{
			"unrelated DEVICE d7, relations.knows DEVICE d8", "unrelated GROUP /d, relations.owns DEVICE d8", "deleted DEVICE d8",
			"unrelated GROUP /d, relations.near GROUP /c", "deleted GROUP /c, relations.near DEVICE d4",
		}},
	} {
		before := len(w.journal())
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, w.ended(before)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	w.checkReplay()
}
