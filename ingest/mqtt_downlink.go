package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/holon-registry/holon/registry"
)

// downTopic is what a subscription is to: the commands or the desired state of a
// device.
type downTopic struct {
	reference string
	desired   bool
}

// downTopicOf reads a topic filter.
func downTopicOf(account, filter string) (downTopic, bool) {
	rest, ok := strings.CutPrefix(filter, "holon/"+account+"/")
	if !ok || strings.ContainsAny(filter, "#+") {
		return downTopic{}, false
	}
	if reference, ok := strings.CutPrefix(rest, "commands/"); ok && reference != "" {
		return downTopic{reference: reference}, true
	}
	if reference, ok := strings.CutPrefix(rest, "desired/"); ok && reference != "" {
		return downTopic{reference: reference, desired: true}, true
	}
	return downTopic{}, false
}

// mayFollow says whether a client may subscribe to what its device is told.
func (h *mqttHook) mayFollow(cl *mqtt.Client, filter string) bool {
	s, ok := h.session(cl)
	if !ok || h.c.Downlink == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	principal, err := s.principal(ctx)
	if err != nil {
		return false
	}
	topic, ok := downTopicOf(principal.AccountName, filter)
	if !ok {
		return false
	}
	device, err := h.receiver.deviceFor(ctx, principal, topic.reference)
	if err != nil || device == nil {
		return false
	}
	return s.down.expect(device.ID)
}

// principal is whose client it is. It is asked each time, and cached: a key that
// was deleted ends there.
func (s *mqttSession) principal(ctx context.Context) (*registry.Principal, error) {
	return s.hook.auth.Authenticate(ctx, s.secret)
}

// subscribed begins to send what a subscription is to.
func (s *mqttSession) subscribed(pk packets.Packet, codes []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	principal, err := s.principal(ctx)
	if err != nil {
		return
	}
	for i, filter := range pk.Filters {
		topic, ok := downTopicOf(principal.AccountName, filter.Filter)
		if !ok || codes[i] > 1 {
			continue
		}
		device, err := s.hook.receiver.deviceFor(ctx, principal, topic.reference)
		if err != nil || device == nil {
			continue
		}
		to := downTo{filter.Filter, codes[i] > 0}
		s.down.follow(device.ID, func(sub *downSub) {
			if topic.desired {
				sub.desired, sub.version = to, 0
			} else {
				sub.commands = to
			}
		})
	}
	s.down.nudge()
}

// unsubscribed ends what was subscribed to.
func (s *mqttSession) unsubscribed(pk packets.Packet) {
	for _, filter := range pk.Filters {
		s.down.drop(func(sub *downSub) {
			if sub.commands.name == filter.Filter {
				sub.commands = downTo{}
			}
			if sub.desired.name == filter.Filter {
				sub.desired = downTo{}
			}
		})
	}
}

// closed implements downLine.
func (s *mqttSession) closed() bool { return s.client.Closed() }

// sendCommand implements downLine. That a command arrived is told by its PUBACK.
func (s *mqttSession) sendCommand(to downTo, c *registry.Command) (sent bool, arrived <-chan bool) {
	// What came as JSON can be written as JSON.
	payload, _ := json.Marshal(map[string]any{"id": c.ID, "name": c.Name, "parameters": c.Parameters, "expiresAt": c.ExpiresAt})
	m := outgoing{topic: to.name, payload: payload}
	if to.acknowledged {
		answer := make(chan bool, 1)
		m.acked = func(reason byte) { answer <- reason < packets.ErrUnspecifiedError.Code }
		arrived = answer
	}
	return !errors.Is(s.publish(m), errUnsent), arrived
}

// sendDesired implements downLine.
func (s *mqttSession) sendDesired(to downTo, d *registry.Desired, first bool) bool {
	payload, _ := json.Marshal(map[string]any{"version": d.Version, "values": d.Values, "updatedAt": d.UpdatedAt})
	m := outgoing{topic: to.name, payload: payload, retain: first}
	if to.acknowledged {
		m.acked = func(byte) {}
	}
	return s.publish(m) == nil
}

// Wake says that there is something for a device: a command, or what it is to
// become.
func (m *MQTTListener) Wake(device registry.ID) { m.hook.downlinks.tell(device) }
