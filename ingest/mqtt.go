package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

// MQTTConfig says where devices connect and what they may send. Zero values
// take the defaults.
type MQTTConfig struct {
	// Address is where to listen: ":1883".
	Address string
	// TLS is nil for plain TCP.
	TLS *tls.Config
	// MaxPacket is in bytes, 256 KiB by default.
	MaxPacket uint32
	// MaxClients is 10,000 by default.
	MaxClients int64
	// Inflight is how many messages of one client are on their way to the queue
	// at a time, 100 by default. With the size of a packet it bounds the memory.
	Inflight uint16
	// WriteTimeout is how long a client may take to read what it is sent, 10 s by
	// default.
	WriteTimeout time.Duration
	// Downlink is what devices are told; nil lets nobody subscribe.
	Downlink Downlink
	// Presence is told of sessions of devices; it may be nil.
	Presence Presence
	// Journal has the changes that clients may subscribe to; if it is nil they may
	// not.
	Journal ChangeJournal
	// Metrics may be nil.
	Metrics prometheus.Registerer
	Logger  zerolog.Logger
}

const sourceMQTT = "mqtt"

// MQTTListener is a listener of Holon's own for MQTT 3.1.1 and 5: it is no
// broker, it takes readings and tells of changes. The password is an API key, the user name is
// free. Readings go to holon/{account}/readings/{reference}; the payload is
// one reading or an array, without "device". Readings that name their device, or
// their asset, go to holon/{account}/readings. What is to be decoded goes to
// holon/{account}/raw/{reference} or holon/{account}/templates/{template}. A PUBACK means "in the queue".
//
//	                           MQTT 5                  MQTT 3.1.1
//	queued                     PUBACK 0x00             PUBACK
//	malformed or invalid       PUBACK 0x99, reason     dead letter, PUBACK
//	cannot be decoded          dead letter, PUBACK     dead letter, PUBACK
//	not allowed                PUBACK 0x87             disconnect
//	queue full                 PUBACK 0x97             no PUBACK, disconnect
//	queue or graph down        no PUBACK, disconnect   no PUBACK, disconnect
//
// With QoS 0 there is no answer: what is wrong becomes a dead letter, and what
// cannot be queued is lost. QoS 2 is refused. Retained messages are taken as
// any other, wills are ignored. A device can subscribe to its commands,
// holon/{account}/commands/{reference}, and to what it is to become,
// holon/{account}/desired/{reference}.
//
// Clients may subscribe to holon/{account}/changes/...: the changes of their own
// account's objects, from the journal. A client that asks for a session is
// remembered with what it has acknowledged, and told of what it missed when it
// comes back, here or at another gateway.
type MQTTListener struct {
	server  *mqtt.Server
	address string
	hook    *mqttHook
}

// NewMQTTListener makes a listener and binds its address; Run serves it.
func NewMQTTListener(receiver *Receiver, auth Authenticator, c MQTTConfig) (*MQTTListener, error) {
	if c.MaxPacket == 0 {
		c.MaxPacket = 256 << 10
	}
	if c.MaxClients == 0 {
		c.MaxClients = 10_000
	}
	if c.Inflight == 0 {
		c.Inflight = 100
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 10 * time.Second
	}
	can := mqtt.NewDefaultServerCapabilities()
	can.MaximumClients = c.MaxClients
	can.MaximumPacketSize = c.MaxPacket
	can.ReceiveMaximum = c.Inflight
	can.MaximumInflight = c.Inflight
	can.MaximumQos = 1
	can.MaximumSessionExpiryInterval = 0
	can.MaximumClientWritesPending = 8
	can.TopicAliasMaximum = 0
	can.RetainAvailable, can.SharedSubAvailable, can.SubIDAvailable = 0, 0, 0
	can.Compatibilities.NoInheritedPropertiesOnAck = true
	server := mqtt.New(&mqtt.Options{
		Capabilities: can,
		// The library logs whole packets, with payloads and keys.
		Logger:                 slog.New(slog.DiscardHandler),
		SysTopicResendInterval: 3600,
	})
	events, err := newEventMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("MQTT listener: %w", err)
	}
	hook := &mqttHook{receiver: receiver, auth: auth, c: c, server: server, events: events}
	if err := server.AddHook(hook, nil); err != nil {
		return nil, fmt.Errorf("MQTT listener: %w", err)
	}
	bound, err := net.Listen("tcp", c.Address)
	if err != nil {
		return nil, fmt.Errorf("MQTT listener on %s: %w", c.Address, err)
	}
	patient := net.Listener(impatient{bound})
	if c.TLS != nil {
		patient = tls.NewListener(patient, c.TLS)
	}
	if err := server.AddListener(listeners.NewNet("holon", patient)); err != nil {
		return nil, errors.Join(fmt.Errorf("MQTT listener on %s: %w", c.Address, err), bound.Close())
	}
	return &MQTTListener{server: server, address: bound.Addr().String(), hook: hook}, nil
}

