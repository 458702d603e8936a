package main

import (
	"errors"
	"testing"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

// A benchmark writes nodes that belong to nobody, so it must not run where
// others have data.
func TestBenchNeedsADatabaseOfItsOwn(t *testing.T) {
	newAccount(t)
	err := (&benchCmd{Only: []string{"raw"}, Rounds: 1, Readings: 1, Batch: 1, Connections: 1, Rate: 1, Values: 2, Devices: 100, Groups: 100}).Run(t.Context(), zerolog.Nop())
	known, ok := errors.AsType[*registry.Error](err)
	if !ok || known.Code != registry.CodeFailedPrecondition {
		t.Errorf("got %v, want FAILED_PRECONDITION", err)
	}
}
