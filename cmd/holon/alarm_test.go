package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/alarm"
	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/twin"
)

type raised struct {
	ID, Rule, Severity, Reference string
	Active                        bool
	Occurrences                   int
	ClearedAt, AcknowledgedAt     *string
	AcknowledgedBy                *struct{ Name string }
	Comment                       *string
}

// alarmsOf returns the alarms of an account, newest first.
func alarmsOf(t *testing.T, c apiClient, arguments string) []raised {
	t.Helper()
	return ask[struct{ Alarms struct{ Nodes []raised } }](t, c, `{ alarms`+arguments+` { nodes { id rule severity reference active occurrences clearedAt acknowledgedAt acknowledgedBy { name } comment } } }`, nil).Alarms.Nodes
}

// awaitAlarms waits until the alarms of an account, oldest first, are of these
// rules; a cleared one has a minus.
func awaitAlarms(t *testing.T, c apiClient, want string) []raised {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := alarmsOf(t, c, "")
		var is []string
		for i := range got {
			name := got[len(got)-1-i].Rule
			if !got[len(got)-1-i].Active {
				name = "-" + name
			}
			is = append(is, name)
		}
		if strings.Join(is, " ") == want {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("the alarms are %q, want %q", strings.Join(is, " "), want)
		}
	}
}

// alarmFleet makes a template with alarms and a device that is linked to an asset
// with one.
func alarmFleet(t *testing.T, c apiClient) {
	t.Helper()
	ask[any](t, c, `mutation {
		g: createGroup(input: {name: "plant"}) { group { id } }
		d: createTemplate(input: {kind: DEVICE, name: "probe", publish: true, silence: "PT1H", properties: {limit: {type: "number"}}, relations: [{name: "located_at"}],
			measures: [{name: "t", type: "number"}, {name: "door", type: "string"}, {name: "p", type: "number"}],
			alarms: [
				{name: "hot", when: "measures.t > attributes.limit", severity: MAJOR, message: "too hot", clear: "measures.t < 25"},
				{name: "open", when: "measures.door == 'open'", trigger: EVERY_TIME, severity: INFO},
				{name: "peaks", when: "measures.p > 10", trigger: COUNT, count: 3, within: "PT1M", severity: WARNING},
				{name: "ajar", when: "measures.door == 'ajar'", trigger: PERSISTS, for: "PT1H", severity: MINOR}]}) { template { id } }
		a: createTemplate(input: {kind: ASSET, name: "room", publish: true, measures: [{name: "climate", type: "number"}],
			alarms: [{name: "stuffy", when: "measures.climate > 28", severity: CRITICAL}]}) { template { id } }
		createDevice(input: {reference: "probe-1", template: "probe", attributes: {limit: 30}, relations: [{name: "located_at", groups: ["/plant"]}]}) { device { id } }
		createAsset(input: {reference: "room-1", template: "room"}) { asset { id } }
		linkDevice(input: {device: "probe-1", asset: "room-1", measures: [{device: "t", asset: "climate"}]}) { link { id } }
	}`, nil)
}

// sendProbe sends readings of probe-1, seconds after a moment, in one request.
func sendProbe(t *testing.T, c apiClient, from time.Time, readings ...any) {
	t.Helper()
	var list []map[string]any
	for i := 0; i < len(readings); i += 3 {
		list = append(list, map[string]any{
			"device": "probe-1", "measuredAt": from.Add(time.Duration(readings[i].(int)) * time.Second).Format(time.RFC3339Nano),
			"values": map[string]any{readings[i+1].(string): readings[i+2]},
		})
	}
	ask[any](t, c, `mutation($r: [ReadingInput!]!) { recordReadings(input: {readings: $r}) { accepted } }`, map[string]any{"r": list})
}

