package graph

import "context"

// ChangeSchema runs one statement as a migration does.
func (s *Store) ChangeSchema(ctx context.Context, text string) error {
	return s.patient().changeSchema(ctx, query{"test.schema", text})
}
