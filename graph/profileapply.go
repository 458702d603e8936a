package graph

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// A profile is copied into objects when they are made or changed with it; what
// comes out is checked as if the caller had written all of it.

var (
	profilesByKey = named("profile.byKeys", `
		UNWIND $keys AS key
		MATCH (p:Profile)
		WHERE p.account = $account AND p.keyFold = key
		RETURN collect({key: key, profile: `+profileItem("p")+`}) AS profiles`)

	// A thing that changes has the profile of its own template, or of the one that
	// it changes to.
	profilesOfThings = labelled("profiles", `
		CALL () {
			UNWIND $named AS wanted MATCH (n:LABEL) WHERE n.account = $account AND n.keyFold = wanted.key RETURN wanted, n
			UNION ALL
			UNWIND $ids AS wanted MATCH (n:Entity {id: wanted.id}) WHERE n.account = $account AND n:LABEL RETURN wanted, n
		}
		MATCH (p:Profile)
		WHERE p.account = $account AND p.keyFold = $kind + '/' + coalesce(wanted.template, n.templateFold) + '/' + wanted.profile
		RETURN collect({index: wanted.index, profile: `+profileItem("p")+`}) AS profiles`)
)

// withProfiles are things with what their profiles give them: explicit
// attributes win, and an explicit list of a relation stands instead of the
// profile's of that name and direction. A profile that does not exist is its
// thing's own error.
func (s *Store) withProfiles(ctx context.Context, r runner, things []newThing) ([]newThing, error) {
	var keys distinct
	for i := range things {
		things[i].eachWithProfile(func(n *newThing) { keys.add(profileKey(n.kind, n.template, n.profile)) })
	}
	if len(keys.all()) == 0 {
		return things, nil
	}
	profiles := map[string]*registry.Profile{}
	_, err := all(ctx, r, profilesByKey, params{"keys": keys.all()}, func(f fields) struct{} {
		for _, item := range f.maps("profiles") {
			profiles[item.text("key")] = profileOf(item.nested("profile"))
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	// The things are used again if the transaction runs again.
	out := slices.Clone(things)
	for i := range out {
		out[i].eachWithProfile(func(n *newThing) {
			p := profiles[profileKey(n.kind, n.template, n.profile)]
			if p == nil {
				n.lacks = registry.NotFound("profile", n.profile)
				return
			}
			n.attributes = merge(nil, merge(p.Attributes, n.given))
			n.relations = slices.Concat(n.relations, besides(p, n.relations))
		})
	}
	return out, nil
}

// eachWithProfile calls back for the thing if it has a profile.
func (n *newThing) eachWithProfile(do func(*newThing)) {
	if n.profile != "" {
		do(n)
	}
}

// besides are a profile's relations but for those of which explicit ones have
// the name and the direction.
func besides(p *registry.Profile, explicit []registry.NewRelation) []registry.NewRelation {
	var out []registry.NewRelation
	for _, relation := range p.NewRelations() {
		if !slices.ContainsFunc(explicit, func(r registry.NewRelation) bool {
			return strings.EqualFold(r.Name, relation.Name) && (r.Direction == registry.DirectionIn) == (relation.Direction == registry.DirectionIn)
		}) {
			out = append(out, relation)
		}
	}
	return out
}

// patchesWithProfiles are changes with what their profiles give. A profile that
// does not exist is its change's own error.
func (s *Store) patchesWithProfiles(ctx context.Context, r runner, kind registry.Kind, things []patchedThing) ([]patchedThing, error) {
	named, ids := []any{}, []any{}
	for i, p := range things {
		if p.patch.Profile == nil {
			continue
		}
		wanted := map[string]any{"index": i, "key": foldedKey(p.ref), "id": string(p.ref.ID), "profile": Fold(*p.patch.Profile), "template": nil}
		if p.patch.Template != nil {
			wanted["template"] = Fold(*p.patch.Template)
		}
		if p.ref.ID != "" {
			ids = append(ids, wanted)
		} else {
			named = append(named, wanted)
		}
	}
	if len(named)+len(ids) == 0 {
		return things, nil
	}
	out := slices.Clone(things)
	_, err := all(ctx, r, profilesOfThings[kind], params{"kind": noun(kind), "named": named, "ids": ids}, func(f fields) struct{} {
		for _, item := range f.maps("profiles") {
			p := &out[item.integer("index")]
			p.profile = profileOf(item.nested("profile"))
			p.patch.Relations = p.relations()
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	return out, nil
}

// attributes are those that a thing is to have: explicit ones win over all. The
// profile's win over those that are there only if it overwrites.
func (p *patchedThing) attributes(now registry.Attributes) registry.Attributes {
	if p.profile != nil {
		lower, upper := p.profile.Attributes, now
		if p.patch.ProfileMode == registry.ProfileOverwrite {
			lower, upper = upper, lower
		}
		now = maps.Clone(lower)
		maps.Copy(now, upper)
	}
	return merge(now, p.patch.Attributes)
}

// relations are what the patch asks for and, of what it leaves open, what the
// profile gives: added to what is there, or, if the profile overwrites, instead
// of all that goes the same way to the same kind.
func (p *patchedThing) relations() *registry.RelationPatch {
	type way struct {
		direction registry.Direction
		kind      registry.Kind
	}
	var out registry.RelationPatch
	if given := p.patch.Relations; given != nil {
		out = registry.RelationPatch{Add: slices.Clone(given.Add), Remove: given.Remove, Replace: slices.Clone(given.Replace)}
	}
	replaced, sets := map[way]bool{}, map[way]int{}
	for _, set := range out.Replace {
		replaced[way{set.Direction, set.Kind}] = true
	}
	open := besides(p.profile, out.Add)
	for _, r := range p.profile.NewRelations() {
		named := slices.ContainsFunc(open, func(o registry.NewRelation) bool { return o.Name == r.Name && o.Direction == r.Direction })
		for _, ref := range r.To {
			w := way{r.Direction, ref.Kind}
			if replaced[w] {
				continue
			}
			one := registry.NewRelation{Name: r.Name, Direction: r.Direction, To: []registry.Ref{ref}}
			if p.patch.ProfileMode != registry.ProfileOverwrite {
				if named {
					out.Add = append(out.Add, one)
				}
				continue
			}
			at, begun := sets[w]
			if !begun {
				at = len(out.Replace)
				sets[w], out.Replace = at, append(out.Replace, registry.RelationSet{Direction: w.direction, Kind: w.kind})
			}
			if named {
				out.Replace[at].Relations = append(out.Replace[at].Relations, one)
			}
		}
	}
	return &out
}
