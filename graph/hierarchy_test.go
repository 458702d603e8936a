package graph

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/holon-registry/holon/registry"
)

// grown is a hierarchy of n groups below the root, one below the other.
func grown(t *testing.T, n int) *hierarchy {
	t.Helper()
	d := newDraft()
	d.put("root", "", "")
	above := registry.ID("root")
	for i := range n {
		id := registry.ID(fmt.Sprint("g", i))
		d.put(id, above, string(id))
		above = id
	}
	h, err := d.finish()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHierarchyDraft(t *testing.T) {
	h := grown(t, 4)
	d := h.edit()
	policy := &registry.Policy{Object: registry.Object{ID: "p"}, Reference: "P", Type: "T", GroupIDs: []registry.ID{"g3", "g1"}}
	d.apply(policy, 10)
	with, err := d.finish()
	if err != nil || with.policies["p"].deepest != 4 || with.policies["p"].depthSum != 4 || !slices.Equal(with.policies["p"].policy.GroupIDs, []registry.ID{"g1", "g3"}) {
		t.Fatalf("ranked as %+v, %v", with.policies["p"], err)
	}
	if len(h.policies) != 0 || len(h.applies) != 0 || policy.GroupIDs[0] != "g3" {
		t.Error("the hierarchy that was edited changed")
	}
	// g2 and g3 move to the top: g1 is not above g3 any more.
	d = with.edit()
	d.put("g2", "root", "g2")
	moved, err := d.finish()
	if err != nil || moved.groups["g3"].path != "/g2/g3" || moved.groups["g3"].depth != 2 || moved.policies["p"].deepest != 2 || moved.policies["p"].depthSum != 4 {
		t.Fatalf("moved: %+v, %+v, %v", moved.groups["g3"], moved.policies["p"], err)
	}
	if with.groups["g3"].depth != 4 || with.policies["p"].deepest != 4 {
		t.Error("the hierarchy before the move changed")
	}
	if got := moved.inherited([]registry.ID{"g3"}, nil); len(got) != 0 {
		t.Errorf("inherited %v", got)
	}
	if got := moved.inherited([]registry.ID{"g3", "g1"}, nil); len(got) != 1 {
		t.Errorf("inherited %v", got)
	}
	d = moved.edit()
	d.drop("p")
	d.remove("g3")
	d.remove("g2")
	d.put("g2", "g1", "g2")
	d.put("g3", "g2", "g3")
	back, err := d.finish()
	if err != nil || back.size != h.size || len(back.applies) != 0 {
		t.Errorf("back again: size %d, want %d; %v", back.size, h.size, err)
	}
	d = moved.edit()
	d.put("g2", "g3", "g2")
	if _, err := d.finish(); err == nil {
		t.Error("a circle hangs together")
	}
	d = moved.edit()
	d.remove("g1")
	d.put("g2", "root", "x")
	if _, err := d.finish(); err == nil {
		t.Error("a policy applies to a group that is not there")
	}
}

func TestHierarchiesAreBounded(t *testing.T) {
	h := grown(t, 100)
	held := newHierarchies(3 * h.size)
	for i := range 5 {
		entry, now := held.of(registry.ID(fmt.Sprint(i)))
		if now != nil {
			t.Errorf("account %d has a hierarchy", i)
		}
		held.put(entry, h)
		held.put(entry, h)
		held.of("0") // stays
	}
	var left []string
	for i := range 5 {
		if entry := held.held[registry.ID(fmt.Sprint(i))]; entry != nil && entry.now == h {
			left = append(left, fmt.Sprint(i))
		}
	}
	if !slices.Equal(left, []string{"0", "3", "4"}) || held.size != 3*h.size {
		t.Errorf("held %q, size %d", left, held.size)
	}
	large, _ := held.of("large")
	held.put(large, grown(t, 1000))
	if _, now := held.of("large"); now == nil || len(held.held) != 1 {
		t.Errorf("%d are held beside a large one", len(held.held)-1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := large.take(ctx); err != nil {
		t.Error(err)
	}
	cancel()
	if err := large.take(ctx); registry.CodeOf(err) != registry.CodeUnavailable {
		t.Errorf("took the turn twice: %v", err)
	}
}
