package graph

import (
	"context"
	"fmt"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/rule"
)

// Alarms are found by the id of their twin and keep their order by their own id,
// which is that of time. They stay when the twin is deleted.

// alarmRest is what is looked at alarm by alarm.
const alarmRest = ` AND ($severity IS NULL OR n.severity = $severity) AND ($from IS NULL OR n.raisedAt >= $from) AND ($to IS NULL OR n.raisedAt < $to)
	AND ($active IS NULL OR $active = (n.open IS NOT NULL))`

var (
	alarmList = listing{
		name: "alarm.list", key: "n.keyFold", prefix: "n.account, ", item: "properties(n)",
		match: "MATCH (n:Alarm) WHERE n.account = $account" + alarmRest,
	}.registered()

	alarmListOpen = listing{
		name: "alarm.listOpen", key: "n.keyFold", prefix: "n.account, n.open, ", item: "properties(n)",
		match: "MATCH (n:Alarm) WHERE n.account = $account AND n.open = $open" + alarmRest,
	}.registered()

	alarmListOf = listing{
		name: "alarm.listOf", key: "n.keyFold", prefix: "n.account, n.twin, ", item: "properties(n)",
		match: "MATCH (n:Alarm) WHERE n.account = $account AND n.twin = $twin" + alarmRest,
	}.registered()

	alarmsOf = named("alarm.ofTwins", `
		UNWIND $ids AS id
		CALL (id) {
			MATCH (n:Alarm)
			WHERE n.account = $account AND n.twin = id AND n.keyFold > '' AND ($active IS NULL OR $active = (n.open IS NOT NULL))
			WITH n ORDER BY n.account DESC, n.twin DESC, n.keyFold DESC LIMIT $limit
			RETURN collect(properties(n)) AS alarms
		}
		RETURN collect({twin: id, alarms: alarms}) AS twins`)

	alarmAcknowledge = named("alarm.update", `
		UNWIND $rows AS row
		MATCH (a:Entity {id: row.id})
		WHERE a.account = $account AND a:Alarm
		SET a += row`)

	alarmByID = named("alarm.byID", `
		MATCH (a:Entity {id: $id})
		WHERE a.account = $account AND a:Alarm
		RETURN properties(a) AS node`)
)

func alarmParams(f registry.AlarmFilter) (listing, params) {
	l, p := alarmList, params{"severity": nil, "from": nil, "to": nil, "active": nil, "open": true}
	if f.Severity != nil {
		p["severity"] = string(*f.Severity)
	}
	if f.From != nil {
		p["from"] = *f.From
	}
	if f.To != nil {
		p["to"] = *f.To
	}
	if f.Active != nil {
		if p["active"] = *f.Active; *f.Active {
			l = alarmListOpen
		}
	}
	if f.TwinID != "" {
		l, p["twin"] = alarmListOf, string(f.TwinID)
	}
	return l, p
}

// maxAlarmsLooked is how many alarms are looked at for one page of those of some
// twins.
const maxAlarmsLooked = 20_000

// ListAlarms returns alarms, newest first. Under a group and by a rule about the
// twins a page looks at up to 20,000 alarms.
func (s *Store) ListAlarms(ctx context.Context, scope registry.Scope, f registry.AlarmFilter, page registry.PageRequest) (registry.Page[*registry.Alarm], error) {
	l, p := alarmParams(f)
	read := func(page registry.PageRequest) (registry.Page[*registry.Alarm], error) {
		found, err := readNewestFirst(ctx, s.reading(scope), l, page, p, alarmOf)
		if err != nil {
			return found, fmt.Errorf("list alarms: %w", err)
		}
		return found, nil
	}
	if f.Under == "" && f.Where == "" || page.Size == 0 {
		return read(page)
	}
	wanted := TwinSelection{Under: f.Under}
	if f.Where != "" {
		var err error
		if wanted.Where, err = rule.Parse(f.Where); err != nil {
			return registry.Page[*registry.Alarm]{}, err
		}
		if wanted.Where.NeedsMeasures() {
			return registry.Page[*registry.Alarm]{}, registry.InvalidField("where", "unsupported", "newest values are not searched by")
		}
	}
	if f.Under != "" {
		if _, err := s.GroupByPath(ctx, scope, f.Under); err != nil {
			return registry.Page[*registry.Alarm]{}, err
		}
	}
	var kept []*registry.Alarm
	at := page
	for looked := 0; len(kept) <= page.Size && looked < maxAlarmsLooked; {
		at.Size = registry.MaxPage
		some, err := read(at)
		if err != nil {
			return some, err
		}
		fits, err := s.alarmsOfTwins(ctx, scope, wanted, some.Items)
		if err != nil {
			return some, err
		}
		looked += len(some.Items)
		more := some.HasNext
		if page.Backward {
			kept, more = append(fits, kept...), some.HasPrevious
		} else {
			kept = append(kept, fits...)
		}
		if !more || len(some.Items) == 0 {
			break
		}
		if at.Key = AlarmKey(some.Items[len(some.Items)-1]); page.Backward {
			at.Key = AlarmKey(some.Items[0])
		}
	}
	out := registry.Page[*registry.Alarm]{Items: kept, HasPrevious: page.Key != "" && !page.Backward, HasNext: page.Key != "" && page.Backward}
	if len(kept) > page.Size {
		if page.Backward {
			out.Items, out.HasPrevious = kept[len(kept)-page.Size:], true
		} else {
			out.Items, out.HasNext = kept[:page.Size], true
		}
	}
	return out, nil
}

