package resolvers

import (
	"context"
	"slices"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/gqlhttp"
	"github.com/holon-registry/holon/twin"
)

// maxFollowed bounds twinChanged(ids:).
const maxFollowed = 1000

// followTwins follows the feed of the account and sends on what was asked for.
func (r *Resolver) followTwins(ctx context.Context, ids []registry.ID, under, after *string) (<-chan *twin.Change, error) {
	if len(ids) > maxFollowed {
		return nil, registry.LimitExceeded("follow at most %d ids at once, not %d: or give under", maxFollowed, len(ids))
	}
	scope := scopeFrom(ctx)
	if under != nil {
		if _, err := r.Graph.GroupByPath(ctx, scope, *under); err != nil {
			return nil, err
		}
	}
	subscription, err := r.Feed.Follow(ctx, scope, deref(after))
	if err != nil {
		return nil, err
	}
	return gqlhttp.Stream(ctx, func(ctx context.Context, send func(*twin.Change) bool) error {
		defer subscription.Close()
		for {
			changes, err := subscription.Next(ctx)
			if err != nil {
				return err
			}
			wanted, err := r.wanted(ctx, scope, changes, ids, under)
			if err != nil {
				return err
			}
			for i := range wanted {
				if !send(&wanted[i]) {
					return nil
				}
			}
		}
	}), nil
}

// wanted keeps the changes of the twins that were asked for. Whether a twin is
// under a group is asked of the graph each time: it may have moved.
func (r *Resolver) wanted(ctx context.Context, scope registry.Scope, changes []twin.Change, ids []registry.ID, under *string) ([]twin.Change, error) {
	if ids != nil {
		changes = keep(changes, func(id registry.ID) bool { return slices.Contains(ids, id) })
	}
	if under == nil || len(changes) == 0 {
		return changes, nil
	}
	twins := make([]registry.ID, len(changes))
	for i := range changes {
		twins[i] = changes[i].TwinID
	}
	inside, err := r.Graph.TwinsUnder(ctx, scope, *under, twins)
	if err != nil {
		return nil, err
	}
	return keep(changes, func(id registry.ID) bool { return inside[id] }), nil
}

func keep(changes []twin.Change, wanted func(registry.ID) bool) []twin.Change {
	kept := make([]twin.Change, 0, len(changes))
	for _, change := range changes {
		if wanted(change.TwinID) {
			kept = append(kept, change)
		}
	}
	return kept
}
