package graph

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
	"github.com/holon-registry/holon/unit"
)

// The bounds of reading computed measures: each of their values is made of
// several measurements.
const (
	maxComputedSamples = 10_000
	// maxInputs bounds the measurements that one answer is computed from.
	maxInputs = 200_000
	// inputPage is how many measurements of an input are read at once.
	inputPage = 10_000
	// leastPage is more than the values that one moment can have, of several
	// sources, so that every page gets on.
	leastPage = 16
)

// Computed is a computed measure of a twin, whose attributes are those of now.
type Computed struct {
	Twin       registry.ID
	Template   *registry.Template
	Measure    string
	Attributes registry.Attributes
}

func (c *Computed) declared() *registry.MeasureDeclaration { return c.Template.Declared(c.Measure) }

// computing reads the inputs of a computed measure and puts them together: at
// each time at which one of them was measured, with the last values of the
// others as of then.
type computing struct {
	*Computed
	store  *Store
	scope  registry.Scope
	inputs []string
	read   int
}

func (s *Store) computing(scope registry.Scope, c *Computed) *computing {
	return &computing{Computed: c, store: s, scope: scope, inputs: rule.Inputs(c.Template, c.Measure)}
}

// reading is a value of an input at its time.
type reading struct {
	at    int64
	input int
	value any
}

// page reads measurements of each input, and says up to where (or, backwards,
// from where) all of them are known.
func (c *computing) page(ctx context.Context, low, high int64, limit int, backward bool) (all []reading, edge int64, err error) {
	edge = high
	if backward {
		edge = low
	}
	for i, measure := range c.inputs {
		found, err := c.store.readMeasurements(ctx, c.scope, measurementRequest{
			twin: c.Twin, measure: measure, low: low, high: high, limit: limit + 1, backward: backward,
		})
		if err != nil {
			return nil, 0, err
		}
		n := len(found.at)
		if c.read += n; c.read > maxInputs {
			return nil, 0, registry.LimitExceeded("%s is computed from more than %d measurements here: ask for a shorter time", c.Measure, maxInputs)
		}
		for k := range n {
			all = append(all, reading{found.at[k], i, found.value[k]})
		}
		switch {
		case n <= limit:
		case backward:
			edge = max(edge, found.at[n-1])
		default:
			edge = min(edge, found.at[n-1])
		}
	}
	slices.SortStableFunc(all, func(x, y reading) int { return cmp.Compare(x.at, y.at) })
	return all, edge, nil
}

// before are the last values of the inputs before a time.
func (c *computing) before(ctx context.Context, at int64) ([]any, error) {
	state := make([]any, len(c.inputs))
	for i, measure := range c.inputs {
		found, err := c.store.readMeasurements(ctx, c.scope, measurementRequest{twin: c.Twin, measure: measure, high: at, limit: 1, backward: true})
		if err != nil {
			return nil, err
		}
		if len(found.value) > 0 {
			state[i] = found.value[0]
		}
	}
	return state, nil
}

// put computes the measure at each time of the readings, from a state on.
func (c *computing) put(readings []reading, state []any) []timed {
	var out []timed
	for i := 0; i < len(readings); {
		at := readings[i].at
		for ; i < len(readings) && readings[i].at == at; i++ {
			state[readings[i].input] = readings[i].value
		}
		value, ok := rule.Compute(c.Template, c.Measure, c.Attributes, func(name string) any {
			if k := slices.Index(c.inputs, name); k >= 0 {
				return state[k]
			}
			return nil
		})
		if ok {
			out = append(out, timed{at, value})
		}
	}
	return out
}

// forward are the first values from low to before high, up to a limit.
func (c *computing) forward(ctx context.Context, low, high int64, limit int) ([]timed, error) {
	state, err := c.before(ctx, low)
	if err != nil {
		return nil, err
	}
	var out []timed
	for low < high && len(out) < limit {
		readings, edge, err := c.page(ctx, low, high, max(min(limit-len(out), inputPage), leastPage), false)
		if err != nil {
			return nil, err
		}
		known := slices.IndexFunc(readings, func(r reading) bool { return r.at >= edge })
		if known >= 0 && edge < high {
			readings = readings[:known]
		}
		out, low = append(out, c.put(readings, state)...), edge
	}
	return out[:min(len(out), limit)], nil
}

// backward are the last values from low to before high, up to a limit, oldest
// first.
func (c *computing) backward(ctx context.Context, low, high int64, limit int) ([]timed, error) {
	var out []timed
	for low < high && len(out) < limit {
		readings, edge, err := c.page(ctx, low, high, max(min(limit-len(out), inputPage), leastPage), true)
		if err != nil {
			return nil, err
		}
		state, err := c.before(ctx, edge)
		if err != nil {
			return nil, err
		}
		readings = slices.DeleteFunc(readings, func(r reading) bool { return r.at < edge })
		out, high = append(c.put(readings, state), out...), edge
	}
	return out[max(0, len(out)-limit):], nil
}

