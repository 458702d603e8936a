package graph_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

func TestKeys(t *testing.T) {
	w := newWorld(t)
	other := newOther(w)
	d := w.device("d")
	free, bound := uuid.NewString(), uuid.NewString()
	if _, err := w.CreateKey(t.Context(), w.scope, "key", free, nil); err != nil {
		t.Fatal(err)
	}
	key, err := w.CreateKey(t.Context(), w.scope, "key", bound, []string{"D", "d"})
	if err != nil || !cmp.Equal(key.DeviceIDs, []registry.ID{d.ID}) {
		t.Fatalf("bound key = %+v, %v", key, err)
	}
	_, err = w.CreateKey(t.Context(), w.scope, "key", uuid.NewString(), []string{"d", "ghost"})
	violates(t, err, "devices[1]", "unknown")
	_, err = w.CreateKey(t.Context(), w.scope, "", uuid.NewString(), nil)
	violates(t, err, "name", "format")

	principal, err := w.PrincipalByKeyHash(t.Context(), bound)
	if err != nil || principal.Account != w.scope.Account || principal.AccountName != w.scope.AccountName || principal.Actor != key.ID || !principal.MaySend(d.ID) || principal.MaySend("x") {
		t.Errorf("principal = %+v, %v", principal, err)
	}
	// A key stays bound when its device is gone.
	if _, err := w.DeleteDevice(t.Context(), w.scope, byID(d)); err != nil {
		t.Fatal(err)
	}
	if principal, err := w.PrincipalByKeyHash(t.Context(), bound); err != nil || !principal.Bound() {
		t.Errorf("principal after the deletion = %+v, %v", principal, err)
	}
	if principal, err := w.PrincipalByKeyHash(t.Context(), free); err != nil || principal.Bound() {
		t.Errorf("free principal = %+v, %v", principal, err)
	}
	keys, err := w.Keys(t.Context(), w.scope)
	if err != nil || len(keys) != 2 || keys[1].ID != key.ID {
		t.Errorf("keys = %v, %v", keys, err)
	}
	refused(t, other.DeleteKey(t.Context(), other.scope, key.ID), registry.CodeNotFound, string(key.ID))
	if err := w.DeleteKey(t.Context(), w.scope, key.ID); err != nil {
		t.Errorf("delete: %v", err)
	}
	_, err = w.PrincipalByKeyHash(t.Context(), bound)
	refused(t, err, registry.CodeNotFound, "key")
}
