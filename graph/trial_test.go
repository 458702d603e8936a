package graph_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// tried makes a change as a rehearsal, and checks what it says and that nothing
// was written.
func (w world) tried(what string, deed func(scope registry.Scope) error, want ...string) {
	w.Helper()
	before, scope := w.journal(), w.scope
	scope.Rehearsal = &registry.Rehearsal{}
	if err := deed(scope); err != nil {
		w.Errorf("%s: %v", what, err)
		return
	}
	r := scope.Rehearsal
	got := append(inShort(r), fmt.Sprintf("%d made, %d deleted, %d links", r.Made, r.Deleted, r.Links))
	if diff := cmp.Diff(want, got); diff != "" || r.Token == "" {
		w.Errorf("%s, token %q (-want +got):\n%s", what, r.Token, diff)
	}
	if diff := cmp.Diff(before, w.journal()); diff != "" {
		w.Errorf("%s: journal (-before +after):\n%s", what, diff)
	}
}

// trialWorld has devices and assets in groups that policies apply to.
func trialWorld(t *testing.T) (world, *registry.Device) {
	t.Helper()
	w := newWorld(t)
	w.groups("/a/b", "/x")
	d := w.device("d", "/a/b")
	w.device("e", "/x")
	for _, n := range []registry.NewTwin{{Reference: "whole", Relations: locatedAt("/a")}, {Reference: "part", PartOf: new("whole")}} {
		if _, err := w.CreateAsset(t.Context(), w.scope, n); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.CreateComponent(t.Context(), w.scope, device("d"), registry.NewComponent{Name: "c"}); err != nil {
		t.Fatal(err)
	}
	w.policy("of_a", "/a")
	w.policy("of_x", "/x")
	w.policy("all", "/")
	return w, d
}

func assetRef(key string) registry.Ref { return registry.Ref{Kind: registry.KindAsset, Key: key} }

// in replaces all groups that a twin is in.
func in(groups ...string) registry.TwinPatch {
	return registry.TwinPatch{Relations: &registry.RelationPatch{Replace: []registry.RelationSet{
		{Direction: registry.DirectionOut, Kind: registry.KindGroup, Relations: locatedAt(groups...)},
	}}}
}

func TestTrials(t *testing.T) {
	w, _ := trialWorld(t)
	ctx := t.Context()
	w.tried("update", func(scope registry.Scope) error {
		_, err := w.UpdateDevice(ctx, scope, device("d"), in("/x"))
		return err
	}, "2 twins +2 -2, 0 groups, 2 relations", `1/d +["of_x"] -["of_a"]`, `1/d/c +["of_x"] -["of_a"]`, "0 made, 0 deleted, 0 links")
	w.tried("update of a description", func(scope registry.Scope) error {
		_, err := w.UpdateDevice(ctx, scope, device("d"), registry.TwinPatch{Description: registry.Some("new")})
		return err
	}, "0 twins +0 -0, 0 groups, 0 relations", "0 made, 0 deleted, 0 links")
	w.tried("update of what it is a part of", func(scope registry.Scope) error {
		_, err := w.UpdateAsset(ctx, scope, assetRef("part"), registry.TwinPatch{PartOf: registry.Optional[string]{Set: true}})
		return err
	}, "1 twins +0 -1, 0 groups, 0 relations", `2/part +[] -["of_a"]`, "0 made, 0 deleted, 0 links")
	w.tried("update of a group", func(scope registry.Scope) error {
		incoming := registry.NewRelation{Name: "located_at", Direction: registry.DirectionIn, To: []registry.Ref{device("d")}}
		_, err := w.UpdateGroup(ctx, scope, group("/x"), registry.TwinPatch{Relations: &registry.RelationPatch{Add: []registry.NewRelation{incoming}}})
		return err
	}, "2 twins +2 -0, 0 groups, 1 relations", `1/d +["of_x"] -[]`, `1/d/c +["of_x"] -[]`, "0 made, 0 deleted, 0 links")
	w.tried("creation", func(scope registry.Scope) error {
		_, err := w.CreateDevice(ctx, scope, registry.NewTwin{Reference: "n", Relations: locatedAt("/a"), Components: []registry.NewComponent{{Name: "c"}}})
		return err
	}, "2 twins +4 -0, 0 groups, 1 relations", `1/n +["of_a" "all"] -[]`, `1/n/c +["of_a" "all"] -[]`, "2 made, 0 deleted, 0 links")
	w.tried("upsert of one that is there", func(scope registry.Scope) error {
		_, _, err := w.UpsertTwin(ctx, scope, registry.KindDevice, registry.TwinEdit{Ref: device("e"), Patch: registry.TwinPatch{Relations: &registry.RelationPatch{Add: locatedAt("/a")}}})
		return err
	}, "1 twins +1 -0, 0 groups, 1 relations", `1/e +["of_a"] -[]`, "0 made, 0 deleted, 0 links")
	w.tried("upserts", func(scope registry.Scope) error {
		add := registry.TwinPatch{Relations: &registry.RelationPatch{Add: locatedAt("/a")}}
		out, err := w.UpsertTwins(ctx, scope, registry.KindAsset, []registry.TwinEdit{{Ref: assetRef("new"), Patch: add}, {Ref: assetRef(""), Patch: add}, {Ref: assetRef("part"), Patch: add}}, false)
		if err == nil && (out.Succeeded != 2 || out.Failed != 1 || out.Results[0].Object != nil || !out.Results[0].Created || out.Results[1].Error == nil || out.Rehearsal == nil) {
			t.Errorf("upserts: %+v", out)
		}
		return err
	}, "1 twins +2 -0, 0 groups, 2 relations", `2/new +["of_a" "all"] -[]`, "1 made, 0 deleted, 0 links")
	w.tried("deletion", func(scope registry.Scope) error {
		_, components, err := w.DeleteWithComponents(ctx, scope, device("d"))
		if len(components) != 0 {
			t.Errorf("a rehearsal deleted %v", components)
		}
		return err
	}, "0 twins +0 -0, 0 groups, 1 relations", "0 made, 2 deleted, 0 links")
	w.tried("deletions", func(scope registry.Scope) error {
		_, gone, err := w.DeleteTwins(ctx, scope, registry.KindAsset, []registry.Ref{assetRef("whole"), assetRef("none")}, false)
		if len(gone) != 0 {
			t.Errorf("a rehearsal deleted %v", gone)
		}
		return err
	}, "1 twins +0 -1, 0 groups, 1 relations", `2/part +[] -["of_a"]`, "0 made, 1 deleted, 0 links")
	w.tried("end of all relations", func(scope registry.Scope) error {
		_, err := w.UnrelateAll(ctx, scope, group("/a/b"), graph.RelatedFilter{Direction: registry.DirectionIn})
		return err
	}, "2 twins +0 -2, 0 groups, 1 relations", `1/d +[] -["of_a"]`, `1/d/c +[] -["of_a"]`, "0 made, 0 deleted, 0 links")
	w.tried("creation of groups", func(scope registry.Scope) error {
		incoming := registry.NewRelation{Name: "located_at", Direction: registry.DirectionIn, To: []registry.Ref{device("e")}}
		_, err := w.CreateGroups(ctx, scope, []registry.NewGroup{{Parent: "/a/n", Name: "m", Relations: []registry.NewRelation{incoming}}, {Parent: "/a", Name: "n"}}, true)
		return err
	}, "1 twins +1 -0, 0 groups, 1 relations", `1/e +["of_a"] -[]`, "2 made, 0 deleted, 0 links")
}

// What ends with what is deleted is counted, as is what ends elsewhere by it.
func TestTrialOfLinks(t *testing.T) {
	w := newWorld(t)
	w.device("d")
	if _, err := w.CreateAsset(t.Context(), w.scope, registry.NewTwin{Reference: "a", Relations: []registry.NewRelation{{Name: "near", To: []registry.Ref{device("d")}}}}); err != nil {
		t.Fatal(err)
	}
	w.link("d", "a")
	w.tried("deletion of a device", func(scope registry.Scope) error {
		_, err := w.DeleteDevice(t.Context(), scope, device("d"))
		return err
	}, "0 twins +0 -0, 0 groups, 1 relations", "0 made, 1 deleted, 1 links")
}

func TestRehearsalRefuses(t *testing.T) {
	w, _ := trialWorld(t)
	scope := w.scope
	scope.Rehearsal = &registry.Rehearsal{}
	_, err := w.UpdateDevice(t.Context(), scope, device("none"), in("/x"))
	refused(t, err, registry.CodeNotFound, "none")
	_, err = w.UpdateDevice(t.Context(), scope, device("d"), in("/nowhere"))
	violates(t, err, "relations.located_at", "unknown")
	_, err = w.DeletePolicy(t.Context(), scope, registry.Ref{Key: "of_a"})
	if err == nil {
		t.Error("a change that is planned was tried")
	}
}

func TestTokensOfTrials(t *testing.T) {
	w, d := trialWorld(t)
	ctx, edits := t.Context(), []registry.TwinEdit{{Ref: device("d"), Patch: in("/x")}, {Ref: device("none"), Patch: in("/x")}}
	rehearsed := func() registry.Scope {
		t.Helper()
		scope := w.scope
		scope.Rehearsal = &registry.Rehearsal{}
		if _, err := w.UpdateTwins(ctx, scope, registry.KindDevice, edits, false); err != nil {
			t.Fatal(err)
		}
		scope.Token, scope.Rehearsal = scope.Rehearsal.Token, nil
		return scope
	}
	bound := rehearsed()
	_, err := w.UpdateTwins(ctx, bound, registry.KindDevice, edits[:1], false)
	violates(t, err, "token", "token")
	_, err = w.UpdateDevice(ctx, bound, device("d"), edits[0].Patch)
	violates(t, err, "token", "token")
	w.policy("more_of_x", "/x")
	_, err = w.UpdateTwins(ctx, bound, registry.KindDevice, edits, false)
	refused(t, err, registry.CodeConflict, "rehearse it again")
	bound = rehearsed()
	w.device("none")
	_, err = w.UpdateTwins(ctx, bound, registry.KindDevice, edits, false)
	refused(t, err, registry.CodeConflict, "rehearse it again")
	w.inherits(d, "of_a", "all")
	bound = rehearsed()
	w.device("unconcerned", "/a")
	w.policy("unconcerned", "/a", "/x")
	out, err := w.UpdateTwins(ctx, bound, registry.KindDevice, edits, false)
	if err != nil || out.Failed != 0 || out.Rehearsal != nil {
		t.Errorf("with a token: %+v, %v", out, err)
	}
	w.inherits(d, "more_of_x", "of_x", "all")
	// What would be made has another id each time.
	scope := w.scope
	scope.Rehearsal = &registry.Rehearsal{}
	if _, err := w.CreateDevice(ctx, scope, registry.NewTwin{Reference: "made", Relations: locatedAt("/x")}); err != nil {
		t.Fatal(err)
	}
	scope.Token, scope.Rehearsal = scope.Rehearsal.Token, nil
	w.device("meanwhile")
	if _, err := w.CreateDevice(ctx, scope, registry.NewTwin{Reference: "made", Relations: locatedAt("/x")}); err != nil {
		t.Errorf("with a token: %v", err)
	}
}

// A trial tells what then happens, of random changes of twins.
func TestTrialsByDeed(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(3, 9))
	paths := []string{"/a", "/a/b", "/a/b/c", "/d", "/d/e", "/f"}
	w.groups(paths...)
	some := func() string { return paths[random.IntN(len(paths))] }
	for i := range 12 {
		w.policy(fmt.Sprintf("p%02d", i), some(), some())
	}
	var references []string
	var ids []registry.ID
	for i := range 24 {
		n := registry.NewTwin{Reference: fmt.Sprintf("a%02d", i)}
		if random.IntN(2) == 0 {
			n.Relations = locatedAt(some())
		}
		if i > 0 && random.IntN(3) > 0 {
			n.PartOf = new(references[random.IntN(min(i, 6))])
		}
		ids = append(ids, must(w.CreateAsset(t.Context(), w.scope, n)).ID)
		references = append(references, n.Reference)
	}
	inherited := func() [][]string { return must(w.InheritedPolicyReferences(t.Context(), w.scope, ids, nil)) }
	for step := range 30 {
		a, b := references[random.IntN(len(references))], references[random.IntN(len(references))]
		patch := in(some(), some())
		if random.IntN(2) == 0 {
			patch = registry.TwinPatch{PartOf: registry.Optional[string]{Set: true}}
			if random.IntN(3) > 0 {
				patch.PartOf.Value = &b
			}
		}
		remove := step%7 == 6
		do := func(scope registry.Scope) error {
			if remove {
				_, _, err := w.DeleteTwins(t.Context(), scope, registry.KindAsset, []registry.Ref{assetRef(a), assetRef(b)}, false)
				return err
			}
			_, err := w.UpdateAsset(t.Context(), scope, assetRef(a), patch)
			return err
		}
		before, scope := inherited(), w.scope
		scope.Rehearsal = &registry.Rehearsal{}
		r, err := scope.Rehearsal, do(scope)
		scope.Rehearsal, scope.Token = nil, r.Token
		if done := do(scope); registry.CodeOf(done) != registry.CodeOf(err) {
			t.Errorf("step %d: rehearsed %v, did %v", step, err, done)
		}
		if err != nil {
			continue
		}
		after, want := inherited(), []string{}
		for i, reference := range references {
			if after[i] == nil {
				continue // it was deleted
			}
			gained, lost := without(after[i], before[i]), without(before[i], after[i])
			if len(gained)+len(lost) > 0 {
				want = append(want, fmt.Sprintf("2/%s +%q -%q", reference, gained, lost))
			}
		}
		if diff := cmp.Diff(want, inShort(r)[1:]); diff != "" {
			t.Errorf("step %d (-did +rehearsed):\n%s", step, diff)
		}
	}
}
