package twin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/registry"
)

// Presence is when a device was seen last, and whether it is connected: as long
// as a session of it is open, or until the time that its template gives it has
// passed in silence. When that will be is in a sorted set for each hash tag.

// seenScript notes that devices were seen. It returns the indices of those that
// are connected since.
//
//	KEYS  the deadlines of a hash tag, then a hash for each device
//	ARGV  now (ms); for each device: member of the deadlines, when it was seen
//	      first and last, after which time it is silent, 0 for never (ms)
//
// A batch that runs again tells the same again: whatever connected in it. Where
// no time of silence is given, sessions alone tell; a device that never had one
// (lease) is not known to be connected or not.
var seenScript = redis.NewScript(`
local due, now = KEYS[1], tonumber(ARGV[1])
local turned = {}
for i = 2, #KEYS do
  local at = 2 + (i - 2) * 4
  local key, member = KEYS[i], ARGV[at]
  local first, last, silence = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local was = redis.call('HMGET', key, 'seen', 'on', 'since', 'lease')
  local seen = math.max(tonumber(was[1]) or 0, last)
  local on, since, lease = was[2], tonumber(was[3]) or 0, tonumber(was[4]) or 0
  redis.call('HSET', key, 'seen', string.format('%d', seen))
  if silence > 0 then
    local deadline = math.max(seen + silence, lease)
    if deadline > now then
      if on ~= '1' then
        since = last
        redis.call('HSET', key, 'on', '1', 'since', string.format('%d', since))
      end
      redis.call('ZADD', due, string.format('%d', deadline), member)
      if since >= first then turned[#turned + 1] = i - 2 end
    elseif not on then
      redis.call('HSET', key, 'on', '0', 'since', string.format('%d', deadline))
    end
  elseif on and not was[4] then
    redis.call('HDEL', key, 'on', 'since')
    redis.call('ZREM', due, member)
  end
end
return turned
`)

// sessionScript opens a session of a device, or says that it is still open, or
// closes it. It returns 1 if that changes whether the device is connected: as
// long as any session of it is open. The alarms of the device then are due to be
// looked at. Beyond the most that are known at a time, the one that ends first is
// forgotten until it is prolonged.
//
//	KEYS  the deadlines of a hash tag, the hash of the device, the alarms of the
//	      tag that are due
//	ARGV  member, session, now (ms), how long it counts without being prolonged
//	      (ms), one of open, keep and close, how many sessions are known at most
var sessionScript = redis.NewScript(`
local due, key = KEYS[1], KEYS[2]
local member, session, now, lasts, what, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local was = redis.call('HMGET', key, 'sessions', 'on', 'seen')
local open, known = {}, false
for id, till in string.gmatch(was[1] or '', '(%S+) (%d+)') do
  if id == session then
    known = true
  elseif tonumber(till) > now then
    open[#open + 1] = {id, tonumber(till)}
  end
end
if what == 'close' and not known then return 0 end
if what ~= 'keep' then
  redis.call('HSET', key, 'seen', string.format('%d', math.max(tonumber(was[3]) or 0, now)))
end
if what ~= 'close' then
  table.sort(open, function(x, y) return x[2] > y[2] end)
  while #open >= most do table.remove(open) end
  open[#open + 1] = {session, now + lasts}
end
if #open == 0 then
  redis.call('HDEL', key, 'sessions')
  redis.call('HSET', key, 'on', '0', 'since', ARGV[3], 'lease', '0')
  redis.call('ZREM', due, member)
  if was[2] ~= '1' then return 0 end
  redis.call('ZADD', KEYS[3], ARGV[3], member)
  return 1
end
local texts, lease = {}, 0
for i, one in ipairs(open) do
  texts[i] = one[1] .. ' ' .. string.format('%d', one[2])
  lease = math.max(lease, one[2])
end
redis.call('HSET', key, 'sessions', table.concat(texts, ' '), 'lease', string.format('%d', lease))
if what == 'close' then return 0 end
local score = tonumber(redis.call('ZSCORE', due, member) or 0)
redis.call('ZADD', due, string.format('%d', math.max(score, lease)), member)
if was[2] == '1' then return 0 end
redis.call('HSET', key, 'on', '1', 'since', ARGV[3])
redis.call('ZADD', KEYS[3], ARGV[3], member)
return 1
`)

