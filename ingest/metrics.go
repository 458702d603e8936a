package ingest

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	queueReadings = prometheus.NewDesc("holon_queue_readings", "Readings that wait to be stored.", []string{"partition"}, nil)
	queueBytes    = prometheus.NewDesc("holon_queue_bytes", "Bytes of readings that wait to be stored.", []string{"partition"}, nil)
	queueOldest   = prometheus.NewDesc("holon_queue_lag_seconds", "How long the oldest reading has waited to be stored.", []string{"partition"}, nil)
	queueAccepted = prometheus.NewDesc("holon_queue_accepted_total", "Readings that were ever queued.", []string{"partition"}, nil)
	queueUp       = prometheus.NewDesc("holon_queue_up", "1 if the queue's Redis answers.", nil, nil)
)

// queueCollector asks Redis when it is scraped, so that every process tells the
// same and nothing runs in between.
type queueCollector struct{ q *Queue }

// Describe implements prometheus.Collector.
func (c queueCollector) Describe(into chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queueReadings, queueBytes, queueOldest, queueAccepted, queueUp} {
		into <- d
	}
}

// Collect implements prometheus.Collector.
func (c queueCollector) Collect(into chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	all, err := c.q.Backlogs(ctx)
	up := 1.0
	if err != nil {
		up = 0
	}
	into <- prometheus.MustNewConstMetric(queueUp, prometheus.GaugeValue, up)
	for _, b := range all {
		p := strconv.Itoa(b.Partition)
		into <- prometheus.MustNewConstMetric(queueReadings, prometheus.GaugeValue, float64(b.Readings), p)
		into <- prometheus.MustNewConstMetric(queueBytes, prometheus.GaugeValue, float64(b.Bytes), p)
		into <- prometheus.MustNewConstMetric(queueOldest, prometheus.GaugeValue, b.Oldest.Seconds(), p)
		into <- prometheus.MustNewConstMetric(queueAccepted, prometheus.CounterValue, float64(b.Accepted), p)
	}
}

// sourceMetrics counts what the sources did.
type sourceMetrics struct {
	requests *prometheus.HistogramVec // by source and answer
	readings *prometheus.CounterVec   // by source and answer
}

func newSourceMetrics(r prometheus.Registerer) (*sourceMetrics, error) {
	m := &sourceMetrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "holon_ingest_request_seconds", Help: "Time from a message to its acknowledgement.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}, []string{"source", "answer"}),
		readings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "holon_ingest_readings_total", Help: "Readings that a source received, by what it answered."}, []string{"source", "answer"}),
	}
	return m, registerAll(r, m.requests, m.readings)
}

// workerMetrics counts what a worker did.
type workerMetrics struct {
	batch       prometheus.Histogram
	append      *prometheus.HistogramVec // by result
	outcomes    *prometheus.CounterVec   // by outcome
	deadLetters *prometheus.CounterVec   // by reason
	partitions  prometheus.Gauge
}

func newWorkerMetrics(r prometheus.Registerer) (*workerMetrics, error) {
	m := &workerMetrics{
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "holon_worker_batch_readings", Help: "Readings in a batch.", Buckets: prometheus.ExponentialBuckets(1, 2, 14)}),
		append: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "holon_worker_append_seconds", Help: "Time to store a batch in the graph.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}, []string{"result"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "holon_worker_readings_total", Help: "Readings that a worker dealt with, by what became of them. A batch that runs again counts again; the graph keeps the exact numbers."}, []string{"outcome"}),
		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "holon_worker_refused_total", Help: "Messages that a source could not refuse to their sender, by reason."}, []string{"reason"}),
		partitions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holon_worker_partitions", Help: "Partitions that this worker owns."}),
	}
	return m, registerAll(r, m.batch, m.append, m.outcomes, m.deadLetters, m.partitions)
}

// eventMetrics count what subscribers were told.
type eventMetrics struct {
	told prometheus.Counter
}

func newEventMetrics(r prometheus.Registerer) (*eventMetrics, error) {
	m := &eventMetrics{told: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "holon_events_told_total", Help: "Changes that this gateway sent to its subscribers; repeats count again."})}
	return m, registerAll(r, m.told)
}

// outboxMetrics count what was published to an outside broker.
type outboxMetrics struct {
	published prometheus.Counter
	lag       prometheus.Gauge
	leader    prometheus.Gauge
}

func newOutboxMetrics(r prometheus.Registerer) (*outboxMetrics, error) {
	m := &outboxMetrics{
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "holon_events_published_total", Help: "Changes that the outside broker has acknowledged; repeats count again."}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holon_events_lag", Help: "Changes that the outside broker does not have yet; 0 where another gateway publishes."}),
		leader: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holon_events_leader", Help: "1 if this gateway is the one that publishes."}),
	}
	return m, registerAll(r, m.published, m.lag, m.leader)
}

// registerAll registers collectors; nowhere, if there is no registerer.
func registerAll(r prometheus.Registerer, all ...prometheus.Collector) error {
	if r == nil {
		return nil
	}
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}
