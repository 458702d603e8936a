package chaos

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/internal/devstack"
	"github.com/holon-registry/holon/internal/testkit"
)

// lease is how long a worker that is silent keeps its partitions.
const lease = 3 * time.Second

// faults are what is done to Holon while readings arrive. Each returns with
// everything running again.
var faults = []struct {
	name    string
	always  bool // even without HOLON_CHAOS_MINUTES
	workers int
	do      func(*system)
}{
	{"worker killed", true, 1, func(s *system) {
		for range s.times(2, 4) {
			s.killWorkerInABatch()
		}
	}},
	{"worker paused", true, 2, func(s *system) {
		time.Sleep(lease / 2)
		for i := range s.times(1, 4) {
			s.pauseWorker(i % 2)
		}
	}},
	{"redis killed", true, 1, func(s *system) {
		for range s.times(2, 4) {
			time.Sleep(time.Second)
			s.killStores(700*time.Millisecond, stage.stores.Redis)
		}
	}},
	{"neo4j killed", true, 1, func(s *system) {
		time.Sleep(time.Second)
		s.killStores(time.Second, stage.stores.Neo4j)
	}},
	{"gateway killed", false, 1, func(s *system) {
		for range 4 {
			time.Sleep(time.Second)
			s.crash(s.gateway)
		}
	}},
	{"serve killed", false, 1, func(s *system) {
		for range 4 {
			time.Sleep(time.Second)
			s.crash(s.serve)
		}
	}},
	{"both stores killed", false, 2, func(s *system) {
		time.Sleep(time.Second)
		s.killStores(2*time.Second, stage.stores.Redis, stage.stores.Neo4j)
	}},
	{"redis paused", false, 1, func(s *system) {
		time.Sleep(time.Second)
		s.pauseStore(stage.stores.Redis, 8*time.Second)
	}},
	{"neo4j paused", false, 1, func(s *system) {
		time.Sleep(time.Second)
		s.pauseStore(stage.stores.Neo4j, 8*time.Second)
	}},
	{"workers replaced in good order", false, 2, func(s *system) {
		for i := range 4 {
			time.Sleep(time.Second)
			s.workers[i%2].Stop(s.t)
			s.workers[i%2].start()
			s.workers[i%2].awaitReady()
		}
	}},
}

// long says for how many minutes random faults shall be done, 0 for not at all.
func long(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("HOLON_CHAOS_MINUTES")
	if text == "" {
		return 0
	}
	minutes, err := strconv.ParseFloat(text, 64)
	if err != nil || minutes < 0 {
		t.Fatalf("HOLON_CHAOS_MINUTES=%q is not a number of minutes", text)
	}
	return time.Duration(minutes * float64(time.Minute))
}

// times says how often to do something: in a short run, or in a long one.
func (s *system) times(short, many int) int {
	if long(s.t) > 0 {
		return many
	}
	return short
}

func TestFaults(t *testing.T) {
	for _, fault := range faults {
		if !fault.always && long(t) == 0 {
			continue
		}
		t.Run(fault.name, func(t *testing.T) {
			s, l := startSystem(t, options{workers: fault.workers}), newLedger()
			d := startLoad(s, l)
			fault.do(s)
			over := time.Now()
			time.Sleep(time.Second)
			d.settle()
			t.Logf("everything acknowledged %.1f s after the fault; %d attempts had to be made again", time.Since(over).Seconds(), d.again.Load())
			s.audit(l)
			s.stopAll()
		})
	}
}

// left is for how long random faults are done: what of the minutes that were asked
// for remains beside all other tests, but a quarter of them at least.
func left(t *testing.T) time.Duration {
	t.Helper()
	length := long(t)
	rest := length - time.Since(stage.began)
	if length >= floodLength {
		rest -= floodLength + floodWithin
	}
	return max(rest, length/4)
}