// alarmsOfTwins keeps the alarms whose twins are in a selection.
func (s *Store) alarmsOfTwins(ctx context.Context, scope registry.Scope, wanted TwinSelection, alarms []*registry.Alarm) ([]*registry.Alarm, error) {
	var ids distinct
	for _, a := range alarms {
		ids.add(string(a.TwinID))
	}
	twins := make([]registry.ID, len(ids.list))
	for i, id := range ids.list {
		twins[i] = registry.ID(id)
	}
	if len(twins) == 0 {
		return nil, nil
	}
	matching, err := s.TwinsMatching(ctx, scope, wanted, twins, nil)
	if err != nil {
		return nil, err
	}
	var kept []*registry.Alarm
	for _, a := range alarms {
		if matching[a.TwinID] {
			kept = append(kept, a)
		}
	}
	return kept, nil
}

// maxTwinAlarms is how many alarms of a twin are returned with it.
const maxTwinAlarms = 100

// AlarmsOf returns the newest alarms of twins, at most 100 each, one slot an id.
func (s *Store) AlarmsOf(ctx context.Context, scope registry.Scope, ids []registry.ID, active *bool) ([][]*registry.Alarm, error) {
	p := params{"ids": texts(ids), "active": nil, "limit": maxTwinAlarms}
	if active != nil {
		p["active"] = *active
	}
	known := make(map[registry.ID][]*registry.Alarm, len(ids))
	_, _, err := one(ctx, s.reading(scope), alarmsOf, p, func(f fields) struct{} {
		for _, row := range f.maps("twins") {
			var of []*registry.Alarm
			for _, node := range row.maps("alarms") {
				of = append(of, alarmOf(node))
			}
			known[row.id("twin")] = of
		}
		return struct{}{}
	})
	if err != nil {
		return nil, fmt.Errorf("alarms of twins: %w", err)
	}
	return slots(ids, known), nil
}

// AcknowledgeAlarm says that somebody takes care of an alarm. One that was
// acknowledged stays as it is.
func (s *Store) AcknowledgeAlarm(ctx context.Context, scope registry.Scope, id registry.ID, comment *string) (*registry.Alarm, error) {
	if violation := registry.CheckDescription(comment); violation != nil {
		violation.Path = "comment"
		return nil, registry.Invalid(*violation)
	}
	var out *registry.Alarm
	err := change(ctx, s, scope, "alarm.acknowledge", func(ctx context.Context, tx *transaction) error {
		before, ok, err := one(ctx, tx, alarmByID, params{"id": string(id)}, func(f fields) *registry.Alarm { return alarmOf(f.nested("node")) })
		if err != nil {
			return err
		}
		if !ok {
			return registry.NotFound("alarm", string(id))
		}
		out = before
		if before.AcknowledgedAt != nil {
			return nil
		}
		after, at := *before, tx.at
		after.Version++
		after.AcknowledgedAt, after.AcknowledgedByID, after.AcknowledgedByName, after.Comment = &at, scope.Actor, scope.ActorName, comment
		out = &after
		tx.recordAlarm(registry.ChangeUpdate, "acknowledged", before, &after)
		return nothing(ctx, tx, alarmAcknowledge, params{"rows": []any{alarmProperties(&after)}})
	})
	if err != nil {
		return nil, fmt.Errorf("acknowledge alarm: %w", err)
	}
	return out, nil
}

// AlarmKey is the key of an alarm in its list, for cursors.
func AlarmKey(a *registry.Alarm) string { return string(a.ID) }

// alarmOf reads the properties of an Alarm node.
func alarmOf(f fields) *registry.Alarm {
	a := &registry.Alarm{
		ID: f.id("id"), TwinID: f.id("twin"), Reference: f.text("reference"), Rule: f.text("rule"), Severity: registry.AlarmSeverity(f.text("severity")),
		Message: f.text("message"), Version: f.integer("version"), Since: f.time("since"), RaisedAt: f.time("raisedAt"), LastAt: f.time("lastAt"),
		Occurrences: f.integer("occurrences"), ClearedAt: f.optionalTime("clearedAt"), AcknowledgedAt: f.optionalTime("acknowledgedAt"), Comment: f.optionalText("comment"),
	}
	if by := f.optionalText("acknowledgedBy"); by != nil {
		a.AcknowledgedByID = registry.ID(*by)
	}
	if by := f.optionalText("acknowledgedByName"); by != nil {
		a.AcknowledgedByName = *by
	}
	return a
}
