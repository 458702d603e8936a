package graph_test

import (
	"context"
	"testing"

	"github.com/holon-registry/holon/registry"
)

func TestNodes(t *testing.T) {
	w := newWorld(t)
	other := newOther(w)
	w.groups("/g")
	g := must(w.GroupByPath(t.Context(), w.scope, "/g"))
	d := w.device("d", "/g")
	a := must(w.CreateAsset(t.Context(), w.scope, registry.NewTwin{Reference: "a"}))
	p := w.policy("p", "/g")
	m := must(w.CreateMeasureType(t.Context(), w.scope, registry.NewMeasureType{Name: "m", ValueType: registry.ValueString}))
	ids := []registry.ID{g.ID, d.ID, a.ID, p.ID, m.ID, d.TemplateID, w.scope.Account, "ghost"}
	w.trips(1, "nodes", func(ctx context.Context) error {
		nodes, err := w.Nodes(ctx, w.scope, ids)
		if err != nil {
			return err
		}
		for i, node := range nodes[:7] {
			if node == nil || node.NodeID() != ids[i] {
				t.Errorf("node %d = %v, want %s", i, node, ids[i])
			}
		}
		if policy, ok := nodes[3].(*registry.Policy); !ok || len(policy.GroupIDs) != 1 || nodes[7] != nil {
			t.Errorf("nodes = %v", nodes)
		}
		return nil
	})
	strangers, err := other.Nodes(t.Context(), other.scope, ids)
	for i, node := range strangers {
		if node != nil {
			t.Errorf("another account sees %s: %v", ids[i], node)
		}
	}
	if err != nil {
		t.Error(err)
	}
	assets, err := w.AssetsByID(t.Context(), w.scope, []registry.ID{d.ID, a.ID})
	if err != nil || assets[0] != nil || assets[1].ID != a.ID {
		t.Errorf("assets by id = %v, %v", assets, err)
	}
}
