package graph_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// stateLine is an entry of a state history, in words.
type stateLine struct {
	At         int64
	Cause      registry.StateCause
	Names      []string
	State      registry.State
	Attributes string
	Measures   string
	Linked     bool
}

func lineOf(e *registry.StateEntry) stateLine {
	return stateLine{e.At.UnixMilli(), e.Cause, e.Names, e.State, fmt.Sprint(e.Attributes), fmt.Sprint(e.Measures), e.LinkID != ""}
}

// naiveHistory puts a twin's history together from all of its measurements and
// changes, looking through everything for every entry.
func (f *field) naiveHistory(twin registry.ID, measures ...string) []stateLine {
	f.Helper()
	page, err := f.store.ListChanges(f.Context(), f.scope, registry.ChangeFilter{ObjectID: twin, Direction: registry.SortAscending}, registry.PageRequest{Size: 1000})
	if err != nil {
		f.Fatal(err)
	}
	var out []stateLine
	at := map[int64][]string{}
	values := map[string][]sample{}
	for _, m := range measures {
		values[m] = f.samples(twin, m)
		for _, s := range values[m] {
			at[s.At] = append(at[s.At], m)
		}
	}
	for moment, names := range at {
		slices.Sort(names)
		out = append(out, stateLine{At: moment, Cause: registry.StateMeasurement, Names: names})
	}
	for _, c := range page.Items {
		line := stateLine{At: c.At.UnixMilli(), Cause: registry.StateOther, Linked: c.Action == "linked" || c.Action == "unlinked"}
		switch c.Action {
		case "linked":
			line.Cause, line.Names = registry.StateLinked, []string{"x"}
		case "unlinked":
			line.Cause, line.Names = registry.StateUnlinked, []string{"x"}
		case "created":
			line.Names = []string{"reference", "state", "template"}
		default:
			for _, d := range c.Differences {
				if d.Path == "state" {
					line.Names = []string{"state"}
				} else {
					line.Cause, line.Names = registry.StateAttributes, []string{"colour"}
				}
			}
		}
		out = append(out, line)
	}
	order := map[registry.StateCause]int{}
	for i, cause := range registry.StateCauses {
		order[cause] = i
	}
	slices.SortFunc(out, func(x, y stateLine) int { return cmp.Or(cmp.Compare(x.At, y.At), order[x.Cause]-order[y.Cause]) })
	slices.Sort(measures)
	for i := range out {
		var live []registry.LiveValue
		for _, m := range measures {
			newest := sample{At: -1}
			for _, s := range values[m] {
				if s.At <= out[i].At && s.At > newest.At {
					newest = s
				}
			}
			if newest.At >= 0 {
				live = append(live, registry.LiveValue{Measure: m, Value: newest.Value, MeasuredAt: time.UnixMilli(newest.At).UTC()})
			}
		}
		out[i].Measures = fmt.Sprint(live)
		after := page.Items[0].After
		for _, c := range page.Items {
			if c.After != nil && c.At.UnixMilli() <= out[i].At {
				after = c.After
			}
		}
		out[i].State, out[i].Attributes = registry.State(after["state"].(string)), fmt.Sprint(after["attributes"])
	}
	return out
}

// readHistory reads a history page by page.
func (f *field) readHistory(twin registry.ID, causes []registry.StateCause, size int, backward bool) []stateLine {
	f.Helper()
	var out []stateLine
	request := registry.PageRequest{Size: size, Backward: backward}
	for range 1000 {
		page, err := f.store.StateHistory(f.Context(), f.scope, twin, registry.StateFilter{Causes: causes}, request)
		if err != nil {
			f.Fatal(err)
		}
		var lines []stateLine
		for _, e := range page.Items {
			lines = append(lines, lineOf(e))
		}
		more := page.HasNext
		if backward {
			out, more = append(lines, out...), page.HasPrevious
		} else {
			out = append(out, lines...)
		}
		if !more {
			return out
		}
		edge := page.Items[len(page.Items)-1]
		if backward {
			edge = page.Items[0]
		}
		request.Key = graph.StateKey(edge)
	}
	f.Fatal("a history without end")
	return nil
}

