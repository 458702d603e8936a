package chaos

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// reading is one message of a device. Its number is unique in the ledger, and
// both values say it: a value at the wrong time or in the wrong series shows.
type reading struct {
	device string
	at     int64 // milliseconds
	number int
}

func (r reading) value() float64 { return float64(r.number) }
func (r reading) note() string   { return "note " + strconv.Itoa(r.number) }
func (r reading) id() string     { return r.device + "-" + strconv.Itoa(r.number) }

// body is the reading as it is sent; over MQTT the topic names the device.
func (r reading) body(withDevice bool) map[string]any {
	body := map[string]any{"measuredAt": r.at, "messageId": r.id(), "values": map[string]any{"value": r.value(), "note": r.note()}}
	if withDevice {
		body["device"] = r.device
	}
	return body
}

// ledger knows every reading that was made and whether it was acknowledged.
type ledger struct {
	mu       sync.Mutex
	next     int
	last     map[string]int64             // newest time of a device
	readings map[string]map[int64]reading // by device and time
	acked    map[int]bool                 // by number
}

func newLedger() *ledger {
	return &ledger{last: map[string]int64{}, readings: map[string]map[int64]reading{}, acked: map[int]bool{}}
}

// write makes the next reading of a device, later than all before it.
func (l *ledger) write(device string) reading {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.add(device, max(time.Now().UnixMilli(), l.last[device]+1))
}

// writeAt makes a reading by a clock that may be wrong: no other of the device has
// that time.
func (l *ledger) writeAt(device string, at time.Time) reading {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.add(device, at.UnixMilli())
}

func (l *ledger) add(device string, at int64) reading {
	l.next++
	r := reading{device: device, at: at, number: l.next}
	l.last[device] = max(l.last[device], at)
	if l.readings[device] == nil {
		l.readings[device] = map[int64]reading{}
	}
	l.readings[device][at] = r
	return r
}

func (l *ledger) acknowledge(some ...reading) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range some {
		l.acked[r.number] = true
	}
}

// counts says how many readings were made and how many were acknowledged.
func (l *ledger) counts() (made, acked int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next, len(l.acked)
}

// found is what the graph holds of a device's two measures, or of what an asset
// has from it: time and value of each measurement node, in no order.
type found struct {
	at    []int64
	value []any
}

// verdict is what comes out when the ledger is held against the graph.
type verdict struct {
	acknowledged int // of readings
	stored       int // of readings, unacknowledged ones included
	unasked      int // stored and never acknowledged: allowed, once
	lost         int // values acknowledged and not stored
	doubled      int // values stored more than once
	wrong        []string
}

const mostWrongs = 20

func (v *verdict) say(format string, args ...any) {
	if len(v.wrong) <= mostWrongs {
		v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
	}
}

// compare holds the ledger against what the graph has of each device, by
// measure: "value" and "note".
func (l *ledger) compare(graph map[string]map[string]found) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	var v verdict
	v.acknowledged = len(l.acked)
	for device, made := range l.readings {
		times := map[string][]int64{}
		for _, measure := range []string{"value", "note"} {
			f := graph[device][measure]
			times[measure] = l.compareSeries(&v, device, measure, made, f)
		}
		if !slices.Equal(times["value"], times["note"]) {
			v.say("%s: the two measures have different times", device)
		}
		v.stored += len(times["value"])
		for _, at := range times["value"] {
			if !l.acked[made[at].number] {
				v.unasked++
			}
		}
	}
	for device := range graph {
		if l.readings[device] == nil {
			v.say("%s has measurements and was never heard of", device)
		}
	}
	return v
}

// compareSeries checks one series and returns its times, each once, in order.
func (l *ledger) compareSeries(v *verdict, device, measure string, made map[int64]reading, f found) []int64 {
	seen := map[int64]int{}
	for i, at := range f.at {
		seen[at]++
		r, known := made[at]
		if !known {
			v.say("%s %s: a measurement at %d that nobody sent", device, measure, at)
			continue
		}
		var want any = r.value()
		if measure == "note" {
			want = r.note()
		}
		if f.value[i] != want {
			v.say("%s %s at %d: %v is stored, %v was sent", device, measure, at, f.value[i], want)
		}
		if seen[at] == 2 {
			v.doubled++
			v.say("%s %s at %d: stored more than once", device, measure, at)
		}
	}
	for at, r := range made {
		if l.acked[r.number] && seen[at] == 0 {
			v.lost++
			v.say("%s %s at %d: acknowledged (number %d) and lost", device, measure, at, r.number)
		}
	}
	times := make([]int64, 0, len(seen))
	for at := range seen {
		times = append(times, at)
	}
	slices.Sort(times)
	return times
}

// A ledger that finds nothing wrong is worth something only if it would.
func TestLedgerFindsWhatIsWrong(t *testing.T) {
	l := newLedger()
	var sent []reading
	for range 4 {
		sent = append(sent, l.write("d"))
	}
	l.acknowledge(sent[:3]...)
	graph := func(change func(value, note *found)) map[string]map[string]found {
		var value, note found
		for _, r := range sent[:3] {
			value.at, value.value = append(value.at, r.at), append(value.value, r.value())
			note.at, note.value = append(note.at, r.at), append(note.value, r.note())
		}
		change(&value, &note)
		return map[string]map[string]found{"d": {"value": value, "note": note}}
	}
	add := func(f *found, at int64, v any) { f.at, f.value = append(f.at, at), append(f.value, v) }
	for name, c := range map[string]struct {
		change func(value, note *found)
		wrong  bool
	}{
		"all well":        {func(_, _ *found) {}, false},
		"an unasked one":  {func(v, n *found) { add(v, sent[3].at, sent[3].value()); add(n, sent[3].at, sent[3].note()) }, false},
		"half a reading":  {func(v, _ *found) { add(v, sent[3].at, sent[3].value()) }, true},
		"a lost one":      {func(v, n *found) { v.at, n.at = v.at[1:], n.at[1:]; v.value, n.value = v.value[1:], n.value[1:] }, true},
		"a doubled one":   {func(v, n *found) { add(v, v.at[0], v.value[0]); add(n, n.at[0], n.value[0]) }, true},
		"a wrong value":   {func(v, _ *found) { v.value[1] = 99.0 }, true},
		"an unknown time": {func(v, n *found) { add(v, 1, 1.0); add(n, 1, "note 1") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			v := l.compare(graph(c.change))
			if got := len(v.wrong) > 0; got != c.wrong {
				t.Errorf("found %q", v.wrong)
			}
			if v.acknowledged != 3 {
				t.Errorf("%d acknowledged, want 3", v.acknowledged)
			}
		})
	}
}
