package graph

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

var (
	accountByName = named("account.byName", `
		MATCH (a:Account {nameFold: $nameFold})
		RETURN a.id AS id, a.name AS name, a.createdAt AS createdAt`)

	accountByID = named("account.byID", `
		MATCH (a:Entity {id: $account})
		WHERE a:Account
		RETURN a.id AS id, a.name AS name, a.createdAt AS createdAt`)

	accountCreate = named("account.create", `
		CREATE (:Account:Entity {id: $account, account: $account, name: $name, nameFold: $nameFold, createdAt: $now,
			relationNames: 0, attributeNames: 0})
		CREATE (root:Group:Entity {id: $rootID, account: $account, keyFold: '/', path: '/', name: '', depth: 0,
			templateFold: 'open', version: 1, createdAt: $now, updatedAt: $now})
		CREATE (:Journal {account: $account, position: 1, structure: 1, at: $now})
		WITH root, $rootChange AS change
		CREATE (:Change {account: $account, at: $now, `+changeRow+`})
		WITH root
		UNWIND $templates AS open
		CREATE (t:Template:Entity {id: open.id, account: $account, keyFold: open.keyFold, kind: open.kind, name: 'open',
			nameFold: 'open', version: 1, status: 'PUBLISHED', open: true, createdAt: $now, publishedAt: $now})
		FOREACH (_ IN CASE open.kind WHEN 'GROUP' THEN [1] ELSE [] END | CREATE (root)-[:INSTANCE_OF]->(t))`)
)

// EnsureAccount returns the account of that name, and makes it, with its root
// group and its open templates, if there is none; created says which. It is not
// bound to a scope.
func (s *Store) EnsureAccount(ctx context.Context, name string) (account *registry.Account, created bool, err error) {
	if err := registry.CheckAccountName(name); err != nil {
		return nil, false, err
	}
	account, err = s.AccountByName(ctx, name)
	if err == nil || registry.CodeOf(err) != registry.CodeNotFound {
		return account, false, err
	}
	account, err = s.createAccount(ctx, name)
	if errors.Is(err, errConstraint) {
		// Somebody else made it meanwhile.
		account, err = s.AccountByName(ctx, name)
		return account, false, err
	}
	return account, err == nil, err
}

func (s *Store) createAccount(ctx context.Context, name string) (*registry.Account, error) {
	account, p, err := s.newAccount(name)
	if err != nil {
		return nil, err
	}
	if err := nothing(ctx, s.writing(registry.Scope{Account: account.ID}), accountCreate, p); err != nil {
		return nil, fmt.Errorf("create account %s: %w", name, err)
	}
	return account, nil
}

// newAccount is an account that is to be made, and what makes it.
func (s *Store) newAccount(name string) (*registry.Account, params, error) {
	account := &registry.Account{ID: newID(), Name: name, CreatedAt: s.now()}
	open := &registry.Template{ID: newID(), Kind: registry.KindGroup, Name: registry.OpenTemplate, Version: 1}
	templates := make([]any, len(registry.Kinds))
	for i, kind := range registry.Kinds {
		id := newID()
		if kind == open.Kind {
			id = open.ID
		}
		templates[i] = map[string]any{"id": string(id), "kind": string(kind), "keyFold": templateKey(kind, registry.OpenTemplate, 1)}
	}
	root := &registry.Group{Object: registry.Object{ID: newID(), Version: 1, CreatedAt: account.CreatedAt, UpdatedAt: account.CreatedAt}, Path: "/"}
	made, err := entry{
		kind: registry.ObjectGroup, id: root.ID, key: root.Path, operation: registry.ChangeCreate, action: "created", version: 1,
		after: thingSnapshot(root, open), structural: true,
	}.row(1, 1)
	if err != nil {
		return nil, nil, err
	}
	return account, params{
		"name": name, "nameFold": Fold(name), "now": account.CreatedAt, "rootID": string(root.ID), "rootChange": made, "templates": templates,
	}, nil
}

// Account returns the account of a scope.
func (s *Store) Account(ctx context.Context, scope registry.Scope) (*registry.Account, error) {
	account, ok, err := one(ctx, s.reading(scope), accountByID, nil, accountOf)
	return found(account, ok, err, "account", string(scope.Account))
}

// AccountByName returns the account of that name, whatever its case. It is not
// bound to a scope: names of accounts are public within a database.
func (s *Store) AccountByName(ctx context.Context, name string) (*registry.Account, error) {
	account, ok, err := one(ctx, s.reading(registry.Scope{}), accountByName, params{"nameFold": Fold(name)}, accountOf)
	return found(account, ok, err, "account", name)
}

func accountOf(f fields) *registry.Account {
	return &registry.Account{ID: f.id("id"), Name: f.text("name"), CreatedAt: f.time("createdAt")}
}

// newID makes an id whose order is that of time.
func newID() registry.ID { return registry.ID(uuid.Must(uuid.NewV7()).String()) }

// newIDAt makes an id that stands among others as if it had been made at a
// moment. Those of the same millisecond stand in the order in which they are made:
// after the millisecond comes the time of now, then chance.
func newIDAt(at time.Time) registry.ID {
	id := uuid.Must(uuid.NewV7())
	now := binary.BigEndian.Uint64(id[:8])         // 48 bits of milliseconds, 4 of the version, 12 that rise
	rising := now>>16<<12 | now&0xfff              // 60 bits
	chance := binary.BigEndian.Uint64(id[8:])      // 2 bits of the variant, 62 of chance
	millis := uint64(max(at.UnixMilli(), 0)) << 16 // 48 bits
	binary.BigEndian.PutUint64(id[:8], millis|7<<12|rising>>48)
	binary.BigEndian.PutUint64(id[8:], 2<<62|rising<<16>>2|chance&0x3fff)
	return registry.ID(id.String())
}

// found turns the answer to a look-up by key into the usual pair.
func found[T any](value *T, ok bool, err error, kind, key string) (*T, error) {
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", kind, key, err)
	case !ok:
		return nil, registry.NotFound(kind, key)
	}
	return value, nil
}
