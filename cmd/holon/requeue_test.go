package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/ingest"
	"github.com/holon-registry/holon/registry"
)

// dying is a store with a process that dies after something was undone.
type dying struct {
	*graph.Store
	die func()
}

// Undo implements ingest.Payloads.
func (d dying) Undo(ctx context.Context, scope registry.Scope, device registry.ID, undoings []registry.Undoing) (registry.Undone, error) {
	defer d.die()
	return d.Store.Undo(ctx, scope, device, undoings)
}

// TestRequeue dies while it decodes anew. What was noted is queued once, however
// far the queue is behind, and not at all if a newer template has decoded it.
func TestRequeue(t *testing.T) {
	t.Parallel()
	client, account := newAccount(t)
	options := func(scale float64) map[string]any {
		return map[string]any{"options": map[string]any{"time": map[string]any{"path": "at", "format": "unix"}, "measures": map[string]any{"temperature": map[string]any{"path": "t", "scale": scale}}}}
	}
	ask[any](t, client, makeProbe, options(1))
	ask[any](t, client, `mutation { createDevice(input: {reference: "p1", template: "probe"}) { device { id } } }`, nil)
	if status, answer := sendRaw(t, client, "/v1/raw/p1?ack=stored", "text/json", fmt.Sprintf(`{"t": 512, "at": %d}`, time.Now().Unix())); status != 200 {
		t.Fatalf("%d %v", status, answer)
	}
	owner, err := holon.stores.graph.AccountByName(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	who := registry.Principal{Scope: registry.Scope{Account: owner.ID, AccountName: owner.Name}}
	scaled := func(scale float64) {
		t.Helper()
		ask[any](t, client, `mutation ($options: JSONObject) { updateTemplate(input: {kind: DEVICE, name: "probe", decoder: {name: "json", options: $options}}) { template { version } }
			publishTemplate(input: {kind: DEVICE, name: "probe"}) { template { version } } migrateObjects(input: {kind: DEVICE, template: "probe", all: true}) { migrated } }`, options(scale))
	}
	dies := func() {
		t.Helper()
		ctx, die := context.WithCancel(t.Context())
		defer die()
		got, err := holon.stores.receiver.Reprocess(ctx, &who, dying{holon.stores.graph, die}, registry.ReprocessRequest{Device: "p1", First: 10})
		if registry.CodeOf(err) != registry.CodeUnavailable || got.Replaced != 1 {
			t.Fatalf("got %+v, %v", got, err)
		}
		if got := deviceSamples(t, client, "p1", "temperature"); len(got) != 0 {
			t.Fatalf("not undone: %v", got)
		}
	}
	others := errors.New("of another account")
	notes := func() (out []graph.Requeue) {
		t.Helper()
		_, err := holon.stores.graph.RequeueSome(t.Context(), time.Now().Add(time.Minute), func(_ context.Context, note graph.Requeue) error {
			if note.Scope.Account != owner.ID {
				return others
			}
			out = append(out, note)
			return nil
		})
		if err != nil && !errors.Is(err, others) {
			t.Fatal(err)
		}
		return out
	}

	scaled(0.5)
	dies()
	if got := notes(); len(got) != 1 {
		t.Fatalf("noted: %+v", got)
	}
	scaled(0.25)
	ask[any](t, client, `mutation { reprocess(input: {device: "p1"}) { added } }`, nil)
	if diff := cmp.Diff([]any{128.0}, deviceSamples(t, client, "p1", "temperature")); diff != "" {
		t.Error(diff)
	}
	if got := notes(); len(got) != 0 {
		t.Fatalf("an older template is noted: %+v", got)
	}

	scaled(0.125)
	dies()
	noted := notes()
	if len(noted) != 1 {
		t.Fatalf("noted: %+v", noted)
	}
	// A queue that nobody works off.
	queue, err := ingest.Open(t.Context(), ingest.QueueConfig{URL: os.Getenv("REDIS_URL"), Prefix: "requeue" + rand.Text(), Partitions: holon.stores.queue.Partitions()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := queue.Close(); err != nil {
			t.Error(err)
		}
	})
	behind := &stores{log: holon.stores.log, graph: holon.stores.graph, twin: holon.stores.twin, queue: queue}
	if behind.receiver, err = ingest.NewReceiver(queue, ingest.NewDirectory(directorySource{behind.graph}, time.Now), time.Now, nil); err != nil {
		t.Fatal(err)
	}
	if err := behind.requeue(t.Context(), noted[0]); err != nil {
		t.Fatal(err)
	}
	if got := notes(); len(got) != 0 {
		t.Fatalf("it would be queued again: %+v", got)
	}
	if err := holon.stores.requeue(t.Context(), noted[0]); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "what was noted", func() bool {
		return slices.Equal([]any{64.0}, deviceSamples(t, client, "p1", "temperature")) && liveOf(t, client, "p1", "temperature") == 64.0
	})
}
