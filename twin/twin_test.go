package twin

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// open opens a store on the Redis of the tests. The account, which is part of
// every key, is new.
func open(t testing.TB, change func(*Config)) (*Store, registry.Scope) {
	t.Helper()
	c := Config{URL: testkit.RedisURL(t), Prefix: "test-" + uuid.NewString()}
	if change != nil {
		change(&c)
	}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, registry.Scope{Account: registry.ID(uuid.NewString())}
}

func newIDs(n int) []registry.ID {
	ids := make([]registry.ID, n)
	for i := range ids {
		ids[i] = registry.ID(uuid.NewString())
	}
	return ids
}

func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func value(measure string, ms int64, v any) registry.LiveValue {
	return registry.LiveValue{Measure: measure, MeasuredAt: at(ms), Value: v}
}

// graph is the truth that the live state is filled from.
type graph struct {
	mu    sync.Mutex
	truth map[registry.ID]map[string]registry.LiveValue
	seen  map[registry.ID]registry.Seen
	asked int
	// during is called while a read is under way, after it saw the truth.
	during func()
}

func newGraph() *graph { return &graph{truth: map[registry.ID]map[string]registry.LiveValue{}} }

func (g *graph) SeenOf(_ context.Context, _ registry.Scope, ids []registry.ID) ([]registry.Seen, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]registry.Seen, len(ids))
	for i, id := range ids {
		out[i] = g.seen[id]
	}
	return out, nil
}

func (g *graph) Watched(context.Context, string) ([]registry.Seen, string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Values(g.seen)), "", nil
}

func (g *graph) LiveOf(_ context.Context, _ registry.Scope, ids []registry.ID) ([][]registry.LiveValue, error) {
	g.mu.Lock()
	g.asked++
	all := make([][]registry.LiveValue, len(ids))
	for i, id := range ids {
		for _, v := range g.truth[id] {
			all[i] = append(all[i], v)
		}
	}
	during := g.during
	g.mu.Unlock()
	if during != nil {
		during()
	}
	return all, nil
}

// store notes values as the graph would and returns the update of the twin.
func (g *graph) store(scope registry.Scope, id registry.ID, values ...registry.LiveValue) registry.TwinUpdate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.truth[id] == nil {
		g.truth[id] = map[string]registry.LiveValue{}
	}
	for _, v := range values {
		if old, ok := g.truth[id][v.Measure]; !ok || v.MeasuredAt.After(old.MeasuredAt) {
			g.truth[id][v.Measure] = v
		}
	}
	return registry.TwinUpdate{Account: scope.Account, TwinID: id, Values: values}
}

func (g *graph) of(id registry.ID) []registry.LiveValue {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []registry.LiveValue
	for _, v := range g.truth[id] {
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b registry.LiveValue) int { return cmp.Compare(a.Measure, b.Measure) })
	return all
}

func apply(t testing.TB, s *Store, updates ...registry.TwinUpdate) {
	t.Helper()
	if err := s.Apply(t.Context(), updates); err != nil {
		t.Fatal(err)
	}
}

// check compares what the service answers with the truth, and says how often
// the graph was asked for it and how many round trips Redis took.
func check(t testing.TB, l *Live, g *graph, scope registry.Scope, ids ...registry.ID) (asked int, trips int64) {
	t.Helper()
	before := g.asked
	ctx, cost := registry.WithCost(t.Context())
	got, err := l.LiveOf(ctx, scope, ids)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		if diff := gocmp.Diff(g.of(id), got[i]); diff != "" && len(g.of(id))+len(got[i]) > 0 {
			t.Errorf("twin %d: -want +got\n%s", i, diff)
		}
	}
	return g.asked - before, cost.Cache()
}

