package graph_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

func TestAppendRefuses(t *testing.T) {
	f := newField(t)
	f.template(registry.KindDevice, "sensor", registry.MeasureDeclaration{Name: "temperature", Type: "number"}, registry.MeasureDeclaration{Name: "open", Type: "boolean"})
	d := f.device("s1", "sensor")
	start := morning()
	unknown := f.reading(d, start, map[string]any{"temperature": 1.0})
	unknown.DeviceID, unknown.Reference = registry.ID(uuid.NewString()), "ghost"
	unknown.Template, unknown.Attributes = "beacon", []byte(`{"serial":1}`)
	_, other := testkit.Store(t)
	foreign := f.reading(d, start.Add(time.Hour), map[string]any{"temperature": 1.0})
	foreign.Account = other.Account
	malformed := f.reading(d, start, nil)
	malformed.Refused, malformed.Raw = &registry.Refusal{Reason: registry.ReasonMalformed, Message: "not JSON"}, []byte("{\xff")
	future := f.reading(d, time.Now().Add(time.Hour), map[string]any{"temperature": 1.0})
	future.ReceivedAt = start
	behind := f.reading(d, start.Add(3*time.Second), map[string]any{"temperature": 22.0})
	behind.ReceivedAt = start.Add(-2 * time.Hour) // by the clock of a queue that is wrong
	entry := f.entryOf(
		f.reading(d, start, map[string]any{"temperature": 20.0, "open": "yes"}), // one value stands
		f.reading(d, start.Add(time.Second), map[string]any{"humidity": 20.0}),
		unknown, foreign, malformed, future,
		f.reading(d, start.Add(2*time.Second), map[string]any{"temperature": 21.0}), behind,
	)
	f.expect(f.write(entry), 2, 0, 6, 3)
	f.writeAgain(entry)
	f.expectSamples(d.ID, "temperature", at(start, 20.0), at(start.Add(2*time.Second), 21.0), at(start.Add(3*time.Second), 22.0))
	letters, err := f.store.ListDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{}, registry.PageRequest{Size: 10})
	if err != nil {
		t.Fatal(err)
	}
	got := map[registry.DeadLetterReason]int{}
	for _, l := range letters.Items {
		got[l.Reason]++
	}
	want := map[registry.DeadLetterReason]int{
		registry.ReasonWrongType: 1, registry.ReasonUndeclaredMeasure: 1, registry.ReasonUnknownDevice: 1, registry.ReasonMalformed: 1, registry.ReasonTimeOutOfBounds: 1,
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	reason := registry.ReasonWrongType
	one, err := f.store.ListDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{Reason: &reason}, registry.PageRequest{Size: 10})
	if err != nil || len(one.Items) != 1 || one.Items[0].DeviceReference != "s1" || one.Items[0].Source != "test" {
		t.Errorf("wrong types = %v, %v", one, err)
	}
	reason = registry.ReasonUnknownDevice
	one, err = f.store.ListDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{Reason: &reason}, registry.PageRequest{Size: 10})
	if err != nil || len(one.Items) != 1 || !strings.Contains(one.Items[0].Raw, `"template":"beacon"`) || !strings.Contains(one.Items[0].Raw, `"attributes":{"serial":1}`) {
		t.Errorf("what says how to make its device = %v, %v", one, err)
	}
	n, err := f.store.CountDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{})
	if err != nil || n != 5 {
		t.Errorf("%d dead letters, %v, want 5: one is another account's", n, err)
	}
}

func TestDeadLettersPage(t *testing.T) {
	f := newField(t)
	d := f.device("d", "")
	start := morning()
	for i := range 5 {
		r := f.reading(d, start.Add(time.Duration(i)*time.Second), map[string]any{"not a name": float64(i)})
		f.expect(f.send(r), 0, 0, 1, 0)
	}
	var all []*registry.DeadLetter
	request := registry.PageRequest{Size: 2}
	for {
		page, err := f.store.ListDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{}, request)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Items...)
		if !page.HasNext {
			break
		}
		request.Key = graph.DeadLetterKey(page.Items[len(page.Items)-1])
	}
	if len(all) != 5 || !slices.IsSortedFunc(all, func(x, y *registry.DeadLetter) int { return y.ReceivedAt.Compare(x.ReceivedAt) }) {
		t.Fatalf("pages give %d dead letters, want 5, newest first", len(all))
	}
	back, err := f.store.ListDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{}, registry.PageRequest{Size: 2, Backward: true})
	if err != nil || len(back.Items) != 2 || back.Items[0].ID != all[3].ID || back.Items[1].ID != all[4].ID || !back.HasPrevious || back.HasNext {
		t.Errorf("last two = %+v, %v", back, err)
	}
}

