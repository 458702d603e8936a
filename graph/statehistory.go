package graph

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holon-registry/holon/registry"
)

// The state history of a twin is read, never written: it is the measurements of
// the twin's own series and the changes of the journal, put together in the
// order of time. So late values and links into the past are in it at once.

const (
	// maxStateChanges bounds the changes that a page looks at.
	maxStateChanges = 20_000
	// maxStateLookups bounds a page without measurements, whose values are looked
	// up moment by moment.
	maxStateLookups = 100
	// stateSources is how many values a series can have at one moment: one of a
	// device and one by hand, or two of devices that took turns.
	stateSources = 2
)

// A page of each series: so many values that as many moments as were asked for
// are complete.
var (
	stateAfter = named("state.measurementsAfter", `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		MATCH (t)-[:HAS_SERIES]->(s:Series)`+nearestAfter+`
		CALL (buckets, seen) {
			UNWIND buckets AS b
			WITH seen, b ORDER BY b.from
			WITH seen, collect(b) AS ordered
			WITH seen, ordered, reduce(enough = [0, $from], b IN ordered | CASE
				WHEN enough[0] >= $limit AND b.from >= enough[1] THEN enough
				ELSE [enough[0] + CASE WHEN b.from >= $from THEN b.count ELSE 0 END, CASE WHEN b.to > enough[1] THEN b.to ELSE enough[1] END] END)[1] AS horizon
			UNWIND ordered AS b
			WITH seen, b, horizon WHERE b.from < horizon
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= $from AND m.at < seen
			WITH b, m ORDER BY m.at LIMIT $limit
			RETURN collect({at: m.at, value: coalesce(m.value, properties(m)), suspect: m.suspect, stored: b.unit}) AS list
		}
		RETURN collect({measure: s.measure, type: s.type, unit: s.unit, seen: seen, list: list}) AS series`)

	stateBefore = named("state.measurementsBefore", `
		MATCH (t:Entity {id: $id})
		WHERE t.account = $account
		MATCH (t)-[:HAS_SERIES]->(s:Series)`+nearestBefore+`
		CALL (buckets, seen) {
			UNWIND buckets AS b
			WITH seen, b ORDER BY b.to DESC
			WITH seen, collect(b) AS ordered
			WITH seen, ordered, reduce(enough = [0, $to], b IN ordered | CASE
				WHEN enough[0] >= $limit AND b.to <= enough[1] THEN enough
				ELSE [enough[0] + CASE WHEN b.to <= $to THEN b.count ELSE 0 END, CASE WHEN b.from < enough[1] THEN b.from ELSE enough[1] END] END)[1] AS horizon
			UNWIND ordered AS b
			WITH seen, b, horizon WHERE b.to > horizon
			MATCH (b)-[:HAS_MEASUREMENT]->(m)
			WHERE m.at >= seen AND m.at < $to
			WITH b, m ORDER BY m.at DESC LIMIT $limit
			RETURN collect({at: m.at, value: coalesce(m.value, properties(m)), suspect: m.suspect, stored: b.unit}) AS list
		}
		RETURN collect({measure: s.measure, type: s.type, unit: s.unit, seen: seen, list: list}) AS series`)
)

// stateChanges reads what changed a twin itself, and its links, in order. What
// a transaction did has one moment and rising positions.
func stateChanges(name, direction string) query {
	return named(name, `
		MATCH (c:Change) USING INDEX c:Change(object, at)
		WHERE c.object = $id AND c.account = $account AND c.at >= $earliest AND c.at < $latest AND c.position > $low AND c.position < $high
			AND (c.after IS NOT NULL OR c.action IN ['linked', 'unlinked'])
		WITH c ORDER BY c.object`+direction+`, c.at`+direction+`, c.position`+direction+` LIMIT $limit
		RETURN collect(properties(c)) AS changes`)
}

var stateChangesAfter, stateChangesBefore = stateChanges("state.changesAfter", ""), stateChanges("state.changesBefore", " DESC")

// stateKey is the place of an entry in the history.
type stateKey struct {
	at       int64
	cause    int
	position int64
}

func (k stateKey) compare(o stateKey) int {
	return cmp.Or(cmp.Compare(k.at, o.at), cmp.Compare(k.cause, o.cause), cmp.Compare(k.position, o.position))
}

func keyOfState(e *registry.StateEntry) stateKey {
	k := stateKey{at: e.At.UnixMilli(), cause: slices.Index(registry.StateCauses, e.Cause)}
	if e.Change != nil {
		k.position = e.Change.Position
	}
	return k
}

// StateKey is the key of an entry in a state history.
func StateKey(e *registry.StateEntry) string {
	k := keyOfState(e)
	return fmt.Sprintf("%d.%d.%d", k.at, k.cause, k.position)
}

func parseStateKey(text string) (k stateKey, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return k, registry.InvalidField("cursor", "format", "%q is not a cursor of a state history", text)
	}
	var numbers [3]int64
	for i, part := range parts {
		if numbers[i], err = strconv.ParseInt(part, 10, 64); err != nil || numbers[i] < 0 {
			return k, registry.InvalidField("cursor", "format", "%q is not a cursor of a state history", text)
		}
	}
	return stateKey{numbers[0], int(numbers[1]), numbers[2]}, nil
}

// stateReading is one page that is being read.
type stateReading struct {
	*Store
	scope  registry.Scope
	twin   registry.ID
	causes []registry.StateCause
	page   registry.PageRequest
	// key is the cursor's; nil without one.
	key *stateKey
	// from is included, to is not.
	from, to int64
	// values are those of the measurements that were read, by moment.
	values map[int64][]registry.LiveValue
}

