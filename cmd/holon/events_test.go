package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// tidings are a change as it came over MQTT.
type tidings struct {
	topic   string
	payload map[string]any
}

func (m tidings) position() int { n, _ := m.payload["position"].(float64); return int(n) }

// listener is a client of MQTT 5 that takes changes.
type listener struct {
	t        *testing.T
	client   *paho.Client
	ack      *paho.Connack
	messages chan tidings
}

// listenTo connects; a client that stays keeps its session when it goes.
func listenTo(t *testing.T, address, id, key string, stays bool) *listener {
	t.Helper()
	var conn net.Conn
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var err error
		if conn, err = net.Dial("tcp", strings.TrimPrefix(address, "mqtt://")); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	l := &listener{t: t, messages: make(chan tidings, 10_000)}
	l.client = paho.NewClient(paho.ClientConfig{ClientID: id, Conn: conn, PacketTimeout: 20 * time.Second,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			m := tidings{topic: p.Packet.Topic}
			if err := json.Unmarshal(p.Packet.Payload, &m.payload); err != nil {
				t.Errorf("%s: %v", p.Packet.Payload, err)
			}
			l.messages <- m
			return true, nil
		}}})
	t.Cleanup(func() { conn.Close() })
	connect := &paho.Connect{ClientID: id, CleanStart: !stays, KeepAlive: 30, UsernameFlag: true, Username: "u", PasswordFlag: true, Password: []byte(key)}
	if stays {
		hour := uint32(3600)
		connect.Properties = &paho.ConnectProperties{SessionExpiryInterval: &hour}
	}
	var err error
	if l.ack, err = l.client.Connect(t.Context(), connect); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *listener) subscribe(filters ...string) []byte {
	l.t.Helper()
	s := &paho.Subscribe{}
	for _, f := range filters {
		s.Subscriptions = append(s.Subscriptions, paho.SubscribeOptions{Topic: f, QoS: 1})
	}
	ack, err := l.client.Subscribe(l.t.Context(), s)
	if ack == nil {
		l.t.Fatal(err)
	}
	return ack.Reasons
}

func (l *listener) next() tidings {
	l.t.Helper()
	select {
	case m := <-l.messages:
		return m
	case <-time.After(30 * time.Second):
		l.t.Fatal("nothing comes")
	}
	return tidings{}
}

// until takes messages up to that of a position, and returns all positions.
func (l *listener) until(position int) []int {
	l.t.Helper()
	var out []int
	for {
		out = append(out, l.next().position())
		if out[len(out)-1] >= position {
			return out
		}
	}
}

func (l *listener) leave() {
	l.t.Helper()
	if err := l.client.Disconnect(&paho.Disconnect{}); err != nil {
		l.t.Fatal(err)
	}
}

func makeDevice(t *testing.T, c apiClient, reference string) {
	t.Helper()
	ask[any](t, c, `mutation($r: String!) { createDevice(input: {reference: $r}) { device { id } } }`, map[string]any{"r": reference})
}

func describe(t *testing.T, c apiClient, reference string, n int) {
	t.Helper()
	ask[any](t, c, `mutation($r: String!, $d: String!) { updateDevice(input: {reference: $r, description: $d}) { device { id } } }`,
		map[string]any{"r": reference, "d": fmt.Sprint("state ", n)})
}

// lastPosition is that of the account's last change, which every change counts.
func lastPosition(t *testing.T, c apiClient) int {
	t.Helper()
	return ask[struct{ Changes struct{ TotalCount int } }](t, c, `{ changes(first: 1) { totalCount } }`, nil).Changes.TotalCount
}

