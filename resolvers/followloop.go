package resolvers

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/twin"
)

// twinFollower is one subscription of twinChanged. It is used by one goroutine.
type twinFollower struct {
	resolver  *Resolver
	scope     registry.Scope
	selection graph.TwinSelection
	// group is that of the selection; its path may change.
	group     registry.ID
	kinds     []registry.TwinChangeKind
	every     time.Duration
	wantsTwin bool
	feed      *twin.Subscription
	journal   *graph.ChangeSubscription
	// newest is the end of the journal when the subscription began: what is not
	// newer belongs to the past that a cursor goes back to.
	newest  int64
	resumed bool
	// stateful means that twins come to match and stop. Told are the ids of those
	// of which the client knows that they match.
	stateful bool
	told     map[registry.ID]bool
	// mark is behind everything that was received.
	mark    mark
	arrived int64
	pending map[registry.ID]*pendingChange
	// sent is when twins were told last, for as long as that matters.
	sent map[registry.ID]time.Time
	// rescan says that any twin may match or not by now, scanned when all were
	// looked at last.
	rescan  bool
	scanned time.Time
}

// pendingChange is what is still to be told of a twin.
type pendingChange struct {
	registry.TwinChange
	arrived int64
	// before is the mark before its first change.
	before mark
	// unknown means that it is not known whether the client believes that the twin
	// matches, so that it is told.
	unknown bool
}

// scanEvery bounds how often all twins of a selection are looked at.
const scanEvery = time.Second

// run tells what happens until the client leaves or a source ends.
func (f *twinFollower) run(ctx context.Context, send func(*registry.TwinChange) bool) error {
	if f.stateful {
		if err := f.begin(ctx, send); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	batches := make(chan received)
	go receive(ctx, batches, func(ctx context.Context) (received, error) {
		values, err := f.feed.Next(ctx)
		return received{values: values}, err
	})
	go receive(ctx, batches, func(ctx context.Context) (received, error) {
		changes, err := f.journal.Next(ctx)
		return received{changes: changes}, err
	})
	for {
		timer := time.NewTimer(f.wait())
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case batch := <-batches:
			timer.Stop()
			if batch.err != nil {
				return batch.err
			}
			parts := f.parts(batch)
			for _, part := range parts[:len(parts)-1] {
				if err := f.take(ctx, part); err != nil {
					return err
				}
				if more, err := f.flush(ctx, send); err != nil || !more {
					return err
				}
			}
			if err := f.take(ctx, parts[len(parts)-1]); err != nil {
				return err
			}
		case <-timer.C:
		}
		if f.rescan && time.Since(f.scanned) >= scanEvery {
			if err := f.lookAgain(ctx); err != nil {
				return err
			}
		}
		if more, err := f.flush(ctx, send); err != nil || !more {
			return err
		}
	}
}

// parts are stretches of a batch in which no twin has two changes, so that each
// is told, those too that come together after a pause. Whoever asks for twins
// once in a while, or by what they are now, gets what changed of them together.
func (f *twinFollower) parts(batch received) []received {
	if f.every > 0 || f.selection.Where != nil {
		return []received{batch}
	}
	var parts []received
	begin, seen := 0, map[registry.ID]bool{}
	for i, change := range batch.values {
		if seen[change.TwinID] {
			parts = append(parts, received{values: batch.values[begin:i]})
			begin = i
			clear(seen)
		}
		seen[change.TwinID] = true
	}
	return append(parts, received{values: batch.values[begin:], changes: batch.changes})
}

// wait is how long nothing is due.
func (f *twinFollower) wait() time.Duration {
	until := time.Hour
	if f.rescan {
		until = scanEvery - time.Since(f.scanned)
	}
	if f.every > 0 {
		for id := range f.pending {
			until = min(until, f.every-time.Since(f.sent[id]))
		}
	}
	return max(until, 0)
}

