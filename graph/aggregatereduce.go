package graph

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/holon-registry/holon/registry"
)

// interval is what lies between two edges.
type interval struct {
	cell
	values []timed
}

// intervals puts cells and values where they belong; what has none is left out.
func (a *aggregated) intervals(edges []int64) map[int]*interval {
	out := map[int]*interval{}
	cells := map[int][]cell{}
	place := func(at int64) int { return sort.Search(len(edges)-2, func(i int) bool { return edges[i+1] > at }) }
	for _, c := range a.cells {
		at := c.firstAt
		if c.slot != nil {
			at = *c.slot
		}
		i := place(at)
		cells[i] = append(cells[i], c)
	}
	for _, list := range a.lists {
		for _, v := range list.values {
			i := place(v.at)
			if out[i] == nil {
				out[i] = &interval{}
			}
			out[i].values = append(out[i].values, v)
		}
	}
	for i, one := range out {
		// A stretch of single values is as good as a slot once it is reduced.
		cells[i] = append(cells[i], cellsOf(one.values, quarter)...)
	}
	for i, some := range cells {
		slices.SortFunc(some, func(x, y cell) int { return cmp.Or(cmp.Compare(x.firstAt, y.firstAt), cmp.Compare(x.lastAt, y.lastAt)) })
		if out[i] == nil {
			out[i] = &interval{}
		}
		for _, c := range some {
			out[i].join(c)
		}
	}
	return out
}

// carried is the last value before an interval.
type carried struct {
	value float64
	known bool
}

func points(a *registry.Aggregation, edges []int64, intervals map[int]*interval, before carried, now int64) []*registry.AggregatePoint {
	out := make([]*registry.AggregatePoint, 0, len(intervals))
	for i := range len(edges) - 1 {
		one := intervals[i]
		if one == nil && !a.Fill {
			continue
		}
		low, high := bounds(a, edges, i)
		p := &registry.AggregatePoint{From: time.UnixMilli(low).UTC(), To: time.UnixMilli(high).UTC()}
		if one != nil {
			p.Count = int(one.n)
			p.Value = one.reduce(a, before, low, min(high, max(now, one.lastAt)))
			if last, ok := one.last.(float64); ok {
				before = carried{last, true}
			}
		}
		out = append(out, p)
	}
	return out
}

// bounds are the ends of an interval; the first and the last may be cut short.
func bounds(a *registry.Aggregation, edges []int64, i int) (low, high int64) {
	return max(edges[i], a.From.UnixMilli()), min(edges[i+1], a.To.UnixMilli())
}

// reduce is what the interval from low to high comes to.
func (i *interval) reduce(a *registry.Aggregation, before carried, low, high int64) any {
	switch a.Function {
	case registry.AggregateCount:
		return float64(i.n)
	case registry.AggregateFirst:
		return i.first
	case registry.AggregateLast:
		return i.last
	case registry.AggregateMin:
		return i.low
	case registry.AggregateMax:
		return i.high
	case registry.AggregateSum:
		return i.sum
	case registry.AggregatePercentile:
		return percentile(i.values, a.Percentile)
	case registry.AggregateIncrease:
		return i.increased(before)
	case registry.AggregateTimeWeightedMean:
		mean, _ := i.timeWeighted(before, low, high)
		return mean
	}
	return i.sum / float64(i.n)
}

// timeWeighted is the mean over the part of the interval in which a value held,
// and how long that was; of slots that lie across an end of it, over all of them.
func (i *interval) timeWeighted(before carried, low, high int64) (mean float64, over int64) {
	low, high = min(low, i.firstAt), max(high, i.lastAt)
	last, _ := i.last.(float64)
	area, from := i.area+last*float64(high-i.lastAt), i.firstAt
	if before.known {
		area, from = area+before.value*float64(i.firstAt-low), low
	}
	if high <= from {
		return last, 0
	}
	return area / float64(high-from), high - from
}

// increased is what a counter counted in the interval.
func (i *interval) increased(before carried) float64 {
	if first, ok := i.first.(float64); ok && before.known {
		return i.increase + countedUp(before.value, first)
	}
	return i.increase
}

// percentile interpolates between the two values around the rank: definition 7
// of Hyndman and Fan, Sample Quantiles in Statistical Packages, 1996.
func percentile(values []timed, p float64) float64 {
	numbers := make([]float64, 0, len(values))
	for _, v := range values {
		if number, ok := v.value.(float64); ok {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	rank := p / 100 * float64(len(numbers)-1)
	below := int(rank)
	if below+1 >= len(numbers) {
		return numbers[len(numbers)-1]
	}
	return numbers[below] + (rank-float64(below))*(numbers[below+1]-numbers[below])
}
