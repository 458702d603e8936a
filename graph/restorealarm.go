package graph

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/holon-registry/holon/registry"
)

// What of alarms is there already: the one that a record is about, and the one
// of its twin and rule that is active.
var restoreAlarms = named("restore.alarms", `
	UNWIND $wanted AS want
	OPTIONAL MATCH (a:Alarm {active: want.active}) WHERE a.account = $account
	OPTIONAL MATCH (b:Alarm {raised: want.raised}) WHERE b.account = $account
	RETURN collect({active: properties(a), same: properties(b)}) AS items`)

func keysOfAlarm(a *registry.Alarm) (active, raised string) {
	step := registry.AlarmStep{TwinID: a.TwinID, Rule: registry.AlarmRule{Name: a.Rule}, Since: a.Since}
	return activeKey(step), raisedKey(step)
}

// alarms restores alarms of devices and assets. None is raised or cleared by
// that: they become what the records say, and what is cleared or acknowledged
// stays so.
func (b *restoring) alarms(ctx context.Context, records []*registry.AlarmRecord) error {
	refs, stamps := make([]registry.Ref, len(records)), make([]registry.Stamp, len(records))
	for i, r := range records {
		refs[i], stamps[i] = r.Ref(), registry.Stamp{ID: r.ID}
	}
	targets, err := b.targets(ctx, refs)
	if err != nil {
		return err
	}
	taken, err := b.takenIDs(ctx, stamps)
	if err != nil {
		return err
	}
	alarms := make([]*registry.Alarm, len(records))
	wanted := []any{}
	for i, r := range records {
		violations := r.Check()
		at, ok := targets[refKey(refs[i])]
		if !ok && refs[i].Key != "" {
			violations = append(violations, registry.Violation{Path: noun(refs[i].Kind), Rule: "unknown", Message: missing(refs[i]).Error()})
		}
		if b.refuse(i, violations...) {
			continue
		}
		alarms[i] = r.Alarm()
		alarms[i].TwinID, alarms[i].Reference = at.id, at.key
		active, raised := keysOfAlarm(alarms[i])
		wanted = append(wanted, map[string]any{"active": active, "raised": raised})
	}
	held, err := b.heldAlarms(ctx, wanted)
	if err != nil {
		return err
	}
	done := map[string]bool{}
	var create, update []any
	for i, a := range alarms {
		if a == nil {
			continue
		}
		active, raised := keysOfAlarm(a)
		if done[raised] {
			b.results[i] = refusedBy(registry.Conflict("since", "the file says already what became of this alarm"))
			continue
		}
		done[raised] = true
		before := held[raised]
		after := b.alarm(i, records[i], a, before, held[active], taken)
		if after == nil {
			continue
		}
		into(held, before, after)
		if after.Active() || before != nil && a.ClearedAt != nil && after.ClearedAt.Equal(*a.ClearedAt) {
			b.toForget = append(b.toForget, after.TwinID)
		}
		switch result := b.results[i].Result; {
		case b.tx == nil:
			b.after = append(b.after, func() {
				b.ids[after.ID] = true
				into(b.raised, before, after)
			})
		case result == registry.RestoreMade:
			create = append(create, alarmProperties(after))
			b.tx.recordAlarm(registry.ChangeCreate, actionImported, nil, after)
		case result == registry.RestoreChanged:
			update = append(update, alarmProperties(after))
			b.tx.recordAlarm(registry.ChangeUpdate, actionImported, before, after)
		}
	}
	if len(update) > 0 { // first: what is cleared makes room for what is active
		if err := nothing(ctx, b, alarmAcknowledge, params{"rows": update}); err != nil {
			return err
		}
	}
	if len(create) == 0 {
		return nil
	}
	return nothing(ctx, b, alarmCreate, params{"rows": create})
}