func TestLiveStateIsNewest(t *testing.T) {
	s, scope := open(t, nil)
	g := newGraph()
	l := NewLive(s, g, zerolog.Nop())
	ids := newIDs(50)
	if asked, trips := check(t, l, g, scope, ids...); asked != 1 || trips != 2 {
		t.Errorf("unknown twins: the graph was asked %d times, Redis %d", asked, trips)
	}
	check(t, l, g, scope, ids...) // a Redis that is new has no epoch to trust at first
	if asked, trips := check(t, l, g, scope, ids...); asked != 0 || trips != 1 {
		t.Errorf("known twins: the graph was asked %d times, Redis %d", asked, trips)
	}
	var first, late []registry.TwinUpdate
	for i, id := range ids {
		first = append(first, g.store(scope, id, value("t", int64(1000+i), 1.5), value("open", 1000, true), value("s", 1000, `"größer" | 😀`)))
		late = append(late, g.store(scope, id, value("t", int64(999+i), 99.0), value("new", -5, -1e300)))
	}
	ctx, cost := registry.WithCost(t.Context())
	if err := s.Apply(ctx, first); err != nil || cost.Cache() > 4 { // 2, or 4 when Redis has to be sent the scripts
		t.Errorf("%d round trips, %v", cost.Cache(), err)
	}
	apply(t, s, late...)
	apply(t, s, first...) // a batch that runs again
	if asked, _ := check(t, l, g, scope, ids...); asked != 0 {
		t.Errorf("the graph was asked %d times", asked)
	}
	other := registry.Scope{Account: registry.ID(uuid.NewString())}
	if snap, err := s.read(t.Context(), other, ids); err != nil || slices.Contains(snap.ready, true) {
		t.Errorf("another account sees the state: %+v, %v", snap, err)
	}
	if err := s.Forget(t.Context(), scope, ids[0]); err != nil {
		t.Fatal(err)
	}
	if snap, _ := s.read(t.Context(), scope, ids[:1]); snap.ready[0] {
		t.Error("a forgotten twin is still there")
	}
}

func TestSetIfNewerUnderConcurrency(t *testing.T) {
	s, scope := open(t, nil)
	g := newGraph()
	l := NewLive(s, g, zerolog.Nop())
	id := newIDs(1)[0]
	check(t, l, g, scope, id)
	check(t, l, g, scope, id)
	var wait sync.WaitGroup
	for w := range int64(8) {
		wait.Go(func() {
			for i := range int64(50) {
				ms := (i*37+w*101)%400 + 1
				apply(t, s, g.store(scope, id, value("t", ms, float64(ms)), value(fmt.Sprintf("m%d", ms%20), ms, float64(ms))))
			}
		})
	}
	wait.Wait()
	if asked, _ := check(t, l, g, scope, id); asked != 0 {
		t.Errorf("the graph was asked %d times", asked)
	}
}

