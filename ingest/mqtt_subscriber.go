package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

// Accounts finds an account by the name that stands in topics: NOT_FOUND if
// there is none.
type Accounts interface {
	AccountByName(ctx context.Context, name string) (*registry.Account, error)
}

// SubscriberConfig says which broker to subscribe to. Zero values take the
// defaults.
type SubscriberConfig struct {
	// URL of the broker: mqtt://host:1883 or mqtts://host:8883. It must speak
	// MQTT 5 and shared subscriptions.
	URL string
	TLS *tls.Config
	// Username and Password may be empty.
	Username, Password string
	// ClientID must differ between the processes that share a subscription, and
	// stay the same for each, so that the broker keeps what it could not deliver.
	ClientID string
	// Group names the shared subscription: "holon" by default.
	Group string
	// ReceiveMaximum is how many messages may be unacknowledged, at most and by
	// default 1,000: the client's cost grows with it.
	ReceiveMaximum uint16
	Logger         zerolog.Logger
}

// subscriberTopics are those of readings and of payloads to decode.
var subscriberTopics = []string{"holon/+/readings/#", "holon/+/raw/#", "holon/+/templates/+"}

const (
	sourceSubscriber = "mqtt-broker"
	// sessionExpiry is how long the broker keeps messages for a gateway that is
	// away, in seconds.
	sessionExpiry = 24 * 3600
	// accountFresh is how long an account's name is taken for what it was.
	accountFresh = time.Minute
)

// MQTTSubscriber takes readings from an outside broker, by the topics and
// payloads of [MQTTListener]. It acknowledges a message to the broker when it
// is in the queue; while the queue is full or down it does not, waits and tries
// again, and the broker keeps what it has not delivered. What is wrong becomes
// a dead letter. The broker says who may publish to an account's topics, and
// what it loses is lost.
type MQTTSubscriber struct {
	receiver *Receiver
	accounts Accounts
	c        SubscriberConfig
	broker   *url.URL
	incoming chan delivery
	known    map[string]knownAccount
}

type delivery struct {
	client *paho.Client
	packet *paho.Publish
	at     time.Time
}

type knownAccount struct {
	scope registry.Scope
	at    time.Time
}

// NewMQTTSubscriber makes a subscriber; Run connects.
func NewMQTTSubscriber(receiver *Receiver, accounts Accounts, c SubscriberConfig) (*MQTTSubscriber, error) {
	broker, err := url.Parse(c.URL)
	if err != nil || broker.Host == "" {
		return nil, errors.New("the URL of an MQTT broker looks like mqtt://host:1883")
	}
	if c.ClientID == "" {
		return nil, errors.New("a subscriber to an MQTT broker needs a client id that stays the same")
	}
	if c.Group == "" {
		c.Group = "holon"
	}
	if c.ReceiveMaximum == 0 || c.ReceiveMaximum > 1000 {
		c.ReceiveMaximum = 1000
	}
	return &MQTTSubscriber{receiver: receiver, accounts: accounts, c: c, broker: broker,
		incoming: make(chan delivery, c.ReceiveMaximum), known: map[string]knownAccount{}}, nil
}

// Run subscribes, and connects again when the connection breaks, until the
// context ends.
func (s *MQTTSubscriber) Run(ctx context.Context) error {
	connecting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	manager, err := autopaho.NewConnection(connecting, s.client(connecting))
	if err != nil {
		return fmt.Errorf("subscribe to an MQTT broker: %w", err)
	}
	var taking sync.WaitGroup
	taking.Go(func() { s.take(ctx) })
	<-ctx.Done()
	taking.Wait()
	leaving, cancel := context.WithTimeout(connecting, 2*time.Second)
	defer cancel()
	if err := manager.Disconnect(leaving); err != nil {
		s.c.Logger.Debug().Err(err).Msg("the MQTT broker was not told goodbye")
	}
	return nil
}

