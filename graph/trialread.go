package graph

import (
	"context"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// rehearsalTried are twins of the ids and what they consist of, now or before
// the change, with the groups that they were in then and are in now. What was
// deleted is left out.
var rehearsalTried = named("rehearsal.tried", `
	UNWIND $ids AS id
	MATCH (member:Entity {id: id})
	WHERE member.account = $account
	CALL (member) {
		MATCH (member)<-[:COMPONENT_OF|PART_OF*0..32]-(n)
		RETURN n
		UNION
		MATCH (member) (()<-[part:`+wholesThen+` WHERE `+heldThen("part")+`]-()){1,32} (n)
		RETURN n
	}
	WITH DISTINCT n
	WHERE n:Device|Asset
	WITH n LIMIT $limit
	RETURN collect({id: n.id, key: `+memberKey+`, reference: n.reference, now: `+memberships+`,
		before: COLLECT { MATCH `+pastMembership+` RETURN DISTINCT g.id }}) AS twins`)

// triedAtOnce bounds the twins that one statement of a trial begins with.
const triedAtOnce = 1000

// tried is a twin that a change concerned.
type tried struct {
	candidate
	before []registry.ID
}

// tried notes what a change that was made did to twins.
func (d *decider) tried(ctx context.Context, tx *transaction) error {
	ids, made := tx.concerned()
	seen := map[registry.ID]bool{}
	for part := range slices.Chunk(ids, triedAtOnce) {
		twins, _, err := one(ctx, tx, rehearsalTried, params{
			"ids": texts(part), "limit": registry.MaxRehearsed + 1, "when": tx.at.UnixMilli() - 1,
		}, triedOf)
		if err != nil {
			return err
		}
		for _, twin := range twins {
			if seen[twin.id] {
				continue
			}
			if seen[twin.id] = true; len(seen) > registry.MaxRehearsed {
				return tooManyRehearsed()
			}
			if made[twin.id] {
				d.made(twin)
			} else {
				d.decide(twin.candidate, twin.before, twin.groups)
			}
		}
	}
	return nil
}

// made notes what a twin has that was not there before.
func (d *decider) made(twin tried) {
	var effect registry.RehearsedEffect
	for _, r := range d.after.inherited(twin.groups, nil) {
		effect.Gained = append(effect.Gained, r.policy)
	}
	twin.id = ""
	d.note(twin.candidate, effect)
}

// concerned are the twins that may be in other groups by what was recorded, and
// those among them that were made.
func (t *transaction) concerned() (ids []registry.ID, made map[registry.ID]bool) {
	var all distinct
	made = map[registry.ID]bool{}
	for _, e := range t.entries {
		if e.kind != registry.ObjectDevice && e.kind != registry.ObjectAsset {
			continue
		}
		if e.operation == registry.ChangeCreate {
			made[e.id] = true
		}
		if e.operation != registry.ChangeUpdate || len(e.relations) > 0 {
			all.add(string(e.id))
		}
	}
	for _, id := range all.list {
		ids = append(ids, registry.ID(id))
	}
	return ids, made
}

func triedOf(f fields) []tried {
	items := f.maps("twins")
	out := make([]tried, len(items))
	for i, item := range items {
		out[i] = tried{candidate{item.id("id"), item.text("key"), item.text("reference"), item.ids("now")}, item.ids("before")}
	}
	return out
}
