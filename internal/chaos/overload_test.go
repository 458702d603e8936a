package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// Eight partitions of this many readings are all that the queue may hold.
	smallQueue   = 300
	burstSenders = 48
	burstBatch   = 50
	burstLength  = 5 * time.Second
	mostResident = 400 << 20 // bytes: far above what is needed, far below what a queue in memory would take
)

// A flood that nobody works off is refused aloud, takes no memory, and what was
// acknowledged all the same is stored once somebody does.
func TestOverload(t *testing.T) {
	s, l := startSystem(t, options{workers: 1, queueMax: smallQueue}), newLedger()
	d := &load{s: s, ledger: l, cancel: func() {}}
	d.touchAll()
	s.workers[0].Stop(t)
	idle, err := resident(s.serve.Pid())
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), burstLength)
	defer cancel()
	most := watchResident(ctx, s.serve.Pid())
	var flood errgroup.Group
	connection := dialMQTT(t.Context(), s)
	var overMQTT sync.Mutex
	refusedMQTT, taken := 0, 0
	for i := range burstSenders {
		flood.Go(func() error { d.flood(ctx, i); return nil })
		if i%8 > 0 {
			continue
		}
		flood.Go(func() error {
			for ctx.Err() == nil {
				r := l.write(s.devices[i%len(s.devices)])
				attempting, done := context.WithTimeout(t.Context(), attemptLimit)
				_, err := d.overMQTT(attempting, connection, r)
				done()
				overMQTT.Lock()
				switch {
				case err == nil:
					taken++
					l.acknowledge(r)
				case errors.Is(err, errRefused):
					refusedMQTT++
				}
				overMQTT.Unlock()
			}
			return nil
		})
	}
	if err := flood.Wait(); err != nil {
		t.Fatal(err)
	}
	peak := <-most
	for _, w := range d.wrong {
		t.Error(w)
	}
	refusedHTTP := int(d.full.Load()) - refusedMQTT
	made, acked := l.counts()
	t.Logf("flood: %d readings made, %d acknowledged; refused: %d requests over HTTP with 429, %d messages over MQTT with PUBACK 0x97",
		made, acked, refusedHTTP, refusedMQTT)
	t.Logf("serve: %d MiB resident before, %d MiB at most during the flood", idle>>20, peak>>20)
	if refusedHTTP == 0 {
		t.Error("a full queue was never refused over HTTP")
	}
	if refusedMQTT == 0 {
		t.Error("a full queue was never refused over MQTT")
	}
	if peak == 0 || peak > mostResident {
		t.Errorf("serve took %d MiB", peak>>20)
	}
	q, err := s.askQueue()
	if err != nil || q.waiting == 0 || q.waiting > 8*smallQueue {
		t.Errorf("the queue holds %v readings (%v), and its bound is %d", q.waiting, err, 8*smallQueue)
	}
	s.workers[0].start()
	s.workers[0].awaitReady()
	s.audit(l)

	// With room again, readings are taken again.
	r := l.write(s.devices[0])
	if _, err := d.overHTTP(t.Context(), []reading{r}); err != nil {
		t.Errorf("after the flood: %v", err)
	}
	l.acknowledge(r)
	s.audit(l)
	s.stopAll()
}

// flood posts as fast as it can and gives up what is refused.
func (d *load) flood(ctx context.Context, sender int) {
	for ctx.Err() == nil {
		some := make([]reading, burstBatch)
		for i := range some {
			some[i] = d.ledger.write(d.s.devices[(sender+i)%len(d.s.devices)])
		}
		attempting, done := context.WithTimeout(context.WithoutCancel(ctx), attemptLimit)
		if _, err := d.overHTTP(attempting, some); err == nil {
			d.ledger.acknowledge(some...)
		}
		done()
	}
}

// resident is how much memory a process has, in bytes.
func resident(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("process %d says nothing about its memory", pid)
}

// watchResident looks at a process's memory until the context ends, and then
// tells the most that it saw: 0 if it could not look.
func watchResident(ctx context.Context, pid int) <-chan int {
	told := make(chan int, 1)
	go func() {
		most := 0
		for ctx.Err() == nil {
			now, err := resident(pid)
			if err != nil {
				break
			}
			most = max(most, now)
			time.Sleep(50 * time.Millisecond)
		}
		told <- most
	}()
	return told
}
