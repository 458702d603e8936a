package chaos

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holon-registry/holon/internal/freeport"
	"github.com/holon-registry/holon/internal/testkit"
)

// clusterMasters is how many masters a Redis Cluster has at least; each gets a
// replica.
const clusterMasters = 3

// TestCluster lets two processes of each kind share the work on a Redis Cluster
// of six processes, and kills one of each, again and again.
func TestCluster(t *testing.T) {
	if long(t) == 0 {
		t.Log("HOLON_CHAOS_MINUTES is not set: there is no Redis Cluster")
		return
	}
	url := startCluster(t)
	s, l := startSystem(t, options{workers: 2, twoServe: true, env: []string{"REDIS_URL=" + url, "REDIS_QUEUE_URL=" + url}}), newLedger()
	d := startLoad(s, l)
	for i := range 4 {
		time.Sleep(time.Second)
		s.workers[i%2].Kill()
		killed := time.Now()
		time.Sleep(lease)
		s.awaitQueue("the other worker has taken over", 60*time.Second, func(q queue) bool { return q.waiting < 100 })
		t.Logf("a worker's partitions were taken over and worked off %.1f s after its end", time.Since(killed).Seconds())
		s.workers[i%2].start()
		s.workers[i%2].awaitReady()
		s.crash(s.second)
		s.crash(s.serve)
	}
	d.settle()
	s.audit(l)
	s.stopAll()
}

// startCluster starts a Redis Cluster and returns its URL. Its nodes keep what
// they acknowledge, as a queue must.
func startCluster(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	program := redisProgram(t)
	var addresses []string
	var nodes []*redis.Client
	for i := range 2 * clusterMasters {
		addr := clusterAddr(t)
		testkit.Start(t, fmt.Sprintf("redis-%d", i+1), nil, program, "--bind", "127.0.0.1", "--port", addr[strings.LastIndex(addr, ":")+1:],
			"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "3000",
			"--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--dir", t.TempDir())
		node := redis.NewClient(&redis.Options{Addr: addr})
		t.Cleanup(func() { node.Close() })
		addresses, nodes = append(addresses, addr), append(nodes, node)
		await(t, ctx, "redis answers", func() bool { return node.Ping(ctx).Err() == nil })
	}
	const slots = 16384
	for i, node := range nodes {
		host, port, err := net.SplitHostPort(addresses[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := nodes[0].ClusterMeet(ctx, host, port).Err(); err != nil {
			t.Fatal(err)
		}
		if i < clusterMasters {
			if err := node.ClusterAddSlotsRange(ctx, i*slots/clusterMasters, (i+1)*slots/clusterMasters-1).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, node := range nodes {
		await(t, ctx, "the nodes know each other", func() bool {
			return strings.Contains(node.ClusterInfo(ctx).Val(), fmt.Sprintf("cluster_known_nodes:%d", len(nodes)))
		})
	}
	for i := range clusterMasters {
		master := nodes[i].Do(ctx, "CLUSTER", "MYID").Val()
		await(t, ctx, "a replica follows", func() bool { return nodes[clusterMasters+i].ClusterReplicate(ctx, fmt.Sprint(master)).Err() == nil })
	}
	for _, node := range nodes {
		await(t, ctx, "the cluster is whole", func() bool { return strings.Contains(node.ClusterInfo(ctx).Val(), "cluster_state:ok") })
	}
	for i := range clusterMasters {
		await(t, ctx, "a replica is in step", func() bool {
			return strings.Contains(nodes[clusterMasters+i].Info(ctx, "replication").Val(), "master_link_status:up")
		})
	}
	return fmt.Sprintf("redis+cluster://%s?addr=%s&addr=%s", addresses[0], addresses[1], addresses[2])
}

// busOffset is how far above its port a node of a cluster listens for the others.
const busOffset = 10_000

// clusterAddr is a free address whose port leaves room for that of the cluster's
// own connections, which is no port of an outgoing connection either.
func clusterAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		p, err := freeport.Take(freeport.Last - busOffset)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Release() })
		if bus, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.Number+busOffset)); err == nil {
			bus.Close()
			return p.Addr()
		}
	}
	t.Fatal("no port is free for a Redis Cluster")
	return ""
}

func await(t *testing.T, ctx context.Context, what string, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
