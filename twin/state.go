package twin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/registry"
)

// complete is the field of a twin's hash that says that it holds all of the
// twin's measures, and how many they are: if one is missing, or the whole hash,
// the twin is filled from the graph again. No measure has this name.
const complete = "*"

// setNewerScript writes values that are newer than those stored.
//
//	KEYS  the epoch of a hash tag, then the hashes of twins with that tag
//	ARGV  the epoch that the caller read before it read the graph, and a new
//	      one in case that there is none; for each twin: how many values, 1 if
//	      they are all that the twin has; for each value measure, milliseconds,
//	      packed value
//
// Values from the graph are all that a twin has only if nothing was emptied
// since: what a worker set in the meantime would be missing without a trace.
var setNewerScript = redis.NewScript(`
local epoch = redis.call('GET', KEYS[1])
if not epoch then redis.call('SET', KEYS[1], ARGV[2]) end
local at = 3
for i = 2, #KEYS do
  local key, count, all, added = KEYS[i], tonumber(ARGV[at]), ARGV[at + 1], 0
  at = at + 2
  for _ = 1, count do
    local measure, ms, packed = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2]
    at = at + 3
    local now = redis.call('HGET', key, measure)
    if not now then
      redis.call('HSET', key, measure, packed)
      added = added + 1
    elseif ms > tonumber(string.match(now, '^%-?%d+')) then
      redis.call('HSET', key, measure, packed)
    end
  end
  if all == '1' and epoch == ARGV[1] then
    local marked = redis.call('HEXISTS', key, '*')
    redis.call('HSET', key, '*', redis.call('HLEN', key) - marked)
  elseif added > 0 and redis.call('HEXISTS', key, '*') == 1 then
    redis.call('HINCRBY', key, '*', added)
  end
end
return 0
`)

// maxScript bounds the values of one run, so that Redis is not held up.
const maxScript = 4000

// Apply tells what was stored: it sets values that are newer than those known
// and then adds the changes to the feed. Doing so again, or late, sets nothing
// older and only repeats the changes. It takes two round trips. UNAVAILABLE
// means that it has to be done again.
func (s *Store) Apply(ctx context.Context, updates []registry.TwinUpdate) error {
	if len(updates) == 0 {
		return nil
	}
	packed := make([]packedTwin, 0, len(updates))
	for _, u := range updates {
		if len(u.Values) == 0 { // it was only seen
			continue
		}
		p, err := packTwin(u.Account, u.TwinID, u.Values)
		if err != nil {
			return err
		}
		packed = append(packed, p)
	}
	runs, of := s.seenRuns(updates)
	if err := s.runScripts(ctx, "apply", append(s.newerRuns(packed, new(epochs)), runs...)); err != nil {
		return err
	}
	present, err := connected(updates, runs, of)
	if err != nil {
		return err
	}
	for _, u := range present {
		packed = append(packed, presenceOf(u.Account, u.TwinID))
	}
	return s.publish(ctx, packed)
}

// packedTwin is what Redis gets of one twin.
type packedTwin struct {
	account, id registry.ID
	all         bool
	// args has measure, milliseconds and packed value for each value.
	args []any
}

func packTwin(account, id registry.ID, values []registry.LiveValue) (packedTwin, error) {
	p := packedTwin{account: account, id: id, args: make([]any, 0, 3*len(values))}
	for _, v := range values {
		ms := v.MeasuredAt.UnixMilli()
		text, err := pack(v)
		if err != nil {
			return p, fmt.Errorf("measure %s of twin %s: %w", v.Measure, id, err)
		}
		p.args = append(p.args, v.Measure, ms, text)
	}
	return p, nil
}

// newerRuns runs the script once a hash tag.
func (s *Store) newerRuns(twins []packedTwin, read *epochs) []*scriptRun {
	var runs []*scriptRun
	open := [tags]int{} // index + 1 of the run that a tag still adds to
	for i := range twins {
		p := &twins[i]
		tag := tagOf(p.id)
		if open[tag] == 0 || len(runs[open[tag]-1].args) >= 3*maxScript {
			runs = append(runs, &scriptRun{script: setNewerScript, keys: []string{s.stateEpochKey(tag)}, args: []any{read[tag], rand.Text()}})
			open[tag] = len(runs)
		}
		r := runs[open[tag]-1]
		all := 0
		if p.all {
			all = 1
		}
		r.keys = append(r.keys, s.stateKey(p.account, p.id))
		r.args = append(append(r.args, len(p.args)/3, all), p.args...)
	}
	return runs
}

