package twin

import (
	"context"
	"time"

	"github.com/holon-registry/holon/registry"
)

// Processes tell one another that an account has changed, so that whoever
// follows its journal looks at once. Nothing depends on it: who is not told
// finds out a little later.

func (s *Store) announceChannel() string { return s.c.Prefix + ":changed" }

// Announce tells all processes that an account has changed. It does not wait.
func (s *Store) Announce(account registry.ID) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.client.Publish(ctx, s.announceChannel(), string(account)).Err() // they look by themselves as well
	}()
}

// Announced calls wake for each account that a process announces, until the
// context ends.
func (s *Store) Announced(ctx context.Context, wake func(account registry.ID)) {
	subscription := s.followers.Subscribe(ctx, s.announceChannel())
	defer subscription.Close()
	messages := subscription.Channel()
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-messages:
			if !ok {
				return
			}
			wake(registry.ID(m.Payload))
		}
	}
}
