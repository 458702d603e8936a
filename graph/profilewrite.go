package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

var (
	profileCreate = named("profile.create", `
		CREATE (p:Profile:Entity)
		SET p = $properties, p.account = $account
		WITH p
		UNWIND $ends AS given
		MATCH (o:Entity {id: given.id})
		WHERE o.account = $account
		CREATE (p)-[:GIVES {name: given.name, direction: given.direction}]->(o)`)

	profileUpdate = named("profile.update", `
		MATCH (p:Entity {id: $id})
		WHERE p.account = $account AND p:Profile
		SET p += $properties
		WITH p
		CALL (p) {
			MATCH (p)-[old:GIVES]->()
			DELETE old
		}
		UNWIND $ends AS given
		MATCH (o:Entity {id: given.id})
		WHERE o.account = $account
		CREATE (p)-[:GIVES {name: given.name, direction: given.direction}]->(o)`)
)

// CreateProfile makes a profile of a template that has a published version. It
// has to fit that version, but for attributes that are required.
func (s *Store) CreateProfile(ctx context.Context, scope registry.Scope, n registry.NewProfile) (*registry.Profile, error) {
	attributes, wrong := plainAttributes(n.Kind, n.Attributes)
	wrong = append(n.Check(), wrong...)
	var p *registry.Profile
	err := change(ctx, s, scope, "profile.create", func(ctx context.Context, tx *transaction) error {
		p = &registry.Profile{
			Object: registry.Object{ID: newID(), Version: 1, CreatedAt: tx.at, UpdatedAt: tx.at},
			Kind:   n.Kind, Name: n.Name, Description: n.Description, Attributes: merge(nil, attributes),
		}
		template, violations, err := s.against(ctx, tx, p, n.Template, n.Relations)
		if err != nil {
			return err
		}
		if violations = slices.Concat(wrong, violations); len(violations) > 0 {
			return registry.Invalid(violations...)
		}
		p.TemplateName = template.Name
		tx.recordProfile("created", nil, p)
		return writeProfile(ctx, tx, profileCreate, p)
	})
	if errors.Is(err, errConstraint) {
		return nil, registry.Conflict("name", "template %q has a profile %q already", n.Template, n.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("create profile %s: %w", n.Name, err)
	}
	return p, nil
}

// UpdateProfile changes a profile. Objects that were made with it stay as they
// are.
func (s *Store) UpdateProfile(ctx context.Context, scope registry.Scope, ref registry.ProfileRef, patch registry.ProfilePatch) (*registry.Profile, error) {
	var updated *registry.Profile
	err := change(ctx, s, scope, "profile.update", func(ctx context.Context, tx *transaction) error {
		before, err := s.profile(ctx, tx, ref)
		if err != nil {
			return err
		}
		if err := atVersion("profile", before.Version, patch.IfVersion); err != nil {
			return err
		}
		attributes, violations := plainAttributes(before.Kind, patch.Attributes)
		after := *before
		after.Attributes = merge(before.Attributes, attributes)
		if patch.Description.Set {
			after.Description = patch.Description.Value
		}
		if violation := registry.CheckDescription(after.Description); violation != nil {
			violations = append(violations, *violation)
		}
		relations := patch.Relations
		if relations == nil {
			relations = before.NewRelations()
		}
		_, wrong, err := s.against(ctx, tx, &after, after.TemplateName, relations)
		if err != nil {
			return err
		}
		if violations = append(violations, wrong...); len(violations) > 0 {
			return registry.Invalid(violations...)
		}
		updated = before
		if reflect.DeepEqual(profileSnapshot(before), profileSnapshot(&after)) {
			return nil
		}
		after.Version, after.UpdatedAt = before.Version+1, tx.at
		updated = &after
		tx.recordProfile("updated", before, updated)
		return writeProfile(ctx, tx, profileUpdate, updated)
	})
	if err != nil {
		return nil, fmt.Errorf("update profile: %w", err)
	}
	return updated, nil
}

// DeleteProfile deletes a profile and returns its id.
func (s *Store) DeleteProfile(ctx context.Context, scope registry.Scope, ref registry.ProfileRef) (registry.ID, error) {
	var deleted registry.ID
	err := change(ctx, s, scope, "profile.delete", func(ctx context.Context, tx *transaction) error {
		p, err := s.profile(ctx, tx, ref)
		if err != nil {
			return err
		}
		if err := atVersion("profile", p.Version, ref.IfVersion); err != nil {
			return err
		}
		deleted = p.ID
		tx.recordProfile("deleted", p, nil)
		return tx.bury(ctx, p.ID)
	})
	if err != nil {
		return "", fmt.Errorf("delete profile: %w", err)
	}
	return deleted, nil
}

// against gives a profile its relations, and returns the newest published version
// of its template and everything that it has against the profile. What is
// required may be left to the objects.
func (s *Store) against(ctx context.Context, tx *transaction, p *registry.Profile, template string, relations []registry.NewRelation) (*compiledTemplate, []registry.Violation, error) {
	refs := refsOf(relations)
	if len(refs) > registry.MaxRelationsAtOne {
		return nil, nil, registry.LimitExceeded("a profile has at most %d relations", registry.MaxRelationsAtOne)
	}
	got, err := s.prepare(ctx, tx, tx.scope, wanted{kind: p.Kind, templates: []string{template}, refs: refs})
	if err != nil {
		return nil, nil, err
	}
	found := got.template(template)
	if found == nil {
		return nil, nil, unknownTemplate(p.Kind, template)
	}
	given, violations := fitProfile(found, p, folded(relations), got)
	p.Ends = endsOf(given)
	return found, violations, nil
}

// fitProfile holds a profile with some relations against a version of its
// template.
func fitProfile(target *compiledTemplate, p *registry.Profile, relations []registry.NewRelation, got *prepared) ([]edge, []registry.Violation) {
	given, wrong := edges(target.Template, relations, got)
	return given, append(target.checkGiven(p.Attributes), wrong...)
}

// folded are relations with their names in lower case.
func folded(relations []registry.NewRelation) []registry.NewRelation {
	out := slices.Clone(relations)
	for i := range out {
		out[i].Name = strings.ToLower(out[i].Name)
	}
	return out
}

// endsOf are what the relations of a profile lead to.
func endsOf(edges []edge) []registry.ProfileEnd {
	var out []registry.ProfileEnd
	for _, e := range edges {
		end := registry.ProfileEnd{Relation: e.name, Direction: registry.DirectionOut, Kind: kindOf(e.other), ID: e.other.NodeID(), Key: keyOf(e.other)}
		if e.incoming {
			end.Direction = registry.DirectionIn
		}
		out = append(out, end)
	}
	return registry.SortEnds(out)
}

// writeProfile makes or changes a profile, with the relationships to what it
// gives.
func writeProfile(ctx context.Context, r runner, q query, p *registry.Profile) error {
	node, err := profileProperties(p)
	if err != nil {
		return err
	}
	ends := make([]any, len(p.Ends))
	for i, end := range p.Ends {
		ends[i] = map[string]any{"id": string(end.ID), "name": end.Relation, "direction": string(end.Direction)}
	}
	return nothing(ctx, r, q, params{"id": string(p.ID), "properties": node, "ends": ends})
}

// profileProperties is what a profile's node holds.
func profileProperties(p *registry.Profile) (map[string]any, error) {
	attributes, err := json.Marshal(p.Attributes)
	if err != nil {
		return nil, fmt.Errorf("profile attributes: %w", err)
	}
	return map[string]any{
		"id": string(p.ID), "keyFold": Fold(p.Key()), "kind": string(p.Kind), "template": p.TemplateName, "templateFold": Fold(p.TemplateName),
		"name": p.Name, "description": p.Description, "version": p.Version, "createdAt": p.CreatedAt, "updatedAt": p.UpdatedAt,
		"attributes": string(attributes),
	}, nil
}

// profileSnapshot is the snapshot of a profile.
func profileSnapshot(p *registry.Profile) map[string]any {
	return objectSnapshot(p.Object, map[string]any{
		"kind": string(p.Kind), "template": p.TemplateName, "name": p.Name, "description": p.Description,
		"attributes": p.Attributes, "relations": listed(p.Ends),
	})
}

// recordProfile notes what becomes of a profile; before or after is nil.
func (t *transaction) recordProfile(action string, before, after *registry.Profile) {
	e := entry{kind: registry.ObjectProfile, operation: registry.ChangeUpdate, action: action}
	either := after
	if after != nil {
		e.after = profileSnapshot(after)
	} else {
		either, e.operation = before, registry.ChangeDelete
	}
	if before != nil {
		e.before = profileSnapshot(before)
	} else {
		e.operation = registry.ChangeCreate
	}
	e.id, e.key, e.version = either.ID, either.Key(), either.Version
	t.record(e)
}
