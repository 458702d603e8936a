package twin

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

// SeenGraph is what presence asks the graph when Redis does not know.
type SeenGraph interface {
	// SeenOf returns when devices were seen, one slot an id; the zero value for
	// what is no device.
	SeenOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]registry.Seen, error)
	// Watched returns devices of all accounts whose template says when they are
	// silent, page by page; next is empty at the end.
	Watched(ctx context.Context, after string) (devices []registry.Seen, next string, err error)
}

// PresenceOf returns whether devices are there, one slot an id. It takes one
// round trip to Redis; for devices that Redis does not know one to the graph,
// and one more to tell Redis.
func (l *Live) PresenceOf(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]registry.Presence, error) {
	out, ready := make([]registry.Presence, len(ids)), make([]bool, len(ids))
	up := false
	if !l.store.resting() {
		if known, which, err := l.store.presences(ctx, scope, ids); err == nil {
			out, ready, up = known, which, true
		}
	}
	var places []int
	var asked []registry.ID
	for i, id := range ids {
		if !ready[i] {
			places, asked = append(places, i), append(asked, id)
		}
	}
	if len(asked) == 0 {
		return out, nil
	}
	seen, err := l.graph.SeenOf(ctx, scope, asked)
	if err != nil {
		return nil, fmt.Errorf("presence from the graph: %w", err)
	}
	now := l.store.now()
	for i, place := range places {
		out[place] = seen[i].Present(now)
	}
	if up {
		if err := l.store.learnSeen(ctx, seen); err != nil && ctx.Err() == nil {
			l.log.Warn().Err(err).Msg("presence was not filled")
		}
	}
	return out, nil
}

// learnSeen tells Redis what the graph knows.
func (s *Store) learnSeen(ctx context.Context, seen []registry.Seen) error {
	var updates []registry.TwinUpdate
	for _, one := range seen {
		if one.LastAt != nil {
			updates = append(updates, registry.TwinUpdate{Account: one.Account, TwinID: one.TwinID, SeenFirst: *one.LastAt, Seen: *one.LastAt, Silence: one.Silence})
		}
	}
	runs, _ := s.seenRuns(updates)
	return s.runScripts(ctx, "seen", runs)
}

// Watcher notices when devices fall silent. Any number of processes may run one:
// a lease sees to it that one works at a time.
type Watcher struct {
	store *Store
	graph SeenGraph
	// left is told of devices that are not connected any more; nil for nobody.
	left func(ctx context.Context, devices []registry.TwinUpdate) error
	log  zerolog.Logger
	id   string
}

// NewWatcher makes a watcher; Run starts it.
func NewWatcher(store *Store, graph SeenGraph, left func(context.Context, []registry.TwinUpdate) error, log zerolog.Logger) *Watcher {
	return &Watcher{store: store, graph: graph, left: left, log: log, id: rand.Text()}
}

const (
	watchEvery = 500 * time.Millisecond
	watchLease = 10 * time.Second
	// watchPage is how many devices of a hash tag lapse at a time.
	watchPage = 500
	// seededFor is how long the deadlines count as complete: a template may have
	// got another silence meanwhile.
	seededFor = time.Hour
)

