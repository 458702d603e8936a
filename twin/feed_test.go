package twin

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/internal/testkit"
	"github.com/holon-registry/holon/registry"
)

func follow(t testing.TB, s *Store, scope registry.Scope, after string) *Subscription {
	t.Helper()
	sub, err := s.Follow(t.Context(), scope, after)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Close)
	return sub
}

// take reads n changes, or fails.
func take(t testing.TB, sub *Subscription, n int) []Change {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var all []Change
	for len(all) < n {
		got, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("after %d of %d changes: %v", len(all), n, err)
		}
		all = append(all, got...)
	}
	if len(all) > n {
		t.Fatalf("%d changes, want %d", len(all), n)
	}
	return all
}

// ending returns the code of the error that a subscription ends with.
func ending(t testing.TB, sub *Subscription) registry.Code {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for {
		if _, err := sub.Next(ctx); err != nil {
			if ctx.Err() != nil {
				t.Fatal("the subscription does not end")
			}
			return registry.CodeOf(err)
		}
	}
}

// send applies n changes, numbered from a number on, in batches.
func send(t testing.TB, s *Store, scope registry.Scope, from, n, batch int) {
	t.Helper()
	for i := 0; i < n; i += batch {
		var updates []registry.TwinUpdate
		for j := i; j < min(i+batch, n); j++ {
			updates = append(updates, registry.TwinUpdate{Account: scope.Account, TwinID: registry.ID(strconv.Itoa(from + j)), Values: []registry.LiveValue{value("n", int64(j), float64(from+j))}})
		}
		apply(t, s, updates...)
	}
}

func expectNumbers(t testing.TB, changes []Change, from int) {
	t.Helper()
	for i, c := range changes {
		if c.TwinID != registry.ID(strconv.Itoa(from+i)) || c.Values[0].Value != float64(from+i) || time.Since(c.At) > time.Minute {
			t.Fatalf("change %d is %+v, want number %d", i, c, from+i)
		}
	}
}

func TestFeed(t *testing.T) {
	s, scope := open(t, nil)
	early := follow(t, s, scope, "") // before the account has a feed
	send(t, s, scope, 0, 10, 10)
	expectNumbers(t, take(t, early, 10), 0)
	late := follow(t, s, scope, "")
	send(t, s, scope, 10, 25, 10)
	expectNumbers(t, take(t, early, 25), 10)
	expectNumbers(t, take(t, late, 25), 10)
	other := follow(t, s, registry.Scope{Account: registry.ID(uuid.NewString())}, "")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := other.Next(ctx); err == nil {
		t.Errorf("another account gets %v", got)
	}
	if len(s.feeds) != 2 {
		t.Errorf("%d readers, want 2", len(s.feeds))
	}
}

func TestFeedResumes(t *testing.T) {
	s, scope := open(t, nil)
	first := follow(t, s, scope, "")
	send(t, s, scope, 0, 100, 7)
	all := take(t, first, 100)
	first.Close()
	if len(s.feeds) != 0 {
		t.Errorf("%d readers are left", len(s.feeds))
	}
	again, _ := open(t, func(c *Config) { c.Prefix = s.c.Prefix }) // another process
	total := 100
	for i := 0; i < 100; i += 9 { // in the middle of an entry, or at its end
		sub := follow(t, again, scope, all[i].Cursor)
		expectNumbers(t, take(t, sub, total-1-i), i+1)
		send(t, s, scope, total, 3, 2)
		expectNumbers(t, take(t, sub, 3), total)
		sub.Close()
		total += 3
	}
	for _, bad := range []string{"x", "eDox", "ZToxOi0x"} {
		if _, err := s.Follow(t.Context(), scope, bad); registry.CodeOf(err) != registry.CodeInvalid {
			t.Errorf("cursor %q: %v", bad, err)
		}
	}
}

// While changes keep coming, a subscriber that resumes over and over again sees
// each exactly once.
func TestFeedResumesUnderLoad(t *testing.T) {
	s, scope := open(t, nil)
	sub := follow(t, s, scope, "")
	const total = 3000
	var writer sync.WaitGroup
	defer writer.Wait() // its last change may be seen before it is done
	writer.Go(func() {
		for i := 0; i < total; i += 10 {
			var updates []registry.TwinUpdate
			for j := range 10 {
				updates = append(updates, registry.TwinUpdate{Account: scope.Account, TwinID: registry.ID(strconv.Itoa(i + j)), Values: []registry.LiveValue{value("n", int64(i), float64(i+j))}})
			}
			if err := s.Apply(context.WithoutCancel(t.Context()), updates); err != nil {
				t.Error(err)
			}
		}
	})
	keep := follow(t, s, scope, "") // keeps the reader ahead of those that resume
	_ = keep
	seen := 0
	var cursor string
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for rounds := 0; seen < total; rounds++ {
		got, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("after %d: %v", seen, err)
		}
		if rounds%3 == 2 {
			got = got[:1+len(got)/2] // the connection breaks in the middle
		}
		expectNumbers(t, got, seen)
		seen, cursor = seen+len(got), got[len(got)-1].Cursor
		if rounds%3 == 2 {
			sub.Close()
			sub = follow(t, s, scope, cursor)
		}
	}
}

