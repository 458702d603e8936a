package ingest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/holon-registry/holon/registry"
)

// Clients may subscribe to the changes of their own account and to nothing
// else. The library keeps the filters, to answer SUBSCRIBE and UNSUBSCRIBE, but
// never delivers anything: each client has a follower for that.

const (
	// maxFilters bounds those of a client, maxFilter the bytes of one.
	maxFilters = 64
	maxFilter  = 4096
	// rememberTimeout bounds what is read and written about a subscriber.
	rememberTimeout = 20 * time.Second
	// rememberEvery is how often it is remembered how far clients were told, and
	// refreshEvery how often that they are still there.
	rememberEvery = time.Second
	refreshEvery  = time.Hour
)

// greet finds out whether a client that connects is remembered, and prepares to
// tell it of what it missed. While the graph is away nobody is: the client
// subscribes again, and goes on where it was.
func (s *mqttSession) greet(ctx context.Context, principal *registry.Principal, client string, pk packets.Packet) {
	s.name, s.lasts = client, subscriberLasts
	if s.client.Properties.ProtocolVersion == 5 {
		s.lasts = min(s.lasts, time.Duration(s.client.Properties.Props.SessionExpiryInterval)*time.Second)
	} else if pk.Connect.Clean {
		s.lasts = 0
	}
	journal := s.hook.c.Journal
	if journal == nil || principal.Bound() {
		return
	}
	if s.clean = pk.Connect.Clean; s.clean {
		if err := journal.ForgetSubscriber(ctx, principal.Scope, client); err != nil {
			s.hook.c.Logger.Warn().Err(err).Msg("an MQTT client could not be forgotten yet")
		}
		return
	}
	known, err := journal.Subscriber(ctx, principal.Scope, client)
	if err != nil {
		s.hook.c.Logger.Warn().Err(err).Msg("an MQTT client could not be remembered")
	}
	if known == nil {
		return
	}
	f := s.newFollower(principal.Scope, known.Position)
	f.filters = known.Filters
	changes, err := journal.Follow(ctx, principal.Scope, known.Position)
	if registry.CodeOf(err) == registry.CodeCursorExpired {
		f.forget()
		return
	}
	if err == nil {
		changes.Close()
	}
	s.resumed = true
	s.follower.Store(f)
}

func (s *mqttSession) newFollower(scope registry.Scope, position int64) *mqttFollower {
	scope.Actor, scope.ActorName = "", ""
	return &mqttFollower{session: s, journal: s.hook.c.Journal, scope: scope, client: s.name, lasts: s.lasts,
		waiting: map[int64]bool{}, looked: position, kept: position, acked: make(chan struct{}, 1)}
}

// followerFrom makes a follower from a position on, or from where the client was
// if it could not be remembered when it connected.
func (s *mqttSession) followerFrom(ctx context.Context, scope registry.Scope, end int64) (*mqttFollower, error) {
	f := s.newFollower(scope, end)
	if s.clean {
		return f, nil
	}
	known, err := s.hook.c.Journal.Subscriber(ctx, scope, s.name)
	if err != nil || known == nil {
		return f, err
	}
	f.looked, f.kept, f.filters = known.Position, known.Position, known.Filters
	return f, nil
}

// startFollower begins to tell the client of changes, until it goes.
func (s *mqttSession) startFollower(f *mqttFollower) {
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	s.follower.Store(f)
	s.hook.sessions.Go(func() {
		defer stop()
		f.run(ctx)
	})
}