// StateHistory returns a page of what a twin was, oldest first: an entry for
// each moment at which it measured something and for each change of itself or
// of its links, with its whole state as it then was.
func (s *Store) StateHistory(ctx context.Context, scope registry.Scope, twin registry.ID, f registry.StateFilter, page registry.PageRequest) (registry.Page[*registry.StateEntry], error) {
	r := stateReading{Store: s, scope: scope, twin: twin, causes: f.Causes, page: page, to: math.MaxInt64, values: map[int64][]registry.LiveValue{}}
	if f.Causes == nil {
		r.causes = registry.StateCauses
	}
	if f.From != nil {
		r.from = ceilMillis(*f.From)
	}
	if f.To != nil {
		r.to = ceilMillis(*f.To)
	}
	if page.Key != "" {
		key, err := parseStateKey(page.Key)
		if err != nil {
			return registry.Page[*registry.StateEntry]{}, err
		}
		if r.key = &key; page.Backward {
			r.to = min(r.to, key.at+1)
		} else {
			r.from = max(r.from, key.at)
		}
	}
	measured := slices.Contains(r.causes, registry.StateMeasurement)
	if !measured && page.Size > maxStateLookups {
		return registry.Page[*registry.StateEntry]{}, registry.InvalidField("first", "range", "without measurements a page has at most %d entries", maxStateLookups)
	}
	out, err := r.read(ctx, measured)
	if err != nil {
		return out, fmt.Errorf("state history: %w", err)
	}
	return out, nil
}

func (r *stateReading) read(ctx context.Context, measured bool) (registry.Page[*registry.StateEntry], error) {
	var entries []*registry.StateEntry
	var err error
	if r.from < r.to {
		if measured {
			if entries, err = r.measurements(ctx); err != nil {
				return registry.Page[*registry.StateEntry]{}, err
			}
		}
		changes, err := r.changes(ctx)
		if err != nil {
			return registry.Page[*registry.StateEntry]{}, err
		}
		entries = append(entries, changes...)
	}
	slices.SortFunc(entries, func(x, y *registry.StateEntry) int {
		if r.page.Backward {
			x, y = y, x
		}
		return keyOfState(x).compare(keyOfState(y))
	})
	page := cut(entries[:min(len(entries), r.page.Size+1)], r.page)
	return page, r.fill(ctx, page.Items, measured)
}

// beyond says that an entry lies on the side of the cursor that was asked for.
func (r *stateReading) beyond(e *registry.StateEntry) bool {
	if r.key == nil {
		return true
	}
	c := keyOfState(e).compare(*r.key)
	return c > 0 && !r.page.Backward || c < 0 && r.page.Backward
}

// measurements reads an entry for each moment.
func (r *stateReading) measurements(ctx context.Context) ([]*registry.StateEntry, error) {
	q, all := stateAfter, r.to
	if r.page.Backward {
		q, all = stateBefore, r.from
	}
	// One moment more than the page, and the cursor's own, of each source.
	limit := stateSources * (r.page.Size + 2)
	p := params{"id": string(r.twin), "from": r.from, "to": r.to, "limit": limit}
	for most, whole := pageBuckets(limit), false; !whole; most *= moreBuckets {
		p["most"], whole = most, true
		clear(r.values)
		_, _, err := one(ctx, r.reading(r.scope), q, p, func(f fields) struct{} {
			for _, series := range f.maps("series") {
				of, list := stateSeriesOf(series), series.maps("list")
				whole = whole && (len(list) >= limit || required[int64](series, "seen") == all)
				for _, item := range list {
					v := of.value(item, "at", "value", "suspect")
					r.values[v.MeasuredAt.UnixMilli()] = append(r.values[v.MeasuredAt.UnixMilli()], v)
				}
			}
			return struct{}{}
		})
		if err != nil {
			return nil, err
		}
	}
	var out []*registry.StateEntry
	for at, values := range r.values {
		e := &registry.StateEntry{PastState: registry.PastState{At: time.UnixMilli(at).UTC()}, TwinID: r.twin, Cause: registry.StateMeasurement}
		for _, v := range values {
			e.Names = append(e.Names, v.Measure)
		}
		slices.Sort(e.Names)
		if r.beyond(e) {
			out = append(out, e)
		}
	}
	return out, nil
}

// changes reads the entries of the journal, as many as the page may need.
func (r *stateReading) changes(ctx context.Context) ([]*registry.StateEntry, error) {
	q, low, high := stateChangesAfter, int64(0), int64(math.MaxInt64)
	if r.page.Backward {
		q = stateChangesBefore
	}
	if len(r.causes) == 1 && r.causes[0] == registry.StateMeasurement {
		return nil, nil
	}
	size := max(r.page.Size+1, 100)
	p := params{"id": string(r.twin), "limit": size, "earliest": time.UnixMilli(r.from).UTC(), "latest": time.UnixMilli(min(r.to, latestMillis)).UTC()}
	var out []*registry.StateEntry
	for looked := 0; ; {
		p["low"], p["high"] = low, high
		found, _, err := one(ctx, r.reading(r.scope), q, p, changesOf)
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			for _, e := range stateEntries(r.twin, c) {
				if slices.Contains(r.causes, e.Cause) && r.beyond(e) {
					out = append(out, e)
				}
			}
		}
		// Entries of one moment have an order of their own: what the last change
		// was made together with is needed, too.
		if looked += len(found); len(found) < size || len(out) > r.page.Size+1 && out[r.page.Size].At != out[len(out)-1].At {
			return out, nil
		}
		if looked >= maxStateChanges {
			return nil, registry.LimitExceeded("more than %d changes would have to be looked at: say from and to", maxStateChanges)
		}
		if last := found[len(found)-1].Position; r.page.Backward {
			high = last
		} else {
			low = last
		}
	}
}

// latestMillis is a moment that is later than all that are stored.
const latestMillis = int64(253402300799000)