func TestFeedExpires(t *testing.T) {
	s, scope := open(t, func(c *Config) { c.FeedBytes = 1 })
	sub := follow(t, s, scope, "")
	send(t, s, scope, 0, 5, 1)
	cursor := take(t, sub, 5)[0].Cursor
	for i := 5; i < 405; i++ { // Redis cuts off nodes of 100 entries, but not what a reader has that keeps up
		send(t, s, scope, i, 1, 1)
		expectNumbers(t, take(t, sub, 1), i)
	}
	if n := s.client.XLen(t.Context(), s.feedKey(scope.Account)).Val(); n > 250 {
		t.Errorf("the feed has %d entries", n)
	}
	if code := ending(t, follow(t, s, scope, cursor)); code != registry.CodeCursorExpired {
		t.Errorf("a cursor that was cut off gives %s", code)
	}
	latest := follow(t, s, scope, "")
	send(t, s, scope, 405, 1, 1)
	cursor = take(t, latest, 1)[0].Cursor

	s.client.Del(t.Context(), s.feedKey(scope.Account), s.feedMetaKey(scope.Account))
	send(t, s, scope, 0, 1, 1)
	if code := ending(t, latest); code != registry.CodeCursorExpired {
		t.Errorf("after emptying, a subscription ends with %s", code)
	}
	_, err := s.Follow(t.Context(), scope, cursor)
	if registry.CodeOf(err) != registry.CodeCursorExpired {
		t.Errorf("after emptying, a cursor gives %v", err)
	}
	fresh := follow(t, s, scope, "")
	send(t, s, scope, 1, 1, 1)
	expectNumbers(t, take(t, fresh, 1), 1)
}

func TestSlowSubscriberHoldsUpNobody(t *testing.T) {
	s, scope := open(t, func(c *Config) { c.Buffer = 100 })
	slow, fast := follow(t, s, scope, ""), follow(t, s, scope, "")
	for i := range 30 {
		send(t, s, scope, i*10, 10, 10)
		expectNumbers(t, take(t, fast, 10), i*10)
	}
	if len(slow.waiting) > 100 {
		t.Errorf("%d changes wait for the slow one", len(slow.waiting))
	}
	if code := ending(t, slow); code != registry.CodeLimitExceeded {
		t.Errorf("the slow one ends with %s", code)
	}
}

func TestFeedSurvivesRedis(t *testing.T) {
	door := testkit.NewDoor(t)
	cut, scope := open(t, func(c *Config) { c.URL = door.URL; c.Timeout = 500 * time.Millisecond })
	s, _ := open(t, func(c *Config) { c.Prefix = cut.c.Prefix })
	sub := follow(t, cut, scope, "")
	send(t, s, scope, 0, 5, 5)
	expectNumbers(t, take(t, sub, 5), 0)
	door.Shut()
	send(t, s, scope, 5, 50, 5)
	if _, err := cut.Follow(t.Context(), registry.Scope{Account: "new"}, ""); registry.CodeOf(err) != registry.CodeUnavailable {
		t.Errorf("without Redis: %v", err)
	}
	door.Open()
	expectNumbers(t, take(t, sub, 50), 5)
	if err := cut.Close(); err != nil {
		t.Error(err)
	}
	if code := ending(t, sub); code != registry.CodeUnavailable {
		t.Errorf("a closed store gives %s", code)
	}
}

func FuzzFeedEntry(f *testing.F) {
	p, err := packTwin("a", "twin", []registry.LiveValue{value("t", 1, 1.5), value("s", 2, "x")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(appendChange(appendChange(nil, &p), &p)))
	f.Add("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Fuzz(func(t *testing.T, body string) {
		e, err := unpackEntry(message("7-0", body))
		if err != nil {
			return
		}
		for i, c := range e.changes {
			at, err := parseCursor(c.Cursor)
			if err != nil || at.number != 7 || at.index != i {
				t.Errorf("cursor %v, %v", at, err)
			}
		}
	})
}

func BenchmarkFollow(b *testing.B) {
	for _, subscribers := range []int{1, 100} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			s, scope := open(b, func(c *Config) { c.Buffer = 1 << 30 })
			var subs []*Subscription
			for range subscribers {
				subs = append(subs, follow(b, s, scope, ""))
			}
			b.ResetTimer()
			var sending sync.WaitGroup
			sending.Go(func() { send(b, s, scope, 0, 100*b.N, 100) })
			done := make(chan struct{})
			for _, sub := range subs {
				go func() {
					for n := 0; n < 100*b.N; {
						got, err := sub.Next(b.Context())
						if err != nil {
							b.Error(err)
							break
						}
						n += len(got)
					}
					done <- struct{}{}
				}()
			}
			for range subs {
				<-done
			}
			sending.Wait()
			b.ReportMetric(float64(100*b.N)/b.Elapsed().Seconds(), "changes/s")
		})
	}
}

func message(id, body string) redis.XMessage {
	return redis.XMessage{ID: id, Values: map[string]any{"e": "epoch", "r": "1700000000000", "b": body}}
}
