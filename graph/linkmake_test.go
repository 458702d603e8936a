package graph_test

import (
	"slices"
	"testing"
	"time"

	"github.com/holon-registry/holon/registry"
)

func TestTakeOver(t *testing.T) {
	t.Parallel()
	f := newField(t)
	one, two := f.device("one", ""), f.device("two", "")
	a := f.asset("a", "")
	start := morning()
	x, y, z := registry.MeasureMapping{Device: "x", Asset: "x"}, registry.MeasureMapping{Device: "y", Asset: "y"}, registry.MeasureMapping{Device: "z", Asset: "z"}
	first := f.mustLink("one", "a", start, x)
	// More measures: one link of all of them.
	both := f.makeLink(registry.NewLink{}, "one", "a", x, y)
	links, err := f.store.LinksOf(t.Context(), f.scope, []registry.ID{a.ID})
	if err != nil || len(links[0]) != 2 || links[0][0].ID != both.Link.ID || len(both.Link.Measures) != 2 || links[0][1].ID != first.ID || links[0][1].Until == nil {
		t.Fatalf("links = %+v, %v", links, err)
	}
	if same := f.makeLink(registry.NewLink{}, "one", "a", y); same.Link.ID != both.Link.ID {
		t.Errorf("nothing new = %+v", same.Link)
	}
	// Another device takes one measure over; a refusal leaves nothing.
	if _, err := f.link("two", "a", nil, x, z); registry.CodeOf(err) != registry.CodeFailedPrecondition {
		t.Errorf("taken without replace: %v", err)
	}
	now := time.Now().UTC().Truncate(time.Millisecond).Add(time.Minute)
	f.send(f.reading(one, now, map[string]any{"x": 1.0, "y": 2.0}))
	over := f.makeLink(registry.NewLink{Replace: true}, "two", "a", x, z)
	if len(over.Ended) != 1 || over.Ended[0].ID != both.Link.ID || !over.Ended[0].Until.Equal(now.Add(time.Millisecond)) || !over.Link.Since.Before(now.Add(-30*time.Second)) {
		t.Errorf("taken over = %+v", over)
	}
	// The first value of the new one is older than the last of the old one, whose
	// clock is ahead: both are the asset's, and the newer one is the newest.
	between := now.Add(-20 * time.Second)
	f.send(f.reading(two, between, map[string]any{"x": 9.0}))
	f.expectSamples(a.ID, "x", at(between, 9.0), at(now, 1.0))
	if live, err := f.store.LiveOf(t.Context(), f.scope, []registry.ID{a.ID}); err != nil || len(live[0]) != 2 || live[0][0].Value != 1.0 {
		t.Errorf("live = %v, %v", live, err)
	}
	later := now.Add(time.Minute)
	f.send(f.reading(one, later, map[string]any{"x": 3.0, "y": 4.0}))
	f.send(f.reading(two, later, map[string]any{"x": 5.0, "z": 6.0}))
	f.expectSamples(a.ID, "x", at(between, 9.0), at(now, 1.0), at(later, 5.0))
	f.expectSamples(a.ID, "y", at(now, 2.0), at(later, 4.0))
	// A part of a link ends.
	ended, err := f.store.EndLink(t.Context(), f.scope, registry.EndLink{Device: registry.Ref{Key: "two"}, Asset: registry.Ref{Key: "a"}, Measures: []string{"z"}})
	if err != nil || ended.Link.ID != over.Link.ID || ended.Remaining == nil || !slices.Equal(ended.Remaining.Measures, []registry.MeasureMapping{x}) {
		t.Fatalf("unlinked a part = %+v, %v", ended, err)
	}
	_, err = f.store.EndLink(t.Context(), f.scope, registry.EndLink{Device: registry.Ref{Key: "two"}, Asset: registry.Ref{Key: "a"}, Measures: []string{"z"}})
	violates(t, err, "measures[0]", "unmapped")
	// Replaced as a whole, with what the old one fed.
	instead := registry.Ref{Kind: registry.KindDevice, Key: "one"}
	f.device("three", "")
	replaced := f.makeLink(registry.NewLink{Instead: &instead}, "three", "a")
	if len(replaced.Ended) != 1 || replaced.Ended[0].DeviceID != one.ID || !slices.Equal(replaced.Link.Measures, []registry.MeasureMapping{y}) {
		t.Errorf("replaced = %+v", replaced)
	}
	f.buckets(a.ID)
}