func (s *MQTTSubscriber) client(ctx context.Context) autopaho.ClientConfig {
	log := s.c.Logger.With().Str("broker", s.broker.Host).Logger()
	subscriptions := make([]paho.SubscribeOptions, len(subscriberTopics))
	for i, topic := range subscriberTopics {
		subscriptions[i] = paho.SubscribeOptions{Topic: "$share/" + s.c.Group + "/" + topic, QoS: 1}
	}
	return autopaho.ClientConfig{
		ServerUrls: []*url.URL{s.broker}, TlsCfg: s.c.TLS, KeepAlive: 20, SessionExpiryInterval: sessionExpiry,
		ConnectUsername: s.c.Username, ConnectPassword: []byte(s.c.Password),
		ReconnectBackoff: autopaho.NewConstantBackoff(time.Second),
		ConnectPacketBuilder: func(c *paho.Connect, _ *url.URL) (*paho.Connect, error) {
			c.Properties.ReceiveMaximum = &s.c.ReceiveMaximum
			return c, nil
		},
		OnConnectionUp: func(m *autopaho.ConnectionManager, _ *paho.Connack) {
			go func() { // the library forbids to wait here
				ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
				defer cancel()
				_, err := m.Subscribe(ctx, &paho.Subscribe{Subscriptions: subscriptions})
				if err != nil {
					log.Error().Err(err).Strs("topics", subscriberTopics).Msg("the MQTT broker refuses the subscription")
					return
				}
				log.Info().Strs("topics", subscriberTopics).Msg("subscribed to an MQTT broker")
			}()
		},
		OnConnectError: func(err error) { log.Warn().Err(err).Msg("no connection to the MQTT broker") },
		ClientConfig: paho.ClientConfig{
			ClientID: s.c.ClientID, EnableManualAcknowledgment: true,
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
				select {
				case s.incoming <- delivery{p.Client, p.Packet, time.Now()}:
				case <-ctx.Done():
				}
				return true, nil
			}},
		},
	}
}

// take queues what comes in, all that has come together, until the context ends.
func (s *MQTTSubscriber) take(ctx context.Context) {
	for {
		var batch []delivery
		select {
		case d := <-s.incoming:
			batch = append(batch, d)
		case <-ctx.Done():
			return
		}
		for more := true; more; {
			select {
			case d := <-s.incoming:
				batch = append(batch, d)
			default:
				more = false
			}
		}
		var wait backoff
		for left := batch; ; {
			var err error
			if left, err = s.queue(ctx, left); len(left) == 0 {
				break
			}
			s.c.Logger.Warn().Err(err).Int("messages", len(left)).Msg("messages of an MQTT broker wait; nothing is lost")
			wait.sleep(ctx)
			if ctx.Err() != nil {
				return // not acknowledged: the broker delivers them again
			}
		}
		s.acknowledge(batch)
	}
}

// acknowledge tells the broker, in order, unless the connection that brought a
// message is gone: then the broker delivers it again.
func (s *MQTTSubscriber) acknowledge(batch []delivery) {
	for _, d := range batch {
		select {
		case <-d.client.Done():
			continue
		default:
		}
		if err := d.client.Ack(d.packet); err != nil {
			s.c.Logger.Debug().Err(err).Msg("the MQTT broker was not told that a message has arrived")
		}
	}
}

// queue queues messages and returns those that have to be tried again, with the
// reason.
func (s *MQTTSubscriber) queue(ctx context.Context, batch []delivery) (left []delivery, err error) {
	byAccount := map[string][]delivery{}
	for _, d := range batch {
		name, _, _ := splitTopic(d.packet.Topic)
		byAccount[name] = append(byAccount[name], d)
	}
	for name, list := range byAccount {
		again, problem := s.queueAccount(ctx, name, list)
		if problem != nil {
			left, err = append(left, again...), problem
		}
	}
	return left, err
}

// The kinds of topics that payloads to decode come by.
const (
	topicRaw       = "raw"
	topicTemplates = "templates"
)

// splitTopic takes holon/{account}/readings/{reference} apart, and the like.
func splitTopic(topic string) (account, kind, name string) {
	account, rest, _ := strings.Cut(strings.TrimPrefix(topic, "holon/"), "/")
	kind, name, _ = strings.Cut(rest, "/")
	return account, kind, name
}

