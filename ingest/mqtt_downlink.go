package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/holon-registry/holon/registry"
)

// Downlink is the store of what devices are told. See docs/adr/0026.
type Downlink interface {
	// ClaimCommands marks commands that wait for a device as sent and returns them:
	// from then on nobody else gets them.
	ClaimCommands(ctx context.Context, scope registry.Scope, device registry.ID, most int) ([]*registry.Command, error)
	// ReturnCommand puts a command back that was claimed and certainly not sent.
	ReturnCommand(ctx context.Context, scope registry.Scope, id registry.ID) error
	CommandDelivered(ctx context.Context, scope registry.Scope, id registry.ID) error
	ReplyCommand(ctx context.Context, scope registry.Scope, device registry.ID, reply registry.CommandReply) error
	// DesiredOf returns what twins are to become, one slot an id.
	DesiredOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]*registry.Desired, error)
}

const (
	// downlinkEvery is how often a session looks for what there is for its devices,
	// beside when it is told.
	downlinkEvery = 10 * time.Second
	// ackFor is how long a command waits for its PUBACK before the next is sent.
	ackFor = 30 * time.Second
	// maxDownlinks bounds the devices that one session follows.
	maxDownlinks = 1000
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

// downSub is what a session follows of one device.
type downSub struct {
	device registry.ID
	// The topics as they were subscribed to; empty if not. Retained is true until
	// the desired state was sent for the first time.
	commands, desired       string
	commandsQoS, desiredQoS byte
	version                 int
	retained                bool
}

// downlink sends a session what there is for its devices.
type downlink struct {
	session *mqttSession
	wake    chan struct{}

	mu   sync.Mutex
	subs map[registry.ID]*downSub
	acks map[uint16]chan byte
}

// deviceOf finds the device of a topic, if the session's key may speak for it.
func (s *mqttSession) deviceOf(ctx context.Context, principal *registry.Principal, reference string) (*knownDevice, error) {
	found, err := s.hook.receiver.directory.find(ctx, principal.Scope, []registry.Reading{{Device: reference}}, []bool{false})
	if err != nil {
		return nil, err
	}
	if found[0] == nil || !principal.MaySend(found[0].ID) {
		return nil, nil //nolint:nilnil // to this key there is no such device
	}
	return found[0], nil
}

// mayFollow says whether a client may subscribe to what its device is told.
func (h *mqttHook) mayFollow(cl *mqtt.Client, filter string) bool {
	s, ok := h.session(cl)
	if !ok || h.c.Downlink == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	principal, err := h.auth.Authenticate(ctx, s.secret)
	if err != nil {
		return false
	}
	topic, ok := downTopicOf(principal.AccountName, filter)
	if !ok {
		return false
	}
	device, err := s.deviceOf(ctx, principal, topic.reference)
	if err != nil || device == nil {
		return false
	}
	return s.down.expect(filter, device.ID)
}

// expect notes that a subscription is about to be made.
func (d *downlink) expect(_ string, device registry.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.subs[device] == nil {
		if len(d.subs) >= maxDownlinks {
			return false
		}
		d.subs[device] = &downSub{device: device}
		d.session.hook.downlinks.add(device, d)
	}
	return true
}

// subscribed begins to send what a subscription is to.
func (s *mqttSession) subscribed(pk packets.Packet, codes []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	principal, err := s.hook.auth.Authenticate(ctx, s.secret)
	if err != nil {
		return
	}
	for i, filter := range pk.Filters {
		topic, ok := downTopicOf(principal.AccountName, filter.Filter)
		if !ok || codes[i] > 1 {
			continue
		}
		device, err := s.deviceOf(ctx, principal, topic.reference)
		if err != nil || device == nil {
			continue
		}
		s.down.mu.Lock()
		if sub := s.down.subs[device.ID]; sub != nil && topic.desired {
			sub.desired, sub.desiredQoS, sub.version, sub.retained = filter.Filter, codes[i], 0, true
		} else if sub != nil {
			sub.commands, sub.commandsQoS = filter.Filter, codes[i]
		}
		s.down.mu.Unlock()
	}
	s.down.nudge()
}

// unsubscribed ends what was subscribed to.
func (s *mqttSession) unsubscribed(pk packets.Packet) {
	s.down.mu.Lock()
	defer s.down.mu.Unlock()
	for _, filter := range pk.Filters {
		for device, sub := range s.down.subs {
			if sub.commands == filter.Filter {
				sub.commands = ""
			}
			if sub.desired == filter.Filter {
				sub.desired = ""
			}
			if sub.commands == "" && sub.desired == "" {
				delete(s.down.subs, device)
				s.hook.downlinks.remove(device, s.down)
			}
		}
	}
}

func (d *downlink) nudge() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run sends until the session ends.
func (d *downlink) run() {
	ticker := time.NewTicker(downlinkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-d.session.ended:
			d.mu.Lock()
			for device := range d.subs {
				d.session.hook.downlinks.remove(device, d)
			}
			d.mu.Unlock()
			return
		case <-d.wake:
		case <-ticker.C:
		}
		d.mu.Lock()
		subs := slices.Collect(maps.Values(d.subs))
		d.mu.Unlock()
		for _, sub := range subs {
			if err := d.serve(sub); err != nil {
				d.session.hook.c.Logger.Warn().Err(err).Str("device", string(sub.device)).Msg("a device could not be told what there is for it")
			}
		}
	}
}

