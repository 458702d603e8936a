package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// visibleQuery asks for a device's newest value.
const visibleQuery = `query($key: String!) { device(reference: $key) { live(measures: ["temperature"]) { measuredAt } } }`

const (
	// probes is how many readings are followed at a time without load.
	probes = 100
	// loadTime is how long there is load.
	loadTime = 5 * time.Second
)

// visible measures how long it takes from sending a reading until GraphQL shows
// it, with nothing else under way or beside others at a rate.
type visible struct {
	// rate is how many measurements a second come beside.
	rate    int
	samples []sample
}

func (v *visible) title() string {
	return fmt.Sprintf("until a reading is visible, beside %d measurements a second", v.rate)
}

func (r *runner) measureVisible(ctx context.Context, v *visible, counts bool) error {
	probe := &source{fleet: r.fleet, devices: []*device{r.fleet.devices[len(r.fleet.devices)-2]}, burst: 1}
	follower, err := dial(ctx, r.Address)
	if err != nil {
		return err
	}
	defer follower.close()
	beside, every := r.beside(v.rate)
	var s sample
	err = r.withWorker(ctx, func(ctx context.Context) error {
		group, sending := errgroup.WithContext(ctx)
		for _, requests := range beside {
			group.Go(func() error { return r.sendEvery(sending, requests, every) })
		}
		group.Go(func() error {
			for began := time.Now(); len(s.requests) < probes || v.rate > 0 && time.Since(began) < loadTime; {
				took, err := r.follow(follower, probe.take(1))
				if err != nil {
					return err
				}
				s.requests = append(s.requests, took)
			}
			return nil
		})
		if err := group.Wait(); err != nil {
			return err
		}
		return r.emptied(ctx)
	})
	if err == nil && counts {
		v.samples = append(v.samples, s)
	}
	return err
}

// follow sends a reading and asks until it is there.
func (r *runner) follow(c *connection, readings []reading) (time.Duration, error) {
	variables, err := json.Marshal(map[string]any{"query": visibleQuery, "variables": map[string]any{"key": readings[0].device.reference}})
	if err != nil {
		return 0, err
	}
	send, ask := post(r.Address, "/v1/readings", r.Secret, payload(readings)), post(r.Address, "/graphql", r.Secret, variables)
	want := []byte(readings[0].at.Format("2006-01-02T15:04:05"))
	began := time.Now()
	if err := accepted(c.do(send)); err != nil {
		return 0, err
	}
	for time.Since(began) < time.Minute {
		_, answer, err := c.do(ask)
		if err != nil {
			return 0, err
		}
		if bytes.Contains(answer, want) {
			return time.Since(began), nil
		}
	}
	return 0, fmt.Errorf("a reading of %s is not visible after a minute", readings[0].at)
}

// beside makes requests for the time that the load lasts, by connection, and
// how often each sends one.
func (r *runner) beside(rate int) (requests [][][]byte, every time.Duration) {
	if rate == 0 {
		return nil, 0
	}
	sources := r.sources(r.Connections, 1)
	every = time.Duration(r.Connections*perRequest*r.Values) * time.Second / time.Duration(rate)
	requests = make([][][]byte, len(sources))
	for i, s := range sources {
		for range loadTime / every {
			requests[i] = append(requests[i], post(r.Address, "/v1/readings", r.Secret, payload(s.take(perRequest))))
		}
	}
	return requests, every
}

// sendEvery sends requests at a steady rate.
func (r *runner) sendEvery(ctx context.Context, requests [][]byte, every time.Duration) error {
	c, err := dial(ctx, r.Address)
	if err != nil {
		return err
	}
	defer c.close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for _, request := range requests {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := accepted(c.do(request)); err != nil {
			return err
		}
	}
	return nil
}

// accepted fails unless readings were accepted.
func accepted(status int, answer []byte, err error) error {
	if err == nil && status != 202 {
		err = fmt.Errorf("a request for readings was answered %d: %s", status, answer)
	}
	return err
}
