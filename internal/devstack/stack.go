package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Stack is a running Neo4j and Redis.
type Stack struct {
	// Neo4j and Redis are the two processes, for tests that kill or pause them.
	// Neo4j is nil when the stack was started with RedisOnly.
	Neo4j, Redis *Process
	// URI, Username and Password are what a Neo4j driver needs. Password is
	// empty when the stack was started with NoAuth.
	URI, Username, Password string
	// RedisURL is what a Redis client needs.
	RedisURL string

	unlock   func()
	closing  sync.Once
	closeErr error
}

// Start starts both stores at the same time and returns when each answers. The
// context bounds the start only; the stores run until Close or until this
// process ends. When one of them cannot be started, the other is ended again.
func Start(ctx context.Context, o Options) (*Stack, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	if problem := memoryProblem(o); problem != "" && !o.RedisOnly {
		return nil, fmt.Errorf("%s: %s", problem, memoryRemedy)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory for the local stores: %w", err)
	}
	unlock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Stack{unlock: unlock}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context, o Options) error {
	// Ports are looked at before anything is started or removed: a mistake in
	// the options should cost nothing.
	if err := portsFree(o); err != nil {
		return err
	}
	if o.Reset {
		if err := resetData(o.Dir); err != nil {
			return err
		}
	}
	neo, red := newNeo4j(o), newRedis(o)
	s.Redis = red.process
	starts := []func(context.Context) error{red.start}
	if !o.RedisOnly {
		s.Neo4j = neo.process
		starts = append(starts, neo.start)
	}

	// The first failure cancels the other start instead of waiting for it.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var both sync.WaitGroup
	for _, start := range starts {
		both.Go(func() {
			if err := start(ctx); err != nil {
				cancel(err)
			}
		})
	}
	both.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !o.RedisOnly {
		s.URI, s.Username, s.Password = neo.uri(), neo4jUser, neo.password
	}
	s.RedisURL = red.url()
	return nil
}

// Env returns the environment variables by which Holon and its tests find the
// stores, each as NAME=value.
func (s *Stack) Env() []string {
	return []string{
		"NEO4J_URI=" + s.URI,
		"NEO4J_USERNAME=" + s.Username,
		"NEO4J_PASSWORD=" + s.Password,
		"REDIS_URL=" + s.RedisURL,
	}
}

// Close ends both stores: it asks them to stop, and kills what has not stopped
// after a while. Calling it again returns what the first call returned.
func (s *Stack) Close() error {
	s.closing.Do(func() {
		var both sync.WaitGroup
		var neoErr, redErr error
		if s.Neo4j != nil {
			both.Go(func() { neoErr = s.Neo4j.close() })
		}
		both.Go(func() { redErr = s.Redis.close() })
		both.Wait()
		s.unlock()
		s.closeErr = errors.Join(neoErr, redErr)
	})
	return s.closeErr
}

// lockDir makes sure that one process at a time uses a data directory. The lock
// belongs to the open file, so it is gone when the process is, however it ended.
func lockDir(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory %s is not writable: %w", dir, err)
	}
	if err := lockFile(f); err != nil {
		defer f.Close()
		if !errors.Is(err, errLocked) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		owner, _ := os.ReadFile(path)
		return nil, fmt.Errorf("data directory %s is in use by another process (pid %s): stop that one or choose another directory", dir, owner)
	}
	// Only for the message above: the lock itself does not depend on it.
	_ = f.Truncate(0)
	_, _ = f.WriteAt(fmt.Append(nil, os.Getpid()), 0)
	return func() { f.Close() }, nil
}

// waitLock takes a lock on path, waiting for whoever holds it.
func waitLock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := lockFile(f)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, errLocked) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			f.Close()
			return nil, err
		}
	}
}

// sleep waits, or returns the cause of the context's end when that is sooner.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
