package ingest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// countPipelines counts round trips of pipelines.
type countPipelines struct{ n *atomic.Int64 }

func (countPipelines) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (countPipelines) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (c countPipelines) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmds)
	}
}

// failing answers every pipeline with an error of Redis.
type failing struct{ text string }

func (*failing) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*failing) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (f *failing) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, cmds []redis.Cmder) error {
		for _, c := range cmds {
			c.SetErr(errors.New(f.text))
		}
		return errors.New(f.text)
	}
}

// settings answers CONFIG GET as it is told and durably otherwise.
type settings map[string]string

func (settings) DialHook(next redis.DialHook) redis.DialHook { return next }
func (settings) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (s settings) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		get, ok := cmd.(*redis.MapStringStringCmd)
		if !ok {
			return next(ctx, cmd)
		}
		name, _ := cmd.Args()[2].(string)
		value := map[string]string{"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}[strings.ToLower(name)]
		if own, set := s[name]; set {
			value = own
		}
		get.SetVal(map[string]string{name: value})
		return nil
	}
}
