package transfer_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

// idOf is the id of a device or an asset.
func (w world) idOf(of registry.Ref) registry.ID {
	w.Helper()
	if of.Kind == registry.KindAsset {
		a, err := w.AssetByReference(w.Context(), w.scope, of.Key, graph.Include{})
		w.ok(err)
		return a.Twin.NodeID()
	}
	d, err := w.DeviceByReference(w.Context(), w.scope, of.Key, graph.Include{})
	w.ok(err)
	return d.Twin.NodeID()
}

// hot is a step of an alarm, minutes after a moment.
func (w world) hot(of registry.Ref, from time.Time, since, at int) registry.AlarmStep {
	return registry.AlarmStep{
		TwinID: w.idOf(of), Since: from.Add(time.Duration(since) * time.Minute), At: from.Add(time.Duration(at) * time.Minute),
		Rule: registry.AlarmRule{Name: "hot", Trigger: registry.TriggerEveryTime, Severity: registry.SeverityMajor, Message: "too \"hot\""},
	}
}

func cleared(step registry.AlarmStep) registry.AlarmStep {
	step.Clear = true
	return step
}

// send tells a device something and has it claimed, unless it is to wait.
func (w world) send(device, name string, wait bool) *registry.Command {
	w.Helper()
	after := 24 * time.Hour
	c, err := w.SendCommand(w.Context(), w.scope, registry.NewCommand{
		Device: ref(registry.KindDevice, device), Name: name, Parameters: map[string]any{"after": 1.5, "list": []any{1, "a"}, "whole": 2.0}, ExpiresAfter: &after,
	})
	w.ok(err)
	if !wait {
		got, err := w.ClaimCommands(w.Context(), w.scope, c.DeviceID, 1)
		if err != nil || len(got) != 1 || got[0].ID != c.ID {
			w.Fatalf("claimed %v, %v", got, err)
		}
	}
	return c
}

// fillMotion raises alarms and sends commands, in every state but for QUEUED and
// EXPIRED.
func (w world) fillMotion() {
	w.Helper()
	ctx, scope := w.Context(), w.scope
	scope.ActorName = "the night shift"
	from := time.Now().UTC().Truncate(time.Millisecond).Add(-time.Hour)
	probe, store := ref(registry.KindDevice, "probe 2"), ref(registry.KindAsset, "Store/1")
	other := w.hot(probe, from, 5, 5)
	other.Rule.Name, other.Rule.Message = "ajar", ""
	w.ok(w.StepAlarms(ctx, scope, []registry.AlarmStep{w.hot(probe, from, 0, 0), w.hot(probe, from, 0, 1), w.hot(store, from, 2, 2), other, w.hot(ref(registry.KindDevice, "Probe-ä"), from, 3, 3)}))
	w.ok(w.StepAlarms(ctx, scope, []registry.AlarmStep{cleared(w.hot(probe, from, 6, 6)), cleared(w.hot(store, from, 6, 6))}))
	w.ok(w.StepAlarms(ctx, scope, []registry.AlarmStep{w.hot(probe, from, 7, 7)}))
	of, err := w.AlarmsOf(ctx, scope, []registry.ID{w.idOf(probe), w.idOf(store)}, nil)
	w.ok(err)
	comment := "on my way"
	for _, id := range []registry.ID{of[0][0].ID, of[1][0].ID} {
		_, err := w.AcknowledgeAlarm(ctx, scope, id, &comment)
		w.ok(err)
	}
	done, failed := w.send("probe 2", "reboot", false), w.send("probe 2", "reboot", false)
	w.ok(w.ReplyCommand(ctx, scope, done.DeviceID, registry.CommandReply{ID: done.ID, Result: map[string]any{"x": 0.5, "whole": 3.0, "list": []any{true, nil}}}))
	w.ok(w.ReplyCommand(ctx, scope, failed.DeviceID, registry.CommandReply{ID: failed.ID, Failed: true}))
	w.ok(w.CommandDelivered(ctx, scope, w.send("probe 2", "reboot", false).ID))
	w.send("open\\one", "beep", false)
	_, err = w.CancelCommand(ctx, scope, w.send("Probe-ä", "reboot", true).ID)
	w.ok(err)
}

// commandLine is a command in a file.
func commandLine(state, rest string) string {
	return `{"record":"command","device":"d","name":"beep","state":"` + state + `",` + rest + `}`
}

