package ingest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// openQueue opens a queue of its own on the Redis of the tests.
func openQueue(t testing.TB, change func(*QueueConfig)) *Queue {
	t.Helper()
	c := QueueConfig{URL: testkit.RedisURL(t), Prefix: "test-" + uuid.NewString(), Partitions: 4, AllowVolatile: true}
	if change != nil {
		change(&c)
	}
	q, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	t.Cleanup(func() {
		for _, k := range q.keys {
			q.client.Unlink(ctx, k.stream, k.meta, k.clock, k.clockBefore, k.ids, k.idsBefore, k.lease)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

// drain returns everything that is in a partition, in order.
func drain(t testing.TB, q *Queue, partition int) []Entry {
	t.Helper()
	var all []Entry
	after := "0"
	for {
		entries, err := q.Read(t.Context(), partition, after, 100, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return all
		}
		all, after = append(all, entries...), entries[len(entries)-1].ID
	}
}

func add(t testing.TB, q *Queue, readings ...registry.AcceptedReading) {
	t.Helper()
	if err := q.Add(t.Context(), readings); err != nil {
		t.Fatal(err)
	}
}

func TestQueueKeepsWhatItTakes(t *testing.T) {
	q := openQueue(t, nil)
	readings := manyReadings(500, 20)
	add(t, q, readings[:200]...)
	add(t, q, readings[200:]...)
	found := map[registry.ID][]registry.AcceptedReading{}
	total := 0
	for p := range q.Partitions() {
		entries := drain(t, q, p)
		for _, e := range entries {
			for _, r := range e.Readings {
				if registry.PartitionOf(r.DeviceID, q.Partitions()) != p {
					t.Fatalf("device %s is in partition %d", r.DeviceID, p)
				}
				if age := time.Since(r.ReceivedAt); age < -time.Minute || age > time.Minute {
					t.Fatalf("ReceivedAt is %s", r.ReceivedAt)
				}
				found[r.DeviceID] = append(found[r.DeviceID], r)
				total++
			}
		}
	}
	for _, want := range readings {
		list := found[want.DeviceID]
		if len(list) == 0 || !list[0].MeasuredAt.Equal(want.MeasuredAt) || list[0].Values["temperature"] != want.Values["temperature"] {
			t.Fatalf("reading of %s at %s is lost or out of order", want.Reference, want.MeasuredAt)
		}
		found[want.DeviceID] = list[1:]
	}
	checkBooks(t, q, 500, 500)
	for p := range q.Partitions() {
		entries := drain(t, q, p)
		for range 2 { // the second time does nothing
			if err := q.Done(t.Context(), p, entries); err != nil {
				t.Fatal(err)
			}
		}
	}
	checkBooks(t, q, 0, 500)
}

// checkBooks compares the books with what is in the streams.
func checkBooks(t testing.TB, q *Queue, readings, accepted int) {
	t.Helper()
	all, err := q.Backlogs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gotReadings, gotAccepted := 0, 0
	for _, b := range all {
		n, size := 0, 0
		for _, e := range drain(t, q, b.Partition) {
			n, size = n+len(e.Readings), size+e.size
		}
		if n != b.Readings || size != b.Bytes {
			t.Errorf("partition %d: the books say %d readings in %d bytes, it holds %d in %d", b.Partition, b.Readings, b.Bytes, n, size)
		}
		if (b.Oldest > 0) != (n > 0) && n > 0 {
			t.Errorf("partition %d has %d readings and a lag of %s", b.Partition, n, b.Oldest)
		}
		gotReadings, gotAccepted = gotReadings+b.Readings, gotAccepted+b.Accepted
	}
	if gotReadings != readings || gotAccepted != accepted {
		t.Errorf("%d readings of %d accepted are in the queue, want %d of %d", gotReadings, gotAccepted, readings, accepted)
	}
}

func TestQueueBoundIsExact(t *testing.T) {
	blob, _ := appendRecord(nil, &manyReadings(1, 1)[0])
	for name, change := range map[string]func(*QueueConfig){
		"readings": func(c *QueueConfig) { c.MaxReadings = 100 },
		"bytes":    func(c *QueueConfig) { c.MaxBytes = 100*(len(blob)+2) + 1 },
	} {
		t.Run(name, func(t *testing.T) {
			q := openQueue(t, func(c *QueueConfig) { c.Partitions = 1; change(c) })
			var accepted, refused atomic.Int64
			var wait sync.WaitGroup
			for range 16 {
				wait.Go(func() {
					for range 20 {
						readings := manyReadings(3, 1)
						readings[0].Reference, readings[1].Reference, readings[2].Reference = "device-00", "device-00", "device-00"
						err := q.Add(t.Context(), readings)
						switch {
						case err == nil:
							accepted.Add(3)
						case registry.CodeOf(err) == registry.CodeLimitExceeded:
							refused.Add(3)
							if wait := RetryAfter(err); wait < time.Second || wait > 3*time.Second {
								t.Errorf("come again after %s", wait)
							}
						default:
							t.Error(err)
						}
					}
				})
			}
			wait.Wait()
			if accepted.Load() < 96 || accepted.Load() > 100 || accepted.Load()+refused.Load() != 960 {
				t.Errorf("%d accepted, %d refused", accepted.Load(), refused.Load())
			}
			checkBooks(t, q, int(accepted.Load()), int(accepted.Load()))
			if err := q.Done(t.Context(), 0, drain(t, q, 0)); err != nil {
				t.Fatal(err)
			}
			if err := q.Add(t.Context(), manyReadings(3, 1)); err != nil {
				t.Errorf("an emptied queue refuses: %v", err)
			}
		})
	}
}

func TestQueueGivesTimesInOrder(t *testing.T) {
	q := openQueue(t, nil)
	device := registry.ID(uuid.NewString())
	reading := func(message string) registry.AcceptedReading {
		return registry.AcceptedReading{Account: "a", DeviceID: device, MessageID: message, Values: map[string]any{"n": 1.0}}
	}
	var batch []registry.AcceptedReading
	for i := range 50 {
		batch = append(batch, reading("m"+strconv.Itoa(i)))
	}
	add(t, q, batch...)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 10 {
				if err := q.Add(t.Context(), []registry.AcceptedReading{reading("")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	add(t, q, reading("m7"), reading("new"), reading("m7"))
	p := registry.PartitionOf(device, q.Partitions())
	var last time.Time
	first := map[string]time.Time{}
	repeats := 0
	for _, e := range drain(t, q, p) {
		for _, r := range e.Readings {
			if before, known := first[r.MessageID]; known {
				repeats++
				if !before.Equal(r.MeasuredAt) {
					t.Errorf("the repeat of %s has time %s, the first had %s", r.MessageID, r.MeasuredAt, before)
				}
				continue
			}
			if !r.MeasuredAt.After(last) {
				t.Fatalf("%s does not follow %s", r.MeasuredAt, last)
			}
			if last = r.MeasuredAt; r.MessageID != "" {
				first[r.MessageID] = last
			}
		}
	}
	if repeats != 2 {
		t.Errorf("%d repeats, want 2", repeats)
	}
}

func TestQueueForgetsMessageIDs(t *testing.T) {
	device := registry.ID(uuid.NewString())
	reading := func(i int) registry.AcceptedReading {
		return registry.AcceptedReading{DeviceID: device, MessageID: fmt.Sprint(i), Values: map[string]any{"n": 1.0}}
	}
	q := openQueue(t, func(c *QueueConfig) { c.Partitions, c.RememberMax = 1, 10 })
	for i := range 200 {
		add(t, q, reading(i))
	}
	add(t, q, reading(195), reading(5)) // one that is remembered, one that is not
	k := q.keys[0]
	for _, key := range []string{k.ids, k.idsBefore, k.clock, k.clockBefore} {
		if n := q.client.HLen(t.Context(), key).Val(); n > 12 {
			t.Errorf("%s has %d fields", key, n)
		}
	}
	times := map[string][]time.Time{}
	for _, e := range drain(t, q, 0) {
		for _, r := range e.Readings {
			times[r.MessageID] = append(times[r.MessageID], r.MeasuredAt)
		}
	}
	if list := times["195"]; len(list) != 2 || !list[0].Equal(list[1]) {
		t.Errorf("a recent message id was forgotten: %v", list)
	}
	if list := times["5"]; len(list) != 2 || !list[1].After(list[0]) {
		t.Errorf("an old message id was not forgotten: %v", list)
	}
	// Time turns the memories as well: kept once, gone the second time.
	q.c.RememberFor = 30 * time.Millisecond
	add(t, q, reading(1000))
	for _, want := range []int64{1, 0} {
		time.Sleep(40 * time.Millisecond)
		add(t, q, registry.AcceptedReading{DeviceID: device, Values: map[string]any{"n": 1.0}})
		if n := q.client.HLen(t.Context(), k.idsBefore).Val(); n < want || want == 0 && n != 0 {
			t.Errorf("%d message ids are remembered, want %d", n, want)
		}
	}
}

func TestQueueGenerations(t *testing.T) {
	q := openQueue(t, func(c *QueueConfig) { c.Partitions = 1 })
	add(t, q, manyReadings(1, 1)...)
	first := drain(t, q, 0)[0]
	add(t, q, manyReadings(1, 1)...)
	if second := drain(t, q, 0)[1]; second.Generation != first.Generation || first.Generation == "" {
		t.Errorf("generations %q and %q of one stream", first.Generation, second.Generation)
	}
	if err := q.Done(t.Context(), 0, drain(t, q, 0)); err != nil {
		t.Fatal(err)
	}
	add(t, q, manyReadings(1, 1)...)
	if g := drain(t, q, 0)[0].Generation; g != first.Generation {
		t.Errorf("an emptied stream went from generation %q to %q", first.Generation, g)
	}
	q.client.Unlink(t.Context(), q.keys[0].stream)
	add(t, q, manyReadings(1, 1)...)
	if g := drain(t, q, 0)[0].Generation; g == first.Generation {
		t.Errorf("a lost stream came back as generation %q", g)
	}
	checkBooks(t, q, 1, 4)
}

func TestQueueGroupsCalls(t *testing.T) {
	q := openQueue(t, func(c *QueueConfig) { c.Partitions = 1 })
	var calls atomic.Int64
	q.adder.AddHook(countPipelines{&calls})
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() {
			if err := q.Add(t.Context(), manyReadings(1, 1)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	checkBooks(t, q, 100, 100)
	if n := calls.Load(); n == 0 || n > 50 {
		t.Errorf("100 concurrent requests made %d calls", n)
	}
}

func TestQueueWithoutRedis(t *testing.T) {
	door := testkit.NewDoor(t)
	q := openQueue(t, func(c *QueueConfig) { c.URL = door.URL; c.Timeout = time.Second })
	add(t, q, manyReadings(10, 3)...)
	q.client.ScriptFlush(t.Context())
	add(t, q, manyReadings(10, 3)...) // the script is sent again
	door.Shut()
	start := time.Now()
	if err := q.Add(t.Context(), manyReadings(10, 3)); registry.CodeOf(err) != registry.CodeUnavailable {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s to say no", took)
	}
	if _, err := q.Backlogs(t.Context()); registry.CodeOf(err) != registry.CodeUnavailable {
		t.Errorf("got %v", err)
	}
	door.Open()
	deadline := time.Now().Add(5 * time.Second)
	for q.Add(t.Context(), manyReadings(1, 1)) != nil {
		if time.Now().After(deadline) {
			t.Fatal("the queue does not come back")
		}
	}
}

func TestQueueWithoutMemory(t *testing.T) {
	q := openQueue(t, nil)
	// Redis answers so when it is out of memory or cannot write its disk; the
	// queue must not take that for success.
	for _, text := range []string{"OOM command not allowed", "MISCONF Redis is configured to save", "READONLY You can't write"} {
		hook := &failing{text: text}
		failed := openQueue(t, func(c *QueueConfig) { c.Prefix = q.c.Prefix })
		failed.adder.AddHook(hook)
		if err := failed.Add(t.Context(), manyReadings(4, 4)); registry.CodeOf(err) != registry.CodeUnavailable {
			t.Errorf("%s: got %v", text, err)
		}
	}
	checkBooks(t, q, 0, 0)
}

func TestOpenRefusesVolatileRedis(t *testing.T) {
	client := redis.NewClient(must(redis.ParseURL(testkit.RedisURL(t))))
	defer client.Close()
	set := client.ConfigGet(t.Context(), "appendonly").Val()["appendonly"]
	_, err := Open(t.Context(), QueueConfig{URL: testkit.RedisURL(t), Prefix: "test-" + uuid.NewString(), Partitions: 1})
	switch {
	case set == "yes" && err != nil:
		t.Errorf("a durable Redis is refused: %v", err)
	case set != "yes" && (registry.CodeOf(err) != registry.CodeFailedPrecondition || !strings.Contains(err.Error(), "appendonly")):
		t.Errorf("a volatile Redis gives %v", err)
	}
	for setting, value := range map[string]string{"appendonly": "no", "appendfsync": "everysec", "maxmemory-policy": "allkeys-lru"} {
		other := redis.NewClient(must(redis.ParseURL(testkit.RedisURL(t))))
		other.AddHook(settings{setting: value})
		if err := checkNode(t.Context(), other); registry.CodeOf(err) != registry.CodeFailedPrecondition || !strings.Contains(err.Error(), setting) {
			t.Errorf("%s %s gives %v", setting, value, err)
		}
		other.Close()
	}
	if _, err := Open(t.Context(), QueueConfig{URL: "redis://127.0.0.1:1", Partitions: 1}); registry.CodeOf(err) != registry.CodeUnavailable {
		t.Errorf("no Redis gives %v", err)
	}
	if _, err := Open(t.Context(), QueueConfig{URL: "http://x:y@z", Partitions: 1}); err == nil || strings.Contains(err.Error(), "x:y") {
		t.Errorf("a bad URL gives %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
