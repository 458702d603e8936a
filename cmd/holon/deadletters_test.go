package main

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// publish sends one message with QoS 0.
func publish(t *testing.T, c apiClient, topic, payload string) {
	t.Helper()
	server, err := url.Parse(holon.mqtt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	connection, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls: []*url.URL{server}, KeepAlive: 20, ConnectUsername: "any", ConnectPassword: []byte(c.key),
		ClientConfig: paho.ClientConfig{ClientID: topic},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Disconnect(context.WithoutCancel(ctx))
	if err := connection.AwaitConnection(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Publish(ctx, &paho.Publish{Topic: topic, Payload: []byte(payload)}); err != nil {
		t.Fatal(err)
	}
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// TestDeadLettersAreReplayed sends readings of a device before it exists, by
// MQTT with QoS 0, which has no answer; makes the device; and tries them again.
func TestDeadLettersAreReplayed(t *testing.T) {
	t.Parallel()
	client, account := newAccount(t)
	publish(t, client, "holon/"+account+"/readings/late-1", `{"measuredAt":"2026-01-02T03:04:05Z","values":{"temperature":21.5}}`)
	publish(t, client, "holon/"+account+"/readings/late-2", `{"values":{"temperature":20}}`)
	type counts struct {
		DeadLetterCounts []struct {
			Reason string
			Count  int
		}
	}
	waitFor(t, "two dead letters", func() bool {
		c := ask[counts](t, client, `{ deadLetterCounts(source: "mqtt") { reason count firstAt lastAt } }`, nil).DeadLetterCounts
		return len(c) == 1 && c[0].Reason == "UNKNOWN_DEVICE" && c[0].Count == 2
	})
	refused(t, client, "INVALID", `mutation { replayDeadLetters(input: {}) { accepted } }`, nil)
	refused(t, client, "INVALID", `mutation { dropDeadLetters(input: {}) { dropped } }`, nil)
	ask[any](t, client, `mutation { createDevice(input: {reference: "late-1"}) { device { id } } }`, nil)
	type replay struct {
		ReplayDeadLetters struct {
			Accepted, Refused, Readings int
			StillRefused                []struct{ DeviceReference, Reason string }
			EndCursor                   *string
		}
	}
	const selection = `{ accepted refused readings stillRefused { deviceReference reason device { id } } endCursor } }`
	for _, operation := range []string{
		`mutation { replayDeadLetters(input: {source: "mqtt", rehearse: true}) ` + selection,
		`mutation { replayDeadLetters(input: {reason: UNKNOWN_DEVICE}) ` + selection,
	} {
		got := ask[replay](t, client, operation, nil).ReplayDeadLetters
		if got.Accepted != 1 || got.Refused != 1 || got.Readings != 1 || len(got.StillRefused) != 1 || got.StillRefused[0].DeviceReference != "late-2" || got.EndCursor != nil {
			t.Errorf("%s: %+v", operation, got)
		}
	}
	waitFor(t, "the replayed reading", func() bool {
		live := ask[struct {
			Device struct {
				Live []struct {
					Value any
					At    time.Time
				}
			}
		}](t, client, `{ device(reference: "late-1") { live { value at: measuredAt } } }`, nil).Device.Live
		return len(live) == 1 && live[0].Value == 21.5 && live[0].At.Year() == 2026
	})
	left := ask[struct {
		DeadLetters struct {
			TotalCount int
			Nodes      []struct{ ID string }
		}
	}](t, client, `{ deadLetters(first: 5) { totalCount nodes { id } } }`, nil).DeadLetters
	if left.TotalCount != 1 {
		t.Fatalf("left: %+v", left)
	}
	dropped := ask[struct{ DropDeadLetters struct{ Dropped int } }](t, client, `mutation ($ids: [ID!]) { dropDeadLetters(input: {ids: $ids}) { dropped } }`, map[string]any{"ids": []any{left.Nodes[0].ID}})
	if dropped.DropDeadLetters.Dropped != 1 {
		t.Errorf("dropped %+v", dropped)
	}
}
