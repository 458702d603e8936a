package ingest

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

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

// deviceSession is the session of a device that has connected. Only a key that is
// bound to one device says whose it is; otherwise there is none.
func deviceSession(principal *registry.Principal) *registry.DeviceSession {
	if len(principal.Key.DeviceIDs) != 1 {
		return nil
	}
	return &registry.DeviceSession{Account: principal.Account, Device: principal.Key.DeviceIDs[0], ID: uuid.NewString()}
}

// tellPresence runs beside a connection of a device.
func tellPresence(presence Presence, session registry.DeviceSession, ended <-chan struct{}, log zerolog.Logger) {
	tell := func(name string, what func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := what(ctx); err != nil {
			log.Warn().Err(err).Str("what", name).Msg("the presence of a device could not be told")
		}
	}
	tell("open", func(ctx context.Context) error { return presence.OpenSession(ctx, session) })
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			tell("close", func(ctx context.Context) error { return presence.CloseSession(ctx, session) })
			return
		case <-ticker.C:
			tell("keep", func(ctx context.Context) error { return presence.KeepSessions(ctx, []registry.DeviceSession{session}) })
		}
	}
}