// subscribe takes filters, and says of each what becomes of it.
func (s *mqttSession) subscribe(filters packets.Subscriptions) map[string]packets.Code {
	codes := map[string]packets.Code{}
	ctx, cancel := context.WithTimeout(context.Background(), rememberTimeout)
	defer cancel()
	principal, err := s.principal(ctx)
	var wanted packets.Subscriptions
	for _, filter := range filters {
		if err == nil {
			if _, down := downTopicOf(principal.AccountName, filter.Filter); down {
				continue // what devices are told is decided on by mayFollow
			}
		}
		code := packets.CodeSuccess
		switch {
		case mqtt.IsSharedFilter(filter.Filter):
			code = packets.ErrSharedSubscriptionsNotSupported
		case err != nil && registry.CodeOf(err) != registry.CodeUnauthenticated:
			code = packets.ErrUnspecifiedError
		case err != nil || s.hook.c.Journal == nil || principal.Bound() || !ownChanges(principal.AccountName, filter.Filter):
			code = packets.ErrNotAuthorized
		case !mqtt.IsValidFilter(filter.Filter, false) || len(filter.Filter) > maxFilter:
			code = packets.ErrTopicFilterInvalid
		default:
			wanted = append(wanted, filter)
		}
		codes[filter.Filter] = code
	}
	if len(wanted) == 0 {
		return codes
	}
	if code := s.follow(ctx, principal.Scope, wanted); code != packets.CodeSuccess {
		for _, filter := range wanted {
			codes[filter.Filter] = code
		}
	}
	return codes
}

// ownChanges says whether a filter is about the changes of an account.
func ownChanges(account, filter string) bool {
	rest, ok := strings.CutPrefix(filter, changesTopic(account))
	return ok && rest != ""
}

// follow adds filters to the client's follower. What is done from now on is
// told: also, if the client wants to be remembered, should all of this break
// down when it has the answer.
func (s *mqttSession) follow(ctx context.Context, scope registry.Scope, wanted packets.Subscriptions) packets.Code {
	end, err := s.hook.c.Journal.JournalEnd(ctx, scope)
	if err != nil {
		s.hook.c.Logger.Warn().Err(err).Msg("an MQTT client cannot subscribe")
		return packets.ErrUnspecifiedError
	}
	f := s.follower.Load()
	isNew := f == nil
	if isNew {
		if f, err = s.followerFrom(ctx, scope, end); err != nil {
			s.hook.c.Logger.Warn().Err(err).Msg("an MQTT client cannot subscribe")
			return packets.ErrUnspecifiedError
		}
	}
	f.mu.Lock()
	before := f.filters
	after := slices.Clone(before)
	for _, w := range wanted {
		filter := registry.SubscriberFilter{Filter: w.Filter, From: end, Acknowledged: w.Qos > 0}
		if i := slices.IndexFunc(after, func(known registry.SubscriberFilter) bool { return known.Filter == w.Filter }); i >= 0 {
			filter.From = after[i].From
			after[i] = filter
		} else {
			after = append(after, filter)
		}
	}
	if len(after) > maxFilters {
		f.mu.Unlock()
		return packets.ErrQuotaExceeded
	}
	f.filters = after
	f.mu.Unlock()
	if s.lasts > 0 {
		if err := s.hook.c.Journal.KeepSubscriber(ctx, f.scope, f.remembered(time.Now())); err != nil {
			f.mu.Lock()
			f.filters = before
			f.mu.Unlock()
			if registry.CodeOf(err) == registry.CodeLimitExceeded {
				return packets.ErrQuotaExceeded
			}
			s.hook.c.Logger.Warn().Err(err).Msg("an MQTT client cannot subscribe")
			return packets.ErrUnspecifiedError
		}
	}
	if isNew {
		s.startFollower(f)
	}
	return packets.CodeSuccess
}

// unsubscribe takes filters away. What is remembered of a client without any is
// forgotten.
func (s *mqttSession) unsubscribe(filters packets.Subscriptions) {
	f := s.follower.Load()
	if f == nil {
		return
	}
	f.mu.Lock()
	f.filters = slices.DeleteFunc(slices.Clone(f.filters), func(known registry.SubscriberFilter) bool {
		return slices.ContainsFunc(filters, func(gone packets.Subscription) bool { return gone.Filter == known.Filter })
	})
	left := len(f.filters)
	f.mu.Unlock()
	if left == 0 {
		s.follower.Store(nil)
		f.stop()
	}
	if s.lasts == 0 {
		return
	}
	if left == 0 {
		f.forget()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), rememberTimeout)
	defer cancel()
	if err := f.journal.KeepSubscriber(ctx, f.scope, f.remembered(time.Now())); err != nil {
		s.hook.c.Logger.Warn().Err(err).Msg("an MQTT client's subscriptions could not be remembered")
	}
}

