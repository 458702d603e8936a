package graph_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

func TestFencedOwnerWritesNothing(t *testing.T) {
	f := newField(t)
	d := f.device("d", "")
	start := morning()
	f.send(f.reading(d, start, map[string]any{"x": 1.0}))
	old := f.partition(d.ID)
	f.partitions = map[int]*graph.Partition{}
	f.partition(d.ID)
	_, err := old.Append(t.Context(), []graph.Entry{f.entryOf(f.reading(d, start.Add(time.Second), map[string]any{"x": 2.0}))})
	if !errors.Is(err, graph.ErrFenced) {
		t.Errorf("append by the old owner: %v, want ErrFenced", err)
	}
	f.expectSamples(d.ID, "x", at(start, 1.0))
	f.takeoverHoldsTheLock(d, start)
	// Also when the takeover happens while the old owner waits for the lock.
	for i := range 20 {
		p := f.partition(d.ID)
		var result registry.AppendResult
		var failed, taken error
		entry := f.entryOf(f.reading(d, start.Add(time.Duration(i+10)*time.Second), map[string]any{"x": float64(i)}))
		var group sync.WaitGroup
		group.Go(func() { result, failed = p.Append(t.Context(), []graph.Entry{entry}) })
		group.Go(func() { _, taken = f.store.OpenPartition(t.Context(), registry.PartitionOf(d.ID, f.n), f.generation) })
		group.Wait()
		if taken != nil || failed != nil && !errors.Is(failed, graph.ErrFenced) {
			t.Fatalf("append: %v, takeover: %v", failed, taken)
		}
		if has := len(f.samples(d.ID, "x")) == 2+i; failed == nil && (!has || result.Stored != 1) {
			t.Fatalf("stored %d, graph has it: %v, error %v", result.Stored, has, failed)
		}
		f.partitions = map[int]*graph.Partition{}
		f.write(entry)
		if n := len(f.samples(d.ID, "x")); n != 2+i {
			t.Fatalf("%d measurements after round %d", n, i)
		}
	}
}

// takeoverHoldsTheLock lets an owner wait for a takeover that has begun but is
// not committed: what the owner compares the epoch with is what it is then.
func (f *field) takeoverHoldsTheLock(d *registry.Device, start time.Time) {
	f.Helper()
	driver := f.driver()
	session := driver.NewSession(f.Context(), neo4j.SessionConfig{})
	defer session.Close(f.Context())
	p := f.partition(d.ID)
	tx, err := session.BeginTransaction(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	if _, err = tx.Run(f.Context(), `MATCH (p:Partition {number: $n}) SET p.epoch = p.epoch + 1`, map[string]any{"n": registry.PartitionOf(d.ID, f.n)}); err != nil {
		f.Fatal(err)
	}
	appended := make(chan error, 1)
	go func() {
		_, err := p.Append(f.Context(), []graph.Entry{f.entryOf(f.reading(d, start.Add(time.Minute), map[string]any{"x": 2.0}))})
		appended <- err
	}()
	select {
	case err := <-appended:
		f.Errorf("the old owner did not wait: %v", err)
	case <-time.After(300 * time.Millisecond):
		if err := tx.Commit(f.Context()); err != nil {
			f.Fatal(err)
		}
		if err := <-appended; !errors.Is(err, graph.ErrFenced) {
			f.Errorf("append after waiting for a takeover: %v, want ErrFenced", err)
		}
	}
	f.partitions = map[int]*graph.Partition{}
	f.expectSamples(d.ID, "x", at(start, 1.0))
}

func TestDeviceIsDeletedMeanwhile(t *testing.T) {
	f := newField(t)
	d := f.device("d", "")
	start := morning()
	f.expect(f.send(f.reading(d, start, map[string]any{"x": 1.0})), 1, 0, 0, 1)
	if _, err := f.store.DeleteDevice(t.Context(), f.scope, registry.Ref{Kind: registry.KindDevice, Key: "d"}); err != nil {
		t.Fatal(err)
	}
	f.expect(f.send(f.reading(d, start.Add(time.Second), map[string]any{"x": 2.0})), 0, 0, 1, 0)
	// A device that is made anew under the same reference is another one.
	f.device("d", "")
	f.expect(f.send(f.reading(d, start.Add(2*time.Second), map[string]any{"x": 2.0})), 0, 0, 1, 0)
}

func TestTemplateChangesBetweenBatches(t *testing.T) {
	f := newField(t)
	f.template(registry.KindDevice, "one", registry.MeasureDeclaration{Name: "x", Type: "number"})
	f.template(registry.KindDevice, "two", registry.MeasureDeclaration{Name: "x", Type: "string"})
	d := f.device("d", "one")
	start := morning()
	f.expect(f.send(f.reading(d, start, map[string]any{"x": 1.0})), 1, 0, 0, 1)
	two := "two"
	if _, err := f.store.UpdateDevice(t.Context(), f.scope, registry.Ref{Kind: registry.KindDevice, Key: "d"}, registry.TwinPatch{Template: &two}); err != nil {
		t.Fatal(err)
	}
	f.expect(f.send(f.reading(d, start.Add(time.Second), map[string]any{"x": 2.0})), 0, 0, 1, 0)
	f.expect(f.send(f.reading(d, start.Add(time.Second), map[string]any{"x": "two"})), 1, 0, 0, 1)
	f.expectSamples(d.ID, "x", at(start, 1.0), at(start.Add(time.Second), "two"))
}
