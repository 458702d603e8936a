package ingest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/internal/devstack"
	"github.com/holon-registry/holon/registry"
)

// The queue's Redis is killed in the middle of the work, and runs out of
// memory: what was acknowledged is there, and nothing else is acknowledged.
func TestQueueSurvivesItsRedis(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	stack, err := devstack.Start(ctx, devstack.Options{Dir: t.TempDir(), RedisOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	q, err := Open(ctx, QueueConfig{URL: stack.RedisURL, Partitions: 4, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err) // the local stack keeps what it takes
	}
	defer q.Close()

	device := registry.ID(uuid.NewString())
	var acknowledged sync.Map
	var next, failures atomic.Int64
	var writers sync.WaitGroup
	writing, stop := context.WithCancel(ctx)
	for range 8 {
		writers.Go(func() {
			for writing.Err() == nil {
				ms := 1_700_000_000_000 + next.Add(1)
				r := registry.AcceptedReading{DeviceID: device, Reference: "d", MeasuredAt: at(ms), Values: map[string]any{"n": float64(ms)}}
				if err := q.Add(ctx, []registry.AcceptedReading{r}); err == nil {
					acknowledged.Store(ms, true)
				} else if failures.Add(1); registry.CodeOf(err) != registry.CodeUnavailable {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	for range 3 {
		time.Sleep(400 * time.Millisecond)
		if err := stack.Redis.Kill(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if err := stack.Redis.Restart(ctx); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(300 * time.Millisecond)
	stop()
	writers.Wait()
	held, booked := 0, 0
	there := map[int64]bool{}
	for p := range q.Partitions() {
		for _, e := range drain(t, q, p) {
			for _, r := range e.Readings {
				there[r.MeasuredAt.UnixMilli()] = true
				held++
			}
		}
	}
	n := 0
	acknowledged.Range(func(ms, _ any) bool {
		if n++; !there[ms.(int64)] {
			t.Errorf("reading %d was acknowledged and is lost", ms)
		}
		return true
	})
	t.Logf("%d acknowledged, %d refused, %d there", n, failures.Load(), len(there))
	all, err := q.Backlogs(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		booked += b.Readings
	}
	if booked != held {
		t.Errorf("the books say %d readings, there are %d", booked, held)
	}
	if n == 0 || failures.Load() == 0 {
		t.Errorf("%d acknowledged and %d refused: the test did not test anything", n, failures.Load())
	}
	// The client waits a second after many failed attempts to connect.
	eventually(t, "the queue takes readings again", 5*time.Second, func() bool { return q.Add(ctx, manyReadings(10, 10)) == nil })
	if err := q.client.ConfigSet(ctx, "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	if err := q.Add(ctx, manyReadings(10, 10)); registry.CodeOf(err) != registry.CodeUnavailable || !strings.Contains(errors.Unwrap(err).Error(), "OOM") {
		t.Errorf("out of memory: %v: %v", err, errors.Unwrap(err))
	}
	if err := q.client.ConfigSet(ctx, "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := q.Add(ctx, manyReadings(10, 10)); err != nil {
		t.Errorf("with memory again: %v: %v", err, errors.Unwrap(err))
	}
}
