package ingest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

// TestNews remembers what changed for as long as the directory goes by what it
// knew before, and no more than there is room for.
func TestNews(t *testing.T) {
	var n news
	one, other := registry.ID("one"), registry.ID("other")
	n.note([]registry.ID{one}, noon)
	asked := n.last
	n.note([]registry.ID{one}, noon.Add(time.Second))
	if !n.after(asked, one) || n.after(n.last, one) || n.after(0, other) {
		t.Errorf("one changed after it was asked for, and only it: %+v", n)
	}
	n.note([]registry.ID{other}, noon.Add(deviceFresh))
	if !n.after(asked, one) || !n.after(asked, other) {
		t.Errorf("what is not yet old was forgotten: %+v", n)
	}
	n.note(nil, noon.Add(2*deviceFresh))
	if n.after(asked, one) || !n.after(asked, other) {
		t.Errorf("what is old by now is kept: %+v", n)
	}
	many := make([]registry.ID, maxNews+1)
	for i := range many {
		many[i] = registry.ID(uuid.NewString())
	}
	n.note(many, noon.Add(2*deviceFresh))
	if len(n.newer)+len(n.before) > maxNews || !n.after(asked, "any") || n.after(n.last, "any") {
		t.Errorf("too many changes leave %d, and are not taken for changes of all", len(n.newer))
	}
}

// TestChangedWhileAsked does not take an answer for one of after the change that
// was made while it was under way.
func TestChangedWhileAsked(t *testing.T) {
	n := newNursery(map[string]string{"b1": "beacon"})
	d := NewDirectory(n, func() time.Time { return noon })
	find := func() *knownDevice {
		found, err := d.find(t.Context(), registry.Scope{Account: "a"}, []registry.Reading{{Device: "b1"}}, []bool{false})
		if err != nil {
			t.Fatal(err)
		}
		return found[0]
	}
	if first := find(); first == nil || find() != first {
		t.Fatal("a device is asked for again although nothing changed")
	}
	slow := &meanwhile{nursery: n, then: func() { d.Changed([]registry.ID{"b1"}) }}
	d.source = slow
	d.Changed([]registry.ID{"b1"})
	before := find()
	if before == find() {
		t.Error("an answer that a change overtook is gone by")
	}
	slow.then = func() {}
	delete(n.made, "b1")
	d.Changed([]registry.ID{"b1"})
	if find() != nil {
		t.Error("a device that is deleted is still there")
	}
}

// meanwhile is a store in which something happens while it answers.
type meanwhile struct {
	*nursery
	then func()
}

func (m *meanwhile) KnownDevices(ctx context.Context, scope registry.Scope, references []string) ([]*KnownDevice, error) {
	out, err := m.nursery.KnownDevices(ctx, scope, references)
	m.then()
	return out, err
}
