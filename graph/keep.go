package graph

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// What templates keep for a time only goes by whole buckets, in three steps:
// first what a sealed bucket holds, so that its slots are left; then the slots
// of a day become one; at last the buckets. A bucket that several measures
// share, of a device and of assets, goes by the one that keeps it longest.

const (
	// keepTurn is how often series are looked for that something is due of,
	// keepLease for how long another process leaves it to the one that did it last.
	keepTurn  = 10 * time.Minute
	keepLease = 30 * time.Minute
	// A series is looked at again after a part of what it is kept for.
	keepPart    = 24
	keepSoonest = 10 * time.Minute
	keepLatest  = 24 * time.Hour
	// keptSeries is how many series are looked at together, keptBuckets how many
	// buckets, keptWork how many measurements a transaction removes, but for one
	// bucket that has more.
	keptSeries  = 500
	keptBuckets = 500
	keptWork    = 20_000
)

var (
	keepTemplates = named("keep.templates", `
		MATCH (t:Template)
		WHERE t.kept = true
		RETURN collect({account: t.account, id: t.id, measures: t.measures, due: coalesce(t.keepDue, 0)}) AS templates`)

	keepAgain = named("keep.again", `
		MATCH (t:Entity {id: $template})
		WHERE t.account = $account AND t:Template
		SET t.keepDue = $due`)

	keepSeries = named("keep.series", `
		MATCH (t:Entity {id: $template})
		WHERE t.account = $account AND t:Template
		MATCH (t)<-[:INSTANCE_OF]-(x:Device|Asset)-[:HAS_SERIES]->(s:Series)
		WHERE s.measure = $measure AND coalesce(s.keptAt, 0) <= $before
		RETURN collect(elementId(s)) AS series`)

	keepVisited = named("keep.visited", `
		UNWIND $series AS id
		MATCH (s) WHERE elementId(s) = id AND s.account = $account
		SET s.keptAt = $now`)

	keepRaw = named("keep.raw", keptOf+`
			AND b.rawUntil IS NULL AND b.slotStarts IS NOT NULL AND NOT b:Unsealed`+keptLonger+`
		WITH DISTINCT b LIMIT $limit
		RETURN collect([elementId(b), b.count]) AS due`)

	// Days of a series go together, since their buckets become one.
	keepFine = named("keep.fine", keptOf+`
			AND b.rawUntil IS NOT NULL AND b.slotLength IS NULL`+keptLonger+`
		WITH b, min(s.key) AS series, b.from / 86400000 AS day
		WITH series, day, collect([elementId(b), 1]) AS whole ORDER BY day, series LIMIT $most
		UNWIND whole AS item
		RETURN collect(item) AS due`)

	// The newest bucket of a series stays, for the last value's sake.
	keepAny = named("keep.any", keptOf+`
			AND b.rawUntil IS NOT NULL AND NOT EXISTS { (b)<-[:HAS_NEWEST]-() }`+keptLonger+`
		WITH DISTINCT b LIMIT $limit
		RETURN collect([elementId(b), 1]) AS due`)

	// The property that comes and goes locks the bucket before it is looked at: a
	// worker may just be writing to it.
	keepSweep = named("keep.sweep", `
		UNWIND $buckets AS id
		MATCH (b:Bucket) WHERE elementId(b) = id AND b.account = $account
		SET b.sweeping = true
		REMOVE b.sweeping
		WITH b
		WHERE b.rawUntil IS NULL AND NOT b:Unsealed
		CALL (b) {
			WITH b WHERE b.last IS NULL
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WITH b, m ORDER BY m.at DESC LIMIT 1
			OPTIONAL MATCH (b)<-[:HAS_NEWEST]-(s:Series) WHERE s.lastAt = m.at
			WITH b, m, head(collect(s)) AS s
			SET b.last = m.at, b.lastValue = coalesce(s.lastValue, m.value, b.slotLasts[-1]), b.lastSuspect = m.suspect
		}
		SET b.rawUntil = b.to
		WITH b
		MATCH (b)-[:HAS_MEASUREMENT]->(m)
		DETACH DELETE m
		RETURN count(m) AS n`)

	keepDelete = named("keep.delete", `
		UNWIND $buckets AS id
		MATCH (b:Bucket) WHERE elementId(b) = id AND b.account = $account AND b.rawUntil IS NOT NULL
		DETACH DELETE b
		RETURN count(*) AS n`)
)

const (
	keptOf = `
		UNWIND $series AS id
		MATCH (s) WHERE elementId(s) = id AND s.account = $account
		MATCH (s)-[:HAS_BUCKET]->(b:Bucket)
		WHERE b.to <= $before`

	keptLonger = `
			AND NOT EXISTS {
				MATCH (b)<-[:HAS_BUCKET]-(o:Series)<-[:HAS_SERIES]-(x:Device|Asset)-[:INSTANCE_OF]->(t:Template)
				WHERE t.id + '/' + o.measure IN $longer
			}`
)

// keeping is a measure of a template that is not kept for ever.
type keeping struct {
	account, template registry.ID
	measure           string
	registry.Keep
	// due is when the template is looked at again, in milliseconds.
	due int64
}

func (k *keeping) name() string { return string(k.template) + "/" + k.measure }

// every is how often a series is looked at.
func (k *keeping) every() time.Duration {
	return min(max(*k.KeepRaw()/keepPart, keepSoonest), keepLatest)
}

