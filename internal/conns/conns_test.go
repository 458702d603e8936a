package conns_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/holon-registry/holon/internal/conns"
)

func TestPlacesAreBounded(t *testing.T) {
	t.Parallel()
	var set conns.Set[string]
	first, second := set.Reserve(2), set.Reserve(2)
	if first == nil || second == nil {
		t.Fatal("a place is refused although it is free")
	}
	if first.Enter("first"); set.Reserve(2) != nil {
		t.Error("one that entered and one that waits are two: there is no third place")
	}
	second.Leave() // it was not accepted
	third := set.Reserve(2)
	if third == nil {
		t.Fatal("the place of what was not accepted is not free")
	}
	third.Enter("third")
	if open := set.Open(); len(open) != 2 || !slices.Contains(open, "first") || !slices.Contains(open, "third") {
		t.Errorf("open are %v", open)
	}
	first.Leave()
	if open := set.Open(); len(open) != 1 || set.Reserve(2) == nil || set.Reserve(2) != nil {
		t.Errorf("%v and one that waits leave no place, or more than one", open)
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	var set conns.Set[string]
	open, waiting := set.Reserve(10), set.Reserve(10)
	open.Enter("open")
	told, ended := make(chan string, 10), make(chan error, 1)
	go func() { ended <- set.Shutdown(t.Context(), func(conn string) { told <- conn }) }()
	if conn := <-told; conn != "open" {
		t.Errorf("%s was told to end", conn)
	}
	if set.Reserve(10) != nil {
		t.Error("somebody is let in after the end")
	}
	if !waiting.Enter("late") {
		t.Error("who was being accepted does not hear that it is to end")
	}
	open.Leave()
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if err := set.Shutdown(short, func(string) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("while one is open: %v", err)
	}
	select {
	case err := <-ended:
		t.Fatalf("Shutdown did not wait for all: %v", err)
	default:
	}
	waiting.Leave()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
