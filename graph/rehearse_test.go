package graph_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

// inShort is what a rehearsal says, in short.
func inShort(r *registry.Rehearsal) []string {
	out := []string{fmt.Sprintf("%d twins +%d -%d, %d groups, %d relations", r.Twins, r.PoliciesGained, r.PoliciesLost, r.Groups, r.Relations)}
	for _, e := range r.Twin {
		out = append(out, fmt.Sprintf("%s +%q -%q", e.Key, referencesOf(e.Gained), referencesOf(e.Lost)))
	}
	return out
}

func TestRehearsals(t *testing.T) {
	w := newWorld(t)
	w.groups("/a/b/c", "/x/y", "/z")
	w.device("in_b", "/a/b", "/z")
	w.device("in_c", "/a/b/c")
	w.device("in_x", "/x/y", "/z")
	w.device("nowhere")
	w.policy("of_a", "/a")
	w.policy("of_x", "/x")
	w.policy("of_x_and_z", "/x", "/z")
	w.policy("everywhere", "/")
	ctx, before := t.Context(), w.journal()
	check := func(what string, r *registry.Rehearsal, err error, want ...string) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if diff := cmp.Diff(want, inShort(r)); diff != "" || r.Token == "" {
			t.Errorf("%s, token %q (-want +got):\n%s", what, r.Token, diff)
		}
	}
	r, err := w.RehearseMoveGroup(ctx, w.scope, group("/a/b"), registry.GroupMove{Parent: new("/x")})
	check("move", r, err, "2 twins +3 -2, 2 groups, 0 relations", `1/in_b +["of_x_and_z" "of_x"] -["of_a"]`, `1/in_c +["of_x"] -["of_a"]`)
	r, err = w.RehearseMoveGroup(ctx, w.scope, group("/a/b"), registry.GroupMove{Name: new("B")})
	check("rename", r, err, "0 twins +0 -0, 2 groups, 0 relations")
	r, err = w.RehearseMoveGroup(ctx, w.scope, group("/a/b"), registry.GroupMove{Parent: new("/a")})
	check("move to where it is", r, err, "0 twins +0 -0, 0 groups, 0 relations")
	_, err = w.RehearseMoveGroup(ctx, w.scope, group("/a"), registry.GroupMove{Parent: new("/a/b")})
	refused(t, err, registry.CodeFailedPrecondition, "below itself")
	r, err = w.RehearseDeleteGroup(ctx, w.scope, group("/a/b"), registry.GroupDeletion{Cascade: true})
	check("delete", r, err, "2 twins +0 -2, 2 groups, 2 relations", `1/in_b +[] -["of_a"]`, `1/in_c +[] -["of_a"]`)
	_, err = w.RehearseDeleteGroup(ctx, w.scope, group("/a/b"), registry.GroupDeletion{})
	refused(t, err, registry.CodeFailedPrecondition, "1 child and 1 member")
	r, err = w.RehearseRelate(ctx, w.scope, device("nowhere"), "located_at", group("/x"))
	check("relate", r, err, "1 twins +1 -0, 0 groups, 1 relations", `1/nowhere +["of_x"] -[]`)
	r, err = w.RehearseRelate(ctx, w.scope, device("in_b"), "located_at", group("/z"))
	check("relate again", r, err, "0 twins +0 -0, 0 groups, 0 relations")
	r, err = w.RehearseUnrelate(ctx, w.scope, device("in_x"), "located_at", group("/z"))
	check("unrelate", r, err, "1 twins +0 -1, 0 groups, 1 relations", `1/in_x +[] -["of_x_and_z"]`)
	r, err = w.RehearseUnrelate(ctx, w.scope, device("in_x"), "located_at", group("/a"))
	check("unrelate nothing", r, err, "0 twins +0 -0, 0 groups, 0 relations")
	r, err = w.RehearseCreatePolicy(ctx, w.scope, registry.NewPolicy{Reference: "n", Type: "t", Document: map[string]any{}, AppliesTo: []string{"/a", "/z"}})
	check("create policy", r, err, "1 twins +1 -0, 0 groups, 0 relations", `1/in_b +["n"] -[]`)
	_, err = w.RehearseCreatePolicy(ctx, w.scope, registry.NewPolicy{Reference: "OF_A", Type: "t", Document: map[string]any{}, AppliesTo: []string{"/a", "/z"}})
	refused(t, err, registry.CodeConflict, "OF_A")
	r, err = w.RehearseUpdatePolicy(ctx, w.scope, registry.Ref{Key: "of_a"}, registry.PolicyPatch{AppliesTo: []string{"/z"}})
	check("update policy", r, err, "2 twins +1 -1, 0 groups, 0 relations", `1/in_c +[] -["of_a"]`, `1/in_x +["of_a"] -[]`)
	r, err = w.RehearseDeletePolicy(ctx, w.scope, registry.Ref{Key: "everywhere"})
	check("delete policy", r, err, "4 twins +0 -4, 0 groups, 0 relations", `1/in_b +[] -["everywhere"]`, `1/in_c +[] -["everywhere"]`, `1/in_x +[] -["everywhere"]`, `1/nowhere +[] -["everywhere"]`)
	if err != nil {
		t.FailNow()
	}
	if page := r.Page(registry.PageRequest{Size: 2, Key: "1/in_b"}); len(page.Items) != 2 || page.Items[0].Key != "1/in_c" || !page.HasNext || !page.HasPrevious {
		t.Errorf("a page: %+v", page)
	}
	if diff := cmp.Diff(before, w.journal()); diff != "" {
		t.Errorf("journal (-before +after):\n%s", diff)
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	w.groups("/a/b", "/x", "/y")
	w.device("d", "/a/b")
	w.policy("of_x", "/x")
	ctx := t.Context()
	move := registry.GroupMove{Parent: new("/x")}
	rehearse := func() registry.Scope {
		t.Helper()
		r, err := w.RehearseMoveGroup(ctx, w.scope, group("/a/b"), move)
		if err != nil {
			t.Fatal(err)
		}
		scope := w.scope
		scope.Token = r.Token
		return scope
	}
	bound := rehearse()
	_, err := w.MoveGroup(ctx, bound, group("/a/b"), registry.GroupMove{Parent: new("/y")})
	violates(t, err, "token", "token")
	_, err = w.DeletePolicy(ctx, bound, registry.Ref{Key: "of_x"})
	violates(t, err, "token", "token")
	other := newOther(w)
	other.groups("/a/b", "/x")
	stranger := other.scope
	stranger.Token = bound.Token
	_, err = w.MoveGroup(ctx, stranger, group("/a/b"), move)
	violates(t, err, "token", "token")
	for _, text := range []string{"x", base64.RawURLEncoding.EncodeToString(make([]byte, 31)), base64.RawURLEncoding.EncodeToString(make([]byte, 32))} {
		wrong := w.scope
		wrong.Token = text
		_, err = w.MoveGroup(ctx, wrong, group("/a/b"), move)
		violates(t, err, "token", "token")
	}
	// What changes nothing about it does not matter, what does is refused.
	w.device("unconcerned", "/y")
	w.policy("of_y", "/y")
	w.policy("more_of_x", "/x")
	_, err = w.MoveGroup(ctx, bound, group("/a/b"), move)
	refused(t, err, registry.CodeConflict, "rehearse it again")
	bound = rehearse()
	w.device("another", "/a/b")
	_, err = w.MoveGroup(ctx, bound, group("/a/b"), move)
	refused(t, err, registry.CodeConflict, "rehearse it again")
	bound = rehearse()
	w.device("unconcerned too", "/y")
	w.groups("/unconcerned")
	if moved, err := w.MoveGroup(ctx, bound, group("/a/b"), move); err != nil || moved.Moved != 1 {
		t.Errorf("moved %+v, %v", moved, err)
	}
}