func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	c, account := newAccount(t)
	other, otherAccount := newAccount(t)
	l := listenTo(t, holon.mqtt, "one", c.key, false)
	stranger := listenTo(t, holon.mqtt, "one", other.key, false)
	mine, theirs := "holon/"+account+"/changes/", "holon/"+otherAccount+"/changes/"
	got := l.subscribe(mine+"device/#", mine+"+/%2Fhall/create", theirs+"#", "#", "holon/+/changes/#", "+/"+account+"/changes/#", "$share/g/"+mine+"#", "holon/"+account+"/readings/#", mine+"#/x")
	if want := []byte{1, 1, 0x87, 0x87, 0x87, 0x87, 0x9E, 0x87, 0x8F}; !slices.Equal(got, want) {
		t.Errorf("SUBACK %x, want %x", got, want)
	}
	if got := stranger.subscribe(theirs + "#"); got[0] != 1 {
		t.Errorf("SUBACK %x", got)
	}
	bound := listenTo(t, holon.mqtt, "bound", func() string { makeDevice(t, c, "b"); return clientOf(t, account, "b").key }(), true)
	if got := bound.subscribe(mine + "#"); got[0] != 0x87 {
		t.Errorf("a key that is bound to a device subscribes: %x", got)
	}
	ask[any](t, c, `mutation { createGroup(input: {name: "hall"}) { group { id } } }`, nil)
	ask[any](t, c, `mutation { createGroup(input: {name: "yard"}) { group { id } } }`, nil)
	makeDevice(t, c, "a/b +#1")
	describe(t, c, "a/b +#1", 1)
	ask[any](t, c, `mutation { relate(input: {from: {device: "a/b +#1"}, relation: "in", to: {group: "/hall"}}) { changed } }`, nil)
	ask[any](t, c, `mutation { deleteDevice(input: {reference: "a/b +#1"}) { deletedId } }`, nil)
	var topics []string
	var payloads []any
	for range 6 {
		m := l.next()
		topics, payloads = append(topics, strings.TrimPrefix(m.topic, mine)), append(payloads, m.payload)
		delete(m.payload, "position")
	}
	want := []string{"device/b/create", "group/%2Fhall/create", "device/a%2Fb%20%2B%231/create", "device/a%2Fb%20%2B%231/modify", "device/a%2Fb%20%2B%231/modify", "device/a%2Fb%20%2B%231/delete"}
	if diff := cmp.Diff(want, topics); diff != "" {
		t.Error(diff)
	}
	shown := ask[struct{ Changes struct{ Nodes []any } }](t, c, `{ changes(direction: ASC, first: 100) { nodes {
		id cursor at operation action kind objectId key actor { id name } request version diff { path before after } after } } }`, nil).Changes.Nodes
	shown = slices.DeleteFunc(shown, func(change any) bool {
		return change.(map[string]any)["kind"] == "GROUP" && change.(map[string]any)["key"] != "/hall"
	})
	if diff := cmp.Diff(shown, payloads); diff != "" {
		t.Error("told otherwise than GraphQL shows it:", diff)
	}
	makeDevice(t, other, "theirs")
	if m := stranger.next(); m.topic != theirs+"device/theirs/create" {
		t.Errorf("another account is told of %s", m.topic)
	}
	if len(stranger.messages) > 0 {
		t.Errorf("another account is told of %v", <-stranger.messages)
	}
}