// TestAlarms raises and clears alarms of a device and of an asset, by each
// trigger, also for readings that are stored together.
func TestAlarms(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	alarmFleet(t, c)
	// Accounts with alarms are found within two seconds.
	time.Sleep(2500 * time.Millisecond)
	s := follow(t, c, toldQuery, map[string]any{"kinds": []string{"ALARM"}})
	began := time.Now().UTC()

	// Raised above 30, cleared below 25 only; above 28 on the asset.
	sendProbe(t, c, began, 0, "t", 20, 1, "t", 31, 2, "t", 29)
	got := awaitAlarms(t, c, "hot stuffy")
	if got[0].Severity != "CRITICAL" || got[0].Reference != "room-1" || got[1].Severity != "MAJOR" || got[1].Reference != "probe-1" {
		t.Errorf("raised %+v", got)
	}
	for range 2 {
		if c := s.tell(); len(c.Kinds) != 1 || c.Kinds[0] != "ALARM" {
			t.Errorf("told %+v", c)
		}
	}
	sendProbe(t, c, began, 3, "t", 26)
	awaitAlarms(t, c, "hot -stuffy")
	sendProbe(t, c, began, 4, "t", 24, 5, "t", 24.5)
	awaitAlarms(t, c, "-hot -stuffy")

	// Each reading counts, be they stored together; late ones do not.
	sendProbe(t, c, began, 6, "p", 11, 7, "p", 12, 8, "p", 13, 5, "p", 1)
	awaitAlarms(t, c, "-hot -stuffy peaks")
	sendProbe(t, c, began, 10, "door", "open", 11, "door", "open")
	sendProbe(t, c, began, 12, "door", "open")
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if got := awaitAlarms(t, c, "-hot -stuffy peaks open"); got[0].Occurrences == 3 {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("raised %d times, want 3", got[0].Occurrences)
		}
	}
	// The first reading that is no open door clears; ajar it has to be for an hour.
	sendProbe(t, c, began, 13, "door", "ajar")
	awaitAlarms(t, c, "-hot -stuffy peaks -open")

	// What people do with them.
	open := alarmsOf(t, c, `(active: true, under: "/plant", where: "template == 'probe'", severity: WARNING)`)
	if len(open) != 1 || open[0].Rule != "peaks" {
		t.Fatalf("open: %+v", open)
	}
	if none := alarmsOf(t, c, `(under: "/plant", severity: CRITICAL)`); len(none) != 0 {
		t.Errorf("of the room, which is nowhere: %+v", none)
	}
	ask[any](t, c, `mutation($id: ID!) { acknowledgeAlarm(input: {id: $id, comment: "on my way"}) { alarm { version } } }`, map[string]any{"id": open[0].ID})
	of := ask[struct{ Device struct{ Alarms []raised } }](t, c, `{ device(reference: "probe-1") { alarms(active: true) { id rule acknowledgedAt acknowledgedBy { name } comment } } }`, nil).Device.Alarms
	if len(of) != 1 || of[0].AcknowledgedBy == nil || *of[0].Comment != "on my way" {
		t.Errorf("acknowledged: %+v", of)
	}
	history := ask[struct {
		Changes struct{ Nodes []struct{ Action string } }
	}](t, c, `query($id: ID!) { changes(object: $id, direction: ASC) { nodes { action } } }`, map[string]any{"id": open[0].ID}).Changes.Nodes
	if len(history) != 2 || history[0].Action != "raised" || history[1].Action != "acknowledged" {
		t.Errorf("the history says %v", history)
	}
	for name, input := range map[string]string{
		"a rule over groups":       `{name: "x", when: "any(groups, .depth > 1)", severity: INFO}`,
		"nonsense":                 `{name: "x", when: "measures.t >", severity: INFO}`,
		"a time without PERSISTS":  `{name: "x", when: "measures.t > 1", for: "PT5M", severity: INFO}`,
		"a COUNT without a number": `{name: "x", when: "measures.t > 1", trigger: COUNT, within: "PT5M", severity: INFO}`,
	} {
		if err := c.query(t.Context(), `mutation { createTemplate(input: {kind: DEVICE, name: "wrong", alarms: [`+input+`]}) { template { id } } }`, nil, nil); err == nil || !strings.HasPrefix(err.Error(), "INVALID") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAlarmsAgain decides on a batch again, as after a kill between its steps,
// and after what was known of alarms is lost: no alarm is raised twice. Time
// raises what persists.
func TestAlarmsAgain(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	alarmFleet(t, c)
	device := ask[struct{ Device struct{ ID registry.ID } }](t, c, `{ device(reference: "probe-1") { id } }`, nil).Device.ID
	account := ask[struct {
		Viewer struct{ Account struct{ ID registry.ID } }
	}](t, c, `{ viewer { account { id } } }`, nil).Viewer.Account.ID
	clock := time.Now().UTC().Truncate(time.Second)
	live := twin.NewLive(holon.stores.twin, holon.stores.graph, zerolog.Nop())
	engine := func() *alarm.Engine {
		return alarm.NewEngine(holon.stores.graph, live, holon.stores.twin, func() time.Time { return clock }, zerolog.Nop())
	}
	batch := func(values ...any) []registry.TwinUpdate {
		u := registry.TwinUpdate{Account: account, TwinID: device, Alarming: true}
		for i := 0; i < len(values); i += 3 {
			at := clock.Add(time.Duration(values[i].(int)) * time.Second)
			u.Steps = append(u.Steps, registry.LiveValue{Measure: values[i+1].(string), Value: values[i+2], MeasuredAt: at})
		}
		return []registry.TwinUpdate{u}
	}
	stored := func(e *alarm.Engine, batch []registry.TwinUpdate) {
		t.Helper()
		if err := e.Stored(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	first := batch(0, "t", 31.0, 1, "t", 20.0, 2, "t", 35.0, 3, "door", "ajar")
	stored(engine(), first)
	awaitAlarms(t, c, "-hot hot")
	stored(engine(), first)
	awaitAlarms(t, c, "-hot hot")
	scope := registry.Scope{Account: account}
	if _, err := holon.stores.twin.KeepAlarmMemories(t.Context(), scope, []registry.AlarmMemory{{TwinID: device, Gone: true}}); err != nil {
		t.Fatal(err)
	}
	stored(engine(), first) // nothing is known any more, but what the graph knows
	awaitAlarms(t, c, "-hot hot")

	// A timer looks at what is so now.
	if err := holon.stores.twin.Apply(t.Context(), []registry.TwinUpdate{{Account: account, TwinID: device, Values: []registry.LiveValue{
		{Measure: "t", Value: 35.0, MeasuredAt: clock}, {Measure: "door", Value: "ajar", MeasuredAt: clock}}}}); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(time.Hour) // ajar since 3 seconds less
	if err := engine().Look(t.Context(), batch()); err != nil {
		t.Fatal(err)
	}
	awaitAlarms(t, c, "-hot hot")
	clock = clock.Add(3 * time.Second)
	due, err := holon.stores.twin.DueAlarms(t.Context(), clock)
	if err != nil || len(due[account]) != 1 || due[account][0] != device {
		t.Fatalf("due: %v, %v", due[account], err)
	}
	if err := engine().Look(t.Context(), batch()); err != nil {
		t.Fatal(err)
	}
	awaitAlarms(t, c, "-hot hot ajar")
}

// TestAlarmNeverHeard raises alarms of devices of which nothing was ever heard, and
// clears them with the first sign of each: a reading, one without a value, and a
// session.
func TestAlarmNeverHeard(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	ask[any](t, c, `mutation {
		createTemplate(input: {kind: DEVICE, name: "probe", publish: true, silence: "PT2S", reported: ["firmware"], properties: {firmware: {type: "string"}},
			measures: [{name: "t", type: "number"}], alarms: [{name: "lost", when: "not connected", severity: MAJOR}]}) { template { id } }
		createDevice(input: {reference: "probe-1", template: "probe"}) { device { id } }
		createDevices(input: {devices: [{reference: "probe-2", template: "probe"}, {reference: "probe-3", template: "probe"}]}) { succeeded }
	}`, nil)
	awaitAlarms(t, c, "lost lost lost")
	got := ask[struct {
		Device struct{ Presence struct{ Connected *bool } }
	}](t, c, `{ device(reference: "probe-1") { presence { connected } } }`, nil)
	if connected := got.Device.Presence.Connected; connected == nil || *connected {
		t.Errorf("the device is connected: %v", connected)
	}
	// Silence goes on: what is cleared is raised again later.
	cleared := func(reference string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			for _, a := range alarmsOf(t, c, "") {
				if a.Reference == reference && !a.Active {
					return
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("the alarm of %s is active", reference)
			}
		}
	}
	sendProbe(t, c, time.Now().UTC(), 0, "t", 20)
	cleared("probe-1")
	ask[any](t, c, `mutation { recordReadings(input: {readings: [{device: "probe-2", attributes: {firmware: "1.2"}}]}) { accepted } }`, nil)
	cleared("probe-2")
	who := ask[struct {
		Viewer struct{ Account struct{ ID registry.ID } }
		Device struct{ ID registry.ID }
	}](t, c, `{ viewer { account { id } } device(reference: "probe-3") { id } }`, nil)
	session := registry.DeviceSession{Account: who.Viewer.Account.ID, Device: who.Device.ID, ID: "session-1"}
	if err := holon.stores.twin.OpenSession(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	cleared("probe-3")
}

// TestAlarmsWithoutRules clears the alarms of a device whose template comes to have
// none.
func TestAlarmsWithoutRules(t *testing.T) {
	t.Parallel()
	c, _ := newAccount(t)
	ask[any](t, c, `mutation {
		createTemplate(input: {kind: DEVICE, name: "probe", publish: true, measures: [{name: "t", type: "number"}],
			alarms: [{name: "hot", when: "measures.t > 30", severity: MAJOR}, {name: "warm", when: "measures.t > 20", severity: MINOR}]}) { template { id } }
		createDevice(input: {reference: "probe-1", template: "probe"}) { device { id } }
	}`, nil)
	time.Sleep(2500 * time.Millisecond) // accounts with alarms are found within two seconds
	sendProbe(t, c, time.Now().UTC(), -1, "t", 31)
	awaitAlarms(t, c, "hot warm")
	ask[any](t, c, `mutation {
		updateTemplate(input: {kind: DEVICE, name: "probe", alarms: []}) { template { id } }
		publishTemplate(input: {kind: DEVICE, name: "probe"}) { template { id } }
		migrateObjects(input: {kind: DEVICE, template: "probe", all: true}) { migrated }
	}`, nil)
	sendProbe(t, c, time.Now().UTC(), 0, "t", 32)
	awaitAlarms(t, c, "-hot -warm")
}
