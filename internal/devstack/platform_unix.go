//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package devstack

import (
	"errors"
	"os"
	"syscall"
)

const (
	pauseSignal    = syscall.SIGSTOP
	continueSignal = syscall.SIGCONT
	stopSignal     = syscall.SIGTERM
)

// errLocked says that another process holds a lock.
var errLocked = errors.New("locked by another process")

// lockFile takes an exclusive lock on an open file without waiting. Closing the
// file, or the end of the process, releases it.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}
