package main

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// mqttDevice is a device that is connected over MQTT.
type mqttDevice struct {
	t        *testing.T
	client   *paho.Client
	messages chan *paho.Publish
	account  string
}

// connect connects with a key.
func connect(t *testing.T, account, key string) *mqttDevice {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(holon.mqtt, "mqtt://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	d := &mqttDevice{t: t, messages: make(chan *paho.Publish, 100), account: account}
	d.client = paho.NewClient(paho.ClientConfig{ClientID: t.Name(), Conn: conn, PacketTimeout: time.Minute, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(p paho.PublishReceived) (bool, error) { d.messages <- p.Packet; return true, nil },
	}})
	if _, err := d.client.Connect(t.Context(), &paho.Connect{ClientID: t.Name(), CleanStart: true, KeepAlive: 30, UsernameFlag: true, Username: "x", PasswordFlag: true, Password: []byte(key)}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *mqttDevice) leave() {
	d.t.Helper()
	if err := d.client.Disconnect(&paho.Disconnect{}); err != nil {
		d.t.Fatal(err)
	}
}

// subscribe returns whether it may.
func (d *mqttDevice) subscribe(topic string) bool {
	d.t.Helper()
	ack, err := d.client.Subscribe(d.t.Context(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "holon/" + d.account + "/" + topic, QoS: 1}}})
	return err == nil && ack.Reasons[0] < 0x80
}

// message returns the next message of a topic.
func (d *mqttDevice) message(topic string) (body struct {
	ID, Name   string
	Parameters map[string]any
	Values     map[string]any
	Version    int
}) {
	d.t.Helper()
	select {
	case p := <-d.messages:
		if p.Topic != "holon/"+d.account+"/"+topic {
			d.t.Fatalf("got a message of %s, want one of %s", p.Topic, topic)
		}
		if err := json.Unmarshal(p.Payload, &body); err != nil {
			d.t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		d.t.Fatalf("no message of %s", topic)
	}
	return body
}

func (d *mqttDevice) reply(reference, payload string) byte {
	d.t.Helper()
	answer, err := d.client.Publish(d.t.Context(), &paho.Publish{QoS: 1, Topic: "holon/" + d.account + "/commands/" + reference + "/replies", Payload: []byte(payload)})
	if answer == nil {
		d.t.Fatal(err)
	}
	return answer.ReasonCode
}

type commandState struct {
	State                        string
	SentAt, DeliveredAt, EndedAt *string
	Result                       any
	Error                        *string
	Device                       *struct{ Reference string }
}

// awaitCommand waits until a command is in a state, and delivered if it was sent.
func awaitCommand(t *testing.T, c apiClient, id, state string) commandState {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := ask[struct{ Command commandState }](t, c, `query($id: ID!) { command(id: $id) { state sentAt deliveredAt endedAt result error device { reference } } }`, map[string]any{"id": id}).Command
		if got.State == state && (state != "SENT" || got.DeliveredAt != nil) {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("the command is %+v, want %s", got, state)
		}
	}
}

func sendCommand(t *testing.T, c apiClient, input string) string {
	t.Helper()
	return ask[struct {
		SendCommand struct{ Command struct{ ID string } }
	}](t, c, `mutation { sendCommand(input: {`+input+`}) { command { id } } }`, nil).SendCommand.Command.ID
}

