package graph_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/holon-registry/holon/registry"
)

// Groups that are named by their ids go in any order too, in parts of which none
// holds all of them.
func TestDeleteGroups(t *testing.T) {
	w := newWorld(t)
	w.groups("/top/middle", "/stays")
	made := make([]registry.NewGroup, 600)
	for i := range made {
		made[i] = registry.NewGroup{Parent: "/top/middle", Name: fmt.Sprintf("g%03d", i)}
	}
	must(w.CreateGroups(t.Context(), w.scope, made, true))
	for _, atomic := range []bool{true, false} {
		var refs []registry.Ref
		for id, path := range w.paths() {
			if path != "/" && path != "/stays" {
				refs = append(refs, registry.Ref{ID: id})
			}
		}
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(refs), func(i, j int) { refs[i], refs[j] = refs[j], refs[i] })
		scope := w.scope
		if atomic {
			scope.Rehearsal = &registry.Rehearsal{}
		}
		out, err := w.DeleteGroups(t.Context(), scope, refs, atomic)
		if err != nil || out.Succeeded != 602 || out.Results[0].Object != nil || out.Results[0].Key != string(refs[0].ID) {
			t.Fatalf("atomic %t: %+v, %v", atomic, out, err)
		}
		if atomic && scope.Rehearsal.Groups != 602 {
			t.Errorf("rehearsed: %+v", scope.Rehearsal)
		}
	}
	if left := w.paths(); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
}

func TestDeleteGroupsAtVersions(t *testing.T) {
	w := newWorld(t)
	w.groups("/a/b")
	_, err := w.DeleteGroups(t.Context(), w.scope, []registry.Ref{{Kind: registry.KindGroup, Key: "/a"}, {Kind: registry.KindGroup, Key: "/A/b/", IfVersion: new(2)}}, true)
	refused(t, err, registry.CodeFailedPrecondition, "paths[0]")
	out := must(w.DeleteGroups(t.Context(), w.scope, []registry.Ref{{Kind: registry.KindGroup, Key: "/a/b", IfVersion: new(1)}, {Kind: registry.KindGroup, Key: "/a"}}, false))
	if out.Failed != 0 {
		t.Errorf("at its version: %+v", out)
	}
	other := newOther(w)
	w.groups("/mine")
	if out := must(other.DeleteGroups(t.Context(), other.scope, []registry.Ref{{Kind: registry.KindGroup, Key: "/mine"}}, false)); out.Failed != 1 {
		t.Errorf("another account's: %+v", out)
	}
}
