package twin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/registry"
)

// hand is a clock that is set by hand, in milliseconds.
type hand struct{ atomic.Int64 }

func (h *hand) now() time.Time { return time.UnixMilli(h.Load()) }

// present asks for the presence of a device.
func present(t *testing.T, live *Live, scope registry.Scope, id registry.ID) registry.Presence {
	t.Helper()
	got, err := live.PresenceOf(t.Context(), scope, []registry.ID{id})
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

// said waits for a change of presence in the feed.
func said(t *testing.T, sub *Subscription, id registry.ID) {
	t.Helper()
	for {
		changes, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			if c.Kind == registry.TwinPresence {
				if c.TwinID != id || len(c.Values) > 0 {
					t.Fatalf("got %+v", c)
				}
				return
			}
		}
	}
}

// TestSilence takes a device as connected as long as it sends often enough, tells
// of both, and knows it from the graph when Redis was emptied.
func TestSilence(t *testing.T) {
	t.Parallel()
	clock := new(hand)
	clock.Store(1_000_000)
	s, scope := open(t, func(c *Config) { c.Clock = clock.now })
	g := newGraph()
	live := NewLive(s, g, zerolog.Nop())
	watcher := NewWatcher(s, g, nil, zerolog.Nop())
	sub, err := s.Follow(t.Context(), scope, "")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	id := newIDs(1)[0]
	if p := present(t, live, scope, id); p.Connected != nil || p.LastSeenAt != nil {
		t.Errorf("a device that never sent: %+v", p)
	}
	send := func(ms int64) {
		t.Helper()
		u := registry.TwinUpdate{Account: scope.Account, TwinID: id, Values: []registry.LiveValue{value("t", ms, 1.5)}, SeenFirst: at(ms), Seen: at(ms), Silence: time.Minute}
		if err := s.Apply(t.Context(), []registry.TwinUpdate{u}); err != nil {
			t.Fatal(err)
		}
	}
	turn := func() {
		t.Helper()
		if err := watcher.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	send(1_000_000)
	said(t, sub, id)
	if p := present(t, live, scope, id); p.Connected == nil || !*p.Connected || !p.LastSeenAt.Equal(at(1_000_000)) || !p.Since.Equal(at(1_000_000)) {
		t.Errorf("a device that sends: %+v", p)
	}
	clock.Store(1_059_000)
	send(1_059_000)
	clock.Store(1_118_000)
	turn()
	if p := present(t, live, scope, id); !*p.Connected || !p.Since.Equal(at(1_000_000)) {
		t.Errorf("a device that goes on sending: %+v", p)
	}
	clock.Store(1_120_000)
	turn()
	said(t, sub, id)
	if p := present(t, live, scope, id); *p.Connected || !p.Since.Equal(at(1_119_000)) || !p.LastSeenAt.Equal(at(1_059_000)) {
		t.Errorf("a silent device: %+v", p)
	}
	send(1_120_000)
	said(t, sub, id)

	// Emptied: what the graph knows counts, and is watched.
	g.mu.Lock()
	g.seen = map[registry.ID]registry.Seen{id: {Account: scope.Account, TwinID: id, LastAt: new(at(1_120_000)), Silence: time.Minute}}
	g.mu.Unlock()
	for cursor := uint64(0); ; {
		var keys []string
		if keys, cursor, err = s.client.Scan(t.Context(), cursor, s.c.Prefix+":presence:*", 1000).Result(); err != nil {
			t.Fatal(err)
		}
		if len(keys) > 0 {
			if err := s.client.Del(t.Context(), keys...).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if cursor == 0 {
			break
		}
	}
	turn()
	if p := present(t, live, scope, id); p.Connected == nil || !*p.Connected || !p.LastSeenAt.Equal(at(1_120_000)) {
		t.Errorf("after Redis was emptied: %+v", p)
	}
	clock.Store(1_181_000)
	turn()
	said(t, sub, id)
	if p := present(t, live, scope, id); *p.Connected {
		t.Errorf("silent after Redis was emptied: %+v", p)
	}
}

// TestNeverHeard takes a device that was never heard of as silent once it was there
// for as long as its template says, and tells of it once.
func TestNeverHeard(t *testing.T) {
	t.Parallel()
	clock := new(hand)
	clock.Store(1_000_000)
	s, scope := open(t, func(c *Config) { c.Clock = clock.now })
	g, ids := newGraph(), newIDs(3)
	made, late, talks := ids[0], ids[1], ids[2]
	g.seen = map[registry.ID]registry.Seen{}
	for _, id := range ids {
		g.seen[id] = registry.Seen{Account: scope.Account, TwinID: id, MadeAt: at(1_000_000), Silence: time.Minute}
	}
	live := NewLive(s, g, zerolog.Nop())
	var left []registry.ID
	watcher := NewWatcher(s, g, func(_ context.Context, devices []registry.TwinUpdate) error {
		for _, d := range devices {
			if d.Account == scope.Account {
				left = append(left, d.TwinID)
			}
		}
		return nil
	}, zerolog.Nop())
	turn := func(ms int64, want ...registry.ID) {
		t.Helper()
		clock.Store(ms)
		left = nil
		if err := watcher.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		slices.Sort(left)
		slices.Sort(want)
		if diff := gocmp.Diff(want, left, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("at %d (-want +got):\n%s", ms, diff)
		}
	}
	// One was noted when it was made, the others are found by the watcher.
	if err := s.expect(t.Context(), []registry.Seen{g.seen[made]}); err != nil {
		t.Fatal(err)
	}
	if p := present(t, live, scope, made); p.Connected != nil {
		t.Errorf("a device that was just made: %+v", p)
	}
	turn(1_059_000)
	u := registry.TwinUpdate{Account: scope.Account, TwinID: talks, Values: []registry.LiveValue{value("t", 1_059_000, 1.5)}, SeenFirst: at(1_059_000), Seen: at(1_059_000), Silence: time.Minute}
	if err := s.Apply(t.Context(), []registry.TwinUpdate{u}); err != nil {
		t.Fatal(err)
	}
	turn(1_061_000, made, late)
	if p := present(t, live, scope, late); p.Connected == nil || *p.Connected || !p.Since.Equal(at(1_060_000)) || p.LastSeenAt != nil {
		t.Errorf("a device that was never heard of: %+v", p)
	}
	turn(1_062_000)
	if err := s.expect(t.Context(), []registry.Seen{g.seen[made]}); err != nil {
		t.Fatal(err)
	}
	turn(1_063_000)
	turn(1_120_000, talks)
}

// TestSessions takes a device as connected while one of its sessions is open.
func TestSessions(t *testing.T) {
	t.Parallel()
	clock := new(hand)
	clock.Store(5_000_000)
	s, scope := open(t, func(c *Config) { c.Clock = clock.now })
	live := NewLive(s, newGraph(), zerolog.Nop())
	watcher := NewWatcher(s, newGraph(), nil, zerolog.Nop())
	id := newIDs(1)[0]
	session := func(name string) registry.DeviceSession {
		return registry.DeviceSession{Account: scope.Account, Device: id, ID: name}
	}
	connected := func() bool {
		t.Helper()
		p := present(t, live, scope, id)
		return p.Connected != nil && *p.Connected
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(s.OpenSession(t.Context(), session("a")))
	do(s.OpenSession(t.Context(), session("b")))
	do(s.CloseSession(t.Context(), session("a"))) // the client came back before its old connection was found dead
	if !connected() {
		t.Error("the end of an old session disconnects the device")
	}
	clock.Add(SessionFor.Milliseconds() - 1)
	do(s.KeepSessions(t.Context(), []registry.DeviceSession{session("a"), session("b")}))
	clock.Add(SessionFor.Milliseconds() - 1)
	do(watcher.turn(t.Context()))
	if !connected() {
		t.Error("a session that is prolonged ends")
	}
	clock.Add(2)
	do(watcher.turn(t.Context())) // its gateway was killed
	if connected() {
		t.Error("a session that nobody prolongs does not end")
	}
	do(s.KeepSessions(t.Context(), []registry.DeviceSession{session("b")}))
	if !connected() {
		t.Error("a session that goes on does not connect the device")
	}
	do(s.CloseSession(t.Context(), session("b")))
	if connected() {
		t.Error("a session that ends does not disconnect the device")
	}
	do(s.OpenSession(t.Context(), session("c")))
	do(s.OpenSession(t.Context(), session("d")))
	do(s.CloseSession(t.Context(), session("d")))
	do(s.CloseSession(t.Context(), session("d")))
	if !connected() {
		t.Error("a session that comes and goes disconnects a device whose other one is open")
	}
	clock.Add(SessionFor.Milliseconds() - 1)
	do(s.KeepSessions(t.Context(), []registry.DeviceSession{session("c")}))
	do(s.OpenSession(t.Context(), session("e")))
	clock.Add(SessionFor.Milliseconds() - 1)
	do(s.KeepSessions(t.Context(), []registry.DeviceSession{session("e")}))
	clock.Add(2) // the gateway of c was killed
	do(watcher.turn(t.Context()))
	if !connected() {
		t.Error("a session that is open does not count beside one that nobody prolongs")
	}
	do(s.CloseSession(t.Context(), session("e")))
	if connected() {
		t.Error("a session that nobody prolongs counts when another ends")
	}
	// More than are known at a time.
	for i := range 2 * maxSessions {
		do(s.OpenSession(t.Context(), session(fmt.Sprint("many-", i))))
		clock.Add(1)
	}
	if n := len(strings.Fields(s.client.HGet(t.Context(), s.presenceKey(scope.Account, id), "sessions").Val())); n != 2*maxSessions {
		t.Errorf("%d words of sessions", n)
	}
	for i := range 2*maxSessions - 1 {
		do(s.CloseSession(t.Context(), session(fmt.Sprint("many-", i))))
	}
	if !connected() {
		t.Error("the newest of many sessions does not count")
	}
	do(s.CloseSession(t.Context(), session(fmt.Sprint("many-", 2*maxSessions-1))))
	if connected() {
		t.Error("the end of the last of many sessions does not disconnect the device")
	}
}

// TestReadingAfterSession stores a reading when the session that it came by has
// ended, or while one is open: without a time of silence, sessions alone tell.
func TestReadingAfterSession(t *testing.T) {
	t.Parallel()
	clock := new(hand)
	clock.Store(7_000_000)
	s, scope := open(t, func(c *Config) { c.Clock = clock.now })
	live := NewLive(s, newGraph(), zerolog.Nop())
	watcher := NewWatcher(s, newGraph(), nil, zerolog.Nop())
	ids := newIDs(2)
	session := registry.DeviceSession{Account: scope.Account, Device: ids[0], ID: "a"}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	send := func(id registry.ID, silence time.Duration) {
		t.Helper()
		ms := clock.Load()
		do(s.Apply(t.Context(), []registry.TwinUpdate{{Account: scope.Account, TwinID: id, Values: []registry.LiveValue{value("t", ms, 1.5)}, SeenFirst: at(ms), Seen: at(ms), Silence: silence}}))
	}
	expect := func(id registry.ID, connected *bool, since int64) {
		t.Helper()
		p := present(t, live, scope, id)
		if diff := gocmp.Diff(connected, p.Connected); diff != "" {
			t.Errorf("connected (-want +got):\n%s", diff)
		}
		if known := p.Since != nil; known != (since > 0) || known && !p.Since.Equal(at(since)) {
			t.Errorf("since = %v, want %d", p.Since, since)
		}
	}
	send(ids[0], 0)
	expect(ids[0], nil, 0)
	do(s.OpenSession(t.Context(), session))
	clock.Add(1000)
	send(ids[0], 0)
	expect(ids[0], new(true), 7_000_000)
	clock.Add(1000)
	do(s.CloseSession(t.Context(), session))
	expect(ids[0], new(false), 7_002_000)
	clock.Add(1000)
	send(ids[0], 0)
	expect(ids[0], new(false), 7_002_000)
	// A gateway that was killed.
	do(s.OpenSession(t.Context(), session))
	clock.Add(SessionFor.Milliseconds())
	do(watcher.turn(t.Context()))
	send(ids[0], 0)
	expect(ids[0], new(false), 7_003_000+SessionFor.Milliseconds())
	// A template that does not say any more when its devices are silent.
	send(ids[1], time.Minute)
	expect(ids[1], new(true), clock.Load())
	send(ids[1], 0)
	expect(ids[1], nil, 0)
}
