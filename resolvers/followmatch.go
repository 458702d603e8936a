package resolvers

import (
	"context"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// lookedAt is how many twins are looked at in one round trip.
const lookedAt = 500

// begin finds out which twins match. Without a cursor the client is told of
// them if a rule decides, which no list can.
func (f *twinFollower) begin(ctx context.Context, send func(*registry.TwinChange) bool) error {
	ids, err := f.candidates(ctx)
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	for part := range slices.Chunk(ids, lookedAt) {
		matching, err := f.matching(ctx, part, nil)
		if err != nil {
			return err
		}
		var entered []*pendingChange
		for _, id := range part {
			if !matching[id] {
				continue
			}
			f.told[id] = true
			if !f.resumed && f.selection.Where != nil {
				change := registry.TwinChange{TwinID: id, At: now, Match: new(registry.MatchEntered)}
				entered = append(entered, &pendingChange{TwinChange: change, before: f.mark})
			}
		}
		if more, err := f.tell(ctx, entered, nil, send); err != nil || !more {
			return err
		}
	}
	f.scanned = time.Now()
	return nil
}

func (f *twinFollower) candidates(ctx context.Context) ([]registry.ID, error) {
	most := maxPlaced
	if f.selection.Where != nil {
		most = maxRuled
	}
	return f.resolver.Graph.TwinCandidates(ctx, f.scope, f.selection, most)
}

// lookAgain looks at everything that matches or may.
func (f *twinFollower) lookAgain(ctx context.Context) error {
	f.rescan, f.scanned = false, time.Now()
	if f.group != "" {
		groups, err := f.resolver.Graph.GroupsByID(ctx, f.scope, []registry.ID{f.group})
		if err != nil {
			return err
		}
		if groups[0] == nil {
			return &registry.Error{Code: registry.CodeNotFound, Field: "under", Message: "the group was deleted"}
		}
		f.selection.Under = groups[0].Path
	}
	ids, err := f.candidates(ctx)
	if err != nil {
		return err
	}
	// A client that resumed may believe anything of them.
	for _, id := range ids {
		f.look(id, f.mark, f.resumed)
	}
	for id := range f.told {
		f.look(id, f.mark, false)
	}
	f.resumed = false
	return nil
}

// matching says which of some twins match now. The newest values of pending
// changes are replaced by those that the decision was made with.
func (f *twinFollower) matching(ctx context.Context, ids []registry.ID, changes []*pendingChange) (map[registry.ID]bool, error) {
	live, err := f.live(ctx, ids, changes)
	if err != nil {
		return nil, err
	}
	return f.resolver.Graph.TwinsMatching(ctx, f.scope, f.selection, ids, live)
}

// live are the newest values of twins as rules take them, if this one asks.
func (f *twinFollower) live(ctx context.Context, ids []registry.ID, changes []*pendingChange) (map[string]any, error) {
	where := f.selection.Where
	if where == nil || !where.NeedsMeasures() && !where.NeedsConnected() {
		return nil, nil
	}
	out := make(map[string]any, len(ids))
	of := make([]map[string]any, len(ids))
	for i, id := range ids {
		of[i] = map[string]any{}
		out[string(id)] = of[i]
	}
	if where.NeedsMeasures() {
		views, err := f.resolver.viewed(ctx, f.scope, ids)
		if err != nil {
			return nil, err
		}
		for i := range ids {
			for _, value := range views[i].values {
				of[i][value.Measure] = registry.PlainValue(value.Value)
			}
			if changes != nil {
				refresh(changes[i].Values, views[i].values)
			}
		}
	}
	if where.NeedsConnected() {
		presences, err := f.resolver.Live.PresenceOf(ctx, f.scope, ids)
		if err != nil {
			return nil, err
		}
		for i, presence := range presences {
			if presence.Connected != nil {
				of[i][rule.LiveConnected] = *presence.Connected
			}
		}
	}
	return out, nil
}

// refresh replaces values by newer ones of the same measures.
func refresh(values, newest []registry.LiveValue) {
	for i := range values {
		for _, value := range newest {
			if value.Measure == values[i].Measure && value.MeasuredAt.After(values[i].MeasuredAt) {
				values[i] = value
			}
		}
	}
}

// flush tells what is due. It returns false when the client has left.
func (f *twinFollower) flush(ctx context.Context, send func(*registry.TwinChange) bool) (bool, error) {
	due, rest := f.due()
	for len(due) > 0 {
		part := due[:min(len(due), lookedAt)]
		due = due[len(part):]
		later := rest
		if len(due) > 0 && (later == nil || due[0].arrived < later.arrived) {
			later = due[0]
		}
		if f.stateful {
			if err := f.decide(ctx, part); err != nil {
				return false, err
			}
		}
		for _, p := range part {
			delete(f.pending, p.TwinID)
		}
		if more, err := f.tell(ctx, part, later, send); err != nil || !more {
			return more, err
		}
	}
	return true, nil
}

// decide says how each twin is to what is asked for; nil for those that the
// client need not be told of.
func (f *twinFollower) decide(ctx context.Context, changes []*pendingChange) error {
	ids := make([]registry.ID, len(changes))
	for i, p := range changes {
		ids[i] = p.TwinID
	}
	matching, err := f.matching(ctx, ids, changes)
	if err != nil {
		return err
	}
	for _, p := range changes {
		is, was := matching[p.TwinID], f.told[p.TwinID]
		switch {
		case is && (!was || p.unknown):
			p.Match = new(registry.MatchEntered)
		case !is && (was || p.unknown):
			p.Match = new(registry.MatchLeft)
		case is && len(p.Kinds) > 0:
			p.Match = new(registry.MatchStayed)
		}
		if is {
			f.told[p.TwinID] = true
		} else {
			delete(f.told, p.TwinID)
		}
	}
	if most := maxPlaced; len(f.told) > most {
		return registry.LimitExceeded("more than %d twins are followed: narrow them", most)
	}
	return nil
}

// tell sends changes. Later is the oldest of what is not told yet: nobody who
// goes on after a cursor misses it.
func (f *twinFollower) tell(ctx context.Context, changes []*pendingChange, later *pendingChange, send func(*registry.TwinChange) bool) (bool, error) {
	if f.stateful {
		changes = slices.DeleteFunc(changes, func(p *pendingChange) bool { return p.Match == nil })
	}
	if len(changes) == 0 {
		return true, nil
	}
	if err := f.view(ctx, changes); err != nil {
		return false, err
	}
	if err := f.readTwins(ctx, changes); err != nil {
		return false, err
	}
	now := time.Now()
	for i, p := range changes {
		next := f.mark
		if later != nil {
			next = later.before
		}
		if i+1 < len(changes) && (later == nil || changes[i+1].arrived < later.arrived) {
			next = changes[i+1].before
		}
		p.Cursor = next.cursor()
		if p.At.IsZero() {
			p.At = now.UTC().Truncate(time.Millisecond)
		}
		if f.every > 0 {
			f.sent[p.TwinID] = now
		}
		if !send(&p.TwinChange) {
			return false, nil
		}
	}
	return true, nil
}

// readTwins reads the twins of changes in one round trip, if they are asked for:
// each change is an answer of its own.
func (f *twinFollower) readTwins(ctx context.Context, changes []*pendingChange) error {
	if !f.wantsTwin || len(changes) < 2 {
		return nil
	}
	ids := make([]registry.ID, len(changes))
	for i, p := range changes {
		ids[i] = p.TwinID
	}
	nodes, err := f.resolver.Graph.Nodes(ctx, f.scope, ids)
	if err != nil {
		return err
	}
	for i, p := range changes {
		p.Twin, _ = nodes[i].(registry.Twin)
	}
	return nil
}
