//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package devstack

import (
	"os/exec"
	"syscall"
)

// startBound starts cmd so that it is killed when this process ends in whatever
// way. These systems have no parent-death signal, so a watchdog does it.
func startBound(cmd *exec.Cmd) (release func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return startWatched(cmd)
}
