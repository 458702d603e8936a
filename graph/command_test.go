package graph_test

import (
	"testing"
	"time"

	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// TestCommandStates takes a command through its states: it is claimed once,
// answered once, and expires.
func TestCommandStates(t *testing.T) {
	t.Parallel()
	store, scope := testkit.Store(t)
	ctx := t.Context()
	if _, err := store.CreateTemplate(ctx, scope, registry.NewTemplate{Kind: registry.KindDevice, Name: "valve", Publish: true, Behaviour: registry.Behaviour{
		Commands: []registry.CommandDeclaration{{Name: "move", Response: map[string]any{"type": "object", "required": []any{"reached"}}}},
	}}); err != nil {
		t.Fatal(err)
	}
	device, err := store.CreateDevice(ctx, scope, registry.NewTwin{Reference: "v1", Template: "valve"})
	if err != nil {
		t.Fatal(err)
	}
	send := func() *registry.Command {
		t.Helper()
		c, err := store.SendCommand(ctx, scope, registry.NewCommand{Device: registry.Ref{Key: "V1"}, Name: "move", Parameters: map[string]any{"to": 3}})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, second := send(), send()
	claim := func(want ...*registry.Command) {
		t.Helper()
		got, err := store.ClaimCommands(ctx, scope, device.ID, 1)
		if err != nil || len(got) != len(want) || len(want) > 0 && (got[0].ID != want[0].ID || got[0].State != registry.CommandSent) {
			t.Fatalf("claimed %v, %v, want %v", got, err, want)
		}
	}
	claim(first)
	claim(second)
	claim()
	if err := store.ReturnCommand(ctx, scope, second.ID); err != nil {
		t.Fatal(err)
	}
	claim(second)
	if err := store.CommandDelivered(ctx, scope, second.ID); err != nil {
		t.Fatal(err)
	}
	if err := store.ReturnCommand(ctx, scope, second.ID); err != nil {
		t.Fatal(err)
	}
	claim()
	reply := func(c *registry.Command, result any, want registry.CommandState) {
		t.Helper()
		if err := store.ReplyCommand(ctx, scope, device.ID, registry.CommandReply{ID: c.ID, Result: result}); err != nil {
			t.Fatal(err)
		}
		got, err := store.CommandsByID(ctx, scope, []registry.ID{c.ID})
		if err != nil || got[0].State != want || got[0].EndedAt == nil {
			t.Fatalf("answered: %+v, %v, want %s", got[0], err, want)
		}
	}
	reply(first, map[string]any{"reached": 3}, registry.CommandAcknowledged)
	reply(first, "nonsense", registry.CommandAcknowledged)
	reply(second, "nonsense", registry.CommandFailed)
	if err := store.ReplyCommand(ctx, scope, "another", registry.CommandReply{ID: first.ID}); registry.CodeOf(err) != registry.CodeNotFound {
		t.Errorf("another device answers: %v", err)
	}
	soon := time.Second
	if _, err := store.SendCommand(ctx, scope, registry.NewCommand{Device: registry.Ref{ID: device.ID}, Name: "move", ExpiresAfter: &soon}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(soon + 10*time.Millisecond)
	claim() // what has expired is not sent any more
}
