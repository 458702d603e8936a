package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/holon-registry/holon/registry"
)

// retention measures how fast what is no longer kept goes, alone and beside
// readings that come over HTTP, and how fast these are then.
type retention struct {
	runner   *runner
	sources  []*source
	supplies []*supply
	next     int
	// writing are the readings alone, keeping is retention alone; beside are both,
	// in as long as both are under way: readings as fast as they can, at half of the
	// rate that they have alone, and at the rate of Config.
	writing, keeping, beside, besideHalf, besideRate form
}

// forms are all of them, in the order in which they are measured.
func (t *retention) forms() []*form {
	return []*form{&t.writing, &t.keeping, &t.beside, &t.besideHalf, &t.besideRate}
}

// removals is in how many of the forms something goes.
const removals = 4

// form is one way in which retention is measured.
type form struct {
	name        string
	wrote, gone []flow
	samples     []sample
}

// measured is what a form gave once.
type measured struct {
	sample
	wrote, gone int
}

func (f *form) add(m measured) {
	if m.wrote > 0 {
		f.wrote = append(f.wrote, flow{m.wrote, m.took})
	}
	if m.gone > 0 {
		f.gone = append(f.gone, flow{m.gone, m.took})
	}
	f.samples = append(f.samples, m.sample)
}

// flow is how many measurements were written, or went, in a time.
type flow struct {
	measurements int
	took         time.Duration
}

func (f flow) perSecond() float64 { return float64(f.measurements) / f.took.Seconds() }

func flows(all []flow) []float64 {
	out := make([]float64, len(all))
	for i, f := range all {
		out[i] = f.perSecond()
	}
	return out
}

const retentionTitle = "retention"

// addRetention makes and seals all that is to go in the rounds.
func (r *runner) addRetention(ctx context.Context) error {
	r.retention = &retention{
		runner: r, sources: r.sources(r.Connections, 1),
		writing: form{name: "writing alone"}, keeping: form{name: "retention alone"},
		beside: form{name: "both at once"}, besideHalf: form{name: "both, half as much is written"},
		besideRate: form{name: fmt.Sprintf("both, %s a second are written", thousands(float64(r.Rate)))},
	}
	n := removals * (r.Rounds + 1)
	began := time.Now()
	for i := range n {
		r.Step(r.done, r.steps(), fmt.Sprintf("filling what is to go: %d of %d", i, n))
		s, err := r.makeSupply(ctx, i)
		if err != nil {
			return fmt.Errorf("make what is to go: %w", err)
		}
		r.retention.supplies = append(r.retention.supplies, s)
	}
	r.noteFilled("measurements that are to go", n*r.Kept, began)
	if err := r.sealAll(ctx); err != nil {
		return err
	}
	for _, s := range r.retention.supplies {
		if err := r.look(ctx, s); err != nil {
			return fmt.Errorf("look at what is to go: %w", err)
		}
	}
	return nil
}

// measure measures each form once.
func (t *retention) measure(ctx context.Context, counts bool) error {
	r := t.runner
	var alone time.Duration // from one request of a connection to the next
	for _, one := range []struct {
		form *form
		do   func() (measured, error)
	}{
		{&t.writing, func() (measured, error) {
			m, err := t.write(ctx)
			alone = m.took * time.Duration(perRequest*r.Connections) / time.Duration(r.Readings)
			return m, err
		}},
		{&t.keeping, func() (measured, error) { return t.keep(ctx) }},
		{&t.beside, func() (measured, error) { return t.both(ctx, 0) }},
		{&t.besideHalf, func() (measured, error) { return t.both(ctx, 2*alone) }},
		{&t.besideRate, func() (measured, error) {
			return t.both(ctx, time.Duration(perRequest*r.Connections*r.Values)*time.Second/time.Duration(r.Rate))
		}},
	} {
		m, err := one.do()
		if err != nil {
			return fmt.Errorf("%s: %w", one.form.name, err)
		}
		if counts {
			one.form.add(m)
		}
	}
	return nil
}

