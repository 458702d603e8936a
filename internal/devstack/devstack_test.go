package devstack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
)

// testOptions keep the stores small: other tests may run at the same time.
func testOptions(t *testing.T, dir string) Options {
	return Options{Dir: dir, HeapMB: 256, PageCacheMB: 64, Life: Brief, Log: t.Output()}
}

func mustStart(t *testing.T, o Options) *Stack {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// cypher runs one query and returns the single value of its single row.
func cypher(s *Stack, password, query string) (any, error) {
	driver, err := neo4j.NewDriverWithContext(s.URI, neo4j.BasicAuth(s.Username, password, ""))
	if err != nil {
		return nil, err
	}
	defer driver.Close(context.Background())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	result, err := neo4j.ExecuteQuery(ctx, driver, query, nil, neo4j.EagerResultTransformer)
	if err != nil {
		return nil, err
	}
	if len(result.Records) != 1 {
		return nil, fmt.Errorf("%d rows", len(result.Records))
	}
	return result.Records[0].Values[0], nil
}

func wantCypher(t *testing.T, s *Stack, query string, want any) {
	t.Helper()
	got, err := cypher(s, s.Password, query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	if got != want {
		t.Fatalf("%s = %v, want %v", query, got, want)
	}
}

// redisSays sends one command and returns the lines of the answer as they are
// on the wire, joined by spaces.
func redisSays(s *Stack, command string, lines int) (string, error) {
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.RedisURL, "redis://"), time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	fmt.Fprintf(conn, "%s\r\n", command)
	in := bufio.NewReader(conn)
	var answer []string
	for range lines {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		answer = append(answer, strings.TrimSpace(line))
	}
	return strings.Join(answer, " "), nil
}

func wantRedis(t *testing.T, s *Stack, command, want string) {
	t.Helper()
	got, err := redisSays(s, command, len(strings.Fields(want)))
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	if got != want {
		t.Fatalf("%s = %q, want %q", command, got, want)
	}
}

// pathWith sets the PATH to a folder that has only the named programs.
func pathWith(t *testing.T, programs ...string) {
	t.Helper()
	folder := t.TempDir()
	for _, program := range programs {
		path, err := exec.LookPath(program)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(folder, program)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder)
}

// gone waits until no process has that pid; a zombie counts as gone.
func gone(pid int) bool {
	for range 100 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, os.ErrNotExist) || bytes.Contains(stat, []byte(") Z ")) {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}

// TestLife follows one data directory through its life, since each start of
// Neo4j takes seconds.
func TestLife(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(t, dir)
	s := mustStart(t, o)

	t.Run("the generated password is the only one", func(t *testing.T) {
		wantCypher(t, s, "CREATE (n:Kept {n: 1}) RETURN n.n", int64(1))
		var refused *neo4j.Neo4jError
		if _, err := cypher(s, "not-the-password", "RETURN 1"); !errors.As(err, &refused) || refused.Code != "Neo.ClientError.Security.Unauthorized" {
			t.Fatalf("a wrong password: %v, want Unauthorized", err)
		}
		info, err := os.Stat(filepath.Join(dir, "neo4j.password"))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Fatalf("the kept password has mode %v", info.Mode())
		}
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.Neo4j.Pid()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(cmdline, []byte(s.Password)) {
			t.Fatal("the password is in the process list")
		}
	})
	t.Run("Neo4j and Redis are set up as the design says", func(t *testing.T) {
		wantCypher(t, s, "SHOW SETTINGS YIELD name, value WHERE name = 'server.memory.query_cache.per_db_cache_num_entries' RETURN value", "5000")
		wantCypher(t, s, "SHOW SETTINGS YIELD name, value WHERE name = 'db.transaction.timeout' RETURN value", "0s")
		wantCypher(t, s, "SHOW SETTINGS YIELD name, value WHERE name = 'dbms.usage_report.enabled' RETURN value", "false")
		wantRedis(t, s, "CONFIG GET appendfsync", "*2 $11 appendfsync $6 always")
		wantRedis(t, s, "CONFIG GET appendonly", "*2 $10 appendonly $3 yes")
		wantRedis(t, s, "CONFIG GET maxmemory-policy", "*2 $16 maxmemory-policy $10 noeviction")
	})
	t.Run("the environment names both", func(t *testing.T) {
		want := "NEO4J_URI=" + s.URI + " NEO4J_USERNAME=neo4j NEO4J_PASSWORD=" + s.Password + " REDIS_URL=" + s.RedisURL
		if got := strings.Join(s.Env(), " "); got != want {
			t.Fatalf("Env = %s, want %s", got, want)
		}
	})
	t.Run("a second start on the same directory is refused", func(t *testing.T) {
		second, err := Start(t.Context(), o)
		if err == nil {
			second.Close()
			t.Fatal("no error")
		}
		if want := fmt.Sprintf("in use by another process (pid %d)", os.Getpid()); !strings.Contains(err.Error(), want) {
			t.Fatalf("error %q does not say %q", err, want)
		}
		wantCypher(t, s, "RETURN 1", int64(1))
	})
	t.Run("a paused Redis answers nothing until it continues", func(t *testing.T) {
		if err := s.Redis.Pause(); err != nil {
			t.Fatal(err)
		}
		var timeout net.Error
		if answer, err := redisSays(s, "PING", 1); !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Fatalf("paused: %q, %v, want a timeout", answer, err)
		}
		if err := s.Redis.Continue(); err != nil {
			t.Fatal(err)
		}
		wantRedis(t, s, "PING", "+PONG")
	})
	t.Run("killed stores restart on the same port and data", func(t *testing.T) {
		wantRedis(t, s, "SET kept 1", "+OK")
		env, neo, red := strings.Join(s.Env(), " "), s.Neo4j.Pid(), s.Redis.Pid()
		for _, p := range []*Process{s.Neo4j, s.Redis} {
			if err := p.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if !gone(neo) || !gone(red) {
			t.Fatal("a killed store still runs")
		}
		if _, err := redisSays(s, "PING", 1); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("killed Redis: %v, want connection refused", err)
		}
		for _, p := range []*Process{s.Redis, s.Neo4j} {
			if err := p.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(s.Env(), " "); got != env {
			t.Fatalf("Env changed from %s to %s", env, got)
		}
		wantCypher(t, s, "MATCH (n:Kept) RETURN count(n)", int64(1))
		wantRedis(t, s, "GET kept", "$1 1")
	})
	t.Run("close ends both, once and for all", func(t *testing.T) {
		neo, red := s.Neo4j.Pid(), s.Redis.Pid()
		// Paused processes must not make it wait for the kill.
		if err := s.Redis.Pause(); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		if !gone(neo) || !gone(red) {
			t.Fatal("a store runs after Close")
		}
		if err := s.Redis.Restart(t.Context()); !errors.Is(err, errClosed) {
			t.Fatalf("restart after Close: %v", err)
		}
	})
	t.Run("another password than the data's is refused", func(t *testing.T) {
		o := o
		o.Neo4jPassword = "another-password"
		second, err := Start(t.Context(), o)
		if err == nil {
			second.Close()
			t.Fatal("no error")
		}
		if !strings.Contains(err.Error(), "another password") {
			t.Fatal(err)
		}
	})
	t.Run("the next start needs no Maven, waits for the lock and finds the data", func(t *testing.T) {
		pathWith(t, "java", "redis-server")
		refused := holdStoreLock(t, dir)
		next := mustStart(t, o)
		if !refused() {
			t.Fatal("Neo4j started although its data were locked")
		}
		if next.Password != s.Password {
			t.Fatal("the password changed")
		}
		wantCypher(t, next, "MATCH (n:Kept) RETURN count(n)", int64(1))
		wantRedis(t, next, "GET kept", "$1 1")
		if err := next.Close(); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("reset removes the data and keeps the password", func(t *testing.T) {
		o := o
		o.Reset = true
		next := mustStart(t, o)
		if next.Password != s.Password {
			t.Fatal("the password changed")
		}
		wantCypher(t, next, "MATCH (n) RETURN count(n)", int64(0))
		wantRedis(t, next, "GET kept", "$-1")
		if err := next.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// holdStoreLock takes the lock that Neo4j takes on its data, as another Neo4j
// would, and lets it go when a Neo4j has been refused. The result tells whether
// that happened.
func holdStoreLock(t *testing.T, dir string) (refused func() bool) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "neo4j", "data", "databases", "store_lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &lock); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "neo4j", "neo4j.log")
	seen := make(chan bool, 1)
	go func() {
		defer f.Close()
		for range 300 {
			if text, err := os.ReadFile(log); err == nil && strings.Contains(string(text), "locked by another process") {
				seen <- true
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		seen <- false
	}()
	return func() bool { return <-seen }
}
