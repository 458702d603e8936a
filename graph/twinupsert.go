package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
)

// upserted is a twin that is to change or, if it is not there, to be made.
type upserted struct {
	thing newThing
	patch patchedThing
}

// UpsertTwin changes a device or an asset, or makes it if there is none of the
// reference, and says which. A patch is to a twin that is not there what it is
// made from; relations are made only, none is ended.
func (s *Store) UpsertTwin(ctx context.Context, scope registry.Scope, kind registry.Kind, edit registry.TwinEdit) (twin registry.Related, made bool, err error) {
	out, err := s.aloneOutcome(ctx, scope, s.upserting(scope, kind, "", []registry.TwinEdit{edit}))
	return out.thing, out.made, err
}

// UpsertTwins is UpsertTwin for many. If it is not atomic, what is wrong with one
// stops no other.
func (s *Store) UpsertTwins(ctx context.Context, scope registry.Scope, kind registry.Kind, edits []registry.TwinEdit, atomic bool) (*registry.Bulk, error) {
	return s.bulk(ctx, scope, s.upserting(scope, kind, noun(kind)+"s", edits), atomic, func(i int) string { return edits[i].Ref.Key })
}

func (s *Store) upserting(scope registry.Scope, kind registry.Kind, list string, edits []registry.TwinEdit) bulk {
	items := make([]upserted, len(edits))
	for i, edit := range edits {
		edit.Ref.Kind = kind
		items[i] = upserted{newTwin(kind, twinOfPatch(edit)), patchedThing{ref: edit.Ref, patch: edit.Patch}}
		items[i].thing.plain()
		items[i].patch.plain()
		if violation := registry.CheckReference("reference", edit.Ref.Key); violation != nil {
			items[i].patch.wrong = append(items[i].patch.wrong, *violation)
		}
	}
	return bulk{
		name: noun(kind) + ".upsert", list: list, asked: edits, items: len(items),
		weight: func(i int) int { return items[i].thing.weight() },
		work: func(ctx context.Context, tx *transaction, from, to int, out []outcome) error {
			return s.upsertPart(ctx, tx, scope, kind, items[from:to], out[from:to])
		},
	}
}

// twinOfPatch is what a twin is made from that a patch is for.
func twinOfPatch(edit registry.TwinEdit) registry.NewTwin {
	p := edit.Patch
	n := registry.NewTwin{
		Reference: edit.Ref.Key, Description: p.Description.Value, Attributes: p.Attributes, PartOf: p.PartOf.Value,
		Details: registry.Details{ExternalReference: p.ExternalReference.Value, ImageURL: p.ImageURL.Value, Connected: p.Connected.Value},
	}
	if p.State != nil {
		n.State = *p.State
	}
	if p.Template != nil {
		n.Template = *p.Template
	}
	if p.Profile != nil {
		n.Profile = *p.Profile
	}
	if p.Relations != nil {
		n.Relations = p.Relations.Add
	}
	return n
}

// upsertPart makes what is not there, and then changes what is.
func (s *Store) upsertPart(ctx context.Context, tx *transaction, scope registry.Scope, kind registry.Kind, items []upserted, out []outcome) error {
	w := wanted{kind: kind}
	for i := range items {
		w.keys = append(w.keys, items[i].thing.key)
	}
	got, err := s.prepare(ctx, tx, scope, w)
	if err != nil {
		return err
	}
	var things []newThing
	var patches []patchedThing
	var places [2][]int
	for i, item := range items {
		if got.taken[Fold(item.thing.key)] {
			patches, places[1] = append(patches, item.patch), append(places[1], i)
		} else if want := item.patch.patch.IfVersion; want != nil && *want != 0 {
			out[i] = outcome{err: registry.Conflict("ifVersion", "the %s does not exist, so it has no version %d", noun(kind), *want)}
		} else {
			things, places[0] = append(things, item.thing), append(places[0], i)
		}
	}
	outs := [2][]outcome{make([]outcome, len(things)), make([]outcome, len(patches))}
	if len(things) > 0 {
		if err := s.makePart(ctx, tx, scope, things, outs[0]); err != nil {
			return fmt.Errorf("make: %w", err)
		}
	}
	if len(patches) > 0 {
		if err := s.changePart(ctx, tx, scope, kind, patches, outs[1]); err != nil {
			return fmt.Errorf("change: %w", err)
		}
	}
	for which, list := range places {
		for i, place := range list {
			out[place] = outs[which][i]
		}
	}
	return nil
}
