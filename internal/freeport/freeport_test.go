package freeport

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// TestTake takes ports: each but once, until it is released, whether or not
// something listens there.
func TestTake(t *testing.T) {
	seen := map[int]bool{}
	for range 100 {
		p, err := Take(20_000)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Release() })
		if seen[p.Number] || p.Number < first || p.Number > 20_000 {
			t.Fatalf("port %d, after %v", p.Number, seen)
		}
		seen[p.Number] = true
	}
	p, err := Take(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := take(p.Number); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port that is taken: %v", err)
	}
	listener, err := net.Listen("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := p.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := take(p.Number); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port that is listened on: %v", err)
	}
}