// heldAlarms are the alarms that are there, by both of their keys.
func (b *restoring) heldAlarms(ctx context.Context, wanted []any) (map[string]*registry.Alarm, error) {
	out, _, err := one(ctx, b, restoreAlarms, params{"wanted": wanted}, func(f fields) map[string]*registry.Alarm {
		out := map[string]*registry.Alarm{}
		for _, item := range f.maps("items") {
			for _, name := range []string{"active", "same"} {
				node, ok := item.optionalMap(name)
				if !ok {
					continue
				}
				a := alarmOf(node)
				active, raised := keysOfAlarm(a)
				if out[raised] = a; a.Active() {
					out[active] = a
				}
			}
		}
		return out
	})
	if out == nil {
		out = map[string]*registry.Alarm{}
	}
	maps.Copy(out, b.raised) // in a rehearsal
	return out, err
}

// into notes what became of an alarm.
func into(held map[string]*registry.Alarm, before, after *registry.Alarm) {
	active, raised := keysOfAlarm(after)
	held[raised] = after
	switch {
	case after.Active():
		held[active] = after
	case before != nil && before.Active():
		held[active] = nil
	}
}

// alarm decides about one record, and returns what becomes of its alarm; nil if
// it is refused.
func (b *restoring) alarm(i int, r *registry.AlarmRecord, a, before, open *registry.Alarm, taken map[registry.ID]bool) *registry.Alarm {
	stamp := registry.Stamp{ID: r.ID}
	if before != nil {
		if b.taken(i, "alarm", r.RecordKey(), stamp, before.ID) {
			return nil
		}
		after := furtherAlarm(before, a)
		if len(compare(alarmSnapshot(before), alarmSnapshot(after))) == 0 {
			b.results[i].Result = registry.RestoreUnchanged
			return before
		}
		b.results[i].Result = registry.RestoreChanged
		after.Version++
		return after
	}
	if open != nil && a.Active() {
		b.results[i] = refusedBy(registry.Conflict("since", "%s %s has an active alarm %s already, since %s", noun(r.Ref().Kind), a.Reference, a.Rule, open.Since.Format(time.RFC3339Nano)))
		return nil
	}
	if !b.identify(i, stamp, taken) {
		return nil
	}
	b.results[i].Result = registry.RestoreMade
	a.ID, a.Version = b.identity(stamp.ID, r.Version, a.RaisedAt)
	return a
}

// identity is the id and the version of an alarm or a command that is made: what
// its record says with --keep-ids, else an id of its time.
func (b *restoring) identity(id registry.ID, version int, at time.Time) (registry.ID, int) {
	if !b.options.KeepIDs {
		return newIDAt(at), 1
	}
	if id == "" {
		id = newIDAt(at)
	}
	return id, max(version, 1)
}

// furtherAlarm is an alarm as another account of it says, but for what that does
// not know yet.
func furtherAlarm(held, told *registry.Alarm) *registry.Alarm {
	after := *held
	after.Severity, after.Message, after.RaisedAt = told.Severity, told.Message, told.RaisedAt
	if told.LastAt.After(held.LastAt) {
		after.LastAt, after.Occurrences = told.LastAt, told.Occurrences
	}
	if held.ClearedAt == nil {
		after.ClearedAt = told.ClearedAt
	}
	if held.AcknowledgedAt == nil {
		after.AcknowledgedAt, after.Comment = told.AcknowledgedAt, told.Comment
		after.AcknowledgedByID, after.AcknowledgedByName = told.AcknowledgedByID, told.AcknowledgedByName
	}
	return &after
}

// forget has what is remembered beside the live state, of alarms that are active or
// that the file says were cleared, taken from the graph again: it may be older than
// they are here. That is done for those that were as the file says before, too, so
// that an import that was cut off completes it.
func (b *restoring) forget(ctx context.Context) error {
	if len(b.toForget) == 0 || b.options.Forget == nil || b.tx == nil {
		return nil
	}
	slices.Sort(b.toForget)
	if err := b.options.Forget(ctx, b.scope, slices.Compact(b.toForget)); err != nil {
		return fmt.Errorf("forget what is remembered of alarms: %w", err)
	}
	return nil
}
