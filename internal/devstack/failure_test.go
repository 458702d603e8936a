package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mustFail starts a stack that cannot start, and returns why.
func mustFail(t *testing.T, o Options) string {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err == nil {
		s.Close()
		t.Fatal("it started")
	}
	return err.Error()
}

func wantWords(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q does not say %q", text, word)
		}
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	o := testOptions(t, t.TempDir())
	o.RedisPort = port
	wantWords(t, mustFail(t, o), fmt.Sprintf("port %d for Redis is already in use", port))
	o.RedisPort, o.Neo4jPort = 0, port
	wantWords(t, mustFail(t, o), fmt.Sprintf("port %d for Neo4j is already in use", port))
	if _, err := os.Stat(filepath.Join(o.Dir, "neo4j")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused start made the data folder: %v", err)
	}
}

// TestPartialStart has a Redis that ends at once while Neo4j is starting.
func TestPartialStart(t *testing.T) {
	pathWith(t, "java", "mvn", "sh")
	broken := filepath.Join(t.TempDir(), "redis-server")
	script := "#!/bin/sh\n[ \"$1\" = --version ] && { echo 'Redis server v=7.0.0 sha=0'; exit; }\n/bin/sleep 1\necho 'no room on the disk'\nexit 3\n"
	if err := os.WriteFile(broken, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", os.Getenv("PATH")+string(os.PathListSeparator)+filepath.Dir(broken))
	dir := t.TempDir()
	o := testOptions(t, dir)
	o.NoAuth = true
	begin := time.Now()
	wantWords(t, mustFail(t, o), "Redis ended before it was ready", "exit status 3", "no room on the disk", "redis.log")
	t.Logf("refused after %s", time.Since(begin))

	// Neo4j got as far as a process, and that is gone: its arguments name the directory.
	if _, err := os.Stat(filepath.Join(dir, "neo4j", "neo4j.log")); err != nil {
		t.Fatalf("Neo4j was never started: %v", err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range processes {
		if cmdline, err := os.ReadFile(path); err == nil && strings.Contains(string(cmdline), dir) {
			t.Errorf("%s still runs: %q", path, cmdline)
		}
	}
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestCancelledStart(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("enough waited"))
	defer cancel()
	o := testOptions(t, t.TempDir())
	o.NoAuth = true
	if s, err := Start(ctx, o); err == nil {
		s.Close()
		t.Fatal("it started within a second")
	} else {
		wantWords(t, err.Error(), "enough waited")
	}
}

// TestMissingPrograms looks only at what is said: nothing is started.
func TestMissingPrograms(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("JAVA_HOME", "")
	o := testOptions(t, t.TempDir())
	pathWith(t)
	wantWords(t, mustFail(t, o), "install")
	findings, err := Check(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	remedies := map[string]string{}
	for _, f := range findings {
		if (f.Problem == "") != (f.Remedy == "") || (f.Problem == "") == (f.Found == "") {
			t.Errorf("finding %+v says too much or too little", f)
		}
		remedies[f.Name] = f.Remedy
	}
	wantWords(t, remedies["java"], "install a JDK 17 or 21")
	wantWords(t, remedies["neo4j"], "install Maven")
	wantWords(t, remedies["redis"], "install redis-server")

	t.Setenv("JAVA_HOME", "/nowhere")
	if _, err := findJava(t.Context()); err == nil || !strings.Contains(err.Error(), "JAVA_HOME=/nowhere") {
		t.Errorf("JAVA_HOME without Java: %v", err)
	}
}

func TestCheck(t *testing.T) {
	findings, err := Check(t.Context(), testOptions(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) != 5 {
		t.Fatalf("%d findings: %+v", len(findings), findings)
	}
	for _, f := range findings {
		if f.Problem != "" || f.Found == "" {
			t.Errorf("%+v", f)
		}
	}
	huge := testOptions(t, t.TempDir())
	huge.HeapMB = 1 << 30
	wantWords(t, mustFail(t, huge), "MiB of memory are free", "smaller heap")
}

// TestEmbeddedRedis runs the Redis inside the Maven artifact, as a machine
// without a redis-server does.
func TestEmbeddedRedis(t *testing.T) {
	pathWith(t, "mvn", "java", "sh", "env", "dirname", "basename", "uname", "ls", "expr", "readlink", "sed", "tr", "grep", "cat")
	o, err := testOptions(t, t.TempDir()).complete()
	if err != nil {
		t.Fatal(err)
	}
	red := newRedis(o)
	t.Cleanup(func() { red.process.close() })
	if err := red.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(red.binary.path, embeddedRedis["linux/amd64"]) {
		t.Fatalf("it ran %s", red.binary.path)
	}
	s := &Stack{RedisURL: red.url()}
	wantRedis(t, s, "SET kept 1", "+OK")
	if err := red.process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := red.process.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRedis(t, s, "GET kept", "$1 1")
}
