package main

import "slices"

// exit is where facts of one name go out from a thing.
type exit struct {
	from *thing
	name string
}

// addFacts turns relations into facts: one name and one direction each, and no
// fact twice. What makes no sense is a fault.
func (p *planner) addFacts(relations []relation) {
	type key struct {
		from *thing
		name string
		to   *thing
	}
	first := map[key]relation{}
	for _, r := range relations {
		f := p.fact(r)
		if f == nil {
			continue
		}
		k := key{f.from, f.name, f.to}
		if other, stated := first[k]; stated {
			kind := statedTwice
			if other.Type != r.Type {
				kind = bothEnds
			}
			p.fault(relationsFile, r.line, kind, "it is kept once", "%s %s %s says the same as line %d", r.From, r.Type, r.To, other.line)
			continue
		}
		first[k] = r
		if !p.acyclic(f) {
			continue
		}
		p.noteSeveral(f)
		p.inUse[f.from], p.inUse[f.to] = true, true
		p.out[exit{f.from, f.name}] = append(p.out[exit{f.from, f.name}], f.to)
		if f.from.kind == group && f.name == belongsTo && f.from.class != zoneClass && f.to.class != zoneClass {
			if above := p.parents[f.from]; above == nil {
				p.parents[f.from] = f.to // a hierarchy, not a relation
				continue
			}
			p.fault(relationsFile, r.line, severalParents, "it stays in the first, and has the relation "+belongsTo+" to this one",
				"%q is in %q already, and a place has one parent", f.from.id, p.parents[f.from].id)
		}
		p.facts = append(p.facts, f)
	}
}

// noteSeveral notes what usually has one of a kind and now has another: two
// units that feed one box, a point of two units or in two places. Holon can have
// both, and nobody here knows which one is wrong.
func (p *planner) noteSeveral(f *fact) {
	for _, other := range p.facts {
		switch {
		case other.name != f.name || f.name == belongsTo:
		case f.name == feeds && other.to == f.to && f.to.kind == asset, f.name != feeds && other.from == f.from:
			p.fault(relationsFile, f.line, severalParents, "both are kept", "%s, but line %d says %s", f, other.line, other)
			return
		}
	}
}

// fact gives a relation of the source one name and one direction, nil where it
// is left out.
func (p *planner) fact(r relation) *fact {
	bad := func(kind faultKind, format string, values ...any) {
		p.fault(relationsFile, r.line, kind, "left out", format, values...)
	}
	m, known := meanings[r.Type]
	if !known {
		bad(unknownRel, "%s %s %s: the relation %q is unknown", r.From, r.Type, r.To, r.Type)
		return nil
	}
	from, to := r.From, r.To
	if m.reversed {
		from, to = to, from
	}
	for _, id := range []string{from, to} {
		if p.byID[id] != nil {
			continue
		}
		why := "nowhere declared, or left out"
		if _, there := p.untyped[id]; there {
			why = "used but never typed"
		}
		bad(dangling, "%s %s %s: %q is %s", r.From, r.Type, r.To, id, why)
		return nil
	}
	f := &fact{p.byID[from], m.name, p.byID[to], r.line}
	switch {
	case f.from == f.to:
		bad(cycle, "%s %s itself", r.From, r.Type)
		return nil
	case !fits(f.from.kind, f.name, f.to.kind):
		bad(misfit, "%s %s %s: the one is a %s (%s), the other a %s (%s)", r.From, r.Type, r.To,
			p.byID[r.From].class, p.byID[r.From].kind.field(), p.byID[r.To].class, p.byID[r.To].kind.field())
		return nil
	}
	return f
}

// acyclic says whether a fact may be kept. Nothing is part of itself or located
// in itself. What feeds itself may be a loop of air or water: it is kept, and
// noted.
func (p *planner) acyclic(f *fact) bool {
	way := p.way(f.to, f.from, f.name, map[*thing]bool{})
	if way == nil {
		return true
	}
	done := "left out"
	if f.name == feeds {
		done = "it is kept: air and water may go round"
	}
	text := f.from.id
	for _, t := range way {
		text += " " + f.name + " " + t.id
	}
	p.fault(relationsFile, f.line, cycle, done, "%s", text)
	return f.name == feeds
}

// way is how one thing leads to another by facts of one name, both included;
// nil if it does not.
func (p *planner) way(from, to *thing, name string, seen map[*thing]bool) []*thing {
	if from == to {
		return []*thing{from}
	}
	if seen[from] {
		return nil
	}
	seen[from] = true
	for _, next := range p.out[exit{from, name}] {
		if rest := p.way(next, to, name, seen); rest != nil {
			return slices.Insert(rest, 0, from)
		}
	}
	return nil
}