// scriptRun is one run of a script.
type scriptRun struct {
	script *redis.Script
	keys   []string
	args   []any
	result *redis.Cmd
}

// scripts runs a script n times in one round trip.
func (s *Store) scripts(ctx context.Context, operation string, n int, script *redis.Script, call func(i int) ([]string, []any)) error {
	runs := make([]*scriptRun, n)
	for i := range runs {
		keys, args := call(i)
		runs[i] = &scriptRun{script: script, keys: keys, args: args}
	}
	return s.runScripts(ctx, operation, runs)
}

// runScripts runs scripts in one round trip, and once more those that Redis did
// not know.
func (s *Store) runScripts(ctx context.Context, operation string, runs []*scriptRun) error {
	run := func(some []*scriptRun, whole bool) ([]*scriptRun, error) {
		pipe := s.client.Pipeline()
		for _, r := range some {
			if whole {
				r.result = r.script.Eval(ctx, pipe, r.keys, r.args...)
			} else {
				r.result = r.script.EvalSha(ctx, pipe, r.keys, r.args...)
			}
		}
		var unknown []*scriptRun
		err := s.call(ctx, operation, func() error {
			_, _ = pipe.Exec(ctx) // each command has its own error
			for _, r := range some {
				err := r.result.Err()
				if err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
					unknown = append(unknown, r)
				} else if err != nil {
					return err
				}
			}
			return nil
		})
		return unknown, err
	}
	if len(runs) == 0 {
		return nil
	}
	unknown, err := run(runs, false)
	if err != nil || len(unknown) == 0 {
		return err
	}
	_, err = run(unknown, true)
	return err
}

// epochs are those of the hash tags; empty where there is none.
type epochs [tags]string

// snapshot is what Redis knows of some twins.
type snapshot struct {
	// values has one slot a twin; ready is false for those that Redis does not
	// know completely.
	values [][]registry.LiveValue
	ready  []bool
	epochs epochs
}

// read returns what Redis knows of twins, in the order asked, in one round trip.
func (s *Store) read(ctx context.Context, scope registry.Scope, ids []registry.ID) (*snapshot, error) {
	snap := &snapshot{values: make([][]registry.LiveValue, len(ids)), ready: make([]bool, len(ids))}
	if len(ids) == 0 {
		return snap, nil
	}
	pipe := s.client.Pipeline()
	var marks [tags]*redis.StringCmd
	got := make([]*redis.MapStringStringCmd, len(ids))
	for i, id := range ids {
		if tag := tagOf(id); marks[tag] == nil {
			marks[tag] = pipe.Get(ctx, s.stateEpochKey(tag))
		}
		got[i] = pipe.HGetAll(ctx, s.stateKey(scope.Account, id))
	}
	err := s.call(ctx, "live", func() error {
		_, _ = pipe.Exec(ctx) // each command has its own error; no epoch is none
		for _, one := range got {
			if err := one.Err(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range got {
		snap.values[i], snap.ready[i] = unpackState(got[i].Val())
	}
	for tag, mark := range marks {
		if mark != nil {
			snap.epochs[tag] = mark.Val()
		}
	}
	return snap, nil
}

// unpackState decodes a twin's hash. What cannot be decoded is not known.
func unpackState(fields map[string]string) ([]registry.LiveValue, bool) {
	count, err := strconv.Atoi(fields[complete])
	if err != nil || count != len(fields)-1 {
		return nil, false
	}
	values := make([]registry.LiveValue, 0, count)
	for measure, text := range fields {
		if measure == complete {
			continue
		}
		v, err := unpack(measure, text)
		if err != nil {
			return nil, false
		}
		values = append(values, v)
	}
	return values, true
}

// fill stores what the graph says of twins, in the order of the ids, unless
// something newer is known, and marks them complete unless Redis was emptied
// since the epochs were read. It takes one round trip.
func (s *Store) fill(ctx context.Context, scope registry.Scope, ids []registry.ID, values [][]registry.LiveValue, read *epochs) error {
	packed := make([]packedTwin, 0, len(ids))
	for i, id := range ids {
		p, err := packTwin(scope.Account, id, values[i])
		if err != nil {
			return err
		}
		p.all = true
		packed = append(packed, p)
	}
	return s.runScripts(ctx, "fill", s.newerRuns(packed, read))
}

// Forget removes what is known of twins, for those that were deleted.
func (s *Store) Forget(ctx context.Context, scope registry.Scope, ids ...registry.ID) error {
	if len(ids) == 0 {
		return nil
	}
	return s.call(ctx, "forget", func() error {
		_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, id := range ids {
				p.Unlink(ctx, s.stateKey(scope.Account, id))
				p.Unlink(ctx, s.presenceKey(scope.Account, id))
				p.ZRem(ctx, s.dueKey(tagOf(id)), member(scope.Account, id))
				p.Unlink(ctx, s.memoryKey(scope.Account, id))
				p.ZRem(ctx, s.memoryDueKey(tagOf(id)), member(scope.Account, id))
			}
			return nil
		})
		return err
	})
}

// ForgetValues makes the newest values of twins be read from the graph again:
// what was stored may have been taken back.
func (s *Store) ForgetValues(ctx context.Context, scope registry.Scope, ids ...registry.ID) error {
	if len(ids) == 0 {
		return nil
	}
	return s.call(ctx, "forget", func() error {
		_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, id := range ids {
				p.Unlink(ctx, s.stateKey(scope.Account, id))
			}
			return nil
		})
		return err
	})
}