// impatient gives a connection ten seconds to say who it is. After that the
// client's own keep-alive holds.
type impatient struct{ net.Listener }

// Accept implements net.Listener. The library stops listening at the first
// error, so passing ones (too many open files, a connection that is gone
// already) are waited out here.
func (l impatient) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			_ = conn.Close()
			continue
		}
		return conn, nil
	}
}

// Address is where the listener listens, with the port that it was given.
func (m *MQTTListener) Address() string { return m.address }

// Run serves until the context ends and returns when the last message under
// way was answered or dropped.
func (m *MQTTListener) Run(ctx context.Context) error {
	if err := m.server.Serve(); err != nil {
		return fmt.Errorf("MQTT listener: %w", err)
	}
	var remembering sync.WaitGroup
	if m.hook.c.Journal != nil {
		remembering.Go(func() { m.hook.keepRemembering(ctx) })
	}
	<-ctx.Done()
	err := m.server.Close()
	m.hook.sessions.Wait()
	remembering.Wait()
	if err != nil {
		return fmt.Errorf("close the MQTT listener: %w", err)
	}
	return nil
}

// mqttHook is what the MQTT library asks.
type mqttHook struct {
	mqtt.HookBase
	receiver *Receiver
	auth     Authenticator
	c        MQTTConfig
	server   *mqtt.Server
	events   *eventMetrics
	clients  sync.Map // *mqtt.Client -> *mqttSession
	sessions sync.WaitGroup
	// downlinks are the sessions that follow devices.
	downlinks downlinks
}

// ID implements mqtt.Hook.
func (*mqttHook) ID() string { return "holon" }

// Provides implements mqtt.Hook.
func (*mqttHook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnSessionEstablished, mqtt.OnPacketRead, mqtt.OnPacketEncode, mqtt.OnPublish,
		mqtt.OnSubscribe, mqtt.OnSubscribed, mqtt.OnUnsubscribed, mqtt.OnDisconnect:
		return true
	}
	return false
}

// OnConnect finds out who connects. A key that cannot be looked up is another
// thing than a wrong one: the device should try again.
func (h *mqttHook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	secret := string(pk.Connect.Password)
	principal, err := h.auth.Authenticate(ctx, secret)
	if err != nil {
		code := packets.ErrBadUsernameOrPassword
		if registry.CodeOf(err) != registry.CodeUnauthenticated {
			code = packets.ErrServerUnavailable
			h.c.Logger.Warn().Err(errors.Unwrap(err)).Msg("an MQTT client's key could not be looked up")
		}
		_ = h.server.SendConnack(cl, code, false, nil) // the client may be gone
		return code
	}
	// The library knows clients by id alone: without this, one account could cut
	// off another's clients by using their ids.
	name := cl.ID
	cl.ID = string(principal.Account) + "/" + cl.ID
	s := &mqttSession{hook: h, client: cl, secret: secret,
		messages: make(chan mqttMessage, h.c.Inflight), ended: make(chan struct{}), acks: map[uint16]func(byte){}}
	s.greet(ctx, principal, name, pk)
	// The library's own sessions hold nothing, so none is kept.
	cl.Properties.Clean = true
	cl.Properties.Props.SessionExpiryInterval = 0
	cl.Properties.Will = mqtt.Will{}
	s.down = h.downlinks.open(h.c.Downlink, s, s.principal, s.ended, h.c.Logger)
	if h.c.Presence != nil {
		s.device = deviceSession(principal)
	}
	h.clients.Store(cl, s)
	// The library says nothing if the client goes away before it is greeted.
	time.AfterFunc(time.Minute, func() {
		if !s.started.Load() {
			h.clients.Delete(cl)
		}
	})
	return nil
}

