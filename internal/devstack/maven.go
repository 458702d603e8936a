package devstack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"time"
)

// mavenPlugin is the dependency plugin with its exact version, so that every
// machine resolves in the same way.
const mavenPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:"

// runMaven runs one goal of the dependency plugin in folder. It writes a line
// now and then, since the first time takes as long as the download does.
func runMaven(ctx context.Context, log io.Writer, what, folder, cache, goal string, args ...string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("no Maven to fetch %s (%w): %s", what, err, mavenRemedy)
	}
	args = append([]string{"--quiet", "--batch-mode", "--no-transfer-progress", mavenPlugin + goal}, args...)
	if repository := ownRepository(cache); repository != "" {
		args = append(args, "-Dmaven.repo.local="+repository)
	}
	begin := time.Now()
	fmt.Fprintf(log, "resolving %s with Maven, this first time only…\n", what)
	done := make(chan struct{})
	defer close(done)
	go func() {
		tick := time.NewTicker(15 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				fmt.Fprintf(log, "still resolving %s after %.0f s…\n", what, time.Since(begin).Seconds())
			}
		}
	}()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, mvn, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, &out, &out
	// Maven is a script around a JVM that keeps the output open; without a delay
	// a cancelled run would wait for that one.
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("resolve %s with Maven: %w\n%s", what, err, lastLines(out.String()))
	}
	return nil
}

// ownRepository returns a folder for what Maven downloads when its usual place,
// below the home directory that the system's user list names, cannot be
// written: accounts of services have none. Otherwise it is empty.
func ownRepository(cache string) string {
	if u, err := user.Current(); err == nil && writable(filepath.Join(u.HomeDir, ".m2", "repository")) == nil {
		return ""
	}
	return filepath.Join(cache, "maven")
}

// cacheDir returns the folder for what all data directories share: one in the
// user's cache directory or, where that cannot be written, dir itself.
func cacheDir(dir string) string {
	if base, err := os.UserCacheDir(); err == nil {
		if shared := filepath.Join(base, "holon"); writable(shared) == nil {
			return shared
		}
	}
	return dir
}

// writable makes a folder when it is missing and tries to write in it.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}

// resolveOnce returns what find finds or, when it finds nothing, runs resolve
// and looks again. One process at a time resolves into a cache; those that
// waited find what the first one resolved.
func resolveOnce[T any](ctx context.Context, cache string, find func() (T, bool), resolve func() error) (T, error) {
	if found, ok := find(); ok {
		return found, nil
	}
	var none T
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return none, err
	}
	unlock, err := waitLock(ctx, filepath.Join(cache, "resolve.lock"))
	if err != nil {
		return none, err
	}
	defer unlock()
	if found, ok := find(); ok {
		return found, nil
	}
	if err := resolve(); err != nil {
		return none, err
	}
	found, ok := find()
	if !ok {
		return none, fmt.Errorf("maven ended well, but what it should have resolved is not in %s", cache)
	}
	return found, nil
}
