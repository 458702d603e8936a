package twin

import (
	"context"
	"slices"
	"strings"
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

func (s *Store) downlinkChannel() string { return s.c.Prefix + ":downlink" }

// AnnounceDownlink tells all processes that there is something for a device. It
// does not wait.
func (s *Store) AnnounceDownlink(_, device registry.ID) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.client.Publish(ctx, s.downlinkChannel(), string(device)).Err() // they look by themselves as well
	}()
}

// Downlinks calls wake for each device that there is something for, until the
// context ends.
func (s *Store) Downlinks(ctx context.Context, wake func(device registry.ID)) {
	s.listen(ctx, s.downlinkChannel(), wake)
}

// Announced calls wake for each account that a process announces, until the
// context ends.
func (s *Store) Announced(ctx context.Context, wake func(account registry.ID)) {
	s.listen(ctx, s.announceChannel(), wake)
}

func (s *Store) knownChannel() string { return s.c.Prefix + ":known" }

// knownAtOnce is how many ids go into one message.
const knownAtOnce = 500

// AnnounceKnown tells all processes that sources of readings should read these
// objects again. It does not wait.
func (s *Store) AnnounceKnown(ids []registry.ID) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		for part := range slices.Chunk(ids, knownAtOnce) {
			var message strings.Builder
			for _, id := range part {
				message.WriteString(string(id) + " ")
			}
			_ = s.client.Publish(ctx, s.knownChannel(), message.String()).Err() // they read everything again soon
		}
	}()
}

// KnownChanged calls told with the objects that AnnounceKnown is given, until the
// context ends.
func (s *Store) KnownChanged(ctx context.Context, told func(ids []registry.ID)) {
	s.listen(ctx, s.knownChannel(), func(message registry.ID) {
		var ids []registry.ID
		for id := range strings.FieldsSeq(string(message)) {
			ids = append(ids, registry.ID(id))
		}
		told(ids)
	})
}

// listen calls wake for each id that comes through a channel.
func (s *Store) listen(ctx context.Context, channel string, wake func(registry.ID)) {
	subscription := s.followers.Subscribe(ctx, channel)
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
