package main

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
	"github.com/holon-registry/holon/twin"
)

// importMemories has what is remembered of alarms beside the live state taken
// from the graph again. The live-state store is opened when there is something to
// forget.
type importMemories struct {
	settings redisSettings
	log      zerolog.Logger
	live     *twin.Store
}

// forget gives up what is remembered of the alarms of twins.
func (m *importMemories) forget(ctx context.Context, scope registry.Scope, twins []registry.ID) error {
	if m.live == nil {
		live, err := twin.Open(twin.Config{URL: m.settings.URL, Logger: m.log})
		if err != nil {
			return err
		}
		m.live = live
	}
	lost := make([]registry.AlarmMemory, len(twins))
	for i, id := range twins {
		lost[i] = registry.AlarmMemory{TwinID: id, Lost: true}
	}
	_, err := m.live.KeepAlarmMemories(ctx, scope, lost)
	return err
}

func (m *importMemories) close() {
	if m.live != nil {
		if err := m.live.Close(); err != nil {
			m.log.Warn().Err(err).Msg("closing the live-state store")
		}
	}
}