func (s *MQTTSubscriber) queueAccount(ctx context.Context, name string, batch []delivery) (left []delivery, problem error) {
	scope, found, err := s.account(ctx, name)
	if err != nil {
		return batch, err
	}
	if !found { // dead letters belong to an account, so there is nowhere to put it
		s.c.Logger.Warn().Str("account", name).Int("messages", len(batch)).Msg("an MQTT broker delivers messages for an account that does not exist")
		for _, d := range batch {
			s.receiver.observe(sourceSubscriber, "unknown_account", d.at, 0, 1)
		}
		return nil, nil
	}
	checks, err := s.check(ctx, scope, batch)
	if err != nil {
		return batch, err
	}
	tickets := make([]*ticket, len(batch))
	for i, c := range checks {
		if tickets[i], err = s.receiver.queue.enqueue(c.queued); err != nil {
			// Cannot be encoded: a defect, which trying again would not mend.
			s.c.Logger.Error().Err(err).Str("topic", batch[i].packet.Topic).Msg("readings cannot be encoded")
		}
	}
	for i, t := range tickets {
		if t == nil {
			continue
		}
		if err := t.wait(); err != nil {
			left, problem = append(left, batch[i]), err
			continue
		}
		if c := checks[i]; len(c.faults) > 0 {
			s.receiver.observe(sourceSubscriber, answerDeadLetter, batch[i].at, 0, max(len(c.readings), 1))
		} else {
			s.receiver.observe(sourceSubscriber, answerAccepted, batch[i].at, len(c.readings), 0)
		}
	}
	return left, problem
}

// deliveryCheck is what is to be done with a message.
type deliveryCheck struct {
	messageCheck
	// queued are its readings, or itself as a dead letter.
	queued []registry.AcceptedReading
}

// check looks at the readings of messages, those that are to be decoded too.
func (s *MQTTSubscriber) check(ctx context.Context, scope registry.Scope, batch []delivery) ([]deliveryCheck, error) {
	var messages []deviceMessage
	var raws []rawMessage
	for _, d := range batch {
		_, kind, name := splitTopic(d.packet.Topic)
		raw := rawMessage{content: d.packet.Payload, contentType: contentTypeOf(d.packet), receivedAt: d.at}
		switch kind {
		case topicRaw:
			raw.reference = name
		case topicTemplates:
			raw.template = name
		default:
			messages = append(messages, deviceMessage{name, d.packet.Payload})
			continue
		}
		raws = append(raws, raw)
	}
	everybody := &registry.Principal{Scope: scope}
	plain, err := s.receiver.checkMessages(ctx, everybody, sourceSubscriber, messages)
	if err != nil {
		return nil, err
	}
	decoded, err := s.receiver.checkRaw(ctx, everybody, sourceSubscriber, raws, false)
	if err != nil {
		return nil, err
	}
	out := make([]deliveryCheck, len(batch))
	for i, d := range batch {
		if _, kind, _ := splitTopic(d.packet.Topic); kind == topicRaw || kind == topicTemplates {
			out[i] = deliveryCheck{decoded[0].messageCheck, s.receiver.queued(scope, sourceSubscriber, &raws[0], &decoded[0])}
			raws, decoded = raws[1:], decoded[1:]
			continue
		}
		out[i] = deliveryCheck{plain[0], plain[0].readings}
		if len(plain[0].faults) > 0 {
			out[i].queued = []registry.AcceptedReading{deadLetter(scope, sourceSubscriber, messages[0], plain[0].faults)}
		}
		messages, plain = messages[1:], plain[1:]
	}
	return out, nil
}

func contentTypeOf(p *paho.Publish) string {
	if p.Properties == nil {
		return ""
	}
	return p.Properties.ContentType
}

// account finds an account's scope. It is called by one goroutine.
func (s *MQTTSubscriber) account(ctx context.Context, name string) (registry.Scope, bool, error) {
	known, ok := s.known[name]
	if ok && time.Since(known.at) < accountFresh {
		return known.scope, true, nil
	}
	account, err := s.accounts.AccountByName(ctx, name)
	switch {
	case err == nil:
		known = knownAccount{registry.Scope{Account: account.ID, AccountName: account.Name}, time.Now()}
	case registry.CodeOf(err) == registry.CodeNotFound:
		delete(s.known, name)
		return registry.Scope{}, false, nil
	case ok && registry.CodeOf(err) == registry.CodeUnavailable:
		return known.scope, true, nil // an account does not go away while the store is down
	default:
		return registry.Scope{}, false, fmt.Errorf("look up account %s: %w", name, err)
	}
	if len(s.known) > 10_000 {
		clear(s.known)
	}
	s.known[name] = known
	return known.scope, true, nil
}
