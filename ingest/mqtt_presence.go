package ingest

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/holon-registry/holon/registry"
)

// Presence is told which devices are connected.
type Presence interface {
	OpenSession(ctx context.Context, session registry.DeviceSession) error
	// KeepSessions says that sessions are still open.
	KeepSessions(ctx context.Context, sessions []registry.DeviceSession) error
	CloseSession(ctx context.Context, session registry.DeviceSession) error
}

// keepEvery is how often open sessions are told of: a few times before they would
// count as gone.
const keepEvery = 30 * time.Second

// present says that the device of a session has connected. Only a key that is
// bound to one device says whose session it is.
func (s *mqttSession) present(principal *registry.Principal) {
	if s.hook.c.Presence == nil || len(principal.Key.DeviceIDs) != 1 {
		return
	}
	s.device = &registry.DeviceSession{Account: principal.Account, Device: principal.Key.DeviceIDs[0], ID: uuid.NewString()}
}

// tellPresence runs beside a session of a device.
func (s *mqttSession) tellPresence() {
	tell := func(name string, what func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := what(ctx); err != nil {
			s.hook.c.Logger.Warn().Err(err).Str("what", name).Msg("the presence of a device could not be told")
		}
	}
	presence, session := s.hook.c.Presence, *s.device
	tell("open", func(ctx context.Context) error { return presence.OpenSession(ctx, session) })
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.ended:
			tell("close", func(ctx context.Context) error { return presence.CloseSession(ctx, session) })
			return
		case <-ticker.C:
			tell("keep", func(ctx context.Context) error { return presence.KeepSessions(ctx, []registry.DeviceSession{session}) })
		}
	}
}