// write is the pipeline from requests on, as the part http measures it.
func (t *retention) write(ctx context.Context) (measured, error) {
	r := t.runner
	p, err := r.posting(ctx, t.sources)
	if err != nil {
		return measured{}, err
	}
	defer p.close()
	s, err := r.kept(ctx, func() (sample, error) {
		return r.working(ctx, func(ctx context.Context) (sample, error) { return r.sendPosts(ctx, p, 0) })
	})
	return measured{sample: s, wrote: r.Readings * r.Values}, err
}

// take gives what is to go next its turn.
func (t *retention) take(ctx context.Context) (*supply, error) {
	s := t.supplies[t.next]
	t.next++
	_, err := t.runner.rows(ctx, supplyTurn, map[string]any{"template": string(s.template)})
	return s, err
}

// keep is what the background job does in its turn.
func (t *retention) keep(ctx context.Context) (measured, error) {
	s, err := t.take(ctx)
	if err != nil {
		return measured{}, err
	}
	before, began := t.runner.used(nil), time.Now()
	if err := t.runner.Graph.SweepMeasurements(ctx); err != nil {
		return measured{}, err
	}
	out := measured{sample: sample{took: time.Since(began), processor: t.runner.used(before)}, gone: s.due}
	return out, t.runner.expectGone(ctx, s)
}

// both does both, and counts until one of them is done: what then is left of the
// other has the machine to itself. Each connection sends a request every so
// often, or at once if that is 0.
func (t *retention) both(ctx context.Context, every time.Duration) (out measured, err error) {
	r := t.runner
	s, err := t.take(ctx)
	if err != nil {
		return out, err
	}
	p, err := r.posting(ctx, t.sources)
	if err != nil {
		return out, err
	}
	defer p.close()
	_, err = r.kept(ctx, func() (sample, error) {
		return sample{}, r.withWorker(ctx, func(ctx context.Context) error {
			ledger, err := r.Graph.Ledger(ctx)
			if err != nil {
				return err
			}
			group, ctx := errgroup.WithContext(ctx)
			first := make(chan struct{}, 2)
			before, began := r.used(nil), time.Now()
			group.Go(func() error {
				defer func() { first <- struct{}{} }()
				return r.Graph.SweepMeasurements(ctx)
			})
			group.Go(func() error {
				defer func() { first <- struct{}{} }()
				if _, err := r.sendPosts(ctx, p, every); err != nil {
					return err
				}
				return r.emptied(ctx)
			})
			<-first
			// What is counted now comes before the time is taken: no rate is too high.
			left, leftErr := r.left(ctx, s)
			now, ledgerErr := r.Graph.Ledger(ctx)
			out = measured{sample{took: time.Since(began), processor: r.used(before)}, now.Measurements - ledger.Measurements, s.due + s.fresh - left}
			return errors.Join(group.Wait(), ledgerErr, leftErr)
		})
	})
	if err != nil {
		return out, err
	}
	return out, r.expectGone(ctx, s)
}

// alike says whether two points are the same but for the order in which their
// values were added up.
func alike(a, b registry.AggregatePoint) bool {
	x, isX := a.Value.(float64)
	y, isY := b.Value.(float64)
	if isX && isY && math.Abs(x-y) <= 1e-9*math.Abs(x) {
		a.Value = b.Value
	}
	return reflect.DeepEqual(a, b)
}

// expectGone makes sure that exactly what is no longer kept went, and that its
// roll-ups answer as they did.
func (r *runner) expectGone(ctx context.Context, s *supply) error {
	now, err := r.held(ctx, s)
	if err != nil {
		return err
	}
	want := held{fresh: int64(s.fresh), counted: s.filled.counted, summed: now.summed, inSlots: int64(s.due), left: int64(s.fresh)}
	if now != want || math.Abs(now.summed-s.filled.summed) > 1e-9*math.Abs(s.filled.summed) {
		return fmt.Errorf("the graph has %+v, not %+v with the sum %g", now, want, s.filled.summed)
	}
	means, err := r.means(ctx, s)
	if err != nil {
		return err
	}
	if len(means) == 0 || len(means) != len(s.means) {
		return fmt.Errorf("%d hourly means of a device are %d now", len(s.means), len(means))
	}
	for i, now := range means {
		if before := s.means[i]; !alike(*before, *now) {
			return fmt.Errorf("the mean of the hour from %s was %+v and is %+v", now.From, *before, *now)
		}
	}
	return nil
}