func TestStateHistoryModel(t *testing.T) {
	t.Parallel()
	f := newField(t)
	d, a := f.device("d", ""), f.asset("a", "")
	r := rand.New(rand.NewPCG(7, uint64(time.Now().UnixNano()))) //nolint:gosec // a test's choices
	start := time.Now().UTC().Truncate(time.Millisecond)
	taken := map[int64]bool{}
	linked := false
	for range 30 {
		switch n := r.IntN(10); {
		case n < 5:
			var readings []registry.AcceptedReading
			for range 1 + r.IntN(3) {
				moment := time.Now().UTC().Truncate(time.Millisecond)
				if r.IntN(2) == 0 {
					moment = start.Add(time.Duration(r.IntN(5000)-4000) * time.Millisecond)
				}
				if taken[moment.UnixMilli()] {
					continue
				}
				taken[moment.UnixMilli()] = true
				values := map[string]any{"x": float64(r.IntN(100))}
				if r.IntN(2) == 0 {
					values["y"] = r.IntN(2) == 0
				}
				readings = append(readings, f.reading(d, moment, values))
			}
			if len(readings) > 0 {
				f.send(readings...)
			}
		case n < 7:
			patch := registry.TwinPatch{Attributes: map[string]any{"colour": fmt.Sprint(r.IntN(1000))}}
			if _, err := f.store.UpdateDevice(t.Context(), f.scope, registry.Ref{ID: d.ID}, patch); err != nil {
				t.Fatal(err)
			}
			if _, err := f.store.UpdateAsset(t.Context(), f.scope, registry.Ref{ID: a.ID}, patch); err != nil {
				t.Fatal(err)
			}
		case n < 8:
			state := []registry.State{registry.StateActive, registry.StateRetired}[r.IntN(2)]
			if _, err := f.store.UpdateAsset(t.Context(), f.scope, registry.Ref{ID: a.ID}, registry.TwinPatch{State: &state}); err != nil {
				t.Fatal(err)
			}
		case linked:
			linked = false
			if _, err := f.unlink("d", "a"); err != nil {
				t.Fatal(err)
			}
		default:
			linked = true
			if _, err := f.link("d", "a", nil, registry.MeasureMapping{Device: "x", Asset: "x"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, twin := range []registry.ID{d.ID, a.ID} {
		want := f.naiveHistory(twin, "x", "y")
		for _, size := range []int{3, 11, 1000} {
			for _, backward := range []bool{false, true} {
				if diff := gocmp.Diff(want, f.readHistory(twin, nil, size, backward)); diff != "" {
					t.Fatalf("pages of %d, backward %v (-naive +read):\n%s", size, backward, diff)
				}
			}
		}
		some := []registry.StateCause{registry.StateAttributes, registry.StateLinked}
		only := slices.DeleteFunc(slices.Clone(want), func(l stateLine) bool { return !slices.Contains(some, l.Cause) })
		for _, backward := range []bool{false, true} {
			if diff := gocmp.Diff(only, f.readHistory(twin, some, 4, backward)); len(only) > 0 && diff != "" {
				t.Fatalf("some causes, backward %v (-naive +read):\n%s", backward, diff)
			}
		}
		for _, line := range want {
			state, err := f.store.StateAt(t.Context(), f.scope, twin, time.UnixMilli(line.At))
			if line.At > time.Now().UnixMilli() {
				continue
			}
			if err != nil || state == nil || fmt.Sprint(state.Measures) != line.Measures || fmt.Sprint(state.Attributes) != line.Attributes || state.State != line.State {
				t.Fatalf("state at %d = %+v, %v, want %+v", line.At, state, err, line)
			}
		}
		if state, err := f.store.StateAt(t.Context(), f.scope, twin, start.AddDate(-1, 0, 0)); err != nil || state != nil {
			t.Errorf("state a year before = %+v, %v", state, err)
		}
	}
}

// TestStateHistoryWithoutTheOtherEnd tells a twin that a link has ended because
// its other end was deleted, in the same transaction.
func TestStateHistoryWithoutTheOtherEnd(t *testing.T) {
	t.Parallel()
	f := newField(t)
	d, a := f.device("d", ""), f.asset("a", "")
	e, b := f.device("e", ""), f.asset("b", "")
	since := morning()
	f.mustLink("d", "a", since, registry.MeasureMapping{Device: "x", Asset: "ax"})
	f.mustLink("e", "b", since, registry.MeasureMapping{Device: "x", Asset: "bx"})
	if _, err := f.store.DeleteDevice(t.Context(), f.scope, byID(d)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.DeleteAsset(t.Context(), f.scope, byID(b)); err != nil {
		t.Fatal(err)
	}
	for twin, name := range map[registry.ID]string{a.ID: "ax", e.ID: "x"} {
		page, err := f.store.StateHistory(t.Context(), f.scope, twin, registry.StateFilter{Causes: []registry.StateCause{registry.StateUnlinked}}, registry.PageRequest{Size: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) != 1 || !slices.Equal(page.Items[0].Names, []string{name}) || page.Items[0].LinkID == "" {
			t.Errorf("history %+v", page.Items)
			continue
		}
		end := page.Items[0].Change
		same, err := f.store.ListChanges(t.Context(), f.scope, registry.ChangeFilter{Direction: registry.SortAscending}, registry.PageRequest{Size: 100})
		if err != nil || !slices.ContainsFunc(same.Items, func(c *registry.Change) bool { return c.At.Equal(end.At) && c.Operation == registry.ChangeDelete }) {
			t.Errorf("the link ended by itself at %s: %v", end.At, err)
		}
	}
}
