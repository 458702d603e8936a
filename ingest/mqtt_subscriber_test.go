package ingest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// accounts knows one account.
type accounts struct{ one registry.Scope }

func (a accounts) AccountByName(_ context.Context, name string) (*registry.Account, error) {
	if name != a.one.AccountName {
		return nil, registry.NotFound("account", name)
	}
	return &registry.Account{ID: a.one.Account, Name: name}, nil
}

func subscribe(t *testing.T, address, id string, q *Queue, d *devices, scope registry.Scope) (stop func()) {
	t.Helper()
	s, err := NewMQTTSubscriber(newReceiver(t, q, d, nil), accounts{scope}, SubscriberConfig{URL: "mqtt://" + address, ClientID: id})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func send(t *testing.T, c *paho.Client, topic, payload string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := c.Publish(ctx, &paho.Publish{QoS: 1, Topic: topic, Payload: []byte(payload)}); err != nil {
		t.Fatal(err)
	}
}

func TestSubscriber(t *testing.T) {
	address, who := testkit.Broker(t), newPrincipal()
	door := testkit.NewDoor(t)
	q := openQueue(t, nil)
	behind := openQueue(t, func(c *QueueConfig) {
		c.URL = door.URL
		c.Prefix = q.c.Prefix
		c.Timeout = time.Second
		c.MaxReadings = 60
	})
	stop := subscribe(t, address, "gateway", behind, new(devices), who.Scope)
	device, _, err := five(t, address, "device", "any")
	if err != nil {
		t.Fatal(err)
	}
	prefix := "holon/" + who.AccountName + "/readings/"
	total, seen := 0, map[time.Time]bool{}
	burst := func(n int) {
		for range n {
			send(t, device, prefix+fmt.Sprintf("sensor-%d", total%10), fmt.Sprintf(`{"measuredAt":%d,"values":{"temperature":1}}`, 1_700_000_000_000+total))
			total++
		}
	}
	collected := func() bool { // takes what is in the queue
		for p := range q.Partitions() {
			entries := drain(t, q, p)
			for _, e := range entries {
				for _, r := range e.Readings {
					if r.MeasuredAt.UnixMilli() >= 1_700_000_000_000 && r.Refused == nil {
						seen[r.MeasuredAt] = true
					}
				}
			}
			if err := q.Done(t.Context(), p, entries); err != nil {
				t.Fatal(err)
			}
		}
		return len(seen) == total
	}
	eventually(t, "the subscription is there", 5*time.Second, func() bool {
		send(t, device, prefix+"sensor-1", `{"measuredAt":1600000000000,"values":{"temperature":1}}`)
		return backlog(t, q) > 0
	})
	burst(20)
	send(t, device, "holon/"+who.AccountName+"/raw/sensor-1", `{"t": 215, "at": 1700000100}`) // to be decoded
	total++
	eventually(t, "all are queued", 5*time.Second, collected)
	if !seen[time.Unix(1_700_000_100, 0).UTC()] {
		t.Error("the payload was not decoded")
	}

	send(t, device, prefix+"sensor-1", "{")
	send(t, device, prefix+"ghost/with/slashes", goodPayload)
	send(t, device, "holon/"+who.AccountName+"/raw/sensor-2", "\x00")
	send(t, device, "holon/nobody/readings/sensor-1", goodPayload)
	eventually(t, "dead letters are queued", 5*time.Second, func() bool { return backlog(t, q) == 3 })
	found := map[registry.DeadLetterReason]string{}
	for _, l := range letters(t, q) {
		found[l.Refused.Reason] = l.Reference
	}
	if len(found) != 3 || found[registry.ReasonUndecodable] != "sensor-2" || found[registry.ReasonMalformed] != "sensor-1" || found[registry.ReasonUnknownDevice] != "ghost/with/slashes" {
		t.Errorf("dead letters %v", found)
	}

	door.Shut() // the queue is away, the broker keeps what comes
	burst(50)
	time.Sleep(300 * time.Millisecond)
	door.Open()
	eventually(t, "what came without the queue is queued", 15*time.Second, collected)
	stop() // so is the gateway
	burst(50)
	// This broker acknowledges a message before it has put it aside for those who
	// are away, and has done so when it acknowledges the next.
	send(t, device, "elsewhere", "{}")
	subscribe(t, address, "gateway", behind, new(devices), who.Scope)
	eventually(t, "what came without the gateway is queued", 15*time.Second, collected)

	burst(500) // more than the queue holds: 60 a partition
	eventually(t, "a partition is full", 5*time.Second, func() bool {
		all, err := q.Backlogs(t.Context())
		return err == nil && slices.ContainsFunc(all, func(b Backlog) bool { return b.Readings == 60 })
	})
	eventually(t, "what did not fit is queued", 30*time.Second, collected)
}
