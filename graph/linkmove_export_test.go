package graph

import (
	"context"

	"github.com/holon-registry/holon/registry"
)

// MoveLater leaves moves of links to MoveOn, a few buckets a turn.
func (s *Store) MoveLater(buckets int) { s.moveLater, s.moveBuckets = true, buckets }

// MoveSome takes one turn of each move, as a worker does.
func (s *Store) MoveSome(ctx context.Context) (bool, error) { return s.moveSome(ctx) }

// MoveOn takes one turn of a link's move.
func (s *Store) MoveOn(ctx context.Context, scope registry.Scope, link *registry.Link) (bool, error) {
	return s.moveOn(ctx, scope, link.ID, link.DeviceID)
}
