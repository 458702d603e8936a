package ingest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/holon-registry/holon/registry"
)

// orders has one command, which can be taken once it is given.
type orders struct {
	mu        sync.Mutex
	given     bool
	delivered bool
}

func (o *orders) ClaimCommands(context.Context, registry.Scope, registry.ID, int) ([]*registry.Command, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.given {
		return nil, nil
	}
	o.given = false
	return []*registry.Command{{ID: "c1", Name: "move"}}, nil
}

func (o *orders) ReturnCommand(context.Context, registry.Scope, registry.ID) error { return nil }

func (o *orders) CommandDelivered(context.Context, registry.Scope, registry.ID) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.delivered = true
	return nil
}

func (o *orders) ReplyCommand(context.Context, registry.Scope, registry.ID, registry.CommandReply) error {
	return nil
}

func (o *orders) DesiredOf(_ context.Context, _ registry.Scope, ids []registry.ID) ([]*registry.Desired, error) {
	return make([]*registry.Desired, len(ids)), nil
}

// TestCommandAfterAnAcknowledgement: the time that a client has to read an
// acknowledgement is not the time in which it may be sent a command.
func TestCommandAfterAnAcknowledgement(t *testing.T) {
	const patience = time.Second
	who, store := newPrincipal(), &orders{}
	m, err := NewMQTTListener(newReceiver(t, openQueue(t, nil), new(devices), nil), secrets{"hk_a": who}, MQTTConfig{Address: "127.0.0.1:0", WriteTimeout: patience, Downlink: store})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	client, _, err := five(t, m.Address(), "device", "hk_a")
	if err != nil {
		t.Fatal(err)
	}
	commands := make(chan string, 1)
	client.AddOnPublishReceived(func(p paho.PublishReceived) (bool, error) {
		commands <- p.Packet.Topic
		return true, nil
	})
	topic := "holon/" + who.AccountName + "/commands/sensor-1"
	if _, err := client.Subscribe(t.Context(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: topic, QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Publish(t.Context(), &paho.Publish{QoS: 1, Topic: "holon/" + who.AccountName + "/readings/sensor-1", Payload: []byte(goodPayload)}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(patience + patience/10)
	store.mu.Lock()
	store.given = true
	store.mu.Unlock()
	m.Wake(idOf(who.Account, "sensor-1"))
	select {
	case got := <-commands:
		if got != topic {
			t.Errorf("got a message of %s, want one of %s", got, topic)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the command did not come")
	}
	eventually(t, "the command counts as delivered", 30*time.Second, func() bool { store.mu.Lock(); defer store.mu.Unlock(); return store.delivered })
}
