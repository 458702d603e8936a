package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

const (
	floodLength  = 5 * time.Minute
	floodQueue   = 1000 // readings, of each of eight partitions
	floodTimes   = 10   // as much is offered as is stored
	floodMargin  = 1    // and as much more, since the worker is not stopped at once
	floodHTTP    = 8
	floodMQTT    = 2
	floodStreams = 2
	floodBatch   = 200
	// floodWindow is how many messages of a stream are on their way: they are all of
	// one device, and a full part of the queue takes five every two seconds.
	floodWindow = 30
	// floodPart is what the worker's rate is looked at by.
	floodPart = 30 * time.Second
	// floodWithin is how soon after the flood a reading must be seen: seconds, and
	// room for a machine that has other things to do.
	floodWithin = 30 * time.Second
)

// flooded counts readings by what came of the attempts to send them.
type flooded struct{ offered, taken, refused, failed atomic.Int64 }

func (f *flooded) count(n int, err error) {
	f.offered.Add(int64(n))
	switch {
	case err == nil:
		f.taken.Add(int64(n))
	case errors.Is(err, errRefused):
		f.refused.Add(int64(n))
	default:
		f.failed.Add(int64(n))
	}
}

// answered counts what Holon has decided on: what did not come to it is no flood.
func (f *flooded) answered() int64 { return f.taken.Load() + f.refused.Load() }

func (f *flooded) String() string {
	return fmt.Sprintf("%d readings offered, %d taken, %d refused, %d in attempts that failed otherwise", f.offered.Load(), f.taken.Load(), f.refused.Load(), f.failed.Load())
}

// TestFlood offers for five minutes ten times what the worker stores, and more,
// over every way: what is refused is offered again at once. Refusals are clear,
// memory is flat, the worker goes on, and when the flood ends, so does its
// effect. The worker is slowed down where the senders are not fast enough for that.
// It is for the long run, of at least five minutes.
func TestFlood(t *testing.T) {
	if long(t) < floodLength {
		t.Logf("HOLON_CHAOS_MINUTES is less than %.0f: TestOverload is all the flood there is", floodLength.Minutes())
		return
	}
	s, l := startSystem(t, options{workers: 1, queueMax: floodQueue}), newLedger()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d := &load{s: s, ledger: l, quit: make(chan struct{}), cancel: cancel}
	d.touchAll()
	connection := dialMQTT(ctx, s)
	connecting, connected := context.WithTimeout(ctx, time.Minute)
	defer connected()
	if err := connection.AwaitConnection(connecting); err != nil {
		t.Fatal(err)
	}
	before := s.awaitEmpty().accepted
	watch := s.watch()

	var overHTTP, overMQTT flooded
	var flood errgroup.Group
	began := time.Now()
	for i := range floodHTTP {
		flood.Go(func() error { d.insist(&overHTTP, i, d.postLines); return nil })
	}
	for i := range floodMQTT {
		flood.Go(func() error {
			d.insist(&overMQTT, i, func(ctx context.Context, some []reading) func(context.Context) error {
				return d.publishList(connection, some)
			})
			return nil
		})
	}
	var settled errgroup.Group
	for i := range floodStreams {
		w := d.newStreamer(uuid.NewString(), floodBatch, floodWindow, 0, func(batch int) []reading { return d.ofOne(i, batch) })
		d.streams = append(d.streams, w)
		settled.Go(func() error { return w.run(ctx) })
	}
	offered, stored, stopped := s.slowDown(floodLength, before, func() float64 {
		return float64(overHTTP.answered()+overMQTT.answered()) + float64(d.overStreams())
	})
	close(d.quit)
	length := time.Since(began)
	if err := flood.Wait(); err != nil {
		t.Fatal(err)
	}
	seen := watch.end(t, length)
	s.awaitRecovery(d)
	stop := time.AfterFunc(2*settlingLimit, cancel)
	if err := settled.Wait(); err != nil {
		t.Errorf("after the flood: %v", err)
	}
	stop.Stop()
	for _, w := range d.wrong {
		t.Error(w)
	}

	busy := 0
	for _, w := range d.streams {
		w.mu.Lock()
		busy += w.busy
		w.mu.Unlock()
	}
	t.Logf("HTTP: %s with 429", &overHTTP)
	t.Logf("MQTT: %s with PUBACK 0x97", &overMQTT)
	t.Logf("WebSocket: %d readings sent, %d times busy", d.overStreams(), busy)
	if overHTTP.refused.Load() == 0 || overMQTT.refused.Load() == 0 || busy == 0 {
		t.Error("the queue was full, and not everybody was told")
	}
	t.Logf("offered %.0f a second, stored %.0f a second: %.1f times as much; the worker was stopped for %.0f s of that", offered/length.Seconds(), stored/length.Seconds(), offered/stored, stopped.Seconds())
	if stored == 0 {
		t.Error("nothing was stored during the flood")
	}
	if offered < floodTimes*stored {
		t.Errorf("only %.1f times as much was offered as was stored: %d times are wanted", offered/stored, floodTimes)
	}
	seen.judge(t)
	s.audit(l)
	s.stopAll()
}

