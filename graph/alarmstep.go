package graph

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/holon-registry/holon/registry"
)

var (
	// An alarm is known by its twin and rule while it is active, and by the moment
	// that its condition came to hold for ever: raising it again for the same
	// reason does nothing.
	alarmHeld = named("alarm.held", `
		UNWIND $wanted AS want
		MATCH (t:Entity {id: want.twin})
		WHERE t.account = $account AND t:Device|Asset
		OPTIONAL MATCH (a:Alarm {active: want.active}) WHERE a.account = $account
		OPTIONAL MATCH (b:Alarm {raised: want.raised}) WHERE b.account = $account
		RETURN collect({key: want.raised, reference: t.reference, active: properties(a), known: b IS NOT NULL}) AS held`)

	alarmCreate = named("alarm.create", `
		UNWIND $rows AS row
		CREATE (a:Alarm:Entity)
		SET a = row, a.account = $account`)

	alarmTemplates = named("alarm.templates", `
		MATCH (t:Template)
		WHERE t.alarmed > 0 AND t.keyFold IS NOT NULL AND t.status = 'PUBLISHED'
		RETURN collect(DISTINCT t.account) AS accounts`)
)

// AlarmingAccounts returns the accounts that have a template with alarms.
func (s *Store) AlarmingAccounts(ctx context.Context) ([]registry.ID, error) {
	accounts, _, err := one(ctx, s.reading(registry.Scope{}), alarmTemplates, nil, func(f fields) []registry.ID { return f.ids("accounts") })
	if err != nil {
		return nil, fmt.Errorf("accounts with alarms: %w", err)
	}
	return accounts, nil
}

// alarmingFor is how long a partition goes by what accounts had alarms.
const alarmingFor = 2 * time.Second

// findAlarming finds out now and then which accounts have alarms.
func (p *Partition) findAlarming(ctx context.Context) error {
	if now := time.Now(); now.Sub(p.alarmingAt) >= alarmingFor {
		accounts, err := p.store.AlarmingAccounts(ctx)
		if err != nil {
			return err
		}
		p.alarming, p.alarmingAt = make(map[registry.ID]bool, len(accounts)), now
		for _, account := range accounts {
			p.alarming[account] = true
		}
	}
	return nil
}

func activeKey(step registry.AlarmStep) string { return string(step.TwinID) + "/" + step.Rule.Name }

func raisedKey(step registry.AlarmStep) string {
	return activeKey(step) + "/" + strconv.FormatInt(step.Since.UnixMilli(), 10)
}

// StepAlarms raises and clears alarms, in one transaction. Doing so again changes
// nothing: one alarm of a twin and a rule is active at a time, and is raised once
// for the same reason. What is said of twins that are gone is ignored.
func (s *Store) StepAlarms(ctx context.Context, scope registry.Scope, steps []registry.AlarmStep) error {
	for attempt := 1; ; attempt++ {
		err := change(ctx, s, scope, "alarm.step", func(ctx context.Context, tx *transaction) error { return tx.stepAlarms(ctx, steps) })
		if errors.Is(err, errConstraint) && attempt < maxAttempts {
			continue // somebody else raised it a moment ago
		}
		if err != nil {
			return fmt.Errorf("raise and clear alarms: %w", err)
		}
		return nil
	}
}

type heldAlarm struct {
	reference string
	active    *registry.Alarm
	known     bool
}

func (t *transaction) stepAlarms(ctx context.Context, steps []registry.AlarmStep) error {
	wanted := make([]any, len(steps))
	for i, step := range steps {
		wanted[i] = map[string]any{"twin": string(step.TwinID), "active": activeKey(step), "raised": raisedKey(step)}
	}
	held := map[string]*heldAlarm{}
	_, _, err := one(ctx, t, alarmHeld, params{"wanted": wanted}, func(f fields) struct{} {
		for _, row := range f.maps("held") {
			h := &heldAlarm{reference: row.text("reference"), known: row.boolean("known")}
			if node, ok := row.optionalMap("active"); ok {
				h.active = alarmOf(node)
			}
			held[row.text("key")] = h
		}
		return struct{}{}
	})
	if err != nil {
		return err
	}
	now := map[string]*registry.Alarm{} // the active alarm as the steps so far left it
	made := map[registry.ID]bool{}
	var create, update []any
	for _, step := range steps {
		h := held[raisedKey(step)]
		if h == nil {
			continue
		}
		active, touched := now[activeKey(step)]
		if !touched {
			active = h.active
		}
		after, action := stepAlarm(active, h, step, t.at)
		if after == nil {
			continue
		}
		operation := registry.ChangeUpdate
		switch {
		case active == nil:
			operation = registry.ChangeCreate
			made[after.ID], h.known = true, true
		case made[after.ID]:
			create = slices.DeleteFunc(create, func(row any) bool { return row.(map[string]any)["id"] == string(after.ID) })
		default:
			update = slices.DeleteFunc(update, func(row any) bool { return row.(map[string]any)["id"] == string(after.ID) })
		}
		if row := alarmProperties(after); made[after.ID] {
			create = append(create, row)
		} else {
			update = append(update, row)
		}
		t.recordAlarm(operation, action, active, after)
		if now[activeKey(step)] = after; !after.Active() {
			now[activeKey(step)] = nil
		}
	}
	if len(update) > 0 {
		if err := nothing(ctx, t, alarmAcknowledge, params{"rows": update}); err != nil {
			return err
		}
	}
	if len(create) == 0 {
		return nil
	}
	return nothing(ctx, t, alarmCreate, params{"rows": create})
}

