package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// perRequest is how many readings are sent together.
const perRequest = 100

// addAppend adds what the worker calls to store a batch, with batches that were
// made beforehand.
func (r *runner) addAppend(ctx context.Context, burst int) error {
	partitions, err := r.Graph.Partitions(ctx)
	if err != nil {
		return err
	}
	if partitions < sessions {
		return fmt.Errorf("the database has %d partitions: %d are needed", partitions, sessions)
	}
	sources := r.sources(sessions, burst)
	r.cells = append(r.cells, &cell{part: Append, burst: burst, run: func(ctx context.Context) (sample, error) {
		batches := make([][][]graph.Entry, sessions)
		opened := make([]*graph.Partition, sessions)
		for i, s := range sources {
			var err error
			if opened[i], err = r.Graph.OpenPartition(ctx, i, "benchmark "+uuid.NewString()); err != nil {
				return sample{}, err
			}
			for left := r.Readings / sessions; left > 0; left -= r.Batch {
				var batch []graph.Entry
				for rest := min(left, r.Batch); rest > 0; rest -= perRequest {
					batch = append(batch, r.entry(r.acceptedAll(s.take(min(rest, perRequest)))))
				}
				batches[i] = append(batches[i], batch)
			}
		}
		return r.kept(ctx, func() (sample, error) {
			return r.race(ctx, sessions, func(ctx context.Context, i int, lap func(time.Time)) error {
				for _, batch := range batches[i] {
					began := time.Now()
					if _, err := opened[i].Append(ctx, batch); err != nil {
						return err
					}
					lap(began)
				}
				return nil
			})
		})
	}})
	return nil
}

// entry is what a partition is given.
func (r *runner) entry(readings []registry.AcceptedReading) graph.Entry {
	r.entries++
	return graph.Entry{ID: strconv.Itoa(r.entries) + "-0", Readings: readings}
}

func (r *runner) acceptedAll(readings []reading) []registry.AcceptedReading {
	out := make([]registry.AcceptedReading, len(readings))
	for i, one := range readings {
		out[i] = r.accepted(one)
	}
	return out
}

// addQueue adds the pipeline from a full queue on: the clock starts with a
// worker, and stops when the queue is empty, so everything is in the graph and
// in the live state.
func (r *runner) addQueue(burst int) {
	sources := r.sources(r.Connections, burst)
	r.cells = append(r.cells, &cell{part: Queue, burst: burst, run: func(ctx context.Context) (sample, error) {
		for left := r.Readings / r.Connections; left > 0; left -= perRequest {
			for _, s := range sources {
				if err := r.Queue.Add(ctx, r.acceptedAll(s.take(min(left, perRequest)))); err != nil {
					return sample{}, err
				}
			}
		}
		return r.kept(ctx, func() (sample, error) {
			return r.working(ctx, func(context.Context) (sample, error) { return sample{}, nil })
		})
	}})
}

// addHTTP adds the pipeline from requests on. Each connection has devices of
// its own, as a gateway would.
func (r *runner) addHTTP(burst int) {
	sources := r.sources(r.Connections, burst)
	r.cells = append(r.cells, &cell{part: HTTP, burst: burst, run: func(ctx context.Context) (sample, error) {
		p, err := r.posting(ctx, sources)
		if err != nil {
			return sample{}, err
		}
		defer p.close()
		return r.kept(ctx, func() (sample, error) {
			return r.working(ctx, func(ctx context.Context) (sample, error) { return r.sendPosts(ctx, p, 0) })
		})
	}})
}

// posts are requests with readings, by connection.
type posts struct {
	connections []*connection
	requests    [][][]byte
}

func (p *posts) close() {
	for _, c := range p.connections {
		_ = c.close() // everything was answered
	}
}

// posting connects, and writes the requests.
func (r *runner) posting(ctx context.Context, sources []*source) (*posts, error) {
	p := &posts{requests: make([][][]byte, len(sources))}
	for i, s := range sources {
		c, err := dial(ctx, r.Address)
		if err != nil {
			p.close()
			return nil, err
		}
		p.connections = append(p.connections, c)
		for left := r.Readings / r.Connections; left > 0; left -= perRequest {
			p.requests[i] = append(p.requests[i], post(r.Address, "/v1/readings", r.Secret, payload(s.take(min(left, perRequest)))))
		}
	}
	return p, nil
}

// sendPosts sends all requests, one after the other by each connection: not
// before it is their turn, if one is to go out every so often.
func (r *runner) sendPosts(ctx context.Context, p *posts, every time.Duration) (sample, error) {
	start := time.Now()
	return r.race(ctx, len(p.connections), func(_ context.Context, i int, lap func(time.Time)) error {
		for n, request := range p.requests[i] {
			time.Sleep(time.Until(start.Add(time.Duration(n) * every)))
			began := time.Now()
			if err := accepted(p.connections[i].do(request)); err != nil {
				return err
			}
			lap(began)
		}
		return nil
	})
}

// working runs a worker and send, and measures the time until the queue is
// empty after that.
func (r *runner) working(ctx context.Context, send func(context.Context) (sample, error)) (s sample, err error) {
	err = r.withWorker(ctx, func(ctx context.Context) (err error) {
		before, began := r.used(nil), time.Now()
		if s, err = send(ctx); err != nil {
			return err
		}
		err = r.emptied(ctx)
		s.took, s.processor = time.Since(began), r.used(before)
		return err
	})
	return s, err
}

// withWorker does something while a worker runs.
func (r *runner) withWorker(ctx context.Context, do func(context.Context) error) (err error) {
	worker, err := r.NewWorker()
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	return do(ctx)
}

// emptied waits until nothing is left in the queue.
func (r *runner) emptied(ctx context.Context) error {
	for {
		backlogs, err := r.Queue.Backlogs(ctx)
		if err != nil {
			return err
		}
		left := 0
		for _, b := range backlogs {
			left += b.Readings
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// kept makes sure by the ledger that every reading was stored, each value once.
func (r *runner) kept(ctx context.Context, do func() (sample, error)) (sample, error) {
	before, err := r.Graph.Ledger(ctx)
	if err != nil {
		return sample{}, err
	}
	s, err := do()
	if err != nil {
		return s, err
	}
	after, err := r.Graph.Ledger(ctx)
	if err != nil {
		return s, err
	}
	if n := after.Stored - before.Stored; n != r.Readings || after.Measurements-before.Measurements != n*r.Values {
		return s, fmt.Errorf("%d readings were sent, but %d stored (%d values; %d repeats, %d dead letters)", r.Readings, n,
			after.Measurements-before.Measurements, after.Repeats-before.Repeats, after.DeadLetters-before.DeadLetters)
	}
	return s, nil
}