// take notes what a batch tells.
func (f *twinFollower) take(ctx context.Context, batch received) error {
	for _, change := range batch.values {
		before := f.mark
		f.mark.feed = change.Cursor
		f.note(change.TwinID, before, change.At, change.Kind, change.Values, f.resumed && f.feed.Past(change))
	}
	if len(batch.changes) == 0 {
		return nil
	}
	var moved []registry.ID
	before := f.mark
	for _, change := range batch.changes {
		before = f.mark
		f.mark.journal = change.Cursor()
		past := f.resumed && change.Position <= f.newest
		id, kind := twinIn(change)
		if id != "" {
			f.note(id, before, change.At, kind, nil, past)
			if kind == registry.TwinState {
				moved = append(moved, id)
			}
		}
		if !f.touchesOthers(change) {
			continue
		}
		if past && f.selection.Where == nil || past && change.Kind == registry.ObjectGroup && f.group != "" {
			return &registry.Error{Code: registry.CodeCursorExpired, Field: "after",
				Message: "groups were moved since this cursor: read the state again and subscribe without a cursor"}
		}
		f.rescan = true
	}
	if f.group == "" || len(moved) == 0 {
		return nil
	}
	// What a twin consists of is where the twin is.
	for part := range slices.Chunk(moved, registry.MaxPage) {
		within, err := f.resolver.Graph.WithinTwins(ctx, f.scope, part)
		if err != nil {
			return err
		}
		for _, id := range within {
			f.look(id, before, f.resumed)
		}
	}
	return nil
}

// twinIn is the twin that a change is about, if it is about one, and how.
func twinIn(c *registry.Change) (registry.ID, registry.TwinChangeKind) {
	switch c.Kind {
	case registry.ObjectDevice, registry.ObjectAsset:
		if c.Action == "desired" {
			return c.ObjectID, registry.TwinDesired
		}
		return c.ObjectID, registry.TwinState
	case registry.ObjectCommand, registry.ObjectAlarm:
		kind := registry.TwinCommand
		if c.Kind == registry.ObjectAlarm {
			kind = registry.TwinAlarm
		}
		id, _ := c.After["twin"].(string)
		return registry.ID(id), kind
	}
	return "", ""
}

// touchesOthers says whether a change may be the reason that other twins than
// its own match or stop.
func (f *twinFollower) touchesOthers(c *registry.Change) bool {
	switch c.Kind {
	case registry.ObjectGroup:
		moves := c.Action == "moved" || c.Operation == registry.ChangeDelete
		return f.stateful && (f.group != "" && moves || f.selection.Where != nil && f.selection.Where.NeedsNeighbours())
	case registry.ObjectDevice, registry.ObjectAsset:
		return f.selection.Where != nil && f.selection.Where.NeedsNeighbours()
	}
	return false
}

// note adds a change of a twin to what is still to be told.
func (f *twinFollower) note(id registry.ID, before mark, at time.Time, kind registry.TwinChangeKind, values []registry.LiveValue, unknown bool) {
	if f.selection.IDs != nil && !slices.Contains(f.selection.IDs, id) {
		return
	}
	wanted := len(f.kinds) == 0 || slices.Contains(f.kinds, kind)
	if !wanted && !f.stateful {
		return
	}
	p := f.look(id, before, unknown && f.stateful)
	if wanted {
		p.Add(at, kind, values)
	} else if p.At.Before(at) {
		p.At = at
	}
}

// look adds a twin to those that are to be looked at, without a change of its
// own.
func (f *twinFollower) look(id registry.ID, before mark, unknown bool) *pendingChange {
	p := f.pending[id]
	if p == nil {
		f.arrived++
		p = &pendingChange{TwinChange: registry.TwinChange{TwinID: id}, arrived: f.arrived, before: before}
		f.pending[id] = p
	}
	p.unknown = p.unknown || unknown
	return p
}

// due are the pending changes that are told now, in the order in which they
// came, and the oldest of the rest.
func (f *twinFollower) due() (due []*pendingChange, rest *pendingChange) {
	now := time.Now()
	for id, p := range f.pending {
		if f.every > 0 && now.Sub(f.sent[id]) < f.every {
			if rest == nil || p.arrived < rest.arrived {
				rest = p
			}
			continue
		}
		due = append(due, p)
	}
	slices.SortFunc(due, func(a, b *pendingChange) int { return int(a.arrived - b.arrived) })
	if f.every > 0 {
		maps.DeleteFunc(f.sent, func(_ registry.ID, at time.Time) bool { return now.Sub(at) >= f.every })
	}
	return due, rest
}
