package testkit

import (
	"log/slog"
	"testing"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// everybody may do everything.
type everybody struct{ mqtt.HookBase }

func (everybody) ID() string { return "everybody" }
func (everybody) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck || b == mqtt.OnSessionEstablished
}
func (everybody) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }
func (everybody) OnACLCheck(*mqtt.Client, string, bool) bool              { return true }

// OnSessionEstablished frees the client of its send quota. With one, the library
// looks for delayed messages after every acknowledgement, and takes the same read
// lock twice on the way: a message that is published between the two stops the
// client for good. No client here has more messages under way than it takes.
func (everybody) OnSessionEstablished(c *mqtt.Client, _ packets.Packet) {
	c.State.Inflight.ResetSendQuota(0)
}

// Broker runs an MQTT broker that lets everybody do everything, and returns its
// host and port. The end-to-end tests do the same with a broker of its own kind.
func Broker(t testing.TB) string {
	t.Helper()
	server := mqtt.New(&mqtt.Options{Logger: slog.New(slog.DiscardHandler)})
	if err := server.AddHook(new(everybody), nil); err != nil {
		t.Fatal(err)
	}
	listener := listeners.NewTCP(listeners.Config{ID: "t", Address: "127.0.0.1:0"})
	if err := server.AddListener(listener); err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return listener.Address()
}
