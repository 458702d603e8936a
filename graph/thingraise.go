package graph

import (
	"time"

	"github.com/holon-registry/holon/registry"
)

// altered is a thing that an update names.
type altered struct {
	// before is the thing as it was, thing as it becomes.
	before   target
	thing    registry.Related
	template *registry.Template
	// raised says that the thing has its next version, told that a change with
	// its snapshot is recorded.
	raised, told bool
}

// raise gives the thing its next version, because relations changed that the
// update asked for.
func (a *altered) raise(all *changed, at time.Time) {
	a.thing = patched(a.thing, registry.TwinPatch{}, a.template.ID, attributesIn(a.thing))
	raise(a.thing, at)
	a.raised = true
	object := objectIn(a.thing)
	all.written = append(all.written, map[string]any{
		"id": string(object.ID), "changes": map[string]any{"version": object.Version, "updatedAt": object.UpdatedAt},
	})
}

// snapshots are the thing before and after; what is recorded with them tells
// what the thing has become.
func (a *altered) snapshots() (before, after map[string]any) {
	a.told = true
	return thingSnapshot(a.before.thing, a.before.template.Template), thingSnapshot(a.thing, a.template)
}

// related raises the versions of things whose relations changed as the update
// asked, once each, and records these changes. They are recorded where relations
// start; if that is only ever another object, the thing has a change of its own,
// which tells its version.
func (all *changed) related(tx *transaction, did []relationChange) {
	for _, d := range did {
		if a := all.things[d.of]; a != nil && !a.raised {
			a.raise(all, tx.at)
		}
	}
	for _, d := range did {
		e := d.entry()
		if a := all.things[e.id]; a != nil && a.raised {
			e.version = objectIn(a.thing).Version
			if !a.told {
				e.before, e.after = a.snapshots()
			}
		}
		tx.record(e)
	}
	for _, d := range did {
		if a := all.things[d.of]; a != nil && !a.told {
			e := entry{
				kind: objectKind(a.thing), id: a.thing.NodeID(), key: keyOf(a.thing), operation: registry.ChangeUpdate, action: "updated",
				version: objectIn(a.thing).Version,
			}
			e.before, e.after = a.snapshots()
			tx.record(e)
		}
	}
}

// raise gives a thing that is changing its next version.
func raise(thing registry.Related, at time.Time) {
	var object *registry.Object
	switch thing := thing.(type) {
	case *registry.Group:
		object = &thing.Object
	case *registry.Device:
		object = &thing.Object
	case *registry.Asset:
		object = &thing.Object
	}
	object.Version++
	object.UpdatedAt = at
}