// TestCommandsAreNotSentAgain imports commands in every state: what waited is
// sent only if that was asked for, what was sent never is.
func TestCommandsAreNotSentAgain(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	_, err := w.CreateDevice(ctx, w.scope, registry.NewTwin{Reference: "d"})
	w.ok(err)
	expired := file(commandLine("EXPIRED", `"createdAt":"2026-01-01T00:00:00Z","sentAt":"2026-01-01T00:00:01Z","expiresAt":"2026-01-01T01:00:00Z","endedAt":"2026-01-01T01:00:00.5Z"`))
	if outcomes, sum := w.importing(expired, graph.RestoreOptions{}); sum.Made != 1 {
		t.Fatalf("refused: %q", refusals(outcomes))
	}
	done := w.send("d", "beep", false)
	w.ok(w.ReplyCommand(ctx, w.scope, done.DeviceID, registry.CommandReply{ID: done.ID, Result: "beep"}))
	w.send("d", "beep", false)
	waiting := w.send("d", "beep", true)
	first := w.export(true)
	claim := func(in world) []*registry.Command {
		t.Helper()
		got, err := in.ClaimCommands(ctx, in.scope, in.idOf(ref(registry.KindDevice, "d")), 10)
		in.ok(err)
		return got
	}
	again := func(in world, text string, options graph.RestoreOptions, changed int) {
		t.Helper()
		before := in.export(false)
		outcomes, sum := in.importing(text, options)
		if sum.Made+sum.Refused > 0 || sum.Changed != changed {
			t.Errorf("again: %+v, refused %q", sum, refusals(outcomes))
		}
		if changed == 0 {
			same(t, "once more", in.export(false), before)
		}
	}

	// What waited is in doubt: it can be answered, and expires.
	other := w.another()
	if outcomes, sum := other.importing(first, graph.RestoreOptions{}); sum.Refused > 0 {
		t.Fatalf("refused: %q", refusals(outcomes))
	}
	same(t, "what waited is taken for sent", other.export(true), strings.Replace(first, `"state":"QUEUED"`, `"state":"SENT"`, 1))
	if got := claim(other); len(got) > 0 {
		t.Errorf("%d commands would be sent again", len(got))
	}
	again(other, first, graph.RestoreOptions{SendQueued: true}, 0)
	page, err := other.ListCommands(ctx, other.scope, other.idOf(ref(registry.KindDevice, "d")), nil, registry.PageRequest{Size: 10})
	w.ok(err)
	if doubt := page.Items[0]; len(page.Items) != 4 || doubt.SentAt != nil || !doubt.CreatedAt.Equal(waiting.CreatedAt) {
		t.Fatalf("%d commands, the newest %+v", len(page.Items), doubt)
	}
	w.ok(other.ReplyCommand(ctx, other.scope, page.Items[0].DeviceID, registry.CommandReply{ID: page.Items[0].ID, Result: "late"}))
	again(other, first, graph.RestoreOptions{}, 0)

	// If it is to be sent, it is, once.
	third := w.another()
	third.importing(first, graph.RestoreOptions{SendQueued: true})
	same(t, "with what waits", third.export(true), first)
	if got := claim(third); len(got) != 1 || got[0].Parameters["after"] != 1.5 {
		t.Errorf("claimed %v", got)
	}
	again(third, first, graph.RestoreOptions{SendQueued: true}, 0)
	if got := claim(third); len(got) > 0 {
		t.Errorf("sent twice: %v", got)
	}
	// What became of it elsewhere is taken over.
	claim(w)
	w.ok(w.ReplyCommand(ctx, w.scope, waiting.DeviceID, registry.CommandReply{ID: waiting.ID, Failed: true}))
	again(third, w.export(false), graph.RestoreOptions{}, 1)
	same(t, "with the answer", third.export(true), w.export(true))

	// What is too late is not sent, and what is wrong is refused.
	_, sum := w.importing(file(commandLine("QUEUED", `"createdAt":"2026-01-02T00:00:00Z","expiresAt":"2026-01-02T01:00:00Z"`)), graph.RestoreOptions{SendQueued: true})
	if got := claim(w); sum.Made != 1 || len(got) > 0 {
		t.Errorf("%+v, and claimed %v", sum, got)
	}
	outcomes, _ := w.importing(file(commandLine("EXPIRED", `"parameters":{"x":1},"createdAt":"2026-01-01T00:00:00Z","expiresAt":"2026-01-01T01:00:00Z","endedAt":"2026-01-01T01:00:00.5Z"`)), graph.RestoreOptions{})
	if bad := refusals(outcomes); len(bad) != 1 || !strings.Contains(bad[0], "another beep at that moment") {
		t.Errorf("another command of the same moment: %q", bad)
	}
}

