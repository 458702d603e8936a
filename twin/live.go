package twin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

// Graph is where live state comes from when Redis does not have it.
type Graph interface {
	// LiveOf returns the newest values of twins, one slot an id.
	LiveOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([][]registry.LiveValue, error)
	SeenGraph
}

// Live answers with the newest values of twins, whether Redis knows them or
// not, or is not there at all.
type Live struct {
	store *Store
	graph Graph
	log   zerolog.Logger
}

// NewLive joins the live state and the graph.
func NewLive(store *Store, graph Graph, log zerolog.Logger) *Live {
	return &Live{store: store, graph: graph, log: log}
}

// LiveOf returns the newest value of each measure of twins, one slot an id,
// ordered by measure. It takes one round trip to Redis; for twins that Redis
// does not know completely one to the graph, and one more to tell Redis.
func (l *Live) LiveOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([][]registry.LiveValue, error) {
	snap, err := l.fromRedis(ctx, scope, ids)
	if err != nil {
		snap = &snapshot{values: make([][]registry.LiveValue, len(ids)), ready: make([]bool, len(ids))}
	}
	if err := l.fromGraph(ctx, scope, ids, snap, err == nil); err != nil {
		return nil, err
	}
	for _, list := range snap.values {
		slices.SortFunc(list, func(a, b registry.LiveValue) int { return cmp.Compare(a.Measure, b.Measure) })
	}
	return snap.values, nil
}

var errResting = errors.New("the live state did not answer a moment ago")

// fromRedis returns what Redis knows, or an error while it does not answer.
func (l *Live) fromRedis(ctx context.Context, scope registry.Scope, ids []registry.ID) (*snapshot, error) {
	if l.store.resting() {
		return nil, errResting
	}
	snap, err := l.store.read(ctx, scope, ids)
	if err != nil && ctx.Err() == nil {
		l.store.downUntil.Store(time.Now().Add(rest).UnixNano())
		l.log.Warn().Err(errors.Unwrap(err)).Msg("live state is read from the graph")
	}
	return snap, err
}

// fromGraph completes a snapshot and tells Redis, if that is up.
func (l *Live) fromGraph(ctx context.Context, scope registry.Scope, ids []registry.ID, snap *snapshot, up bool) error {
	var places []int
	var asked []registry.ID
	for i, ready := range snap.ready {
		if !ready {
			places, asked = append(places, i), append(asked, ids[i])
		}
	}
	if len(asked) == 0 {
		return nil
	}
	got, err := l.graph.LiveOf(ctx, scope, asked)
	if err != nil {
		return fmt.Errorf("live state from the graph: %w", err)
	}
	for i, place := range places {
		snap.values[place] = got[i]
	}
	if !up {
		return nil
	}
	if err := l.store.fill(ctx, scope, asked, got, &snap.epochs); err != nil && ctx.Err() == nil {
		// The answer is right all the same; the next one fills again.
		l.log.Warn().Err(errors.Unwrap(err)).Msg("live state was not filled")
	}
	return nil
}