// KeepMeasurements removes what templates no longer keep, as long as the context
// lives. Any number of processes may run it: one at a time works.
func (s *Store) KeepMeasurements(ctx context.Context) error {
	return s.inTurns(ctx, "keeping", keepTurn, keepLease, func(ctx context.Context) (more bool, err error) {
		return false, s.SweepMeasurements(ctx)
	})
}

// SweepMeasurements removes what templates no longer keep, in many small
// transactions. Two at once do no harm.
func (s *Store) SweepMeasurements(ctx context.Context) error {
	all, _, err := one(ctx, s.reading(registry.Scope{}), keepTemplates, nil, keepingsOf)
	if err != nil {
		return fmt.Errorf("find what is kept for a time: %w", err)
	}
	now := s.now().UnixMilli()
	soonest := keepLatest // of the measures of one template, which follow each other
	for i := range all {
		k := &all[i]
		if k.due > now {
			continue
		}
		if err := s.sweepMeasure(ctx, k, all); err != nil {
			return fmt.Errorf("remove what is no longer kept of %s: %w", k.measure, err)
		}
		if soonest = min(soonest, k.every()); i+1 < len(all) && all[i+1].template == k.template {
			continue
		}
		p := params{"template": string(k.template), "due": s.now().Add(soonest).UnixMilli()}
		soonest = keepLatest
		if err := nothing(ctx, s.writing(registry.Scope{Account: k.account}), keepAgain, p); err != nil {
			return fmt.Errorf("note when to look again: %w", err)
		}
	}
	return nil
}

func keepingsOf(f fields) []keeping {
	var out []keeping
	for _, row := range f.maps("templates") {
		var measures []registry.MeasureDeclaration
		row.json("measures", &measures)
		for _, m := range measures {
			if !m.Forever() {
				out = append(out, keeping{row.id("account"), row.id("id"), m.Name, m.Keep, required[int64](row, "due")})
			}
		}
	}
	return out
}

// stage is one of the steps in which things go.
type stage struct {
	due query
	// of is for how long this is kept; nil for ever.
	of func(registry.Keep) *time.Duration
	// whole is what the end of the time is rounded down to.
	whole time.Duration
	do    func(s *Store, ctx context.Context, scope registry.Scope, buckets []any) error
}

var stages = []stage{
	{keepRaw, registry.Keep.KeepRaw, time.Millisecond, (*Store).sweepRaw},
	{keepFine, registry.Keep.KeepHourly, 24 * time.Hour, (*Store).coarsen},
	{keepAny, registry.Keep.KeepDaily, time.Millisecond, (*Store).sweepBuckets},
}

func (s *Store) sweepMeasure(ctx context.Context, k *keeping, all []keeping) error {
	scope := registry.Scope{Account: k.account}
	now := s.now()
	p := params{"template": string(k.template), "measure": k.measure, "before": now.Add(-k.every()).UnixMilli()}
	due, _, err := one(ctx, s.reading(scope), keepSeries, p, func(f fields) []any { return f.list("series") })
	if err != nil {
		return err
	}
	for series := range slices.Chunk(due, keptSeries) {
		for _, st := range stages {
			keep := st.of(k.Keep)
			if keep == nil {
				continue
			}
			before := now.Add(-*keep).Truncate(st.whole)
			if err := s.sweepStage(ctx, scope, st, params{
				"series": series, "before": before.UnixMilli(), "limit": keptBuckets, "most": keptBuckets / 24, "longer": longer(k, *keep, all, st.of),
			}); err != nil {
				return err
			}
		}
		if err := nothing(ctx, s.writing(scope), keepVisited, params{"series": series, "now": now.UnixMilli()}); err != nil {
			return err
		}
	}
	return nil
}

// longer names the other measures of the account that say how long they are kept
// and keep something longer than this one does.
func longer(k *keeping, keep time.Duration, all []keeping, of func(registry.Keep) *time.Duration) []string {
	out := []string{}
	for i := range all {
		other := of(all[i].Keep)
		if all[i].account == k.account && (other == nil || *other > keep) {
			out = append(out, all[i].name())
		}
	}
	return out
}

// sweepStage does one step to all buckets of some series that it is due of.
func (s *Store) sweepStage(ctx context.Context, scope registry.Scope, st stage, p params) error {
	for {
		due, _, err := one(ctx, s.reading(scope), st.due, p, func(f fields) [][]any { return worked(f, keptWork) })
		if err != nil || len(due) == 0 {
			return err
		}
		for _, buckets := range due {
			if err := st.do(s, ctx, scope, buckets); err != nil {
				return err
			}
		}
	}
}

// worked divides buckets into parts of some work each.
func worked(f fields, most int64) [][]any {
	var parts [][]any
	work := int64(0)
	for _, item := range f.list("due") {
		pair, _ := item.([]any)
		if len(pair) != 2 {
			f.failed("a bucket is %v", item)
			return nil
		}
		n, _ := pair[1].(int64)
		if work += n; len(parts) == 0 || work > most {
			parts, work = append(parts, nil), n
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], pair[0])
	}
	return parts
}

// sweepRaw removes what buckets hold.
func (s *Store) sweepRaw(ctx context.Context, scope registry.Scope, buckets []any) error {
	return nothing(ctx, s.writing(scope), keepSweep, params{"buckets": buckets})
}

// sweepBuckets removes buckets.
func (s *Store) sweepBuckets(ctx context.Context, scope registry.Scope, buckets []any) error {
	return nothing(ctx, s.writing(scope), keepDelete, params{"buckets": buckets})
}
