package bench

import (
	"runtime"
	"slices"
	"time"
)

// Report is what a run found.
type Report struct {
	Started time.Time `json:"started"`
	// Seconds is how long it all took.
	Seconds float64 `json:"seconds"`
	Machine Machine `json:"machine"`
	Sizes   Sizes   `json:"sizes"`
	// Filled is how fast the objects were made.
	Filled []Filled `json:"filled"`
	Writes []Write  `json:"writes"`
	// Visible is the time from sending a reading until GraphQL shows it.
	Visible []SeenAfter `json:"visible,omitempty"`
	Reads   []Read      `json:"reads"`
	// Moves are those of a sub-tree of MovedGroups groups, RawMoves what plain
	// Cypher takes to write the same.
	Moves       *Latency `json:"movesMs,omitempty"`
	RawMoves    *Latency `json:"rawMovesMs,omitempty"`
	MovesOfRaw  *Spread  `json:"movesOfRaw,omitempty"`
	MovedGroups int      `json:"movedGroups,omitempty"`
	// Made is how fast devices are made in bulk.
	Made      []Made `json:"made,omitempty"`
	Retention []Kept `json:"retention,omitempty"`
	// PeakMemory is the most that each process had in memory, in bytes; those
	// that cannot be looked at are missing.
	PeakMemory map[string]int64 `json:"peakMemory"`
}

// Machine is what everything ran on.
type Machine struct {
	Cores  int    `json:"cores"`
	System string `json:"system"`
	Go     string `json:"go"`
}

// Filled is how fast objects of one kind were made, in bulk requests of a
// thousand.
type Filled struct {
	What      string  `json:"what"`
	Objects   int     `json:"objects"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"perSecond"`
}

// Made is one way of making devices.
type Made struct {
	Name    string `json:"name"`
	Devices Spread `json:"devicesPerSecond"`
	// Latency is that of chunks of a thousand.
	Latency *Latency `json:"latencyMs"`
	// Ours is the part of this way's speed that Holon has in the same round.
	Ours *Spread `json:"ours,omitempty"`
	// Processor is the time that each process used, in microseconds a device.
	Processor map[string]float64 `json:"processorMicroseconds"`
}

// Kept is retention, or writing, alone or beside the other.
type Kept struct {
	Name string `json:"name"`
	// Gone are measurements that are no longer kept, Written those that come in.
	Gone        *Spread `json:"gonePerSecond,omitempty"`
	GoneOfAlone *Spread `json:"goneOfAlone,omitempty"`
	Written     *Spread `json:"writtenPerSecond,omitempty"`
	OfAlone     *Spread `json:"writtenOfAlone,omitempty"`
	// Processor is the time that each process used, in microseconds a measurement
	// that went or was written.
	Processor map[string]float64 `json:"processorMicroseconds"`
}

// Sizes say how much there was of what.
type Sizes struct {
	Seed           uint64 `json:"seed"`
	Rounds         int    `json:"rounds"`
	Groups         int    `json:"groups"`
	Devices        int    `json:"devices"`
	ReadingDevices int    `json:"readingDevices"`
	Policies       int    `json:"policies"`
	// MeanChain is how many policies a device inherits, on average.
	MeanChain float64 `json:"meanChain"`
	Readings  int     `json:"readings"`
	Values    int     `json:"valuesPerReading"`
	Batch     int     `json:"rawBatch"`
	// Changes and Measurements are those of the parts past and long.
	Changes      int `json:"changes,omitempty"`
	Measurements int `json:"measurements,omitempty"`
	// Made and Kept are how many devices are made in a round, and how many
	// measurements go each time.
	Made int `json:"made,omitempty"`
	Kept int `json:"kept,omitempty"`
}

// Write is one way of writing.
type Write struct {
	Name  string `json:"name"`
	Burst int    `json:"burst"`
	// Measurements are single values, a second.
	Measurements Spread `json:"measurementsPerSecond"`
	// Requests are transactions, or requests over HTTP, a second.
	Requests *Spread  `json:"requestsPerSecond,omitempty"`
	Latency  *Latency `json:"latencyMs,omitempty"`
	// OfRaw is the part of the raw form's speed in the same round.
	OfRaw *Spread `json:"ofRaw,omitempty"`
	// OfWide is the same for the raw form with large batches.
	OfWide *Spread `json:"ofRawWithLargeBatches,omitempty"`
	// Processor is the time that each process used, in microseconds a
	// measurement. That of the senders is in it.
	Processor map[string]float64 `json:"processorMicroseconds"`
}

// SeenAfter is the time until a reading is visible, beside others at a rate.
type SeenAfter struct {
	MeasurementsPerSecond int      `json:"measurementsPerSecond"`
	Readings              int      `json:"readings"`
	Latency               *Latency `json:"latencyMs"`
}

// Read is one way of reading at one number of connections.
type Read struct {
	Name        string `json:"name"`
	Connections int    `json:"connections"`
	// Bytes is how large an answer is, about.
	Bytes           int `json:"bytes"`
	GraphRoundTrips int `json:"graphRoundTrips"`
	// Raw is nil where plain Cypher has nothing that asks for the same.
	Raw     *Asked  `json:"raw,omitempty"`
	GraphQL Asked   `json:"graphql"`
	OfRaw   *Spread `json:"ofRaw,omitempty"`
}

