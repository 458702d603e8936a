package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// plan is what Holon shall have of a building, and what was wrong with the data.
// It is whole before anything is written.
type plan struct {
	groups, assets, devices []*thing
	facts                   []*fact
	faults                  []fault
}

// thing is a group, an asset or a device.
type thing struct {
	// id is the source's; key is what Holon knows it by: the path of a group, the
	// reference of an asset or a device.
	id, key string
	kind    kind
	// class is the Brick class, which is the template's name; empty for the roots
	// of hierarchies, which need none.
	class string
	line  int
	// parent is nil for what is not a group, and for root groups.
	parent *thing
	depth  int
}

// fact is a relation with one name and one direction.
type fact struct {
	from *thing
	name string
	to   *thing
	line int
}

func (f *fact) String() string { return f.from.id + " " + f.name + " " + f.to.id }

// planner is a plan in the making.
type planner struct {
	plan
	byID   map[string]*thing
	byFold map[string]*thing
	// lines of the entities that have no class.
	untyped map[string]int
	// parents has the place above each place of the first hierarchy.
	parents map[*thing]*thing
	inUse   map[*thing]bool
	// out is what the facts so far lead to.
	out map[exit][]*thing
}

// fold is how Holon compares keys: without regard to case.
func fold(s string) string { return strings.ToLower(norm.NFC.String(s)) }

func makePlan(entities []entity, relations []relation, faults []fault) *plan {
	p := &planner{
		plan: plan{faults: faults}, byID: map[string]*thing{}, byFold: map[string]*thing{},
		untyped: map[string]int{}, parents: map[*thing]*thing{}, inUse: map[*thing]bool{}, out: map[exit][]*thing{},
	}
	roots := []*thing{{id: hvacRoot, key: "/" + hvacRoot, kind: group}, {id: unplaced, key: "/" + unplaced, kind: group}}
	for _, root := range roots {
		p.byFold[fold(root.id)] = root
	}
	var all []*thing
	for _, e := range entities {
		if t := p.thing(e); t != nil {
			all = append(all, t)
		}
	}
	p.addFacts(relations)
	p.findUnconnected(all)
	for _, t := range all {
		switch t.kind {
		case group:
			p.place(t, roots)
			p.groups = append(p.groups, t)
		case asset:
			p.assets = append(p.assets, t)
		case device:
			p.devices = append(p.devices, t)
		}
	}
	for _, root := range roots {
		if slices.ContainsFunc(p.groups, func(t *thing) bool { return t.parent == root }) {
			p.groups = append(p.groups, root)
		}
	}
	slices.SortStableFunc(p.groups, func(a, b *thing) int { return cmp.Compare(a.depth, b.depth) })
	return &p.plan
}

func (p *planner) fault(file string, line int, kind faultKind, done, format string, values ...any) {
	p.faults = append(p.faults, fault{file, line, kind, fmt.Sprintf(format, values...), done})
}

// thing makes one of an entity, nil where it is left out.
func (p *planner) thing(e entity) *thing {
	bad := func(kind faultKind, done, format string, values ...any) {
		p.fault(entitiesFile, e.line, kind, done, format, values...)
	}
	if first := p.byID[e.ID]; first != nil {
		bad(declaredTwice, "the first is kept", "%q is already on line %d", e.ID, first.line)
		return nil
	}
	if len(e.Types) == 0 {
		p.untyped[e.ID] = e.line
		bad(untyped, "left out", "%q has no class, so that nobody knows what it is", e.ID)
		return nil
	}
	class := e.Types[0]
	if len(e.Types) > 1 {
		bad(manyClasses, "the first is its template", "%q is each of %s", e.ID, strings.Join(e.Types, ", "))
	}
	k, known := kinds[e.Kind]
	switch {
	case !known:
		bad(unknownKind, "left out", "%q is of the kind %q, which is none of location, equipment and point", e.ID, e.Kind)
		return nil
	case !className.MatchString(class) || strings.EqualFold(class, "open"):
		bad(badName, "left out", "the class %q of %q cannot be a template's name", class, e.ID)
		return nil
	case !validID(e.ID, k):
		bad(badName, "left out", "%q cannot be a name in Holon", e.ID)
		return nil
	}
	t := &thing{id: e.ID, key: e.ID, kind: k, class: class, line: e.line}
	if other := p.byFold[fold(t.key)]; other != nil {
		for n := 2; p.byFold[fold(t.key)] != nil; n++ {
			t.key = fmt.Sprintf("%s~%d", e.ID, n)
		}
		bad(caseClash, "it is called "+t.key, "%q and %q (line %d) are the same to Holon, which compares without regard to case", e.ID, other.id, other.line)
	}
	p.byID[e.ID] = t
	p.byFold[fold(t.key)] = t
	return t
}

// place gives a group its parent and its path.
func (p *planner) place(t *thing, roots []*thing) {
	if strings.HasPrefix(t.key, "/") {
		return // it was placed as the parent of another
	}
	hvac, nowhere := roots[0], roots[1]
	switch parent := p.parents[t]; {
	case t.class == zoneClass:
		t.parent = hvac
	case parent != nil:
		p.place(parent, roots)
		t.parent = parent
	case t.class != building:
		t.parent = nowhere
		p.fault(entitiesFile, t.line, noParent, "it is put into /"+unplaced, "the %s %q is in no other place", t.class, t.id)
	}
	if t.parent == nil {
		t.key = "/" + t.key
		return
	}
	t.depth = t.parent.depth + 1
	t.key = t.parent.key + "/" + t.key
}

func (p *planner) findUnconnected(all []*thing) {
	for _, t := range all {
		if t.kind == device && !p.inUse[t] {
			p.fault(entitiesFile, t.line, unconnected, "it is kept, without a relation", "of the point %q nothing is said", t.id)
		}
	}
}
