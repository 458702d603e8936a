package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// rawWide is the raw form with batches as a worker finds them in a full queue.
const rawWide = "raw, large batches"

// cell is one way of writing, which is measured once a round.
type cell struct {
	part  string
	burst int
	// run writes all readings and returns how long that took; what can be made
	// ready is made ready before the clock starts.
	run     func(ctx context.Context) (sample, error)
	samples []sample
}

// sample is what was measured once.
type sample struct {
	took time.Duration
	// requests are the times of transactions, or of requests over HTTP.
	requests []time.Duration
	// processor is the time that each process used.
	processor map[string]time.Duration
}

func (c *cell) title() string { return fmt.Sprintf("%s, burst %d", c.part, c.burst) }

func (c *cell) measure(ctx context.Context, counts bool) error {
	s, err := c.run(ctx)
	if err == nil && counts {
		c.samples = append(c.samples, s)
	}
	return err
}

// Spread is what several rounds gave.
type Spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

func spreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	return Spread{sorted[0], median(sorted), sorted[len(sorted)-1]}
}

// median of sorted values.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Latency says how long requests took, in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
}

func latencyOf(requests []time.Duration) *Latency {
	if len(requests) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(requests))
	at := func(percent int) float64 {
		// The nearest rank: the smallest time that so many do not exceed.
		return milliseconds(sorted[(len(sorted)*percent+99)/100-1])
	}
	return &Latency{at(50), at(99)}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
