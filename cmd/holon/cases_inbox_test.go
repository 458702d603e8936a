package main

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// inbox collects the changes that the gateway publishes over MQTT.
type inbox struct {
	prefix   string
	messages chan any
}

// openInbox subscribes to all changes of an account.
func openInbox(t *testing.T, c apiClient, account string) *inbox {
	t.Helper()
	server, err := url.Parse(holon.mqtt)
	if err != nil {
		t.Fatal(err)
	}
	in := &inbox{prefix: "holon/" + account + "/changes/", messages: make(chan any, 100)}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	connection, err := autopaho.NewConnection(t.Context(), autopaho.ClientConfig{
		ServerUrls: []*url.URL{server}, KeepAlive: 20, ConnectUsername: account, ConnectPassword: []byte(c.key),
		ClientConfig: paho.ClientConfig{ClientID: "cases-" + account, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(p paho.PublishReceived) (bool, error) {
				var payload any
				if err := json.Unmarshal(p.Packet.Payload, &payload); err != nil {
					payload = string(p.Packet.Payload)
				}
				in.messages <- map[string]any{"topic": strings.TrimPrefix(p.Packet.Topic, in.prefix), "payload": payload}
				return true, nil
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Disconnect(context.WithoutCancel(t.Context())) })
	if err := connection.AwaitConnection(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: in.prefix + "#", QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	return in
}

// check waits for as many messages as there must be and compares them.
func (in *inbox) check(t *testing.T, step string, want []any) {
	t.Helper()
	late := time.After(20 * time.Second)
	var got []any
	for len(got) < len(want) {
		select {
		case m := <-in.messages:
			got = append(got, m)
		case <-late:
			t.Errorf("%s: only %d came, want %d", step, len(got), len(want))
			return
		}
	}
	checkEvents(t, step, want, got)
}