// pack is the text of a value and its time: "1700000000000|21.5". Why it is
// suspect and its unit stand between the two: "1700000000000;RATE;Cel|21.5".
func pack(of registry.LiveValue) (string, error) {
	b := strconv.AppendInt(make([]byte, 0, 48), of.MeasuredAt.UnixMilli(), 10)
	if of.Suspect != "" || of.Unit != "" {
		b = append(append(b, ';'), of.Suspect...)
		b = append(append(b, ';'), of.Unit...)
	}
	b = append(b, '|')
	switch v := of.Value.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return "", fmt.Errorf("%v is not finite", v)
		}
		b = strconv.AppendFloat(b, v, 'g', -1, 64)
	case bool:
		b = strconv.AppendBool(b, v)
	case string, registry.Location, registry.Composite:
		text, err := json.Marshal(v)
		if err != nil {
			return "", err
		}
		b = append(b, text...)
	default:
		return "", fmt.Errorf("a value cannot be a %T", of.Value)
	}
	return string(b), nil
}

// unpack is the reverse of pack.
func unpack(measure, text string) (registry.LiveValue, error) {
	head, value, ok := strings.Cut(text, "|")
	at, about, _ := strings.Cut(head, ";")
	suspect, in, _ := strings.Cut(about, ";")
	ms, err := strconv.ParseInt(at, 10, 64)
	if !ok || err != nil || value == "" {
		return registry.LiveValue{}, fmt.Errorf("measure %s has no readable value", measure)
	}
	v := registry.LiveValue{Measure: measure, MeasuredAt: time.UnixMilli(ms).UTC(), Unit: in, Suspect: registry.SuspectReason(suspect)}
	switch value[0] {
	case 't', 'f':
		v.Value, err = strconv.ParseBool(value)
	case '"':
		var s string
		err = json.Unmarshal([]byte(value), &s)
		v.Value = s
	case '{':
		v.Value, err = unpackObject(value)
	default:
		v.Value, err = strconv.ParseFloat(value, 64)
	}
	if err != nil {
		return registry.LiveValue{}, fmt.Errorf("measure %s has no readable value: %w", measure, err)
	}
	return v, nil
}

// unpackObject decodes a location or a composite.
func unpackObject(text string) (any, error) {
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		return nil, err
	}
	value, wrong := registry.DecodeValue(object)
	if wrong != "" {
		return nil, errors.New(wrong)
	}
	return value, nil
}
