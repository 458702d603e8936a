package graph_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

func (f *field) makeLink(n registry.NewLink, device, asset string, measures ...registry.MeasureMapping) *registry.Linked {
	f.Helper()
	n.Device, n.Asset, n.Measures = registry.Ref{Kind: registry.KindDevice, Key: device}, registry.Ref{Kind: registry.KindAsset, Key: asset}, measures
	linked, err := f.store.MakeLink(f.Context(), f.scope, n)
	if err != nil {
		f.Fatalf("link %s to %s: %v", device, asset, err)
	}
	return linked
}

// moveLater gives the test a store of its own that leaves moves of links to it, a
// few buckets a turn: other tests expect theirs to be made at once.
func (f *field) moveLater(buckets int) {
	f.Helper()
	store, err := graph.Open(f.Context(), testkit.Config(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { store.Close(context.Background()) })
	store.MoveLater(buckets)
	f.store = store
}

// TestBackDatedLink links into the past, stops in the middle, goes on while late
// values arrive, and compares the asset's history with the device's.
func TestBackDatedLink(t *testing.T) {
	t.Parallel()
	f := newField(t)
	f.moveLater(3)
	d, a, b := f.device("d", ""), f.asset("a", ""), f.asset("b", "")
	start := morning().AddDate(0, 0, -6)
	send := func(n int, from time.Time, step time.Duration) {
		var readings []registry.AcceptedReading
		for i := range n {
			values := map[string]any{"x": float64(i), "y": i%2 == 0, "z": "z"}
			readings = append(readings, f.reading(d, from.Add(time.Duration(i)*step), values))
		}
		f.send(readings...)
	}
	send(3, start, 10*time.Second)
	f.mustLink("d", "b", start.Add(time.Minute), registry.MeasureMapping{Device: "x", Asset: "bx"})
	send(200, start.Add(2*time.Minute), 41*time.Minute)
	if _, err := f.store.SealAccount(t.Context(), f.scope); err != nil {
		t.Fatal(err)
	}
	since := start.Add(30*time.Hour + 20*time.Minute)
	mapping := []registry.MeasureMapping{{Device: "x", Asset: "ax"}, {Device: "y", Asset: "ay"}}
	after := func(measure string) []sample {
		return slices.DeleteFunc(f.samples(d.ID, measure), func(s sample) bool { return s.At < since.UnixMilli() })
	}
	want := registry.Moved{Measurements: len(after("x")) + len(after("y"))}
	tried := f.makeLink(registry.NewLink{Since: &since, Rehearse: true}, "d", "a", mapping...)
	if tried.Link != nil || tried.Token == "" || tried.Moved.Measurements != want.Measurements || tried.Moved.Buckets == 0 {
		t.Fatalf("rehearsal = %+v, want %+v", tried, want)
	}
	if n := len(f.samples(a.ID, "ax")); n != 0 {
		t.Fatalf("a rehearsal moved %d measurements", n)
	}
	linked := f.makeLink(registry.NewLink{Since: &since}, "d", "a", mapping...)
	if linked.Moved != tried.Moved {
		t.Errorf("moved = %+v, rehearsed %+v", linked.Moved, tried.Moved)
	}
	r := rand.New(rand.NewPCG(1, 2))
	if !linked.Link.Moving {
		t.Error("one turn moved everything")
	}
	turns := 0
	for more := true; more; turns++ {
		// New and late values between any two turns, by an owner that remembers and
		// by one that does not.
		var readings []registry.AcceptedReading
		for range 6 {
			readings = append(readings, f.reading(d, start.Add(time.Duration(r.IntN(200*41*60))*time.Second+time.Millisecond), map[string]any{"x": r.Float64(), "y": true}))
		}
		f.send(readings...)
		f.send(f.reading(d, time.Now().UTC().Add(time.Duration(turns)*time.Second).Truncate(time.Millisecond), map[string]any{"x": 7.0}))
		if turns%2 == 0 {
			f.partitions = map[int]*graph.Partition{}
		}
		var err error
		if more, err = f.store.MoveOn(t.Context(), f.scope, linked.Link); err != nil {
			t.Fatal(err)
		}
	}
	f.send(f.reading(d, since.Add(time.Second), map[string]any{"x": -1.0}), f.reading(d, since.Add(-time.Second), map[string]any{"x": -2.0}))
	for from, to := range map[string]string{"x": "ax", "y": "ay"} {
		if diff := gocmp.Diff(after(from), f.samples(a.ID, to)); diff != "" {
			t.Errorf("%s of the asset (-device +asset):\n%s", to, diff)
		}
	}
	whole := slices.DeleteFunc(f.samples(d.ID, "x"), func(s sample) bool { return s.At < start.Add(time.Minute).UnixMilli() })
	if diff := gocmp.Diff(whole, f.samples(b.ID, "bx")); diff != "" {
		t.Errorf("the other asset (-device +asset):\n%s", diff)
	}
	for _, twin := range []registry.ID{d.ID, a.ID, b.ID} {
		f.buckets(twin)
	}
	if n := f.number(`MATCH (:Entity {id: $id})-[:HAS_SERIES]->(s)-[:HAS_BUCKET]->(b) MATCH (s)-[:HAS_BUCKET]->(c)
		WHERE b <> c AND EXISTS { (c)-[:HAS_MEASUREMENT]->(m) WHERE b.first <= m.at AND m.at <= COLLECT { MATCH (b)-[:HAS_MEASUREMENT]->(x) RETURN max(x.at) }[0] } RETURN count(*)`, map[string]any{"id": string(d.ID)}); n > 0 {
		t.Errorf("%d pairs of buckets hold values between each other's", n)
	}
	live, err := f.store.LiveOf(t.Context(), f.scope, []registry.ID{a.ID, d.ID})
	if err != nil || len(live[0]) != 2 || live[0][0].Value != live[1][0].Value {
		t.Errorf("live = %v, %v", live, err)
	}
	if again, err := f.store.MoveOn(t.Context(), f.scope, linked.Link); err != nil || again {
		t.Errorf("a move that is done = %v, %v", again, err)
	}
}

// TestEarlierBeginning lets a link begin earlier, twice, with values on both
// sides of each beginning in one bucket.
func TestEarlierBeginning(t *testing.T) {
	f := newField(t)
	f.moveLater(2)
	d, a := f.device("d", ""), f.asset("a", "")
	f.device("other", "")
	start := morning().AddDate(0, 0, -9)
	send := func(from, to int) {
		t.Helper()
		var readings []registry.AcceptedReading
		for i := from; i < to; i++ {
			readings = append(readings, f.reading(d, start.Add(time.Duration(i)*67*time.Minute), map[string]any{"x": float64(i), "y": float64(-i)}))
		}
		f.send(readings...)
	}
	when := func(i int) time.Time { return start.Add(time.Duration(i)*67*time.Minute - time.Minute) }
	x, y := registry.MeasureMapping{Device: "x", Asset: "x"}, registry.MeasureMapping{Device: "y", Asset: "y"}
	since := func(i int) registry.NewLink { return registry.NewLink{Since: new(when(i))} }
	move := func(l *registry.Link) {
		t.Helper()
		for more := l.Moving; more; {
			var err error
			if more, err = f.store.MoveOn(t.Context(), f.scope, l); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(measure string, from int) {
		t.Helper()
		want := slices.DeleteFunc(f.samples(d.ID, measure), func(s sample) bool { return s.At < when(from).UnixMilli() })
		if diff := gocmp.Diff(want, f.samples(a.ID, measure)); diff != "" || len(want) == 0 {
			t.Errorf("%s since %d, %d of them (-device +asset):\n%s", measure, from, len(want), diff)
		}
	}
	send(0, 100)
	held := f.makeLink(since(100), "d", "a", x, y)
	send(100, 150)
	tried := since(80)
	tried.Rehearse = true
	rehearsed := f.makeLink(tried, "d", "a", x)
	scope := f.scope
	scope.Token = rehearsed.Token
	n := since(80)
	n.Device, n.Asset, n.Measures = registry.Ref{Kind: registry.KindDevice, Key: "d"}, registry.Ref{Kind: registry.KindAsset, Key: "a"}, []registry.MeasureMapping{x}
	before, err := f.store.MakeLink(t.Context(), scope, n)
	if err != nil {
		t.Fatal(err)
	}
	if before.Moved.Measurements != 20 || before.Moved != rehearsed.Moved || before.Link.ID == held.Link.ID || !before.Link.Since.Equal(when(80)) ||
		before.Link.Until == nil || !before.Link.Until.Equal(held.Link.Since) || !slices.Equal(before.Link.Measures, []registry.MeasureMapping{x}) || len(before.Ended) > 0 {
		t.Errorf("preceded = %+v %+v, rehearsed %+v", before, before.Link, rehearsed)
	}
	move(before.Link)
	check("x", 80)
	check("y", 100)
	// What is there already is not made again, and the next one precedes both.
	if again := f.makeLink(since(80), "d", "a", x); again.Link.ID != held.Link.ID || again.Moved.Measurements > 0 {
		t.Errorf("again = %+v", again)
	}
	first := f.makeLink(since(3), "d", "a", x)
	if first.Moved.Measurements != 77 || !first.Link.Until.Equal(before.Link.Since) || !first.Link.Moving {
		t.Fatalf("first = %+v %+v", first, first.Link)
	}
	// Values that come late while it is moved, repeats, and those of now.
	if _, err := f.link("d", "a", &start, x); registry.CodeOf(err) != registry.CodeFailedPrecondition {
		t.Errorf("an earlier beginning while another is moved: %v", err)
	}
	late := func() {
		t.Helper()
		for _, i := range []int{2, 3, 40, 79, 80, 99, 100, 120} {
			f.send(f.reading(d, when(i).Add(-time.Second), map[string]any{"x": 0.5}), f.reading(d, when(i).Add(time.Second), map[string]any{"x": 1.5}))
		}
		f.partitions = map[int]*graph.Partition{}
	}
	late()
	move(first.Link)
	late()
	send(0, 150)
	send(150, 155)
	check("x", 3)
	check("y", 100)
	if n := f.nodes(d.ID); n != 2*155+16 {
		t.Errorf("%d measurements, want %d", n, 2*155+16)
	}
	live, err := f.store.LiveOf(t.Context(), f.scope, []registry.ID{a.ID})
	if err != nil || len(live[0]) != 2 || live[0][0].Value != 154.0 {
		t.Errorf("live = %v, %v", live, err)
	}
	f.buckets(d.ID)
	f.buckets(a.ID)
	// Another device had the measure before.
	w := registry.MeasureMapping{Device: "w", Asset: "w"}
	f.asset("b", "")
	f.mustLink("other", "b", start, w)
	ended, err := f.unlink("other", "b")
	if err != nil {
		t.Fatal(err)
	}
	f.mustLink("d", "b", ended.Until.Add(time.Second), w)
	if _, err := f.link("d", "b", &start, w); registry.CodeOf(err) != registry.CodeFailedPrecondition {
		t.Errorf("a beginning before another device's end: %v", err)
	}
}

// TestMoveGoesOn cuts a move off again and again, wherever it is, and looks for
// what was lost or doubled.
func TestMoveGoesOn(t *testing.T) {
	t.Parallel()
	f := newField(t)
	f.moveLater(2)
	d, a := f.device("d", ""), f.asset("a", "")
	start := morning().AddDate(0, 0, -12)
	var readings []registry.AcceptedReading
	for i := range 240 {
		readings = append(readings, f.reading(d, start.Add(time.Duration(i)*67*time.Minute), map[string]any{"x": float64(i)}))
	}
	f.send(readings...)
	since := start.Add(100 * time.Minute)
	linked := f.makeLink(registry.NewLink{Since: &since}, "d", "a", registry.MeasureMapping{Device: "x", Asset: "x"})
	moving := func() bool {
		links, err := f.store.LinksOf(t.Context(), f.scope, []registry.ID{d.ID})
		if err != nil || len(links[0]) != 1 {
			t.Fatalf("links = %v, %v", links, err)
		}
		return links[0][0].Moving
	}
	if !linked.Link.Moving || !moving() {
		t.Fatal("nothing is left to move")
	}
	// The asset's history would be cut off where the move is.
	if _, err := f.store.DeleteDevice(t.Context(), f.scope, registry.Ref{Kind: registry.KindDevice, Key: "d"}); registry.CodeOf(err) != registry.CodeFailedPrecondition {
		t.Errorf("deleted while its measurements are moved: %v", err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for i := 0; moving(); i++ {
		ctx, stop := context.WithCancel(t.Context())
		if i%3 > 0 {
			after := time.AfterFunc(time.Duration(r.IntN(12_000))*time.Microsecond, stop)
			defer after.Stop()
		}
		if _, err := f.store.MoveOn(ctx, f.scope, linked.Link); err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
		stop()
		if i == 9 { // the rest is a worker's, which looks for what others left
			for more := true; more; {
				var err error
				if more, err = f.store.MoveSome(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	want := slices.DeleteFunc(f.samples(d.ID, "x"), func(s sample) bool { return s.At < since.UnixMilli() })
	if diff := gocmp.Diff(want, f.samples(a.ID, "x")); diff != "" || len(want) != 238 {
		t.Errorf("the asset has %d (-device +asset):\n%s", len(want), diff)
	}
	if n := f.nodes(d.ID); n != 240 {
		t.Errorf("%d measurements, want 240", n)
	}
	if n := f.number(`MATCH (:Entity {id: $id})-[:HAS_SERIES]->(s)-[h:HAS_BUCKET]->(b) WITH s, b, count(h) AS n WHERE n > 1 RETURN count(*)`, map[string]any{"id": string(a.ID)}); n > 0 {
		t.Errorf("the asset has %d buckets twice", n)
	}
	f.buckets(d.ID)
	f.buckets(a.ID)
}
