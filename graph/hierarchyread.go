package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// How many groups and policies one statement reads.
const (
	groupsAPage   = 20_000
	policiesAPage = 500
)

var (
	hierarchyGroups = named("hierarchy.groups", `
		MATCH (n:Group)
		WHERE n.account = $account AND n.keyFold > $key
		WITH n ORDER BY n.account, n.keyFold LIMIT $limit
		WITH collect([n.id, [(n)-[:CHILD_OF]->(above) | above.id][0], n.name]) AS groups, collect(n.keyFold) AS keys
		RETURN groups, keys[-1] AS last`)

	hierarchyPolicies = named("hierarchy.policies", `
		MATCH (n:Policy)
		WHERE n.account = $account AND n.keyFold > $key
		WITH n ORDER BY n.account, n.keyFold LIMIT $limit
		RETURN collect({key: n.keyFold, policy: `+policyColumns+`}) AS policies`)
)

// readUnderLock reads an account's groups and policies while nobody changes
// them: it takes a place among the writers.
func (s *Store) readUnderLock(ctx context.Context, scope registry.Scope, entry *heldHierarchy) (*hierarchy, error) {
	var read *hierarchy
	err := write(ctx, s, scope, "hierarchy.read", func(ctx context.Context, tx *transaction) error {
		if err := tx.begin(ctx); err != nil {
			return err
		}
		var err error
		read, err = readAll(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the hierarchy: %w", err)
	}
	s.hierarchies.replace(entry, read)
	return read, nil
}

// readAll reads the account's groups and policies in a transaction that has its
// journal's lock.
func readAll(ctx context.Context, tx *transaction) (*hierarchy, error) {
	d := newDraft()
	d.structure = tx.structure
	if err := readGroups(ctx, tx, d); err != nil {
		return nil, err
	}
	if err := readPolicies(ctx, tx, d); err != nil {
		return nil, err
	}
	return d.finish()
}

func readGroups(ctx context.Context, tx *transaction, d *draft) error {
	for key := ""; ; {
		read, _, err := one(ctx, tx, hierarchyGroups, params{"key": key, "limit": groupsAPage}, func(f fields) int {
			rows := f.list("groups")
			for _, item := range rows {
				row, _ := item.([]any)
				if len(row) != 3 {
					f.failed("a group of %d columns", len(row))
					break
				}
				id, ok1 := row[0].(string)
				parent, ok2 := row[1].(string)
				name, ok3 := row[2].(string)
				if !ok1 || !ok3 || !ok2 && row[1] != nil {
					f.failed("%v is no group", row)
				}
				d.put(registry.ID(id), registry.ID(parent), name)
			}
			if len(rows) > 0 {
				key = f.text("last")
			}
			return len(rows)
		})
		if err != nil || read < groupsAPage {
			return err
		}
	}
}

func readPolicies(ctx context.Context, tx *transaction, d *draft) error {
	for key := ""; ; {
		read, _, err := one(ctx, tx, hierarchyPolicies, params{"key": key, "limit": policiesAPage}, func(f fields) int {
			items := f.maps("policies")
			for _, item := range items {
				d.apply(policyOf(item), len(item.nested("policy").nested("node").text("document")))
				key = item.text("key")
			}
			return len(items)
		})
		if err != nil || read < policiesAPage {
			return err
		}
	}
}
