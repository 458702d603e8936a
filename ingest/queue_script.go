package ingest

import (
	"strconv"

	"github.com/redis/go-redis/v9"
)

// The keys of one partition share a hash tag, so that one script may use them
// all on a Cluster:
//
//	stream   the backlog; each entry holds many readings
//	meta     hash: readings and bytes of the backlog; accepted, ever;
//	         generation of the stream; turned, when the memories were last turned
//	clock    hash: device -> the last time that the queue gave one of its readings
//	ids      hash: device and message id -> the time that the first one was given
//	lease    the worker that owns the partition
//
// clock and ids exist twice, the current one and the one before: instead of
// expiring field by field, the current one becomes the one before.
type partitionKeys struct {
	stream, meta, clock, clockBefore, ids, idsBefore, lease string
}

func keysOf(prefix string, partition int) partitionKeys {
	base := prefix + ":q:{p" + strconv.Itoa(partition) + "}:"
	return partitionKeys{
		stream: base + "stream", meta: base + "meta",
		clock: base + "clock", clockBefore: base + "clock:before",
		ids: base + "ids", idsBefore: base + "ids:before",
		lease: base + "lease",
	}
}

// addScript adds items to a partition, each wholly or not at all, in order. An
// item is what one call to Add has for the partition.
//
//	KEYS  stream, meta, clock, clockBefore, ids, idsBefore
//	ARGV  most readings, most bytes, turn after (ms), most fields of a memory,
//	      a generation in case that a stream begins, number of items;
//	      for each item: its records, how many readings they are, how many of
//	      these have no time, and for each of those the device and the message id
//
// It answers a 1 or 0 an item. Nothing is written before the first command that
// Redis refuses when it is out of memory, but for turning the memories, which
// does no harm.
var addScript = redis.NewScript(`
local stream, meta, clock, clock_before, ids, ids_before = unpack(KEYS)
local most_readings, most_bytes = tonumber(ARGV[1]), tonumber(ARGV[2])
local state = redis.call('HMGET', meta, 'readings', 'bytes', 'generation', 'turned')
local readings, bytes, generation = tonumber(state[1]) or 0, tonumber(state[2]) or 0, state[3]
if not generation or redis.call('EXISTS', stream) == 0 then
  readings, bytes, generation = 0, 0, ARGV[5]
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local times, blobs, given, result, added = {}, {}, {}, {}, 0
local at = 7
for i = 1, tonumber(ARGV[6]) do
  local blob, count, timeless = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local first = at + 3
  at = first + 2 * timeless
  if readings + count > most_readings or bytes + #blob > most_bytes then
    result[i] = 0
  else
    result[i] = 1
    readings, bytes, added = readings + count, bytes + #blob, added + count
    blobs[#blobs + 1] = blob
    for j = first, at - 1, 2 do
      given[#given + 1] = ARGV[j]
      given[#given + 1] = ARGV[j + 1]
    end
  end
end
if added == 0 then return result end

if #given > 0 then
  local turned = tonumber(state[4])
  if not turned or now - turned >= tonumber(ARGV[3])
    or redis.call('HLEN', ids) >= tonumber(ARGV[4]) or redis.call('HLEN', clock) >= tonumber(ARGV[4]) then
    redis.call('UNLINK', ids_before, clock_before)
    if redis.call('EXISTS', ids) == 1 then redis.call('RENAME', ids, ids_before) end
    if redis.call('EXISTS', clock) == 1 then redis.call('RENAME', clock, clock_before) end
    redis.call('HSET', meta, 'turned', string.format('%d', now))
  end
  for j = 1, #given, 2 do
    local device, message = given[j], given[j + 1]
    local id = device .. '\n' .. message
    local time = message ~= '' and (redis.call('HGET', ids, id) or redis.call('HGET', ids_before, id))
    if not time then
      local last = tonumber(redis.call('HGET', clock, device) or redis.call('HGET', clock_before, device) or 0)
      time = string.format('%d', math.max(now, last + 1))
      redis.call('HSET', clock, device, time)
      if message ~= '' then redis.call('HSET', ids, id, time) end
    end
    times[#times + 1] = time
  end
end
local body = #blobs == 1 and blobs[1] or table.concat(blobs)
redis.call('XADD', stream, '*', 'b', body, 'n', added, 'r', string.format('%d', now), 't', table.concat(times, ','), 'g', generation)
redis.call('HSET', meta, 'readings', readings, 'bytes', bytes, 'generation', generation)
redis.call('HINCRBY', meta, 'accepted', added)
return result
`)

// doneScript removes entries and takes them off the books, each once.
//
//	KEYS  stream, meta
//	ARGV  for each entry: id, readings, bytes
var doneScript = redis.NewScript(`
local stream, meta = KEYS[1], KEYS[2]
local readings, bytes = 0, 0
for i = 1, #ARGV, 3 do
  if redis.call('XDEL', stream, ARGV[i]) == 1 then
    readings, bytes = readings + ARGV[i + 1], bytes + ARGV[i + 2]
  end
end
if readings > 0 then
  redis.call('HINCRBY', meta, 'readings', -readings)
  redis.call('HINCRBY', meta, 'bytes', -bytes)
end
return readings
`)
