package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
)

const hourMillis = 3_600_000

// expectation is what Holon must have once the readings were sent: it is
// computed from the files alone.
type expectation struct {
	// Readings counts the lines. Each is stored, or a repeat (the same values
	// at the same time), or a conflict (other values at the same time).
	Readings  int `json:"readings"`
	Stored    int `json:"stored"`
	Repeats   int `json:"repeats"`
	Conflicts int `json:"conflicts"`
	// Series is by device and measure.
	Series map[string]map[string]*series `json:"series"`
}

// series is what one measure of one device was.
type series struct {
	Count  int    `json:"count"`
	Newest sample `json:"newest"`
	// Hours is by the hour's begin, in milliseconds since 1970.
	Hours map[int64]hour `json:"hours"`
	// samples are in the order of time.
	samples []sample
}

// sample is one value at one time, in milliseconds since 1970.
type sample struct {
	At    int64 `json:"at"`
	Value any   `json:"value"`
}

// hour is one hour of a series. Mean is nil for what is no number.
type hour struct {
	Count int      `json:"count"`
	Mean  *float64 `json:"mean"`
}

// expect computes what becomes of readings that are sent in this order: of two
// readings of one device and time the first is stored.
func expect(readings []reading) *expectation {
	e := &expectation{Readings: len(readings), Series: map[string]map[string]*series{}}
	stored := map[string]map[int64]reading{}
	for _, r := range readings {
		device := r.Device()
		if stored[device] == nil {
			stored[device] = map[int64]reading{}
		}
		first, known := stored[device][r.At]
		switch {
		case !known:
			stored[device][r.At] = r
			e.Stored++
		case first.Values == r.Values:
			e.Repeats++
		default:
			e.Conflicts++
		}
	}
	for device, byTime := range stored {
		inOrder := slices.SortedFunc(maps.Values(byTime), func(a, b reading) int { return cmp.Compare(a.At, b.At) })
		e.Series[device] = map[string]*series{}
		for i, m := range measures {
			e.Series[device][m.Name] = seriesOf(inOrder, i)
		}
	}
	return e
}

// seriesOf takes the i-th measure out of readings that are in order of time.
func seriesOf(readings []reading, i int) *series {
	s := &series{Count: len(readings), Hours: map[int64]hour{}}
	sums := map[int64]float64{}
	for _, r := range readings {
		s.samples = append(s.samples, sample{r.At, r.value(i)})
		begin := r.At - r.At%hourMillis
		h := s.Hours[begin]
		h.Count++
		s.Hours[begin] = h
		sums[begin] += r.Values[i]
	}
	s.Newest = s.samples[len(s.samples)-1]
	if measures[i].Boolean {
		return s
	}
	for begin, h := range s.Hours {
		mean := sums[begin] / float64(h.Count)
		h.Mean = &mean
		s.Hours[begin] = h
	}
	return s
}

// readExpectation reads what check.py wrote.
func readExpectation(path string) (*expectation, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var e expectation
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &e, nil
}

// differences compares two expectations and says where they differ.
func (e *expectation) differences(other *expectation) []string {
	var all []string
	differ := func(format string, values ...any) { all = append(all, fmt.Sprintf(format, values...)) }
	if a, b := [4]int{e.Readings, e.Stored, e.Repeats, e.Conflicts}, [4]int{other.Readings, other.Stored, other.Repeats, other.Conflicts}; a != b {
		differ("readings, stored, repeats, conflicts: %v, but %v", a, b)
	}
	for _, device := range sortedKeys(e.Series, other.Series) {
		for _, name := range sortedKeys(e.Series[device], other.Series[device]) {
			a, b := e.Series[device][name], other.Series[device][name]
			if a == nil || b == nil {
				differ("%s %s: only one of them has it", device, name)
				continue
			}
			if a.Count != b.Count || a.Newest != b.Newest {
				differ("%s %s: %d values, newest %v, but %d, newest %v", device, name, a.Count, a.Newest, b.Count, b.Newest)
			}
			for _, begin := range sortedKeys(a.Hours, b.Hours) {
				if !a.Hours[begin].equal(b.Hours[begin]) {
					differ("%s %s, hour %s: %s, but %s", device, name, moment(begin), a.Hours[begin], b.Hours[begin])
				}
			}
		}
	}
	return all
}

// equal allows for the order in which floating-point numbers were added up.
func (h hour) equal(other hour) bool {
	if h.Count != other.Count || (h.Mean == nil) != (other.Mean == nil) {
		return false
	}
	return h.Mean == nil || math.Abs(*h.Mean-*other.Mean) <= 1e-9*max(1, math.Abs(*h.Mean))
}

func (h hour) String() string {
	if h.Mean == nil {
		return fmt.Sprintf("%d values", h.Count)
	}
	return fmt.Sprintf("%d values, mean %v", h.Count, *h.Mean)
}

func sortedKeys[K cmp.Ordered, V any](all ...map[K]V) []K {
	keys := map[K]bool{}
	for _, one := range all {
		for k := range one {
			keys[k] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}
