// Package redisconn makes a Redis client from a URL: single, Sentinel or
// Cluster. It is shared by the rooms that talk to Redis (twin and the queue
// files of ingest), which cannot import each other.
package redisconn

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Settings says how patient a client is.
type Settings struct {
	// Timeout bounds connecting, one write and one read; a blocking read may
	// take that much longer than its own block time.
	Timeout time.Duration
	// Retries is how often a failed command is sent again; 0 means never, which
	// is right for commands that are not idempotent.
	Retries int
	// Connections bounds the pool, 0 for the library's default.
	Connections int
}

// Open makes a client; it does not connect. The URL is redis://, rediss:// or
// unix:// for one server, redis+cluster:// or rediss+cluster:// for a Cluster
// (with ?addr=host:port for further nodes), redis+sentinel:// or
// rediss+sentinel:// for Sentinel (with ?master_name=). Errors never show the
// URL, which may hold a password.
func Open(url string, s Settings) (redis.UniversalClient, error) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return nil, fmt.Errorf("a Redis URL begins with redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://")
	}
	retries := s.Retries
	if retries == 0 {
		retries = -1
	}
	silence()
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch base, kind, _ := strings.Cut(scheme, "+"); kind {
	case "":
		o, err := redis.ParseURL(url)
		if err != nil {
			return nil, fmt.Errorf("the Redis URL cannot be read: %s", reason(err))
		}
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = s.Timeout, s.Timeout, s.Timeout, s.Timeout
		o.MaxRetries, o.DialerRetries, o.MaintNotificationsConfig = retries, 1, quiet
		o.PoolSize = s.Connections
		return redis.NewClient(o), nil
	case "cluster":
		o, err := redis.ParseClusterURL(base + "://" + rest)
		if err != nil {
			return nil, fmt.Errorf("the Redis Cluster URL cannot be read: %s", reason(err))
		}
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = s.Timeout, s.Timeout, s.Timeout, s.Timeout
		o.MaxRetries, o.MaintNotificationsConfig = retries, quiet
		o.PoolSize = s.Connections
		return redis.NewClusterClient(o), nil
	case "sentinel":
		o, err := redis.ParseFailoverURL(base + "://" + rest)
		if err != nil {
			return nil, fmt.Errorf("the Redis Sentinel URL cannot be read: %s", reason(err))
		}
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = s.Timeout, s.Timeout, s.Timeout, s.Timeout
		o.MaxRetries = retries
		o.PoolSize = s.Connections
		return redis.NewFailoverClient(o), nil
	default:
		return nil, fmt.Errorf("a Redis URL cannot have the scheme %q", scheme)
	}
}

// silence stops the library from writing to standard error by itself: every
// error is returned, and logged by whoever called.
var silence = sync.OnceFunc(func() { redis.SetLogger(nowhere{}) })

type nowhere struct{}

// Printf implements the library's logger.
func (nowhere) Printf(context.Context, string, ...any) {}

// reason is an error of the URL parser without the URL itself.
func reason(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 && strings.Contains(text[:i], "://") {
		return text[i+2:]
	}
	return text
}
