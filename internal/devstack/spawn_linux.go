package devstack

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// startBound starts cmd so that it is killed when this process ends in whatever
// way. The kernel sends the parent-death signal when the *thread* that forked
// ends, not the process: so one goroutine, locked to a thread that it never
// gives back, starts all children.
func startBound(cmd *exec.Cmd) (release func(), err error) {
	// A group of its own keeps a Ctrl-C meant for this process from the store:
	// it is stopped after those that use it, not together with them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	spawner() <- spawn{cmd, started}
	return func() {}, <-started
}

type spawn struct {
	cmd     *exec.Cmd
	started chan<- error
}

var spawner = sync.OnceValue(func() chan<- spawn {
	requests := make(chan spawn)
	go func() {
		runtime.LockOSThread()
		for r := range requests {
			r.started <- r.cmd.Start()
		}
	}()
	return requests
})
