package chaos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/internal/testkit"
)

// clockJump is by how much clocks jump, and leaseBound how long a partition may be
// without an owner after one: several times what it takes to notice.
const (
	clockJump  = 2 * time.Hour
	leaseBound = time.Minute
)

// fakeClock is the wall clock of a Redis, by libfaketime: it reads the file at
// every look, so the clock jumps while Redis runs, as when somebody sets it.
type fakeClock struct {
	t      *testing.T
	file   string
	client *redis.Client
}

// set moves the clock to so much before or after the true time, and looks at it if
// Redis is running.
func (c *fakeClock) set(offset time.Duration, running bool) {
	c.t.Helper()
	// Renamed into place: whoever looks at the clock sees one time or the other.
	text := fmt.Sprintf("%+d\n", int(offset.Seconds()))
	if err := os.WriteFile(c.file+".new", []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(c.file+".new", c.file); err != nil {
		c.t.Fatal(err)
	}
	if !running {
		return
	}
	now, err := c.client.Time(c.t.Context()).Result()
	if err != nil {
		c.t.Fatal(err)
	}
	if off := time.Until(now) - offset; off.Abs() > time.Minute {
		c.t.Fatalf("the clock of Redis is %s away from where it was set", off)
	}
	c.t.Logf("the clock of Redis is set to %+.0f h", offset.Hours())
}

// faketimeEnv lets a program see the time that a file says. libc comes before the
// allocator that Debian's Redis is linked to, which asks for the time before
// libfaketime can tell it.
func faketimeEnv(t *testing.T, file string) []string {
	t.Helper()
	find := func(pattern string) string {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s is not there: the test of clocks needs the Debian package faketime (apt-get install faketime)", pattern)
		}
		return found[0]
	}
	preload := find("/usr/lib/*/faketime/libfaketimeMT.so.1") + ":" + find("/lib/*-linux-gnu/libc.so.6")
	return []string{"LD_PRELOAD=" + preload, "FAKETIME_TIMESTAMP_FILE=" + file, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"}
}

// removeFaketime removes what libfaketime shares among the threads of a process: one
// that is killed leaves it behind, and another one may get its pid.
func removeFaketime(t *testing.T, pid int) {
	t.Helper()
	for _, name := range []string{"faketime_shm_", "sem.faketime_sem_"} {
		if err := os.Remove(filepath.Join("/dev/shm", name+strconv.Itoa(pid))); err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
	}
}

// TestClocks moves the clock of Redis by hours, forwards and back, while it runs
// and while it is down, with workers and serve killed just before it goes back.
// Leases, sessions and what is remembered of repeats live by that clock.
//
// It does not move the clock of Holon's own processes: they are static programs
// that ask the kernel, and a time namespace does not change the wall clock. Nor that
// of Neo4j. Clocks of devices are TestDeviceClocks.
func TestClocks(t *testing.T) {
	if long(t) == 0 {
		t.Log("HOLON_CHAOS_MINUTES is not set: no clock is moved")
		return
	}
	addr, dir := testkit.FreeAddr(t), t.TempDir()
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: 5})
	defer client.Close()
	clock := &fakeClock{t, filepath.Join(dir, "clock"), client}
	if err := os.WriteFile(clock.file, []byte("+0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := faketimeEnv(t, clock.file)
	start := func() (program *testkit.Program) {
		t.Cleanup(func() { // after the program's own, which ends it
			if program != nil {
				removeFaketime(t, program.Pid())
			}
		})
		program = testkit.Start(t, "redis (faketime)", env, redisProgram(t), "--bind", "127.0.0.1", "--port", addr[strings.LastIndex(addr, ":")+1:],
			"--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", dir)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		await(t, ctx, "the Redis whose clock moves answers", func() bool { return client.Ping(ctx).Err() == nil })
		return program
	}
	program := start()
	url := "redis://" + addr
	s, l := startSystem(t, options{workers: 2, env: []string{"REDIS_URL=" + url, "REDIS_QUEUE_URL=" + url}}), newLedger()
	d := startLoad(s, l)
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"forwards", func() { clock.set(clockJump, true) }},
		{"back", func() { clock.set(0, true) }},
		{"back again", func() { clock.set(-clockJump, true) }},
		{"forwards, a worker killed before", func() { s.workers[0].Kill(); clock.set(clockJump, true) }},
		{"back, a worker killed before", func() { s.workers[1].Kill(); clock.set(-clockJump, true) }},
		{"back by days, serve killed before", func() { clock.set(clockJump, true); s.serve.Kill(); clock.set(-50*time.Hour, true) }},
		{"forwards while Redis is down", func() { program.Kill(); clock.set(clockJump, false); program = start() }},
		{"back while Redis is down, both workers killed", func() {
			s.workers[0].Kill()
			s.workers[1].Kill()
			program.Kill()
			clock.set(-clockJump, false)
			program = start()
		}},
		{"right again", func() { clock.set(0, true) }},
	} {
		step.do()
		began := time.Now()
		for _, one := range append([]*service{s.serve}, s.workers...) {
			select {
			case <-one.Ended():
				one.start()
				one.awaitReady()
			default:
			}
		}
		time.Sleep(time.Second)
		stored := s.awaitOwners(leaseBound)
		t.Logf("%s: after %.1f s every partition had an owner again and the queue was short, %.0f readings so far", step.name, time.Since(began).Seconds(), stored)
	}
	d.settle()
	s.audit(l)
	s.stopAll()
}

