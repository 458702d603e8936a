package graph

// The lengths of a bucket, in milliseconds.
const (
	hour = int64(60 * 60 * 1000)
	day  = 24 * hour
	// slow is how far apart the readings of a series are, on average, for its
	// buckets to be days: a minute, less what clocks may be off.
	slow = int64(59 * 1000)
)

// newBucket bounds a bucket around a time: by the period, and by the stretch of
// time in which the same links hold.
func newBucket(seg segment, at, period int64) *knownBucket {
	start := at - at%period
	b := &knownBucket{from: max(start, seg.from), to: min(start+period, seg.to), links: seg.ids()}
	b.usableFrom, b.usableTo = b.from, b.to
	return b
}

// periodAt decides how long the next bucket is. A new length begins at midnight
// UTC, so within a day it stays. It follows from how densely the bucket before
// was filled, for a first bucket from how densely the batch is.
func (plan *seriesPlan) periodAt(at int64) int64 {
	newest := plan.newest
	if newest == nil {
		return plan.firstPeriod()
	}
	if newest.from/day == at/day {
		return plan.period
	}
	n, first := newest.count, newest.first
	if g := plan.hot; g != nil {
		if n == 0 {
			first = g.firstAt
		}
		n += g.n
	}
	if n < 2 {
		return plan.period
	}
	return periodFor(plan.lastAt-first, n)
}

// firstPeriod looks at what the batch brings. A single reading says nothing:
// hours are right then, since too small a bucket costs little and lasts a day
// at most, and too large a one is slow to look into.
func (plan *seriesPlan) firstPeriod() int64 {
	values := plan.series.measure.batch
	return periodFor(values[len(values)-1].at-values[0].at, int64(len(values)))
}

// periodFor is the length of a bucket for n readings over some milliseconds.
func periodFor(span, n int64) int64 {
	if n >= 2 && span/(n-1) >= slow {
		return day
	}
	return hour
}
