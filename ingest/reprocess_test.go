package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// payloads is a store of them of which the process may die after something was
// undone.
type payloads struct {
	kept     []*registry.KeptPayload
	standing func(registry.WantedValue) registry.Standing
	// undone is called at the end of Undo.
	undone   func()
	undoings [][]registry.Undoing
	// noted are the records that are noted.
	noted []byte
}

func (p *payloads) KeptPayloads(_ context.Context, _ registry.Scope, _ registry.ID, _ registry.PayloadFilter, after string, limit int) ([]*registry.KeptPayload, error) {
	var out []*registry.KeptPayload
	for _, one := range p.kept {
		if string(one.ID) > after && len(out) < limit {
			out = append(out, one)
		}
	}
	return out, nil
}

func (p *payloads) Standings(_ context.Context, _ registry.Scope, _ registry.ID, _ *registry.Template, wanted []registry.WantedValue) ([]registry.Standing, error) {
	out := make([]registry.Standing, len(wanted))
	for i, w := range wanted {
		out[i] = p.standing(w)
	}
	return out, nil
}

func (p *payloads) Undo(_ context.Context, _ registry.Scope, _ registry.ID, undoings []registry.Undoing) (registry.Undone, error) {
	p.undoings, p.noted = append(p.undoings, undoings), undoings[0].Records
	if p.undone != nil {
		p.undone()
	}
	return registry.Undone{Notes: []registry.ID{"note"}}, nil
}

func (p *payloads) Requeued(context.Context, registry.Scope, ...registry.ID) error {
	p.noted = nil
	return nil
}

func keptPayload(n int, content string, gave ...registry.MeasureTime) *registry.KeptPayload {
	return &registry.KeptPayload{Payload: registry.Payload{ID: registry.ID(fmt.Sprintf("p%03d", n)), Content: []byte(content), ReceivedAt: noon}, Gave: gave}
}

// TestReprocessDies between taking away and queueing: what comes instead is noted,
// and what is no longer kept is left alone.
func TestReprocessDies(t *testing.T) {
	q, now := openQueue(t, nil), noon
	r, who := newReceiver(t, q, new(devices), clockAt(&now)), newPrincipal()
	at := func(ms int64) registry.MeasureTime { return registry.MeasureTime{Measure: "temperature", At: ms} }
	gone, old, gaveBefore := at(1780315100_000), at(1780315200_000), at(1780315000_000)
	ctx, die := context.WithCancel(t.Context())
	store := &payloads{undone: die,
		kept: []*registry.KeptPayload{keptPayload(1, `[{"t": 215, "at": 1780315200}, {"t": 7, "at": 1780315100}]`, old, gone, gaveBefore)},
		standing: func(w registry.WantedValue) registry.Standing {
			if w.MeasureTime == old {
				return registry.StandingOther
			}
			return registry.StandingGone
		}}
	got, err := r.Reprocess(ctx, who, store, registry.ReprocessRequest{Device: "sensor-1", First: 10})
	if registry.CodeOf(err) != registry.CodeUnavailable || got.Replaced != 1 || got.NoLongerKept != 2 || got.Added+got.Removed != 0 {
		t.Fatalf("got %+v, %v", got, err)
	}
	want := [][]registry.Undoing{{{Payload: "p001", Remove: []registry.MeasureTime{old}, Keep: []registry.MeasureTime{gone, gaveBefore}, Valid: true, Records: store.noted}}}
	if diff := cmp.Diff(want, store.undoings); diff != "" {
		t.Errorf("undone: -want +got\n%s", diff)
	}
	if queued := queuedReadings(t, q); len(queued) != 0 {
		t.Fatalf("queued: %+v", queued)
	}
	stored, err := r.Requeue(t.Context(), store.noted)
	if err != nil {
		t.Fatal(err)
	}
	// Nobody stores what is queued.
	if err := stored(ctx); registry.CodeOf(err) != registry.CodeUnavailable {
		t.Errorf("got %v", err)
	}
	queued := queuedReadings(t, q)
	if len(queued) != 1 || queued[0].MeasuredAt.UnixMilli() != old.At || queued[0].Values["temperature"] != 21.5 || queued[0].Payload.ID != "p001" {
		t.Errorf("queued: %+v", queued)
	}
}

// TestReprocessIsBounded ends a call when what it has to remember is much, and
// takes little at a time away.
func TestReprocessIsBounded(t *testing.T) {
	now := noon
	r, who := newReceiver(t, openQueue(t, nil), new(devices), clockAt(&now)), newPrincipal()
	const readings = 10_000
	store := &payloads{standing: func(registry.WantedValue) registry.Standing { return registry.StandingAbsent }}
	for n := range mostChanged/readings + 2 {
		var content bytes.Buffer
		for i := range readings {
			fmt.Fprintf(&content, "{\"t\":1,\"at\":%d}", 1700000000+n*readings+i)
		}
		store.kept = append(store.kept, keptPayload(n, content.String()))
	}
	got, err := r.Reprocess(t.Context(), who, store, registry.ReprocessRequest{Device: "sensor-1", First: 1000, Rehearse: true})
	if err != nil || got.Payloads != mostChanged/readings || got.Added != mostChanged || got.After != registry.Cursor("p019") || got.Token == "" {
		t.Fatalf("got %+v, %v", got, err)
	}
	die := errors.New("no more than one part")
	ctx, cancel := context.WithCancelCause(t.Context())
	store.undone = func() { cancel(die) }
	if _, err := r.Reprocess(ctx, who, store, registry.ReprocessRequest{Device: "sensor-1", First: 1000}); err == nil {
		t.Fatal("the queue took readings without a context")
	}
	if n := len(store.undoings[0]); n == 0 || n > 10 {
		t.Errorf("%d payloads of %d readings are taken back at once", n, readings)
	}
}
