package chaos

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/internal/testkit"
)

// TestQueueDiskFull fills the disk under the queue: its Redis cannot write any
// more and ends. Nothing is acknowledged until there is room again, and nothing
// that was is lost.
func TestQueueDiskFull(t *testing.T) {
	addr, dir := testkit.FreeAddr(t), t.TempDir()
	args := []string{"--bind", "127.0.0.1", "--port", addr[strings.LastIndex(addr, ":")+1:],
		"--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", dir}
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	up := func() {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		await(t, ctx, "the queue's Redis answers", func() bool { return client.Ping(ctx).Err() == nil })
	}
	// A file may have 300 kB: beyond that a write fails, as on a full disk.
	full := testkit.Start(t, "redis (little room)", nil, "/bin/sh", append([]string{"-c", `trap "" XFSZ; ulimit -f 600; exec "$0" "$@"`, redisProgram(t)}, args...)...)
	up()
	url := "redis://" + addr
	s, l := startSystem(t, options{workers: 1, env: []string{"REDIS_QUEUE_URL=" + url}}), newLedger()
	d := startLoad(s, l)
	select {
	case <-full.Ended():
	case <-time.After(time.Minute):
		t.Fatal("the disk did not get full")
	}
	_, before := l.counts()
	time.Sleep(2 * time.Second)
	if _, after := l.counts(); after > before+httpSenders*httpBatch+mqttSenders+streamers*streamWindow*streamBatch { // those under way
		t.Errorf("%d readings were acknowledged while the queue had no disk", after-before)
	}
	testkit.Start(t, "redis (room again)", nil, redisProgram(t), args...)
	up()
	time.Sleep(time.Second)
	d.settle()
	s.audit(l)
	s.stopAll()
}