// into is the conversion to a unit, empty for the declared one.
func (c *Computed) into(in string) (unit.Conversion, error) {
	declared := c.declared()
	if in != "" && declared.Unit == "" {
		return unit.Same, registry.InvalidField("unit", "unit", "measure %s has no unit", c.Measure)
	}
	conversion, err := unit.Convert(declared.Unit, in)
	if err != nil {
		return unit.Same, registry.InvalidField("unit", "unit", "%s", err.Error())
	}
	return conversion, nil
}

// ComputedMeasurements is Measurements for a computed measure.
func (s *Store) ComputedMeasurements(ctx context.Context, scope registry.Scope, c Computed, from, to *time.Time, page registry.PageRequest, in string) (registry.Page[registry.Measurement], error) {
	none := registry.Page[registry.Measurement]{}
	conversion, err := c.into(in)
	if err != nil {
		return none, err
	}
	low, high := int64(0), int64(math.MaxInt64)
	if from != nil {
		low = max(low, ceilMillis(*from))
	}
	if to != nil {
		high = ceilMillis(*to)
	}
	if page.Key != "" {
		at, err := strconv.ParseInt(page.Key, 10, 64)
		switch {
		case err != nil:
			return none, registry.InvalidField("cursor", "format", "%q is not a cursor of measurements", page.Key)
		case page.Backward:
			high = min(high, at)
		default:
			low = max(low, at+1)
		}
	}
	inputs := s.computing(scope, &c)
	var values []timed
	if page.Backward {
		values, err = inputs.backward(ctx, low, high, page.Size+1)
		slices.Reverse(values) // as the store reads pages from the end
	} else {
		values, err = inputs.forward(ctx, low, high, page.Size+1)
	}
	if err != nil {
		return none, fmt.Errorf("computed measurements: %w", err)
	}
	items := make([]registry.Measurement, len(values))
	for i, v := range values {
		number := v.value.(float64)
		items[i] = registry.Measurement{
			At: time.UnixMilli(v.at).UTC(), Value: conversion.Apply(number), Suspect: c.declared().Suspect(number).Pointer(), Computed: true,
		}
	}
	return cut(items, page), nil
}

// ComputedSamples is Samples for a computed measure: at most 10,000 at once.
func (s *Store) ComputedSamples(ctx context.Context, scope registry.Scope, c Computed, from, to time.Time, limit int, in string) (*registry.Samples, error) {
	conversion, err := c.into(in)
	switch {
	case err != nil:
		return nil, err
	case limit < 1:
		return nil, registry.InvalidField("limit", "range", "1 to %d samples can be read at once", maxComputedSamples)
	case limit > maxComputedSamples:
		return nil, registry.LimitExceeded("%s is computed: at most %d samples of it can be read at once", c.Measure, maxComputedSamples)
	}
	values, err := s.computing(scope, &c).forward(ctx, max(ceilMillis(from), 0), ceilMillis(to), limit+1)
	if err != nil {
		return nil, fmt.Errorf("computed samples: %w", err)
	}
	out := &registry.Samples{At: []time.Time{}, Value: []any{}}
	for i, v := range values {
		at := time.UnixMilli(v.at).UTC()
		if i == limit {
			out.NextFrom = &at
			break
		}
		out.At, out.Value = append(out.At, at), append(out.Value, conversion.Apply(v.value.(float64)))
	}
	return out, nil
}

// AggregateComputed is Aggregate for a computed measure. LIMIT_EXCEEDED if it is
// computed from more than 200,000 measurements in that time.
func (s *Store) AggregateComputed(ctx context.Context, scope registry.Scope, c Computed, a registry.Aggregation) ([]*registry.AggregatePoint, error) {
	if err := checkPercentile(&a); err != nil {
		return nil, err
	}
	conversion, err := c.into(a.Unit)
	if err != nil {
		return nil, err
	}
	a.From, a.To = wholeMillis(a.From), wholeMillis(a.To)
	edges, err := a.Edges()
	if err != nil || len(edges) == 0 {
		return []*registry.AggregatePoint{}, err
	}
	inputs := s.computing(scope, &c)
	values, err := inputs.forward(ctx, a.From.UnixMilli(), a.To.UnixMilli(), math.MaxInt)
	if err != nil {
		return nil, fmt.Errorf("aggregate: %w", err)
	}
	before := carried{}
	if a.Function.LooksBack() {
		state, err := inputs.before(ctx, a.From.UnixMilli())
		if err != nil {
			return nil, fmt.Errorf("aggregate: %w", err)
		}
		if last := inputs.put([]reading{{at: 0, input: 0, value: state[0]}}, state); len(last) > 0 {
			before = carried{conversion.Apply(last[0].value.(float64)), true}
		}
	}
	for i := range values {
		values[i].value = inUnit(conversion, values[i].value)
	}
	found := aggregated{lists: []valueList{{values: values}}}
	return points(&a, edges, found.intervals(edges), before, s.now().UnixMilli()), nil
}