// leave ends the follower of a client that has gone.
func (s *mqttSession) leave(forget bool) {
	f := s.follower.Load()
	if f == nil {
		return
	}
	if f.stop != nil {
		f.stop()
	}
	switch {
	case s.lasts > 0 && !forget:
		s.hook.remember([]*mqttFollower{f}, time.Now())
	case s.resumed || forget:
		f.forget()
	}
}

// followers are those of all clients that want to be remembered.
func (h *mqttHook) followers() []*mqttFollower {
	var out []*mqttFollower
	h.clients.Range(func(_, v any) bool {
		if f := v.(*mqttSession).follower.Load(); f != nil && f.lasts > 0 {
			out = append(out, f)
		}
		return true
	})
	return out
}

// remember writes down how far followers are.
func (h *mqttHook) remember(followers []*mqttFollower, now time.Time) {
	byAccount := map[registry.ID][]*mqttFollower{}
	for _, f := range followers {
		byAccount[f.scope.Account] = append(byAccount[f.scope.Account], f)
	}
	for _, account := range slices.Sorted(maps.Keys(byAccount)) {
		list := byAccount[account]
		moves := make([]registry.SubscriberMove, len(list))
		for i, f := range list {
			moves[i] = registry.SubscriberMove{Client: f.client, Position: f.position(), Until: now.Add(f.lasts)}
		}
		ctx, cancel := context.WithTimeout(context.Background(), rememberTimeout)
		err := h.c.Journal.MoveSubscribers(ctx, list[0].scope, moves)
		cancel()
		if err != nil {
			h.c.Logger.Warn().Err(err).Msg("how far MQTT clients were told could not be remembered yet")
			return
		}
		for i, f := range list {
			f.mu.Lock()
			f.kept, f.keptAt = moves[i].Position, now
			f.mu.Unlock()
		}
	}
}

// keepRemembering remembers how far clients are, until the context ends.
func (h *mqttHook) keepRemembering(ctx context.Context) {
	ticker := time.NewTicker(rememberEvery)
	defer ticker.Stop()
	var expired time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			h.remember(slices.DeleteFunc(h.followers(), func(f *mqttFollower) bool {
				position := f.position()
				f.mu.Lock()
				defer f.mu.Unlock()
				return position == f.kept && now.Sub(f.keptAt) < refreshEvery
			}), now)
			if now.Sub(expired) > time.Minute {
				expired = now
				if err := h.c.Journal.ExpireSubscribers(ctx, now); err != nil && ctx.Err() == nil {
					h.c.Logger.Warn().Err(err).Msg("MQTT clients that did not come back are remembered for longer")
				}
			}
		}
	}
}

// OnSubscribe decides about filters.
func (h *mqttHook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if s, ok := h.session(cl); ok {
		s.filters = s.subscribe(pk.Filters)
	}
	return pk
}

// OnSubscribed gives the client the reason where the library only knows that
// something is not allowed.
func (h *mqttHook) OnSubscribed(cl *mqtt.Client, pk packets.Packet, codes []byte) {
	s, ok := h.session(cl)
	if !ok {
		return
	}
	s.subscribed(pk, codes)
	for i, filter := range pk.Filters {
		if code, known := s.filters[filter.Filter]; cl.Properties.ProtocolVersion == 5 && known && code != packets.CodeSuccess {
			codes[i] = code.Code
		}
	}
}

// OnUnsubscribed takes filters away.
func (h *mqttHook) OnUnsubscribed(cl *mqtt.Client, pk packets.Packet) {
	if s, ok := h.session(cl); ok {
		s.unsubscribed(pk)
		s.unsubscribe(pk.Filters)
	}
}

// OnPacketEncode tells a client that connects whether it is remembered, and for
// how long it will be.
func (h *mqttHook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	s, ok := h.session(cl)
	if !ok || pk.FixedHeader.Type != packets.Connack || pk.ReasonCode != packets.CodeSuccess.Code {
		return pk
	}
	pk.SessionPresent = s.resumed
	if cl.Properties.ProtocolVersion == 5 {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = uint32(s.lasts/time.Second), true
	}
	return pk
}