// TestRandomFaults does faults in random order with two workers, and audits
// about every half minute.
func TestRandomFaults(t *testing.T) {
	if long(t) == 0 {
		t.Log("HOLON_CHAOS_MINUTES is not set: the faults of TestFaults are all that is done")
		return
	}
	length := left(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("for %s, seed %d", length.Round(time.Second), seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s, l := startSystem(t, options{workers: 2}), newLedger()
	for end := time.Now().Add(length); time.Now().Before(end) && !t.Failed(); {
		d := startLoad(s, l)
		for round := time.Now(); time.Since(round) < 30*time.Second; {
			time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
			s.randomFault(random)
		}
		d.settle()
		s.audit(l)
	}
	s.stopAll()
}

func (s *system) randomFault(random *rand.Rand) {
	s.t.Helper()
	some := time.Duration(random.IntN(4000)) * time.Millisecond
	switch kind := random.IntN(8); kind {
	case 0, 1:
		s.t.Logf("worker %d is killed", kind)
		s.crash(s.workers[kind])
	case 2:
		s.t.Log("a worker is paused beyond its lease")
		s.pauseWorker(random.IntN(2))
	case 3:
		s.t.Log("the gateway is killed")
		s.crash(s.gateway)
	case 4:
		s.t.Log("serve is killed")
		s.crash(s.serve)
	case 5:
		s.t.Logf("Redis is killed for %s", some)
		s.killStores(some, stage.stores.Redis)
	case 6:
		s.t.Logf("Neo4j is killed for %s", some)
		s.killStores(some, stage.stores.Neo4j)
	case 7:
		s.t.Logf("Redis is paused for %s", some)
		s.pauseStore(stage.stores.Redis, some)
	}
}

// crash kills a service and starts it again at once.
func (s *system) crash(one *service) {
	s.t.Helper()
	one.Kill()
	one.start()
	one.awaitReady()
}

// killWorkerInABatch lets a backlog grow while the dead worker's lease runs
// out, and kills the next worker as soon as it has begun to work it off.
func (s *system) killWorkerInABatch() {
	s.t.Helper()
	w := s.workers[0]
	w.Kill()
	s.awaitQueue("a backlog has grown", 20*time.Second, func(q queue) bool { return q.waiting > 300 })
	w.start()
	most := 0.0
	left := s.awaitQueue("the worker has begun", 30*time.Second, func(q queue) bool {
		most = max(most, q.waiting)
		return q.waiting < most
	})
	w.Kill()
	s.t.Logf("killed with %.0f of %.0f readings still to do", left.waiting, most)
	w.start()
	w.awaitReady()
	s.awaitQueue("the worker has caught up", 60*time.Second, func(q queue) bool { return q.waiting < 100 })
}

// pauseWorker stops a worker in its tracks, waits until the other one has taken
// everything over and worked it off, and lets the first go on.
func (s *system) pauseWorker(i int) {
	s.t.Helper()
	s.workers[i].Pause(s.t)
	time.Sleep(lease + time.Second)
	s.awaitQueue("the other worker has taken over", 60*time.Second, func(q queue) bool { return q.waiting < 100 })
	s.workers[i].Continue(s.t)
	time.Sleep(time.Second)
}

// killStores kills stores, all at once, and starts them again after a while.
func (s *system) killStores(down time.Duration, stores ...*devstack.Process) {
	s.t.Helper()
	for _, one := range stores {
		if err := one.Kill(); err != nil {
			s.t.Fatal(err)
		}
	}
	time.Sleep(down)
	for _, one := range stores {
		if err := one.Restart(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *system) pauseStore(store *devstack.Process, length time.Duration) {
	s.t.Helper()
	if err := store.Pause(); err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(length)
	if err := store.Continue(); err != nil {
		s.t.Fatal(err)
	}
}

// stopAll asks every process to end, which must not take long nor fail.
func (s *system) stopAll() {
	s.t.Helper()
	for _, one := range append([]*service{s.gateway, s.serve, s.second}, s.workers...) {
		if one != nil {
			one.Stop(s.t)
		}
	}
}

// The live state is a cache: with a Redis of its own that is emptied again and
// again, it must come back from the graph, and the queue must not care.
func TestLiveStateEmptied(t *testing.T) {
	cache := startCache(t)
	s, l := startSystem(t, options{workers: 1, env: []string{
		"REDIS_URL=" + cache.String(), "REDIS_QUEUE_URL=" + stage.stores.RedisURL,
	}}), newLedger()
	client := redis.NewClient(&redis.Options{Addr: cache.addr})
	defer client.Close()
	d := startLoad(s, l)
	for range s.times(1, 6) {
		time.Sleep(time.Second)
		for deadline := time.Now().Add(30 * time.Second); client.DBSize(t.Context()).Val() == 0; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("no live state came to its Redis: there is nothing to empty")
			}
		}
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Second)
	d.settle()
	s.audit(l)
	// And when nothing arrives any more that could bring it back.
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.audit(l)
	s.stopAll()
}

type cacheServer struct{ addr string }

// String is the server's URL.
func (c cacheServer) String() string { return "redis://" + c.addr }

// startCache starts a Redis that keeps nothing on disk, the same program as
// that of the stores.
func startCache(t *testing.T) cacheServer {
	t.Helper()
	addr := testkit.FreeAddr(t)
	program := testkit.Start(t, "redis (cache)", nil, redisProgram(t), "--bind", "127.0.0.1", "--port", addr[strings.LastIndex(addr, ":")+1:],
		"--save", "", "--appendonly", "no", "--dir", t.TempDir())
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for client.Ping(ctx).Err() != nil {
		if ctx.Err() != nil {
			t.Fatalf("the cache does not answer:\n%s", program.Output())
		}
		time.Sleep(20 * time.Millisecond)
	}
	return cacheServer{addr}
}

// redisProgram is the redis-server on the PATH, or else the one that the stores
// run, which Maven fetched.
func redisProgram(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("redis-server"); err == nil {
		return path
	}
	path, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(stage.stores.Redis.Pid()), "exe"))
	if err != nil {
		t.Fatalf("no redis-server on the PATH, and the one of the stores is not known: %v", err)
	}
	return path
}
