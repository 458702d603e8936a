package devstack

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// These make the test binary start stores in a directory, or a watched process,
// and wait, so that a test can kill a process that has children.
const (
	helperStores  = "DEVSTACK_HELPER_STORES"
	helperWatched = "DEVSTACK_HELPER_WATCHED"
)

func TestMain(m *testing.M) {
	var pids []any
	var err error
	switch dir := os.Getenv(helperStores); {
	case dir != "":
		var s *Stack
		if s, err = Start(context.Background(), Options{Dir: dir, NoAuth: true, HeapMB: 256, PageCacheMB: 64, Life: Brief}); err == nil {
			pids = []any{s.Neo4j.Pid(), s.Redis.Pid()}
		}
	case os.Getenv(helperWatched) != "":
		cmd := exec.Command("/bin/sleep", "60")
		_, err = startWatched(cmd)
		pids = []any{cmd.Process.Pid}
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(pids...)
	select {}
}

// killedHelper starts a helper, checks that its children run, kills it in the
// one way that gives it no chance to end them, and returns their pids.
func killedHelper(t *testing.T, env string) []int {
	t.Helper()
	helper := exec.Command(os.Args[0])
	helper.Env = append(os.Environ(), env)
	out, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { helper.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, word := range strings.Fields(line) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			t.Fatalf("the helper says %q", line)
		}
		if err := syscall.Kill(pid, 0); err != nil {
			t.Fatalf("process %d of the helper: %v", pid, err)
		}
		pids = append(pids, pid)
	}
	if err := helper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	helper.Wait()
	return pids
}

func TestParentKilled(t *testing.T) {
	dir := t.TempDir()
	pids := killedHelper(t, helperStores+"="+dir)
	if len(pids) != 2 {
		t.Fatalf("the helper had %d children, want 2", len(pids))
	}
	for i, name := range []string{"Neo4j", "Redis"} {
		if !gone(pids[i]) {
			t.Errorf("%s (pid %d) outlived its parent", name, pids[i])
		}
	}
	// Nothing is left that keeps the next start from the directory.
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// TestWatchdog tests what binds a store to this process on systems without a
// parent-death signal; it works on Linux as well.
func TestWatchdog(t *testing.T) {
	t.Run("the end of the parent kills", func(t *testing.T) {
		for _, pid := range killedHelper(t, helperWatched+"=1") {
			if !gone(pid) {
				t.Errorf("process %d outlived its parent", pid)
			}
		}
	})
	t.Run("a release does not", func(t *testing.T) {
		cmd := exec.Command("/bin/sleep", "60")
		release, err := startWatched(cmd)
		if err != nil {
			t.Fatal(err)
		}
		release()
		time.Sleep(100 * time.Millisecond)
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			t.Errorf("the process ended with its watchdog: %s, %v", stat, err)
		}
		cmd.Process.Kill()
		cmd.Wait()
	})
}