// A rehearsal tells what then happens, of random changes in a random forest.
func TestRehearsalsByDeed(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(7, 7))
	var paths, references []string
	for i := range 40 {
		above := ""
		if i > 3 {
			above = paths[random.IntN(len(paths))]
		}
		paths = append(paths, fmt.Sprintf("%s/g%d", above, i))
	}
	w.groups(paths...)
	some := func() string { return paths[random.IntN(len(paths))] }
	for i := range 60 {
		references = append(references, fmt.Sprintf("d%02d", i))
		w.device(references[i], some(), some())
	}
	for i := range 25 {
		w.policy(fmt.Sprintf("p%02d", i), some(), some())
	}
	var devices []registry.ID
	known := must(w.KnownDevices(t.Context(), w.scope, references))
	for _, reference := range references {
		devices = append(devices, known[reference].ID)
	}
	moved := 0
	for step := range 30 {
		before := must(w.InheritedPolicyReferences(t.Context(), w.scope, devices, nil))
		all := slices.Collect(func(yield func(string) bool) {
			for _, path := range w.paths() {
				if path != "/" && !yield(path) {
					return
				}
			}
		})
		slices.Sort(all)
		from, to := all[random.IntN(len(all))], all[random.IntN(len(all))]
		policy := registry.Ref{Key: fmt.Sprintf("p%02d", random.IntN(25))}
		scope, d := w.scope, device(references[random.IntN(len(references))])
		var r *registry.Rehearsal
		var err error
		var do func() error
		switch step % 5 {
		case 0, 1:
			r, err = w.RehearseMoveGroup(t.Context(), scope, group(from), registry.GroupMove{Parent: &to})
			do = func() error {
				_, err := w.MoveGroup(t.Context(), scope, group(from), registry.GroupMove{Parent: &to})
				return err
			}
		case 2:
			patch := registry.PolicyPatch{AppliesTo: []string{from, to}}
			r, err = w.RehearseUpdatePolicy(t.Context(), scope, policy, patch)
			do = func() error {
				_, err := w.UpdatePolicy(t.Context(), scope, policy, patch)
				return err
			}
		case 3:
			r, err = w.RehearseRelate(t.Context(), scope, d, "located_at", group(to))
			do = func() error {
				_, _, err := w.Relate(t.Context(), scope, d, "located_at", group(to))
				return err
			}
		case 4:
			r, err = w.RehearseDeleteGroup(t.Context(), scope, group(from), registry.GroupDeletion{Cascade: true})
			do = func() error {
				_, err := w.DeleteGroup(t.Context(), scope, group(from), registry.GroupDeletion{Cascade: true})
				return err
			}
		}
		if err != nil {
			if doErr := do(); registry.CodeOf(doErr) != registry.CodeOf(err) {
				t.Errorf("step %d: rehearsed %v, did %v", step, err, doErr)
			}
			continue
		}
		scope.Token = r.Token
		if err := do(); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		moved++
		after := must(w.InheritedPolicyReferences(t.Context(), w.scope, devices, nil))
		want := []string{}
		for i, reference := range references {
			gained, lost := without(after[i], before[i]), without(before[i], after[i])
			if len(gained)+len(lost) > 0 {
				want = append(want, fmt.Sprintf("1/%s +%q -%q", reference, gained, lost))
			}
		}
		if diff := cmp.Diff(want, inShort(r)[1:]); diff != "" {
			t.Errorf("step %d (-did +rehearsed):\n%s", step, diff)
		}
	}
	if moved < 10 {
		t.Errorf("only %d changes were made", moved)
	}
}

func without(all, others []string) []string {
	var out []string
	for _, one := range all {
		if !slices.Contains(others, one) {
			out = append(out, one)
		}
	}
	return out
}