// slowDown lets a flood go on, and the worker store less than its part of what is
// offered: it is stopped in its tracks whenever it has stored more, however fast the
// senders are on this machine. Before is what was stored before the flood. It says
// what was offered and stored at the end, and for how long the worker was stopped.
func (s *system) slowDown(length time.Duration, before float64, offer func() float64) (offered, stored float64, stopped time.Duration) {
	s.t.Helper()
	w, paused, since := s.workers[0], false, time.Time{}
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(watchEvery) {
		q, err := s.askQueue()
		if err != nil {
			continue // the watcher counts it
		}
		offered, stored = offer(), q.accepted-q.waiting-before
		switch ahead := stored*(floodTimes+floodMargin) > offered; {
		case ahead && !paused:
			w.Pause(s.t)
			paused, since = true, time.Now()
		case !ahead && paused:
			w.Continue(s.t)
			paused, stopped = false, stopped+time.Since(since)
		}
	}
	if paused {
		w.Continue(s.t)
		stopped += time.Since(since)
	}
	return offered, stored, stopped
}

// overStreams counts the readings that were sent over WebSockets in a flood.
func (d *load) overStreams() (readings int) {
	for _, w := range d.streams {
		w.mu.Lock()
		readings += w.sent * floodBatch
		w.mu.Unlock()
	}
	return readings
}

// touchAll sends a reading of each device, so that every series exists.
func (d *load) touchAll() {
	t := d.s.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, device := range d.s.devices {
		r := d.ledger.write(device)
		await(t, ctx, "a reading of each device is taken", func() bool {
			_, err := attempt(ctx, []reading{r}, d.overHTTP)
			return err == nil
		})
		d.ledger.acknowledge(r)
	}
	d.s.awaitEmpty()
}

// ofOne makes readings of one device.
func (d *load) ofOne(sender, batch int) []reading {
	some := make([]reading, batch)
	for i := range some {
		some[i] = d.ledger.write(d.s.devices[sender%len(d.s.devices)])
	}
	return some
}

// insist makes readings and offers them again and again until they are taken,
// without a pause, whatever it is told; then others. Only what did not come to Holon
// waits a moment: a connection that is down fails a thousand times a second. What was
// never taken when the flood is over may be stored all the same: once, and in part.
func (d *load) insist(f *flooded, sender int, prepare func(context.Context, []reading) func(context.Context) error) {
	for turn := sender; !d.quitting(); turn++ {
		some := d.ofOne(turn, floodBatch)
		offer := prepare(d.s.t.Context(), some)
		for {
			attempting, done := context.WithTimeout(d.s.t.Context(), attemptLimit)
			err := offer(attempting)
			done()
			f.count(len(some), err)
			if err == nil {
				d.ledger.acknowledge(some...)
				break
			}
			if d.quitting() {
				break // it was refused, or is in doubt: at most once in the graph
			}
			if !errors.Is(err, errRefused) {
				time.Sleep(retryPause)
			}
		}
	}
}

// postLines prepares a request with readings: the text is made once.
func (d *load) postLines(_ context.Context, some []reading) func(context.Context) error {
	text, err := linesOf(some)
	return func(ctx context.Context) error {
		if err != nil {
			return err
		}
		_, err := d.post(ctx, text, len(some))
		return err
	}
}

// publishList prepares a message with readings of one device.
func (d *load) publishList(connection *autopaho.ConnectionManager, some []reading) func(context.Context) error {
	bodies := make([]map[string]any, len(some))
	for i, r := range some {
		bodies[i] = r.body(false)
	}
	payload, err := json.Marshal(bodies)
	return func(ctx context.Context) error {
		if err != nil {
			return err
		}
		_, err := d.publish(ctx, connection, &paho.Publish{QoS: 1, Topic: "holon/" + d.s.account + "/readings/" + some[0].device, Payload: payload})
		return err
	}
}

// awaitRecovery sends a reading until it is taken, waits until it is seen, and
// says how long both took.
func (s *system) awaitRecovery(d *load) {
	s.t.Helper()
	over := time.Now()
	ctx, cancel := context.WithTimeout(s.t.Context(), floodWithin)
	defer cancel()
	device := s.devices[len(s.devices)-1]
	r := d.ledger.write(device)
	await(s.t, ctx, "a reading is taken after the flood", func() bool {
		_, err := attempt(ctx, []reading{r}, d.overHTTP)
		return err == nil
	})
	d.ledger.acknowledge(r)
	taken := time.Since(over)
	await(s.t, ctx, "a reading is seen after the flood", func() bool {
		var answer struct{ Device liveTwin }
		s.query(`query($r: String!) { device(reference: $r) { reference live { measure value measuredAt } } }`, map[string]any{"r": device}, &answer)
		for _, v := range answer.Device.Live {
			if v.Measure == "value" && v.Value == r.value() {
				return true
			}
		}
		return false
	})
	s.t.Logf("after the flood: a reading was taken after %.2f s and seen after %.2f s", taken.Seconds(), time.Since(over).Seconds())
}