// stepAlarm is what a step makes of the active alarm, if there is one; nil for
// nothing.
func stepAlarm(active *registry.Alarm, h *heldAlarm, step registry.AlarmStep, now time.Time) (*registry.Alarm, string) {
	switch {
	case step.Clear && active != nil:
		after := *active
		after.Version++
		after.ClearedAt = &now
		return &after, "cleared"
	case step.Clear, active == nil && h.known:
		return nil, ""
	case active != nil:
		if step.Rule.Trigger != registry.TriggerEveryTime || !step.At.After(active.LastAt) {
			return nil, ""
		}
		after := *active
		after.Version++
		after.LastAt, after.Occurrences = step.At, active.Occurrences+1
		return &after, "raised"
	}
	return &registry.Alarm{
		ID: newID(), TwinID: step.TwinID, Reference: h.reference, Rule: step.Rule.Name, Severity: step.Rule.Severity, Message: step.Rule.Message,
		Version: 1, Since: step.Since, RaisedAt: now, LastAt: step.At, Occurrences: 1,
	}, "raised"
}

// alarmProperties is what an alarm's node holds. Open and active are there while
// it is active.
func alarmProperties(a *registry.Alarm) map[string]any {
	key := registry.AlarmStep{TwinID: a.TwinID, Rule: registry.AlarmRule{Name: a.Rule}, Since: a.Since}
	out := map[string]any{
		"id": string(a.ID), "keyFold": string(a.ID), "twin": string(a.TwinID), "reference": a.Reference, "rule": a.Rule, "severity": string(a.Severity),
		"message": a.Message, "version": a.Version, "since": a.Since.UTC(), "raisedAt": a.RaisedAt, "lastAt": a.LastAt.UTC(), "occurrences": a.Occurrences,
		"clearedAt": orNull(a.ClearedAt), "acknowledgedAt": orNull(a.AcknowledgedAt), "comment": a.Comment, "raised": raisedKey(key), "open": nil, "active": nil,
	}
	if a.AcknowledgedAt != nil {
		out["acknowledgedBy"], out["acknowledgedByName"] = string(a.AcknowledgedByID), a.AcknowledgedByName
	}
	if a.Active() {
		out["open"], out["active"] = true, activeKey(key)
	}
	return out
}

// recordAlarm notes what becomes of an alarm; before is nil for a new one.
func (t *transaction) recordAlarm(operation registry.ChangeOperation, action string, before, after *registry.Alarm) {
	e := entry{kind: registry.ObjectAlarm, id: after.ID, key: after.Reference + "/" + after.Rule, operation: operation, action: action, version: after.Version, after: alarmSnapshot(after)}
	if before != nil {
		e.before = alarmSnapshot(before)
	}
	t.record(e)
}

// alarmSnapshot is the snapshot of an alarm.
func alarmSnapshot(a *registry.Alarm) map[string]any {
	out := map[string]any{
		"id": string(a.ID), "twin": string(a.TwinID), "reference": a.Reference, "rule": a.Rule, "severity": string(a.Severity), "message": a.Message,
		"version": a.Version, "since": moment(a.Since), "raisedAt": moment(a.RaisedAt), "lastAt": moment(a.LastAt), "occurrences": a.Occurrences,
	}
	for name, at := range map[string]*time.Time{"clearedAt": a.ClearedAt, "acknowledgedAt": a.AcknowledgedAt} {
		if at != nil {
			out[name] = moment(*at)
		}
	}
	if a.AcknowledgedAt != nil {
		out["acknowledgedBy"] = map[string]any{"id": string(a.AcknowledgedByID), "name": a.AcknowledgedByName}
	}
	if a.Comment != nil {
		out["comment"] = *a.Comment
	}
	return out
}
