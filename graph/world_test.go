package graph_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// world is an account of its own, with short ways to fill it.
type world struct {
	*testing.T
	*graph.Store
	scope registry.Scope
}

func newWorld(t *testing.T) world {
	t.Helper()
	t.Parallel()
	store, scope := testkit.Store(t)
	return world{t, store, scope}
}

// groups makes groups by their paths, and those above them.
func (w world) groups(paths ...string) {
	w.Helper()
	for _, path := range paths {
		parent := ""
		for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
			_, err := w.CreateGroup(w.Context(), w.scope, registry.NewGroup{Parent: parent, Name: name})
			if err != nil && registry.CodeOf(err) != registry.CodeConflict {
				w.Fatalf("group %s in %s: %v", name, parent, err)
			}
			parent += "/" + name
		}
	}
}

func group(path string) registry.Ref           { return registry.Ref{Kind: registry.KindGroup, Key: path} }
func device(key string) registry.Ref           { return registry.Ref{Kind: registry.KindDevice, Key: key} }
func byID(thing registry.Related) registry.Ref { return registry.Ref{ID: thing.NodeID()} }

// device makes a device that is located at groups.
func (w world) device(reference string, groups ...string) *registry.Device {
	w.Helper()
	d, err := w.CreateDevice(w.Context(), w.scope, registry.NewTwin{Reference: reference, Relations: locatedAt(groups...)})
	if err != nil {
		w.Fatalf("device %s: %v", reference, err)
	}
	return d
}

func locatedAt(groups ...string) []registry.NewRelation {
	if len(groups) == 0 {
		return nil
	}
	relation := registry.NewRelation{Name: "located_at"}
	for _, path := range groups {
		relation.To = append(relation.To, group(path))
	}
	return []registry.NewRelation{relation}
}

// policy makes a policy of a type, "t" if nothing is said.
func (w world) policy(reference string, groups ...string) *registry.Policy {
	w.Helper()
	p, err := w.CreatePolicy(w.Context(), w.scope, registry.NewPolicy{
		Reference: reference, Type: "t", Document: map[string]any{"of": reference}, AppliesTo: groups,
	})
	if err != nil {
		w.Fatalf("policy %s: %v", reference, err)
	}
	return p
}

// inherits checks the references of what a thing inherits, in order, by every
// way to ask.
func (w world) inherits(thing registry.Related, want ...string) {
	w.Helper()
	ids := []registry.ID{thing.NodeID()}
	references, err := w.InheritedPolicyReferences(w.Context(), w.scope, ids, nil)
	if err != nil || !slices.Equal(references[0], want) {
		w.Errorf("policy references of %v = %q, %v, want %q", thing, references, err, want)
	}
	policies, err := w.InheritedPolicies(w.Context(), w.scope, ids, nil)
	if err != nil || !slices.Equal(referencesOf(policies[0]), want) {
		w.Errorf("policies of %v = %q, %v, want %q", thing, referencesOf(policies[0]), err, want)
	}
}

func referencesOf(policies []*registry.Policy) []string {
	var out []string
	for _, p := range policies {
		out = append(out, p.Reference)
	}
	return out
}

// refused checks an error's code, and that its text has a part that tells what
// is wrong.
func refused(t *testing.T, err error, code registry.Code, part string) {
	t.Helper()
	e, _ := errors.AsType[*registry.Error](err)
	if e == nil || e.Code != code || !strings.Contains(e.Message, part) {
		t.Errorf("error = %v, want %s with %q", err, code, part)
	}
}

// violates checks that an error lists a violation of a rule at a path.
func violates(t *testing.T, err error, path, rule string) {
	t.Helper()
	e, ok := errors.AsType[*registry.Error](err)
	if !ok || e.Code != registry.CodeInvalid {
		t.Errorf("error = %v, want INVALID with %s at %s", err, rule, path)
		return
	}
	for _, v := range e.Violations {
		if v.Path == path && v.Rule == rule {
			return
		}
	}
	t.Errorf("violations = %+v, want %s at %s", e.Violations, rule, path)
}

// trips checks what a call takes.
func (w world) trips(want int64, what string, call func(ctx context.Context) error) {
	w.Helper()
	ctx, cost := registry.WithCost(w.Context())
	if err := call(ctx); err != nil {
		w.Errorf("%s: %v", what, err)
	}
	if cost.Graph() != want {
		w.Errorf("%s took %d round trips, want %d", what, cost.Graph(), want)
	}
}

// newOther is another account in the same store.
func newOther(w world) world {
	w.Helper()
	return world{w.T, w.Store, testkit.Account(w.T, w.Store)}
}

// template makes a published template, or publishes the next version of one.
func (w world) template(n registry.NewTemplate) *registry.Template {
	w.Helper()
	n.Publish = true
	created, err := w.CreateTemplate(w.Context(), w.scope, n)
	if registry.CodeOf(err) == registry.CodeConflict {
		created, err = w.draft(n.Kind, n.Name, registry.TemplatePatch{
			Description: registry.Optional[string]{Set: true, Value: n.Description}, Properties: orEmptyMap(n.Properties), Required: orEmpty(n.Required),
			Relations: orEmpty(n.Relations), Measures: orEmpty(n.Measures), Components: orEmpty(n.Components), Searched: orEmpty(n.Searched),
		})
		if err == nil {
			created, err = w.publish(registry.TemplateRef{ID: created.ID})
		}
	}
	if err != nil {
		w.Fatalf("template %s: %v", n.Name, err)
	}
	return created
}

func (w world) draft(kind registry.Kind, name string, patch registry.TemplatePatch) (*registry.Template, error) {
	return w.UpdateTemplate(w.Context(), w.scope, registry.TemplateRef{Kind: kind, Name: name}, patch)
}

func (w world) publish(ref registry.TemplateRef) (*registry.Template, error) {
	t, _, err := w.PublishTemplate(w.Context(), w.scope, ref, "")
	return t, err
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func orEmptyMap(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// paths are the paths of the account's groups by id.
func (w world) paths() map[registry.ID]string {
	w.Helper()
	page, err := w.ListGroups(w.Context(), w.scope, registry.Filter{}, registry.PageRequest{Size: 1000})
	if err != nil {
		w.Fatal(err)
	}
	out := map[registry.ID]string{}
	for _, g := range page.Items {
		out[g.ID] = g.Path
	}
	return out
}
