package graph

import "context"

// RelateProfiles is the part of a migration that Cypher cannot do.
func (s *Store) RelateProfiles(ctx context.Context) error { return s.relateProfiles(ctx) }