// Run watches until the context ends. It returns nil: what fails is tried again.
func (w *Watcher) Run(ctx context.Context) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		if err := w.turn(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn().Err(err).Msg("presence is not watched for now")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// turn does what is due, if this watcher has the lease.
func (w *Watcher) turn(ctx context.Context) error {
	held, err := w.store.Hold(ctx, "presence", w.id, watchLease)
	if err != nil || !held {
		return err
	}
	if err := w.seed(ctx); err != nil {
		return err
	}
	for tag := range tags {
		for more := true; more; {
			if more, err = w.lapse(ctx, tag); err != nil {
				return err
			}
		}
	}
	return nil
}

// seed reads the deadlines from the graph if Redis was emptied, and now and then.
func (w *Watcher) seed(ctx context.Context) error {
	marks := make([]*redis.IntCmd, tags)
	err := w.store.call(ctx, "watch", func() error {
		_, err := w.store.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for tag := range tags {
				marks[tag] = p.Exists(ctx, w.store.seededKey(tag))
			}
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	missing := false
	for _, mark := range marks {
		missing = missing || mark.Val() == 0
	}
	if !missing {
		return nil
	}
	for after := ""; ; {
		devices, next, err := w.graph.Watched(ctx, after)
		if err != nil {
			return fmt.Errorf("read the devices that may fall silent: %w", err)
		}
		if err := w.store.learnSeen(ctx, devices); err != nil {
			return err
		}
		if err := w.store.expect(ctx, devices); err != nil {
			return err
		}
		if held, err := w.store.Hold(ctx, "presence", w.id, watchLease); err != nil || !held {
			return err
		}
		if after = next; after == "" {
			break
		}
	}
	return w.store.call(ctx, "watch", func() error {
		_, err := w.store.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for tag := range tags {
				p.Set(ctx, w.store.seededKey(tag), "1", seededFor)
			}
			return nil
		})
		return err
	})
}

// lapse disconnects devices of a hash tag whose time has passed and tells of
// them, also of those that another watcher had no time to tell of.
func (w *Watcher) lapse(ctx context.Context, tag int) (more bool, err error) {
	s, now := w.store, w.store.now().UnixMilli()
	var due, leaving []string
	err = s.call(ctx, "watch", func() error {
		var first, second *redis.StringSliceCmd
		_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			first = p.ZRangeByScore(ctx, s.dueKey(tag), &redis.ZRangeBy{Min: "-inf", Max: fmt.Sprint(now), Count: watchPage})
			second = p.ZRange(ctx, s.leavingKey(tag), 0, watchPage-1)
			return nil
		})
		due, leaving = first.Val(), second.Val()
		return err
	})
	if err != nil || len(due)+len(leaving) == 0 {
		return false, err
	}
	run := &scriptRun{script: lapseScript, keys: []string{s.dueKey(tag), s.leavingKey(tag)}, args: []any{now}}
	for _, text := range due {
		account, id := memberOf(text)
		run.keys, run.args = append(run.keys, s.presenceKey(account, id)), append(run.args, text)
	}
	if len(due) > 0 {
		if err := s.runScripts(ctx, "watch", []*scriptRun{run}); err != nil {
			return false, err
		}
		left, err := run.result.Int64Slice()
		if err != nil {
			return false, registry.Unavailable("live-state store", err)
		}
		for _, i := range left {
			leaving = append(leaving, due[i])
		}
	}
	if len(leaving) == 0 {
		return len(due) == watchPage, nil
	}
	if err := w.tell(ctx, leaving); err != nil {
		return false, err
	}
	gone := make([]any, len(leaving))
	for i := range leaving {
		gone[i] = leaving[i]
	}
	err = s.call(ctx, "watch", func() error { return s.client.ZRem(ctx, s.leavingKey(tag), gone...).Err() })
	return len(due) == watchPage, err
}

// tell says that devices are not connected any more.
func (w *Watcher) tell(ctx context.Context, members []string) error {
	packed, devices := make([]packedTwin, len(members)), make([]registry.TwinUpdate, len(members))
	for i, text := range members {
		account, id := memberOf(text)
		packed[i], devices[i] = presenceOf(account, id), registry.TwinUpdate{Account: account, TwinID: id}
	}
	if err := w.store.publish(ctx, packed); err != nil {
		return err
	}
	if w.left == nil {
		return nil
	}
	return w.left(ctx, devices)
}

// holdScript takes or prolongs a lease. One of another holder that lasts longer than
// any that was just prolonged is cut short: the clock of Redis was put back.
var holdScript = redis.NewScript(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  if redis.call('PTTL', KEYS[1]) > 2 * ARGV[2] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

// Hold takes or prolongs the lease of some work in the background, and says
// whether the holder has it.
func (s *Store) Hold(ctx context.Context, work, holder string, lasts time.Duration) (bool, error) {
	run := &scriptRun{script: holdScript, keys: []string{s.c.Prefix + ":lease:" + work}, args: []any{holder, lasts.Milliseconds()}}
	if err := s.runScripts(ctx, "lease", []*scriptRun{run}); err != nil {
		return false, err
	}
	n, err := run.result.Int()
	if err != nil {
		return false, registry.Unavailable("live-state store", err)
	}
	return n == 1, nil
}
