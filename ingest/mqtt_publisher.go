package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/holon-registry/holon/registry"
)

// Outbox is where a publisher finds what it has to publish, and remembers what
// it has.
type Outbox interface {
	// LeadOutbox makes this holder the only one that publishes, for a period.
	LeadOutbox(ctx context.Context, holder string, period time.Duration) (bool, error)
	LeaveOutbox(ctx context.Context, holder string) error
	Backlogs(ctx context.Context) ([]registry.Backlog, error)
	Unpublished(ctx context.Context, scope registry.Scope, after int64, most int) ([]*registry.Change, error)
	MarkPublished(ctx context.Context, scope registry.Scope, holder string, position int64) error
}

// PublisherConfig says to which broker changes are published.
type PublisherConfig struct {
	// URL of the broker: mqtt://host:1883 or mqtts://host:8883. It must speak MQTT 5.
	URL string
	TLS *tls.Config
	// Username and Password may be empty.
	Username, Password string
	// ClientID must differ between processes, and stay the same for each: it is also
	// the name by which a process is the one that publishes, so that one that was
	// killed goes on at once.
	ClientID string
	Metrics  prometheus.Registerer
	Logger   zerolog.Logger
}

const (
	// publishTurn is how often a publisher looks for changes.
	publishTurn = 500 * time.Millisecond
	// publishLease is how long it is the only one; what it publishes in one go has
	// to be done in much less.
	publishLease   = 15 * time.Second
	publishTimeout = 8 * time.Second
	// publishBatch is how many changes of an account are published before it is
	// remembered, publishAtOnce how many of them, of different objects, at a time.
	publishBatch  = 200
	publishAtOnce = 32
)

// MQTTPublisher publishes the changes of all accounts to an outside broker, with
// QoS 1: those of an object one after the other, each when the broker has
// acknowledged the last. What the broker has is remembered in the graph only
// then, so nothing is left out, and what was under way when something broke down
// is published again. Any number of processes may run one: one at a time
// publishes.
type MQTTPublisher struct {
	outbox  Outbox
	c       PublisherConfig
	broker  *url.URL
	holder  string
	metrics *outboxMetrics
	// led is until when this process surely is the one that publishes.
	led time.Time
}

// NewMQTTPublisher makes a publisher; Run connects.
func NewMQTTPublisher(outbox Outbox, c PublisherConfig) (*MQTTPublisher, error) {
	broker, err := url.Parse(c.URL)
	if err != nil || broker.Host == "" {
		return nil, errors.New("the URL of an MQTT broker looks like mqtt://host:1883")
	}
	metrics, err := newOutboxMetrics(c.Metrics)
	if err != nil {
		return nil, fmt.Errorf("MQTT publisher: %w", err)
	}
	return &MQTTPublisher{outbox: outbox, c: c, broker: broker, holder: c.ClientID, metrics: metrics}, nil
}

// Run publishes until the context ends, and connects again when the connection
// breaks.
func (p *MQTTPublisher) Run(ctx context.Context) error {
	connecting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	manager, err := autopaho.NewConnection(connecting, autopaho.ClientConfig{
		ServerUrls: []*url.URL{p.broker}, TlsCfg: p.c.TLS, KeepAlive: 20, CleanStartOnInitialConnection: true,
		ConnectUsername: p.c.Username, ConnectPassword: []byte(p.c.Password),
		ReconnectBackoff: autopaho.NewConstantBackoff(time.Second),
		OnConnectError:   func(err error) { p.c.Logger.Warn().Err(err).Msg("no connection to the MQTT broker for changes") },
		ClientConfig:     paho.ClientConfig{ClientID: p.c.ClientID},
	})
	if err != nil {
		return fmt.Errorf("publish to an MQTT broker: %w", err)
	}
	var wait backoff
	for ctx.Err() == nil {
		more, err := p.turn(ctx, manager)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			p.c.Logger.Warn().Err(err).Msg("changes wait to be published; nothing is lost")
			wait.sleep(ctx)
		case !more:
			wait = backoff{}
			select {
			case <-ctx.Done():
			case <-time.After(publishTurn):
			}
		}
	}
	leaving, cancel := context.WithTimeout(connecting, 2*time.Second)
	defer cancel()
	if err := p.outbox.LeaveOutbox(leaving, p.holder); err != nil {
		p.c.Logger.Debug().Err(err).Msg("the outbox was not left")
	}
	if err := manager.Disconnect(leaving); err != nil {
		p.c.Logger.Debug().Err(err).Msg("the MQTT broker was not told goodbye")
	}
	return nil
}

