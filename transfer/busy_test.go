package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/transfer"
)

func TestExportDuringChanges(t *testing.T) {
	w := newWorld(t)
	w.fill()
	source := &busy{Store: w.Store, w: w}
	var b strings.Builder
	e := &transfer.Exporter{Source: source, Scope: w.scope, Plain: true, Dir: t.TempDir()}
	if _, err := e.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if source.n < 10 {
		t.Fatalf("only %d changes were made meanwhile", source.n)
	}
	// What the account is now is what the file says: the last change was made
	// before its writers were held.
	same(t, "an export among changes", b.String(), w.export(true))
	other := w.another()
	outcomes, _ := other.importing(b.String(), graph.RestoreOptions{})
	if bad := refusals(outcomes); len(bad) > 0 {
		t.Errorf("refused: %q", bad)
	}
}

// busy changes the account whenever it is read.
type busy struct {
	*graph.Store
	w    world
	n    int
	held bool
}

func (b *busy) change(ctx context.Context) error {
	if b.held {
		return nil
	}
	b.n++
	scope, n := b.w.scope, b.n
	_, err := b.CreateGroup(ctx, scope, registry.NewGroup{Parent: "/Köln", Name: fmt.Sprintf("new %d", n)})
	at := registry.NewRelation{Name: "at", To: []registry.Ref{ref(registry.KindGroup, fmt.Sprintf("/Köln/new %d", n))}}
	_, err2 := b.CreateDevice(ctx, scope, registry.NewTwin{Reference: fmt.Sprintf("%c new %d", 'a'+n%26, n), Relations: []registry.NewRelation{at}})
	if n%2 == 1 {
		_, _, err := b.SetDesired(ctx, scope, registry.NewDesired{Ref: ref(registry.KindDevice, "open\\one"), Values: map[string]any{"x": float64(n)}})
		err2 = errors.Join(err2, err)
	}
	_, err3 := b.UpdateDevice(ctx, scope, ref(registry.KindDevice, "open\\one"), registry.TwinPatch{Attributes: registry.Attributes{"n": n}})
	probe := ref(registry.KindDevice, "probe 2")
	since := time.Now().UTC().Truncate(time.Millisecond)
	err4 := b.StepAlarms(ctx, scope, []registry.AlarmStep{{
		TwinID: b.w.idOf(probe), Rule: registry.AlarmRule{Name: "busy", Severity: registry.SeverityInfo}, Clear: n%2 == 0, Since: since, At: since,
	}})
	_, err5 := b.SendCommand(ctx, scope, registry.NewCommand{Device: probe, Name: "reboot"})
	_, err6 := b.ClaimCommands(ctx, scope, b.w.idOf(probe), 1)
	errs := []error{err, err2, err3, err4, err5, err6}
	switch n {
	case 2:
		_, err := b.DeleteDevice(ctx, scope, ref(registry.KindDevice, "Probe-ä"))
		errs = append(errs, err)
	case 4:
		name := "moved room"
		_, err := b.MoveGroup(ctx, scope, ref(registry.KindGroup, "/Köln/Room 1"), registry.GroupMove{Name: &name})
		errs = append(errs, err)
	case 6:
		_, err := b.DeletePolicy(ctx, scope, registry.Ref{Key: "p2"})
		_, err2 := b.DeleteGroup(ctx, scope, ref(registry.KindGroup, "/other"), registry.GroupDeletion{})
		errs = append(errs, err, err2)
	}
	return errors.Join(errs...)
}

func (b *busy) Records(ctx context.Context, scope registry.Scope, kind registry.RecordKind, after string) ([]registry.Record, string, error) {
	if err := b.change(ctx); err != nil {
		return nil, "", err
	}
	return b.Store.Records(ctx, scope, kind, after)
}

func (b *busy) RecordsByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]registry.Record, error) {
	if err := b.change(ctx); err != nil {
		return nil, err
	}
	return b.Store.RecordsByID(ctx, scope, ids)
}

func (b *busy) HoldWriters(ctx context.Context, scope registry.Scope, work func(ctx context.Context) error) error {
	return b.Store.HoldWriters(ctx, scope, func(ctx context.Context) error {
		b.held = true
		defer func() { b.held = false }()
		return work(ctx)
	})
}
