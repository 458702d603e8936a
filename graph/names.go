package graph

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/holon-registry/holon/registry"
)

// The database never frees a name of a relationship type or of a property and
// has room for 65,536 types, so names that are new to it are rationed.
const (
	maxNewRelations  = 64  // an account
	maxNewAttributes = 256 // an account
	maxNamesInAll    = 20_000
)

// nameKind tells the two pools of names apart.
type nameKind string

const (
	relationNames nameKind = "relation"
	propertyNames nameKind = "attribute"
)

func (k nameKind) limit() int {
	if k == relationNames {
		return maxNewRelations
	}
	return maxNewAttributes
}

// nameSet holds names that are known to be in the database: once there, always
// there. It is bounded by maxNamesInAll.
type nameSet struct {
	mu    sync.RWMutex
	known map[nameKind]map[string]bool
}

func newNameSet() *nameSet {
	return &nameSet{known: map[nameKind]map[string]bool{relationNames: {}, propertyNames: {}}}
}

// unknown returns the names that are not in the set, sorted, once each.
func (s *nameSet) unknown(kind nameKind, names []string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	for _, name := range names {
		if !s.known[kind][name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (s *nameSet) add(kind nameKind, names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.known[kind][name] = true
	}
}

var (
	namesKnown = named("name.known", `
		UNWIND $names AS name
		MATCH (n:Name {kind: $kind, name: name})
		RETURN collect(n.name) AS names`)

	// The budget's node serialises those who bring new names, which is rare.
	namesClaim = named("name.claim", `
		MERGE (b:NameBudget {kind: $kind})
		SET b.total = coalesce(b.total, 0)
		WITH b
		MATCH (a:Entity {id: $account})
		UNWIND $names AS name
		MERGE (n:Name {kind: $kind, name: name})
		ON CREATE SET n.account = $account, n.isNew = true
		WITH b, a, n, coalesce(n.isNew, false) AS isNew
		REMOVE n.isNew
		WITH b, a, sum(CASE WHEN isNew THEN 1 ELSE 0 END) AS added
		SET b.total = b.total + added
		SET a.relationNames = a.relationNames + CASE WHEN $kind = 'relation' THEN added ELSE 0 END,
			a.attributeNames = a.attributeNames + CASE WHEN $kind = 'attribute' THEN added ELSE 0 END
		RETURN CASE $kind WHEN 'relation' THEN a.relationNames ELSE a.attributeNames END AS mine, b.total AS total, added`)
)

// claimNames makes sure, inside a transaction, that the account may bring these
// names into the database, and returns LIMIT_EXCEEDED if it may not. Call the
// returned function once the transaction is committed.
func (s *Store) claimNames(ctx context.Context, tx runner, kind nameKind, names []string) (committed func(), err error) {
	fresh := s.names.unknown(kind, names)
	if len(fresh) == 0 {
		return func() {}, nil
	}
	known, _, err := one(ctx, tx, namesKnown, params{"kind": string(kind), "names": fresh}, func(f fields) []string { return f.texts("names") })
	if err != nil {
		return nil, fmt.Errorf("look up names: %w", err)
	}
	missing := slices.DeleteFunc(slices.Clone(fresh), func(name string) bool { return slices.Contains(known, name) })
	if len(missing) > 0 {
		if err := s.bringNames(ctx, tx, kind, missing); err != nil {
			return nil, err
		}
	}
	return func() { s.names.add(kind, fresh) }, nil
}

func (s *Store) bringNames(ctx context.Context, tx runner, kind nameKind, names []string) error {
	type budget struct{ mine, total, added int }
	after, ok, err := one(ctx, tx, namesClaim, params{"kind": string(kind), "names": names}, func(f fields) budget {
		return budget{f.integer("mine"), f.integer("total"), f.integer("added")}
	})
	switch {
	case err != nil:
		return fmt.Errorf("claim names: %w", err)
	case !ok:
		return registry.NotFound("account", "")
	case after.added > 0 && after.mine > kind.limit():
		return registry.LimitExceeded("an account can bring %d new names of %ss: %q is one too many", kind.limit(), kind, names[0])
	case after.added > 0 && after.total > maxNamesInAll:
		return registry.LimitExceeded("there is no room for new names of %ss: use one that exists", kind)
	}
	return nil
}

// claim claims names in a change.
func (s *Store) claim(ctx context.Context, tx *transaction, kind nameKind, names []string) error {
	committed, err := s.claimNames(ctx, tx, kind, names)
	if err == nil {
		tx.onCommit(committed)
	}
	return err
}

// claimBoth claims names of relations and of attributes.
func (s *Store) claimBoth(ctx context.Context, tx runner, relations, attributes []string) (committed func(), err error) {
	first, err := s.claimNames(ctx, tx, relationNames, relations)
	if err != nil {
		return nil, err
	}
	second, err := s.claimNames(ctx, tx, propertyNames, attributes)
	if err != nil {
		return nil, err
	}
	return func() { first(); second() }, nil
}
