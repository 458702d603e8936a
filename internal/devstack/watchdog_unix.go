//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package devstack

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// watchdog reads the pid of the process to guard and then waits for the end of
// its standard input, which comes when the process that holds the other end of
// the pipe is gone. It is a shell because every Unix has one.
const watchdog = `read -r pid || exit 0; cat >/dev/null; kill -KILL "$pid"`

// startWatched starts cmd and a watchdog that kills it when this process ends.
// Call release as soon as cmd has been waited for: its pid may be given to
// another process afterwards.
func startWatched(cmd *exec.Cmd) (release func(), err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()
	dog := exec.Command("/bin/sh", "-c", watchdog)
	dog.Stdin = read
	dog.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := dog.Start(); err != nil {
		write.Close()
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	release = func() {
		// The whole group, so that cat goes with its shell; the pipe is closed
		// last, or the watchdog would do its work now.
		_ = syscall.Kill(-dog.Process.Pid, syscall.SIGKILL)
		_ = dog.Wait()
		write.Close()
	}
	if err := cmd.Start(); err != nil {
		release()
		return nil, err
	}
	if _, err := fmt.Fprintln(write, cmd.Process.Pid); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		release()
		return nil, fmt.Errorf("tell the watchdog: %w", err)
	}
	return release, nil
}
