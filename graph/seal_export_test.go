package graph

import (
	"context"

	"github.com/holon-registry/holon/registry"
)

// SealAccount seals the buckets of one account, whether they are due or not:
// those of other tests are left alone.
func (s *Store) SealAccount(ctx context.Context, scope registry.Scope) (int, error) {
	rows, err := s.Cypher(ctx, scope, "MATCH (b:Unsealed) WHERE b.sealAt > 0 AND b.account = $account RETURN elementId(b) AS id", nil)
	if err != nil {
		return 0, err
	}
	var ids []any
	for _, row := range rows {
		ids = append(ids, row["id"])
	}
	return s.seal(ctx, ids)
}
