package ingest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqttpackets "github.com/mochi-mqtt/server/v2/packets"

	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

// listen runs a listener on a free port.
func listen(t testing.TB, q *Queue, d *devices, auth Authenticator) string {
	t.Helper()
	m, err := NewMQTTListener(newReceiver(t, q, d, nil), auth, MQTTConfig{Address: "127.0.0.1:0", MaxPacket: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return m.Address()
}

// five connects a client of MQTT 5.
func five(t testing.TB, address, id, password string) (*paho.Client, *paho.Connack, error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	client := paho.NewClient(paho.ClientConfig{ClientID: id, Conn: conn})
	ack, err := client.Connect(t.Context(), &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: 30, UsernameFlag: true, Username: "anything",
		PasswordFlag: true, Password: []byte(password)})
	t.Cleanup(func() { conn.Close() })
	return client, ack, err
}

// three is a client of MQTT 3.1.1, by hand.
type three struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func connectThree(t testing.TB, address, id, password string) (*three, byte) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &three{t, conn, bufio.NewReader(conn)}
	var out bytes.Buffer
	pk := mqttpackets.Packet{FixedHeader: mqttpackets.FixedHeader{Type: mqttpackets.Connect}, ProtocolVersion: 4,
		Connect: mqttpackets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, Keepalive: 30, ClientIdentifier: id,
			UsernameFlag: true, Username: []byte("u"), PasswordFlag: true, Password: []byte(password)}}
	if err := pk.ConnectEncode(&out); err != nil {
		t.Fatal(err)
	}
	conn.Write(out.Bytes())
	ack := c.read(4)
	if ack == nil {
		return c, 0xFF
	}
	return c, ack[3]
}

// read reads n bytes, or returns nil if the connection is closed.
func (c *three) read(n int) []byte {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, n)
	if _, err := io.ReadFull(c.in, b); err != nil {
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			c.t.Fatal("no answer and no disconnect")
		}
		return nil
	}
	return b
}

func (c *three) publish(id uint16, qos byte, topic, payload string) {
	c.t.Helper()
	var out bytes.Buffer
	pk := mqttpackets.Packet{FixedHeader: mqttpackets.FixedHeader{Type: mqttpackets.Publish, Qos: qos}, ProtocolVersion: 4, PacketID: id, TopicName: topic, Payload: []byte(payload)}
	if err := pk.PublishEncode(&out); err != nil {
		c.t.Fatal(err)
	}
	c.conn.Write(out.Bytes())
}

// acked says whether message id is acknowledged next; false is a disconnect.
func (c *three) acked(id uint16) bool {
	c.t.Helper()
	b := c.read(4)
	if b != nil && (b[0] != 0x40 || b[1] != 2 || b[2] != byte(id>>8) || b[3] != byte(id)) {
		c.t.Fatalf("got %x, want the acknowledgement of %d", b, id)
	}
	return b != nil
}

const goodPayload = `{"values":{"temperature":21.5}}`

