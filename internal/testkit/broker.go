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
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}
func (everybody) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }
func (everybody) OnACLCheck(*mqtt.Client, string, bool) bool              { return true }

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
