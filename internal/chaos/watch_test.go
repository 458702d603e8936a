package chaos

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	watchEvery = 250 * time.Millisecond
	// What a process may take beyond what it has when it is idle follows from the
	// settings: 50,000 readings of each of eight partitions wait for their turn at
	// most, a packed one of these tests has less than 150 bytes; a connection of a
	// stream has 12 MiB of text at most, and as much again twice when it is parsed.
	// Go's collector lets a heap grow to twice what is in use.
	processBound = 2 * (8*50_000*150 + floodStreams*3*12<<20)
	// Redis holds a full queue, at most 512 bytes a reading in it, the feed of the
	// account, and buffers of its clients.
	redisBound = 8*floodQueue*512 + 64<<20
	// flatMargin is by how much the second half's peak may be above the first's, as
	// a part of it, and flatBytes in any case: the collector does not run by a clock.
	flatMargin = 0.25
	flatBytes  = 16 << 20
)

// sample is how the system was at one time.
type sample struct {
	after  time.Duration
	memory map[string]int // bytes, by process; of Redis what it uses
	stored float64        // readings that have left the queue
}

// watcher samples a system until it is told to end.
type watcher struct {
	idle, bound map[string]int
	samples     []sample
	errs        []error
	length      time.Duration

	stop  chan struct{}
	ended sync.WaitGroup
}

// watch begins to sample memory and progress.
func (s *system) watch() *watcher {
	s.t.Helper()
	o, err := redis.ParseURL(stage.stores.RedisURL)
	if err != nil {
		s.t.Fatal(err)
	}
	client := redis.NewClient(o)
	processes := map[string]*service{"serve": s.serve, "gateway": s.gateway}
	for _, w := range s.workers {
		processes[w.name] = w
	}
	look := func() (map[string]int, error) {
		memory := map[string]int{}
		for name, one := range processes {
			if memory[name], err = resident(one.Pid()); err != nil {
				return nil, err
			}
		}
		memory["redis"], err = redisMemory(client.Info(s.t.Context(), "memory").Result())
		return memory, err
	}
	w := &watcher{bound: map[string]int{}, stop: make(chan struct{})}
	if w.idle, err = look(); err != nil {
		s.t.Fatal(err)
	}
	for name, idle := range w.idle {
		w.bound[name] = idle + processBound
	}
	w.bound["redis"] = w.idle["redis"] + redisBound
	began := time.Now()
	w.ended.Go(func() {
		defer client.Close()
		for {
			q, err := s.askQueue()
			memory, lookErr := look()
			if err == nil {
				err = lookErr
			}
			if err != nil {
				w.errs = append(w.errs, err)
			} else {
				w.samples = append(w.samples, sample{time.Since(began), memory, q.accepted - q.waiting})
			}
			select {
			case <-w.stop:
				return
			case <-time.After(watchEvery):
			}
		}
	})
	return w
}

func redisMemory(info string, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(info) {
		if text, ok := strings.CutPrefix(line, "used_memory:"); ok {
			return strconv.Atoi(strings.TrimSpace(text))
		}
	}
	return 0, fmt.Errorf("Redis says nothing about its memory")
}

// end ends the sampling of something that was this long.
func (w *watcher) end(t *testing.T, length time.Duration) *watcher {
	t.Helper()
	close(w.stop)
	w.ended.Wait()
	if len(w.samples) == 0 {
		t.Fatalf("nothing could be seen: %v", w.errs)
	}
	w.length = length
	return w
}

func (w *watcher) last() sample { return w.samples[len(w.samples)-1] }

// judge says whether memory stayed below its bounds and flat, and whether the
// worker stored all the while.
func (w *watcher) judge(t *testing.T) {
	t.Helper()
	if len(w.errs) > len(w.samples)/10 {
		t.Fatalf("%d of %d looks failed: %v", len(w.errs), len(w.errs)+len(w.samples), w.errs[0])
	}
	for name, bound := range w.bound {
		var peaks [2]int
		for _, one := range w.samples {
			half := 0
			if one.after > w.length/2 {
				half = 1
			}
			peaks[half] = max(peaks[half], one.memory[name])
		}
		t.Logf("%s: %d MiB idle, at most %d MiB in the first half and %d MiB in the second, bound %d MiB", name, w.idle[name]>>20, peaks[0]>>20, peaks[1]>>20, bound>>20)
		if max(peaks[0], peaks[1]) > bound {
			t.Errorf("%s took %d MiB, and its bound is %d", name, max(peaks[0], peaks[1])>>20, bound>>20)
		}
		if float64(peaks[1]) > float64(peaks[0])*(1+flatMargin)+flatBytes {
			t.Errorf("%s grows: %d MiB in the first half, %d MiB in the second", name, peaks[0]>>20, peaks[1]>>20)
		}
	}
	var rates []float64
	from := w.samples[0]
	for _, one := range w.samples {
		if one.after-from.after >= floodPart {
			rates = append(rates, (one.stored-from.stored)/(one.after-from.after).Seconds())
			from = one
		}
	}
	mean := (w.last().stored - w.samples[0].stored) / w.length.Seconds()
	t.Logf("stored a second, by %s: %.0f; %.0f in the mean", floodPart, rates, mean)
	for i, rate := range rates {
		if rate < mean/4 {
			t.Errorf("in part %d the worker stored %.0f readings a second only, and %.0f in the mean", i+1, rate, mean)
		}
	}
}