func TestMQTTAnswers(t *testing.T) {
	who, bound := newPrincipal(), newPrincipal()
	bound.Key.DeviceIDs = []registry.ID{idOf(bound.Account, "sensor-1")}
	auth := secrets{"hk_a": who, "hk_bound": bound}
	q := openQueue(t, nil)
	full := openQueue(t, func(c *QueueConfig) { c.MaxReadings = 1 })
	door := testkit.NewDoor(t)
	down := openQueue(t, func(c *QueueConfig) { c.URL = door.URL; c.Timeout = time.Second })
	door.Shut()
	noGraph := new(devices)
	noGraph.fail(registry.Unavailable("graph database", nil))
	addresses := map[string]string{"": listen(t, q, new(devices), auth), "full": listen(t, full, new(devices), auth),
		"down": listen(t, down, new(devices), auth), "no graph": listen(t, q, noGraph, auth)}
	topic := func(p *registry.Principal, reference string) string {
		return "holon/" + p.AccountName + "/readings/" + reference
	}
	two := "[" + goodPayload + "," + goodPayload + "]"
	const gone = 0xFF // no answer but a disconnect
	for name, c := range map[string]struct {
		where, key, topic, payload string
		five                       byte
		reason                     string
		three                      byte // 0 is acknowledged
		deadLetter                 registry.DeadLetterReason
	}{
		"one":             {topic: topic(who, "sensor-1"), payload: goodPayload},
		"array":           {topic: topic(who, "sensor-1"), payload: two},
		"empty array":     {topic: topic(who, "sensor-1"), payload: "[]"},
		"malformed":       {topic: topic(who, "sensor-1"), payload: "21.5 °C", five: 0x99, reason: "not JSON", deadLetter: registry.ReasonMalformed},
		"wrong type":      {topic: topic(who, "sensor-1"), payload: `{"values":{"temperature":"hot"}}`, five: 0x99, reason: "[0].values.temperature", deadLetter: registry.ReasonWrongType},
		"seconds":         {topic: topic(who, "sensor-1"), payload: `{"measuredAt":1700000000,"values":{"temperature":1}}`, five: 0x99, reason: "milliseconds", deadLetter: registry.ReasonTimeOutOfBounds},
		"device given":    {topic: topic(who, "sensor-1"), payload: `{"device":"x","values":{"temperature":1}}`, five: 0x99, reason: "topic", deadLetter: registry.ReasonMalformed},
		"unknown device":  {topic: topic(who, "ghost"), payload: goodPayload, five: 0x99, reason: "ghost", deadLetter: registry.ReasonUnknownDevice},
		"named":           {topic: "holon/" + who.AccountName + "/readings", payload: `[{"device":"sensor-1","values":{"temperature":1}},{"asset":"room-1","values":{"temperature":1}}]`},
		"fed":             {topic: "holon/" + who.AccountName + "/readings", payload: `{"asset":"room-fed","values":{"humidity":1}}`, five: 0x99, reason: "feeds measure humidity", deadLetter: registry.ReasonFedByDevice},
		"asset and topic": {topic: topic(who, "sensor-1"), payload: `{"asset":"room-1","values":{"temperature":1}}`, five: 0x99, reason: "topic", deadLetter: registry.ReasonMalformed},
		"one of two":      {topic: topic(who, "sensor-1"), payload: `[` + goodPayload + `,{"values":{"pressure":1}}]`, five: 0x99, reason: "[1].values.pressure", deadLetter: registry.ReasonUndeclaredMeasure},
		"other account":   {topic: topic(bound, "sensor-1"), payload: goodPayload, five: 0x87, reason: "holon/" + who.AccountName, three: gone},
		"other topic":     {topic: "sensors/1", payload: goodPayload, five: 0x87, three: gone},
		"bound":           {key: "hk_bound", topic: topic(bound, "sensor-1"), payload: goodPayload},
		"bound elsewhere": {key: "hk_bound", topic: topic(bound, "sensor-2"), payload: goodPayload, five: 0x87, three: gone},
		"one of others":   {key: "hk_bound", topic: "holon/" + bound.AccountName + "/readings", payload: `[{"device":"sensor-1","measuredAt":"1999-01-01T00:00:00Z","values":{"temperature":1}},{"device":"sensor-2","values":{"temperature":1}}]`, five: 0x87, reason: "sensor-2", three: gone},
		"full":            {where: "full", topic: topic(who, "sensor-1"), payload: two, five: 0x97, reason: "full", three: gone},
		"queue down":      {where: "down", topic: topic(who, "sensor-1"), payload: goodPayload, five: gone, three: gone},
		"graph down":      {where: "no graph", topic: topic(who, "sensor-9"), payload: goodPayload, five: gone, three: gone},
	} {
		key := c.key
		if key == "" {
			key = "hk_a"
		}
		before := backlog(t, q)
		t.Run(name+"/5", func(t *testing.T) {
			client, _, err := five(t, addresses[c.where], "client", key)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if c.five == gone {
				go func() { <-client.Done(); cancel() }()
			}
			answer, err := client.Publish(ctx, &paho.Publish{QoS: 1, Topic: c.topic, Payload: []byte(c.payload)})
			switch {
			case c.five == gone:
				if answer != nil || !errors.Is(context.Cause(ctx), context.Canceled) {
					t.Errorf("neither disconnected nor unanswered: %+v %v", answer, err)
				}
			case answer == nil:
				t.Errorf("no answer: %v", err)
			case answer.ReasonCode != c.five || answer.Properties != nil && !strings.Contains(answer.Properties.ReasonString, c.reason):
				t.Errorf("got %#x %+v, want %#x %q", answer.ReasonCode, answer.Properties, c.five, c.reason)
			}
		})
		if c.five != 0 && c.where == "" && backlog(t, q) != before {
			t.Errorf("%s: something was queued", name)
		}
		t.Run(name+"/3", func(t *testing.T) {
			client, code := connectThree(t, addresses[c.where], "client", key)
			if code != 0 {
				t.Fatalf("connect: %d", code)
			}
			client.publish(7, 1, c.topic, c.payload)
			if acked := client.acked(7); acked != (c.three == 0) {
				t.Errorf("acknowledged: %v", acked)
			}
		})
		letters := letters(t, q)
		if c.deadLetter != "" {
			if len(letters) != 1 || letters[0].Refused.Reason != c.deadLetter || string(letters[0].Raw) != c.payload || letters[0].Account != who.Account || letters[0].Reference != "" && !strings.HasSuffix(c.topic, "/"+letters[0].Reference) {
				t.Errorf("%s: dead letters %+v", name, letters)
			}
		} else if len(letters) > 0 {
			t.Errorf("%s: dead letters %+v", name, letters)
		}
	}
}

