package graph_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// timeline is a device with a few days of numbers, and some texts among them, and
// an asset that it was linked to for part of the time. Everything arrived out
// of order, some of it more than once.
type timeline struct {
	*field
	device, asset registry.ID
	start, end    time.Time
	// all and linked are what the device and the asset have, in order; the asset
	// has what was measured from since to before until.
	all, linked  []sample
	since, until int64
}

func newTimeline(t *testing.T) *timeline {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	f := newField(t)
	d, a := f.device("d", ""), f.asset("a", "")
	w := &timeline{field: f, device: d.ID, asset: a.ID, start: morning().AddDate(0, 0, -3)}
	w.end = w.start.Add(72 * time.Hour)
	values := map[int64]any{}
	for range 30 {
		// Bursts of many densities, so that there are buckets of both lengths.
		from, step := w.start.UnixMilli()+random.Int64N(70*3600*1000), int64(1)<<random.IntN(20)
		for i := range int64(random.IntN(30)) {
			if at := from + i*step; at < w.end.UnixMilli() {
				values[at] = float64(random.IntN(2000))/8 - 100
			}
		}
	}
	for range 10 {
		values[w.start.UnixMilli()+random.Int64N(72*3600*1000)] = "text " + strconv.Itoa(random.IntN(5))
	}
	for at, value := range values {
		w.all = append(w.all, sample{at, value})
	}
	slices.SortFunc(w.all, func(x, y sample) int { return int(x.At - y.At) })
	w.since, w.until = w.linkInTheMiddle(d)
	for _, s := range w.all {
		if s.At >= w.since && s.At < w.until {
			w.linked = append(w.linked, s)
		}
	}
	arrival := slices.Clone(w.all)
	random.Shuffle(len(arrival), func(i, j int) { arrival[i], arrival[j] = arrival[j], arrival[i] })
	for len(arrival) > 0 {
		n := min(1+random.IntN(80), len(arrival))
		var readings []registry.AcceptedReading
		for _, s := range append(slices.Clone(arrival[:n]), w.all[random.IntN(len(w.all))]) {
			readings = append(readings, f.reading(d, time.UnixMilli(s.At), map[string]any{"x": s.Value}))
		}
		f.send(readings...)
		arrival = arrival[n:]
		if random.IntN(4) == 0 {
			f.partitions = map[int]*graph.Partition{}
		}
	}
	if n := f.nodes(d.ID); n != len(w.all) {
		t.Fatalf("%d measurement nodes, want %d", n, len(w.all))
	}
	f.buckets(d.ID)
	f.buckets(a.ID)
	return w
}

// linkInTheMiddle links the device to the asset for a day, which only a store
// whose clock is set can do after the fact.
func (w *timeline) linkInTheMiddle(d *registry.Device) (since, until int64) {
	config := testkit.Config(w)
	now := w.start.Add(20 * time.Hour)
	config.Clock = func() time.Time { return now }
	past, err := graph.Open(w.Context(), config)
	if err != nil {
		w.Fatal(err)
	}
	defer past.Close(w.Context())
	link, err := past.LinkDevice(w.Context(), w.scope, registry.NewLink{
		Device: registry.Ref{ID: d.ID}, Asset: registry.Ref{ID: w.asset}, Measures: []registry.MeasureMapping{{Device: "x", Asset: "y"}},
	})
	if err != nil {
		w.Fatal(err)
	}
	now = now.Add(24 * time.Hour)
	ended, err := past.UnlinkDevice(w.Context(), w.scope, registry.Ref{ID: d.ID}, registry.Ref{ID: w.asset})
	if err != nil {
		w.Fatal(err)
	}
	return link.Since.UnixMilli(), ended.Until.UnixMilli()
}

// twin draws the device or the asset, and what it has.
func (w *timeline) twin(t *rapid.T) (registry.ID, string, []sample) {
	if rapid.Bool().Draw(t, "asset") {
		return w.asset, "y", w.linked
	}
	return w.device, "x", w.all
}

// time draws a time: any, or one of a measurement, or the millisecond after it.
func (w *timeline) time(t *rapid.T, name string) time.Time {
	at := rapid.Int64Range(w.start.UnixMilli()-1000, w.end.UnixMilli()+1000).Draw(t, name)
	if i := rapid.IntRange(-len(w.all), len(w.all)-1).Draw(t, name+" of"); i >= 0 {
		at = w.all[i].At + at%2
	}
	return time.UnixMilli(at).UTC()
}

// interval draws two times in order.
func (w *timeline) interval(t *rapid.T) (from, to time.Time) {
	from, to = w.time(t, "from"), w.time(t, "to")
	if to.Before(from) {
		from, to = to, from
	}
	return from, to
}

func between(all []sample, from, to time.Time) []sample {
	out := []sample{}
	for _, s := range all {
		if s.At >= from.UnixMilli() && s.At < to.UnixMilli() {
			out = append(out, s)
		}
	}
	return out
}