// OnConnectAuthenticate lets in who OnConnect has found.
func (h *mqttHook) OnConnectAuthenticate(cl *mqtt.Client, _ packets.Packet) bool {
	_, ok := h.clients.Load(cl)
	return ok
}

// OnACLCheck says whether a subscription was taken: of changes, or of what the
// client's devices are told. What may be published depends on more than the topic
// and is checked with the message.
func (h *mqttHook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	if write {
		return true
	}
	s, ok := h.session(cl)
	if !ok {
		return false
	}
	if code, decided := s.filters[topic]; decided {
		return code == packets.CodeSuccess
	}
	return h.mayFollow(cl, topic)
}

// OnSessionEstablished starts the goroutine that takes a client's messages.
func (h *mqttHook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	if s, ok := h.session(cl); ok {
		s.started.Store(true)
		h.sessions.Go(s.run)
		if h.c.Downlink != nil {
			h.sessions.Go(s.down.run)
		}
		if s.device != nil {
			h.sessions.Go(func() { tellPresence(h.c.Presence, *s.device, s.ended, h.c.Logger) })
		}
		if f := s.follower.Load(); f != nil {
			for _, filter := range f.filters { // so that UNSUBSCRIBE is answered rightly
				subscription := packets.Subscription{Filter: filter.Filter}
				h.server.Topics.Subscribe(cl.ID, subscription)
				cl.State.Subscriptions.Add(filter.Filter, subscription)
			}
			s.startFollower(f)
		}
	}
}

// OnDisconnect ends a client's goroutine.
func (h *mqttHook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) {
	if s, ok := h.session(cl); ok {
		h.clients.Delete(cl)
		close(s.ended)
		if !cl.IsTakenOver() {
			s.leave(s.forgotten.Load())
		} else if f := s.follower.Load(); f != nil && f.stop != nil {
			f.stop()
		}
	}
}

func (h *mqttHook) session(cl *mqtt.Client) (*mqttSession, bool) {
	s, ok := h.clients.Load(cl)
	if !ok {
		return nil, false
	}
	return s.(*mqttSession), true
}

// OnPacketRead refuses QoS 2, which the library would quietly answer as QoS 1,
// and notes what a client acknowledges: the library mixes that up with messages
// of the client that have the same number.
func (h *mqttHook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	switch pk.FixedHeader.Type {
	case packets.Puback:
		if s, ok := h.session(cl); ok {
			s.acknowledged(pk.PacketID, pk.ReasonCode)
		}
	case packets.Disconnect:
		if s, ok := h.session(cl); ok && pk.Properties.SessionExpiryIntervalFlag {
			// The library, which knows of no sessions, would take it for an error.
			s.forgotten.Store(pk.Properties.SessionExpiryInterval == 0)
			pk.Properties.SessionExpiryIntervalFlag = false
		}
	}
	if pk.FixedHeader.Type == packets.Publish && pk.FixedHeader.Qos > 1 {
		if cl.Properties.ProtocolVersion == 5 {
			_ = h.server.DisconnectClient(cl, packets.ErrQosNotSupported) // returns what it was given
		}
		return pk, packets.ErrRejectPacket
	}
	return pk, nil
}

// OnPublish hands a message to the client's goroutine and waits only if that
// has its hands full, which slows the client down. The library calls hooks of a
// client one after the other: answering here would cost a round trip to Redis a
// message. So it is told to answer nothing, and the goroutine acknowledges.
func (h *mqttHook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if s, ok := h.session(cl); ok {
		select {
		case s.messages <- mqttMessage{id: pk.PacketID, qos: pk.FixedHeader.Qos, topic: pk.TopicName, payload: pk.Payload, kind: pk.Properties.ContentType, at: time.Now()}:
		case <-s.ended:
		}
	}
	return pk, packets.ErrRejectPacket
}