// TestCommands sends commands to a device that is away and comes, is answered,
// and refuses what the template does not declare.
func TestCommands(t *testing.T) {
	t.Parallel()
	c, account := newAccount(t)
	ask[any](t, c, `mutation {
		createTemplate(input: {kind: DEVICE, name: "valve", publish: true, measures: [{name: "opening", type: "number"}], silence: "PT15M", commands: [
			{name: "move", parameters: {type: "object", properties: {to: {type: "number"}}, required: ["to"], additionalProperties: false}, response: {type: "object", required: ["reached"]}},
			{name: "reboot", expiresAfter: "PT1S"}]}) { template { id } }
		createDevices(input: {devices: [{reference: "valve-1", template: "valve"}, {reference: "valve-2", template: "valve"}]}) { succeeded }
	}`, nil)
	refused(t, c, "INVALID", `mutation { sendCommand(input: {device: "valve-1", name: "fly"}) { command { id } } }`, nil)
	refused(t, c, "INVALID", `mutation { sendCommand(input: {device: "valve-1", name: "move", parameters: {to: "up"}}) { command { id } } }`, nil)
	refused(t, c, "NOT_FOUND", `mutation { sendCommand(input: {device: "valve-9", name: "reboot"}) { command { id } } }`, nil)

	first := sendCommand(t, c, `device: "valve-1", name: "move", parameters: {to: 40}`)
	second := sendCommand(t, c, `device: "valve-1", name: "move", parameters: {to: 50.5}`)
	broken := sendCommand(t, c, `device: "valve-1", name: "move", parameters: {to: 55}`)
	taken := sendCommand(t, c, `device: "valve-1", name: "move", parameters: {to: 60}`)
	late := sendCommand(t, c, `device: "valve-2", name: "reboot"`)
	ask[any](t, c, `mutation($id: ID!) { cancelCommand(input: {id: $id}) { command { state } } }`, map[string]any{"id": taken})

	// The device comes, with a key of its own.
	own := clientOf(t, account, "valve-1")
	d := connect(t, account, own.key)
	if d.subscribe("commands/valve-2") || d.subscribe("desired/valve-2") || d.subscribe("readings/valve-1") || d.subscribe("commands/+") {
		t.Error("the device may listen to others")
	}
	if !d.subscribe("commands/valve-1") {
		t.Fatal("the device may not listen to its commands")
	}
	for _, want := range []struct {
		id string
		to float64
	}{{first, 40}, {second, 50.5}, {broken, 55}} {
		if m := d.message("commands/valve-1"); m.ID != want.id || m.Name != "move" || m.Parameters["to"] != want.to {
			t.Errorf("got the command %+v, want %s", m, want.id)
		}
		awaitCommand(t, c, want.id, "SENT")
	}
	refused(t, c, "FAILED_PRECONDITION", `mutation($id: ID!) { cancelCommand(input: {id: $id}) { command { state } } }`, map[string]any{"id": first})
	if code := d.reply("valve-1", `{"id": "`+first+`", "status": "ok", "result": {"reached": 40}}`); code != 0 {
		t.Errorf("the answer got %#x", code)
	}
	if got := awaitCommand(t, c, first, "ACKNOWLEDGED"); got.Result.(map[string]any)["reached"] != 40.0 || got.EndedAt == nil || got.Device.Reference != "valve-1" {
		t.Errorf("acknowledged: %+v", got)
	}
	if code := d.reply("valve-1", `{"id": "`+second+`", "status": "ok", "result": {}}`); code != 0 {
		t.Errorf("the answer got %#x", code)
	}
	if got := awaitCommand(t, c, second, "FAILED"); got.Error == nil {
		t.Errorf("failed: %+v", got)
	}
	if code := d.reply("valve-1", `{"id": "`+broken+`", "status": "failed", "error": "the spindle is broken"}`); code != 0 {
		t.Errorf("the answer got %#x", code)
	}
	if got := awaitCommand(t, c, broken, "FAILED"); got.Error == nil || *got.Error != "the spindle is broken" {
		t.Errorf("failed by itself: %+v", got)
	}
	for payload, what := range map[string]string{`{"id": "` + late + `", "status": "ok"}`: "somebody else's command", `{"status": 1}`: "nonsense"} {
		if code := d.reply("valve-1", payload); code != 0x99 {
			t.Errorf("the answer to %s got %#x, want 0x99", what, code)
		}
	}
	awaitCommand(t, c, late, "EXPIRED")

	// What is sent while it is away waits; what was sent is not sent again.
	if p := presenceOf(t, c, "valve-1"); p.Connected == nil || !*p.Connected {
		t.Errorf("a device with a session: %+v", p)
	}
	d.leave()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if p := presenceOf(t, c, "valve-1"); p.Connected != nil && !*p.Connected {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("a device that left: %+v", p)
		}
	}
	third := sendCommand(t, c, `device: "valve-1", name: "move", parameters: {to: 70}`)
	again := connect(t, account, own.key)
	if !again.subscribe("commands/valve-1") {
		t.Fatal("the device may not listen any more")
	}
	if m := again.message("commands/valve-1"); m.ID != third {
		t.Errorf("got the command %+v, want %s", m, third)
	}
	fourth := sendCommand(t, c, `device: "valve-1", name: "move", parameters: {to: 80}`)
	if m := again.message("commands/valve-1"); m.ID != fourth {
		t.Errorf("got the command %+v, want %s", m, fourth)
	}
	history := ask[struct {
		Device struct {
			Commands struct{ Nodes []struct{ State string } }
		}
		Changes struct{ Nodes []struct{ Action string } }
	}](t, c, `query($id: ID!) { device(reference: "valve-1") { commands(first: 3) { nodes { state } } } changes(object: $id, direction: ASC) { nodes { action } } }`, map[string]any{"id": first})
	if n := history.Device.Commands.Nodes; len(n) != 3 || n[2].State != "CANCELLED" {
		t.Errorf("the newest commands are %v", n)
	}
	if n := history.Changes.Nodes; len(n) != 4 || n[0].Action != "created" || n[1].Action != "sent" || n[2].Action != "delivered" || n[3].Action != "acknowledged" {
		t.Errorf("the history of a command is %v", n)
	}
}