// letters takes the refused messages out of a queue, with all that is in it.
func letters(t *testing.T, q *Queue) (found []registry.AcceptedReading) {
	t.Helper()
	for p := range q.Partitions() {
		entries := drain(t, q, p)
		for _, e := range entries {
			for _, r := range e.Readings {
				if r.Refused != nil {
					found = append(found, r)
				}
			}
		}
		if err := q.Done(t.Context(), p, entries); err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func TestMQTTConnects(t *testing.T) {
	who, other := newPrincipal(), newPrincipal()
	address := listen(t, openQueue(t, nil), new(devices), secrets{"hk_a": who, "hk_b": other})
	for password, want := range map[string][2]byte{"hk_a": {0, 0}, "wrong": {0x86, 5}, "down": {0x88, 3}} {
		_, ack, err := five(t, address, "c", password)
		if ack == nil || ack.ReasonCode != want[0] {
			t.Errorf("5, %q: %+v %v", password, ack, err)
		}
		if _, code := connectThree(t, address, "c", password); code != want[1] {
			t.Errorf("3.1.1, %q: %d", password, code)
		}
	}
	// Two accounts may use the same client id.
	first, _, err := five(t, address, "same", "hk_a")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := five(t, address, "same", "hk_b"); err != nil {
		t.Fatal(err)
	}
	if answer, err := first.Publish(t.Context(), &paho.Publish{QoS: 1, Topic: "holon/" + who.AccountName + "/readings/sensor-1", Payload: []byte(goodPayload)}); err != nil {
		t.Errorf("cut off by another account: %v %v", answer, err)
	}
	// Nobody can subscribe.
	if suback, err := first.Subscribe(t.Context(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "#", QoS: 1}}}); err == nil || suback.Reasons[0] < 0x80 {
		t.Errorf("subscribed: %+v %v", suback, err)
	}
}

func TestMQTTQualitiesOfService(t *testing.T) {
	who := newPrincipal()
	q := openQueue(t, nil)
	address := listen(t, q, new(devices), secrets{"hk_a": who})
	topic := "holon/" + who.AccountName + "/readings/sensor-1"
	// What was sent with QoS 0 just before the client left is not lost.
	for range 20 {
		c, _ := connectThree(t, address, "zero", "hk_a")
		c.publish(0, 0, topic, goodPayload)
		c.publish(0, 0, topic, "{")
		c.conn.Write([]byte{0xE0, 0})
		c.read(1)
	}
	eventually(t, "all of QoS 0 is queued", 5*time.Second, func() bool { return backlog(t, q) == 40 })
	if n := len(letters(t, q)); n != 20 {
		t.Errorf("%d dead letters, want 20", n)
	}
	c, _ := connectThree(t, address, "two", "hk_a")
	c.publish(9, 2, topic, goodPayload)
	if b := c.read(1); b != nil {
		t.Errorf("QoS 2 is answered with %x", b)
	}
	big, _ := connectThree(t, address, "big", "hk_a")
	big.publish(9, 1, topic, goodPayload+strings.Repeat(" ", 70<<10))
	if b := big.read(1); b != nil {
		t.Errorf("a packet that is too large is answered with %x", b)
	}
	if n := backlog(t, q); n != 0 {
		t.Errorf("%d readings are queued", n)
	}
}