// TestChangesWhileAway has a client come back to another gateway.
func TestChangesWhileAway(t *testing.T) {
	t.Parallel()
	c, account := newAccount(t)
	second, err := holon.stores.listenMQTTForTest(t)
	if err != nil {
		t.Fatal(err)
	}
	all := "holon/" + account + "/changes/#"
	l := listenTo(t, holon.mqtt, "away", c.key, true)
	if l.ack.SessionPresent {
		t.Error("a session before there was one")
	}
	l.subscribe(all)
	makeDevice(t, c, "d")
	first := l.next().position()
	is, err := holon.stores.graph.AccountByName(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	scope := registry.Scope{Account: is.ID}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		known, err := holon.stores.graph.Subscriber(t.Context(), scope, "away")
		if err != nil || known == nil || time.Now().After(end) {
			t.Fatalf("what is remembered is %+v, %v", known, err)
		}
		if known.Position >= int64(first) {
			break
		}
	}
	l.leave()
	for n := range 40 {
		describe(t, c, "d", n)
	}
	last := lastPosition(t, c)
	back := listenTo(t, second, "away", c.key, true)
	if !back.ack.SessionPresent {
		t.Error("there is no session at another gateway")
	}
	missed := back.until(last)
	checkPositions(t, missed, first+1, last)
	if missed[0] <= first {
		t.Errorf("change %d, which was acknowledged and remembered, comes again", missed[0])
	}
	if got, err := back.client.Unsubscribe(t.Context(), &paho.Unsubscribe{Topics: []string{all}}); err != nil || got.Reasons[0] != 0 {
		t.Errorf("UNSUBACK %v, %v", got, err)
	}
	back.leave()
	if again := listenTo(t, holon.mqtt, "away", c.key, true); again.ack.SessionPresent {
		t.Error("a client without subscriptions is remembered")
	}
}

// checkPositions looks whether everything came, for the first time in order.
func checkPositions(t *testing.T, got []int, from, to int) {
	t.Helper()
	seen := from - 1
	for _, position := range got {
		if position == seen+1 {
			seen = position
		} else if position > seen {
			t.Fatalf("after change %d came %d", seen, position)
		}
	}
	if seen < to {
		t.Fatalf("the last change that came is %d, want %d", seen, to)
	}
}

// listenMQTTForTest serves another listener, as another gateway would.
func (s *stores) listenMQTTForTest(t *testing.T) (address string, err error) {
	at, err := (&stores{log: s.log, metrics: newMetrics(), graph: s.graph, twin: s.twin, keys: s.keys, receiver: s.receiver}).
		listenMQTT("127.0.0.1:0", eventSettings{Events: true})
	if err != nil {
		return "", err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error)
	go func() { ended <- at.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	return at.Address(), nil
}

// TestGatewayKilled kills a gateway while changes are made, with a client at its
// own listener and one at an outside broker.
func TestGatewayKilled(t *testing.T) {
	t.Parallel()
	// The first of all who publish begins with what happens from then on: that is
	// before this account is made, so that all of its changes are published.
	if _, err := holon.stores.graph.LeadOutbox(t.Context(), "test", time.Second); err != nil {
		t.Fatal(err)
	}
	if err := holon.stores.graph.LeaveOutbox(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	c, account := newAccount(t)
	broker := testkit.Broker(t)
	address := testkit.FreeAddr(t)
	start := func() *exec.Cmd {
		command := exec.Command(os.Args[0], "gateway", "--mqtt-addr", address, "--metrics-addr", "", "--broker-url", (&url.URL{Scheme: "mqtt", Host: broker}).String(),
			"--broker-client-id", account)
		command.Env = append(os.Environ(), asProgram+"=1")
		command.Stderr = t.Output()
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { command.Process.Kill(); command.Wait() })
		return command
	}
	gateway := start()
	all := "holon/" + account + "/changes/#"
	outside := listenTo(t, broker, "outside", "any", true)
	outside.subscribe(all)
	own := listenTo(t, address, "own", c.key, true)
	own.subscribe(all)
	from := lastPosition(t, c) + 1
	makeDevice(t, c, "d")
	published := outside.next().position()
	if published > from {
		t.Fatalf("the first change that is published is %d, want %d", published, from)
	}
	for n := range 60 {
		describe(t, c, "d", n)
		if n == 20 {
			if err := gateway.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			gateway.Wait()
		}
		if n == 40 {
			gateway = start()
		}
	}
	last := lastPosition(t, c)
	var got []int
	for len(own.messages) > 0 {
		got = append(got, own.next().position())
	}
	own = listenTo(t, address, "own", c.key, true)
	if !own.ack.SessionPresent {
		t.Error("the session did not survive the gateway")
	}
	checkPositions(t, append(got, own.until(last)...), from, last)
	checkPositions(t, append([]int{published}, outside.until(last)...), published, last)
}