// Asked says how fast something answered.
type Asked struct {
	Requests Spread   `json:"requestsPerSecond"`
	Latency  *Latency `json:"latencyMs"`
	// Processor is the time that each process used, in microseconds a request.
	// That of the clients is in it.
	Processor map[string]float64 `json:"processorMicroseconds"`
}

func (r *runner) report(began time.Time) *Report {
	out := &Report{
		Started: began.UTC().Truncate(time.Second), Seconds: time.Since(began).Round(100 * time.Millisecond).Seconds(),
		Machine: Machine{runtime.NumCPU(), runtime.GOOS + "/" + runtime.GOARCH, runtime.Version()},
		Sizes: Sizes{
			Seed: r.Seed, Rounds: r.Rounds, Groups: r.Groups, Devices: r.Devices, ReadingDevices: r.ReadingDevices,
			Policies: r.Policies, MeanChain: r.fleet.chain, Readings: r.Readings, Values: r.Values, Batch: r.Batch,
		},
		PeakMemory: map[string]int64{}, Filled: r.filled,
	}
	if r.wants(Past) {
		out.Sizes.Changes = r.Changes
	}
	if r.wants(Long) {
		out.Sizes.Measurements = r.Measurements
	}
	if r.wants(Structure) {
		out.Sizes.Made = r.Made
		r.reportStructure(out)
	}
	if r.wants(Retention) {
		out.Sizes.Kept = r.Kept
		out.Retention = r.retention.report()
	}
	for _, c := range r.cells {
		out.Writes = append(out.Writes, r.written(c))
	}
	for _, v := range r.seen {
		requests := requestsOf(v.samples)
		out.Visible = append(out.Visible, SeenAfter{v.rate, len(requests), latencyOf(requests)})
	}
	for _, c := range r.reads {
		read := Read{
			Name: c.question.name, Connections: c.connections, Bytes: c.question.bytes, GraphRoundTrips: c.question.graphTrips,
			GraphQL: asked(c.api), OfRaw: part(perSecond(c.api), perSecond(c.raw)),
		}
		if len(c.raw) > 0 {
			raw := asked(c.raw)
			read.Raw = &raw
		}
		out.Reads = append(out.Reads, read)
	}
	for name, pid := range r.Processes {
		if bytes := peakMemory(pid); bytes > 0 {
			out.PeakMemory[name] = bytes
		}
	}
	return out
}

func asked(samples []sample) Asked {
	requests := requestsOf(samples)
	return Asked{spreadOf(perSecond(samples)), latencyOf(requests), processorOf(samples, len(requests))}
}

func (r *runner) written(c *cell) Write {
	w := Write{Name: c.part, Burst: c.burst, Measurements: spreadOf(r.speeds(c)), Latency: latencyOf(requestsOf(c.samples)),
		Processor: processorOf(c.samples, len(c.samples)*r.Readings*r.Values)}
	if w.Latency != nil {
		requests := spreadOf(perSecond(c.samples))
		w.Requests = &requests
	}
	if c.part == Raw || c.part == rawWide {
		return w
	}
	w.OfRaw = part(r.speeds(c), r.speeds(r.cell(Raw, c.burst)))
	w.OfWide = part(r.speeds(c), r.speeds(r.cell(rawWide, workerBurst)))
	return w
}

// cell finds a cell, nil if it was not measured.
func (r *runner) cell(name string, burst int) *cell {
	i := slices.IndexFunc(r.cells, func(c *cell) bool { return c.part == name && c.burst == burst })
	if i < 0 {
		return nil
	}
	return r.cells[i]
}

// speeds are the measurements a second of each round.
func (r *runner) speeds(c *cell) []float64 {
	if c == nil {
		return nil
	}
	out := make([]float64, len(c.samples))
	for i, s := range c.samples {
		out[i] = float64(r.Readings*r.Values) / s.took.Seconds()
	}
	return out
}

// part divides round by round: what disturbed a round disturbed both.
func part(ours, raw []float64) *Spread {
	if len(raw) == 0 || len(ours) != len(raw) {
		return nil
	}
	ratios := make([]float64, len(raw))
	for i := range raw {
		ratios[i] = ours[i] / raw[i]
	}
	s := spreadOf(ratios)
	return &s
}

func perSecond(samples []sample) []float64 {
	out := make([]float64, len(samples))
	for i, s := range samples {
		out[i] = float64(len(s.requests)) / s.took.Seconds()
	}
	return out
}

func requestsOf(samples []sample) (all []time.Duration) {
	for _, s := range samples {
		all = append(all, s.requests...)
	}
	return all
}

// processorOf is the time that each process used for one of n things, in
// microseconds.
func processorOf(samples []sample, n int) map[string]float64 {
	out := map[string]float64{}
	for _, s := range samples {
		for name, used := range s.processor {
			out[name] += float64(used) / float64(time.Microsecond) / float64(n)
		}
	}
	return out
}
