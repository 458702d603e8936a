//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/term"
)

// endGrace is how long the command may take to end before it is killed.
const endGrace = 10 * time.Second

// prepare returns a function that ends the command and, where it can, all that
// the command started: `go test` does not pass a signal on to the tests.
func prepare(cmd *exec.Cmd) func(p *os.Process, ended <-chan struct{}) {
	// On a terminal the command stays in the foreground group, where Ctrl-C
	// reaches it anyway and where it may read.
	alone := !term.IsTerminal(int(os.Stdin.Fd()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: alone}
	return func(p *os.Process, ended <-chan struct{}) {
		pid := p.Pid
		if alone {
			pid = -pid
		}
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			_ = syscall.Kill(pid, sig)
			select {
			case <-ended:
				return
			case <-time.After(endGrace):
			}
		}
	}
}
