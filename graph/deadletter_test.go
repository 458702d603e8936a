package graph_test

import (
	"slices"
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
	_, other := testkit.Store(t)
	foreign := f.reading(d, start.Add(time.Hour), map[string]any{"temperature": 1.0})
	foreign.Account = other.Account
	malformed := f.reading(d, start, nil)
	malformed.Refused, malformed.Raw = &registry.Refusal{Reason: registry.ReasonMalformed, Message: "not JSON"}, []byte("{\xff")
	future := f.reading(d, start.Add(time.Hour), map[string]any{"temperature": 1.0})
	future.ReceivedAt = start
	entry := f.entryOf(
		f.reading(d, start, map[string]any{"temperature": 20.0, "open": "yes"}), // one value stands
		f.reading(d, start.Add(time.Second), map[string]any{"humidity": 20.0}),
		unknown, foreign, malformed, future,
		f.reading(d, start.Add(2*time.Second), map[string]any{"temperature": 21.0}),
	)
	f.expect(f.write(entry), 1, 0, 6, 2)
	f.expect(f.write(entry), 0, 0, 0, 0)
	f.expectSamples(d.ID, "temperature", at(start, 20.0), at(start.Add(2*time.Second), 21.0))
	letters, err := f.store.ListDeadLetters(t.Context(), f.scope, nil, registry.PageRequest{Size: 10})
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
	one, err := f.store.ListDeadLetters(t.Context(), f.scope, &reason, registry.PageRequest{Size: 10})
	if err != nil || len(one.Items) != 1 || one.Items[0].DeviceReference != "s1" || one.Items[0].Source != "test" {
		t.Errorf("wrong types = %v, %v", one, err)
	}
	n, err := f.store.CountDeadLetters(t.Context(), f.scope, nil)
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
		page, err := f.store.ListDeadLetters(t.Context(), f.scope, nil, request)
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
	back, err := f.store.ListDeadLetters(t.Context(), f.scope, nil, registry.PageRequest{Size: 2, Backward: true})
	if err != nil || len(back.Items) != 2 || back.Items[0].ID != all[3].ID || back.Items[1].ID != all[4].ID || !back.HasPrevious || back.HasNext {
		t.Errorf("last two = %+v, %v", back, err)
	}
}