// TestImportedAlarmsGoOn imports alarms that are active: they are cleared as if
// they had been raised there, stay cleared, and leave no room for others.
func TestImportedAlarmsGoOn(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	from := time.Now().UTC().Truncate(time.Millisecond).Add(-time.Hour)
	device := ref(registry.KindDevice, "d")
	_, err := w.CreateDevice(ctx, w.scope, registry.NewTwin{Reference: "d"})
	w.ok(err)
	w.ok(w.StepAlarms(ctx, w.scope, []registry.AlarmStep{w.hot(device, from, 0, 0)}))
	first := w.export(true)
	of := func(in world) []*registry.Alarm {
		t.Helper()
		page, err := in.ListAlarms(ctx, in.scope, registry.AlarmFilter{}, registry.PageRequest{Size: 10})
		in.ok(err)
		return page.Items
	}

	other := w.another()
	var told []registry.ID
	forget := func(_ context.Context, _ registry.Scope, twins []registry.ID) error {
		told = append(told, twins...)
		return nil
	}
	other.importing(first, graph.RestoreOptions{Forget: forget})
	if len(told) != 1 || told[0] != other.idOf(device) {
		t.Errorf("what is remembered of %v is to be forgotten", told)
	}
	step := other.hot(device, from, 0, 0)
	w.ok(other.StepAlarms(ctx, other.scope, []registry.AlarmStep{step, cleared(other.hot(device, from, 1, 1)), step}))
	if got := of(other); len(got) != 1 || got[0].Active() || got[0].Version != 2 {
		t.Fatalf("raised once and cleared: %+v", got)
	}
	w.ok(other.StepAlarms(ctx, other.scope, []registry.AlarmStep{other.hot(device, from, 30, 30)}))
	told = nil
	if outcomes, sum := other.importing(first, graph.RestoreOptions{Forget: forget}); sum.Made+sum.Changed+sum.Refused > 0 || len(told) > 0 {
		t.Errorf("once more: %+v, %q, forgotten: %v", sum, refusals(outcomes), told)
	}

	// What became of it elsewhere is taken over; what is older stands before.
	w.ok(w.StepAlarms(ctx, w.scope, []registry.AlarmStep{w.hot(device, from, 0, 2), cleared(w.hot(device, from, 3, 3))}))
	comment := "seen"
	_, err = w.AcknowledgeAlarm(ctx, w.scope, of(w)[0].ID, &comment)
	w.ok(err)
	if _, sum := other.importing(w.export(false), graph.RestoreOptions{}); sum.Changed != 1 || sum.Made > 0 {
		t.Errorf("what became of it: %+v", sum)
	}
	got := of(other)
	if len(got) != 2 || !got[0].Active() || got[1].Occurrences != 2 || got[1].Comment == nil || got[1].AcknowledgedByID != "testkit" {
		t.Errorf("the alarms are %+v", got)
	}

	// One that is cleared by the file is remembered as active until that is forgotten.
	fourth := w.another()
	fourth.importing(first, graph.RestoreOptions{Forget: forget})
	for _, changed := range []int{1, 0} { // the second time completes an import that was cut off
		told = nil
		if _, sum := fourth.importing(w.export(false), graph.RestoreOptions{Forget: forget}); sum.Changed != changed || len(told) != 1 {
			t.Errorf("cleared by the file: %+v, forgotten: %v", sum, told)
		}
	}
	before := of(fourth)[0]
	if _, sum := fourth.importing(first, graph.RestoreOptions{}); sum.Changed > 0 {
		t.Errorf("an older file: %+v", sum)
	}
	if diff := cmp.Diff(before, of(fourth)[0]); diff != "" {
		t.Errorf("an older file: %s", diff)
	}

	// One alarm of a twin and a rule is active at a time.
	third := w.another()
	_, err = third.CreateDevice(ctx, third.scope, registry.NewTwin{Reference: "d"})
	w.ok(err)
	w.ok(third.StepAlarms(ctx, third.scope, []registry.AlarmStep{third.hot(device, from, 20, 20)}))
	for _, dry := range []bool{true, false} {
		outcomes, _ := third.importing(first, graph.RestoreOptions{Rehearse: dry})
		if bad := refusals(outcomes); len(bad) != 1 || !strings.Contains(bad[0], "device d has an active alarm hot already") {
			t.Errorf("dry run %t: another is active: %q", dry, bad)
		}
	}
	if _, sum := third.importing(w.export(true), graph.RestoreOptions{}); sum.Made != 1 || sum.Refused > 0 {
		t.Errorf("one that is cleared: %+v", sum)
	}
	if got := of(third); len(got) != 2 || !got[0].Active() || got[1].Active() {
		t.Errorf("the older one stands before: %+v", got)
	}
}
