package graph

import (
	"context"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Alarms and commands name their twin by its id, so its key is looked up with
// them. Those of twins that are gone are in no file: nothing that they could name
// is there.

var (
	recordAlarms = named("alarm.records", `
		MATCH (n:Alarm)
		WHERE n.account = $account AND n.keyFold > $key
		WITH n ORDER BY n.account, n.keyFold LIMIT $limit
		OPTIONAL MATCH (t:Entity {id: n.twin})
		WHERE t.account = $account AND (t:Device OR t:Asset)
		RETURN collect({node: properties(n), alarm: true, asset: t:Asset, reference: t.reference, key: t.keyFold}) AS items`)

	// Commands are in order for each device.
	recordCommanded = named("command.recordDevices", `
		MATCH (d:Device)
		WHERE d.account = $account AND d.keyFold >= $key
		WITH d ORDER BY d.account, d.keyFold LIMIT $limit
		RETURN collect({id: d.id, reference: d.reference, key: d.keyFold}) AS devices`)

	recordCommands = named("command.records", `
		UNWIND $devices AS device
		CALL (device) {
			MATCH (n:Command)
			WHERE n.account = $account AND n.device = device.id AND n.keyFold > device.after
			WITH n ORDER BY n.account, n.device, n.keyFold LIMIT $limit
			RETURN n
		}
		WITH device, n LIMIT $limit
		RETURN collect({node: properties(n), alarm: false, asset: false, reference: device.reference, key: device.key}) AS items`)

	recordMotionByID = named("record.motionByID", `
		UNWIND $ids AS id
		MATCH (n:Entity {id: id})
		WHERE n.account = $account AND (n:Alarm OR n:Command)
		MATCH (t:Entity {id: n.twin})
		WHERE t.account = $account AND (t:Device OR t:Asset)
		RETURN collect({node: properties(n), alarm: n:Alarm, asset: t:Asset, reference: t.reference, key: t.keyFold}) AS items`)

	recordMotionOfGone = named("record.motionOfGone", `
		UNWIND $ids AS id
		CALL (id) {
			MATCH (n:Alarm)
			WHERE n.account = $account AND n.twin = id AND n.keyFold > ''
			RETURN n.id AS of
			UNION
			MATCH (n:Command)
			WHERE n.account = $account AND n.device = id AND n.keyFold > ''
			RETURN n.id AS of
		}
		RETURN collect(of) AS ids`)
)

// Between the key of a device and the id of a command, in what they are ordered
// by; lower than whatever a key may have. The last id comes after all.
const (
	orderSeparator = "\x01"
	lastID         = "~"
)

// motionRecordOf is nil for what is about a twin that is gone.
func motionRecordOf(f fields) registry.Record {
	reference := f.optionalText("reference")
	if reference == nil {
		return nil
	}
	if !f.boolean("alarm") {
		c := commandOf(f.nested("node"))
		return registry.NewCommandRecord(c, *reference, f.text("key")+orderSeparator+string(c.ID))
	}
	of := registry.Ref{Kind: registry.KindDevice, Key: *reference}
	if f.boolean("asset") {
		of.Kind = registry.KindAsset
	}
	return registry.NewAlarmRecord(alarmOf(f.nested("node")), of)
}

func motionRecordsOf(f fields) []registry.Record {
	var out []registry.Record
	for _, item := range f.maps("items") {
		if record := motionRecordOf(item); record != nil {
			out = append(out, record)
		}
	}
	return out
}

// alarmRecords returns a page of alarms, the oldest first.
func (s *Store) alarmRecords(ctx context.Context, scope registry.Scope, after string) ([]registry.Record, string, error) {
	type page struct {
		records []registry.Record
		next    string
	}
	got, _, err := one(ctx, s.reading(scope), recordAlarms, params{"key": after, "limit": recordPage}, func(f fields) page {
		out := page{records: motionRecordsOf(f)}
		if items := f.maps("items"); len(items) == recordPage {
			for _, item := range items {
				out.next = max(out.next, item.nested("node").text("keyFold"))
			}
		}
		return out
	})
	slices.SortFunc(got.records, func(x, y registry.Record) int { return strings.Compare(string(x.RecordID()), string(y.RecordID())) })
	return got.records, got.next, err
}

// commandRecords returns a page of commands, by device, the oldest first. A page
// looks at the commands of as many devices as fit into one: it may be empty
// although there are more.
func (s *Store) commandRecords(ctx context.Context, scope registry.Scope, after string) ([]registry.Record, string, error) {
	from, done, _ := strings.Cut(after, orderSeparator)
	type device struct{ id, reference, key string }
	devices, _, err := one(ctx, s.reading(scope), recordCommanded, params{"key": from, "limit": recordPage}, func(f fields) []device {
		var out []device
		for _, d := range f.maps("devices") {
			out = append(out, device{d.text("id"), d.text("reference"), d.text("key")})
		}
		return out
	})
	if err != nil || len(devices) == 0 {
		return nil, "", err
	}
	slices.SortFunc(devices, func(x, y device) int { return strings.Compare(x.key, y.key) })
	wanted := make([]any, len(devices))
	for i, d := range devices {
		of := map[string]any{"id": d.id, "reference": d.reference, "key": d.key, "after": ""}
		if d.key == from {
			of["after"] = done
		}
		wanted[i] = of
	}
	records, _, err := one(ctx, s.reading(scope), recordCommands, params{"devices": wanted, "limit": recordPage}, motionRecordsOf)
	if err != nil {
		return nil, "", err
	}
	slices.SortFunc(records, func(x, y registry.Record) int {
		return strings.Compare(x.(*registry.CommandRecord).Order, y.(*registry.CommandRecord).Order)
	})
	switch {
	case len(records) == recordPage:
		return records, records[len(records)-1].(*registry.CommandRecord).Order, nil
	case len(devices) == recordPage:
		return records, devices[len(devices)-1].key + orderSeparator + lastID, nil
	}
	return records, "", nil
}

// motionByID returns the records of those of some ids that are alarms or
// commands.
func (s *Store) motionByID(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]registry.Record, error) {
	records, _, err := one(ctx, s.reading(scope), recordMotionByID, params{"ids": texts(ids)}, motionRecordsOf)
	return records, err
}