// A client that does not wait for answers gets them all, in order.
func TestMQTTAnswersInOrder(t *testing.T) {
	who := newPrincipal()
	q := openQueue(t, nil)
	address := listen(t, q, new(devices), secrets{"hk_a": who})
	c, _ := connectThree(t, address, "busy", "hk_a")
	go func() {
		for id := range uint16(2000) {
			c.publish(id+1, 1, fmt.Sprintf("holon/%s/readings/sensor-%d", who.AccountName, id%10), fmt.Sprintf(`{"measuredAt":%d,"values":{"temperature":1}}`, 1_700_000_000_000+int64(id)))
		}
	}()
	for id := range uint16(2000) {
		if !c.acked(id + 1) {
			t.Fatal("disconnected")
		}
	}
	checkBooks(t, q, 2000, 2000)
	last := map[string]time.Time{}
	for p := range q.Partitions() {
		for _, e := range drain(t, q, p) {
			for _, r := range e.Readings {
				if !r.MeasuredAt.After(last[r.Reference]) {
					t.Fatalf("%s: %s after %s", r.Reference, r.MeasuredAt, last[r.Reference])
				}
				last[r.Reference] = r.MeasuredAt
			}
		}
	}
}

func TestMQTTDeletedKey(t *testing.T) {
	who := newPrincipal()
	auth := &revocable{secrets: secrets{"hk_a": who}}
	address := listen(t, openQueue(t, nil), new(devices), auth)
	c, _ := connectThree(t, address, "c", "hk_a")
	topic := "holon/" + who.AccountName + "/readings/sensor-1"
	c.publish(1, 1, topic, goodPayload)
	if !c.acked(1) {
		t.Fatal("disconnected")
	}
	auth.revoked.Store(true)
	c.publish(2, 1, topic, goodPayload)
	if c.acked(2) {
		t.Error("a deleted key still works")
	}
}

type revocable struct {
	secrets
	revoked atomic.Bool
}

func (r *revocable) Authenticate(ctx context.Context, secret string) (*registry.Principal, error) {
	if r.revoked.Load() {
		return nil, registry.Unauthenticated()
	}
	return r.secrets.Authenticate(ctx, secret)
}

func BenchmarkMQTT(b *testing.B) {
	who := newPrincipal()
	for _, clients := range []int{1, 16, 200} {
		for _, window := range []int{1, 50} {
			b.Run(fmt.Sprintf("clients=%d/inflight=%d", clients, window), func(b *testing.B) {
				q := openQueue(b, func(c *QueueConfig) { c.Partitions = 8; c.MaxReadings = 1 << 30; c.MaxBytes = 1 << 40 })
				address := listen(b, q, new(devices), secrets{"hk_a": who})
				var all []*three
				for i := range clients {
					c, _ := connectThree(b, address, fmt.Sprint(i), "hk_a")
					all = append(all, c)
				}
				each := b.N/clients + 1
				b.ResetTimer()
				var wait sync.WaitGroup
				for i, c := range all {
					wait.Go(func() {
						free := make(chan struct{}, window)
						go func() {
							for n := range each {
								free <- struct{}{}
								c.publish(uint16(n%60000)+1, 1, fmt.Sprintf("holon/%s/readings/sensor-%d", who.AccountName, i), `{"measuredAt":1700000000000,"values":{"temperature":21.5,"humidity":40.5}}`)
							}
						}()
						for n := range each {
							if !c.acked(uint16(n%60000) + 1) {
								b.Error("disconnected")
								return
							}
							<-free
						}
					})
				}
				wait.Wait()
				b.ReportMetric(float64(each*clients)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}
