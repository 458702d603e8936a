package graph

import (
	"slices"
	"sync"

	"github.com/holon-registry/holon/registry"
)

// ranking holds the policies of a hierarchy in their order, most specific
// first, so that inheriting is counting: a policy's number is its rank.
type ranking struct {
	policies []*ranked
	// applies are the numbers of the policies that apply to a group.
	applies map[registry.ID][]int32
	// tallies are given back with all counts at 0.
	tallies sync.Pool
}

// tally counts how many groups of each policy were reached.
type tally struct {
	counts []int32
	// reached are the policies whose count is not 0.
	reached []int32
}

// rankingOf orders the policies of a hierarchy. It is made when it is first
// needed: of several changes in a row only the last one's is.
func (h *hierarchy) rankingOf() *ranking {
	h.once.Do(func() {
		r := &ranking{policies: make([]*ranked, 0, len(h.policies)), applies: make(map[registry.ID][]int32, len(h.applies))}
		for _, p := range h.policies {
			r.policies = append(r.policies, p)
		}
		slices.SortFunc(r.policies, moreSpecific)
		for number, p := range r.policies {
			for _, group := range p.policy.GroupIDs {
				r.applies[group] = append(r.applies[group], int32(number))
			}
		}
		r.tallies.New = func() any { return &tally{counts: make([]int32, len(r.policies))} }
		h.ranking = r
	})
	return h.ranking
}

// inherited returns the policies that a thing with these memberships inherits,
// most specific first: all, or those of one folded type.
func (h *hierarchy) inherited(memberships []registry.ID, typeFold *string) []*ranked {
	r := h.rankingOf()
	t, _ := r.tallies.Get().(*tally)
	for group := range h.closure(memberships) {
		for _, number := range r.applies[group] {
			if t.counts[number] == 0 {
				t.reached = append(t.reached, number)
			}
			t.counts[number]++
		}
	}
	whole := t.reached[:0]
	for _, number := range t.reached {
		p := r.policies[number]
		if int(t.counts[number]) == len(p.policy.GroupIDs) && (typeFold == nil || p.typeFold == *typeFold) {
			whole = append(whole, number)
		}
		t.counts[number] = 0
	}
	slices.Sort(whole)
	out := make([]*ranked, len(whole))
	for i, number := range whole {
		out[i] = r.policies[number]
	}
	t.reached = t.reached[:0]
	r.tallies.Put(t)
	return out
}