// TestLinkRehearsal rehearses links, and makes them after this and that.
func TestLinkRehearsal(t *testing.T) {
	t.Parallel()
	f := newField(t)
	d, old := f.device("d", ""), f.device("old", "")
	a := f.asset("a", "")
	now := time.Now().UTC().Truncate(time.Millisecond)
	since := now.Add(-3 * time.Hour)
	x, y := registry.MeasureMapping{Device: "x", Asset: "x"}, registry.MeasureMapping{Device: "y", Asset: "y"}
	first := f.mustLink("old", "a", since.Add(-time.Hour), x, y)
	f.send(f.reading(old, since.Add(time.Hour), map[string]any{"x": 0.5, "y": true}))
	for i := range 4 {
		f.send(f.reading(d, since.Add(time.Duration(i-1)*30*time.Minute), map[string]any{"x": float64(i), "z": "z"}))
	}
	n := registry.NewLink{Since: &since, Replace: true}
	try := func() string {
		t.Helper()
		rehearsed := n
		rehearsed.Rehearse = true
		out := f.makeLink(rehearsed, "d", "a", x)
		if len(out.Ended) != 1 || out.Ended[0].ID != first.ID || !out.Ended[0].Until.After(since.Add(time.Hour)) || out.Moved.Buckets == 0 || out.Link != nil {
			t.Fatalf("rehearsal = %+v", out)
		}
		return out.Token
	}
	make := func(token string, n registry.NewLink, measures ...registry.MeasureMapping) (*registry.Linked, error) {
		scope := f.scope
		scope.Token = token
		n.Device, n.Asset, n.Measures = registry.Ref{Kind: registry.KindDevice, Key: "d"}, registry.Ref{Kind: registry.KindAsset, Key: "a"}, measures
		return f.store.MakeLink(t.Context(), scope, n)
	}
	token := try()
	if _, err := make(token, n, x, y); registry.CodeOf(err) != registry.CodeInvalid {
		t.Errorf("the token of another link: %v", err)
	}
	f.send(f.reading(d, since.Add(45*time.Minute), map[string]any{"x": 45.0}))
	if _, err := make(token, n, x); registry.CodeOf(err) != registry.CodeConflict {
		t.Errorf("after a late value: %v", err)
	}
	token = try()
	f.send(f.reading(old, since.Add(2*time.Hour), map[string]any{"y": false}))
	if _, err := f.store.EndLink(t.Context(), f.scope, registry.EndLink{Device: registry.Ref{Key: "old"}, Asset: registry.Ref{Key: "a"}, Measures: []string{"y"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := make(token, n, x); registry.CodeOf(err) != registry.CodeConflict && registry.CodeOf(err) != registry.CodeFailedPrecondition {
		t.Errorf("after other links: %v", err)
	}
	if got := f.samples(a.ID, "x"); len(got) != 1 {
		t.Errorf("refused links moved %v", got)
	}
	// What is measured after the rehearsal is no reason to refuse.
	ended, err := f.unlink("old", "a")
	if err != nil {
		t.Fatal(err)
	}
	since = ended.Until.Add(time.Minute)
	n = registry.NewLink{Since: &since}
	f.send(f.reading(d, since.Add(time.Minute), map[string]any{"x": 1.0}))
	rehearsed := n
	rehearsed.Rehearse = true
	token = f.makeLink(rehearsed, "d", "a", x).Token
	f.send(f.reading(d, since.Add(2*time.Minute), map[string]any{"x": 2.0}), f.reading(d, since.Add(90*time.Minute), map[string]any{"x": 3.0}))
	linked, err := make(token, n, x)
	if err != nil || linked.Moved.Measurements != 3 {
		t.Fatalf("linked = %+v, %v", linked, err)
	}
	if got := f.samples(a.ID, "x"); len(got) != 4 {
		t.Errorf("the asset has %v, and asked again %v in %d buckets; the device has %v in %d buckets",
			got, f.samples(a.ID, "x"), f.buckets(a.ID), f.samples(d.ID, "x"), f.buckets(d.ID))
	}
}

// TestLinkAhead refuses links that begin when nothing can be measured yet.
func TestLinkAhead(t *testing.T) {
	t.Parallel()
	f := newField(t)
	d, fast := f.device("d", ""), f.device("fast", "")
	f.device("e", "")
	a := f.asset("a", "")
	f.asset("b", "")
	now := time.Now().UTC().Truncate(time.Millisecond)
	far := now.AddDate(36, 0, 0)
	x := registry.MeasureMapping{Device: "x", Asset: "x"}
	try := func(n registry.NewLink, device, asset string) error {
		n.Device, n.Asset, n.Measures = registry.Ref{Kind: registry.KindDevice, Key: device}, registry.Ref{Kind: registry.KindAsset, Key: asset}, []registry.MeasureMapping{x}
		_, err := f.store.MakeLink(t.Context(), f.scope, n)
		return err
	}
	instead := registry.Ref{Kind: registry.KindDevice, Key: "d"}
	violates(t, try(registry.NewLink{Since: &far}, "d", "a"), "since", "future")
	violates(t, try(registry.NewLink{Since: &far, Rehearse: true}, "d", "a"), "since", "future")
	first := f.mustLink("d", "a", now.Add(-time.Hour), x)
	violates(t, try(registry.NewLink{Since: &far}, "d", "a"), "since", "future")
	violates(t, try(registry.NewLink{Since: &far, Instead: &instead}, "e", "a"), "at", "future")
	// A link of earlier days that begins so late: it is in nobody's way once it ended.
	f.number(`MATCH (:Entity {id: $id})-[l:LINKED_TO {id: $link}]->() SET l.since = $since RETURN 1`, map[string]any{"id": string(d.ID), "link": string(first.ID), "since": far.UnixMilli()})
	if err := try(registry.NewLink{Replace: true}, "e", "a"); registry.CodeOf(err) != registry.CodeFailedPrecondition {
		t.Errorf("taken over in the future: %v", err)
	}
	if _, err := f.unlink("d", "a"); err != nil {
		t.Fatal(err)
	}
	if l, err := f.link("d", "a", nil, x); err != nil || !l.Since.Before(now.Add(registry.FutureTolerance)) {
		t.Errorf("the next link = %+v, %v", l, err)
	}
	in := time.Now().UTC().Truncate(time.Millisecond).Add(time.Second)
	f.send(f.reading(d, in, map[string]any{"x": 1.0}))
	f.expectSamples(a.ID, "x", at(in, 1.0))
	// Measured in the future: without a time the link would begin after that.
	f.send(f.reading(fast, now.Add(time.Hour), map[string]any{"x": 1.0}))
	if err := try(registry.NewLink{}, "fast", "b"); registry.CodeOf(err) != registry.CodeFailedPrecondition {
		t.Errorf("a link that begins in an hour: %v", err)
	}
	f.mustLink("fast", "b", now, x)
}

// TestLinkAgain links two again that are linked.
func TestLinkAgain(t *testing.T) {
	t.Parallel()
	f := newField(t)
	f.device("d", "")
	f.device("e", "")
	f.asset("a", "")
	start := morning()
	x, y := registry.MeasureMapping{Device: "x", Asset: "x"}, registry.MeasureMapping{Device: "y", Asset: "y"}
	first := f.mustLink("d", "a", start, x)
	for _, since := range []*time.Time{nil, &start, new(start.Add(time.Hour))} {
		if l, err := f.link("d", "a", since, x); err != nil || l.ID != first.ID {
			t.Errorf("linked again since %v = %+v, %v", since, l, err)
		}
	}
	// A device that takes the place of another for what it measures already.
	f.mustLink("e", "a", start, y)
	_, err := f.store.MakeLink(t.Context(), f.scope, registry.NewLink{
		Device: registry.Ref{Kind: registry.KindDevice, Key: "d"}, Asset: registry.Ref{Kind: registry.KindAsset, Key: "a"},
		Instead: &registry.Ref{Kind: registry.KindDevice, Key: "e"}, Measures: []registry.MeasureMapping{x},
	})
	violates(t, err, "measures", "duplicate")
}

func TestOneAsset(t *testing.T) {
	t.Parallel()
	f := newField(t)
	number := registry.MeasureDeclaration{Name: "t", Type: "number", Unit: "Cel"}
	_, err := f.store.CreateTemplate(t.Context(), f.scope, registry.NewTemplate{
		Kind: registry.KindDevice, Name: "probe", Measures: []registry.MeasureDeclaration{number, {Name: "mode", Type: "string"}}, Behaviour: registry.Behaviour{OneAsset: true}, Publish: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.template(registry.KindAsset, "room", number, registry.MeasureDeclaration{Name: "u", Type: "number", Unit: "Cel"})
	f.template(registry.KindAsset, "odd", registry.MeasureDeclaration{Name: "t", Type: "number", Unit: "m"}, registry.MeasureDeclaration{Name: "mode", Type: "boolean"})
	f.device("d", "probe")
	for _, reference := range []string{"a", "b", "c"} {
		f.asset(reference, "room")
	}
	f.asset("odd", "odd")
	yesterday := time.Now().UTC().AddDate(0, 0, -1)
	refused := func(code registry.Code, device, asset string, since *time.Time, measures ...registry.MeasureMapping) {
		t.Helper()
		if _, err := f.link(device, asset, since, measures...); registry.CodeOf(err) != code {
			t.Errorf("link %s to %s: %v, want %s", device, asset, err, code)
		}
	}
	link, err := f.link("d", "a", &yesterday)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(link.Measures, []registry.MeasureMapping{{Device: "t", Asset: "t"}}) {
		t.Errorf("what agrees = %v", link.Measures)
	}
	refused(registry.CodeFailedPrecondition, "d", "b", nil)
	refused(registry.CodeInvalid, "d", "a", nil, registry.MeasureMapping{Device: "t", Asset: "u"})
	if _, err := f.unlink("d", "a"); err != nil {
		t.Fatal(err)
	}
	hourAgo := time.Now().Add(-time.Hour)
	refused(registry.CodeFailedPrecondition, "d", "b", &hourAgo)
	if _, err := f.link("d", "b", nil); err != nil {
		t.Errorf("after it was unlinked: %v", err)
	}
	// Neither a type nor a unit agrees: it says which, and links nothing.
	_, err = f.link("d", "odd", nil)
	violates(t, err, "t", "unit")
	violates(t, err, "mode", "type")
	links, err := f.store.LinksOf(t.Context(), f.scope, []registry.ID{link.DeviceID})
	if err != nil || len(links[0]) != 2 {
		t.Errorf("links = %v, %v", links, err)
	}
	err = func() error {
		_, err := f.store.CreateTemplate(t.Context(), f.scope, registry.NewTemplate{Kind: registry.KindAsset, Name: "no", Behaviour: registry.Behaviour{OneAsset: true}})
		return err
	}()
	violates(t, err, "manyAssets", "kind")
}
