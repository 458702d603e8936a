package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"golang.org/x/sync/errgroup"
)

// underWay is how many messages of an MQTT connection are not acknowledged yet,
// at most.
const underWay = 32

// addMQTT adds the pipeline from messages on, one reading each, acknowledged
// one by one.
func (r *runner) addMQTT() {
	sources := r.sources(r.Connections, 1)
	r.cells = append(r.cells, &cell{part: MQTT, burst: 1, run: func(ctx context.Context) (sample, error) {
		messages := make([][]*paho.Publish, len(sources))
		clients := make([]*paho.Client, len(sources))
		for i, s := range sources {
			var err error
			if clients[i], err = r.publisher(ctx, fmt.Sprintf("bench-%d", i)); err != nil {
				return sample{}, err
			}
			defer func() { _ = clients[i].Disconnect(&paho.Disconnect{}) }() // everything was answered
			for _, one := range s.take(r.Readings / r.Connections) {
				messages[i] = append(messages[i], &paho.Publish{
					QoS: 1, Topic: "holon/" + r.Scope.AccountName + "/readings/" + one.device.reference, Payload: appendReading(nil, one, false),
				})
			}
		}
		return r.kept(ctx, func() (sample, error) {
			return r.working(ctx, func(ctx context.Context) (sample, error) {
				return r.race(ctx, len(sources), func(ctx context.Context, i int, lap func(time.Time)) error {
					return publishAll(ctx, clients[i], messages[i], lap)
				})
			})
		})
	}})
}

// publisher connects a client that only publishes.
func (r *runner) publisher(ctx context.Context, id string) (*paho.Client, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", r.MQTTAddress)
	if err != nil {
		return nil, err
	}
	client := paho.NewClient(paho.ClientConfig{ClientID: id, Conn: conn, PacketTimeout: time.Minute})
	if _, err := client.Connect(ctx, &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: 60, PasswordFlag: true, Password: []byte(r.Secret), UsernameFlag: true, Username: "bench"}); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the MQTT listener: %w", err), conn.Close())
	}
	return client, nil
}

// publishAll sends messages in order, some of them under way at a time.
func publishAll(ctx context.Context, client *paho.Client, messages []*paho.Publish, lap func(time.Time)) error {
	var next atomic.Int64
	var telling sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for range underWay {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(messages) {
					return nil
				}
				began := time.Now()
				answer, err := client.Publish(ctx, messages[i])
				if err != nil {
					return err
				}
				if answer.ReasonCode >= 0x80 {
					return fmt.Errorf("a message was answered 0x%x", answer.ReasonCode)
				}
				telling.Lock()
				lap(began)
				telling.Unlock()
			}
		})
	}
	return group.Wait()
}
