package testkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/holon-registry/holon/internal/freeport"
)

// BuildHolon builds the command into a directory and returns the program's
// path. The working directory must be that of a package two levels below the
// top of the repository, as it is in a test of one.
func BuildHolon(dir string) (string, error) {
	path := filepath.Join(dir, "holon")
	build := exec.Command("go", "build", "-o", path, "./cmd/holon")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/holon: %w\n%s", err, out)
	}
	return path, nil
}

// Program is a process that a test runs, kills and pauses. It is killed when
// the test ends, and on Linux also when the test's process does.
type Program struct {
	// Name is for messages, for example "serve".
	Name string

	cmd    *exec.Cmd
	log    tail
	ended  chan struct{}
	status error
}

// Start starts a program. The environment is that of the test with env on top,
// as NAME=value. What the program printed is shown if the test fails.
func Start(t testing.TB, name string, env []string, path string, args ...string) *Program {
	t.Helper()
	p := &Program{Name: name, cmd: exec.Command(path, args...), ended: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), "NO_COLOR=1"), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := startBound(p.cmd); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.status = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the last words of %s (pid %d, %v):\n%s", name, p.Pid(), p.status, p.Output())
		}
	})
	return p
}

// Run runs a program to its end and returns what it printed to its standard
// output. A status other than 0 fails the test.
func Run(t testing.TB, env []string, path string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			t.Fatalf("%s %v: %v\n%s%s", filepath.Base(path), args, err, out, failed.Stderr)
		}
		t.Fatalf("%s %v: %v", filepath.Base(path), args, err)
	}
	return string(out)
}

// Pid returns the process id.
func (p *Program) Pid() int { return p.cmd.Process.Pid }

// Output returns the end of what the program printed.
func (p *Program) Output() string { return p.log.String() }

// Ended is closed when the process has ended.
func (p *Program) Ended() <-chan struct{} { return p.ended }

// MustSucceed waits until the process ends by itself, for at most a minute, and
// fails the test unless its status is 0.
func (p *Program) MustSucceed(t testing.TB) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		t.Fatalf("%s does not end", p.Name)
	}
	if p.status != nil {
		t.Fatalf("%s: %v\n%s", p.Name, p.status, p.Output())
	}
}

// Kill ends the process as a crash would (SIGKILL) and returns when it is gone.
func (p *Program) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// Pause stops the process from running without ending it (SIGSTOP).
func (p *Program) Pause(t testing.TB) { p.signal(t, syscall.SIGSTOP) }

// Continue lets a paused process run again (SIGCONT).
func (p *Program) Continue(t testing.TB) { p.signal(t, syscall.SIGCONT) }

func (p *Program) signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%s to %s: %v", s, p.Name, err)
	}
}

// Stop asks the process to end (SIGTERM). It fails the test if the process takes
// longer than 20 seconds or ends with a status other than 0.
func (p *Program) Stop(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	select {
	case <-p.ended:
		if p.status != nil {
			t.Errorf("%s ended with %v when it was asked to stop", p.Name, p.status)
		}
	case <-time.After(20 * time.Second):
		p.Kill()
		t.Errorf("%s did not stop within 20 s and was killed", p.Name)
	}
}

// AwaitOK waits until a URL answers 200, for at most limit. It fails the test
// when that does not happen or the process ends.
func (p *Program) AwaitOK(t testing.TB, url string, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		said := ask(ctx, url)
		if said == nil {
			return
		}
		select {
		case <-p.ended:
			t.Fatalf("%s ended (%v) before %s answered", p.Name, p.status, url)
		case <-ctx.Done():
			t.Fatalf("%s: %s did not answer 200 within %s: %v", p.Name, url, limit, said)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func ask(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return nil
}

// FreeAddr returns an address on 127.0.0.1 that is the test's until it ends.
func FreeAddr(t testing.TB) string {
	t.Helper()
	p, err := freeport.Take(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Release() })
	return p.Addr()
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 16 << 10

// Write implements io.Writer.
func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	if len(w.text) > 2*tailBytes {
		w.text = append([]byte(nil), w.text[len(w.text)-tailBytes:]...)
	}
	return len(p), nil
}

// String returns what is kept.
func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.text)
}
