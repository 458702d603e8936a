// Command run runs another command with a real Neo4j and Redis:
//
//	go run ./internal/devstack/run [-dir D] [-heap MB] [-pagecache MB] -- command args...
//
// The command finds the stores by NEO4J_URI, NEO4J_USERNAME, NEO4J_PASSWORD and
// REDIS_URL. They listen on free ports without a password, and keep their data
// in a temporary directory that is removed afterwards unless -dir is given. Run
// ends with the command's exit status; where NEO4J_URI and REDIS_URL are already
// set, it starts nothing and just runs the command.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/holon-registry/holon/internal/devstack"
)

// notStarted is the exit status when the command could not be run at all, as
// env and timeout have it.
const notStarted = 125

func main() {
	dir := flag.String("dir", "", "data directory to use and keep (default: a temporary one)")
	heap := flag.Int("heap", 0, "Neo4j's heap in MiB (default 512)")
	pageCache := flag.Int("pagecache", 0, "Neo4j's page cache in MiB (default 256)")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: run [-dir D] [-heap MB] [-pagecache MB] -- command args...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	o := devstack.Options{Dir: *dir, HeapMB: *heap, PageCacheMB: *pageCache, NoAuth: true, Log: os.Stderr}
	status, err := run(o, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
	}
	os.Exit(status)
}

// run returns the exit status of the command, with the stores gone again.
func run(o devstack.Options, command []string) (status int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	_, neo4j := os.LookupEnv("NEO4J_URI")
	_, redis := os.LookupEnv("REDIS_URL")
	switch {
	case neo4j && redis:
		return execute(ctx, command, os.Environ())
	case neo4j || redis:
		return notStarted, errors.New("only one of NEO4J_URI and REDIS_URL is set: set both to use your own stores, or neither")
	}
	if o.Dir == "" {
		o.Life = devstack.Passing
		if o.Dir, err = os.MkdirTemp("", "holon-stores-"); err != nil {
			return notStarted, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	}
	stack, err := devstack.Start(ctx, o)
	if err != nil {
		return notStarted, err
	}
	// Before the directory is removed: deferred calls run last in, first out.
	defer func() { err = errors.Join(err, stack.Close()) }()
	return execute(ctx, command, append(os.Environ(), stack.Env()...))
}

// execute runs the command until it ends, or until the context does: then it
// gets some time to end by itself.
func execute(ctx context.Context, command, env []string) (int, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, env
	end := prepare(cmd)
	if err := cmd.Start(); err != nil {
		return notStarted, err
	}
	ended := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ended:
		case <-ctx.Done():
			end(cmd.Process, ended)
		}
	}()
	err := cmd.Wait()
	close(ended)
	<-stopped
	return statusOf(err)
}

// statusOf turns what Wait returned into an exit status.
func statusOf(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return notStarted, err
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return exit.ExitCode(), nil
}
