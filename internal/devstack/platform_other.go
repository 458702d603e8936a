//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package devstack

import (
	"errors"
	"os"
	"os/exec"
)

// There is no redis-server for these systems, so a start is refused where the
// data directory is locked, before anything runs; the rest is what compiles.
var (
	pauseSignal    = os.Kill
	continueSignal = os.Kill
	stopSignal     = os.Kill

	errLocked   = errors.New("locked by another process")
	errPlatform = errors.New("local stores run on Linux, macOS and the BSDs; on Windows use the Windows Subsystem for Linux, or give NEO4J_URI and REDIS_URL")
)

func lockFile(*os.File) error { return errPlatform }

func startBound(*exec.Cmd) (release func(), err error) { return nil, errPlatform }
