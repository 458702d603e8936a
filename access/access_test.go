package access_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holon-registry/holon/access"
	"github.com/holon-registry/holon/registry"
)

// keys is a store of keys that can be made to fail.
type keys struct {
	mu    sync.Mutex
	known map[string]*registry.Principal
	err   error
	asked int
	slow  time.Duration
}

func (k *keys) PrincipalByKeyHash(_ context.Context, hash string) (*registry.Principal, error) {
	time.Sleep(k.slow)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if k.err != nil {
		return nil, k.err
	}
	if p, ok := k.known[hash]; ok {
		return p, nil
	}
	return nil, registry.NotFound("key", "")
}

func TestSecrets(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		secret := access.NewSecret()
		if len(secret) != 46 || !strings.HasPrefix(secret, "hk_") || seen[secret] {
			t.Fatalf("bad secret %q", secret)
		}
		seen[secret] = true
	}
	if got, want := access.Hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; got != want {
		t.Errorf("Hash is %s, want %s", got, want)
	}
}

func TestAuthenticate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secret := access.NewSecret()
		who := &registry.Principal{Scope: registry.Scope{Account: "a"}}
		store := &keys{known: map[string]*registry.Principal{access.Hash(secret): who}, slow: time.Millisecond}
		auth := access.NewAuthenticator(store, nil)
		expect := func(step, secret string, code registry.Code, asked int) {
			t.Helper()
			p, err := auth.Authenticate(t.Context(), secret)
			switch {
			case code == "" && (err != nil || p != who):
				t.Fatalf("%s: got %v, %v", step, p, err)
			case code != "" && registry.CodeOf(err) != code:
				t.Fatalf("%s: got %v, want %s", step, err, code)
			}
			if store.asked != asked {
				t.Fatalf("%s: the store was asked %d times, want %d", step, store.asked, asked)
			}
		}
		expect("not a key", "hunter2", registry.CodeUnauthenticated, 0)
		expect("nobody's key", access.NewSecret(), registry.CodeUnauthenticated, 1)

		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() {
				if _, err := auth.Authenticate(t.Context(), secret); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		expect("cached, after 50 at once", secret, "", 2)

		time.Sleep(6 * time.Second)
		expect("asked again after 5 s", secret, "", 3)

		store.err = registry.Unavailable("graph database", nil)
		time.Sleep(6 * time.Second)
		expect("store down, key known", secret, "", 4)
		expect("store down, key unknown", access.NewSecret(), registry.CodeUnavailable, 5)
		time.Sleep(16 * time.Minute)
		expect("store down for too long", secret, registry.CodeUnavailable, 6)

		store.err, store.known = nil, nil
		expect("deleted", secret, registry.CodeUnauthenticated, 7)
		store.err = registry.Unavailable("graph database", nil)
		expect("deleted, then the store is down", secret, registry.CodeUnavailable, 8)
	})
}