// awaitOwners waits until the queue is short: with a load on all devices, that is
// when each partition has a worker: what a dead one had grows by more each second.
func (s *system) awaitOwners(limit time.Duration) (stored float64) {
	s.t.Helper()
	q := s.awaitQueue("every partition is worked off", limit, func(q queue) bool { return q.waiting < 100 })
	return q.accepted - q.waiting
}

// TestDeviceClocks sends readings by clocks that jump. What is older is stored where
// it belongs and is never the live state; what is more than five minutes ahead is
// refused to the sender and nothing of it is stored; what is said again is a repeat.
func TestDeviceClocks(t *testing.T) {
	if long(t) == 0 {
		t.Log("HOLON_CHAOS_MINUTES is not set: no clock is wrong")
		return
	}
	s, l := startSystem(t, options{workers: 1}), newLedger()
	d := &load{s: s, ledger: l, cancel: func() {}}
	// Every series has a reading, so that all can be checked; of these two devices
	// the newest comes in the middle, and older ones after it.
	d.touchAll()
	now := time.Now()
	// Devices that are not linked: links begin an hour ago.
	for i, offset := range []time.Duration{
		-time.Minute, -clockJump, -50 * time.Hour, 0, -24 * time.Hour, 4 * time.Minute, -clockJump + time.Second, 30 * time.Second,
	} {
		some := []reading{l.writeAt(s.devices[linkedSize], now.Add(offset)), l.writeAt(s.devices[linkedSize+1], now.Add(offset+time.Millisecond))}
		for range 1 + i%2 { // some of them twice
			if _, err := d.overHTTP(t.Context(), some); err != nil {
				t.Errorf("%s from now: %v", offset, err)
			}
		}
		l.acknowledge(some...)
	}
	for _, offset := range []time.Duration{6 * time.Minute, clockJump, 50 * time.Hour} {
		r := reading{device: s.devices[0], at: time.Now().Add(offset).UnixMilli(), number: 1_000_000}
		text, err := linesOf([]reading{r})
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/readings", bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-ndjson")
		request.Header.Set("Authorization", "Bearer "+s.key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusBadRequest || !strings.Contains(string(said), "in the future") {
			t.Errorf("a reading %s ahead: %d %s (%v), want 400 and why", offset, response.StatusCode, said, err)
		}
	}
	for _, w := range d.wrong {
		t.Error(w)
	}
	s.audit(l)
	s.stopAll()
}