// serve sends a device everything that there is for it.
func (d *downlink) serve(sub *downSub) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*ackFor)
	defer cancel()
	principal, err := d.session.hook.auth.Authenticate(ctx, d.session.secret)
	if err != nil {
		return err
	}
	if err := d.sendDesired(ctx, principal.Scope, sub); err != nil {
		return err
	}
	for more := true; more && ctx.Err() == nil; {
		if more, err = d.sendCommand(ctx, principal.Scope, sub); err != nil {
			return err
		}
	}
	return nil
}

// sendDesired sends what the device is to become, unless it has that already.
func (d *downlink) sendDesired(ctx context.Context, scope registry.Scope, sub *downSub) error {
	d.mu.Lock()
	topic, qos, version, retained := sub.desired, sub.desiredQoS, sub.version, sub.retained
	d.mu.Unlock()
	if topic == "" {
		return nil
	}
	desired, err := d.session.hook.c.Downlink.DesiredOf(ctx, scope, []registry.ID{sub.device})
	if err != nil || desired[0] == nil || desired[0].Version <= version {
		return err
	}
	payload, err := json.Marshal(map[string]any{"version": desired[0].Version, "values": desired[0].Values, "updatedAt": desired[0].UpdatedAt})
	if err != nil {
		return err
	}
	if sent, _ := d.publish(topic, payload, qos, retained); sent {
		d.mu.Lock()
		sub.version, sub.retained = max(sub.version, desired[0].Version), false
		d.mu.Unlock()
	}
	return nil
}

// sendCommand sends the next command and waits until the device's end has it.
// What was claimed is sent once: what happens after that is not known, and no
// reason to send it again.
func (d *downlink) sendCommand(ctx context.Context, scope registry.Scope, sub *downSub) (more bool, err error) {
	store := d.session.hook.c.Downlink
	d.mu.Lock()
	topic, qos := sub.commands, sub.commandsQoS
	d.mu.Unlock()
	if topic == "" || d.session.client.Closed() {
		return false, nil
	}
	claimed, err := store.ClaimCommands(ctx, scope, sub.device, 1)
	if err != nil || len(claimed) == 0 {
		return false, err
	}
	c := claimed[0]
	payload, err := json.Marshal(map[string]any{"id": c.ID, "name": c.Name, "parameters": c.Parameters, "expiresAt": c.ExpiresAt})
	if err != nil {
		return false, err
	}
	sent, ack := d.publish(topic, payload, qos, false)
	if !sent {
		return false, store.ReturnCommand(ctx, scope, c.ID)
	}
	if ack == nil {
		return true, nil
	}
	timer := time.NewTimer(ackFor)
	defer timer.Stop()
	select {
	case reason := <-ack:
		if reason < packets.ErrUnspecifiedError.Code {
			return true, store.CommandDelivered(ctx, scope, c.ID)
		}
	case <-timer.C:
	case <-d.session.ended:
		return false, nil
	}
	return true, nil
}

// publish sends a message. Sent is false only if certainly nothing was sent. The
// channel, nil for QoS 0, gets the reason of the PUBACK.
func (d *downlink) publish(topic string, payload []byte, qos byte, retain bool) (sent bool, ack chan byte) {
	cl := d.session.client
	if cl.Closed() {
		return false, nil
	}
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos, Retain: retain}, ProtocolVersion: cl.Properties.ProtocolVersion,
		TopicName: topic, Payload: bytes.Clone(payload), Created: time.Now().Unix(),
	}
	if qos > 0 {
		id, err := cl.NextPacketID()
		if err != nil {
			return false, nil
		}
		pk.PacketID = uint16(id)
		ack = make(chan byte, 1)
		d.mu.Lock()
		d.acks[pk.PacketID] = ack
		d.mu.Unlock()
	}
	_ = cl.WritePacket(pk) // whether it arrived is told by the PUBACK alone
	return true, ack
}

// acked takes a PUBACK.
func (d *downlink) acked(pk packets.Packet) {
	d.mu.Lock()
	ack := d.acks[pk.PacketID]
	delete(d.acks, pk.PacketID)
	d.mu.Unlock()
	if ack != nil {
		ack <- pk.ReasonCode
	}
}

// downlinks are the sessions of a listener that follow devices.
type downlinks struct {
	mu       sync.Mutex
	byDevice map[registry.ID]map[*downlink]bool
}

func (d *downlinks) add(device registry.ID, of *downlink) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byDevice == nil {
		d.byDevice = map[registry.ID]map[*downlink]bool{}
	}
	if d.byDevice[device] == nil {
		d.byDevice[device] = map[*downlink]bool{}
	}
	d.byDevice[device][of] = true
}

func (d *downlinks) remove(device registry.ID, of *downlink) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byDevice[device], of)
	if len(d.byDevice[device]) == 0 {
		delete(d.byDevice, device)
	}
}

// Wake says that there is something for a device: a command, or what it is to
// become.
func (m *MQTTListener) Wake(device registry.ID) {
	d := &m.hook.downlinks
	d.mu.Lock()
	defer d.mu.Unlock()
	for of := range d.byDevice[device] {
		of.nudge()
	}
}
