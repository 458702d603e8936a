package resolvers

import (
	"context"
	"slices"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/gqlhttp"
)

// followChanges follows the journal of the account and sends on what was asked
// for.
func (r *Resolver) followChanges(ctx context.Context, under *string, kinds []registry.ObjectKind, where, after *string) (<-chan *registry.Change, error) {
	scope := scopeFrom(ctx)
	wanted := graph.ChangeSelection{Kinds: kinds}
	if under != nil {
		group, err := r.Graph.GroupByPath(ctx, scope, *under)
		if err != nil {
			return nil, err
		}
		wanted.Under = group.ID
	}
	if where != nil {
		if err := wanted.SetWhere(*where); err != nil {
			return nil, err
		}
	}
	subscription, err := r.Graph.FollowChanges(ctx, scope, deref(after))
	if err != nil {
		return nil, err
	}
	return gqlhttp.Stream(ctx, func(ctx context.Context, send func(*registry.Change) bool) error {
		defer subscription.Close()
		for {
			changes, err := subscription.Next(ctx)
			if err != nil {
				return err
			}
			for part := range slices.Chunk(changes, 100) {
				selected, err := r.Graph.SelectChanges(ctx, scope, wanted, part)
				if err != nil {
					return err
				}
				for _, change := range selected {
					if !send(change) {
						return nil
					}
				}
			}
		}
	}), nil
}