func TestReadsAgainstNaive(t *testing.T) {
	w := newTimeline(t)
	t.Run("samples", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			id, measure, all := w.twin(t)
			from, to := w.interval(t)
			limit := rapid.IntRange(1, 300).Draw(t, "limit")
			got := []sample{}
			for next := &from; next != nil; {
				part, err := w.store.Samples(w.Context(), w.scope, id, measure, *next, to, limit, "")
				if err != nil {
					t.Fatal(err)
				}
				if len(part.At) > limit || part.NextFrom != nil && len(part.At) < limit {
					t.Fatalf("%d samples of %d, going on: %v", len(part.At), limit, part.NextFrom)
				}
				for i := range part.At {
					got = append(got, sample{part.At[i].UnixMilli(), part.Value[i]})
				}
				next = part.NextFrom
				limit = 1000
			}
			if diff := gocmp.Diff(between(all, from, to), got); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		})
	})
	t.Run("pages", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			id, measure, all := w.twin(t)
			from, to := w.interval(t)
			want := between(all, from, to)
			page := registry.PageRequest{Size: rapid.IntRange(1, 50).Draw(t, "size"), Backward: rapid.Bool().Draw(t, "backward")}
			if skip := rapid.IntRange(0, len(want)).Draw(t, "skip"); skip > 0 {
				if page.Backward {
					page.Key = strconv.FormatInt(want[skip-1].At, 10)
					want = want[:skip-1]
				} else {
					page.Key = strconv.FormatInt(want[skip-1].At, 10)
					want = want[skip:]
				}
			}
			more := len(want) > page.Size
			if more && page.Backward {
				want = want[len(want)-page.Size:]
			} else if more {
				want = want[:page.Size]
			}
			got, err := w.store.Measurements(w.Context(), w.scope, id, measure, &from, &to, page, "")
			if err != nil {
				t.Fatal(err)
			}
			items := []sample{}
			for _, m := range got.Items {
				items = append(items, sample{m.At.UnixMilli(), m.Value})
			}
			if diff := gocmp.Diff(want, items); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			if hasMore := got.HasNext; page.Backward && got.HasPrevious != more || !page.Backward && hasMore != more {
				t.Fatalf("page says next %v, previous %v; more: %v", got.HasNext, got.HasPrevious, more)
			}
		})
	})
}

func TestReadsRefuse(t *testing.T) {
	f := newField(t)
	d := f.device("d", "")
	start := morning()
	f.send(f.reading(d, start, map[string]any{"label": "text"}))
	_, other := testkit.Store(t)
	hour := start.Add(time.Hour)
	if _, err := f.store.Aggregate(t.Context(), f.scope, d.ID, registry.Aggregation{Measure: "label", From: start, To: hour, Every: time.Minute, Function: registry.AggregateMean}); registry.CodeOf(err) != registry.CodeInvalid {
		t.Errorf("the mean of texts: %v", err)
	}
	if _, err := f.store.Aggregate(t.Context(), f.scope, d.ID, registry.Aggregation{Measure: "label", From: start, To: hour.AddDate(1, 0, 0), Every: time.Minute, Function: registry.AggregateCount}); registry.CodeOf(err) != registry.CodeLimitExceeded {
		t.Errorf("too many intervals: %v", err)
	}
	if _, err := f.store.Aggregate(t.Context(), f.scope, d.ID, registry.Aggregation{Measure: "label", From: start, To: hour, Every: time.Microsecond, Function: registry.AggregateCount}); registry.CodeOf(err) != registry.CodeInvalid {
		t.Errorf("an interval of a microsecond: %v", err)
	}
	if _, err := f.store.Samples(t.Context(), f.scope, d.ID, "label", start, hour, graph.MaxSamples+1, ""); registry.CodeOf(err) != registry.CodeInvalid {
		t.Errorf("too many samples: %v", err)
	}
	if _, err := f.store.Measurements(t.Context(), f.scope, d.ID, "label", nil, nil, registry.PageRequest{Size: 1, Key: "x"}, ""); registry.CodeOf(err) != registry.CodeInvalid {
		t.Errorf("a cursor of another list: %v", err)
	}
	// Nothing of another account is seen, by any way.
	page, err := f.store.Measurements(t.Context(), other, d.ID, "label", nil, nil, registry.PageRequest{Size: 1}, "")
	if err != nil || len(page.Items) != 0 {
		t.Errorf("measurements of another account = %v, %v", page, err)
	}
	points, err := f.store.Aggregate(t.Context(), other, d.ID, registry.Aggregation{Measure: "label", From: start, To: hour, Every: time.Minute, Function: registry.AggregateCount})
	if err != nil || len(points) != 0 {
		t.Errorf("aggregate of another account = %v, %v", points, err)
	}
	series, err := f.store.SeriesOf(t.Context(), other, []registry.ID{d.ID})
	if err != nil || series[0] != nil {
		t.Errorf("series of another account = %v, %v", series, err)
	}
	links, err := f.store.LinksOf(t.Context(), other, []registry.ID{d.ID})
	if err != nil || links[0] != nil {
		t.Errorf("links of another account = %v, %v", links, err)
	}
	known, err := f.store.KnownDevices(t.Context(), other, []string{"d"})
	if err != nil || len(known) != 0 {
		t.Errorf("devices of another account = %v, %v", known, err)
	}
	known, err = f.store.KnownDevices(t.Context(), f.scope, []string{"D", "ghost"})
	if err != nil || len(known) != 1 || known[graph.Fold("D")].ID != d.ID || known["d"].TemplateID != d.TemplateID {
		t.Errorf("known devices = %v, %v", known, err)
	}
}
