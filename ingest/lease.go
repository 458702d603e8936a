package ingest

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/registry"
)

// A lease says which worker reads a partition: a key that expires unless its
// owner renews it. It keeps workers out of each other's way; what keeps the
// data right if two should believe that they own a partition is the epoch that
// the graph checks in every transaction.

// Redis measures both by its wall clock. When that is put back, what nobody renews
// would last for as much longer; so what lasts longer than it can is cut short.

// heartbeatScript notes that a worker lives and counts those that do.
//
//	KEYS  the workers: sorted set, worker -> when its heartbeat expires (ms)
//	ARGV  worker, time to live (ms)
var heartbeatScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%d', now))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. string.format('%d', now + 2 * ARGV[2]), '+inf')
redis.call('PEXPIRE', KEYS[1], 10 * ARGV[2])
return redis.call('ZCARD', KEYS[1])
`)

// acquireScript takes a lease that nobody has, and cuts short one that lasts longer
// than any that was just renewed.
var acquireScript = redis.NewScript(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('PTTL', KEYS[1]) > 2 * ARGV[2] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
`)

// renewScript prolongs a lease that the worker still has.
var renewScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

// releaseScript ends a lease that the worker still has.
var releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`)

func (q *Queue) workersKey() string { return q.c.Prefix + ":workers" }

// heartbeat says how many workers there are, this one included.
func (q *Queue) heartbeat(ctx context.Context, worker string, ttl time.Duration) (int, error) {
	n, err := heartbeatScript.Run(ctx, q.client, []string{q.workersKey()}, worker, ttl.Milliseconds()).Int()
	if err != nil {
		return 0, registry.Unavailable("queue", err)
	}
	return n, nil
}

// retire takes a worker off the list at once.
func (q *Queue) retire(ctx context.Context, worker string) error {
	if err := q.client.ZRem(ctx, q.workersKey(), worker).Err(); err != nil {
		return registry.Unavailable("queue", err)
	}
	return nil
}

// acquire takes a partition that nobody has.
func (q *Queue) acquire(ctx context.Context, partition int, worker string, ttl time.Duration) (bool, error) {
	ok, err := acquireScript.Run(ctx, q.client, []string{q.keys[partition].lease}, worker, ttl.Milliseconds()).Bool()
	if err != nil {
		return false, registry.Unavailable("queue", err)
	}
	return ok, nil
}

// renew says whether the worker still has a partition, and prolongs that.
func (q *Queue) renew(ctx context.Context, partition int, worker string, ttl time.Duration) (bool, error) {
	held, err := renewScript.Run(ctx, q.client, []string{q.keys[partition].lease}, worker, ttl.Milliseconds()).Bool()
	if err != nil {
		return false, registry.Unavailable("queue", err)
	}
	return held, nil
}

// release gives a partition up.
func (q *Queue) release(ctx context.Context, partition int, worker string) error {
	if err := releaseScript.Run(ctx, q.client, []string{q.keys[partition].lease}, worker).Err(); err != nil {
		return registry.Unavailable("queue", err)
	}
	return nil
}