// expectScript notes when devices are silent that were never heard of, once each.
//
//	KEYS  the deadlines of a hash tag, then a hash for each device
//	ARGV  for each device: member of the deadlines, its deadline (ms)
var expectScript = redis.NewScript(`
for i = 2, #KEYS do
  local at = 1 + (i - 2) * 2
  if not redis.call('HGET', KEYS[i], 'on') and redis.call('HSETNX', KEYS[i], 'expected', ARGV[at + 1]) == 1 then
    redis.call('ZADD', KEYS[1], ARGV[at + 1], ARGV[at])
  end
end
return 0
`)

// lapseScript disconnects devices whose time has passed, and lets those go that
// never were connected. They stay in the set of
// those that leave until that was told. It returns their indices.
//
//	KEYS  the deadlines of a hash tag, those that leave, a hash for each device
//	ARGV  now (ms), the members
var lapseScript = redis.NewScript(`
local due, leaving, now = KEYS[1], KEYS[2], tonumber(ARGV[1])
local left = {}
for i = 3, #KEYS do
  local member = ARGV[i - 1]
  local score = tonumber(redis.call('ZSCORE', due, member) or now + 1)
  if score <= now then
    redis.call('ZREM', due, member)
    local on = redis.call('HGET', KEYS[i], 'on')
    if not on then
      redis.call('ZADD', leaving, ARGV[1], member)
      left[#left + 1] = i - 3
    elseif on == '1' then
      redis.call('HSET', KEYS[i], 'on', '0', 'since', string.format('%d', score))
      redis.call('HDEL', KEYS[i], 'sessions')
      redis.call('ZADD', leaving, ARGV[1], member)
      left[#left + 1] = i - 3
    end
  end
end
return left
`)

// presenceKey is the hash of a device's presence, dueKey the sorted set of the
// moments at which devices fall silent, leavingKey of those that did until it
// was told, seededKey says that the deadlines are complete.
func (s *Store) presenceKey(account, id registry.ID) string {
	return fmt.Sprintf("%s:presence:{%02d}:%s:%s", s.c.Prefix, tagOf(id), account, id)
}

func (s *Store) dueKey(tag int) string { return fmt.Sprintf("%s:presence:{%02d}:due", s.c.Prefix, tag) }
func (s *Store) leavingKey(tag int) string {
	return fmt.Sprintf("%s:presence:{%02d}:leaving", s.c.Prefix, tag)
}
func (s *Store) seededKey(tag int) string {
	return fmt.Sprintf("%s:presence:{%02d}:seeded", s.c.Prefix, tag)
}

// member is a device in the sorted sets.
func member(account, id registry.ID) string { return string(account) + ":" + string(id) }

func memberOf(text string) (account, id registry.ID) {
	a, i, _ := strings.Cut(text, ":")
	return registry.ID(a), registry.ID(i)
}

// seenRuns are the scripts that note when devices were seen, with the update of
// each index.
func (s *Store) seenRuns(updates []registry.TwinUpdate) ([]*scriptRun, [][]int) {
	var runs []*scriptRun
	var of [][]int
	open := [tags]int{}
	for i := range updates {
		u := &updates[i]
		if u.Seen.IsZero() {
			continue
		}
		tag := tagOf(u.TwinID)
		if open[tag] == 0 || len(runs[open[tag]-1].keys) > maxScript/4 {
			runs = append(runs, &scriptRun{script: seenScript, keys: []string{s.dueKey(tag)}, args: []any{s.now().UnixMilli()}})
			of = append(of, nil)
			open[tag] = len(runs)
		}
		r := open[tag] - 1
		runs[r].keys = append(runs[r].keys, s.presenceKey(u.Account, u.TwinID))
		runs[r].args = append(runs[r].args, member(u.Account, u.TwinID), u.SeenFirst.UnixMilli(), u.Seen.UnixMilli(), u.Silence.Milliseconds())
		of[r] = append(of[r], i)
	}
	return runs, of
}

// Expect notes devices that were made, so that it is noticed if nothing is ever
// heard of them. It does not wait: the watcher looks for them by itself as well.
func (s *Store) Expect(devices []registry.Seen) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.expect(ctx, devices)
	}()
}

