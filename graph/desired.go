package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/holon-registry/holon/internal/jsonschema"
	"github.com/holon-registry/holon/registry"
)

// What a twin is to become is a node of its own, found by the twin's id: a twin
// has at most one.

var (
	desiredOf = named("desired.of", `
		UNWIND $ids AS id
		MATCH (d:Desired {twin: id})
		WHERE d.account = $account
		RETURN collect(properties(d)) AS desired`)

	desiredSet = named("desired.set", `
		MERGE (d:Desired {twin: $twin})
		SET d.account = $account, d.version = $version, d.values = $values, d.updatedAt = $now`)
)

// DesiredOf returns what twins are to become, one slot an id, nil where nothing
// was ever desired.
func (s *Store) DesiredOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]*registry.Desired, error) {
	return s.desired(ctx, s.reading(scope), ids)
}

func (s *Store) desired(ctx context.Context, r runner, ids []registry.ID) ([]*registry.Desired, error) {
	known := make(map[registry.ID]*registry.Desired, len(ids))
	_, _, err := one(ctx, r, desiredOf, params{"ids": texts(ids)}, func(f fields) struct{} {
		for _, row := range f.maps("desired") {
			d := &registry.Desired{TwinID: row.id("twin"), Version: row.integer("version"), UpdatedAt: row.time("updatedAt")}
			row.json("values", &d.Values)
			known[d.TwinID] = d
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("desired values: %w", err)
	}
	return slots(ids, known), nil
}

// SetDesired changes what a twin is to become. What its template has against a
// value is INVALID. Values that are so already change nothing.
func (s *Store) SetDesired(ctx context.Context, scope registry.Scope, n registry.NewDesired) (registry.Twin, *registry.Desired, error) {
	var twin registry.Twin
	var out *registry.Desired
	values, violation := jsonschema.Plain("values", n.Values)
	given, _ := values.(map[string]any)
	if violation != nil {
		return nil, nil, registry.Invalid(*violation)
	}
	err := change(ctx, s, scope, "desired.set", func(ctx context.Context, tx *transaction) error {
		at, err := s.twinIn(ctx, tx, scope, n.Ref)
		if err != nil {
			return err
		}
		twin = at.thing.(registry.Twin)
		held, err := s.desired(ctx, tx, []registry.ID{twin.NodeID()})
		if err != nil {
			return err
		}
		before := held[0]
		if before == nil {
			before = &registry.Desired{TwinID: twin.NodeID(), Values: map[string]any{}}
		}
		if n.IfVersion != nil && *n.IfVersion != before.Version {
			return registry.Conflict("ifVersion", "the desired state has version %d, not %d", before.Version, *n.IfVersion)
		}
		after, violations := desiredAfter(at.template.Template, before.Values, given)
		if len(violations) > 0 {
			return registry.Invalid(violations...)
		}
		out = before
		if reflect.DeepEqual(before.Values, after) {
			return nil
		}
		text, err := json.Marshal(after)
		if err != nil {
			return fmt.Errorf("desired values: %w", err)
		}
		out = &registry.Desired{TwinID: twin.NodeID(), Version: before.Version + 1, Values: after, UpdatedAt: tx.at}
		tx.record(entry{
			kind: objectKind(at.thing), id: twin.NodeID(), key: keyOf(at.thing), operation: registry.ChangeUpdate, action: "desired",
			version: objectIn(at.thing).Version, relations: compare(map[string]any{"desired": before.Values}, map[string]any{"desired": after}),
		})
		tx.onCommit(func() { s.tellDownlink(scope.Account, twin.NodeID()) })
		return nothing(ctx, tx, desiredSet, params{"twin": string(twin.NodeID()), "version": out.Version, "values": string(text), "now": tx.at})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("set desired values: %w", err)
	}
	return twin, out, nil
}

// desiredAfter merges values, and says what the template has against them.
func desiredAfter(template *registry.Template, before, given map[string]any) (map[string]any, []registry.Violation) {
	after := maps.Clone(before)
	var violations []registry.Violation
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name]
		if value == nil {
			delete(after, name)
			continue
		}
		decoded, wrong := registry.DecodeValue(value)
		if wrong != "" {
			violations = append(violations, registry.Violation{Path: "values." + name, Rule: "type", Message: wrong})
			continue
		}
		stored, _, refusal := template.Accept(name, decoded)
		if refusal != nil {
			violations = append(violations, registry.Violation{Path: "values." + name, Rule: refusal.Rule, Message: refusal.Message})
			continue
		}
		after[name] = registry.PlainValue(stored)
	}
	return after, violations
}

// twinIn finds a device or an asset with its template in a transaction.
func (s *Store) twinIn(ctx context.Context, r runner, scope registry.Scope, ref registry.Ref) (target, error) {
	kind := ref.Kind
	if kind == "" {
		kind = registry.KindDevice // which of them does not matter: no template is asked for by name
	}
	got, err := s.prepare(ctx, r, scope, wanted{kind: kind, refs: []registry.Ref{ref}})
	if err != nil {
		return target{}, err
	}
	at, ok := got.target(ref)
	if _, twin := at.thing.(registry.Twin); !ok || !twin || ref.Kind != "" && kindOf(at.thing) != ref.Kind {
		if ref.Kind == "" {
			return target{}, registry.NotFound("twin", string(ref.ID))
		}
		return target{}, missing(ref)
	}
	return at, nil
}

// OnDownlink sets what is told of each device that there is something for: a
// command, or what it is to become. It must not wait. Call it before the store
// is used.
func (s *Store) OnDownlink(told func(account, device registry.ID)) { s.downlink = told }

func (s *Store) tellDownlink(account, device registry.ID) {
	if s.downlink != nil {
		s.downlink(account, device)
	}
}
