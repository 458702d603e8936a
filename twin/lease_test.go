package twin

import (
	"testing"
	"time"
)

// TestHoldWhenTheClockIsPutBack: the lease of a holder that died before the clock
// of Redis was put back by hours lasts no longer than otherwise.
func TestHoldWhenTheClockIsPutBack(t *testing.T) {
	s, _ := open(t, nil)
	ctx, lasts, key := t.Context(), 10*time.Second, s.c.Prefix+":lease:work"
	if held, err := s.Hold(ctx, "work", "dead", 2*time.Hour); err != nil || !held {
		t.Fatalf("held %t, %v", held, err)
	}
	if held, err := s.Hold(ctx, "work", "waiting", lasts); err != nil || held {
		t.Fatalf("held %t, %v: the lease is somebody's", held, err)
	}
	if left, err := s.client.PTTL(ctx, key).Result(); err != nil || left > lasts {
		t.Errorf("the lease lasts %s, %v: want %s at most", left, err, lasts)
	}
	if err := s.client.Del(ctx, key).Err(); err != nil {
		t.Fatal(err)
	}
	if held, err := s.Hold(ctx, "work", "waiting", lasts); err != nil || !held {
		t.Errorf("held %t, %v: the lease is free", held, err)
	}
}