func TestDeadLettersFound(t *testing.T) {
	f := newField(t)
	one, other := f.device("one", ""), f.device("other", "")
	start := morning()
	for i, d := range []*registry.Device{one, other, one} {
		r := f.reading(d, start.Add(time.Duration(i)*time.Hour), map[string]any{"not a name": 1.0})
		r.ReceivedAt = r.MeasuredAt
		r.Source = "s" + d.Reference
		f.expect(f.send(r), 0, 0, 1, 0)
	}
	text := func(s string) *string { return &s }
	moment := func(hours int) *time.Time { at := start.Add(time.Duration(hours) * time.Hour); return &at }
	undeclared, wrong := registry.ReasonUndeclaredMeasure, registry.ReasonWrongType
	for name, c := range map[string]struct {
		filter registry.DeadLetterFilter
		want   int
	}{
		"all":                 {registry.DeadLetterFilter{}, 3},
		"reason":              {registry.DeadLetterFilter{Reason: &undeclared}, 3},
		"another reason":      {registry.DeadLetterFilter{Reason: &wrong}, 0},
		"device":              {registry.DeadLetterFilter{Device: text("one")}, 2},
		"device, reason":      {registry.DeadLetterFilter{Device: text("one"), Reason: &wrong}, 0},
		"source":              {registry.DeadLetterFilter{Source: text("sother")}, 1},
		"from":                {registry.DeadLetterFilter{From: moment(1)}, 2},
		"to is outside":       {registry.DeadLetterFilter{To: moment(1)}, 1},
		"device, from and to": {registry.DeadLetterFilter{Device: text("one"), From: moment(1), To: moment(3)}, 1},
	} {
		page, err := f.store.ListDeadLetters(t.Context(), f.scope, c.filter, registry.PageRequest{Size: 10})
		n, err2 := f.store.CountDeadLetters(t.Context(), f.scope, c.filter)
		if err != nil || err2 != nil || len(page.Items) != c.want || n != c.want {
			t.Errorf("%s: %d listed, %d counted, %v, %v, want %d", name, len(page.Items), n, err, err2, c.want)
		}
	}
	tally, err := f.store.TallyDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{Device: text("one")})
	want := []*registry.DeadLetterCount{{Reason: undeclared, Count: 2, FirstAt: start, LastAt: start.Add(2 * time.Hour)}}
	if diff := gocmp.Diff(want, tally); err != nil || diff != "" {
		t.Errorf("tally: %v\n%s", err, diff)
	}
	_, stranger := testkit.Store(t)
	if n, err := f.store.DropDeadLetters(t.Context(), stranger, registry.DeadLetterFilter{}); err != nil || n != 0 {
		t.Errorf("another account dropped %d, %v", n, err)
	}
	all, err := f.store.OldestDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{}, "", 10)
	if err != nil || len(all) != 3 || !all[0].ReceivedAt.Equal(start) {
		t.Fatalf("oldest = %v, %v", all, err)
	}
	all[0].Reason, all[0].Message = wrong, "now it is this"
	if err := f.store.RejudgeDeadLetters(t.Context(), stranger, all[:1]); err != nil {
		t.Fatal(err)
	}
	if n, err := f.store.CountDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{Reason: &wrong}); err != nil || n != 0 {
		t.Errorf("another account judged anew: %d, %v", n, err)
	}
	if err := f.store.RejudgeDeadLetters(t.Context(), f.scope, all[:1]); err != nil {
		t.Fatal(err)
	}
	if n, err := f.store.RemoveDeadLetters(t.Context(), stranger, []registry.ID{all[0].ID}); err != nil || n != 0 {
		t.Errorf("another account removed %d, %v", n, err)
	}
	if n, err := f.store.DropDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{Reason: &wrong}); err != nil || n != 1 {
		t.Errorf("dropped %d, %v, want 1", n, err)
	}
	if n, err := f.store.DropDeadLetters(t.Context(), f.scope, registry.DeadLetterFilter{IDs: []registry.ID{all[1].ID}}); err != nil || n != 1 {
		t.Errorf("dropped %d by id, %v, want 1", n, err)
	}
}
