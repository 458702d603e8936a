package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// build compiles the command once a test.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "run")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// without returns the environment less the variables that say where stores are.
func without(t *testing.T, extra ...string) []string {
	t.Helper()
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "NEO4J_") && !strings.HasPrefix(kv, "REDIS_URL=") {
			env = append(env, kv)
		}
	}
	return append(env, extra...)
}

func TestRun(t *testing.T) {
	run := build(t)
	t.Run("the command gets the stores and its status is returned", func(t *testing.T) {
		temp := t.TempDir()
		cmd := exec.Command(run, "-heap", "256", "-pagecache", "64", "--", "/bin/sh", "-c", `echo "$NEO4J_URI $REDIS_URL"; exit 7`)
		cmd.Env = without(t, "TMPDIR="+temp)
		cmd.Stderr = t.Output()
		out, err := cmd.Output()
		if status := cmd.ProcessState.ExitCode(); status != 7 {
			t.Errorf("status %d, %v", status, err)
		}
		if !strings.HasPrefix(string(out), "bolt://127.0.0.1:") || !strings.Contains(string(out), " redis://127.0.0.1:") {
			t.Errorf("the command saw %q", out)
		}
		left, err := os.ReadDir(temp)
		if err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	t.Run("stores that are given are used", func(t *testing.T) {
		cmd := exec.Command(run, "--", "/bin/sh", "-c", `echo "$NEO4J_URI $REDIS_URL"`)
		cmd.Env = without(t, "NEO4J_URI=bolt://there:1", "REDIS_URL=redis://there:2")
		out, err := cmd.Output()
		if err != nil || string(out) != "bolt://there:1 redis://there:2\n" {
			t.Errorf("%q, %v", out, err)
		}
	})
	t.Run("one of two given is refused", func(t *testing.T) {
		cmd := exec.Command(run, "--", "/bin/true")
		cmd.Env = without(t, "REDIS_URL=redis://there:2")
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != notStarted || !strings.Contains(string(out), "only one of") {
			t.Errorf("status %d: %s", cmd.ProcessState.ExitCode(), out)
		}
	})
	t.Run("a signal ends the command and what it started", func(t *testing.T) {
		cmd := exec.Command(run, "--", "/bin/sh", "-c", `sleep 60 & echo $!; wait`)
		cmd.Env = without(t, "NEO4J_URI=bolt://there:1", "REDIS_URL=redis://there:2")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pid, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		// The pipe's end says that nobody holds it any more, sleep included.
		if rest, err := bufio.NewReader(out).ReadString('\n'); err == nil {
			t.Errorf("sleep %s: %q", pid, rest)
		}
		cmd.Wait()
		if status := cmd.ProcessState.ExitCode(); status != 128+int(syscall.SIGTERM) {
			t.Errorf("status %d", status)
		}
	})
}
