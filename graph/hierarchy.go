package graph

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/holon-registry/holon/registry"
)

// hierarchy is where the groups of an account are, and its policies, as they
// were at one number of its journal's structure. It is never changed: what
// happened since makes another one (docs/adr/0015-hierarchy-in-memory.md).
type hierarchy struct {
	structure int64
	root      registry.ID
	groups    map[registry.ID]*place
	policies  map[registry.ID]*ranked
	// applies are the policies that apply to a group.
	applies map[registry.ID][]registry.ID
	// size is about how many bytes it takes.
	size int

	once    sync.Once
	ranking *ranking
}

// place is where a group is. The root has no parent.
type place struct {
	id, parent registry.ID
	name, path string
	depth      int
}

// ranked is a policy with what orders it. The groups of the policy are in the
// order of their paths.
type ranked struct {
	policy            *registry.Policy
	keyFold, typeFold string
	deepest, depthSum int
	document          int // bytes
}

// bytes of memory, about
func (p *place) size() int  { return 250 + len(p.path) + len(p.name) }
func (r *ranked) size() int { return 600 + 130*len(r.policy.GroupIDs) + 4*r.document }

// missing says whether a group is not in the hierarchy.
func (h *hierarchy) missing(group registry.ID) bool { return h.groups[group] == nil }

// closure adds groups, all groups above them, and the root, to a set.
func (h *hierarchy) closure(groups []registry.ID) map[registry.ID]bool {
	out := make(map[registry.ID]bool, 16)
	out[h.root] = true
	for _, id := range groups {
		for !out[id] {
			at := h.groups[id]
			if at == nil {
				break
			}
			out[id] = true
			id = at.parent
		}
	}
	return out
}

// moreSpecific orders policies: the deeper group first, then the larger sum of
// depths, then the reference.
func moreSpecific(a, b *ranked) int {
	return cmp.Or(b.deepest-a.deepest, b.depthSum-a.depthSum, strings.Compare(a.keyFold, b.keyFold))
}

// draft is a hierarchy that is being changed: a copy, in which whatever changes
// is replaced.
type draft struct {
	*hierarchy
	// moved says that paths have to be walked anew.
	moved bool
	// touched are the policies to be ranked anew.
	touched map[registry.ID]bool
}

// edit copies a hierarchy for changes.
func (h *hierarchy) edit() *draft {
	return &draft{&hierarchy{
		structure: h.structure, root: h.root, size: h.size,
		groups: maps.Clone(h.groups), policies: maps.Clone(h.policies), applies: maps.Clone(h.applies),
	}, false, map[registry.ID]bool{}}
}

func newDraft() *draft {
	return (&hierarchy{groups: map[registry.ID]*place{}, policies: map[registry.ID]*ranked{}, applies: map[registry.ID][]registry.ID{}}).edit()
}

// put adds a group below its parent, or puts it elsewhere.
func (d *draft) put(id, parent registry.ID, name string) {
	at := &place{id: id, parent: parent, name: name}
	switch above := d.groups[parent]; {
	case parent == "":
		d.root, at.path = id, "/"
	case above != nil:
		at.path, at.depth = join(above.path, name), above.depth+1
	}
	if before := d.groups[id]; before != nil {
		d.size -= before.size()
		d.moved = true
		d.touch(id)
	}
	d.groups[id] = at
	d.size += at.size()
}

// touch notes that what applies to a group has to be ranked anew.
func (d *draft) touch(group registry.ID) {
	for _, policy := range d.applies[group] {
		d.touched[policy] = true
	}
}

// remove takes a group away.
func (d *draft) remove(id registry.ID) {
	if at := d.groups[id]; at != nil {
		d.size -= at.size()
		delete(d.groups, id)
	}
}

// apply adds a policy, or replaces it.
func (d *draft) apply(policy *registry.Policy, document int) {
	d.drop(policy.ID)
	r := &ranked{policy: policy, keyFold: Fold(policy.Reference), typeFold: Fold(policy.Type), document: document}
	d.policies[policy.ID], d.touched[policy.ID] = r, true
	d.size += r.size()
	for _, group := range policy.GroupIDs {
		d.applies[group] = append(slices.Clip(d.applies[group]), policy.ID)
	}
}

// drop takes a policy away.
func (d *draft) drop(id registry.ID) {
	r := d.policies[id]
	if r == nil {
		return
	}
	d.size -= r.size()
	delete(d.policies, id)
	delete(d.touched, id)
	for _, group := range r.policy.GroupIDs {
		left := slices.DeleteFunc(slices.Clone(d.applies[group]), func(other registry.ID) bool { return other == id })
		if d.applies[group] = left; len(left) == 0 {
			delete(d.applies, group)
		}
	}
}

// finish walks the paths of what moved, ranks the policies that are concerned,
// and returns the hierarchy, or an error if it does not hang together.
func (d *draft) finish() (*hierarchy, error) {
	if d.moved {
		if err := d.walk(); err != nil {
			return nil, err
		}
	}
	for id := range d.touched {
		r, err := d.rank(d.policies[id])
		if err != nil {
			return nil, err
		}
		d.policies[id] = r
	}
	return d.hierarchy, nil
}

// walk goes down from the root and mends paths and depths.
func (d *draft) walk() error {
	children := make(map[registry.ID][]registry.ID, len(d.groups))
	for id, at := range d.groups {
		children[at.parent] = append(children[at.parent], id)
	}
	met := 0
	level := children[""]
	for len(level) > 0 {
		var next []registry.ID
		for _, id := range level {
			met++
			at := d.groups[id]
			path, depth := "/", 0
			if above := d.groups[at.parent]; above != nil {
				path, depth = join(above.path, at.name), above.depth+1
			}
			if at.path != path || at.depth != depth {
				mended := *at
				mended.path, mended.depth = path, depth
				d.size += mended.size() - at.size()
				d.groups[id] = &mended
				d.touch(id)
			}
			next = append(next, children[id]...)
		}
		level = next
	}
	if met != len(d.groups) {
		return fmt.Errorf("graph: %d groups of %d hang together", met, len(d.groups))
	}
	return nil
}

// rank is a copy of a policy as it stands among the groups: see
// policyTargetList.rank.
func (d *draft) rank(r *ranked) (*ranked, error) {
	list := policyTargetList{rows: make([]policyTarget, 0, len(r.policy.GroupIDs))}
	for _, id := range r.policy.GroupIDs {
		at := d.groups[id]
		if at == nil {
			return nil, fmt.Errorf("graph: policy %s applies to group %s, which is not there", r.policy.ID, id)
		}
		row := policyTarget{path: Fold(at.path), id: id, depth: at.depth}
		for above := d.groups[at.parent]; above != nil; above = d.groups[above.parent] {
			row.above = append(row.above, above.id)
		}
		list.rows = append(list.rows, row)
	}
	slices.SortFunc(list.rows, func(a, b policyTarget) int { return strings.Compare(a.path, b.path) })
	policy, out := *r.policy, *r
	policy.GroupIDs = make([]registry.ID, len(list.rows))
	for i, row := range list.rows {
		policy.GroupIDs[i] = row.id
	}
	out.policy = &policy
	out.deepest, out.depthSum = list.specificity()
	return &out, nil
}