func presenceOf(t *testing.T, c apiClient, device string) struct {
	Connected  *bool
	LastSeenAt *string
} {
	t.Helper()
	return ask[struct {
		Device struct {
			Presence struct {
				Connected  *bool
				LastSeenAt *string
			}
		}
	}](t, c, `query($r: String!) { device(reference: $r) { presence { connected lastSeenAt since } } }`, map[string]any{"r": device}).Device.Presence
}

// TestDesired says what a device is to become, and tells it.
func TestDesired(t *testing.T) {
	t.Parallel()
	c, account := newAccount(t)
	ask[any](t, c, `mutation {
		createTemplate(input: {kind: DEVICE, name: "heater", publish: true, measures: [{name: "target", type: "number"}, {name: "on", type: "boolean"}]}) { template { id } }
		createDevice(input: {reference: "heater-1", template: "heater"}) { device { id } }
	}`, nil)
	type state struct {
		Version       int
		Values, Delta map[string]any
	}
	set := func(values, more string) state {
		t.Helper()
		return ask[struct{ SetDesired struct{ Desired state } }](t, c, `mutation { setDesired(input: {device: "heater-1", values: `+values+more+`}) { desired { version values delta } twin { id } } }`, nil).SetDesired.Desired
	}
	refused(t, c, "INVALID", `mutation { setDesired(input: {device: "heater-1", values: {target: "warm"}}) { desired { version } } }`, nil)
	refused(t, c, "INVALID", `mutation { setDesired(input: {device: "heater-1", values: {colour: "red"}}) { desired { version } } }`, nil)
	refused(t, c, "NOT_FOUND", `mutation { setDesired(input: {asset: "heater-1", values: {target: 1}}) { desired { version } } }`, nil)
	s := follow(t, c, toldQuery, map[string]any{"kinds": []string{"DESIRED"}, "where": "reference == 'heater-1'"})
	s.expect("ENTERED", "heater-1")
	if got := set(`{target: 21, on: true}`, ", ifVersion: 0"); got.Version != 1 || got.Delta["target"] != 21.0 || got.Delta["on"] != true {
		t.Errorf("desired: %+v", got)
	}
	if told := s.expect("STAYED", "heater-1"); len(told.Kinds) != 1 || told.Kinds[0] != "DESIRED" {
		t.Errorf("told %+v", told)
	}
	refused(t, c, "CONFLICT", `mutation { setDesired(input: {device: "heater-1", values: {target: 22}, ifVersion: 0}) { desired { version } } }`, nil)
	d := connect(t, account, clientOf(t, account, "heater-1").key)
	if !d.subscribe("desired/heater-1") {
		t.Fatal("the device may not listen to what it is to become")
	}
	if m := d.message("desired/heater-1"); m.Version != 1 || m.Values["target"] != 21.0 || m.Values["on"] != true {
		t.Errorf("told at once: %+v", m)
	}
	if got := set(`{target: 22, on: null}`, ""); got.Version != 2 || len(got.Values) != 1 {
		t.Errorf("desired: %+v", got)
	}
	if m := d.message("desired/heater-1"); m.Version != 2 || m.Values["target"] != 22.0 || len(m.Values) != 1 {
		t.Errorf("told of a change: %+v", m)
	}
	ask[any](t, c, `mutation { recordReadings(input: {readings: [{device: "heater-1", values: {target: 22}}]}) { accepted } }`, nil)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := ask[struct{ Device struct{ Desired state } }](t, c, `{ device(reference: "heater-1") { desired { version values delta } } }`, nil).Device.Desired
		if len(got.Delta) == 0 && got.Version == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("became so: %+v", got)
		}
	}
	changes := ask[struct {
		Device struct {
			Changes struct {
				Nodes []struct {
					Action string
					Diff   []struct{ Path string }
				}
			}
		}
	}](t, c, `{ device(reference: "heater-1") { changes { nodes { action diff { path } } } } }`, nil)
	if n := changes.Device.Changes.Nodes; len(n) != 3 || n[0].Action != "desired" || len(n[0].Diff) != 2 || n[0].Diff[0].Path != "desired.on" || n[0].Diff[1].Path != "desired.target" {
		t.Errorf("the history says %+v", n)
	}
}
