package testkit

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// startBound starts cmd so that it is killed when this process ends in whatever
// way. The parent-death signal comes when the thread that forked ends, so one
// goroutine with a thread of its own starts all.
func startBound(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	spawner() <- func() { started <- cmd.Start() }
	return <-started
}

var spawner = sync.OnceValue(func() chan<- func() {
	starts := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range starts {
			start()
		}
	}()
	return starts
})