func TestEmptiedLiveStateComesBack(t *testing.T) {
	for name, empty := range map[string]func(*Store, registry.Scope, registry.ID){
		"the twin": func(s *Store, scope registry.Scope, id registry.ID) {
			s.client.Del(context.Background(), s.stateKey(scope.Account, id))
		},
		"one measure": func(s *Store, scope registry.Scope, id registry.ID) {
			s.client.HDel(context.Background(), s.stateKey(scope.Account, id), "a")
		},
		"the mark": func(s *Store, scope registry.Scope, id registry.ID) {
			s.client.HDel(context.Background(), s.stateKey(scope.Account, id), complete)
		},
		"garbage": func(s *Store, scope registry.Scope, id registry.ID) {
			s.client.HSet(context.Background(), s.stateKey(scope.Account, id), "a", "x")
		},
		"everything": func(s *Store, scope registry.Scope, id registry.ID) {
			s.client.Del(context.Background(), s.stateKey(scope.Account, id), s.stateEpochKey(tagOf(id)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, scope := open(t, nil)
			g := newGraph()
			l := NewLive(s, g, zerolog.Nop())
			ids := newIDs(3)
			for _, id := range ids {
				apply(t, s, g.store(scope, id, value("a", 1, 1.0), value("b", 2, "x")))
			}
			check(t, l, g, scope, ids...)
			empty(s, scope, ids[1])
			if name != "garbage" { // a value that cannot be read stays until a newer one comes
				apply(t, s, g.store(scope, ids[1], value("b", 3, "y")))
			}
			if asked, _ := check(t, l, g, scope, ids...); asked != 1 {
				t.Errorf("the graph was asked %d times", asked)
			}
			if name == "garbage" {
				return
			}
			check(t, l, g, scope, ids...) // after "everything" there is no epoch to trust at first
			if asked, _ := check(t, l, g, scope, ids...); asked != 0 {
				t.Errorf("once back, the graph was asked %d times", asked)
			}
		})
	}
}

// A worker sets a value while the graph is being read, and then everything is
// emptied: what the reader fills in must not pass for all there is.
func TestFillAfterEmptying(t *testing.T) {
	s, scope := open(t, nil)
	g := newGraph()
	l := NewLive(s, g, zerolog.Nop())
	id := newIDs(1)[0]
	apply(t, s, g.store(scope, id, value("a", 1, 1.0)))
	g.during = func() {
		g.during = nil
		apply(t, s, g.store(scope, id, value("b", 2, 2.0)))
		s.client.Del(t.Context(), s.stateKey(scope.Account, id), s.stateEpochKey(tagOf(id)))
	}
	if _, err := l.LiveOf(t.Context(), scope, []registry.ID{id}); err != nil {
		t.Fatal(err)
	}
	if asked, _ := check(t, l, g, scope, id); asked != 1 {
		t.Errorf("the graph was asked %d times", asked)
	}
	// The same without emptying: what the worker set counts.
	other := newIDs(1)[0]
	g.during = func() {
		g.during = nil
		apply(t, s, g.store(scope, other, value("b", 2, 2.0)))
	}
	if _, err := l.LiveOf(t.Context(), scope, []registry.ID{other}); err != nil {
		t.Fatal(err)
	}
	check(t, l, g, scope, other)
	if asked, _ := check(t, l, g, scope, other); asked != 0 {
		t.Errorf("the graph was asked %d times", asked)
	}
}

func TestLiveStateWithoutRedis(t *testing.T) {
	door := testkit.NewDoor(t)
	s, scope := open(t, func(c *Config) { c.URL = door.URL; c.Timeout = 500 * time.Millisecond })
	g := newGraph()
	l := NewLive(s, g, zerolog.Nop())
	id := newIDs(1)[0]
	apply(t, s, g.store(scope, id, value("a", 1, 1.0)))
	check(t, l, g, scope, id)
	door.Shut()
	if err := s.Apply(t.Context(), []registry.TwinUpdate{g.store(scope, id, value("a", 2, 2.0))}); registry.CodeOf(err) != registry.CodeUnavailable {
		t.Errorf("apply: %v", err)
	}
	for range 3 {
		start := time.Now()
		check(t, l, g, scope, id)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
	}
	door.Open()
	apply(t, s, g.store(scope, id, value("a", 3, 3.0)))
	time.Sleep(rest)
	if asked, _ := check(t, l, g, scope, id); asked != 0 {
		t.Errorf("the graph was asked %d times", asked)
	}
}

func TestValues(t *testing.T) {
	for i, v := range []any{
		0.0, -1.5, 1e300, 5e-324, 123456789012345.0, true, false, "", "a|b", "\"\\\u2028<>&é😀",
		registry.Location{Latitude: -33.9, Longitude: 180}, registry.Location{Latitude: 46.5, Longitude: 7.9, Altitude: new(4158.2)},
		registry.Composite{"speed": 1450.5, "on": true, "mode": "a|b;c"},
	} {
		want := value("m", -12, v)
		if i%3 > 0 {
			want.Unit = "{a}.[degR]/(m.s2)"
		}
		if i%2 > 0 {
			want.Suspect = registry.SuspectRate
		}
		text, err := pack(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := unpack("m", text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v became %v by %s (%v)", want, got, text, err)
		}
	}
	// As it was written before there were units.
	if got, err := unpack("m", "1700000000000|21.5"); err != nil || got != value("m", 1700000000000, 21.5) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "1", "1|", "x|1", "1|\"", "1|tru", "|1", "1|{", "1|{\"latitude\":1}"} {
		if got, err := unpack("m", bad); err == nil {
			t.Errorf("%q became %v", bad, got)
		}
	}
	if _, err := pack(value("m", 1, 7)); err == nil {
		t.Error("an int was packed")
	}
}

func BenchmarkApply(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprintf("twins=%d", n), func(b *testing.B) {
			s, scope := open(b, nil)
			ids := newIDs(n)
			updates := make([]registry.TwinUpdate, n)
			ms := int64(0)
			for b.Loop() {
				ms++
				for i, id := range ids {
					updates[i] = registry.TwinUpdate{Account: scope.Account, TwinID: id, Values: []registry.LiveValue{value("temperature", ms, 21.5), value("humidity", ms, 40.0)}}
				}
				apply(b, s, updates...)
			}
			b.ReportMetric(float64(2*n*b.N)/b.Elapsed().Seconds(), "values/s")
		})
	}
}

func BenchmarkLive(b *testing.B) {
	s, scope := open(b, nil)
	g := newGraph()
	l := NewLive(s, g, zerolog.Nop())
	ids := newIDs(100)
	for _, id := range ids {
		apply(b, s, g.store(scope, id, value("temperature", 1, 21.5), value("humidity", 1, 40.0)))
	}
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("twins=%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := l.LiveOf(b.Context(), scope, ids[:n]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
