package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/holon-registry/holon/ingest"
)

type gatewayCmd struct {
	graphSettings
	redisSettings
	metricsSettings
	MQTTAddr string `name:"mqtt-addr" help:"Where to listen for MQTT 3.1.1 and 5; empty for nowhere." default:"127.0.0.1:1883" env:"HOLON_MQTT_ADDR"`
	brokerSettings
	ftpSettings
	eventSettings
	payloadSettings
}

// eventSettings say whether changes of objects are told over MQTT.
type eventSettings struct {
	Events bool `help:"Tell changes of objects over MQTT: to subscribers of this gateway, and to the outside broker if there is one." default:"true" negatable:"" env:"HOLON_EVENTS"`
}

// brokerSettings say where an outside broker is. User and password stand in
// the URL.
type brokerSettings struct {
	BrokerURL      string `help:"Also take readings from this outside broker, by a shared subscription: mqtt:// or mqtts://." env:"HOLON_BROKER_URL" placeholder:"URL"`
	BrokerClientID string `name:"broker-client-id" help:"How this gateway is known to the broker: another for each gateway, and always the same. The host's name by default." env:"HOLON_BROKER_CLIENT_ID" placeholder:"ID"`
}

// Run takes readings in until the context ends.
func (c *gatewayCmd) Run(ctx context.Context, log zerolog.Logger) error {
	if c.MQTTAddr == "" && c.BrokerURL == "" && c.FTPListen == "" {
		return errors.New("give --mqtt-addr, --broker-url or --ftp-listen: there is nothing to do")
	}
	if err := c.check(); err != nil {
		return err
	}
	s, err := openStores(ctx, log, c.graphSettings, c.redisSettings)
	if err != nil {
		return err
	}
	defer s.close()
	s.keepPayloads(c.payloadSettings)
	var listener *ingest.MQTTListener
	if c.MQTTAddr != "" {
		if listener, err = s.listenMQTT(c.MQTTAddr, c.eventSettings); err != nil {
			return err
		}
	}
	files, err := s.listenFTP(c.ftpSettings)
	if err != nil {
		return err
	}
	metrics, err := listenMetrics(ctx, c.MetricsAddr)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveFTP(ctx, files) })
	group.Go(func() error {
		s.twin.KnownChanged(ctx, s.directory.Changed)
		return nil
	})
	group.Go(func() error { return s.runGateway(ctx, listener, c.brokerSettings, c.eventSettings) })
	group.Go(func() error { return s.serveMetrics(ctx, metrics) })
	return group.Wait()
}

func (s *stores) listenMQTT(addr string, events eventSettings) (*ingest.MQTTListener, error) {
	c := ingest.MQTTConfig{Address: addr, Downlink: s.graph, Presence: s.twin, Metrics: s.metrics, Logger: s.log}
	if events.Events {
		c.Journal = changeJournal{s.graph}
	}
	listener, err := ingest.NewMQTTListener(s.receiver, s.keys, c)
	if err != nil {
		return nil, err
	}
	s.log.Info().Str("url", "mqtt://"+listener.Address()).Msg("listening for MQTT")
	return listener, nil
}

// runGateway serves a listener, unless it is nil, and subscribes and publishes
// to an outside broker, unless its URL is empty.
func (s *stores) runGateway(ctx context.Context, listener *ingest.MQTTListener, broker brokerSettings, events eventSettings) error {
	group, ctx := errgroup.WithContext(ctx)
	if listener != nil {
		group.Go(func() error { return listener.Run(ctx) })
		group.Go(func() error {
			s.twin.Downlinks(ctx, listener.Wake)
			return nil
		})
	}
	if broker.BrokerURL != "" {
		subscriber, err := broker.subscriber(s)
		if err != nil {
			return err
		}
		group.Go(func() error { return subscriber.Run(ctx) })
		if events.Events {
			publisher, err := broker.publisher(s)
			if err != nil {
				return err
			}
			group.Go(func() error { return publisher.Run(ctx) })
		}
	}
	if events.Events {
		group.Go(func() error {
			s.twin.Announced(ctx, s.graph.Wake)
			return nil
		})
	}
	return group.Wait()
}

func (b brokerSettings) publisher(s *stores) (*ingest.MQTTPublisher, error) {
	at, user, password, id, err := b.parse()
	if err != nil {
		return nil, err
	}
	return ingest.NewMQTTPublisher(s.graph, ingest.PublisherConfig{
		URL: at, Username: user, Password: password, ClientID: id + "-changes", Metrics: s.metrics, Logger: s.log,
	})
}

func (b brokerSettings) subscriber(s *stores) (*ingest.MQTTSubscriber, error) {
	at, user, password, id, err := b.parse()
	if err != nil {
		return nil, err
	}
	return ingest.NewMQTTSubscriber(s.receiver, s.graph, ingest.SubscriberConfig{
		URL: at, Username: user, Password: password, ClientID: id, Logger: s.log,
	})
}

// parse takes the URL apart, and finds out how this gateway is known.
func (b brokerSettings) parse() (address, user, password, id string, err error) {
	at, err := url.Parse(b.BrokerURL)
	if err != nil {
		return "", "", "", "", errors.New("--broker-url is no URL: write mqtt://user:password@host:1883")
	}
	password, _ = at.User.Password()
	if id = b.BrokerClientID; id == "" {
		host, err := os.Hostname()
		if err != nil {
			return "", "", "", "", fmt.Errorf("give --broker-client-id: %w", err)
		}
		id = "holon-" + host
	}
	return (&url.URL{Scheme: at.Scheme, Host: at.Host}).String(), at.User.Username(), password, id, nil
}