func (s *Store) expect(ctx context.Context, devices []registry.Seen) error {
	var runs []*scriptRun
	open := [tags]*scriptRun{}
	for _, d := range devices {
		if d.LastAt != nil || d.Silence == 0 {
			continue
		}
		tag := tagOf(d.TwinID)
		if open[tag] == nil || len(open[tag].keys) > maxScript/4 {
			open[tag] = &scriptRun{script: expectScript, keys: []string{s.dueKey(tag)}}
			runs = append(runs, open[tag])
		}
		run := open[tag]
		run.keys = append(run.keys, s.presenceKey(d.Account, d.TwinID))
		run.args = append(run.args, member(d.Account, d.TwinID), d.SilentAt().UnixMilli())
	}
	if len(runs) == 0 {
		return nil
	}
	return s.runScripts(ctx, "expect", runs)
}

// connected returns the updates whose devices have connected.
func connected(updates []registry.TwinUpdate, runs []*scriptRun, of [][]int) ([]registry.TwinUpdate, error) {
	var out []registry.TwinUpdate
	for r, run := range runs {
		turned, err := run.result.Int64Slice()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, registry.Unavailable("live-state store", err)
		}
		for _, i := range turned {
			out = append(out, updates[of[r][i]])
		}
	}
	return out, nil
}

// SessionFor is how long a session counts as open unless it is prolonged.
const SessionFor = 90 * time.Second

// maxSessions is how many open sessions of a device are known at a time.
const maxSessions = 32

// OpenSession says that a device has connected.
func (s *Store) OpenSession(ctx context.Context, session registry.DeviceSession) error {
	return s.sessions(ctx, []registry.DeviceSession{session}, "open")
}

// KeepSessions says that sessions are still open.
func (s *Store) KeepSessions(ctx context.Context, sessions []registry.DeviceSession) error {
	return s.sessions(ctx, sessions, "keep")
}

// CloseSession says that a session has ended: the device is disconnected unless
// another is open.
func (s *Store) CloseSession(ctx context.Context, session registry.DeviceSession) error {
	return s.sessions(ctx, []registry.DeviceSession{session}, "close")
}

func (s *Store) sessions(ctx context.Context, sessions []registry.DeviceSession, what string) error {
	runs := make([]*scriptRun, len(sessions))
	for i, session := range sessions {
		tag := tagOf(session.Device)
		runs[i] = &scriptRun{
			script: sessionScript, keys: []string{s.dueKey(tag), s.presenceKey(session.Account, session.Device), s.memoryDueKey(tag)},
			args: []any{member(session.Account, session.Device), session.ID, s.now().UnixMilli(), SessionFor.Milliseconds(), what, maxSessions},
		}
	}
	if err := s.runScripts(ctx, "session", runs); err != nil {
		return err
	}
	var turned []packedTwin
	for i, run := range runs {
		if n, err := run.result.Int(); err == nil && n == 1 {
			turned = append(turned, presenceOf(sessions[i].Account, sessions[i].Device))
		}
	}
	return s.publish(ctx, turned)
}

// presenceOf is a change of presence as the feed has it.
func presenceOf(account, id registry.ID) packedTwin {
	return packedTwin{account: account, id: id, args: []any{presenceMark, int64(0), "0|0"}}
}

// presences reads what Redis knows of devices; ready is false for those that it
// does not know.
func (s *Store) presences(ctx context.Context, scope registry.Scope, ids []registry.ID) (out []registry.Presence, ready []bool, err error) {
	out, ready = make([]registry.Presence, len(ids)), make([]bool, len(ids))
	got := make([]*redis.SliceCmd, len(ids))
	err = s.call(ctx, "presence", func() error {
		_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, id := range ids {
				got[i] = p.HMGet(ctx, s.presenceKey(scope.Account, id), "seen", "on", "since")
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for i := range got {
		values := got[i].Val()
		seen := millis(values[0])
		if ready[i] = seen != nil; !ready[i] {
			continue
		}
		out[i].LastSeenAt = seen
		if on, ok := values[1].(string); ok {
			connected := on == "1"
			out[i].Connected, out[i].Since = &connected, millis(values[2])
		}
	}
	return out, ready, nil
}

func millis(value any) *time.Time {
	text, _ := value.(string)
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil
	}
	at := time.UnixMilli(ms).UTC()
	return &at
}