// turn publishes some changes of each account that has any, and says whether
// there may be more.
func (p *MQTTPublisher) turn(ctx context.Context, manager *autopaho.ConnectionManager) (more bool, err error) {
	if leads, err := p.lead(ctx); err != nil || !leads {
		return false, err
	}
	backlogs, err := p.outbox.Backlogs(ctx)
	if err != nil {
		return false, err
	}
	lag := int64(0)
	for _, b := range backlogs {
		lag += b.Last - b.Published
	}
	p.metrics.lag.Set(float64(lag))
	for _, b := range backlogs {
		if leads, err := p.lead(ctx); err != nil || !leads {
			return false, err
		}
		full, err := p.publishSome(ctx, manager, b)
		if err != nil {
			return false, fmt.Errorf("account %s: %w", b.Scope.AccountName, err)
		}
		more = more || full
	}
	if !more {
		p.metrics.lag.Set(0)
	}
	return more, nil
}

// lead makes sure that there is time for a batch.
func (p *MQTTPublisher) lead(ctx context.Context) (bool, error) {
	now := time.Now()
	if now.Add(publishTimeout + time.Second).Before(p.led) {
		return true, nil
	}
	leads, err := p.outbox.LeadOutbox(ctx, p.holder, publishLease)
	if err != nil || !leads {
		p.metrics.leader.Set(0)
		p.metrics.lag.Set(0)
		return false, err
	}
	p.metrics.leader.Set(1)
	p.led = now.Add(publishLease)
	return true, nil
}

func (p *MQTTPublisher) publishSome(ctx context.Context, manager *autopaho.ConnectionManager, b registry.Backlog) (full bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	changes, err := p.outbox.Unpublished(ctx, b.Scope, b.Published, publishBatch)
	if err != nil {
		return false, err
	}
	upto := b.Last
	if len(changes) > 0 {
		upto = changes[len(changes)-1].Position
	}
	if missing := upto - b.Published - int64(len(changes)); missing > 0 {
		p.c.Logger.Error().Int64("changes", missing).Str("account", b.Scope.AccountName).Msg("changes became too old for the history before they were published")
	}
	if err := p.publish(ctx, manager, b.Scope, changes); err != nil {
		return false, err
	}
	return len(changes) == publishBatch, p.outbox.MarkPublished(ctx, b.Scope, p.holder, upto)
}

// publish publishes changes: those of an object in order.
func (p *MQTTPublisher) publish(ctx context.Context, manager *autopaho.ConnectionManager, scope registry.Scope, changes []*registry.Change) error {
	byObject := map[registry.ID][]*registry.Change{}
	var objects []registry.ID
	for _, c := range changes {
		if byObject[c.ObjectID] == nil {
			objects = append(objects, c.ObjectID)
		}
		byObject[c.ObjectID] = append(byObject[c.ObjectID], c)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(publishAtOnce)
	for _, object := range objects {
		group.Go(func() error {
			for _, c := range byObject[object] {
				payload, err := changeMessage(c)
				if err != nil {
					return err
				}
				if _, err := manager.Publish(ctx, &paho.Publish{QoS: 1, Topic: changeTopic(scope.AccountName, c), Payload: payload}); err != nil {
					return fmt.Errorf("publish change %d: %w", c.Position, err)
				}
				p.metrics.published.Inc()
			}
			return nil
		})
	}
	return group.Wait()
}
