package ingest

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestLeasesWhenTheClockIsPutBack: what a worker left behind that died before the
// clock of Redis was put back by hours lasts no longer than otherwise.
func TestLeasesWhenTheClockIsPutBack(t *testing.T) {
	q, ctx, ttl := openQueue(t, nil), t.Context(), 3*time.Second
	t.Cleanup(func() { q.client.Del(context.WithoutCancel(ctx), q.workersKey()) })
	now, err := q.client.Time(ctx).Result()
	if err != nil {
		t.Fatal(err)
	}
	score := float64(now.Add(2 * time.Hour).UnixMilli())
	if err := q.client.ZAdd(ctx, q.workersKey(), redis.Z{Score: score, Member: "dead"}).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := q.heartbeat(ctx, "alive", ttl); err != nil || n != 1 {
		t.Errorf("%d workers live, %v: want 1", n, err)
	}
	lease := q.keys[0].lease
	if err := q.client.Set(ctx, lease, "dead", 2*time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	if ok, err := q.acquire(ctx, 0, "alive", ttl); err != nil || ok {
		t.Errorf("acquired %t, %v: the lease is somebody's", ok, err)
	}
	if left, err := q.client.PTTL(ctx, lease).Result(); err != nil || left > ttl {
		t.Errorf("the lease lasts %s, %v: want %s at most", left, err, ttl)
	}
	if err := q.client.Del(ctx, lease).Err(); err != nil {
		t.Fatal(err)
	}
	for i, who := range []string{"alive", "other"} {
		if ok, err := q.acquire(ctx, 0, who, ttl); err != nil || ok != (i == 0) {
			t.Errorf("%s acquired a free lease, or one of another: %t, %v", who, ok, err)
		}
	}
}
