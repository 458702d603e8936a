package twin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/registry"
)

// What is known of the alarms of a twin between two readings is a text beside
// its live state. When it is to be looked at without a reading is in a sorted
// set for each hash tag.

// keepMemoryScript replaces memories that are still those that were read.
//
//	KEYS  the sorted set of a hash tag, then the memories
//	ARGV  for each memory: member, text before, "?" for any, text after, "" to
//	      remove it, when it is due (ms), 0 for never
var keepMemoryScript = redis.NewScript(`
local kept = {}
for i = 2, #KEYS do
  local at = (i - 2) * 4
  local before, after, due = ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
  if after == '' then
    redis.call('UNLINK', KEYS[i])
    redis.call('ZREM', KEYS[1], ARGV[at + 1])
    kept[#kept + 1] = 1
  elseif before == '?' or (redis.call('GET', KEYS[i]) or '') == before then
    redis.call('SET', KEYS[i], after)
    if due > 0 then
      redis.call('ZADD', KEYS[1], ARGV[at + 4], ARGV[at + 1])
    else
      redis.call('ZREM', KEYS[1], ARGV[at + 1])
    end
    kept[#kept + 1] = 1
  else
    kept[#kept + 1] = 0
  end
end
return kept
`)

func (s *Store) memoryKey(account, id registry.ID) string {
	return fmt.Sprintf("%s:alarm:{%02d}:%s:%s", s.c.Prefix, tagOf(id), account, id)
}

func (s *Store) memoryDueKey(tag int) string {
	return fmt.Sprintf("%s:alarm:{%02d}:due", s.c.Prefix, tag)
}

// AlarmMemories returns what is known of the alarms of twins, one slot an id, ""
// where nothing is.
func (s *Store) AlarmMemories(ctx context.Context, scope registry.Scope, ids []registry.ID) ([]string, error) {
	got := make([]*redis.StringCmd, len(ids))
	pipe := s.client.Pipeline()
	for i, id := range ids {
		got[i] = pipe.Get(ctx, s.memoryKey(scope.Account, id))
	}
	err := s.call(ctx, "alarm", func() error {
		_, _ = pipe.Exec(ctx) // each command has its own error
		for _, one := range got {
			if err := one.Err(); err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]string, len(ids))
	for i := range got {
		out[i] = got[i].Val()
	}
	return out, nil
}

// KeepAlarmMemories replaces memories that nobody has replaced since they were
// read, and says which, in one round trip.
func (s *Store) KeepAlarmMemories(ctx context.Context, scope registry.Scope, memories []registry.AlarmMemory) ([]bool, error) {
	var runs []*scriptRun
	var of [][]int
	open := [tags]int{}
	for i, m := range memories {
		tag := tagOf(m.TwinID)
		if open[tag] == 0 {
			runs, of = append(runs, &scriptRun{script: keepMemoryScript, keys: []string{s.memoryDueKey(tag)}}), append(of, nil)
			open[tag] = len(runs)
		}
		r := open[tag] - 1
		before, after := m.Before, m.After
		switch {
		case m.Gone:
			after = ""
		case m.Lost: // a text that is no memory, and another one each time
			before, after = "?", "lost "+rand.Text()
		}
		runs[r].keys = append(runs[r].keys, s.memoryKey(scope.Account, m.TwinID))
		runs[r].args = append(runs[r].args, member(scope.Account, m.TwinID), before, after, m.Due)
		of[r] = append(of[r], i)
	}
	if err := s.runScripts(ctx, "alarm", runs); err != nil {
		return nil, err
	}
	kept := make([]bool, len(memories))
	for r, run := range runs {
		answers, err := run.result.Int64Slice()
		if err != nil || len(answers) != len(of[r]) {
			return nil, registry.Unavailable("live-state store", err)
		}
		for j, answer := range answers {
			kept[of[r][j]] = answer == 1
		}
	}
	return kept, nil
}

// dueAtOnce is how many twins of a hash tag are looked at in one turn.
const dueAtOnce = 500

// DueAlarms returns twins that are to be looked at without a reading, by account.
func (s *Store) DueAlarms(ctx context.Context, now time.Time) (map[registry.ID][]registry.ID, error) {
	got := make([]*redis.StringSliceCmd, tags)
	err := s.call(ctx, "alarm", func() error {
		_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for tag := range tags {
				got[tag] = p.ZRangeByScore(ctx, s.memoryDueKey(tag), &redis.ZRangeBy{Min: "-inf", Max: fmt.Sprint(now.UnixMilli()), Count: dueAtOnce})
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	out := map[registry.ID][]registry.ID{}
	for _, members := range got {
		for _, text := range members.Val() {
			account, id := memberOf(text)
			out[account] = append(out[account], id)
		}
	}
	return out, nil
}
