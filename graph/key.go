package graph

import (
	"context"
	"fmt"
	"unicode/utf8"

	"github.com/holon-registry/holon/registry"
)

// maxKeyDevices bounds the devices that a key can be bound to.
const maxKeyDevices = 1000

// A key holds the ids of its devices rather than relationships to them: when
// the last of them is deleted, the key must not become one for everything.
var (
	keyCreate = named("key.create", `
		MATCH (a:Entity {id: $account})
		WHERE a:Account
		CALL () {
			UNWIND $references AS reference
			MATCH (d:Device)
			WHERE d.account = $account AND d.keyFold = reference
			RETURN collect({reference: reference, id: d.id}) AS devices
		}
		FOREACH (_ IN CASE WHEN size(devices) = size($references) THEN [1] ELSE [] END |
			CREATE (k:Key)
			SET k = $properties, k.account = $account, k.deviceIDs = [device IN devices | device.id])
		RETURN devices`)

	keyList = named("key.list", `
		MATCH (k:Key)
		WHERE k.account = $account AND k.keyFold IS NOT NULL
		WITH k ORDER BY k.account, k.keyFold LIMIT 1000
		RETURN collect(properties(k)) AS keys`)

	keyDelete = named("key.delete", `
		MATCH (k:Key)
		WHERE k.account = $account AND k.keyFold = $id
		DELETE k
		RETURN count(*) AS n`)

	keyPrincipal = named("key.principal", `
		MATCH (k:Key {hash: $hash})
		MATCH (a:Entity {id: k.account})
		RETURN properties(k) AS key, a.name AS name`)
)

// CreateKey makes an API key, of which only the hash of its secret is kept. If
// it names devices, by reference, it is bound to them.
func (s *Store) CreateKey(ctx context.Context, scope registry.Scope, name, hash string, devices []string) (*registry.APIKey, error) {
	if n := utf8.RuneCountInString(name); n < 1 || n > 128 {
		return nil, registry.InvalidField("name", "format", "a key's name has 1 to 128 characters")
	}
	if len(devices) > maxKeyDevices {
		return nil, registry.LimitExceeded("a key can be bound to at most %d devices", maxKeyDevices)
	}
	key := &registry.APIKey{ID: newID(), AccountID: scope.Account, Name: name, CreatedAt: s.now()}
	references, index := []string{}, map[string]int{}
	for i, reference := range devices {
		if _, twice := index[Fold(reference)]; !twice {
			index[Fold(reference)] = i
			references = append(references, Fold(reference))
		}
	}
	found, ok, err := one(ctx, s.writing(scope), keyCreate, params{"references": references, "properties": map[string]any{
		"id": string(key.ID), "keyFold": string(key.ID), "name": name, "hash": hash, "createdAt": key.CreatedAt,
	}}, func(f fields) []registry.ID {
		var ids []registry.ID
		for _, device := range f.maps("devices") {
			ids = append(ids, device.id("id"))
			delete(index, device.text("reference"))
		}
		return ids
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("create key: %w", err)
	case !ok:
		return nil, registry.NotFound("account", scope.AccountName)
	}
	for _, i := range index {
		return nil, registry.InvalidField(fmt.Sprintf("devices[%d]", i), "unknown", "device %q does not exist", devices[i])
	}
	key.DeviceIDs = found
	return key, nil
}

// Keys returns the account's keys, oldest first, at most 1,000.
func (s *Store) Keys(ctx context.Context, scope registry.Scope) ([]*registry.APIKey, error) {
	keys, _, err := one(ctx, s.reading(scope), keyList, nil, func(f fields) []*registry.APIKey {
		maps := f.maps("keys")
		out := make([]*registry.APIKey, len(maps))
		for i, node := range maps {
			out[i] = keyOfNode(node)
		}
		return out
	})
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return keys, nil
}

// DeleteKey deletes a key by its id.
func (s *Store) DeleteKey(ctx context.Context, scope registry.Scope, id registry.ID) error {
	n, _, err := one(ctx, s.writing(scope), keyDelete, params{"id": string(id)}, counted)
	if err != nil {
		return fmt.Errorf("delete key %s: %w", id, err)
	}
	if n == 0 {
		return registry.NotFound("key", string(id))
	}
	return nil
}

// PrincipalByKeyHash returns whose key has that hash: NOT_FOUND if nobody's. It
// is not bound to a scope, since it is how a request gets one.
func (s *Store) PrincipalByKeyHash(ctx context.Context, hash string) (*registry.Principal, error) {
	principal, ok, err := one(ctx, s.reading(registry.Scope{}), keyPrincipal, params{"hash": hash}, func(f fields) registry.Principal {
		key := keyOfNode(f.nested("key"))
		return registry.Principal{Scope: registry.Scope{Account: key.AccountID, AccountName: f.text("name"), Actor: key.ID, ActorName: key.Name}, Key: *key}
	})
	if err != nil {
		return nil, fmt.Errorf("principal: %w", err)
	}
	if !ok {
		return nil, registry.NotFound("key", "")
	}
	return &principal, nil
}

func keyOfNode(f fields) *registry.APIKey {
	return &registry.APIKey{ID: f.id("id"), AccountID: f.id("account"), Name: f.text("name"), DeviceIDs: f.ids("deviceIDs"), CreatedAt: f.time("createdAt")}
}
