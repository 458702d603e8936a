package resolvers

import (
	"testing"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/resolvers/generated"
)

// A variable may have any number of the fields of which there has to be one.
func TestObjectRefNamesOneObject(t *testing.T) {
	path, reference, id := "/a", "d", registry.ID("x")
	for _, wrong := range []*generated.ObjectRef{{}, {Group: &path, Device: &reference}, {ID: &id, Asset: &reference}} {
		if ref, err := objectRef("input.from", wrong); registry.CodeOf(err) != registry.CodeInvalid {
			t.Errorf("%+v names %+v, %v", wrong, ref, err)
		}
	}
	for _, right := range []struct {
		in   generated.ObjectRef
		want registry.Ref
	}{
		{generated.ObjectRef{ID: &id}, registry.Ref{ID: id}}, {generated.ObjectRef{Group: &path}, registry.Ref{Kind: registry.KindGroup, Key: path}},
		{generated.ObjectRef{Asset: &reference}, registry.Ref{Kind: registry.KindAsset, Key: reference}},
	} {
		if got, err := objectRef("input.to", &right.in); err != nil || got != right.want {
			t.Errorf("%+v names %+v, %v", right.in, got, err)
		}
	}
}
